"""From tables to courses: event tables, wide columns, dates, durations and words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metastra.cohort.endpoint import build_endpoint
from metastra.cohort.hierarchy import Course
from metastra.cohort.recorded import read_cohort_clock, read_courses
from metastra.cohort.recorded_words import read_sites
from metastra.cohort.tables import Table, TableFormat, read_table
from metastra.errors import Problem, Severity
from metastra.study.endpoints import endpoint_named
from metastra.study.sections import EndpointSection
from metastra.study.study import Study
from metastra.study.vocabulary import EventType, Site, Vocabulary
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.kaplan_meier import kaplan_meier

DEATH = {"type": "death", "when": "died"}


def study_of(**sections: Any) -> Study:
    """A study of one cohort."""
    cohort = {"name": "north", "role": "development", "clini_table": "clini.csv"}
    return Study.model_validate(
        {
            "study": {"name": "demo"},
            "endpoint": {"name": "overall-survival"},
            "cohort": [cohort | sections.pop("cohort", {})],
        }
        | sections
    )


def table_of(folder: Path, text: str, name: str = "clini.csv", **layout: Any) -> Table:
    """A table from its text."""
    path = folder / name
    path.write_text(text)
    table, problems = read_table(path, format=TableFormat(**layout), name=name, cohort="north")
    assert table is not None
    assert problems == []
    return table


def read(
    study: Study, clini: Table, event: Table | None = None
) -> tuple[dict[str, Course], list[Problem]]:
    """Courses of patients whose pseudonyms are their ids in brackets."""
    ids = [str(cell) for cell in clini.column("PATIENT")]
    return read_courses(
        study, study.cohort[0], clini, event, ids=ids, pseudonymise=lambda one: f"<{one}>"
    )


def happened(course: Course) -> set[tuple[EventType, Site, float]]:
    """What a course holds."""
    return {(item.type, item.site, item.days) for item in course.occurrences}


def codes(
    problems: Sequence[Problem],
) -> dict[str, tuple[str, tuple[int, ...], str, tuple[str, ...]]]:
    """File, rows, column and patients by code."""
    return {p.code: (p.where.file, p.where.rows, p.where.column, p.patients) for p in problems}


class TestColumns:
    """Events in columns of the clinical table."""

    def test_filled_time_means_that_it_happened(self, tmp_path: Path) -> None:
        """Without `occurred`, an empty cell means it did not."""
        clini = table_of(tmp_path, "PATIENT,died,seen\na,300,\nb,,400\n")
        courses, problems = read(study_of(clock={"last_contact": "seen"}, recorded=[DEATH]), clini)
        assert problems == []
        assert happened(courses["a"]) == {(EventType.DEATH, Site.UNKNOWN, 300)}
        assert (courses["a"].last_contact_days, courses["a"].row) == (None, 2)
        assert (happened(courses["b"]), courses["b"].last_contact_days) == (set(), 400)

    def test_occurred_decides_where_the_time_is_always_filled(self, tmp_path: Path) -> None:
        """Values are numbers where they are numbers, and words without regard to case."""
        clini = table_of(tmp_path, "PATIENT,t,dead\na,300,1.0\nb,400,0.0\nc,500,1\n")
        recorded = [{"type": "death", "when": "t", "occurred": {"dead": ["1"]}}]
        courses, problems = read(study_of(recorded=recorded), clini)
        assert problems == []
        assert [len(one.occurrences) for one in courses.values()] == [1, 0, 1]

    def test_missing_answer_is_refused_and_not_taken_for_no(self, tmp_path: Path) -> None:
        """Also when the time is missing too."""
        clini = table_of(tmp_path, "PATIENT,t,dead\na,300,1\nb,400,\nc,,\nd,500,0\n")
        recorded = [{"type": "death", "when": "t", "occurred": {"dead": ["1"]}}]
        _, problems = read(study_of(recorded=recorded), clini)
        assert codes(problems) == {"EP002": ("clini.csv", (3, 4), "dead", ("<b>", "<c>"))}

    def test_event_at_an_unknown_time_is_refused(self, tmp_path: Path) -> None:
        """It happened, so the patient is not free of it."""
        clini = table_of(tmp_path, "PATIENT,t,dead\na,,1\nb,400,0\n")
        recorded = [{"type": "death", "when": "t", "occurred": {"dead": ["1"]}}]
        _, problems = read(study_of(recorded=recorded), clini)
        assert codes(problems) == {"EP004": ("clini.csv", (2,), "t", ("<a>",))}

    def test_several_columns_must_all_hold(self, tmp_path: Path) -> None:
        """Dead, and of the disease; one clear no settles it."""
        rows = "a,10,1,CRC\nb,20,1,heart\nc,30,0,\nd,40,1,\n"
        clini = table_of(tmp_path, f"PATIENT,t,dead,cause\n{rows}")
        occurred = {"dead": ["1"], "cause": ["CRC"]}
        recorded = [{"type": "death-of-disease", "when": "t", "occurred": occurred}]
        courses, problems = read(study_of(recorded=recorded), clini)
        assert [len(one.occurrences) for one in courses.values()] == [1, 0, 0, 0]
        assert codes(problems) == {"EP002": ("clini.csv", (5,), "dead, cause", ("<d>",))}

    def test_values_that_never_occur_are_refused_with_the_nearest(self, tmp_path: Path) -> None:
        """A misspelled value would make everybody event-free; one word alone can be all-no."""
        clini = table_of(tmp_path, "PATIENT,t,dead\na,300,deceased\nb,400,alive\n")
        recorded = [{"type": "death", "when": "t", "occurred": {"dead": ["decesed"]}}]
        _, problems = read(study_of(recorded=recorded), clini)
        assert codes(problems) == {"EP001": ("clini.csv", (), "dead", ())}
        assert "'deceased'" in problems[0].hint
        quiet = table_of(tmp_path, "PATIENT,t,dead\na,300,0\nb,400,0\n")
        recorded = [{"type": "death", "when": "t", "occurred": {"dead": ["1"]}}]
        assert read(study_of(recorded=recorded), quiet)[1] == []

    def test_sites_of_one_cell_are_several_occurrences(self, tmp_path: Path) -> None:
        """Split at commas and semicolons; an empty cell is an unknown site."""
        rows = 'a,10,"Liver, Lung; LN"\nb,20,\nc,30,"peritoneum, omentum, abdomen"\nd,,Bone\n'
        clini = table_of(tmp_path, f"PATIENT,t,where\n{rows}")
        recorded = [{"type": "recurrence", "when": "t", "site": "where"}]
        events = {"sites": {"LN": "distant-nodes"}}
        courses, problems = read(study_of(recorded=recorded, events=events), clini)
        assert problems == []
        sites = [{item.site for item in one.occurrences} for one in courses.values()]
        assert sites == [
            {Site.LIVER, Site.LUNG, Site.DISTANT_NODES},
            {Site.UNKNOWN},
            {Site.PERITONEUM},
            set(),
        ]

    def test_unknown_site_is_refused_with_the_nearest_word(self, tmp_path: Path) -> None:
        """The known sites of the cell are kept."""
        clini = table_of(tmp_path, 'PATIENT,t,where\na,10,"Lung, Livver"\n')
        recorded = [{"type": "recurrence", "when": "t", "site": "where"}]
        courses, problems = read(study_of(recorded=recorded), clini)
        assert codes(problems) == {"EP012": ("clini.csv", (2,), "where", ("<a>",))}
        assert "'liver'" in problems[0].hint
        assert "[events.sites]" in problems[0].hint
        assert happened(courses["a"]) == {(EventType.RECURRENCE, Site.LUNG, 10)}

    def test_fixed_site_and_cohorts(self, tmp_path: Path) -> None:
        """A column of liver metastases needs no site column; another cohort's entry is skipped."""
        clini = table_of(tmp_path, "PATIENT,liver\na,10\n")
        one = {"type": "metastasis", "when": "liver", "fixed_site": "liver"}
        other = {"type": "death", "when": "nowhere", "cohorts": ["south"]}
        courses, _ = read(study_of(recorded=[one, other]), clini)
        assert happened(courses["a"]) == {(EventType.METASTASIS, Site.LIVER, 10)}

    def test_cohort_renames_its_columns(self, tmp_path: Path) -> None:
        """The study's name leads to the table's."""
        clini = table_of(tmp_path, "PATIENT,exitus\na,10\n")
        courses, _ = read(study_of(recorded=[DEATH], cohort={"columns": {"died": "exitus"}}), clini)
        assert happened(courses["a"]) == {(EventType.DEATH, Site.UNKNOWN, 10)}

    def test_text_in_a_time_names_its_patient(self, tmp_path: Path) -> None:
        """The event is not dropped silently."""
        clini = table_of(tmp_path, "PATIENT,died\na,soon\nb,20\n")
        _, problems = read(study_of(recorded=[DEATH]), clini)
        assert codes(problems) == {"CO030": ("clini.csv", (2,), "died", ("<a>",))}


