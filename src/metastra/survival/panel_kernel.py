"""Compiled measures of the validation panel for one vector of case weights.

Everything works on patients sorted once by time (see `tally_kernel`) and on scores ranked once.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.survival.cloglog_kernel import fit_cloglog
from metastra.survival.concordance_kernel import rank_sums
from metastra.survival.tally_kernel import incidence_at, leave_one_out

__all__ = ["concordance_pair", "horizon_measures"]

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


@njit(cache=True)
def concordance_pair(
    group: _Ints,
    insert: NDArray[np.int8],
    ask: NDArray[np.int8],
    rank: _Ints,
    weight: _Floats,
    n_ranks: int,
    left: _Floats,
) -> tuple[float, float]:
    """Harrell's and Uno's concordance from one pass over the patients.

    Parameters
    ----------
    group, insert, ask, rank, n_ranks
        As `rank_sums`, from the latest time to the earliest.
    weight : ndarray of shape (n,)
        Case weights, in the same order.
    left : ndarray of shape (n,)
        G(T-) at each patient's time, in the same order.

    Returns
    -------
    harrell, uno : float
        NaN when no two patients are comparable.

    Examples
    --------
    >>> harrell, uno = concordance_pair(
    ...     np.array([1, 0]),
    ...     np.array([1, 3], dtype=np.int8),
    ...     np.array([0, 2], dtype=np.int8),
    ...     np.array([0, 1]),
    ...     np.ones(2),
    ...     2,
    ...     np.ones(2),
    ... )
    >>> harrell, uno
    (1.0, 1.0)
    """
    below, level, total = rank_sums(group, insert, ask, rank, weight, n_ranks)
    won, pairs, won_uno, pairs_uno = 0.0, 0.0, 0.0, 0.0
    for i in range(group.size):
        if total[i] > 0.0 and weight[i] > 0.0:
            mine = weight[i] * (below[i] + 0.5 * level[i])
            all_mine = weight[i] * total[i]
            scale = 1.0 / (left[i] * left[i])
            won += mine
            pairs += all_mine
            won_uno += mine * scale
            pairs_uno += all_mine * scale
    if pairs <= 0.0:
        return np.nan, np.nan
    return won / pairs, won_uno / pairs_uno


@njit(cache=True)
def horizon_measures(
    group: _Ints,
    status: NDArray[np.int8],
    weight: _Floats,
    counts: tuple[_Floats, _Floats, _Floats],
    free: _Floats,
    n_times: int,
    risk: _Floats,
    cloglog: _Floats,
    rank: _Ints,
    n_ranks: int,
    event_free: int,
) -> _Floats:
    """AUC, O/E, calibration slope, Brier score, IPA and calibration intercept at one horizon.

    Parameters
    ----------
    group, status, weight : ndarray of shape (n,)
        Sorted patients, as `tally`.
    counts : tuple of ndarray
        As `tally` gives them for these weights.
    free : ndarray of shape (m + 1,)
        As `censoring_curve` gives it.
    n_times : int
        Distinct times at or before the horizon.
    risk : ndarray of shape (n,)
        Risks by the horizon, sorted as the patients.
    cloglog : ndarray of shape (n,) or (0,)
        Their complementary log-log; empty when there is no slope.
    rank : ndarray of shape (n,), int64
        Dense rank of the risk.
    n_ranks : int
        Number of distinct risks.
    event_free : int
        1 when only patients without any event are controls of the AUC.

    Returns
    -------
    ndarray of shape (6,)
        AUC, O/E, slope, Brier score, IPA and intercept; NaN for what the weights do not support.
    """
    measures = np.full(6, np.nan)
    total = weight.sum()
    if total <= 0.0:
        return measures
    observed, _ = incidence_at(counts[0], counts[1], counts[2], n_times)
    case = np.zeros(n_ranks)
    control = np.zeros(n_ranks)
    expected, squared, known = 0.0, 0.0, 0.0
    for i in range(group.size):
        if weight[i] == 0.0:
            continue
        expected += weight[i] * risk[i]
        by_horizon = group[i] < n_times
        if by_horizon and status[i] == 0:
            continue
        w = weight[i] / (free[group[i]] if by_horizon else free[n_times])
        known += w
        is_case = by_horizon and status[i] == 1
        distance = (1.0 - risk[i]) if is_case else risk[i]
        squared += w * distance * distance
        if is_case:
            case[rank[i]] += w
        elif not (by_horizon and event_free == 1):
            control[rank[i]] += w
    beyond = counts[0][n_times] if n_times < counts[0].size else 0.0
    if expected > 0.0:
        measures[1] = observed * total / expected
    if beyond > 0.0 or known >= total * (1.0 - 1e-9):
        measures[3] = squared / total
        null = observed * (1.0 - observed)
        if null > 0.0:
            measures[4] = 1.0 - measures[3] / null
        measures[0] = _area(case, control)
    if observed > 0.0 and cloglog.size == group.size:
        measures[2], measures[5] = _weak(
            group, status, weight, counts, n_times, observed, total, cloglog
        )
    return measures


@njit(cache=True)
def _area(case: _Floats, control: _Floats) -> float:
    below, won = 0.0, 0.0
    for r in range(case.size):
        won += case[r] * (below + 0.5 * control[r])
        below += control[r]
    scale = case.sum() * below
    return won / scale if scale > 0.0 else np.nan


@njit(cache=True)
def _weak(
    group: _Ints,
    status: NDArray[np.int8],
    weight: _Floats,
    counts: tuple[_Floats, _Floats, _Floats],
    n_times: int,
    observed: float,
    total: float,
    cloglog: _Floats,
) -> tuple[float, float]:
    """Calibration slope, and the intercept with the slope held at 1."""
    without = leave_one_out(group, status, counts[0], counts[1], counts[2], n_times)
    pseudo = total * observed - (total - 1.0) * without
    _, slope, found = fit_cloglog(cloglog, pseudo, weight, 2, 1e-8)
    intercept, _, settled = fit_cloglog(cloglog, pseudo, weight, 1, 1e-8)
    return slope if found else np.nan, intercept if settled else np.nan
