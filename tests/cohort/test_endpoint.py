"""Endpoints built from recorded events: hand-written courses and ten-line referees."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from metastra.cohort.endpoint import build_endpoint
from metastra.cohort.endpoint_built import BuiltEndpoint, NotIncluded
from metastra.cohort.endpoint_words import describe
from metastra.cohort.hierarchy import Course, Occurrence
from metastra.errors import DataError, NotEstimable, Severity, Where
from metastra.study.endpoints import ENDPOINTS, endpoint_named
from metastra.study.sections import EndpointSection
from metastra.study.vocabulary import EventType, Site

REC, MET, PROG = EventType.RECURRENCE, EventType.METASTASIS, EventType.PROGRESSION
DEATH, DISEASE, OTHER = (
    EventType.DEATH,
    EventType.DEATH_OF_DISEASE,
    EventType.DEATH_OF_OTHER_CAUSE,
)
SECOND, PROCEDURE = EventType.SECOND_PRIMARY, EventType.METASTASIS_PROCEDURE
NOTHING = EndpointSection()
SIX = EndpointSection(synchronous_window_months=6)
SIX_DAYS = 182.625


def happened(kind: EventType, days: float, site: Site = Site.UNKNOWN, **more: object) -> Occurrence:
    """One occurrence."""
    return Occurrence(type=kind, site=site, days=days, **more)  # type: ignore[arg-type]


def course(*occurrences: Occurrence, last: float | None = None, **more: object) -> Course:
    """One course, in row 2 of the table."""
    return Course(occurrences=occurrences, last_contact_days=last, row=2, **more)  # type: ignore[arg-type]


def build(
    name: str, one: Course, settings: EndpointSection = NOTHING, **more: object
) -> BuiltEndpoint:
    """An endpoint of one patient."""
    where = Where(file="clini.csv", cohort="north")
    return build_endpoint(endpoint_named(name), [one], settings, names=["P-1"], where=where, **more)  # type: ignore[arg-type]


def fate(
    name: str, one: Course, settings: EndpointSection = NOTHING, **more: object
) -> tuple[float, int]:
    """Time and event of one patient who must be included."""
    built = build(name, one, settings, **more)
    assert built.not_included == (None,), built.problems
    return float(built.time_days[0]), int(built.event[0])


def reason(name: str, one: Course, settings: EndpointSection = NOTHING) -> NotIncluded | None:
    """Why one patient is not included."""
    built = build(name, one, settings)
    assert math.isnan(built.time_days[0])
    assert built.event[0] == -1
    return built.not_included[0]


def codes(built: BuiltEndpoint) -> list[str]:
    """Codes of what was found, without the two that every single patient raises."""
    return [item.code for item in built.problems if item.code not in ("EP011", "EP018")]


class TestSurvival:
    """Endpoints that end with death or with the first of relapse and death."""

    def test_death_of_any_cause_is_the_event_of_overall_survival(self) -> None:
        """Relapses do not matter, the cause of death does not either."""
        for cause in (DEATH, DISEASE, OTHER):
            one = course(happened(REC, 100, Site.LIVER), happened(cause, 400), last=390)
            assert fate("overall-survival", one) == (400, 1)
        assert fate("overall-survival", course(happened(REC, 100), last=390)) == (390, 0)

    def test_death_of_another_cause_competes_with_cancer_specific_survival(self) -> None:
        """Both causes are told apart."""
        assert fate("cancer-specific-survival", course(happened(DISEASE, 400))) == (400, 1)
        assert fate("cancer-specific-survival", course(happened(OTHER, 400))) == (400, 2)
        assert fate("cancer-specific-survival", course(last=500)) == (500, 0)

    def test_unknown_cause_of_death_is_refused_unless_declared(self) -> None:
        """Neither event nor competing is guessed."""
        one = course(happened(DEATH, 400))
        built = build("cancer-specific-survival", one)
        assert built.not_included == (NotIncluded.REFUSED,)
        assert codes(built) == ["EP020"]
        assert built.problems[0].patients == ("P-1",)
        with pytest.raises(DataError, match="EP020"):
            built.outcome()
        for word, event in (("competing", 2), ("event", 1)):
            settings = EndpointSection(unknown_cause_of_death=word)
            built = build("cancer-specific-survival", one, settings)
            assert (built.event[0], built.unknown_cause[0]) == (event, True)
            assert [(p.code, p.severity) for p in built.problems if p.code == "EP020"] == [
                ("EP020", Severity.NOTE)
            ]

    def test_two_causes_of_one_death_are_no_cause(self) -> None:
        """A contradiction is refused like a missing cause; a plain death beside a cause is fine."""
        both = course(happened(DISEASE, 400), happened(OTHER, 400))
        assert codes(build("cancer-specific-survival", both)) == ["EP020"]
        again = course(happened(DEATH, 400), happened(DISEASE, 400))
        assert fate("cancer-specific-survival", again) == (400, 1)
        assert fate("overall-survival", both) == (400, 1)

    def test_recurrence_progression_and_second_primary_count_where_they_are_named(self) -> None:
        """The four first-event endpoints differ in exactly this."""
        table = {
            "recurrence-free-survival": {REC: 1, MET: 1, PROG: 0, SECOND: 0},
            "disease-free-survival": {REC: 1, MET: 1, PROG: 0, SECOND: 1},
            "progression-free-survival": {REC: 1, MET: 1, PROG: 1, SECOND: 0},
            "time-to-recurrence": {REC: 1, MET: 1, PROG: 0, SECOND: 0},
        }
        for name, kinds in table.items():
            for kind, counts in kinds.items():
                time, event = fate(name, course(happened(kind, 100, Site.LOCAL), last=300))
                assert (time, event) == ((100, 1) if counts else (300, 0)), (name, kind)

    def test_death_is_event_or_competing_by_definition(self) -> None:
        """Death is an event of the survivals and competes with the times to something."""
        events = {"survival": 1, "metastasis": 2, "site": 2, "recurrence": 2, "treatment": 2}
        for name in ENDPOINTS:
            kind = DISEASE if name == "cancer-specific-survival" else DEATH
            one = course(happened(kind, 700), procedure_days=100.0)
            expected = 1 if name.startswith("survival-after") else events[name.split("-")[-1]]
            days = 600 if "after" in name else 700
            assert fate(name, one) == (days, expected), name

    def test_recurrence_on_the_day_of_death_is_the_event(self) -> None:
        """A tie between event and competing event is the event."""
        tie = course(happened(REC, 700, Site.LIVER), happened(DEATH, 700))
        for name in (
            "time-to-recurrence",
            "metachronous-liver-metastasis",
            "liver-metastasis-as-first-site",
            "time-to-distant-metastasis",
        ):
            assert fate(name, tie) == (700, 1)

    def test_event_on_the_day_of_the_last_contact_is_an_event(self) -> None:
        """Follow-up that ends with a relapse is not censored."""
        assert fate("progression-free-survival", course(happened(REC, 300), last=300)) == (300, 1)


class TestSites:
    """Endpoints in which the site decides."""

    def test_relapse_elsewhere_does_not_end_the_time_to_liver_metastasis(self) -> None:
        """Lung first, liver later: the event is the liver; in the first-site variant it is not."""
        one = course(happened(MET, 200, Site.LUNG), happened(MET, 500, Site.LIVER), last=900)
        assert fate("metachronous-liver-metastasis", one) == (500, 1)
        assert fate("liver-metastasis-as-first-site", one) == (200, 2)
        assert fate("metachronous-peritoneal-metastasis", one) == (900, 0)

    def test_local_and_regional_relapse_is_no_first_distant_site(self) -> None:
        """A local recurrence leaves the patient at risk of a first distant site."""
        for site in (Site.LOCAL, Site.REGIONAL, Site.CONTRALATERAL_BREAST):
            one = course(happened(REC, 200, site), happened(REC, 500, Site.PERITONEUM), last=900)
            assert fate("peritoneal-metastasis-as-first-site", one) == (500, 1)
            assert fate("time-to-distant-metastasis", one) == (500, 1)
            assert fate("time-to-recurrence", one) == (200, 1)

    def test_several_sites_on_one_day_include_the_first_site(self) -> None:
        """Liver and lung found together: the liver is among the first sites."""
        one = course(happened(REC, 200, Site.LUNG), happened(REC, 200, Site.LIVER), last=900)
        assert fate("liver-metastasis-as-first-site", one) == (200, 1)

    def test_distant_metastasis_free_survival_counts_deaths_and_the_time_does_not(self) -> None:
        """DMFS and time to distant metastasis are two endpoints."""
        one = course(happened(DEATH, 800))
        assert fate("distant-metastasis-free-survival", one) == (800, 1)
        assert fate("time-to-distant-metastasis", one) == (800, 2)

    def test_metastasis_of_unknown_site_is_distant_and_not_in_the_liver(self) -> None:
        """The word metastasis settles that it is distant; only the liver stays open."""
        one = course(happened(MET, 300), last=900)
        built = build("time-to-distant-metastasis", one)
        assert (built.time_days[0], built.event[0], built.unknown_site[0]) == (300, 1, False)
        built = build("metachronous-liver-metastasis", one)
        assert (built.time_days[0], built.event[0], built.unknown_site[0]) == (900, 0, True)
        assert codes(built) == ["EP013"]
        assert built.outcome().n == 1
        assert fate("liver-metastasis-as-first-site", one) == (300, 2)

    def test_recurrence_of_unknown_site_counts_as_event_in_the_sensitivity_analysis(self) -> None:
        """The same patients, the other way round."""
        one = course(happened(REC, 300), last=900)
        for name in ("metachronous-liver-metastasis", "time-to-distant-metastasis"):
            assert fate(name, one) == (900, 0)
            built = build(name, one, unknown_site_as="event")
            assert (built.time_days[0], built.event[0]) == (300, 1)
            assert built.unknown_site[0]
            assert codes(built) == ["EP013"]

    def test_unknown_site_is_only_named_where_it_could_change_the_outcome(self) -> None:
        """After the liver metastasis another relapse does not matter."""
        late = course(happened(MET, 200, Site.LIVER), happened(REC, 300), last=900)
        assert codes(build("metachronous-liver-metastasis", late)) == []
        early = course(happened(REC, 100), happened(MET, 200, Site.LIVER), last=900)
        assert codes(build("metachronous-liver-metastasis", early)) == ["EP013"]
        assert codes(build("overall-survival", early)) == []


class TestSynchronousWindow:
    """Time zero at surgery + k."""

    def test_window_moves_time_zero(self) -> None:
        """What comes later is counted from surgery + k."""
        one = course(happened(MET, 400, Site.LIVER), last=900)
        assert fate("metachronous-liver-metastasis", one, SIX) == (400 - SIX_DAYS, 1)

    def test_event_death_and_loss_inside_the_window_are_not_at_risk_and_counted(self) -> None:
        """Each has its reason and a note with row and patient."""
        name = "metachronous-liver-metastasis"
        cases = {
            NotIncluded.EVENT_BEFORE: course(happened(MET, 100, Site.LIVER), last=900),
            NotIncluded.DEATH_BEFORE: course(happened(DEATH, 100)),
            NotIncluded.LOST_BEFORE: course(last=100),
        }
        for expected, one in cases.items():
            assert reason(name, one, SIX) is expected
        built = build_endpoint(endpoint_named(name), list(cases.values()), SIX)
        assert built.left_out() == {
            "event by surgery + 6 months (synchronous), not at risk": 1,
            "died by surgery + 6 months, not at risk": 1,
            "follow-up ended by surgery + 6 months, not at risk": 1,
        }
        notes = [item for item in built.problems if item.code == "EP018"]
        assert [(note.patients, note.severity) for note in notes] == [
            (("patient 1",), Severity.NOTE),
            (("patient 2",), Severity.NOTE),
            (("patient 3",), Severity.NOTE),
        ]
        with pytest.raises(NotEstimable, match="none of 3"):
            built.outcome()

    def test_last_day_of_the_window_belongs_to_it(self) -> None:
        """Metastases up to k months are synchronous; the day after is metachronous."""
        name = "metachronous-liver-metastasis"
        for days, included in ((SIX_DAYS, False), (SIX_DAYS + 1, True)):
            built = build(name, course(happened(MET, days, Site.LIVER), last=900), SIX)
            assert built.included[0] == included
        died = course(happened(DEATH, SIX_DAYS))
        assert reason(name, died, SIX) is NotIncluded.DEATH_BEFORE
        assert reason(name, course(last=SIX_DAYS), SIX) is NotIncluded.LOST_BEFORE

    def test_other_site_inside_the_window_only_matters_to_the_first_site(self) -> None:
        """A lung metastasis at 3 months does not end the risk of a liver metastasis."""
        one = course(happened(MET, 90, Site.LUNG), happened(MET, 400, Site.LIVER), last=900)
        assert fate("metachronous-liver-metastasis", one, SIX) == (400 - SIX_DAYS, 1)
        assert reason("liver-metastasis-as-first-site", one, SIX) is NotIncluded.COMPETING_BEFORE

    def test_metastasis_before_or_on_the_day_of_surgery_is_never_metachronous(self) -> None:
        """Also without a window."""
        for days in (-30, 0):
            for name in ("metachronous-liver-metastasis", "time-to-distant-metastasis"):
                one = course(happened(MET, days, Site.LIVER), last=900)
                assert reason(name, one) is NotIncluded.EVENT_BEFORE

    def test_window_does_not_touch_endpoints_without_one(self) -> None:
        """Overall survival starts at surgery whatever k is."""
        assert fate("overall-survival", course(happened(DEATH, 100)), SIX) == (100, 1)


class TestDayZero:
    """Follow-up that ends on the day it begins."""

    def test_three_rules(self) -> None:
        """Refused without a rule, half a day, or left out and counted."""
        one = course(happened(DEATH, 0))
        built = build("overall-survival", one)
        assert built.not_included == (NotIncluded.REFUSED,)
        assert codes(built) == ["EP006"]
        assert fate("overall-survival", one, EndpointSection(day_zero="half-day")) == (0.5, 1)
        built = build("overall-survival", one, EndpointSection(day_zero="exclude"))
        assert built.not_included == (NotIncluded.DAY_ZERO,)
        assert [(p.code, p.severity) for p in built.problems] == [("EP006", Severity.NOTE)]

    def test_relapse_on_day_zero_is_not_passed_over(self) -> None:
        """A recurrence dated on the day of surgery is refused, not ignored."""
        one = course(happened(REC, 0), last=500)
        assert codes(build("recurrence-free-survival", one)) == ["EP006"]


class TestAfterMetastasis:
    """Endpoints whose clock starts at the procedure on a metastasis."""

    ONE = course(
        happened(MET, 200, Site.LIVER),
        happened(PROCEDURE, 250),
        happened(REC, 400, Site.LUNG),
        happened(DEATH, 700),
        procedure_days=250.0,
    )

    def test_clock_starts_at_the_procedure(self) -> None:
        """The metastasis that is treated is not its own relapse."""
        assert fate("survival-after-metastasis", self.ONE) == (450, 1)
        assert fate("relapse-after-metastasis-treatment", self.ONE) == (150, 1)

    def test_metastasis_found_on_the_day_of_its_procedure_is_no_relapse(self) -> None:
        """A biopsy dates the diagnosis."""
        one = course(happened(MET, 250, Site.LIVER), last=600, procedure_days=250.0)
        assert fate("relapse-after-metastasis-treatment", one) == (350, 0)

    def test_delayed_entry_with_the_clock_at_diagnosis_or_surgery(self) -> None:
        """Time before the procedure could not have held a death."""
        again = happened(MET, 240, Site.LUNG)
        one = course(*self.ONE.occurrences, again, procedure_days=250.0)
        for clock, time, entry in (("metastasis-diagnosis", 500, 50), ("surgery", 700, 250)):
            built = build("survival-after-metastasis", one, EndpointSection(clock=clock))
            assert built.time_days[0] == time
            assert built.entry_days is not None
            assert built.entry_days[0] == entry
            assert built.outcome().entry is not None

    def test_relapse_counts_after_the_procedure_wherever_the_clock_is(self) -> None:
        """With the clock at surgery the treated metastasis is still no relapse."""
        assert fate(
            "relapse-after-metastasis-treatment", self.ONE, EndpointSection(clock="surgery")
        ) == (400, 1)

    def test_patient_without_a_procedure_is_counted(self) -> None:
        """He is not in the population."""
        one = course(happened(MET, 200, Site.LIVER), last=900)
        assert reason("survival-after-metastasis", one) is NotIncluded.NO_PROCEDURE

    def test_missing_diagnosis_of_the_metastasis_is_refused(self) -> None:
        """The clock has no start."""
        one = course(last=900, procedure_days=250.0)
        built = build(
            "survival-after-metastasis", one, EndpointSection(clock="metastasis-diagnosis")
        )
        assert codes(built) == ["EP004"]

    def test_procedure_after_the_end_of_follow_up_is_refused(self) -> None:
        """One of the dates is wrong."""
        built = build("survival-after-metastasis", course(last=200, procedure_days=250.0))
        assert codes(built) == ["EP009"]

    def test_death_on_the_day_of_the_procedure_follows_the_rule_for_day_zero(self) -> None:
        """With delayed entry too."""
        one = course(happened(DEATH, 250), procedure_days=250.0)
        assert codes(build("survival-after-metastasis", one)) == ["EP006"]
        settings = EndpointSection(day_zero="half-day", clock="surgery")
        built = build("survival-after-metastasis", one, settings)
        assert built.time_days[0] == 250.5
        assert built.outcome().n == 1


class TestDelayedEntry:
    """Patients who come under observation after surgery."""

    def test_entry_is_kept_from_time_zero(self) -> None:
        """With a window it shrinks by the window and never falls below it."""
        one = course(happened(DEATH, 700), entry_days=300.0)
        built = build("overall-survival", one)
        assert built.entry_days is not None
        assert built.entry_days[0] == 300
        built = build("metachronous-liver-metastasis", one, SIX)
        assert built.entry_days is not None
        assert built.entry_days[0] == 300 - SIX_DAYS
        early = course(happened(DEATH, 700), entry_days=100.0)
        assert build("metachronous-liver-metastasis", early, SIX).entry_days is None

    def test_event_before_entry_is_not_at_risk(self) -> None:
        """A patient enters free of the event or not at all."""
        for days in (200, 300):
            one = course(happened(REC, days), happened(DEATH, 700), entry_days=300.0)
            assert reason("recurrence-free-survival", one) is NotIncluded.EVENT_BEFORE_ENTRY
            assert fate("overall-survival", one) == (700, 1)

    def test_observation_after_its_end_is_refused(self) -> None:
        """Entry after the last contact cannot be."""
        assert codes(build("overall-survival", course(last=200, entry_days=300.0))) == ["EP007"]


class TestContradictions:
    """Dates that cannot all be right."""

    @pytest.mark.parametrize(
        ("one", "code"),
        [
            (course(happened(REC, 500), last=400), "EP009"),
            (course(happened(REC, 500), happened(DEATH, 400)), "EP009"),
            (course(happened(DEATH, 400), last=500), "EP009"),
            (course(happened(DEATH, 400), happened(DISEASE, 500)), "EP009"),
            (course(happened(DEATH, -3)), "EP005"),
            (course(last=-3), "EP005"),
            (course(last=math.inf), "EP004"),
            (course(), "EP004"),
            (course(happened(REC, 300, last_negative_days=300), last=400), "EP019"),
        ],
    )
    def test_is_refused_with_row_and_patient(self, one: Course, code: str) -> None:
        """Each refuses the patient, and the outcome is not to be had."""
        built = build("overall-survival", one)
        assert [item.code for item in built.problems] == [code]
        problem = built.problems[0]
        assert (problem.where.file, problem.where.rows) == ("clini.csv", (2,))
        assert problem.where.cohort == "north"
        assert problem.patients == ("P-1",)
        with pytest.raises(DataError, match=code):
            built.outcome()

    def test_death_after_the_last_contact_is_none(self) -> None:
        """The last contact is the last one alive."""
        assert fate("overall-survival", course(happened(DEATH, 400), last=350)) == (400, 1)

    def test_less_than_a_day_is_rounding(self) -> None:
        """Months with one decimal do not make a contradiction, and the event keeps its place."""
        one = course(happened(REC, 400.4), happened(DEATH, 400.0))
        assert fate("time-to-recurrence", one) == (400.0, 1)
        twice = course(happened(DEATH, 400.0), happened(DISEASE, 400.4))
        assert fate("cancer-specific-survival", twice) == (400.0, 1)

    def test_problem_names_the_row_of_the_event_table(self) -> None:
        """The record that is wrong, not the patient's clinical row."""
        late = happened(REC, 500, source="events.csv", row=9)
        where = build("overall-survival", course(late, last=400)).problems[0].where
        assert (where.file, where.rows) == ("events.csv", (9,))

    def test_all_patients_of_one_fault_stand_in_one_problem(self) -> None:
        """Rows ascend, and the patients go with them."""
        courses = [
            Course(occurrences=(happened(REC, 500),), last_contact_days=400, row=row)
            for row in (7, 3)
        ]
        built = build_endpoint(
            endpoint_named("overall-survival"), courses, NOTHING, names=["P-7", "P-3"]
        )
        [one] = built.problems
        assert (one.where.rows, one.patients) == ((3, 7), ("P-3", "P-7"))

    def test_event_without_last_contact_is_enough(self) -> None:
        """What ends the follow-up is known."""
        assert fate("recurrence-free-survival", course(happened(REC, 300))) == (300, 1)