class TestClock:
    """Dates and durations."""

    def test_dates_count_from_the_origin(self, tmp_path: Path) -> None:
        """Across a leap day, and before surgery too."""
        rows = "a,2020-02-01,2020-03-01,2021-02-01\nb,2020-02-01,2020-01-31,\n"
        clini = table_of(tmp_path, f"PATIENT,surgery,died,seen\n{rows}")
        study = study_of(clock={"origin": "surgery", "last_contact": "seen"}, recorded=[DEATH])
        courses, problems = read(study, clini)
        assert problems == []
        assert [item.days for one in courses.values() for item in one.occurrences] == [29, -1]
        assert courses["a"].last_contact_days == 366

    def test_durations_may_stand_beside_dates(self, tmp_path: Path) -> None:
        """A column of numbers holds durations since the origin, in the clock's unit."""
        clini = table_of(tmp_path, "PATIENT,surgery,died,seen\na,2020-02-01,2020-03-01,24\n")
        clock = {"origin": "surgery", "last_contact": "seen", "unit": "months"}
        courses, problems = read(study_of(clock=clock, recorded=[DEATH]), clini)
        assert problems == []
        assert courses["a"].last_contact_days == 730.5

    def test_spreadsheet_day_numbers_are_no_durations(self, tmp_path: Path) -> None:
        """43890 is a day of 2020, not 120 years."""
        clini = table_of(tmp_path, "PATIENT,surgery,died\na,2020-02-01,43890\n")
        study = study_of(clock={"origin": "surgery"}, recorded=[DEATH])
        assert [item.code for item in read(study, clini)[1]] == ["CO035"]

    def test_declared_date_format_of_digits_holds_dates(self, tmp_path: Path) -> None:
        """20200301 is a date where the study says so."""
        clini = table_of(
            tmp_path, "PATIENT,surgery,died\na,20200201,20200301\n", date_format="%Y%m%d"
        )
        courses, problems = read(study_of(clock={"origin": "surgery"}, recorded=[DEATH]), clini)
        assert problems == []
        assert [item.days for item in courses["a"].occurrences] == [29]

    def test_mixture_is_refused_at_the_cells_that_are_no_dates(self, tmp_path: Path) -> None:
        """Neither kind is guessed."""
        clini = table_of(
            tmp_path, "PATIENT,surgery,died\na,2020-02-01,2020-03-01\nb,2020-02-01,400\n"
        )
        study = study_of(clock={"origin": "surgery"}, recorded=[DEATH])
        assert codes(read(study, clini)[1]) == {"CO032": ("clini.csv", (3,), "died", ("<b>",))}

    def test_dates_without_an_origin_are_refused(self, tmp_path: Path) -> None:
        """The message says which key is missing."""
        clini = table_of(tmp_path, "PATIENT,died\na,2020-03-01\n")
        [problem] = read(study_of(recorded=[DEATH]), clini)[1]
        assert problem.code == "ST003"
        assert "origin" in problem.hint

    def test_missing_origin_is_refused(self, tmp_path: Path) -> None:
        """Nothing of this patient can be placed."""
        clini = table_of(tmp_path, "PATIENT,surgery,died\na,,2020-03-01\nb,2020-01-01,\n")
        courses, problems = read(study_of(clock={"origin": "surgery"}, recorded=[DEATH]), clini)
        assert codes(problems) == {"EP004": ("clini.csv", (2,), "surgery", ("<a>",))}
        assert courses["a"].occurrences == ()

    def test_dates_after_the_data_cut_are_refused(self, tmp_path: Path) -> None:
        """In every column."""
        clini = table_of(tmp_path, "PATIENT,surgery,died\na,2020-01-01,2031-03-01\n")
        study = study_of(
            clock={"origin": "surgery"}, recorded=[DEATH], cohort={"data_cut": "2025-01-01"}
        )
        assert codes(read(study, clini)[1]) == {"CO034": ("clini.csv", (2,), "died", ("<a>",))}

    def test_delayed_entry_is_read_and_must_be_there(self, tmp_path: Path) -> None:
        """A missing entry is not surgery."""
        clini = table_of(tmp_path, "PATIENT,died,entry\na,500,100\nb,600,\n")
        courses, problems = read(study_of(clock={"entry": "entry"}, recorded=[DEATH]), clini)
        assert courses["a"].entry_days == 100
        assert codes(problems) == {"EP004": ("clini.csv", (3,), "entry", ("<b>",))}

    def test_other_tables_use_the_same_clock(self, tmp_path: Path) -> None:
        """Positions say whose record it is; unknown patients have no day."""
        clini = table_of(tmp_path, "PATIENT,surgery\na,2020-01-01\nb,2020-02-01\n")
        study = study_of(clock={"origin": "surgery"})
        clock, _ = read_cohort_clock(study, study.cohort[0], clini, names=["<a>", "<b>"])
        other = table_of(tmp_path, "DATE\n2020-03-01\n2020-03-01\n2020-03-01\n", "other.csv")
        days, problems = clock.days(other, "DATE", np.array([1, 0, -1]))
        assert problems == []
        assert days[:2].tolist() == [29, 60]
        assert np.isnan(days[2])


