"""Tests for equal hazards in groups: log-rank, the G-rho family, strata and trend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from metastra.errors import DataError, NotEstimable
from metastra.survival.groups import as_groups, group_table
from metastra.survival.outcome import Outcome

__all__ = ["LogRank", "TrendTest", "logrank", "logrank_trend"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LogRank:
    """Result of a k-sample test.

    Parameters
    ----------
    groups : tuple
        Labels, in the order of the arrays.
    n : ndarray of shape (k,), int64
        Patients by group.
    observed, expected : ndarray of shape (k,)
        Weighted numbers of events; counts where ``rho`` is 0.
    variance : ndarray of shape (k, k)
        Covariance of ``observed - expected``.
    chisq : float
        Test statistic.
    df : int
        Groups at risk less one.
    p : float
        From the chi-squared distribution.
    rho : float
        Weight S(t-)^rho.
    """

    groups: tuple[object, ...]
    n: NDArray[np.int64]
    observed: NDArray[np.float64]
    expected: NDArray[np.float64]
    variance: NDArray[np.float64]
    chisq: float
    df: int
    p: float
    rho: float


@dataclass(frozen=True, kw_only=True)
class TrendTest:
    """Result of a test for trend over ordered groups.

    Parameters
    ----------
    z : float
        Positive when groups with higher scores have more events than expected.
    chisq : float
        ``z²`` on 1 degree of freedom.
    p : float
        Two-sided.
    """

    z: float
    chisq: float
    p: float


def logrank(
    outcome: Outcome, group: ArrayLike, *, strata: ArrayLike | None = None, rho: float = 0.0
) -> LogRank:
    """Test whether groups have the same hazard.

    Parameters
    ----------
    outcome : Outcome
        Of n patients; every code other than 0 counts as the event.
    group : array_like of shape (n,)
        Labels fixed before the outcome was known.
    strata : array_like of shape (n,), optional
        Observed, expected and variance are summed over strata.
    rho : float
        0 is the log-rank test, 1 weighs early differences by S(t-) (Peto–Prentice type).

    Returns
    -------
    LogRank
        With chi-squared and p.

    Raises
    ------
    DataError
        When a label is missing.
    NotEstimable
        When fewer than two groups are ever at risk of an event.

    Notes
    -----
    Mantel 1966; Harrington and Fleming 1982.  The variance is hypergeometric, as in R's
    ``survdiff``; S is the pooled Kaplan–Meier estimate of the stratum.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4, 5, 6], event=[1, 1, 1, 1, 0, 0])
    >>> test = logrank(y, ["a", "a", "a", "b", "b", "b"])
    >>> test.observed.tolist(), round(test.chisq, 4), round(test.p, 4)
    ([3.0, 1.0], 5.0517, 0.0246)
    """
    codes, labels = as_groups(group, outcome.n, "group")
    k = len(labels)
    observed, expected, variance = np.zeros(k), np.zeros(k), np.zeros((k, k))
    for part, part_codes in _by_stratum(outcome, codes, strata):
        o, e, v = _one_stratum(part, part_codes, k, rho)
        observed += o
        expected += e
        variance += v
    seen = np.flatnonzero(expected > 0.0)
    if seen.size < 2:
        raise NotEstimable(
            f"groups cannot be compared: {outcome.n_events()} events, and of {k} groups "
            f"{seen.size} are at risk at any of them"
        )
    keep = seen[1:]
    gap = (observed - expected)[keep]
    chisq = _quadratic_form(gap, variance[np.ix_(keep, keep)])
    return LogRank(
        groups=labels,
        n=np.bincount(codes, minlength=k),
        observed=observed,
        expected=expected,
        variance=variance,
        chisq=chisq,
        df=int(keep.size),
        p=float(chdtrc(keep.size, chisq)),
        rho=rho,
    )


def logrank_trend(
    outcome: Outcome,
    group: ArrayLike,
    *,
    scores: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    rho: float = 0.0,
) -> TrendTest:
    """Test for a trend of the hazard over ordered groups.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    group : array_like of shape (n,)
        Labels; their sorted order is the order of the groups.
    scores : array_like of shape (k,), optional
        One score for each group in that order; 0, 1, 2, … when left out.
    strata : array_like of shape (n,), optional
        As in `logrank`.
    rho : float
        As in `logrank`.

    Returns
    -------
    TrendTest
        On one degree of freedom.

    Raises
    ------
    DataError
        When the number of scores is not the number of groups.
    NotEstimable
        As `logrank`, or when the scores do not differ.

    Notes
    -----
    Tarone 1975: with scores a, ``z = a'(O - E) / sqrt(a' V a)``.

    Examples
    --------
    >>> y = Outcome(time=[6, 5, 4, 3, 2, 1], event=[0, 1, 1, 1, 1, 1])
    >>> round(logrank_trend(y, [1, 1, 2, 2, 3, 3]).z, 3)
    2.583
    """
    test = logrank(outcome, group, strata=strata, rho=rho)
    k = len(test.groups)
    a = np.arange(k, dtype=np.float64) if scores is None else np.asarray(scores, dtype=np.float64)
    if a.shape != (k,):
        raise DataError(f"scores have shape {a.shape}; expected ({k},), one for each group")
    a = a - a.mean()
    spread = float(a @ test.variance @ a)
    if spread <= 1e-12 * float(np.trace(test.variance)) * max(float(a @ a), 1e-300):
        raise NotEstimable("the trend has no variance: the scores do not differ")
    z = float(a @ (test.observed - test.expected)) / np.sqrt(spread)
    return TrendTest(z=float(z), chisq=float(z * z), p=float(chdtrc(1, z * z)))


def _by_stratum(
    outcome: Outcome, codes: NDArray[np.int64], strata: ArrayLike | None
) -> list[tuple[Outcome, NDArray[np.int64]]]:
    if strata is None:
        return [(outcome, codes)]
    stratum, labels = as_groups(strata, outcome.n, "strata")
    order = np.argsort(stratum, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(stratum, minlength=len(labels)))[:-1])
    return [(outcome.take(part), codes[part]) for part in parts]


def _one_stratum(
    outcome: Outcome, codes: NDArray[np.int64], k: int, rho: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    table = group_table(outcome, codes, k)
    happens = table.n_event.sum(axis=1) > 0
    events, at_risk = table.n_event[happens], table.n_risk[happens]
    d, n = events.sum(axis=1), at_risk.sum(axis=1)
    survival = np.concatenate([[1.0], np.cumprod(1.0 - d / n)])[:-1]
    weight = survival**rho
    share = at_risk / n[:, None]
    spread = np.divide(d * (n - d), n - 1.0, out=np.zeros_like(n), where=n > 1.0) * weight**2
    variance = np.diag(spread @ share) - share.T @ (share * spread[:, None])
    return weight @ events, (weight * d) @ share, variance


def _quadratic_form(gap: NDArray[np.float64], variance: NDArray[np.float64]) -> float:
    """``gap' V⁻¹ gap``, refused where V is singular."""
    scale = np.sqrt(np.diag(variance))
    if (scale <= 0.0).any():
        raise NotEstimable("the groups cannot be compared: a group is alone at all of its events")
    correlation = variance / np.outer(scale, scale)
    if np.linalg.eigvalsh(correlation)[0] < 1e-11:
        raise NotEstimable("the groups cannot be compared: their variance matrix is singular")
    standard = gap / scale
    return float(standard @ np.linalg.solve(correlation, standard))