def test_interval_of_an_event_found_at_an_examination_is_kept() -> None:
    """The event lies after the last negative examination, which may precede time zero."""
    seen = happened(MET, 400, Site.LIVER, last_negative_days=300)
    built = build("metachronous-liver-metastasis", course(seen, last=900), SIX)
    assert built.interval_left_days[0] == 300 - SIX_DAYS
    early = happened(MET, 400, Site.LIVER, last_negative_days=100)
    built = build("metachronous-liver-metastasis", course(early, last=900), SIX)
    assert built.interval_left_days[0] == 0
    assert math.isnan(build("overall-survival", course(happened(DEATH, 3))).interval_left_days[0])


def test_endpoint_without_any_competing_event_is_reported_unless_stated() -> None:
    """Competing deaths coded as censored make every absolute risk too high."""
    one = course(happened(REC, 100), last=300)
    assert "EP011" in [item.code for item in build("time-to-recurrence", one).problems]
    stated = EndpointSection(no_competing_events=True)
    assert build("time-to-recurrence", one, stated).problems == ()
    dead = course(happened(DEATH, 300))
    assert build("time-to-recurrence", dead).problems == ()
    assert build("overall-survival", course(last=300)).problems == ()


def test_names_and_courses_must_go_together() -> None:
    """A missing pseudonym would shift all others."""
    with pytest.raises(ValueError, match="shorter"):
        build_endpoint(
            endpoint_named("overall-survival"), [course(last=3)] * 2, NOTHING, names=["P"]
        )


