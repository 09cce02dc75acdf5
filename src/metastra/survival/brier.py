"""Accuracy of a risk at a horizon: Brier score, index of prediction accuracy, integrated Brier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import DataError, NotEstimable
from metastra.survival.horizon import HorizonView, std_error, view_at
from metastra.survival.intervals import t_quantile
from metastra.survival.outcome import Outcome
from metastra.survival.paired import PairedDifference
from metastra.survival.scores import as_risk

__all__ = ["BrierScore", "IntegratedBrier", "brier_score", "delta_brier", "integrated_brier"]


@dataclass(frozen=True, kw_only=True)
class BrierScore:
    """A Brier score at a horizon, beside that of the marginal risk.

    Parameters
    ----------
    estimate : float
        Weighted mean squared distance of the risk from the status at the horizon; lower is better.
    std_error : float
        From the influence function, including that of the censoring distribution.
    null : float
        Brier score of giving everybody the marginal (Aalen–Johansen) risk.
    ipa : float or None
        Index of prediction accuracy, ``1 - estimate / null``; None when `null` is 0.
    ipa_std_error : float or None
        From the influence functions of both Brier scores.
    n, events : int
        Patients, and events of interest by the horizon.
    horizon : float
        In the unit of the outcome.
    """

    estimate: float
    std_error: float
    null: float
    ipa: float | None
    ipa_std_error: float | None
    n: int
    events: int
    horizon: float

    def interval(self, level: float = 0.95, *, df: float | None = None) -> tuple[float, float]:
        """Wald limits of the Brier score, cut at 0 and 1.

        Parameters
        ----------
        level : float
            Confidence level.
        df : float, optional
            Degrees of freedom of the standard error; infinite when left out.

        Returns
        -------
        lower, upper : float
            As ``riskRegression::Score`` gives them.
        """
        half = t_quantile(level, df) * self.std_error
        return max(self.estimate - half, 0.0), min(self.estimate + half, 1.0)

    def ipa_interval(self, level: float = 0.95, *, df: float | None = None) -> tuple[float, float]:
        """Wald limits of the index of prediction accuracy, cut at 1.

        Parameters
        ----------
        level : float
            Confidence level.
        df : float, optional
            Degrees of freedom of the standard error; infinite when left out.

        Returns
        -------
        lower, upper : float
            May be negative: worse than the marginal risk.

        Raises
        ------
        NotEstimable
            When the index itself is not defined.
        """
        if self.ipa is None or self.ipa_std_error is None:
            raise NotEstimable("the Brier score of the marginal risk is 0, so there is no IPA")
        half = t_quantile(level, df) * self.ipa_std_error
        return self.ipa - half, min(self.ipa + half, 1.0)


@dataclass(frozen=True, kw_only=True)
class IntegratedBrier:
    """Brier scores over a stated grid of horizons, averaged by the trapezoid rule.

    Parameters
    ----------
    estimate : float
        Area under the Brier scores divided by the span of the grid.
    std_error : float
        From the influence functions at all horizons jointly.
    null : float
        The same for the marginal risk.
    ipa : float or None
        ``1 - estimate / null``; None when `null` is 0.
    scores : tuple of BrierScore
        At each horizon.
    n, events : int
        Patients, and events of interest by the last horizon.
    """

    estimate: float
    std_error: float
    null: float
    ipa: float | None
    scores: tuple[BrierScore, ...]
    n: int
    events: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Residuals:
    """Weighted squared residuals of one set of risks and their influence."""

    estimate: float
    influence: NDArray[np.float64]


def brier_score(outcome: Outcome, risk: ArrayLike, horizon: float, *, cause: int = 1) -> BrierScore:
    """Compare risks with what happened by a horizon.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    risk : array_like of shape (n,)
        Probability of the event of interest by the horizon.
    horizon : float
        In the unit of the outcome.
    cause : int
        The event of interest; a competing event by the horizon counts as "no event of interest".

    Returns
    -------
    BrierScore
        With the index of prediction accuracy.

    Raises
    ------
    DataError
        When a risk is missing or outside [0, 1].
    NotEstimable
        When follow-up ends before the horizon.

    Notes
    -----
    Graf et al. 1999; Gerds and Schumacher 2006; with competing events Schoop et al. 2011.  IPA:
    Kattan and Gerds 2018.  Influence function: Blanche et al. 2015, appendix; the one of the null
    model has no term for its estimated risk, as that risk minimises its Brier score.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 5], event=[1, 0, 1, 0])
    >>> round(brier_score(y, [0.9, 0.5, 0.6, 0.2], 4.0).estimate, 6)
    0.0775
    """
    view = view_at(outcome, horizon, cause=cause)
    return _score(view, as_risk(risk, outcome))


def delta_brier(
    outcome: Outcome,
    reference: ArrayLike,
    candidate: ArrayLike,
    horizon: float,
    *,
    cause: int = 1,
    scaled: bool = False,
) -> PairedDifference:
    """Difference in Brier score, or in IPA, of two sets of risks on the same patients.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    reference, candidate : array_like of shape (n,)
        Risks by the horizon.
    horizon : float
        In the unit of the outcome.
    cause : int
        The event of interest.
    scaled : bool
        Give the difference in IPA (higher is better) in place of the Brier score.

    Returns
    -------
    PairedDifference
        ``candidate - reference``.

    Raises
    ------
    DataError
        When a risk is missing or outside [0, 1].
    NotEstimable
        When follow-up ends before the horizon.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 5], event=[1, 0, 1, 0])
    >>> d = delta_brier(y, [0.5, 0.5, 0.5, 0.5], [0.9, 0.5, 0.6, 0.2], 4.0)
    >>> round(d.estimate, 6)
    -0.1725
    """
    risks = [
        as_risk(values, outcome, name=name)
        for name, values in (("reference", reference), ("candidate", candidate))
    ]
    view = view_at(outcome, horizon, cause=cause)
    null = _null(view)
    first, second = (_residuals(view, risk) for risk in risks)
    if scaled:
        first, second = _as_ipa(first, null, view), _as_ipa(second, null, view)
    return PairedDifference(
        reference=first.estimate,
        candidate=second.estimate,
        estimate=second.estimate - first.estimate,
        std_error=std_error(second.influence - first.influence),
        measure="IPA" if scaled else "Brier score",
        n=outcome.n,
        events=view.n_cases,
        horizon=view.horizon,
    )


def integrated_brier(
    outcome: Outcome, risk: ArrayLike, horizons: ArrayLike, *, cause: int = 1
) -> IntegratedBrier:
    """Average the Brier score over a stated grid of horizons.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    risk : array_like of shape (n, k)
        Risk by each of the k horizons.
    horizons : array_like of shape (k,)
        Ascending, at least two, in the unit of the outcome.
    cause : int
        The event of interest.

    Returns
    -------
    IntegratedBrier
        Trapezoid rule divided by the span of the grid.

    Raises
    ------
    DataError
        When the risks or the grid do not fit.
    NotEstimable
        When follow-up ends before the last horizon.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 5], event=[1, 0, 1, 0])
    >>> ibs = integrated_brier(y, [[0.4, 0.9], [0.2, 0.5], [0.1, 0.6], [0.1, 0.2]], [2, 4])
    >>> round(ibs.estimate, 6)
    0.0875
    """
    grid = np.asarray(horizons, dtype=np.float64)
    risks = np.asarray(risk, dtype=np.float64)
    if grid.ndim != 1 or grid.size < 2 or not (np.diff(grid) > 0.0).all():
        raise DataError("the horizons of an integrated Brier score must be two or more, ascending")
    if risks.shape != (outcome.n, grid.size):
        raise DataError(
            f"risk has shape {risks.shape}; expected ({outcome.n}, {grid.size}): "
            "one row per patient, one column per horizon"
        )
    gap = np.diff(grid)
    share = np.zeros(grid.size)
    share[:-1] += 0.5 * gap
    share[1:] += 0.5 * gap
    share /= grid[-1] - grid[0]
    influence = np.zeros(outcome.n)
    scores = []
    for horizon, part, column in zip(grid, share, risks.T, strict=True):
        view = view_at(outcome, float(horizon), cause=cause)
        checked = as_risk(column, outcome, name=f"risk by {horizon:g}")
        influence += part * _residuals(view, checked).influence
        scores.append(_score(view, checked))
    estimate = float(share @ [score.estimate for score in scores])
    null = float(share @ [score.null for score in scores])
    return IntegratedBrier(
        estimate=estimate,
        std_error=std_error(influence),
        null=null,
        ipa=1.0 - estimate / null if null > 0.0 else None,
        scores=tuple(scores),
        n=outcome.n,
        events=scores[-1].events,
    )


def _score(view: HorizonView, risk: NDArray[np.float64]) -> BrierScore:
    model, null = _residuals(view, risk), _null(view)
    scaled = _as_ipa(model, null, view) if null.estimate > 0.0 else None
    return BrierScore(
        estimate=model.estimate,
        std_error=std_error(model.influence),
        null=null.estimate,
        ipa=None if scaled is None else scaled.estimate,
        ipa_std_error=None if scaled is None else std_error(scaled.influence),
        n=view.n,
        events=view.n_cases,
        horizon=view.horizon,
    )


def _residuals(view: HorizonView, risk: NDArray[np.float64] | float) -> _Residuals:
    squared = view.weight * (view.case - risk) ** 2
    estimate = float(np.mean(squared))
    return _Residuals(
        estimate=estimate, influence=squared - estimate + view.weight_influence(squared)
    )


def _null(view: HorizonView) -> _Residuals:
    return _residuals(view, view.risk())


def _as_ipa(model: _Residuals, null: _Residuals, view: HorizonView) -> _Residuals:
    if null.estimate <= 0.0:
        raise NotEstimable(
            f"the Brier score of the marginal risk at {view.horizon:g} is 0 "
            f"({view.n_cases} events), so there is no IPA"
        )
    ratio = model.estimate / null.estimate
    return _Residuals(
        estimate=1.0 - ratio,
        influence=(ratio * null.influence - model.influence) / null.estimate,
    )
