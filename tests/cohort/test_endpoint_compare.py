"""A status column beside the recorded events: who disagrees, in which words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from metastra.cohort.endpoint import build_endpoint
from metastra.cohort.endpoint_built import BuiltEndpoint
from metastra.cohort.endpoint_compare import compare_status
from metastra.cohort.endpoint_status import status_endpoint
from metastra.cohort.hierarchy import Course, Occurrence
from metastra.cohort.recorded import read_courses
from metastra.cohort.tables import read_table
from metastra.errors import Problem, Severity, Where
from metastra.study.endpoints import endpoint_named
from metastra.study.sections import EndpointSection
from metastra.study.study import Study
from metastra.study.vocabulary import EventType, Site
from metastra.units import TimeUnit

WHERE = Where(file="clini.csv", column="S", cohort="north")


def built(name: str, *fates: tuple[float | None, float | None, float]) -> BuiltEndpoint:
    """Patients given by day of liver metastasis, day of death and last contact."""
    courses = []
    for row, (liver, death, last) in enumerate(fates, start=2):
        occurrences = []
        if liver is not None:
            occurrences.append(Occurrence(type=EventType.RECURRENCE, site=Site.LIVER, days=liver))
        if death is not None:
            occurrences.append(Occurrence(type=EventType.DEATH, days=death))
        course = Course(occurrences=tuple(occurrences), last_contact_days=last, row=row)
        courses.append(course)
    names = [f"P-{row}" for row in range(2, len(courses) + 2)]
    return build_endpoint(endpoint_named(name), courses, EndpointSection(), names=names)


def coded(events: BuiltEndpoint, *pairs: tuple[float, int], step: float = 1.0) -> BuiltEndpoint:
    """The status column of the same patients."""
    time, event = (np.array(column) for column in zip(*pairs, strict=True))
    nobody = (None,) * len(pairs)
    return replace(
        events,
        time_days=time.astype(float),
        event=event,
        not_included=nobody,
        decided_by=nobody,
        step_days=step,
    )


def words(problems: list[Problem]) -> dict[str, tuple[int, ...]]:
    """Headline and rows of each problem."""
    assert all(item.code == "EP010" for item in problems)
    return {item.found.split(" (P-")[0]: item.where.rows for item in problems}


def test_agreement_is_silent() -> None:
    """Event, competing event and censoring, each as recorded."""
    events = built(
        "metachronous-liver-metastasis", (100, 300, 300), (None, 400, 400), (None, None, 500)
    )
    status = coded(events, (100, 1), (400, 2), (500, 0))
    assert compare_status(events, status, where=WHERE) == []


def test_every_kind_of_disagreement_has_its_words_and_rows() -> None:
    """All at once, grouped by kind."""
    events = built(
        "progression-free-survival",
        (None, 300, 300),
        (100, None, 500),
        (None, None, 500),
        (100, None, 500),
        (None, None, 500),
        (None, 300, 300),
    )
    status = coded(events, (250, 0), (100, 0), (500, 1), (160, 1), (700, 0), (300, 2))
    problems = compare_status(events, status, where=WHERE)
    assert words(problems) == {
        "death without recurrence coded as censored": (2,),
        "recurrence coded as censored": (3,),
        "event coded but nothing recorded that counts": (4,),
        "times differ": (5,),
        "censored after the last contact": (6,),
        "death without recurrence coded as a competing event": (7,),
    }
    details = " ".join(item.found for item in problems)
    assert "P-2: death on day 300, coded censored on day 250" in details
    assert "P-5: recurrence (liver) on day 100, coded on day 160: 60 days" in details
    assert all(item.where.column == "S" and item.where.cohort == "north" for item in problems)
    assert all(item.severity is Severity.REFUSE for item in problems)
    assert [item.patients for item in problems if "times" in item.found] == [("P-5",)]


def test_competing_death_coded_as_censored_or_event() -> None:
    """The words say that the death competes, and without what it came."""
    events = built("metachronous-liver-metastasis", (None, 300, 300), (None, 400, 400))
    status = coded(events, (300, 0), (400, 1))
    assert words(compare_status(events, status, where=WHERE)) == {
        "death without such a metastasis (competing) coded as censored": (2,),
        "death without such a metastasis (competing) coded as an event": (3,),
    }


def test_follow_up_until_the_last_examination_is_only_a_note() -> None:
    """Nothing is wrong with it, so no patient is named."""
    events = built("progression-free-survival", (None, None, 500), (None, None, 600))
    [note] = compare_status(events, coded(events, (490, 0), (300, 0)), where=WHERE)
    assert (note.severity, note.where.rows, note.patients) == (Severity.NOTE, (), ())
    assert "2 patients" in note.found
    assert "155 days in the median and 300 at most" in note.found


def test_times_may_differ_by_the_step_of_the_column() -> None:
    """Whole months round by half a month on either side; a day is always allowed."""
    events = built("progression-free-survival", (100, None, 500), (200, None, 500))
    near = coded(events, (101, 1), (230, 1), step=30.4375)
    assert compare_status(events, near, where=WHERE) == []
    exact = coded(events, (101, 1), (230, 1))
    assert words(compare_status(events, exact, where=WHERE)) == {"times differ": (3,)}


def test_swapped_codes_are_one_problem() -> None:
    """Not one disagreement for each patient."""
    fates = [(100.0 + i, None, 900.0) if i % 2 else (None, None, 900.0) for i in range(20)]
    events = built("progression-free-survival", *fates)
    right = [(t, int(e)) for t, e in zip(events.time_days, events.event, strict=True)]
    assert compare_status(events, coded(events, *right), where=WHERE) == []
    swapped = coded(events, *((t, 1 - e) for t, e in right))
    assert [item.code for item in compare_status(events, swapped, where=WHERE)] == ["EP003"]


def test_another_unit_is_one_problem() -> None:
    """The same factor in every event, with months of 30 days too."""
    events = built("progression-free-survival", *((100.0 + i, None, 900.0) for i in range(8)))
    for factor, text in ((1 / 30.4375, "days read as months"), (30, "months read as days")):
        times = [(t * factor, int(e)) for t, e in zip(events.time_days, events.event, strict=True)]
        [problem] = compare_status(events, coded(events, *times), where=WHERE)
        assert problem.code == "EP008"
        assert ("days" in problem.found) == ("days" in text)


def test_patients_who_are_not_at_risk_are_not_compared() -> None:
    """Nobody is at odds with an endpoint he is not part of."""
    events = built("metachronous-liver-metastasis", (-5, None, 500))
    assert compare_status(events, coded(events, (500, 0)), where=WHERE) == []


def test_other_patients_are_refused() -> None:
    """The two must be of the same patients in the same order."""
    events = built("progression-free-survival", (100, None, 500), (None, None, 500))
    with pytest.raises(ValueError, match="different patients"):
        compare_status(events, replace(events, names=("P-3", "P-2")))


def test_orion_table_is_named_patient_by_patient(shared: Path) -> None:
    """Five deaths without recurrence, one event without an event, one recurrence too few.

    Lin and colleagues, Nature Cancer 2023; the table as its repository has it.
    """
    study = Study.model_validate(
        {
            "study": {"name": "orion"},
            "endpoint": {"name": "progression-free-survival"},
            "cohort": [{"name": "orion", "role": "development", "clini_table": "patients.csv"}],
            "clock": {"last_contact": "OSDays"},
            "events": {"sites": {"LN": "distant-nodes", "Bowel (Primary Site)": "local"}},
            "recorded": [
                {
                    "type": "recurrence",
                    "when": "PFSDays",
                    "occurred": {"Recurrence": ["1.0"]},
                    "site": "LocationOfRecurrence",
                },
                {"type": "death", "when": "OSDays", "occurred": {"Death": ["1.0"]}},
            ],
        }
    )
    table, _ = read_table(shared / "data" / "orion_crc_cohort" / "patients.csv")
    assert table is not None
    ids = [str(cell) for cell in table.column("patient")]
    courses, problems = read_courses(study, study.cohort[0], table, ids=ids, pseudonymise=str)
    assert problems == []
    codes = {"0.0": "event", "1.0": "censored"}
    wanted = {
        ("progression-free-survival", "PFSDays", "PFSCensor"): {
            "event coded but nothing recorded that counts": ("C15",),
            "death without recurrence coded as censored": ("C17", "C23", "C27", "C28", "C30"),
            "recurrence coded as censored": ("C39",),
        },
        ("overall-survival", "OSDays", "OSCensor"): {
            "event coded but nothing recorded that counts": ("C15",)
        },
    }
    for (name, time, event), expected in wanted.items():
        definition = endpoint_named(name)
        events = build_endpoint(
            definition, list(courses.values()), EndpointSection(), names=ids, where=table.where()
        )
        status = status_endpoint(
            table, time=time, event=event, codes=codes, unit=TimeUnit.DAYS, names=ids
        )
        found = compare_status(events, status, where=table.where(event))
        refused = [item for item in found if item.severity is Severity.REFUSE]
        assert {item.found.split(" (")[0]: item.patients for item in refused} == expected
        mirror = {"0.0": "censored", "1.0": "event"}
        swapped = status_endpoint(
            table, time=time, event=event, codes=mirror, unit=TimeUnit.DAYS, names=ids
        )
        assert [item.code for item in compare_status(events, swapped)] == ["EP003"]
