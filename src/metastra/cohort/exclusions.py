"""Criteria as data: each excludes patients in its turn, and the flow diagram counts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from metastra.catalogue import problem
from metastra.cohort.flow import Leaving
from metastra.cohort.hierarchy import Patient
from metastra.cohort.values import word_key
from metastra.errors import Problem, Where
from metastra.study.sections import Exclusion

__all__ = ["Value", "apply_exclusions"]

Value = Callable[[Patient, str], str | None]
"""Gives a patient's value of a column or of a derived one such as ``@M``."""


def apply_exclusions(
    patients: Sequence[Patient], criteria: Sequence[Exclusion], value: Value, *, file: str = ""
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
    file : str
        The clinical table, for messages.

    Returns
    -------
    leavings : list of Leaving
        At most one for each patient.
    problems : list of Problem
        Cells that a numeric criterion cannot read (CO030), and criteria that exclude nobody of
        the cohort (a note, CO045): a word that never occurs looks the same as a clean cohort.
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
            where=Where(file=file, column=column, cohort=cohort, rows=tuple(p.row for p in bad)),
            patients=tuple(p.pseudonym for p in bad),
        )
        for (cohort, column), bad in unreadable.items()
    ]
    cohort = patients[0].cohort if patients else ""
    used = {item.order for item in leavings}
    problems += [
        problem(
            "CO045",
            f"the criterion {criterion.reason!r} excludes nobody",
            where=Where(file=file, cohort=cohort, column=criterion.column),
        )
        for order, criterion in enumerate(criteria)
        if order not in used and (not criterion.cohorts or cohort in criterion.cohorts)
    ]
    return leavings, problems


def _applies(criterion: Exclusion, cell: str | None) -> bool | None:
    """Say whether a criterion excludes a cell; None when the cell cannot be compared."""
    if cell is None:
        return criterion.missing
    word = word_key(cell)
    if word in map(word_key, criterion.equals):
        return True
    if criterion.not_equals and word not in map(word_key, criterion.not_equals):
        return True
    if criterion.minimum is None and criterion.maximum is None:
        return False
    try:
        number = float(cell.replace(",", "."))
    except ValueError:
        return None
    below = criterion.minimum is not None and number < criterion.minimum
    above = criterion.maximum is not None and number > criterion.maximum
    return below or above