def test_description_holds_window_clock_units_and_choices() -> None:
    """The report prints what the study does, not what it might do."""
    settings = EndpointSection(
        synchronous_window_months=6, time_unit="years", horizons=(2, 5), day_zero="exclude"
    )
    text = describe(endpoint_named("metachronous-liver-metastasis"), settings)
    for words in ("6 months", "182.625 days", "excluded", "2, 5 years", "730.5", "any liver"):
        assert words in text
    after = describe(endpoint_named("survival-after-metastasis"), EndpointSection(clock="surgery"))
    assert "enter observation at the procedure" in after
    assert "Time zero is surgery" not in after
    cause = describe(endpoint_named("cancer-specific-survival"), EndpointSection())
    assert "without a recorded cause is refused" in cause


# ── Referees: every endpoint once more, in a few lines, without the dictionary ──────────────────


@st.composite
def courses(draw: st.DrawFn) -> Course:
    """A course without contradictions; days are whole, so ties are common."""
    end = draw(st.integers(1, 12))
    dead = draw(st.sampled_from([None, DISEASE, OTHER]))
    kinds = st.sampled_from([REC, MET, PROG, SECOND])
    some = draw(st.lists(st.tuples(kinds, st.sampled_from(Site), st.integers(-2, end)), max_size=4))
    items = [happened(kind, days, site) for kind, site, days in some]
    if dead is not None:
        items.append(happened(dead, end))
    procedure = draw(st.none() | st.integers(0, end - 1))
    return course(
        *items,
        last=None if dead is not None else end,
        procedure_days=None if procedure is None else float(procedure),
    )


