"""Compiled tallies over patients sorted once by time, with case weights.

A bootstrap draw is a vector of integer weights on the same sorted patients, so that nothing is
sorted or copied again.  `group` numbers the distinct times from 0; `status` is 0 censored, 1 event
of interest, 2 competing event.  Everything is O(n) in time and memory.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["censoring_curve", "incidence_at", "incidences_of_parts", "leave_one_out", "tally"]

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


@njit(cache=True)
def tally(
    group: _Ints, status: NDArray[np.int8], weight: _Floats, n_groups: int
) -> tuple[_Floats, _Floats, _Floats]:
    """Sum the weights at each distinct time.

    Parameters
    ----------
    group : ndarray of shape (n,), int64
        Number of each patient's time.
    status : ndarray of shape (n,), int8
        0 censored, 1 event of interest, 2 competing event.
    weight : ndarray of shape (n,)
        Case weights.
    n_groups : int
        Number of distinct times.

    Returns
    -------
    at_risk, any_event, of_interest : ndarray of shape (n_groups,)
        Weight at risk just before, with any event at, and with the event of interest at each time.

    Examples
    --------
    >>> at_risk, any_event, of_interest = tally(
    ...     np.array([0, 1, 1]), np.array([1, 0, 2], dtype=np.int8), np.ones(3), 2
    ... )
    >>> at_risk.tolist(), any_event.tolist(), of_interest.tolist()
    ([3.0, 2.0], [1.0, 1.0], [1.0, 0.0])
    """
    at_risk = np.zeros(n_groups)
    any_event = np.zeros(n_groups)
    of_interest = np.zeros(n_groups)
    for i in range(group.size):
        at_risk[group[i]] += weight[i]
        if status[i] != 0:
            any_event[group[i]] += weight[i]
            if status[i] == 1:
                of_interest[group[i]] += weight[i]
    for g in range(n_groups - 2, -1, -1):
        at_risk[g] += at_risk[g + 1]
    return at_risk, any_event, of_interest


@njit(cache=True)
def censoring_curve(at_risk: _Floats, any_event: _Floats) -> _Floats:
    """Probability of not being censored before each distinct time, and after the last.

    Parameters
    ----------
    at_risk, any_event : ndarray of shape (m,)
        As `tally` gives them.

    Returns
    -------
    ndarray of shape (m + 1,)
        Entry g is G(t-) at the g-th time; entry ``g + 1`` is G there.  Events come first at ties.

    Examples
    --------
    >>> censoring_curve(np.array([4.0, 3.0, 1.0]), np.array([1.0, 1.0, 0.0])).tolist()
    [1.0, 1.0, 0.5, 0.0]
    """
    m = at_risk.size
    curve = np.ones(m + 1)
    for g in range(m):
        rest = at_risk[g] - any_event[g]
        following = at_risk[g + 1] if g + 1 < m else 0.0
        curve[g + 1] = curve[g] * following / rest if rest > 0.0 else curve[g]
    return curve


@njit(cache=True)
def incidence_at(
    at_risk: _Floats, any_event: _Floats, of_interest: _Floats, n_times: int
) -> tuple[float, float]:
    """Aalen–Johansen risk of the event of interest by a horizon.

    Parameters
    ----------
    at_risk, any_event, of_interest : ndarray of shape (m,)
        As `tally` gives them.
    n_times : int
        How many of the distinct times lie at or before the horizon.

    Returns
    -------
    risk, event_free : float
        Cumulative incidence of the event of interest, and probability of no event at all.

    Examples
    --------
    >>> incidence_at(np.array([4.0, 2.0]), np.array([1.0, 1.0]), np.array([1.0, 0.0]), 2)
    (0.25, 0.375)
    """
    risk = 0.0
    event_free = 1.0
    for g in range(n_times):
        if at_risk[g] > 0.0:
            risk += event_free * of_interest[g] / at_risk[g]
            event_free *= 1.0 - any_event[g] / at_risk[g]
    return risk, event_free


@njit(cache=True)
def incidences_of_parts(
    group: _Ints,
    status: NDArray[np.int8],
    weight: _Floats,
    parts: NDArray[np.bool_],
    n_groups: int,
    n_times: int,
) -> tuple[_Floats, _Floats]:
    """Aalen–Johansen risks of the event of interest by a horizon, in several parts of the patients.

    Parameters
    ----------
    group, status, weight, n_groups
        As `tally`.
    parts : ndarray of shape (k, n), bool
        Who belongs to each part.
    n_times : int
        As `incidence_at`.

    Returns
    -------
    risks, weights : ndarray of shape (k,)
        Of each part; a part without weight has risk 0.

    Examples
    --------
    >>> risks, weights = incidences_of_parts(
    ...     np.array([0, 1, 1]),
    ...     np.array([1, 0, 2], dtype=np.int8),
    ...     np.ones(3),
    ...     np.array([[True, True, True], [False, True, True]]),
    ...     2,
    ...     2,
    ... )
    >>> risks.round(3).tolist(), weights.tolist()
    ([0.333, 0.0], [3.0, 2.0])
    """
    risks = np.empty(len(parts))
    weights = np.empty(len(parts))
    for part in range(len(parts)):
        inside = weight * parts[part]
        at_risk, any_event, of_interest = tally(group, status, inside, n_groups)
        risks[part] = incidence_at(at_risk, any_event, of_interest, n_times)[0]
        weights[part] = at_risk[0] if n_groups else 0.0
    return risks, weights


@njit(cache=True)
def leave_one_out(
    group: _Ints,
    status: NDArray[np.int8],
    at_risk: _Floats,
    any_event: _Floats,
    of_interest: _Floats,
    n_times: int,
) -> _Floats:
    """Aalen–Johansen risk by a horizon without one copy of each patient in turn.

    Parameters
    ----------
    group : ndarray of shape (n,), int64
        Number of each patient's time.
    status : ndarray of shape (n,), int8
        0 censored, 1 event of interest, 2 competing event.
    at_risk, any_event, of_interest : ndarray of shape (m,)
        As `tally` gives them.
    n_times : int
        How many of the distinct times lie at or before the horizon.

    Returns
    -------
    ndarray of shape (n,)
        Risk among the others; meaningless for patients of weight below 1.

    Notes
    -----
    Before the patient's own time one less is at risk; afterwards nothing changes, so that the
    remaining increments are those of the whole sample, rescaled by the survival at that time.
    """
    # risk and survival of the whole sample after each time, and with one less at risk
    risk = np.zeros(n_times + 1)
    free = np.ones(n_times + 1)
    less_risk = np.zeros(n_times + 1)
    less_free = np.ones(n_times + 1)
    for g in range(n_times):
        risk[g + 1], free[g + 1] = risk[g], free[g]
        less_risk[g + 1], less_free[g + 1] = less_risk[g], less_free[g]
        if at_risk[g] > 0.0:
            risk[g + 1] += free[g] * of_interest[g] / at_risk[g]
            free[g + 1] *= 1.0 - any_event[g] / at_risk[g]
        if at_risk[g] > 1.0:
            less_risk[g + 1] += less_free[g] * of_interest[g] / (at_risk[g] - 1.0)
            less_free[g + 1] *= 1.0 - any_event[g] / (at_risk[g] - 1.0)
    without = np.empty(group.size)
    for i in range(group.size):
        g = group[i]
        if g >= n_times:
            without[i] = less_risk[n_times]
            continue
        total, surviving = less_risk[g], less_free[g]
        others = at_risk[g] - 1.0
        if others > 0.0:
            mine = 1.0 if status[i] == 1 else 0.0
            event = 1.0 if status[i] != 0 else 0.0
            total += surviving * (of_interest[g] - mine) / others
            surviving *= 1.0 - (any_event[g] - event) / others
        if free[g + 1] > 0.0:
            total += surviving * (risk[n_times] - risk[g + 1]) / free[g + 1]
        without[i] = total
    return without
