"""Criteria as data: each excludes patients in its turn, and the flow diagram counts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from metastra.catalogue import problem
from metastra.cohort.flow import Leaving
from metastra.cohort.hierarchy import Patient
from metastra.errors import Problem, Where
from metastra.study.sections import Exclusion

__all__ = ["Value", "apply_exclusions"]

Value = Callable[[Patient, str], str | None]
"""Gives a patient's value of a column or of a derived one such as ``@M``."""


def apply_exclusions(
    patients: Sequence[Patient], criteria: Sequence[Exclusion], value: Value
) -> tuple[list[Leaving], list[Problem]]:
    """Apply the criteria in their order.

    Parameters
    ----------
    patients : sequence of Patient
        All listed patients.
    criteria : sequence of Exclusion
        As the study file has them; a patient leaves by the first that applies.
    value : callable
        Patient and column → cell, or None when it is missing.

    Returns
    -------
    leavings : list of Leaving
        At most one for each patient.
    problems : list of Problem
        Cells that a numeric criterion cannot read (CO030).
    """
    leavings: list[Leaving] = []
    gone: set[tuple[str, str]] = set()
    unreadable: dict[tuple[str, str], list[Patient]] = {}
    for order, criterion in enumerate(criteria):
        for patient in patients:
            key = (patient.cohort, patient.pseudonym)
            if key in gone or (criterion.cohorts and patient.cohort not in criterion.cohorts):
                continue
            cell = value(patient, criterion.column)
            verdict = _applies(criterion, cell)
            if verdict is None:
                unreadable.setdefault((patient.cohort, criterion.column), []).append(patient)
            elif verdict:
                gone.add(key)
                leavings.append(
                    Leaving(
                        pseudonym=patient.pseudonym,
                        reason=criterion.reason,
                        stage="criterion",
                        order=order,
                    )
                )
    problems = [
        problem(
            "CO030",
            "a criterion compares numbers, and these cells are text",
            where=Where(column=column, cohort=cohort, rows=tuple(p.row for p in bad)),
            patients=tuple(p.pseudonym for p in bad),
        )
        for (cohort, column), bad in unreadable.items()
    ]
    return leavings, problems


def _applies(criterion: Exclusion, cell: str | None) -> bool | None:
    """Say whether a criterion excludes a cell; None when the cell cannot be compared."""
    if cell is None:
        return criterion.missing
    if cell in criterion.equals or (criterion.not_equals and cell not in criterion.not_equals):
        return True
    if criterion.minimum is None and criterion.maximum is None:
        return False
    try:
        number = float(cell)
    except ValueError:
        return None
    below = criterion.minimum is not None and number < criterion.minimum
    above = criterion.maximum is not None and number > criterion.maximum
    return below or above
