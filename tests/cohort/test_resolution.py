"""Resolutions: what the study file says about problems that its tables really have."""

from __future__ import annotations

import pytest

from metastra.catalogue import problem
from metastra.cohort.resolution import resolve
from metastra.errors import Severity, Where
from metastra.study.sections import Resolution


def faulty(code: str = "EP010", *, cohort: str = "north", n: int = 3):
    """A problem of n patients P-1, P-2, … in rows 2, 3, …"""
    return problem(
        code,
        "found",
        where=Where(file="c.csv", cohort=cohort, rows=tuple(range(2, 2 + n))),
        patients=tuple(f"P-{i}" for i in range(1, n + 1)),
    )


def entry(**kwargs):
    return Resolution(**{"code": "EP010", "action": "accept", "reason": "known", **kwargs})


def apply(problems, *entries):
    return resolve(problems, entries, pseudonyms=lambda name: frozenset([f"P-{name}"]))


def test_a_resolution_without_patients_speaks_of_all_the_code_names():
    """The whole problem becomes a note that carries the reason."""
    resolved = apply([faulty()], entry())

    assert [p.severity for p in resolved.problems] == [Severity.NOTE]
    assert "known" in resolved.problems[0].hint
    assert resolved.applied[0][1] == ("P-1", "P-2", "P-3")


def test_naming_patients_splits_the_problem_with_its_rows():
    """Who is not named stays refused, with the right row."""
    resolved = apply([faulty()], entry(patients=["2"]))

    kept = [p for p in resolved.problems if p.severity is Severity.REFUSE]
    noted = [p for p in resolved.problems if p.severity is Severity.NOTE]
    assert [(p.patients, p.where.rows) for p in kept] == [(("P-1", "P-3"), (2, 4))]
    assert [(p.patients, p.where.rows) for p in noted] == [(("P-2",), (3,))]


def test_excluding_names_cohort_patient_and_reason():
    """`exclude` gives the patients to the flow diagram."""
    resolved = apply([faulty()], entry(action="exclude", patients=["1", "3"], reason="why"))

    assert resolved.excluded == {("north", "P-1"): "why", ("north", "P-3"): "why"}


def test_a_resolution_of_another_cohort_changes_nothing():
    """Only the named cohorts are touched, and the stale entry is said."""
    resolved = apply([faulty()], entry(cohorts=["south"]))

    assert [p.code for p in resolved.problems] == ["EP010", "ST007"]
    assert resolved.problems[0].severity is Severity.REFUSE


def test_a_resolution_that_matches_nothing_is_a_warning():
    """A stale exception is named."""
    resolved = apply([faulty("CO041")], entry())

    assert [p.code for p in resolved.problems] == ["CO041", "ST007"]


def test_a_problem_without_patients_can_be_accepted_as_a_whole():
    """Problems of a whole column have no patients to name."""
    resolved = apply([problem("EP011", "never coded")], entry(code="EP011"))

    assert [p.severity for p in resolved.problems] == [Severity.NOTE]


def test_two_resolutions_share_one_problem():
    """One part is excluded, another takes the status column; nothing is left refused."""
    resolved = apply(
        [faulty()],
        entry(action="exclude", patients=["1"]),
        entry(action="use-status", patients=["2", "3"]),
    )

    assert all(p.severity is Severity.NOTE for p in resolved.problems)
    assert resolved.use_status == {("north", "P-2"), ("north", "P-3")}


@pytest.mark.parametrize("set_patients", [(("P-1",),), ((),)])
def test_set_counts_as_needed_when_it_changed_a_cell(set_patients):
    """`set` works before the checks; it is stale only if no cell changed."""
    one = entry(action="set", column="Stage", value="IV", patients=["1"])

    resolved = resolve([], [one], pseudonyms=lambda name: frozenset(), already_set=set_patients)

    code = "EP010" if set_patients[0] else "ST007"
    assert [p.code for p in resolved.problems] == [code]
