"""The flow diagram: inputs = analysed + left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metastra.cohort.exclusions import apply_exclusions
from metastra.cohort.flow import Leaving, flow_of, flow_to_json
from metastra.cohort.hierarchy import Patient
from metastra.study.sections import Exclusion


def patient(number: int, **values: str | None) -> Patient:
    return Patient(
        id=f"{number}",
        pseudonym=f"P-{number}",
        cohort="north",
        key=f"{number}",
        row=number + 1,
        values=values,
    )


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=30, unique_by=lambda t: t
    )
)
def test_the_numbers_add_up(reasons):
    """Listed = analysed + sum of the boxes, whatever the reasons."""
    leavings = [
        Leaving(pseudonym=f"P-{i}", reason=reason, stage="criterion", order=order)
        for i, (reason, order) in enumerate(reasons)
    ]

    flow = flow_of(cohort="c", role="external", n_listed=40, leavings=leavings)

    assert flow.n_listed == flow.n_analysed + sum(step.n for step in flow.steps)
    written = flow_to_json([flow])["cohorts"][0]
    assert written["patients_analysed"] + sum(e["patients"] for e in written["excluded"]) == 40


def test_a_patient_cannot_leave_twice():
    """Two reasons for one patient would make the diagram lie."""
    twice = [Leaving(pseudonym="P-1", reason=r, stage="s", order=0) for r in "ab"]

    with pytest.raises(ValueError, match="twice"):
        flow_of(cohort="c", role="external", n_listed=9, leavings=twice)


def test_the_first_criterion_that_applies_counts():
    """Criteria are applied in the order of the study file."""
    criteria = [
        Exclusion(reason="M1", column="M", equals=("1",)),
        Exclusion(reason="too old", column="age", maximum=75.0),
    ]
    people = [
        patient(1, M="1", age="80"),
        patient(2, M="0", age="80"),
        patient(3, M="0", age="75"),
        patient(4, M=None, age=None),
    ]

    leavings, problems = apply_exclusions(people, criteria, lambda p, c: p.values[c])

    assert [(item.pseudonym, item.reason) for item in leavings] == [
        ("P-1", "M1"),
        ("P-2", "too old"),
    ]
    assert problems == []


def test_missing_values_leave_only_when_the_criterion_says_so():
    """A missing value is no reason by itself."""
    people = [patient(1, stage=None)]
    lenient = Exclusion(reason="r", column="stage", equals=("IV",))
    strict = Exclusion(reason="r", column="stage", equals=("IV",), missing=True)

    assert apply_exclusions(people, [lenient], lambda p, c: p.values[c])[0] == []
    assert len(apply_exclusions(people, [strict], lambda p, c: p.values[c])[0]) == 1


def test_not_equals_keeps_only_the_named_cells():
    """`not_equals` is a list of what stays."""
    people = [patient(1, t="CRC"), patient(2, t="BRCA")]
    criterion = Exclusion(reason="not colorectal", column="t", not_equals=("CRC",))

    leavings, _ = apply_exclusions(people, [criterion], lambda p, c: p.values[c])

    assert [item.pseudonym for item in leavings] == ["P-2"]


def test_a_criterion_that_cannot_read_a_cell_says_where():
    """Text under a numeric criterion is a problem with its row, not a silent pass."""
    criterion = Exclusion(reason="r", column="age", minimum=18.0)

    leavings, problems = apply_exclusions(
        [patient(1, age="adult")], [criterion], lambda p, c: p.values[c]
    )

    assert leavings == []
    found = [(p.code, p.where.rows, p.patients) for p in problems if p.code != "CO045"]
    assert found == [("CO030", (2,), ("P-1",))]


def test_a_criterion_that_excludes_nobody_is_said():
    """A misspelled value looks the same as a clean cohort."""
    criterion = Exclusion(reason="M1", column="M", equals=("yess",))

    leavings, problems = apply_exclusions(
        [patient(1, M="yes")], [criterion], lambda p, c: p.values[c]
    )

    assert leavings == []
    assert [p.code for p in problems] == ["CO045"]
