"""Gray's test for equal cumulative incidence in groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from metastra.errors import NotEstimable
from metastra.survival.groups import GroupTable, as_groups, group_table
from metastra.survival.outcome import Outcome

__all__ = ["GrayTest", "gray_test"]

_Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class GrayTest:
    """Result of Gray's k-sample test for one cause.

    Parameters
    ----------
    groups : tuple
        Labels, in sorted order.
    cause : int
        Code of the event.
    score : ndarray of shape (k - 1,)
        Scores of all groups but the last; positive where a group has more events.
    variance : ndarray of shape (k - 1, k - 1)
        Of the scores.
    chisq : float
        Test statistic.
    df : int
        ``k - 1``.
    p : float
        From the chi-squared distribution.
    """

    groups: tuple[object, ...]
    cause: int
    score: _Array
    variance: _Array
    chisq: float
    df: int
    p: float


def gray_test(
    outcome: Outcome,
    group: ArrayLike,
    *,
    cause: int = 1,
    strata: ArrayLike | None = None,
    rho: float = 0.0,
) -> GrayTest:
    """Test whether groups have the same cumulative incidence of one cause.

    Parameters
    ----------
    outcome : Outcome
        Of n patients, without delayed entry.
    group : array_like of shape (n,)
        Labels fixed before the outcome was known.
    cause : int
        Code of the event; all others compete.
    strata : array_like of shape (n,), optional
        Scores and variances are summed over strata.
    rho : float
        Weight (1 - F(t-))^rho with the pooled incidence F.

    Returns
    -------
    GrayTest
        With chi-squared and p.

    Raises
    ------
    DataError
        When a label is missing.
    NotEstimable
        When there are fewer than two groups, no event of the cause, delayed entry, a pooled
        incidence that reaches 1 before the last event, or a singular variance.

    Notes
    -----
    Gray 1988, with the variance of its section 2 and the corrections for ties of R's
    ``cmprsk::cuminc``.  Write h_j = Y_j / S_j(t-) for the risk sets inflated by the survival free
    of any event and h for their sum.  Group i scores its events less the share Y_i (1 - F_i(t-))
    / S_i(t-) it has of those still without the cause.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4, 5, 6, 7, 8], event=[1, 1, 2, 1, 2, 1, 0, 2])
    >>> test = gray_test(y, ["a", "a", "a", "a", "b", "b", "b", "b"], cause=1)
    >>> test.df, 0.0 < test.p < 1.0
    (1, True)
    """
    codes, labels = as_groups(group, outcome.n, "group")
    k = len(labels)
    if k < 2:
        raise NotEstimable(f"groups cannot be compared: there is one, {labels[0]!r}")
    if outcome.n_events(cause) == 0:
        raise NotEstimable(f"groups cannot be compared: no event of cause {cause}")
    if outcome.entry is not None:
        raise NotEstimable("Gray's test is not defined under delayed entry")
    score, variance = np.zeros(k - 1), np.zeros((k - 1, k - 1))
    stratum, stratum_labels = (
        (np.zeros(outcome.n, dtype=np.int64), (None,))
        if strata is None
        else as_groups(strata, outcome.n, "strata")
    )
    for number in range(len(stratum_labels)):
        inside = np.flatnonzero(stratum == number)
        table = group_table(outcome.take(inside), codes[inside], k, cause=cause)
        part_score, part_variance = _one_stratum(table, rho)
        score += part_score[:-1]
        variance += part_variance[:-1, :-1]
    scale = np.sqrt(np.maximum(np.diag(variance), 0.0))
    if (scale == 0.0).any():
        raise NotEstimable("groups cannot be compared: a group has no variance")
    correlation = variance / np.outer(scale, scale)
    if np.linalg.eigvalsh(correlation)[0] < 1e-11:
        raise NotEstimable("groups cannot be compared: the variance matrix is singular")
    standard = score / scale
    chisq = float(standard @ np.linalg.solve(correlation, standard))
    return GrayTest(
        groups=labels,
        cause=cause,
        score=score,
        variance=variance,
        chisq=chisq,
        df=k - 1,
        p=float(chdtrc(k - 1, chisq)),
    )


def _one_stratum(table: GroupTable, rho: float) -> tuple[_Array, _Array]:
    """Scores and their covariance for all groups of a stratum."""
    happens = (table.n_event + table.n_other).sum(axis=1) > 0
    at_risk, events, others = (
        part[happens] for part in (table.n_risk, table.n_event, table.n_other)
    )
    n_groups = at_risk.shape[1]
    if at_risk.shape[0] == 0:
        return np.zeros(n_groups), np.zeros((n_groups, n_groups))
    watched = at_risk > 0
    safe = np.where(watched, at_risk, 1.0)
    after = np.cumprod(1.0 - (events + others) / safe, axis=0)
    before = _lagged(after, 1.0)
    incidence = _lagged(np.cumsum(before * events / safe, axis=0), 0.0)
    inflated = np.divide(at_risk, before, out=np.zeros_like(before), where=watched)
    total = inflated.sum(axis=1)
    n_event = events.sum(axis=1)
    pooled = np.cumsum(n_event / total)
    pooled_before = _lagged(pooled, 0.0)
    weight = (1.0 - pooled_before) ** rho
    free = inflated * (1.0 - incidence)
    all_free = free.sum(axis=1, keepdims=True)
    left = np.minimum(1.0 - pooled_before, all_free[:, 0])
    if (left[n_event > 0] <= 1e-12).any():
        raise NotEstimable("groups cannot be compared: the pooled incidence reaches 1 too early")
    share = np.divide(free, all_free, out=np.zeros_like(free), where=all_free > 0)
    score = weight @ (events - n_event[:, None] * share)
    # a[t, i, j]: how a jump in group j moves the score of group i; c: its running integral
    a = -inflated[:, :, None] * inflated[:, None, :] / total[:, None, None]
    a[:, np.arange(n_groups), np.arange(n_groups)] += inflated
    a *= weight[:, None, None]
    steps = np.divide(
        n_event, total * (1.0 - pooled_before), out=np.zeros_like(total), where=n_event > 0
    )
    c = np.cumsum(a * steps[:, None, None], axis=0)
    ahead = c[-1] - c
    ratio = np.divide((1.0 - pooled)[:, None], after, out=np.zeros_like(after), where=after > 0)
    from_cause = a + (1.0 - ratio)[:, None, :] * ahead
    from_others = ratio[:, None, :] * ahead
    by_cause = _cause_spread(safe, before, n_event, total) * watched
    by_others = _other_spread(safe, before, others) * (after > 0)
    variance = np.einsum("tik,tk,tjk->ij", from_cause, by_cause, from_cause)
    variance += np.einsum("tik,tk,tjk->ij", from_others, by_others, from_others)
    return score, variance


def _cause_spread(safe: _Array, before: _Array, n_event: _Array, total: _Array) -> _Array:
    """Variance of the jumps of the cause under the pooled incidence, corrected for ties."""
    expected = total[:, None] * before
    excess = (n_event - 1.0)[:, None]
    tied = (excess > 0) & (expected > 1.0)
    ties = 1.0 - np.divide(excess, expected - 1.0, out=np.zeros_like(before), where=tied)
    spread: _Array = ties * before * n_event[:, None] / (total[:, None] * safe)
    return spread


def _other_spread(safe: _Array, before: _Array, others: _Array) -> _Array:
    """Variance of the jumps of the competing causes within each group, corrected for ties."""
    tied = others > 1.0
    ties = 1.0 - np.divide(others - 1.0, safe - 1.0, out=np.zeros_like(before), where=tied)
    spread: _Array = ties * before**2 * others / safe**2
    return spread


def _lagged(values: _Array, first: float) -> _Array:
    """Left limits of a right-continuous array of steps."""
    return np.concatenate([np.full_like(values[:1], first), values[:-1]])
