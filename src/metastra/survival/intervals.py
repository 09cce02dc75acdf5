"""Confidence limits of a probability from its standard error, on the usual scales."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from metastra.errors import ConfigError, NotEstimable

__all__ = ["IntervalScale", "normal_quantile", "probability_interval", "t_quantile"]

_FAR = 700.0
"""Largest exponent that does not overflow; limits there are 0 or 1 anyway."""

IntervalScale = Literal["log", "log-log", "plain", "arcsine"]
"""Scale on which an estimate ± z standard errors is taken."""


def normal_quantile(level: float) -> float:
    """Two-sided standard normal quantile of a confidence level.

    Parameters
    ----------
    level : float
        Between 0 and 1, exclusive; 0.95 gives 1.959964.

    Returns
    -------
    float
        The quantile at ``(1 + level) / 2``.

    Raises
    ------
    ConfigError
        When the level is not inside (0, 1).

    Examples
    --------
    >>> round(normal_quantile(0.95), 6)
    1.959964
    """
    if not 0.0 < level < 1.0:
        raise ConfigError(f"the confidence level is {level}; expected a number between 0 and 1")
    return float(ndtri(0.5 * (1.0 + level)))


def t_quantile(level: float, df: float | None = None) -> float:
    """Two-sided quantile of Student's t of a confidence level.

    Parameters
    ----------
    level : float
        Between 0 and 1, exclusive.
    df : float, optional
        Degrees of freedom of the standard error; the normal quantile when left out.

    Returns
    -------
    float
        The quantile at ``(1 + level) / 2``.

    Raises
    ------
    ConfigError
        When the level is not inside (0, 1).
    NotEstimable
        When there is not one degree of freedom.

    Notes
    -----
    With few events the standard error of a measure is itself an estimate that rests on the events
    alone: the variance of an AUC or of a concordance is nearly all among the cases, as in the
    two-sample rank problem of Brunner and Munzel 2000 (*Biometrical Journal* 42, 17–25), who take
    Student's t with the degrees of freedom of the smaller group.  ``docs/records`` has the
    coverage with ``events - 1`` degrees of freedom.

    Examples
    --------
    >>> round(t_quantile(0.95, 15), 4), round(t_quantile(0.95), 4)
    (2.1314, 1.96)
    """
    if df is None:
        return normal_quantile(level)
    if df < 1.0:
        raise NotEstimable("fewer than two events give no interval: their spread is not known")
    normal_quantile(level)
    return float(stdtrit(df, 0.5 * (1.0 + level)))


def probability_interval(
    estimate: NDArray[np.float64],
    std_error: NDArray[np.float64],
    *,
    interval: IntervalScale = "log",
    level: float = 0.95,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pointwise confidence limits of survival or incidence probabilities.

    Parameters
    ----------
    estimate : ndarray
        Probabilities.
    std_error : ndarray
        Standard errors on the probability scale, of the same shape.
    interval : {"log", "log-log", "plain", "arcsine"}
        ``log``: exp(log p ± z se/p); ``log-log``: p ** exp(± z se/(p log p)); ``plain``: p ± z se;
        ``arcsine``: sin²(asin √p ± z se / (2 √(p (1-p)))).  Limits are cut at 0 and 1.
    level : float
        Confidence level.

    Returns
    -------
    lower, upper : ndarray
        NaN where the scale has no value: at 0 for ``log``, at 0 and 1 for ``log-log``; and
        where the standard error itself is not defined.

    Raises
    ------
    ConfigError
        When the scale or the level is unknown.

    Notes
    -----
    The scales are those of R's ``survival::survfit(conf.type=)`` (Kalbfleisch and Prentice 2002,
    section 1.4); limits at exactly 0 or 1 are missing there, too.

    Examples
    --------
    >>> lower, upper = probability_interval(np.array([0.9]), np.array([0.05]), interval="plain")
    >>> lower.round(4).tolist(), upper.round(4).tolist()
    ([0.802], [0.998])
    """
    z = normal_quantile(level)
    p, se = np.asarray(estimate, dtype=np.float64), np.asarray(std_error, dtype=np.float64)
    if interval == "plain":
        return np.maximum(p - z * se, 0.0), np.minimum(p + z * se, 1.0)
    if interval == "log":
        return _limits_on_log(p, z * se)
    if interval == "log-log":
        return _limits_on_log_log(p, z * se)
    if interval == "arcsine":
        return _limits_on_arcsine(p, z * se)
    raise ConfigError(
        f"the interval {interval!r} is unknown; expected log, log-log, plain or arcsine"
    )


_Limits = tuple[NDArray[np.float64], NDArray[np.float64]]


def _limits_on_log(p: NDArray[np.float64], half: NDArray[np.float64]) -> _Limits:
    inside = p > 0.0
    width = np.divide(half, p, out=np.full_like(p, np.nan), where=inside)
    width = np.minimum(width, _FAR)
    return p * np.exp(-width), np.minimum(p * np.exp(width), 1.0)


def _limits_on_log_log(p: NDArray[np.float64], half: NDArray[np.float64]) -> _Limits:
    inside = (p > 0.0) & (p < 1.0)
    safe = np.where(inside, p, 0.5)
    width = np.where(inside, half / (safe * np.log(safe)), np.nan)
    width = np.maximum(width, -_FAR)
    return safe ** np.exp(-width), safe ** np.exp(width)


def _limits_on_arcsine(p: NDArray[np.float64], half: NDArray[np.float64]) -> _Limits:
    spread = np.sqrt(p * (1.0 - p))
    width = np.where(spread > 0.0, 0.5 * half / np.where(spread > 0.0, spread, 1.0), 0.5 * half)
    angle = np.arcsin(np.sqrt(p))
    lower = np.sin(np.maximum(angle - width, 0.0)) ** 2
    upper = np.sin(np.minimum(angle + width, 0.5 * np.pi)) ** 2
    return lower, upper