class TestEventTable:
    """One row per event."""

    CLINI = "PATIENT,surgery,seen\na,2020-01-01,2022-01-01\nb,2020-01-01,2021-01-01\n"
    CLOCK: Mapping[str, Any] = {"origin": "surgery", "last_contact": "seen"}

    def read(
        self, folder: Path, text: str, **sections: Any
    ) -> tuple[dict[str, Course], list[Problem]]:
        """Courses of the two patients with an event table."""
        clini = table_of(folder, self.CLINI)
        event = table_of(folder, text, "events.csv")
        return read(study_of(clock=self.CLOCK, **sections), clini, event)

    def test_rows_become_occurrences_with_their_source(self, tmp_path: Path) -> None:
        """Types and sites by the vocabulary, several sites in a cell, rows of the event table."""
        courses, problems = self.read(
            tmp_path,
            "PATIENT,DATE,TYPE,SITE,EVIDENCE,LAST_NEGATIVE\n"
            'a,2020-07-01,Recurrence,"hepatic, lung",CT,2020-04-01\n'
            "b,2020-12-01,died,,,\n",
        )
        assert problems == []
        assert happened(courses["a"]) == {
            (EventType.RECURRENCE, Site.LIVER, 182),
            (EventType.RECURRENCE, Site.LUNG, 182),
        }
        assert {item.last_negative_days for item in courses["a"].occurrences} == {91}
        assert {(item.source, item.row) for item in courses["a"].occurrences} == {("events.csv", 2)}
        assert happened(courses["b"]) == {(EventType.DEATH, Site.UNKNOWN, 335)}

    def test_time_instead_of_date(self, tmp_path: Path) -> None:
        """Durations since surgery; both are fine while they agree."""
        courses, problems = self.read(
            tmp_path,
            "PATIENT,DATE,TIME,TYPE\na,,182,recurrence\nb,2020-12-01,335,death\n"
            "b,2020-07-01,,recurrence\n",
        )
        assert problems == []
        assert {item.days for item in courses["b"].occurrences} == {182, 335}
        assert happened(courses["a"]) == {(EventType.RECURRENCE, Site.UNKNOWN, 182)}
        _, problems = self.read(
            tmp_path, "PATIENT,DATE,TIME,TYPE\na,,182,recurrence\nb,2020-12-01,300,death\n"
        )
        assert codes(problems) == {"CO023": ("events.csv", (3,), "DATE and TIME", ("<b>",))}

    def test_unknown_words_and_missing_dates_are_found_at_once(self, tmp_path: Path) -> None:
        """With file, row, column, patient and the nearest word."""
        _, problems = self.read(
            tmp_path,
            "PATIENT,DATE,TYPE,SITE\n"
            "a,2020-07-01,recurence,liver\n"
            "a,2020-07-01,metastasis,livr\n"
            "a,2020-07-01,,liver\n"
            "b,,death,\n",
        )
        found = [(p.code, p.where.rows, p.where.column, p.patients) for p in problems]
        assert found == [
            ("EP012", (2,), "TYPE", ("<a>",)),
            ("EP012", (3,), "SITE", ("<a>",)),
            ("EP012", (4,), "TYPE", ("<a>",)),
            ("EP004", (5,), "", ("<b>",)),
        ]
        assert "'recurrence'" in problems[0].hint
        assert "'liver'" in problems[1].hint
        assert all(item.where.file == "events.csv" for item in problems)

    def test_declared_words_are_known(self, tmp_path: Path) -> None:
        """The study's own."""
        courses, problems = self.read(
            tmp_path,
            "PATIENT,DATE,TYPE,SITE\na,2020-07-01,Rezidiv,Leber\n",
            events={"types": {"Rezidiv": "recurrence"}, "sites": {"Leber": "liver"}},
        )
        assert problems == []
        assert happened(courses["a"]) == {(EventType.RECURRENCE, Site.LIVER, 182)}

    def test_first_procedure_on_a_metastasis_is_kept(self, tmp_path: Path) -> None:
        """For the endpoints after metastasis."""
        courses, _ = self.read(
            tmp_path,
            "PATIENT,DATE,TYPE\na,2020-09-01,metastasectomy\na,2020-07-01,metastasis-procedure\n",
        )
        assert courses["a"].procedure_days == 182
        assert courses["b"].procedure_days is None

    def test_patients_who_are_not_listed_are_passed_over(self, tmp_path: Path) -> None:
        """CO019 counts them elsewhere; here nothing is invented."""
        courses, problems = self.read(tmp_path, "PATIENT,DATE,TYPE\nz,2020-09-01,death\n")
        assert problems == []
        assert all(one.occurrences == () for one in courses.values())

    def test_table_without_date_and_time_is_refused(self, tmp_path: Path) -> None:
        """Once, not for every row."""
        _, problems = self.read(tmp_path, "PATIENT,TYPE\na,death\nb,death\n")
        assert [item.code for item in problems] == ["CO007"]

    def test_both_sources_together(self, tmp_path: Path) -> None:
        """Deaths from the clinical table, relapses from the event table."""
        clini = table_of(tmp_path, "PATIENT,died,seen\na,700,\nb,,800\n")
        event = table_of(tmp_path, "PATIENT,TIME,TYPE,SITE\na,300,metastasis,liver\n", "e.csv")
        study = study_of(clock={"last_contact": "seen"}, recorded=[DEATH])
        courses, problems = read(study, clini, event)
        assert problems == []
        built = build_endpoint(
            endpoint_named("time-to-distant-metastasis"), list(courses.values()), EndpointSection()
        )
        assert (built.time_days.tolist(), built.event.tolist()) == ([300, 800], [1, 0])


