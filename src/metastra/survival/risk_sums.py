"""Sums over risk sets and their transpose: the two operations a partial likelihood needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.survival.outcome import Outcome

__all__ = ["RiskSets"]

_Array = NDArray[np.float64]
_Index = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class RiskSets:
    """The risk sets at the distinct event times of each stratum.

    A row i (patient, or period of one) is in the risk set of event time g when both are of one
    stratum and ``entry_i < t_g <= time_i``.  Seen as a matrix R of zeros and ones, `forward`
    applies R and `backward` its transpose, each in O(n) after one sort.  With `redistribution`
    the rows of patients who had a competing event stay in later risk sets with the weight
    ``G(t_g-) / G(time_i-)`` of Fine and Gray.

    Parameters
    ----------
    order : ndarray of shape (n,), int64
        Rows sorted by stratum, then end of follow-up.
    time : ndarray of shape (m,)
        Event times, sorted by stratum, then time.
    stratum : ndarray of shape (m,), int64
        Stratum of each event time.
    group : ndarray of shape (n,), int64
        For each row, in the original order, the position of its event time; -1 without event.
    first_at_risk, stratum_end : ndarray of shape (m,), int64
        In `order`, the first row with ``time_i >= t_g`` and the end of the stratum.
    last_group, first_group : ndarray of shape (n,), int64
        For each row the range of event times it is at risk of, as ``[first, last)``.
    entry_order : ndarray of shape (n,), int64, or None
        Rows sorted by stratum, then entry.
    first_not_entered : ndarray of shape (m,), int64, or None
        In `entry_order`, the first row with ``entry_i >= t_g``.
    redistribution : Redistribution or None
        Weights of Fine and Gray.
    """

    order: _Index
    time: _Array
    stratum: _Index
    group: _Index
    first_at_risk: _Index
    stratum_end: _Index
    last_group: _Index
    first_group: _Index
    entry_order: _Index | None = None
    first_not_entered: _Index | None = None
    redistribution: Redistribution | None = None

    @classmethod
    def of(
        cls,
        outcome: Outcome,
        event: NDArray[np.bool_],
        stratum: _Index,
        redistribution: Redistribution | None = None,
    ) -> RiskSets:
        """Sort an outcome once.

        Parameters
        ----------
        outcome : Outcome
            Of n rows.
        event : ndarray of shape (n,), bool
            Which rows end with the event.
        stratum : ndarray of shape (n,), int64
            0, 1, …; all zero for one stratum.
        redistribution : Redistribution, optional
            Weights of Fine and Gray.

        Returns
        -------
        RiskSets
            Ready for `forward` and `backward`.

        Examples
        --------
        >>> y = Outcome(time=[1, 2, 3], event=[1, 1, 0])
        >>> sets = RiskSets.of(y, y.event == 1, np.zeros(3, dtype=np.int64))
        >>> sets.forward(np.ones((3, 1))).ravel().tolist()
        [3.0, 2.0]
        """
        rank, entry_rank, n_ranks = _ranks(outcome)
        key = stratum * n_ranks + rank
        order = np.argsort(key, kind="stable")
        sorted_key = key[order]
        event_key, group_of_event = np.unique(key[event], return_inverse=True)
        group = np.full(outcome.n, -1, dtype=np.int64)
        group[event] = group_of_event
        some = np.flatnonzero(event)
        first_row = np.empty(event_key.size, dtype=np.int64)
        first_row[group_of_event] = some
        event_stratum = stratum[first_row]
        start = stratum * n_ranks
        entry_order = first_not_entered = None
        first_group = np.searchsorted(event_key, start, side="left")
        if entry_rank is not None:
            entry_key = start + entry_rank
            entry_order = np.argsort(entry_key, kind="stable")
            first_not_entered = np.atleast_1d(
                np.searchsorted(entry_key[entry_order], event_key, side="left")
            )
            first_group = np.searchsorted(event_key, entry_key, side="right")
        return cls(
            order=order,
            time=outcome.time[first_row],
            stratum=event_stratum,
            group=group,
            first_at_risk=np.atleast_1d(np.searchsorted(sorted_key, event_key, side="left")),
            stratum_end=np.searchsorted(sorted_key, (event_stratum + 1) * n_ranks, side="left"),
            last_group=np.searchsorted(event_key, key, side="right"),
            first_group=first_group,
            entry_order=entry_order,
            first_not_entered=first_not_entered,
            redistribution=redistribution,
        )

    def forward(self, values: _Array) -> _Array:
        """Sum rows over each risk set.

        Parameters
        ----------
        values : ndarray of shape (n, k)
            One row for each patient, in the original order.

        Returns
        -------
        ndarray of shape (m, k)
            One row for each event time.
        """
        late = _suffix(values[self.order])
        sums = late[self.first_at_risk]
        one_stratum = self.stratum_end[0] == self.order.size
        if not one_stratum:
            sums -= late[self.stratum_end]
        if self.entry_order is not None:
            waiting = _suffix(values[self.entry_order])
            sums -= waiting[self.first_not_entered]
            if not one_stratum:
                sums += waiting[self.stratum_end]
        if self.redistribution is not None:
            sums += self.redistribution.forward(values)
        return sums

    def backward(self, values: _Array) -> _Array:
        """Sum event times over those each row is at risk of.

        Parameters
        ----------
        values : ndarray of shape (m, k)
            One row for each event time.

        Returns
        -------
        ndarray of shape (n, k)
            One row for each patient, in the original order.
        """
        running = np.zeros((values.shape[0] + 1, values.shape[1]))
        np.cumsum(values, axis=0, out=running[1:])
        sums: _Array = running[self.last_group] - running[self.first_group]
        if self.redistribution is not None:
            self.redistribution.add_backward(values, sums)
        return sums


@dataclass(frozen=True, kw_only=True, eq=False)
class Redistribution:
    """The weights ``G(t_g-) / G(time_i-)`` of patients after a competing event.

    Parameters
    ----------
    rows : ndarray of shape (c,), int64
        Patients with a competing event, sorted by time.
    inverse : ndarray of shape (c,)
        ``1 / G(time-)`` of each.
    factor : ndarray of shape (m,)
        ``G(t_g-)`` at each event time.
    n_before : ndarray of shape (m,), int64
        How many of `rows` have a time before ``t_g``.
    first_after : ndarray of shape (c,), int64
        For each of `rows` the first event time after its own.
    """

    rows: _Index
    inverse: _Array
    factor: _Array
    n_before: _Index
    first_after: _Index

    def forward(self, values: _Array) -> _Array:
        """Weighted sum of the rows that had a competing event before each event time.

        Parameters
        ----------
        values : ndarray of shape (n, k)
            One row for each patient.

        Returns
        -------
        ndarray of shape (m, k)
            To be added to the sums over the risk sets.
        """
        running = np.zeros((self.rows.size + 1, values.shape[1]))
        np.cumsum(values[self.rows] * self.inverse[:, None], axis=0, out=running[1:])
        sums: _Array = running[self.n_before] * self.factor[:, None]
        return sums

    def add_backward(self, values: _Array, sums: _Array) -> None:
        """Add the weighted sum of the event times after each competing event.

        Parameters
        ----------
        values : ndarray of shape (m, k)
            One row for each event time.
        sums : ndarray of shape (n, k)
            Changed in place.
        """
        later = _suffix(values * self.factor[:, None])
        sums[self.rows] += later[self.first_after] * self.inverse[:, None]


def _suffix(values: _Array) -> _Array:
    """Sum from each row to the end; one row more than `values`, the last zero."""
    sums = np.zeros((values.shape[0] + 1, values.shape[1]))
    np.cumsum(values[::-1], axis=0, out=sums[-2::-1])
    return sums


def _ranks(outcome: Outcome) -> tuple[_Index, _Index | None, int]:
    """Dense ranks of the times, and of the entries on the same scale."""
    if outcome.entry is None:
        distinct, rank = np.unique(outcome.time, return_inverse=True)
        return rank.reshape(-1), None, distinct.size
    both = np.concatenate([outcome.time, outcome.entry])
    distinct, rank = np.unique(both, return_inverse=True)
    rank = rank.reshape(-1)
    return rank[: outcome.n], rank[outcome.n :], distinct.size
