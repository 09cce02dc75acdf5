"""Calibration over the range of the risk: smooth curves, their distance, and groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.calibration import Coefficient, cloglog, observed_risk
from metastra.survival.cox import fit_cox
from metastra.survival.horizon import events_by
from metastra.survival.loess_kernel import local_linear
from metastra.survival.outcome import Outcome
from metastra.survival.pseudo_values import pseudo_observations
from metastra.survival.scores import as_risk, require_no_entry

__all__ = [
    "CalibrationCurve",
    "CalibrationGroup",
    "calibration_groups",
    "cox_slope",
    "loess_curve",
    "spline_curve",
]

_MOST_POINTS = 2000
"""Above this many distinct risks the loess curve is read at so many and joined by lines."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CalibrationCurve:
    """Smoothed observed risk of each patient beside the risk that was given.

    Parameters
    ----------
    risk : ndarray of shape (n,)
        What the model said, in the order of the outcome.
    observed : ndarray of shape (n,)
        Smoothed observed risk at that value.
    smoother : str
        How it was smoothed; the distances depend on it, so they are reported with it.
    n, events : int
        Patients, and events of interest by the horizon.
    horizon : float
        In the unit of the outcome.
    knots : tuple of float
        Of a spline, on the complementary log-log scale; empty otherwise.
    coefficients : tuple of float
        Of a spline; empty otherwise.
    """

    risk: NDArray[np.float64]
    observed: NDArray[np.float64]
    smoother: str
    n: int
    events: int
    horizon: float
    knots: tuple[float, ...] = ()
    coefficients: tuple[float, ...] = ()

    @property
    def ici(self) -> float:
        """Integrated calibration index: mean absolute distance (Austin et al. 2020)."""
        return float(np.mean(self._distance()))

    @property
    def e50(self) -> float:
        """Median absolute distance."""
        return float(np.quantile(self._distance(), 0.5))

    @property
    def e90(self) -> float:
        """90th percentile of the absolute distance."""
        return float(np.quantile(self._distance(), 0.9))

    @property
    def e_max(self) -> float:
        """Largest absolute distance."""
        return float(np.max(self._distance()))

    def _distance(self) -> NDArray[np.float64]:
        return np.abs(self.observed - self.risk)


@dataclass(frozen=True, kw_only=True)
class CalibrationGroup:
    """Patients of similar risk.

    Parameters
    ----------
    n, events : int
        Patients, and events of interest by the horizon.
    mean_risk : float
        Mean of the risks.
    observed : float
        1 - Kaplan–Meier, or Aalen–Johansen with competing events; the last value is carried on
        where the group's follow-up ends before the horizon.
    std_error : float
        Of the observed risk.
    """

    n: int
    events: int
    mean_risk: float
    observed: float
    std_error: float


def cox_slope(outcome: Outcome, risk: ArrayLike) -> Coefficient:
    """Slope of a Cox model on the complementary log-log of the risk.

    Parameters
    ----------
    outcome : Outcome
        Of n patients, with one event type; the whole follow-up is used, so end it at the horizon
        (``outcome.until``) where only that much was predicted.
    risk : array_like of shape (n,)
        Probability of the event, inside (0, 1).

    Returns
    -------
    Coefficient
        1 when the spread of the risks is right.

    Raises
    ------
    DataError
        When a risk is missing or outside [0, 1].
    NotEstimable
        With competing events, without an event, or when the risks do not differ or one is exactly
        0 or 1.

    Notes
    -----
    McLernon et al. 2023.  `weak_calibration` has the slope at one horizon, which also exists with
    competing events.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4, 5, 6], event=[1, 0, 1, 0, 1, 0])
    >>> round(cox_slope(y, [0.6, 0.5, 0.3, 0.5, 0.4, 0.2]).estimate, 4)
    1.9361
    """
    _one_event_type(outcome, "a Cox calibration slope")
    x = cloglog(as_risk(risk, outcome, inside=True))
    model = fit_cox(outcome, x[:, None], names=["cloglog"])
    return Coefficient(estimate=float(model.coef[0]), std_error=float(model.std_error[0]))


