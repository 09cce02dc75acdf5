"""Concordance of a risk score with the order of events: Harrell, Uno, Wolbers, and differences."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.survival.concordance_pairs import PairCounts, count_pairs
from metastra.survival.outcome import Outcome
from metastra.survival.paired import PairedDifference, logit_interval
from metastra.survival.scores import as_risk_score, require_no_entry

__all__ = ["Concordance", "ConcordanceMethod", "concordance", "delta_concordance"]


class ConcordanceMethod(StrEnum):
    """Which pairs are compared and how they are weighted.

    With competing events, the first three look at one cause and censor the others.
    """

    HARRELL = "harrell"
    """Every comparable pair counts once (Harrell et al. 1982; R's ``concordance``)."""
    UNO = "uno"
    """Pairs weigh 1/G(t-)² at the time of the earlier event (R's ``timewt = "n/G2"``)."""
    UNO_STRICT = "uno-strict"
    """Uno et al. 2011 to the letter: T_i < T_j and T_i < tau; a censoring at T_i is no pair."""
    WOLBERS = "wolbers"
    """A patient with a competing event stays comparable for ever (Wolbers et al. 2009)."""
    WOLBERS_IPCW = "wolbers-ipcw"
    """The same with weights 1/G(T_i-)² and 1/(G(T_i-) G(T_j-)) (Wolbers et al. 2014)."""


@dataclass(frozen=True, kw_only=True)
class Concordance:
    """A concordance with its pairs.

    Parameters
    ----------
    estimate : float
        Probability that of two comparable patients the one with the earlier event has the higher
        score; ties in the score count one half.
    std_error : float or None
        Infinitesimal jack-knife, by cluster where clusters are given; censoring weights are held
        fixed, as in R.  None when it was not asked for.
    concordant, discordant : float
        Pairs, weighted where the method weights.
    tied_score : float
        Comparable pairs with equal scores.
    tied_time, tied_both : float
        Pairs with the event at the same time, with different and with equal scores; not compared.
    n, events : int
        Patients, and events that open a pair (by `tau`).
    tau : float or None
        Only events up to here open a pair.
    method : ConcordanceMethod
        Pairs and weights.
    """

    estimate: float
    std_error: float | None
    concordant: float
    discordant: float
    tied_score: float
    tied_time: float
    tied_both: float
    n: int
    events: int
    tau: float | None
    method: ConcordanceMethod

    def interval(self, level: float = 0.95, *, df: float | None = None) -> tuple[float, float]:
        """Limits from the logit scale.

        Parameters
        ----------
        level : float
            Confidence level.
        df : float, optional
            Degrees of freedom of the standard error; infinite when left out.

        Returns
        -------
        lower, upper : float
            Inside (0, 1).

        Raises
        ------
        NotEstimable
            When the standard error was not computed, or the estimate is exactly 0 or 1.
        """
        if self.std_error is None:
            raise NotEstimable("the standard error of the concordance was not asked for")
        return logit_interval(self.estimate, self.std_error, level=level, df=df)


def concordance(
    outcome: Outcome,
    risk_score: ArrayLike,
    *,
    method: ConcordanceMethod | str = ConcordanceMethod.HARRELL,
    tau: float | None = None,
    cause: int = 1,
    strata: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    std_error: bool = True,
) -> Concordance:
    """Measure how well a score orders the patients by their time to the event.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.  Delayed entry is honoured by Harrell's method: a pair is comparable when
        the later patient was under observation at the time of the event.
    risk_score : array_like of shape (n,)
        Higher is worse; only its order matters.
    method : ConcordanceMethod or str
        Pairs and weights.
    tau : float, optional
        Only events at or before tau open a pair (before tau, for ``uno-strict``).
    cause : int
        The event of interest.
    strata : array_like of shape (n,), optional
        Only patients of the same stratum are compared; G is estimated within it.
    cluster : array_like of shape (n,), optional
        Labels of patients whose rows belong together; influences are summed within a label.
    weights : array_like of shape (n,), optional
        Case weights of 0 or more, for instance how often a bootstrap drew each patient.
    std_error : bool
        Whether to compute the standard error, which doubles the time.

    Returns
    -------
    Concordance
        With counts and standard error.

    Raises
    ------
    ConfigError
        When the method is unknown.
    DataError
        When scores, strata, clusters or weights do not fit the outcome.
    NotEstimable
        When there is no comparable pair, or the method has no form for delayed entry.

    Notes
    -----
    Conventions of R's ``survival::concordance``: pairs with the event at the same time are left
    out; an event and a censoring at one time are comparable; G puts events before censorings.
    O(n log n) time and O(n) memory.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4, 5], event=[1, 1, 0, 1, 0])
    >>> c = concordance(y, [3, 4, 1, 2, 0])
    >>> c.estimate, c.concordant, c.discordant
    (0.875, 7.0, 1.0)
    """
    method = _as_method(method)
    if method is not ConcordanceMethod.HARRELL:
        require_no_entry(outcome, f"the concordance {method.value!r}")
    score = as_risk_score(risk_score, outcome)
    case_weights = _as_weights(weights, outcome.n)
    counts = _by_stratum(
        outcome, score, case_weights, strata, method=method, tau=tau, cause=cause, share=std_error
    )
    estimate = _estimate(counts, tau)
    error = None
    if std_error:
        error = _root_sum_squares(_influence(counts, estimate, case_weights), cluster)
    return Concordance(
        estimate=estimate,
        std_error=error,
        concordant=counts.concordant,
        discordant=counts.discordant,
        tied_score=counts.tied_score,
        tied_time=counts.tied_time,
        tied_both=counts.tied_both,
        n=outcome.n,
        events=counts.events,
        tau=tau,
        method=method,
    )


def delta_concordance(
    outcome: Outcome,
    reference: ArrayLike,
    candidate: ArrayLike,
    *,
    method: ConcordanceMethod | str = ConcordanceMethod.HARRELL,
    tau: float | None = None,
    cause: int = 1,
    strata: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
) -> PairedDifference:
    """Difference of the concordances of two scores on the same patients.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    reference, candidate : array_like of shape (n,)
        The two scores; higher is worse.
    method : ConcordanceMethod or str
        Pairs and weights.
    tau : float, optional
        Only events up to tau open a pair.
    cause : int
        The event of interest.
    strata, cluster : array_like of shape (n,), optional
        As in `concordance`.

    Returns
    -------
    PairedDifference
        ``candidate - reference`` with the variance of the joint influence, as R's
        ``concordance(fit0, fit1)`` gives it.

    Raises
    ------
    ConfigError
        When the method is unknown.
    DataError
        When the scores do not fit the outcome.
    NotEstimable
        When there is no comparable pair.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4, 5], event=[1, 1, 0, 1, 0])
    >>> round(delta_concordance(y, [0, 4, 1, 2, 3], [3, 4, 1, 2, 0]).estimate, 4)
    0.5
    """
    method = _as_method(method)
    if method is not ConcordanceMethod.HARRELL:
        require_no_entry(outcome, f"the concordance {method.value!r}")
    ones = np.ones(outcome.n)
    estimates, influences, events = [], [], 0
    for name, values in (("reference", reference), ("candidate", candidate)):
        score = as_risk_score(values, outcome, name=name)
        counts = _by_stratum(
            outcome, score, ones, strata, method=method, tau=tau, cause=cause, share=True
        )
        estimates.append(_estimate(counts, tau))
        influences.append(_influence(counts, estimates[-1], ones))
        events = counts.events
    return PairedDifference(
        reference=estimates[0],
        candidate=estimates[1],
        estimate=estimates[1] - estimates[0],
        std_error=_root_sum_squares(influences[1] - influences[0], cluster),
        measure=f"concordance ({method.value})",
        n=outcome.n,
        events=events,
        horizon=tau,
    )


def _by_stratum(
    outcome: Outcome,
    score: NDArray[np.float64],
    weights: NDArray[np.float64],
    strata: ArrayLike | None,
    *,
    method: ConcordanceMethod,
    tau: float | None,
    cause: int,
    share: bool,
) -> PairCounts:
    def count(part: Outcome, index: NDArray[np.int64] | slice) -> PairCounts:
        return count_pairs(
            part,
            score[index],
            weights[index],
            cause=cause,
            tau=np.inf if tau is None else tau,
            competing_stay=method in (ConcordanceMethod.WOLBERS, ConcordanceMethod.WOLBERS_IPCW),
            weighted=method not in (ConcordanceMethod.HARRELL, ConcordanceMethod.WOLBERS),
            strict=method is ConcordanceMethod.UNO_STRICT,
            share=share,
        )

    if strata is None:
        return count(outcome, slice(None))
    labels = _as_labels(strata, outcome.n, "strata")
    whole = PairCounts.empty(outcome.n)
    for stratum in np.unique(labels):
        index = np.flatnonzero(labels == stratum)
        whole = whole.plus(count(outcome.take(index), index), index)
    return whole


def _estimate(counts: PairCounts, tau: float | None) -> float:
    pairs = counts.concordant + counts.discordant + counts.tied_score
    if pairs <= 0.0:
        until = "" if tau is None else f" by {tau:g}"
        raise NotEstimable(
            f"no two patients are comparable: {counts.events} events{until}, "
            "and a pair needs an event with somebody still watched at that time"
        )
    return float((counts.concordant + 0.5 * counts.tied_score) / pairs)


def _influence(
    counts: PairCounts, estimate: float, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Change of the estimate when a patient's weight grows (R's ``dfbeta``)."""
    pairs = counts.concordant + counts.discordant + counts.tied_score
    return weights * (counts.won - estimate * counts.compared) / pairs


def _root_sum_squares(influence: NDArray[np.float64], cluster: ArrayLike | None) -> float:
    if cluster is not None:
        labels = _as_labels(cluster, influence.size, "cluster")
        _, inverse = np.unique(labels, return_inverse=True)
        influence = np.bincount(inverse, weights=influence).astype(np.float64, copy=False)
    return float(np.sqrt(np.sum(influence**2)))


def _as_method(method: ConcordanceMethod | str) -> ConcordanceMethod:
    try:
        return ConcordanceMethod(method)
    except ValueError as error:
        known = ", ".join(ConcordanceMethod)
        raise ConfigError(f"the concordance {method!r} is unknown; expected {known}") from error


def _as_labels(labels: ArrayLike, n: int, name: str) -> NDArray[np.generic]:
    array = np.asarray(labels)
    if array.shape != (n,):
        raise DataError(f"{name} has shape {array.shape}; expected ({n},), one label per patient")
    return array


def _as_weights(weights: ArrayLike | None, n: int) -> NDArray[np.float64]:
    if weights is None:
        return np.ones(n)
    array = np.asarray(weights, dtype=np.float64)
    if array.shape != (n,) or not np.isfinite(array).all() or (array < 0.0).any():
        raise DataError(f"weights must be {n} finite numbers of 0 or more, one per patient")
    return array