def test_sites_of_a_cell_keep_their_order_and_lose_repeats() -> None:
    """Two words for one site are one site."""
    words = Vocabulary(types={}, sites={})
    assert read_sites("bones; lung, osseous", words) == ((Site.BONE, Site.LUNG), [])
    assert read_sites(None, words) == ((Site.UNKNOWN,), [])
    assert [e.word for e in read_sites("nowhere", words)[1]] == ["nowhere"]
    assert read_sites(" liver, ", words) == ((Site.LIVER,), [])


# ── Real tables against R ───────────────────────────────────────────────────────────────────────


def courses_of(study: Study, table: Table, ids: Sequence[str]) -> list[Course]:
    """Courses without problems."""
    courses, problems = read_courses(study, study.cohort[0], table, ids=ids, pseudonymise=str)
    assert problems == []
    return list(courses.values())


def test_distant_metastasis_of_brca_epi(shared: Path) -> None:
    """10-year risk of metastasis and of death first, as R's Epi and survival give them."""
    table, _ = read_table(shared / "data" / "survival" / "brca_epi_multistate.csv")
    assert table is not None
    study = study_of(
        endpoint={"name": "time-to-distant-metastasis", "time_unit": "years"},
        clock={"last_contact": "tox"},
        recorded=[
            {"type": "recurrence", "when": "tor", "fixed_site": "local"},
            {"type": "metastasis", "when": "tom", "fixed_site": "other-distant"},
            {"type": "death", "when": "tod"},
        ],
    )
    courses = courses_of(study, table, [str(cell) for cell in table.column("pid")])
    built = build_endpoint(endpoint_named("time-to-distant-metastasis"), courses, study.endpoint)
    assert built.refusals == ()
    risks = aalen_johansen(built.outcome())
    ten_years = 10 * 365.25
    assert float(risks[1].curve()(ten_years)) == pytest.approx(0.4532, abs=5e-5)
    assert float(risks[2].curve()(ten_years)) == pytest.approx(0.0760, abs=5e-5)
    whole = build_endpoint(
        endpoint_named("distant-metastasis-free-survival"), courses, study.endpoint
    )
    free = 1.0 - float(kaplan_meier(whole.outcome()).curve()(ten_years))
    assert free == pytest.approx(0.4532 + 0.0760, abs=1e-4)


