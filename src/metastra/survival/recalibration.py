"""The ladder of updates of given risks at a horizon, fitted under censoring and competing risks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from metastra.errors import DataError, NotEstimable
from metastra.survival.calibration import Coefficient, cloglog
from metastra.survival.design import as_covariates, check_names
from metastra.survival.horizon import events_by
from metastra.survival.outcome import Outcome
from metastra.survival.pseudo_values import pseudo_observations
from metastra.survival.scores import as_risk

__all__ = ["RUNGS", "Recalibration", "RungTest", "fit_recalibration"]

_Array = NDArray[np.float64]

RUNGS = ("none", "intercept", "intercept and slope", "refit")
"""From the model as it is to the fullest update."""

_MAX_STEPS = 200
_MAX_HALVINGS = 30
_TOLERANCE = 1e-8


@dataclass(frozen=True, kw_only=True)
class RungTest:
    """Test that the fullest update is no better than a rung.

    Parameters
    ----------
    rung : str
        One of `RUNGS`.
    chi2 : float
        Wald statistic with the sandwich covariance of the fullest update.
    df : int
        Parameters that the rung does not estimate.
    p_value : float
        From the chi-squared distribution.
    """

    rung: str
    chi2: float
    df: int
    p_value: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Recalibration:
    """Updates of given risks by one horizon.

    Parameters
    ----------
    horizon : float
        In the unit of the outcome.
    n, events : int
        Patients, and events of interest by the horizon.
    names : tuple of str
        Covariates of the refit; empty where there is none.
    coefficients : dict of str to tuple of Coefficient
        By rung: intercept, slope and covariates, as far as the rung estimates them.
    tests : tuple of RungTest
        The fullest update against every rung below it.
    """

    horizon: float
    n: int
    events: int
    names: tuple[str, ...]
    coefficients: dict[str, tuple[Coefficient, ...]]
    tests: tuple[RungTest, ...]

    @property
    def rungs(self) -> tuple[str, ...]:
        """The rungs that were fitted, from the lowest."""
        return RUNGS if self.names else RUNGS[:-1]

    def updated(self, rung: str, risk: ArrayLike, covariates: ArrayLike | None = None) -> _Array:
        """Apply an update to risks.

        Parameters
        ----------
        rung : str
            One of `rungs`.
        risk : array_like of shape (n,)
            Given risks, inside (0, 1).
        covariates : array_like of shape (n, p), optional
            For the refit.

        Returns
        -------
        ndarray of shape (n,)
            ``1 - exp(-exp(a + b log(-log(1 - risk)) + covariates))``.

        Raises
        ------
        DataError
            When the rung is unknown or the covariates do not fit it.
        """
        if rung not in self.rungs:
            raise DataError(f"rung {rung!r} is unknown; expected one of {', '.join(self.rungs)}")
        x = cloglog(np.asarray(risk, dtype=np.float64))
        beta = [one.estimate for one in self.coefficients[rung]]
        intercept = beta[0] if beta else 0.0
        slope = beta[1] if len(beta) > 1 else 1.0
        eta = intercept + slope * x
        if rung == "refit":
            if covariates is None:
                raise DataError("a refit needs its covariates")
            eta = eta + as_covariates(covariates, len(self.names), self.names) @ beta[2:]
        return -np.expm1(-np.exp(np.minimum(eta, 700.0)))


def fit_recalibration(
    outcome: Outcome,
    risk: ArrayLike,
    horizon: float,
    *,
    covariates: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    cause: int = 1,
) -> Recalibration:
    """Fit every update of the ladder to pseudo-observations and test each against the fullest.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    risk : array_like of shape (n,)
        Probability of the event of interest by the horizon, inside (0, 1).
    horizon : float
        In the unit of the outcome.
    covariates : array_like of shape (n, p), optional
        The model's predictors, for a refit; without them the ladder ends with the slope.
    names : sequence of str, optional
        Of the covariates.
    cause : int
        The event of interest.

    Returns
    -------
    Recalibration
        Coefficients of every rung and the tests that the closed procedure needs.

    Raises
    ------
    DataError
        When a risk is missing or outside [0, 1], or covariates do not fit the patients.
    NotEstimable
        When there are fewer events than parameters, the risks do not differ, follow-up ends before
        the horizon, the fit does not settle, or has no standard errors.

    Notes
    -----
    ``E[pseudo] = 1 - exp(-exp(a + b c + x g))`` with c = log(-log(1 - risk)), by least squares on
    the risk scale with working independence, as `metastra.survival.calibration.weak_calibration`.
    The likelihood of Vergouwe et al. 2017 does not exist for a risk at one horizon under censoring
    and competing events; Wald tests of the fullest update with its sandwich covariance take its
    place, and closure keeps the level of the whole procedure just the same.

    Examples
    --------
    >>> rng = np.random.default_rng(2)
    >>> risk = rng.uniform(0.05, 0.6, 400)
    >>> y = Outcome(time=np.where(rng.uniform(size=400) < risk, 1.0, 3.0), event=np.ones(400, int))
    >>> fit = fit_recalibration(y.until(2.0), risk, 1.5)
    >>> [test.rung for test in fit.tests], fit.tests[0].p_value > 0.05
    (['none', 'intercept'], True)
    """
    risks = as_risk(risk, outcome, inside=True)
    extra = np.empty((outcome.n, 0)) if covariates is None else as_covariates(covariates, None)
    if extra.shape[0] != outcome.n:
        raise DataError(f"covariates have {extra.shape[0]} rows; expected {outcome.n}")
    labels = check_names(names, extra.shape[1])
    events = events_by(outcome, horizon, cause=cause)
    width = 2 + extra.shape[1]
    if events < width:
        raise NotEstimable(f"{events} events by {horizon:g} for {width} parameters")
    if np.ptp(risks) == 0.0:
        raise NotEstimable("every patient has the same risk, so there is no slope to update")
    pseudo = pseudo_observations(outcome, horizon, cause=cause)
    x = cloglog(risks)
    ones = np.ones(outcome.n)
    designs = {
        "intercept": (ones[:, None], x),
        "intercept and slope": (np.column_stack([ones, x]), None),
    }
    if labels:
        designs["refit"] = (np.column_stack([ones, x, extra]), None)
    fitted = {rung: _fit(design, pseudo, offset) for rung, (design, offset) in designs.items()}
    fullest, covariance = list(fitted.values())[-1]
    coefficients = {"none": ()} | {
        rung: tuple(
            Coefficient(estimate=float(b), std_error=float(e))
            for b, e in zip(beta, np.sqrt(np.diag(cov)), strict=True)
        )
        for rung, (beta, cov) in fitted.items()
    }
    as_it_is = np.zeros(width)
    as_it_is[1] = 1.0
    tests = [
        _wald(rung, (fullest - as_it_is)[first:], covariance[first:, first:])
        for rung, first in (("none", 0), ("intercept", 1), ("intercept and slope", 2))
        if first < width
    ]
    return Recalibration(
        horizon=float(horizon),
        n=outcome.n,
        events=events,
        names=labels,
        coefficients=coefficients,
        tests=tuple(tests),
    )


def _fit(design: _Array, y: _Array, offset: _Array | None) -> tuple[_Array, _Array]:
    """Gauss–Newton steps, halved until the loss falls; coefficients with sandwich covariance."""
    base = np.zeros(y.size) if offset is None else offset
    beta = np.zeros(design.shape[1])
    if offset is None:
        beta[1] = 1.0
    loss, mean_slope, residual = _loss(design, y, base, beta)
    for _ in range(_MAX_STEPS):
        jacobian = design * mean_slope[:, None]
        bread = jacobian.T @ jacobian
        step = _solve(bread, jacobian.T @ residual)
        if np.max(np.abs(step)) <= _TOLERANCE:
            break
        for _half in range(_MAX_HALVINGS):
            trial = _loss(design, y, base, beta + step)
            if trial[0] <= loss * (1.0 + 1e-12):
                break
            step = 0.5 * step
        beta = beta + step
        loss, mean_slope, residual = trial
    else:
        raise NotEstimable("the update did not settle")
    scores = jacobian * residual[:, None]
    inverse = _solve(bread, np.eye(bread.shape[0]))
    covariance = inverse @ (scores.T @ scores) @ inverse
    if not (np.isfinite(covariance).all() and (np.diag(covariance) > 0.0).all()):
        raise NotEstimable("the update has no standard errors")
    return beta, covariance


def _loss(design: _Array, y: _Array, offset: _Array, beta: _Array) -> tuple[float, _Array, _Array]:
    rate = np.exp(np.minimum(design @ beta + offset, 700.0))
    survival = np.exp(-rate)
    residual = y - 1.0 + survival
    return float(residual @ residual), rate * survival, residual


def _solve(matrix: _Array, right: _Array) -> _Array:
    scale = np.sqrt(np.diag(matrix))
    if not (scale > 0.0).all():
        raise NotEstimable("the update cannot be fitted: a predictor shapes no risk")
    scaled = matrix / np.outer(scale, scale)
    if np.linalg.cond(scaled) > 1e12:
        raise NotEstimable("the update cannot be fitted: its predictors are collinear")
    turned = right / (scale if right.ndim == 1 else scale[:, None])
    solved = np.linalg.solve(scaled, turned)
    return np.asarray(solved / (scale if right.ndim == 1 else scale[:, None]))


def _wald(rung: str, away: _Array, covariance: _Array) -> RungTest:
    chi2 = float(away @ np.linalg.solve(covariance, away))
    df = int(away.size)
    return RungTest(rung=rung, chi2=chi2, df=df, p_value=float(chdtrc(df, chi2)))