def spline_curve(outcome: Outcome, risk: ArrayLike, horizon: float) -> CalibrationCurve:
    """Smooth the observed risk by a Cox model on a spline of the given risk.

    Parameters
    ----------
    outcome : Outcome
        Of n patients, with one event type.
    risk : array_like of shape (n,)
        Probability of the event by the horizon, inside (0, 1).
    horizon : float
        In the unit of the outcome.

    Returns
    -------
    CalibrationCurve
        With knots and coefficients.

    Raises
    ------
    DataError
        When a risk is missing or outside [0, 1].
    NotEstimable
        With competing events, when the knots coincide or a risk is exactly 0 or 1, or when
        follow-up ends before the horizon.

    Notes
    -----
    Restricted cubic spline of log(-log(1 - risk)) with knots at the 10th, 50th and 90th percentile
    (type 7), Harrell's scaling by the squared range of the knots, Efron's ties; the observed risk
    is ``1 - exp(-H0(horizon) exp(lp))`` (Austin, Harrell and van Klaveren 2020).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> risk = rng.uniform(0.1, 0.9, 400)
    >>> time = -np.log(rng.uniform(size=400)) / -np.log1p(-risk)
    >>> y = Outcome(time=np.minimum(time, 2.0), event=time <= 2.0)
    >>> spline_curve(y, risk, 1.0).ici < 0.06
    True
    """
    _one_event_type(outcome, "a spline calibration curve")
    risks = as_risk(risk, outcome, inside=True)
    x = cloglog(risks)
    knots = np.quantile(x, [0.1, 0.5, 0.9])
    if not (np.diff(knots) > 0.0).all():
        raise NotEstimable(
            "the 10th, 50th and 90th percentile of the risk are not distinct, so the calibration "
            "spline has no knots"
        )
    covariates = np.column_stack([x, _restricted_cubic(x, knots)])
    model = fit_cox(outcome, covariates, names=["cloglog", "spline"])
    return CalibrationCurve(
        risk=risks,
        observed=model.risk_at(covariates, horizon),
        smoother="Cox, restricted cubic spline with 3 knots",
        n=outcome.n,
        events=events_by(outcome, horizon),
        horizon=float(horizon),
        knots=tuple(knots.tolist()),
        coefficients=tuple(model.coef.tolist()),
    )


def loess_curve(
    outcome: Outcome, risk: ArrayLike, horizon: float, *, cause: int = 1, span: float = 0.33
) -> CalibrationCurve:
    """Smooth the pseudo-observations over the given risk by local linear regression.

    Parameters
    ----------
    outcome : Outcome
        Of n patients; competing events are allowed.
    risk : array_like of shape (n,)
        Probability of the event of interest by the horizon.
    horizon : float
        In the unit of the outcome.
    cause : int
        The event of interest.
    span : float
        Share of the patients that takes part at each point, in (0, 1].

    Returns
    -------
    CalibrationCurve
        The curve may leave [0, 1], as pseudo-observations do.

    Raises
    ------
    ConfigError
        When the span is outside (0, 1].
    DataError
        When a risk is missing or outside [0, 1].
    NotEstimable
        When follow-up ends before the horizon, or the span holds fewer than three patients.

    Notes
    -----
    Royston 2015; van Geloven et al. 2022.  Degree 1, tricube weights, no interpolation up to 2 000
    distinct risks; beyond that the curve is read at 2 000 of them, evenly spaced by rank.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> risk = rng.uniform(0.1, 0.9, 400)
    >>> y = Outcome(time=np.where(rng.uniform(size=400) < risk, 0.5, 2.0), event=np.ones(400))
    >>> loess_curve(y, risk, 1.0).ici < 0.1
    True
    """
    if not 0.0 < span <= 1.0:
        raise ConfigError(f"span={span} is outside (0, 1]")
    risks = as_risk(risk, outcome)
    n_neighbours = int(np.floor(outcome.n * span + 1e-5))
    if n_neighbours < 3:
        raise NotEstimable(
            f"a span of {span:g} holds {n_neighbours} of {outcome.n} patients; 3 are needed"
        )
    pseudo = pseudo_observations(outcome, horizon, cause=cause)
    order = np.argsort(risks, kind="stable")
    points = np.unique(risks)
    if points.size > _MOST_POINTS:
        points = points[np.linspace(0, points.size - 1, _MOST_POINTS).round().astype(np.int64)]
    fitted = local_linear(risks[order], pseudo[order], points, n_neighbours)
    return CalibrationCurve(
        risk=risks,
        observed=np.interp(risks, points, fitted),
        smoother=f"loess of pseudo-observations, degree 1, span {span:g}",
        n=outcome.n,
        events=events_by(outcome, horizon, cause=cause),
        horizon=float(horizon),
    )