def test_recurrence_free_survival_of_rotterdam(shared: Path) -> None:
    """1713 events and 5-year survival as R has them, the 43 late deaths included."""
    data = shared / "data" / "survival"
    table, _ = read_table(data / "rotterdam.csv")
    assert table is not None
    study = study_of(
        clock={"last_contact": "dtime"},
        recorded=[
            {"type": "recurrence", "when": "rtime", "occurred": {"recur": ["1"]}},
            {"type": "death", "when": "dtime", "occurred": {"death": ["1"]}},
        ],
    )
    courses = courses_of(study, table, [str(cell) for cell in table.column("pid")])
    built = build_endpoint(endpoint_named("recurrence-free-survival"), courses, EndpointSection())
    expected = json.loads((data / "expected_results_r.json").read_text())["rotterdam"]
    assert built.n_events == expected["cox_rfs"]["events"] == 1713
    survival = float(kaplan_meier(built.outcome()).curve()(5 * 365.25))
    assert survival == pytest.approx(expected["km_rfs_5y"]["surv"], abs=5e-4)


def test_time_to_recurrence_of_colon(shared: Path) -> None:
    """Counts and incidences of recurrence and of death without it, as R has them."""
    table, _ = read_table(shared / "data" / "reference_stats" / "colon.csv")
    assert table is not None
    study = study_of(
        clock={"last_contact": "os_time"},
        recorded=[
            {"type": "recurrence", "when": "rec_time", "occurred": {"rec": ["1"]}},
            {"type": "death", "when": "os_time", "occurred": {"death": ["1"]}},
        ],
    )
    courses = courses_of(study, table, [str(cell) for cell in table.column("id")])
    built = build_endpoint(endpoint_named("time-to-recurrence"), courses, EndpointSection())
    assert built.refusals == ()
    everything = json.loads((shared / "data" / "survival" / "expected_results_r.json").read_text())
    expected = everything["colon_competing"]
    counts = np.bincount(built.event, minlength=3)
    assert [int(n) for n in counts] == [expected["counts"][code] for code in "012"]
    risks = aalen_johansen(built.outcome())
    for index, time in enumerate(expected["times"]):
        values = [float(risks[cause].curve()(time)) for cause in (1, 2)]
        words = ("cif_recurrence", "cif_death_without_recurrence")
        assert values == pytest.approx([expected[word][index] for word in words], abs=2e-6)


def test_orion_recurrences_are_read_with_their_sites(shared: Path) -> None:
    """Liver in seven recurrences and lung in eight, as the table's description counts them."""
    table, _ = read_table(shared / "data" / "orion_crc_cohort" / "patients.csv")
    assert table is not None
    recorded = [
        {
            "type": "recurrence",
            "when": "PFSDays",
            "occurred": {"Recurrence": ["1.0"]},
            "site": "LocationOfRecurrence",
        }
    ]
    ids = [str(cell) for cell in table.column("patient")]
    plain = study_of(recorded=recorded)
    _, problems = read_courses(plain, plain.cohort[0], table, ids=ids, pseudonymise=str)
    assert {item.found.split("'")[1] for item in problems} == {"LN", "Bowel (Primary Site)"}
    assert all(item.code == "EP012" and item.severity is Severity.REFUSE for item in problems)
    words = {"sites": {"LN": "distant-nodes", "Bowel (Primary Site)": "local"}}
    courses = courses_of(study_of(recorded=recorded, events=words), table, ids)
    sites = [item.site for one in courses for item in one.occurrences]
    assert (sites.count(Site.LIVER), sites.count(Site.LUNG)) == (7, 8)
    assert sites.count(Site.UNKNOWN) == 1