def referee(name: str, one: Course, k: float) -> tuple[float, int] | None:
    """Time and event by brute force; None when the patient is not included."""
    growth = {REC, MET, PROG}
    near = {Site.LOCAL, Site.REGIONAL, Site.CONTRALATERAL_BREAST}
    deaths = {o.days: o.type for o in one.occurrences if o.type in (DISEASE, OTHER)}
    end = min(deaths) if deaths else float(one.last_contact_days or 0)

    def distant(o: Occurrence) -> bool:
        return o.type in growth and (
            o.type is MET if o.site is Site.UNKNOWN else o.site not in near
        )

    organ = Site.LIVER if "liver" in name else Site.PERITONEUM
    there = lambda o: o.type in growth and o.site is organ  # noqa: E731
    elsewhere = lambda o: distant(o) and o.site is not organ  # noqa: E731
    relapse = {
        "recurrence-free-survival": lambda o: o.type in {REC, MET},
        "disease-free-survival": lambda o: o.type in {REC, MET, SECOND},
        "progression-free-survival": lambda o: o.type in growth,
        "time-to-recurrence": lambda o: o.type in {REC, MET},
        "distant-metastasis-free-survival": distant,
        "time-to-distant-metastasis": distant,
        "relapse-after-metastasis-treatment": lambda o: o.type in growth,
    }.get(name, there if "metastasis-as" in name or "metachronous" in name else lambda o: False)
    zero = k if "metachronous" in name or "first-site" in name else 0.0
    if "after" in name:
        if one.procedure_days is None:
            return None
        zero = one.procedure_days
    found = [o for o in one.occurrences if relapse(o)]
    rival = [o for o in one.occurrences if "first-site" in name and elsewhere(o)]
    spread = "distant" in name or "metachronous" in name or "first-site" in name
    if spread and (any(o.days <= zero for o in found + rival) or end <= zero):
        return None
    first = min((o.days for o in found if o.days > zero), default=math.inf)
    other = min((o.days for o in rival if o.days > zero), default=math.inf)
    if first <= min(other, end):
        return first - zero, 1
    if other <= end:
        return other - zero, 2
    if name == "cancer-specific-survival":
        return end - zero, {DISEASE: 1, OTHER: 2}.get(deaths.get(end), 0)
    died = 1 if "survival" in name else 2
    return end - zero, died if deaths else 0