def calibration_groups(
    outcome: Outcome, risk: ArrayLike, horizon: float, *, n_groups: int = 5, cause: int = 1
) -> tuple[CalibrationGroup, ...]:
    """Compare observed and given risk in groups of equal size.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    risk : array_like of shape (n,)
        Probability of the event of interest by the horizon.
    horizon : float
        In the unit of the outcome.
    n_groups : int
        Groups to cut at the quantiles of the risk (type 7, right-closed, lowest included).
    cause : int
        The event of interest.

    Returns
    -------
    tuple of CalibrationGroup
        From the lowest risk to the highest; fewer than asked for where quantiles coincide.

    Raises
    ------
    ConfigError
        When fewer than two groups are asked for.
    DataError
        When a risk is missing or outside [0, 1].
    NotEstimable
        When follow-up ends before the horizon.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4], event=[1, 1, 0, 0])
    >>> groups = calibration_groups(y, [0.9, 0.8, 0.2, 0.1], 2.5, n_groups=2)
    >>> [(group.n, group.observed) for group in groups]
    [(2, 0.0), (2, 1.0)]
    """
    if n_groups < 2:
        raise ConfigError(f"n_groups={n_groups}; expected 2 or more")
    risks = as_risk(risk, outcome)
    # follow-up of all patients must reach the horizon; that of one group may end before
    observed_risk(outcome, horizon, cause=cause)
    cuts = np.unique(np.quantile(risks, np.linspace(0.0, 1.0, n_groups + 1)))
    group = np.maximum(np.searchsorted(cuts, risks, side="left"), 1)
    result = []
    for number in np.unique(group):
        mine = group == number
        part = outcome.take(mine)
        last = float(part.time.max())
        observed, error = observed_risk(part, min(float(horizon), last), cause=cause)
        result.append(
            CalibrationGroup(
                n=part.n,
                events=events_by(part, horizon, cause=cause),
                mean_risk=float(np.mean(risks[mine])),
                observed=observed,
                std_error=error,
            )
        )
    return tuple(result)


def _restricted_cubic(x: NDArray[np.float64], knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Non-linear term of a restricted cubic spline with three knots (Harrell's scaling)."""
    first, middle, last = knots
    cubed = [np.maximum(x - knot, 0.0) ** 3 for knot in knots]
    tail = (cubed[1] * (last - first) - cubed[2] * (middle - first)) / (last - middle)
    return np.asarray((cubed[0] - tail) / (last - first) ** 2, dtype=np.float64)


def _one_event_type(outcome: Outcome, what: str) -> None:
    if set(outcome.causes) - {1}:
        raise NotEstimable(
            f"{what} has no form for competing events (codes {outcome.causes}); "
            "use weak_calibration and loess_curve"
        )
    require_no_entry(outcome, what)
