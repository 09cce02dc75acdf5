"""Patients sorted into groups and strata, and the counts of each at every time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import DataError
from metastra.survival.outcome import Outcome
from metastra.survival.risk_set import risk_table

__all__ = ["GroupTable", "as_groups", "group_table"]


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupTable:
    """Counts by distinct time (rows) and group (columns).

    Parameters
    ----------
    times : ndarray of shape (m,)
        Distinct times, ascending.
    n_risk : ndarray of shape (m, k), float64
        At risk just before each time.
    n_event : ndarray of shape (m, k), float64
        With an event of the chosen kind.
    n_other : ndarray of shape (m, k), float64
        With any other event.
    """

    times: NDArray[np.float64]
    n_risk: NDArray[np.float64]
    n_event: NDArray[np.float64]
    n_other: NDArray[np.float64]


def as_groups(values: ArrayLike, n: int, name: str) -> tuple[NDArray[np.int64], tuple[object, ...]]:
    """Give numbers to the groups of a grouping variable.

    Parameters
    ----------
    values : array_like of shape (n,)
        Labels: text, numbers or booleans.
    n : int
        Number of patients.
    name : str
        What the variable is called in an error.

    Returns
    -------
    codes : ndarray of shape (n,), int64
        0, 1, … in the sorted order of the labels.
    labels : tuple
        The labels in that order.

    Raises
    ------
    DataError
        When the length is wrong, or a label is missing.

    Examples
    --------
    >>> codes, labels = as_groups(["b", "a", "b"], 3, "group")
    >>> codes.tolist(), labels
    ([1, 0, 1], ('a', 'b'))
    """
    array = np.asarray(values)
    if array.shape != (n,):
        raise DataError(f"{name} has shape {array.shape}; expected ({n},), one label per patient")
    missing = [position + 1 for position, label in enumerate(array.tolist()) if _missing(label)]
    if missing:
        raise DataError(f"{name} is missing in rows {missing[:8]} ({len(missing)} in all)")
    try:
        labels, codes = np.unique(array, return_inverse=True)
    except TypeError as error:
        raise DataError(f"{name} mixes labels that cannot be sorted: {error}") from error
    return codes.astype(np.int64).reshape(n), tuple(labels.tolist())


def group_table(
    outcome: Outcome, codes: NDArray[np.int64], n_groups: int, *, cause: int | None = None
) -> GroupTable:
    """Count patients by time and group.

    Parameters
    ----------
    outcome : Outcome
        Of n patients; delayed entry is honoured.
    codes : ndarray of shape (n,), int64
        Group of each patient, 0 to ``n_groups - 1``.
    n_groups : int
        Number of groups k.
    cause : int, optional
        The event counted in ``n_event``; any event when left out.

    Returns
    -------
    GroupTable
        At every distinct time of the outcome.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 2], event=[1, 1, 0])
    >>> group_table(y, np.array([0, 1, 0]), 2).n_risk.tolist()
    [[2.0, 1.0], [1.0, 1.0]]
    """
    table = risk_table(outcome)
    size = table.times.size
    cell = table.row * n_groups + codes
    event = outcome.event != 0 if cause is None else outcome.event == cause
    other = (outcome.event != 0) & ~event

    def count(cells: NDArray[np.int64], rows: int) -> NDArray[np.float64]:
        flat = np.bincount(cells, minlength=rows * n_groups)
        return flat.astype(np.float64).reshape(rows, n_groups)

    n_risk = np.cumsum(count(cell, size)[::-1], axis=0)[::-1]
    if outcome.entry is not None:
        # an entry at or after a time is not yet at risk at that time
        entered = np.searchsorted(table.times, outcome.entry, side="right")
        late = np.cumsum(count(entered * n_groups + codes, size + 1)[::-1], axis=0)[::-1]
        n_risk = n_risk - late[1:]
    return GroupTable(
        times=table.times,
        n_risk=n_risk,
        n_event=count(cell[event], size),
        n_other=count(cell[other], size),
    )


def _missing(label: object) -> bool:
    return label is None or (isinstance(label, float) and label != label)
