"""Predictors that are the outcome under another name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.hierarchy import Patient
from metastra.errors import Problem, Where
from metastra.study.study import Study

__all__ = ["outcome_columns", "repeats_outcome"]

_MIN_EACH = 8
"""Events, and patients without, below which a perfect separation can be chance."""


def outcome_columns(study: Study) -> frozenset[str]:
    """List the columns that the endpoint is made from.

    Parameters
    ----------
    study : Study
        Whose endpoint, recorded events and status columns are walked.

    Returns
    -------
    frozenset of str
        The study's names.
    """
    end = study.endpoint
    names = {end.time, end.event, end.column, study.clock.last_contact}
    for recorded in study.recorded:
        names |= {recorded.when, recorded.site, *recorded.occurred}
    for status in study.status:
        names |= {status.time, status.event}
    return frozenset(name for name in names if name is not None)


def repeats_outcome(
    study: Study, patients: Sequence[Patient], event: NDArray[np.int64]
) -> list[Problem]:
    """Find declared predictors that are the outcome under another name.

    Parameters
    ----------
    study : Study
        With the declared predictors.
    patients : sequence of Patient
        Analysed ones.
    event : ndarray of shape (n,)
        1 for the event of interest (or the positive class).

    Returns
    -------
    list of Problem
        ``LK007`` for a predictor that is a column of the endpoint, and for one that separates
        patients with the event from those without and without exception (at least eight each):
        each of its words goes with one of the two, or all numbers of one lie above the other's.
    """
    own = outcome_columns(study)
    problems = []
    happened = event == 1
    for name, column in study.clinical.items():
        where = Where(column=name)
        if name in own:
            problems.append(problem("LK007", "it is a column of the endpoint", where=where))
            continue
        cells = [patient.values.get(name) for patient in patients]
        known = np.array([cell is not None for cell in cells], dtype=np.bool_)
        if min(np.sum(happened & known), np.sum(~happened & known)) < _MIN_EACH:
            continue
        continuous = column.kind == "continuous"
        separates = _numbers_apart if continuous else _words_apart
        if separates([cell for cell in cells if cell is not None], happened[known]):
            n = int(np.sum(happened & known))
            text = f"it tells the {n} patients with the event from all others without exception"
            problems.append(problem("LK007", text, where=where))
    return problems


def _words_apart(cells: Sequence[str], happened: NDArray[np.bool_]) -> bool:
    """Whether each word goes with one outcome only, and no word is a patient's own."""
    words, index, counts = np.unique(np.array(cells), return_inverse=True, return_counts=True)
    events = np.bincount(index, weights=happened, minlength=words.size)
    pure = bool(np.all((events == 0) | (events == counts)))
    return pure and words.size <= len(cells) // _MIN_EACH


def _numbers_apart(cells: Sequence[str], happened: NDArray[np.bool_]) -> bool:
    try:
        numbers = np.array([float(cell.replace(",", ".")) for cell in cells])
    except ValueError:
        return False
    with_event, without = numbers[happened], numbers[~happened]
    return bool(with_event.min() > without.max() or with_event.max() < without.min())