@pytest.mark.parametrize("name", sorted(ENDPOINTS))
@given(many=st.lists(courses(), min_size=1, max_size=6), months=st.sampled_from([0, 0.1, 0.2]))
@examples(max_examples=60, deadline=None)
def test_every_endpoint_equals_its_referee(name: str, many: list[Course], months: float) -> None:
    """Random courses with many ties, relapses before surgery, unknown sites and procedures."""
    settings = EndpointSection(synchronous_window_months=months)
    built = build_endpoint(endpoint_named(name), many, settings)
    for index, one in enumerate(many):
        on_day_zero = [o for o in one.occurrences if o.days == 0 and o.type not in (DISEASE, OTHER)]
        if on_day_zero and built.not_included[index] is NotIncluded.REFUSED:
            continue  # the rule for day zero, tested above
        expected = referee(name, one, months * 30.4375)
        if expected is None:
            assert built.not_included[index] is not None
        else:
            assert built.time_days[index] == pytest.approx(expected[0], abs=1e-6)
            assert built.event[index] == expected[1]


@given(many=st.lists(courses(), min_size=1, max_size=8), months=st.sampled_from([0, 0.2]))
@examples(max_examples=40, deadline=None)
def test_nobody_is_lost(many: list[Course], months: float) -> None:
    """Patients = at risk + left out, and each array says the same about each of them."""
    for name in ENDPOINTS:
        settings = EndpointSection(synchronous_window_months=months, day_zero="half-day")
        built = build_endpoint(endpoint_named(name), many, settings)
        assert built.included.sum() + sum(built.left_out().values()) == len(many)
        assert np.array_equal(built.included, np.isfinite(built.time_days))
        assert np.array_equal(built.included, built.event >= 0)
        assert all(bool(built.why(i)) != built.included[i] for i in range(len(many)))
        if built.included.any() and not built.refusals:
            assert built.outcome().n == built.included.sum()
