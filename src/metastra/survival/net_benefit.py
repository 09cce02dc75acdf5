"""Clinical use: net benefit of acting on a risk, against acting on all or on nobody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import DataError
from metastra.survival.horizon import events_by
from metastra.survival.outcome import Outcome
from metastra.survival.pseudo_values import SortedStatus, incidence_influence
from metastra.survival.scores import as_risk, require_follow_up, require_no_entry
from metastra.survival.tally_kernel import incidences_of_parts

__all__ = ["NetBenefit", "NetBenefitStatistic", "net_benefit"]


@dataclass(frozen=True, kw_only=True, eq=False)
class NetBenefit:
    """Net benefit per patient over thresholds; treating nobody has 0 everywhere.

    Parameters
    ----------
    thresholds : ndarray of shape (k,)
        Risk from which on a patient is treated.
    model : ndarray of shape (k,)
        True positives minus false positives weighed by the odds of the threshold, per patient.
    model_std_error : ndarray of shape (k,)
        From the influence function.
    treat_all : ndarray of shape (k,)
        Treating everybody.
    gain_std_error : ndarray of shape (k,)
        Of ``model - treat_all``, which share patients.
    share_positive : ndarray of shape (k,)
        Share of the patients at or above the threshold.
    n, events : int
        Patients, and events of interest by the horizon.
    horizon : float
        In the unit of the outcome.
    """

    thresholds: NDArray[np.float64]
    model: NDArray[np.float64]
    model_std_error: NDArray[np.float64]
    treat_all: NDArray[np.float64]
    gain_std_error: NDArray[np.float64]
    share_positive: NDArray[np.float64]
    n: int
    events: int
    horizon: float


def net_benefit(
    outcome: Outcome,
    risk: ArrayLike,
    horizon: float,
    thresholds: ArrayLike,
    *,
    cause: int = 1,
) -> NetBenefit:
    """Weigh the good and the harm of treating patients from a risk on.

    Parameters
    ----------
    outcome : Outcome
        Of n patients, without delayed entry.
    risk : array_like of shape (n,)
        Probability of the event of interest by the horizon.
    horizon : float
        In the unit of the outcome.
    thresholds : array_like of shape (k,)
        Inside (0, 1).
    cause : int
        The event of interest.

    Returns
    -------
    NetBenefit
        Of the model and of treating all.

    Raises
    ------
    DataError
        When a risk or a threshold is outside its range.
    NotEstimable
        When follow-up ends before the horizon, or there is delayed entry.

    Notes
    -----
    Vickers and Elkin 2006, Vickers et al. 2008: with TP = F(horizon | risk >= p) P(risk >= p),
    net benefit is ``TP - p/(1-p) (P(risk >= p) - TP)``; F is 1 - Kaplan–Meier or, with competing
    events, Aalen–Johansen among the positives.  Where follow-up of the positives ends before the
    horizon their last risk is carried on.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4, 5], event=[1, 1, 0, 0, 0])
    >>> result = net_benefit(y, [0.8, 0.1, 0.3, 0.1, 0.1], 2.5, [0.2])
    >>> result.model.round(3).tolist(), result.treat_all.round(3).tolist()
    ([0.15], [0.25])
    """
    cuts = _as_thresholds(thresholds)
    risks = as_risk(risk, outcome)
    _require_support(outcome, horizon)
    odds = cuts / (1.0 - cuts)
    whole, whole_influence = incidence_influence(outcome, horizon, cause=cause)
    size = cuts.size
    model, error, gain_error, share = (np.zeros(size) for _ in range(4))
    for k, (cut, odd) in enumerate(zip(cuts, odds, strict=True)):
        positive = risks >= cut
        share[k] = np.mean(positive)
        influence = np.zeros(outcome.n)
        if positive.any():
            part = outcome.take(positive)
            end = min(float(horizon), float(part.time.max()))
            among, derivative = incidence_influence(part, end, cause=cause)
            model[k] = share[k] * ((1.0 + odd) * among - odd)
            influence[positive] = (1.0 + odd) * (among + share[k] * outcome.n * derivative) - odd
            influence -= model[k]
        error[k] = _std_error(influence)
        gain_error[k] = _std_error(influence - outcome.n * (1.0 + odd) * whole_influence)
    return NetBenefit(
        thresholds=cuts,
        model=model,
        model_std_error=error,
        treat_all=(1.0 + odds) * whole - odds,
        gain_std_error=gain_error,
        share_positive=share,
        n=outcome.n,
        events=events_by(outcome, horizon, cause=cause),
        horizon=float(horizon),
    )


class NetBenefitStatistic:
    """Net benefit as a function of case weights, for the bootstrap.

    Parameters
    ----------
    outcome : Outcome
        Of n patients, without delayed entry; sorted once.
    risks : mapping of str to array_like of shape (n,)
        Risks of one or several models by the horizon.
    horizon : float
        In the unit of the outcome.
    thresholds : array_like of shape (k,)
        Inside (0, 1).
    cause : int
        The event of interest.

    Raises
    ------
    DataError
        When a risk or a threshold is outside its range.
    NotEstimable
        When follow-up ends before the horizon, or there is delayed entry.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4, 5], event=[1, 1, 0, 0, 0])
    >>> statistic = NetBenefitStatistic(y, {"model": [0.8, 0.1, 0.3, 0.1, 0.1]}, 2.5, [0.2])
    >>> statistic.names
    ('model at 0.2', 'treat all at 0.2')
    >>> statistic(np.ones(5)).round(3).tolist()
    [0.15, 0.25]
    """

    def __init__(
        self,
        outcome: Outcome,
        risks: dict[str, ArrayLike],
        horizon: float,
        thresholds: ArrayLike,
        *,
        cause: int = 1,
    ) -> None:
        _require_support(outcome, horizon)
        self._cuts = _as_thresholds(thresholds)
        self._rows = SortedStatus.of(outcome, cause=cause)
        self._n_times = self._rows.n_times(horizon)
        sorted_risks = [as_risk(risk, outcome, name=name) for name, risk in risks.items()]
        positive = [one[self._rows.order] >= self._cuts[:, None] for one in sorted_risks]
        everybody = np.ones((1, outcome.n), dtype=np.bool_)
        self._parts = np.ascontiguousarray(np.concatenate([*positive, everybody]))
        self.names = tuple(
            f"{name} at {cut:g}" for name in (*risks, "treat all") for cut in self._cuts
        )

    def __call__(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Net benefits under case weights.

        Parameters
        ----------
        weights : ndarray of shape (n,)
            In the order of the outcome, for instance how often each patient was drawn.

        Returns
        -------
        ndarray
            In the order of `names`.
        """
        rows, odds = self._rows, self._cuts / (1.0 - self._cuts)
        risks, sums = incidences_of_parts(
            rows.group,
            rows.status,
            np.asarray(weights, dtype=np.float64)[rows.order],
            self._parts,
            rows.times.size,
            self._n_times,
        )
        of_models = np.tile(odds, (len(risks) - 1) // odds.size)
        model = (sums[:-1] / sums[-1]) * ((1.0 + of_models) * risks[:-1] - of_models)
        return np.concatenate([model, (1.0 + odds) * risks[-1] - odds])


def _as_thresholds(thresholds: ArrayLike) -> NDArray[np.float64]:
    cuts = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    if cuts.ndim != 1 or not ((cuts > 0.0) & (cuts < 1.0)).all():
        raise DataError("thresholds must be risks inside (0, 1)")
    return cuts


def _require_support(outcome: Outcome, horizon: float) -> None:
    require_no_entry(outcome, "the net benefit")
    require_follow_up(outcome, horizon)


def _std_error(influence: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.sum(influence**2))) / influence.size
