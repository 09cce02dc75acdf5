"""Calibration of a risk at a horizon: in the large (O/E) and weak (intercept and slope)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.cloglog_kernel import fit_cloglog, normal_equations
from metastra.survival.horizon import events_by
from metastra.survival.intervals import t_quantile
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.outcome import Outcome
from metastra.survival.pseudo_values import pseudo_observations
from metastra.survival.scores import as_risk

__all__ = [
    "Coefficient",
    "ObservedExpected",
    "WeakCalibration",
    "cloglog",
    "observed_expected",
    "observed_risk",
    "weak_calibration",
]

_SINGULAR = 1e-12
"""How near to 1 the squared correlation of intercept and slope may come."""

OeInterval = Literal["std-error", "events"]
"""From the standard error of the observed risk, or from the number of events alone."""


@dataclass(frozen=True, kw_only=True)
class Coefficient:
    """A regression coefficient with its standard error.

    Parameters
    ----------
    estimate : float
        The coefficient.
    std_error : float
        Its standard error.
    """

    estimate: float
    std_error: float

    def interval(self, level: float = 0.95, *, df: float | None = None) -> tuple[float, float]:
        """Wald limits.

        Parameters
        ----------
        level : float
            Confidence level.
        df : float, optional
            Degrees of freedom of the standard error; infinite when left out.

        Returns
        -------
        lower, upper : float
            ``estimate ± z std_error``.
        """
        half = t_quantile(level, df) * self.std_error
        return self.estimate - half, self.estimate + half


@dataclass(frozen=True, kw_only=True)
class ObservedExpected:
    """Observed against expected risk by a horizon.

    Parameters
    ----------
    observed : float
        1 - Kaplan–Meier, or the Aalen–Johansen incidence with competing events.
    observed_std_error : float
        Greenwood, or infinitesimal jack-knife.
    expected : float
        Mean of the risks.
    ratio : float
        ``observed / expected``; above 1 when the model promises too little.
    n, events : int
        Patients, and events of interest by the horizon.
    horizon : float
        In the unit of the outcome.
    """

    observed: float
    observed_std_error: float
    expected: float
    ratio: float
    n: int
    events: int
    horizon: float

    def interval(
        self,
        level: float = 0.95,
        *,
        source: OeInterval = "std-error",
        df: float | None = None,
    ) -> tuple[float, float]:
        """Limits of the ratio on the log scale.

        Parameters
        ----------
        level : float
            Confidence level.
        source : {"std-error", "events"}
            ``std-error``: the relative standard error of the observed risk; ``events``:
            1 / √events, as in McLernon et al. 2023, which leaves the censoring out.
        df : float, optional
            Degrees of freedom of the standard error; infinite when left out.

        Returns
        -------
        lower, upper : float
            Above 0.

        Raises
        ------
        NotEstimable
            When there is no event.
        ConfigError
            When the source is unknown.
        """
        if self.events == 0 or self.observed <= 0.0:
            raise NotEstimable(f"no event by {self.horizon:g}, so O/E has no interval")
        if source == "std-error":
            spread = self.observed_std_error / self.observed
        elif source == "events":
            spread = 1.0 / float(np.sqrt(self.events))
        else:
            raise ConfigError(f"source={source!r} is unknown; expected std-error or events")
        half = t_quantile(level, df) * spread
        return self.ratio * float(np.exp(-half)), self.ratio * float(np.exp(half))


@dataclass(frozen=True, kw_only=True)
class WeakCalibration:
    """Intercept and slope of the pseudo-observations on the complementary log-log of the risk.

    Parameters
    ----------
    intercept : Coefficient
        With the slope held at 1; 0 when risks are right on average on this scale.
    slope : Coefficient
        Estimated with its own intercept; 1 when the spread of the risks is right, below 1 when
        they are too extreme.
    intercept_with_slope : float
        The intercept that goes with `slope`.
    joint_chi2, joint_p : float
        Wald test on 2 degrees of freedom that intercept and slope are 0 and 1.
    n, events : int
        Patients, and events of interest by the horizon.
    horizon : float
        In the unit of the outcome.
    """

    intercept: Coefficient
    slope: Coefficient
    intercept_with_slope: float
    joint_chi2: float
    joint_p: float
    n: int
    events: int
    horizon: float


def observed_risk(outcome: Outcome, horizon: float, *, cause: int = 1) -> tuple[float, float]:
    """Risk of the event of interest by a horizon with its standard error.

    Parameters
    ----------
    outcome : Outcome
        Of n patients; delayed entry is honoured.
    horizon : float
        In the unit of the outcome.
    cause : int
        The event of interest.

    Returns
    -------
    risk, std_error : float
        1 - Kaplan–Meier with Greenwood's, or Aalen–Johansen with the jack-knife standard error
        when other events occur.

    Raises
    ------
    NotEstimable
        When follow-up ends before the horizon.

    Examples
    --------
    >>> risk, std_error = observed_risk(Outcome(time=[1, 2, 3, 4], event=[1, 0, 1, 0]), 3.5)
    >>> round(risk, 4), round(std_error, 4)
    (0.625, 0.2864)
    """
    if set(outcome.causes) <= {cause}:
        curve = kaplan_meier(outcome)
        survival = float(curve.survival_at(horizon))
        # Greenwood's error does not exist at S = 0, where the risk is 1 for sure
        error = float(curve.std_error_at(horizon)) if survival > 0.0 else 0.0
        return 1.0 - survival, error
    incidence = aalen_johansen(outcome, causes=(cause,))[cause]
    return float(incidence.incidence_at(horizon)), float(incidence.std_error_at(horizon))


def observed_expected(
    outcome: Outcome, risk: ArrayLike, horizon: float, *, cause: int = 1
) -> ObservedExpected:
    """Compare the mean risk with what was observed by a horizon.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    risk : array_like of shape (n,)
        Probability of the event of interest by the horizon.
    horizon : float
        In the unit of the outcome.
    cause : int
        The event of interest.

    Returns
    -------
    ObservedExpected
        With two kinds of interval.

    Raises
    ------
    DataError
        When a risk is missing or outside [0, 1].
    NotEstimable
        When follow-up ends before the horizon or every risk is 0.

    Notes
    -----
    McLernon et al. 2023; with competing events van Geloven et al. 2022.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4], event=[1, 0, 1, 0])
    >>> round(observed_expected(y, [0.9, 0.5, 0.6, 0.5], 3.5).ratio, 6)
    1.0
    """
    risks = as_risk(risk, outcome)
    expected = float(np.mean(risks))
    if expected == 0.0:
        raise NotEstimable("every risk is 0, so O/E has no value")
    observed, error = observed_risk(outcome, horizon, cause=cause)
    return ObservedExpected(
        observed=observed,
        observed_std_error=error,
        expected=expected,
        ratio=observed / expected,
        n=outcome.n,
        events=events_by(outcome, horizon, cause=cause),
        horizon=float(horizon),
    )


def weak_calibration(
    outcome: Outcome, risk: ArrayLike, horizon: float, *, cause: int = 1
) -> WeakCalibration:
    """Fit intercept and slope of the risks to the pseudo-observations at a horizon.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    risk : array_like of shape (n,)
        Probability of the event of interest by the horizon, inside (0, 1).
    horizon : float
        In the unit of the outcome.
    cause : int
        The event of interest.

    Returns
    -------
    WeakCalibration
        With sandwich standard errors.

    Raises
    ------
    DataError
        When a risk is missing or outside [0, 1].
    NotEstimable
        When there is no event, the risks do not differ or one is exactly 0 or 1, follow-up ends
        before the horizon, the fit does not settle, or has no standard errors.

    Notes
    -----
    With c = log(-log(1 - risk)): ``E[pseudo] = 1 - exp(-exp(a + c))`` for the intercept and
    ``1 - exp(-exp(a + b c))`` for the slope, by least squares on the risk scale (van Geloven et
    al. 2022; R's ``geepack::geese``).  This is another number than the slope of a Cox model over
    all of the follow-up (`cox_slope`).

    Examples
    --------
    >>> y = Outcome(time=[1, 1, 2, 3, 5, 5, 5, 5], event=[1, 1, 0, 1, 0, 0, 0, 0])
    >>> fit = weak_calibration(y, [0.8, 0.6, 0.5, 0.4, 0.5, 0.3, 0.2, 0.2], 4.0)
    >>> round(fit.intercept.estimate, 4), round(fit.slope.estimate, 4)
    (-0.0185, 2.0352)
    """
    risks = as_risk(risk, outcome, inside=True)
    events = events_by(outcome, horizon, cause=cause)
    if events == 0:
        raise NotEstimable(f"no event by {horizon:g}, so calibration has no slope or intercept")
    if np.ptp(risks) == 0.0:
        raise NotEstimable("every patient has the same risk, so calibration has no slope")
    pseudo = pseudo_observations(outcome, horizon, cause=cause)
    x = cloglog(risks)
    ones = np.ones(outcome.n)
    alone, _, found_alone = fit_cloglog(x, pseudo, ones, 1, 1e-10)
    intercept, slope, found = fit_cloglog(x, pseudo, ones, 2, 1e-10)
    if not (found and found_alone):
        raise NotEstimable(
            f"the calibration fit did not settle ({events} events among {outcome.n} patients)"
        )
    _, _, bread, meat = normal_equations(x, pseudo, ones, alone, 1.0)
    joint = _sandwich(*normal_equations(x, pseudo, ones, intercept, slope)[2:])
    if joint is None or not meat[0] > 0.0:
        raise NotEstimable(
            f"the calibration fit has no standard errors: {events} events, {outcome.n} patients"
        )
    covariance, precision = joint
    away = np.array([intercept, slope - 1.0])
    chi2 = float(away @ precision @ away)
    return WeakCalibration(
        intercept=Coefficient(estimate=alone, std_error=float(np.sqrt(meat[0]) / bread[0])),
        slope=Coefficient(estimate=slope, std_error=float(np.sqrt(covariance[1, 1]))),
        intercept_with_slope=intercept,
        joint_chi2=chi2,
        joint_p=float(chdtrc(2.0, chi2)),
        n=outcome.n,
        events=events,
        horizon=float(horizon),
    )


def cloglog(risk: NDArray[np.float64]) -> NDArray[np.float64]:
    """Complementary log-log of a risk.

    Parameters
    ----------
    risk : ndarray
        Inside (0, 1).

    Returns
    -------
    ndarray
        ``log(-log(1 - risk))``, the linear predictor of a proportional-hazards model up to a
        constant.

    Examples
    --------
    >>> cloglog(np.array([0.5])).round(6).tolist()
    [-0.366513]
    """
    return np.log(-np.log1p(-risk))


def _sandwich(
    bread: NDArray[np.float64], meat: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Covariance of intercept and slope and its inverse; None when too few patients shape them."""
    matrices = [part[[0, 1, 1, 2]].reshape(2, 2) for part in (bread, meat)]
    for matrix in matrices:
        if not matrix[0, 0] * matrix[1, 1] * (1.0 - _SINGULAR) > matrix[0, 1] ** 2:
            return None
    outer, inner = (np.linalg.inv(matrix) for matrix in matrices)
    covariance = outer @ matrices[1] @ outer
    precision = matrices[0] @ inner @ matrices[0]
    if not (np.isfinite(precision).all() and (np.diag(covariance) > 0.0).all()):
        return None
    return covariance, precision
