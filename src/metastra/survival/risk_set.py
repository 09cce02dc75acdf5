"""Counts at each distinct time: who is watched, who has an event, who leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.survival.outcome import Outcome

__all__ = ["RiskTable", "n_at_risk", "risk_table"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RiskTable:
    """One row for each distinct end of follow-up.

    Parameters
    ----------
    times : ndarray of shape (m,)
        Distinct times, ascending.
    n_risk : ndarray of shape (m,), int64
        Patients with ``entry < t <= time``: those censored at t are still at risk at t.
    n_event : ndarray of shape (m,), int64
        Patients with any event at t.
    n_censored : ndarray of shape (m,), int64
        Patients censored at t.
    row : ndarray of shape (n,), int64
        For each patient the position of the end of follow-up in `times`.
    """

    times: NDArray[np.float64]
    n_risk: NDArray[np.int64]
    n_event: NDArray[np.int64]
    n_censored: NDArray[np.int64]
    row: NDArray[np.int64]

    def count(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Count a subset of the patients at each time.

        Parameters
        ----------
        chosen : ndarray of shape (n,), bool
            Which patients.

        Returns
        -------
        ndarray of shape (m,), int64
            How many of them leave at each time.
        """
        return np.bincount(self.row[chosen], minlength=self.times.size)


def risk_table(outcome: Outcome) -> RiskTable:
    """Tabulate an outcome by distinct time in O(n log n).

    Parameters
    ----------
    outcome : Outcome
        Of n patients; delayed entry is honoured.

    Returns
    -------
    RiskTable
        With one row for each distinct time.

    Examples
    --------
    >>> table = risk_table(Outcome(time=[5, 8, 8, 9], event=[1, 0, 1, 0]))
    >>> table.times.tolist(), table.n_risk.tolist(), table.n_event.tolist()
    ([5.0, 8.0, 9.0], [4, 3, 1], [1, 1, 0])
    """
    order = np.argsort(outcome.time, kind="stable")
    ordered = outcome.time[order]
    new = np.empty(ordered.size, dtype=np.bool_)
    new[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    row = np.empty(ordered.size, dtype=np.int64)
    row[order] = np.cumsum(new) - 1
    times = ordered[new]
    n_exit = np.bincount(row, minlength=times.size)
    n_event = np.bincount(row[outcome.event != 0], minlength=times.size)
    n_risk = np.cumsum(n_exit[::-1])[::-1]
    if outcome.entry is not None:
        entry = np.sort(outcome.entry)
        n_risk = n_risk - (entry.size - np.searchsorted(entry, times, side="left"))
    return RiskTable(
        times=times, n_risk=n_risk, n_event=n_event, n_censored=n_exit - n_event, row=row
    )


def n_at_risk(outcome: Outcome, time: ArrayLike) -> NDArray[np.int64]:
    """Count the patients under observation just before a time.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    time : array_like
        Any shape.

    Returns
    -------
    ndarray of int64
        Number of patients with ``entry < t <= time``, of the shape of `time`.

    Examples
    --------
    >>> n_at_risk(Outcome(time=[5, 8, 8], event=[1, 0, 1]), [0, 5, 6, 8, 9]).tolist()
    [3, 3, 2, 2, 0]
    """
    at = np.asarray(time, dtype=np.float64)
    count = outcome.n - np.searchsorted(np.sort(outcome.time), at, side="left")
    if outcome.entry is not None:
        count = count - (outcome.n - np.searchsorted(np.sort(outcome.entry), at, side="left"))
    return np.asarray(count, dtype=np.int64)
