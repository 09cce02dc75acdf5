"""Random-effects pooling of one measure over several cohorts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, expit, logit, stdtrit

from metastra.errors import ConfigError, DataError, NotEstimable

__all__ = ["PooledEffect", "Scale", "pool_random_effects"]

_THRESHOLD = 1e-5
_MAX_STEPS = 100


class Scale(StrEnum):
    """Scale on which the cohorts are pooled."""

    IDENTITY = "identity"
    """As they are: slopes, differences."""
    LOG = "log"
    """Ratios: O/E, hazard ratios."""
    LOGIT = "logit"
    """Probabilities: C, AUC, risks."""


@dataclass(frozen=True, kw_only=True)
class PooledEffect:
    """A pooled measure; limits are back on the scale of the measure.

    Parameters
    ----------
    k : int
        Cohorts.
    estimate : float
        Pooled measure.
    lower, upper : float
        Hartung–Knapp interval of the mean, t with k - 1 degrees of freedom.
    prediction_lower, prediction_upper : float or None
        Where the measure of a new cohort is expected: t with k - 2 degrees of freedom (Higgins,
        Thompson and Spiegelhalter 2009); None for k < 3.
    prediction_lower_km1, prediction_upper_km1 : float
        The same with k - 1 degrees of freedom, as R's ``metafor`` gives it.
    scale : Scale
        Where the numbers below live.
    scaled_estimate : float
        Pooled measure on the scale.
    std_error : float
        Hartung–Knapp standard error on the scale.
    std_error_wald : float
        Standard error that takes the variances as known.
    tau2 : float
        Variance between cohorts (REML) on the scale.
    i2 : float
        Share of the total variance that lies between cohorts, in percent.
    q, q_p : float
        Cochran's test of no variance between cohorts.
    level : float
        Confidence level.
    """

    k: int
    estimate: float
    lower: float
    upper: float
    prediction_lower: float | None
    prediction_upper: float | None
    prediction_lower_km1: float
    prediction_upper_km1: float
    scale: Scale
    scaled_estimate: float
    std_error: float
    std_error_wald: float
    tau2: float
    i2: float
    q: float
    q_p: float
    level: float


def pool_random_effects(
    estimates: ArrayLike,
    std_errors: ArrayLike,
    *,
    scale: Scale | str = Scale.IDENTITY,
    level: float = 0.95,
) -> PooledEffect:
    """Pool one measure over cohorts that may truly differ.

    Parameters
    ----------
    estimates : array_like of shape (k,)
        One for each cohort, on its natural scale.
    std_errors : array_like of shape (k,)
        On the natural scale; they are brought to `scale` by the delta method.
    scale : Scale or str
        Scale of the pooling.
    level : float
        Confidence level.

    Returns
    -------
    PooledEffect
        With both kinds of interval.

    Raises
    ------
    ConfigError
        When the scale is unknown or the level outside (0, 1).
    DataError
        When estimates and standard errors do not fit each other or the scale.
    NotEstimable
        For fewer than two cohorts, or when the variance between them does not settle.

    Notes
    -----
    REML between-cohort variance; Hartung and Knapp 2001.  R's
    ``metafor::rma(method = "REML", test = "knha")``.  I² is that of Higgins and Thompson 2002 with
    the REML variance.

    Examples
    --------
    >>> pooled = pool_random_effects(
    ...     [0.62, 0.71, 0.78, 0.66], [0.03, 0.025, 0.04, 0.02], scale="logit"
    ... )
    >>> round(pooled.estimate, 3), round(pooled.lower, 3), round(pooled.upper, 3)
    (0.687, 0.573, 0.782)
    """
    chosen, value, variance = _on_scale(estimates, std_errors, scale)
    if not 0.0 < level < 1.0:
        raise ConfigError(f"the confidence level is {level}; expected a number between 0 and 1")
    k = value.size
    if k < 2:
        raise NotEstimable(f"{k} cohort cannot be pooled; two are the least")
    tau2 = _reml(value, variance)
    weight = 1.0 / (variance + tau2)
    mean = float(np.average(value, weights=weight))
    wald = float(1.0 / np.sqrt(weight.sum()))
    error = wald * float(np.sqrt(np.sum(weight * (value - mean) ** 2) / (k - 1)))
    fixed = 1.0 / variance
    q = float(np.sum(fixed * (value - np.average(value, weights=fixed)) ** 2))
    typical = (k - 1) * fixed.sum() / (fixed.sum() ** 2 - np.sum(fixed**2))
    spread = float(np.sqrt(tau2 + error**2))
    tail = 0.5 * (1.0 + level)
    mean_half = float(stdtrit(k - 1, tail)) * error
    new_half = float(stdtrit(k - 1, tail)) * spread
    strict_half = float(stdtrit(k - 2, tail)) * spread if k > 2 else None
    back = _BACK[chosen]
    return PooledEffect(
        k=k,
        estimate=back(mean),
        lower=back(mean - mean_half),
        upper=back(mean + mean_half),
        prediction_lower=None if strict_half is None else back(mean - strict_half),
        prediction_upper=None if strict_half is None else back(mean + strict_half),
        prediction_lower_km1=back(mean - new_half),
        prediction_upper_km1=back(mean + new_half),
        scale=chosen,
        scaled_estimate=mean,
        std_error=error,
        std_error_wald=wald,
        tau2=tau2,
        i2=float(100.0 * tau2 / (tau2 + typical)),
        q=q,
        q_p=float(chdtrc(k - 1, q)),
        level=level,
    )


_BACK: dict[Scale, Callable[[float], float]] = {
    Scale.IDENTITY: float,
    Scale.LOG: lambda value: float(np.exp(value)),
    Scale.LOGIT: lambda value: float(expit(value)),
}


def _on_scale(
    estimates: ArrayLike, std_errors: ArrayLike, scale: Scale | str
) -> tuple[Scale, NDArray[np.float64], NDArray[np.float64]]:
    try:
        chosen = Scale(scale)
    except ValueError as error:
        raise ConfigError(f"the scale {scale!r} is unknown; expected {', '.join(Scale)}") from error
    value = np.asarray(estimates, dtype=np.float64)
    spread = np.asarray(std_errors, dtype=np.float64)
    if value.ndim != 1 or value.shape != spread.shape or not np.isfinite(value).all():
        raise DataError("estimates and standard errors must be two equally long lists of numbers")
    if not (np.isfinite(spread) & (spread > 0.0)).all():
        raise DataError("standard errors must be finite and above 0")
    if chosen is Scale.LOGIT:
        if not ((value > 0.0) & (value < 1.0)).all():
            raise DataError("the logit scale needs estimates inside (0, 1)")
        return chosen, logit(value), (spread / (value * (1.0 - value))) ** 2
    if chosen is Scale.LOG:
        if not (value > 0.0).all():
            raise DataError("the log scale needs estimates above 0")
        return chosen, np.log(value), (spread / value) ** 2
    return chosen, value, spread**2


def _reml(value: NDArray[np.float64], variance: NDArray[np.float64]) -> float:
    """REML variance between cohorts by Fisher scoring, with the start and stop of ``metafor``.

    A step that would pass 0 is halved, so that at the boundary the variance ends minute instead
    of at 0.
    """
    tau2 = max(float(np.var(value, ddof=1) - np.mean(variance)), 0.0)
    for _ in range(_MAX_STEPS):
        weight = 1.0 / (variance + tau2)
        total = float(weight.sum())
        residual = value - np.average(value, weights=weight)
        squares = float(np.sum(weight**2))
        # traces of P and of its square, P being the projection that takes the mean out
        trace = total - squares / total
        trace_of_square = squares - 2.0 * float(np.sum(weight**3)) / total + squares**2 / total**2
        step = float(np.sum(weight**2 * residual**2) - trace) / trace_of_square
        while tau2 + step < 0.0:
            step *= 0.5
        tau2 += step
        if abs(step) <= _THRESHOLD:
            return tau2
    raise NotEstimable(f"the variance between {value.size} cohorts did not settle")
