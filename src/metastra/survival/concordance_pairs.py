"""Pairs of patients, counted and shared out: the part of the concordance that is arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metastra.survival.concordance_kernel import (
    ASK_FIRST,
    ASK_LAST,
    INSERT_FIRST,
    INSERT_SECOND,
    plain_totals,
    rank_sums,
    tied_pairs,
)
from metastra.survival.outcome import Outcome
from metastra.survival.sorting_kernel import dense_rank

__all__ = ["PairCounts", "censoring_left", "count_pairs"]

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
_Stages = NDArray[np.int8]
_Sums = tuple[_Floats, _Floats, _Floats]


@dataclass(frozen=True, kw_only=True, eq=False)
class PairCounts:
    """Comparable pairs, and each patient's share in them.

    Parameters
    ----------
    concordant, discordant, tied_score, tied_time, tied_both : float
        Weighted numbers of pairs.
    events : int
        Patients with positive weight whose event opens pairs.
    won : ndarray of shape (n,)
        For each patient the weight of the others with whom the pair is concordant, plus half of
        those with an equal score; zeros when shares were not asked for.
    compared : ndarray of shape (n,)
        The weight of all others the patient is compared with.
    """

    concordant: float
    discordant: float
    tied_score: float
    tied_time: float
    tied_both: float
    events: int
    won: _Floats
    compared: _Floats

    @classmethod
    def empty(cls, n: int) -> PairCounts:
        """No pairs among n patients.

        Parameters
        ----------
        n : int
            Number of patients.

        Returns
        -------
        PairCounts
            All zero.
        """
        return cls(
            concordant=0.0,
            discordant=0.0,
            tied_score=0.0,
            tied_time=0.0,
            tied_both=0.0,
            events=0,
            won=np.zeros(n),
            compared=np.zeros(n),
        )

    def plus(self, part: PairCounts, index: _Ints) -> PairCounts:
        """Add the pairs of a subset of the patients.

        Parameters
        ----------
        part : PairCounts
            Of the subset.
        index : ndarray of int64
            Positions of the subset among all patients.

        Returns
        -------
        PairCounts
            Of all patients so far.
        """
        won, compared = self.won.copy(), self.compared.copy()
        won[index] += part.won
        compared[index] += part.compared
        return PairCounts(
            concordant=self.concordant + part.concordant,
            discordant=self.discordant + part.discordant,
            tied_score=self.tied_score + part.tied_score,
            tied_time=self.tied_time + part.tied_time,
            tied_both=self.tied_both + part.tied_both,
            events=self.events + part.events,
            won=won,
            compared=compared,
        )


def censoring_left(group: _Ints, event: NDArray[np.bool_], weights: _Floats) -> _Floats:
    """G(t-) at each patient's own time, with case weights.

    Parameters
    ----------
    group : ndarray of shape (n,), int64
        Dense rank of each patient's time.
    event : ndarray of shape (n,), bool
        Who had an event; the others are censored.
    weights : ndarray of shape (n,)
        Case weights.

    Returns
    -------
    ndarray of shape (n,)
        Probability of not being censored before the patient's time; events come first at ties.

    Examples
    --------
    >>> censoring_left(
    ...     np.array([0, 1, 1, 2]), np.array([True, True, False, False]), np.ones(4)
    ... ).tolist()
    [1.0, 1.0, 1.0, 0.5]
    """
    size = int(group.max()) + 1
    leaving = np.bincount(group, weights=weights, minlength=size)
    events = np.bincount(group, weights=weights * event, minlength=size)
    at_risk = np.cumsum(leaving[::-1])[::-1] - events
    hazard = np.divide(leaving - events, at_risk, out=np.zeros(size), where=at_risk > 0.0)
    before = np.concatenate([[1.0], np.cumprod(1.0 - hazard)[:-1]])
    return before[group]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Records:
    """Rows in the order of time: one for each patient, and one for each delayed entry."""

    patient: _Ints
    group: _Ints
    rank: _Ints
    n_ranks: int
    entering: NDArray[np.bool_]
    opens: NDArray[np.bool_]
    stays: NDArray[np.bool_]
    weight: _Floats
    left: _Floats
    strict: bool

    def forwards(self, insert: _Stages, ask: _Stages, amount: _Floats) -> _Sums:
        return rank_sums(self.group, insert, ask, self.rank, amount, self.n_ranks)

    def backwards(self, insert: _Stages, ask: _Stages, amount: _Floats) -> _Sums:
        below, level, total = rank_sums(
            np.ascontiguousarray(self.group[::-1]),
            np.ascontiguousarray(insert[::-1]),
            np.ascontiguousarray(ask[::-1]),
            np.ascontiguousarray(self.rank[::-1]),
            np.ascontiguousarray(amount[::-1]),
            self.n_ranks,
        )
        return below[::-1], level[::-1], total[::-1]


def count_pairs(
    outcome: Outcome,
    score: _Floats,
    weights: _Floats,
    *,
    cause: int,
    tau: float,
    competing_stay: bool,
    weighted: bool,
    strict: bool,
    share: bool,
) -> PairCounts:
    """Count the comparable pairs of one stratum.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    score : ndarray of shape (n,)
        Finite; higher is worse.
    weights : ndarray of shape (n,)
        Case weights of 0 or more.
    cause : int
        The event of interest.
    tau : float
        Last time at which an event opens pairs; infinite for all.
    competing_stay : bool
        A patient with a competing event is compared with every event of interest; otherwise the
        patient is censored there.
    weighted : bool
        Weigh pairs by the inverse probability of being uncensored.
    strict : bool
        A censoring at the time of the event is no pair, and neither is an event at tau.
    share : bool
        Whether to share the pairs out to the patients, which the standard error needs.

    Returns
    -------
    PairCounts
        Of these patients.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3], event=[1, 0, 1])
    >>> counts = count_pairs(
    ...     y,
    ...     np.array([2.0, 1.0, 3.0]),
    ...     np.ones(3),
    ...     cause=1,
    ...     tau=np.inf,
    ...     competing_stay=False,
    ...     weighted=False,
    ...     strict=False,
    ...     share=True,
    ... )
    >>> counts.concordant, counts.discordant, counts.compared.tolist()
    (1.0, 1.0, [2.0, 1.0, 1.0])
    """
    opens = (outcome.event == cause) & (outcome.time < tau if strict else outcome.time <= tau)
    stays = (outcome.event != 0) & (outcome.event != cause) & competing_stay
    if outcome.entry is None and not (share or weighted or strict or stays.any()):
        return _totals_only(outcome, score, weights, opens)
    rows = _records(outcome, score, weights, opens=opens, stays=stays, strict=strict)
    if weighted:
        event = outcome.event != 0 if competing_stay else outcome.event == cause
        rows.left[:] = censoring_left(rows.group, event[rows.patient], rows.weight)
    pair_weight = rows.opens / rows.left**2
    tied_time, tied_both = tied_pairs(
        rows.group, rows.opens, rows.rank, rows.weight, pair_weight, rows.n_ranks
    )
    below, level, total = _later(rows)
    if stays.any():
        earlier = _earlier_competing(rows)
        below, level, total = below + earlier[0], level + earlier[1], total + earlier[2]
    won, compared = np.zeros(outcome.n), np.zeros(outcome.n)
    if share:
        won, compared = _shares(rows, pair_weight, (below, level, total), outcome.n)
    scale = rows.weight * pair_weight
    return PairCounts(
        concordant=float(scale @ below),
        discordant=float(scale @ (total - below - level)),
        tied_score=float(scale @ level),
        tied_time=tied_time,
        tied_both=tied_both,
        events=int(np.count_nonzero(opens & (weights > 0.0))),
        won=won,
        compared=compared,
    )


def _totals_only(
    outcome: Outcome, score: _Floats, weights: _Floats, opens: NDArray[np.bool_]
) -> PairCounts:
    """Count without delayed entry, weights of time and shares."""
    rank, n_ranks = dense_rank(score)
    concordant, discordant, tied_score, tied_time, tied_both = plain_totals(
        outcome.order, outcome.time, opens, rank, weights, n_ranks
    )
    return replace(
        PairCounts.empty(outcome.n),
        concordant=concordant,
        discordant=discordant,
        tied_score=tied_score,
        tied_time=tied_time,
        tied_both=tied_both,
        events=int(np.count_nonzero(opens & (weights > 0.0))),
    )


def _records(
    outcome: Outcome,
    score: _Floats,
    weights: _Floats,
    *,
    opens: NDArray[np.bool_],
    stays: NDArray[np.bool_],
    strict: bool,
) -> _Records:
    rank, n_ranks = dense_rank(score)
    patient = outcome.order
    group = _dense_group(outcome.time[patient])
    entering = np.zeros(outcome.n, dtype=np.bool_)
    if outcome.entry is not None:
        # at risk at u when entry < u: the row of the last time at or before the entry takes away
        entry_group = np.searchsorted(np.unique(outcome.time), outcome.entry, side="right") - 1
        late = np.flatnonzero(entry_group >= 0)
        patient = np.concatenate([patient, late])
        group = np.concatenate([group, entry_group[late]])
        entering = np.concatenate([entering, np.ones(late.size, dtype=np.bool_)])
        order = np.argsort(group, kind="stable")
        patient, group, entering = patient[order], group[order], entering[order]
    return _Records(
        patient=patient,
        group=group,
        rank=rank[patient],
        n_ranks=n_ranks,
        entering=entering,
        opens=opens[patient] & ~entering,
        stays=stays[patient] & ~entering,
        weight=weights[patient],
        left=np.ones(patient.size),
        strict=strict,
    )


def _dense_group(ordered: _Floats) -> _Ints:
    """Give the distinct values of a sorted array numbers from 0."""
    new = np.empty(ordered.size, dtype=np.bool_)
    new[:1] = False
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return np.cumsum(new)


def _stage(stage: int, chosen: NDArray[np.bool_]) -> _Stages:
    return np.where(chosen, stage, 0).astype(np.int8)


def _later(rows: _Records) -> _Sums:
    """For each opening event: who was still watched, by score."""
    second = (rows.opens | rows.stays | rows.strict) & ~rows.entering
    insert = np.where(second, INSERT_SECOND, INSERT_FIRST).astype(np.int8)
    amount = np.where(rows.entering, -rows.weight, rows.weight)
    return rows.backwards(insert, _stage(ASK_FIRST, rows.opens), amount)


def _earlier_competing(rows: _Records) -> _Sums:
    """For each opening event: who had a competing event by then, by score."""
    below, level, total = rows.forwards(
        _stage(INSERT_FIRST, rows.stays), _stage(ASK_FIRST, rows.opens), rows.weight / rows.left
    )
    return below * rows.left, level * rows.left, total * rows.left


def _shares(rows: _Records, pair_weight: _Floats, opened: _Sums, n: int) -> tuple[_Floats, _Floats]:
    """Each patient's pairs, both as the earlier and as the later one."""
    below, level, total = opened
    won = pair_weight * (below + 0.5 * level)
    compared = pair_weight * total
    before = rows.opens | rows.stays | rows.strict
    ask = np.where(before & ~rows.entering, ASK_FIRST, ASK_LAST).astype(np.int8)
    case_weight = rows.weight * pair_weight
    below, level, total = rows.forwards(_stage(INSERT_SECOND, rows.opens), ask, case_weight)
    # the events before a delayed entry are asked for at the entry and taken off again
    sign = np.where(rows.entering, -1.0, 1.0)
    won = won + sign * (total - below - 0.5 * level)
    compared = compared + sign * total
    if rows.stays.any():
        below, level, total = rows.backwards(
            _stage(INSERT_FIRST, rows.opens), _stage(ASK_FIRST, rows.stays), case_weight * rows.left
        )
        won = won + (total - below - 0.5 * level) / rows.left
        compared = compared + total / rows.left
    return _by_patient(rows, won, n), _by_patient(rows, compared, n)


def _by_patient(rows: _Records, values: _Floats, n: int) -> _Floats:
    return np.bincount(rows.patient, weights=values, minlength=n).astype(np.float64, copy=False)
