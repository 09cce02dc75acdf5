"""How many patients a validation needs, in closed form, after Riley and colleagues."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtr, ndtri

from metastra.errors import ConfigError, NotEstimable

__all__ = [
    "auc_half_width",
    "n_for_auc",
    "n_for_net_benefit",
    "n_for_observed_expected",
    "n_for_slope",
    "n_for_slope_at_auc",
    "observed_expected_factor",
]

_FAR = 10.0
_NODES = 4001
_MOST = 10**9


def auc_half_width(auc: float, n_events: float, n_free: float, *, level: float = 0.95) -> float:
    """Expect a half-width of the interval of an AUC, which is the C of a binary outcome.

    Parameters
    ----------
    auc : float
        The true value that is assumed, between 0 and 1.
    n_events, n_free : float
        Patients with and without the event; expected numbers need not be whole.
    level : float
        Confidence level.

    Returns
    -------
    float
        z times the standard error.

    Raises
    ------
    NotEstimable
        With fewer than two events or two event-free patients.

    Notes
    -----
    Newcombe, Stat Med 2006;25:559–573, method 4, with the mean number per side in place of either
    side's, as in Riley et al., Stat Med 2021;40:4230–4251, and R's ``pmvalsampsize``.

    Examples
    --------
    >>> round(2 * auc_half_width(0.80, 86, 627), 3)  # 713 patients at 12 % risk: width 0.1
    0.1
    """
    if min(n_events, n_free) < 2:
        raise NotEstimable(f"{n_events:g} with and {n_free:g} without the event are too few")
    half = (n_events + n_free) / 2 - 1
    spread = 1 + half * (1 - auc) / (2 - auc) + half * auc / (1 + auc)
    error = math.sqrt(auc * (1 - auc) * spread / (n_events * n_free))
    return _quantile(level) * error


def observed_expected_factor(risk: float, n_events: float, *, level: float = 0.95) -> float:
    """Give the factor by which observed and expected events may differ through chance alone.

    Parameters
    ----------
    risk : float
        Share of patients with the event by the horizon.
    n_events : float
        Observed events.
    level : float
        Confidence level.

    Returns
    -------
    float
        exp(z SE), with SE² = (1 − risk) / n_events on the log scale.

    Raises
    ------
    NotEstimable
        Without events.

    Notes
    -----
    Riley et al. 2021, SE of ln(O/E) = √((1 − φ)/(n φ)), with the observed events for n φ.

    Examples
    --------
    >>> round(observed_expected_factor(0.12, 86), 2)
    1.22
    """
    if n_events <= 0:
        raise NotEstimable("there is no event")
    return math.exp(_quantile(level) * math.sqrt((1 - risk) / n_events))


def n_for_observed_expected(risk: float, width: float, *, level: float = 0.95) -> int:
    """Find the patients needed for an interval of O/E of a given width around 1.

    Parameters
    ----------
    risk : float
        Share of patients with the event by the horizon.
    width : float
        Upper minus lower limit.
    level : float
        Confidence level.

    Returns
    -------
    int
        The smallest number.

    Raises
    ------
    ConfigError
        When the risk is outside (0, 1) or the width is not positive.

    Notes
    -----
    Riley et al. 2021, criterion (i): exp(z SE) − exp(−z SE) = width, SE² = (1 − φ)/(n φ).

    Examples
    --------
    >>> n_for_observed_expected(0.12, 0.4)
    714
    """
    _check(risk=risk, width=width)
    error = math.asinh(width / 2) / _quantile(level)
    return math.ceil((1 - risk) / (risk * error**2))


def n_for_auc(auc: float, risk: float, width: float, *, level: float = 0.95) -> int:
    """Find the patients needed for an interval of the AUC of a given width.

    Parameters
    ----------
    auc : float
        The true value that is assumed.
    risk : float
        Share of patients with the event by the horizon.
    width : float
        Upper minus lower limit.
    level : float
        Confidence level.

    Returns
    -------
    int
        The smallest number.

    Raises
    ------
    ConfigError
        When an assumption is outside its range.

    Notes
    -----
    Riley et al. 2021, criterion (iii), with the standard error of `auc_half_width`.

    Examples
    --------
    >>> n_for_auc(0.80, 0.12, 0.1)
    713
    """
    _check(auc=auc, risk=risk, width=width)
    fewest = math.ceil(2 / min(risk, 1 - risk))
    return _smallest(
        lambda n: 2 * auc_half_width(auc, n * risk, n * (1 - risk), level=level) <= width, fewest
    )


def n_for_slope(
    predictor: ArrayLike, width: float, *, weight: ArrayLike | None = None, level: float = 0.95
) -> int:
    """Find the patients needed for an interval of the calibration slope of a given width around 1.

    Parameters
    ----------
    predictor : array_like of shape (m,)
        Linear predictors (log odds) of patients like those to come, or points of their
        distribution.
    width : float
        Upper minus lower limit.
    weight : array_like of shape (m,), optional
        Of each point; equal when left out.
    level : float
        Confidence level.

    Returns
    -------
    int
        The smallest number.

    Raises
    ------
    ConfigError
        When the width is not positive or the predictors do not differ.

    Notes
    -----
    Riley et al. 2021, criterion (ii), for a logistic slope: SE² = I_a / (n (I_a I_b − I_ab²)) with
    I_a, I_ab and I_b the means of w, w L and w L², w = p (1 − p), over linear predictors L.

    Examples
    --------
    >>> n_for_slope([-3.0, -2.0, -1.0, 0.0], 0.4)
    724
    """
    _check(width=width)
    points = np.asarray(predictor, dtype=np.float64)
    share = np.ones(points.size) if weight is None else np.asarray(weight, dtype=np.float64)
    chance = expit(points)
    information = share / share.sum() * chance * (1 - chance)
    flat = float(np.sum(information))
    centre = float(np.sum(information * points)) / flat
    spread = float(np.sum(information * (points - centre) ** 2))
    if not spread > 0:
        raise ConfigError("the linear predictors do not differ, so there is no slope")
    error = width / (2 * _quantile(level))
    return math.ceil(1 / (error**2 * spread))


def n_for_slope_at_auc(auc: float, risk: float, width: float, *, level: float = 0.95) -> int:
    """Find the patients needed for an interval of the slope, when only the AUC is assumed.

    Parameters
    ----------
    auc : float
        Of the calibrated model that is assumed; it fixes the spread of its risks.
    risk : float
        Share of patients with the event by the horizon.
    width : float
        Upper minus lower limit.
    level : float
        Confidence level.

    Returns
    -------
    int
        The smallest number.

    Raises
    ------
    ConfigError
        When an assumption is outside its range.

    Notes
    -----
    `n_for_slope` over linear predictors that are normal with one variance, 2 Φ⁻¹(AUC)², in patients
    with and without the event, as ``pmvalsampsize`` does with ``lpcstat``; here the means are
    integrals instead of draws.  Other shapes of the same AUC give numbers some per cent apart.

    Examples
    --------
    >>> n_for_slope_at_auc(0.80, 0.12, 0.2)
    3692
    """
    _check(auc=auc, risk=risk, width=width)
    patients = _TwoNormals.of(auc, risk)
    return n_for_slope(patients.predictor, width, weight=patients.density, level=level)


def n_for_net_benefit(
    auc: float, risk: float, threshold: float, width: float, *, level: float = 0.95
) -> int:
    """Find the patients needed for an interval of the standardised net benefit of a given width.

    Parameters
    ----------
    auc : float
        Of the calibrated model that is assumed; it fixes sensitivity and specificity.
    risk : float
        Share of patients with the event by the horizon.
    threshold : float
        Risk at and above which one would act.
    width : float
        Upper minus lower limit; the standardised net benefit is at most 1.
    level : float
        Confidence level.

    Returns
    -------
    int
        The smallest number.

    Raises
    ------
    ConfigError
        When an assumption is outside its range.

    Notes
    -----
    Riley et al. 2021, criterion (iv), after Marsh et al., Stat Methods Med Res 2020;29:2602: n SE²
    = s (1 − s)/φ + w² c (1 − c)/(1 − φ) + w² (1 − c)²/(φ (1 − φ)) with sensitivity s, specificity
    c and w = (1 − φ)/φ · t/(1 − t).

    Examples
    --------
    >>> n_for_net_benefit(0.80, 0.12, 0.12, 0.2)
    1004
    """
    _check(auc=auc, risk=risk, width=width, threshold=threshold)
    patients = _TwoNormals.of(auc, risk)
    cut = math.log(threshold / (1 - threshold))
    root = math.sqrt(patients.variance)
    sensitivity = float(ndtr((patients.mean_free + patients.variance - cut) / root))
    specificity = float(ndtr((cut - patients.mean_free) / root))
    weight = (1 - risk) / risk * threshold / (1 - threshold)
    variance = (
        sensitivity * (1 - sensitivity) / risk
        + weight**2 * specificity * (1 - specificity) / (1 - risk)
        + weight**2 * (1 - specificity) ** 2 / (risk * (1 - risk))
    )
    error = width / (2 * _quantile(level))
    return math.ceil(variance / error**2)


@dataclass(frozen=True, kw_only=True, eq=False)
class _TwoNormals:
    """Linear predictors of a calibrated logistic model: normal with, and without, the event."""

    mean_free: float
    variance: float
    predictor: NDArray[np.float64]
    density: NDArray[np.float64]

    @classmethod
    def of(cls, auc: float, risk: float) -> _TwoNormals:
        variance = 2 * float(ndtri(auc)) ** 2
        # Bayes' rule: only with this mean is the logit of the chance the predictor itself.
        mean = math.log(risk / (1 - risk)) - variance / 2
        root = math.sqrt(variance)
        x = np.linspace(mean - _FAR * root, mean + variance + _FAR * root, _NODES)
        free = np.exp(-0.5 * (x - mean) ** 2 / variance)
        sick = np.exp(-0.5 * (x - mean - variance) ** 2 / variance)
        density = (1 - risk) * free + risk * sick
        return cls(mean_free=mean, variance=variance, predictor=x, density=density / density.sum())


def _smallest(enough: Callable[[int], bool], fewest: int) -> int:
    """Search the smallest number of patients that is enough; enough stays enough above it."""
    low, high = fewest - 1, fewest
    while not enough(high):
        low, high = high, high * 2
        if high > _MOST:
            raise NotEstimable(f"more than {_MOST} patients would be needed")
    while high - low > 1:
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    return high


def _check(*, width: float, auc: float = 0.75, **shares: float) -> None:
    if not width > 0:
        raise ConfigError(f"the width is {width}; expected a number above 0")
    if not 0.5 < auc < 1:
        raise ConfigError(f"the AUC is {auc}; expected a number between 0.5 and 1")
    for name, value in shares.items():
        if not 0 < value < 1:
            raise ConfigError(f"the {name} is {value}; expected a number between 0 and 1")


def _quantile(level: float) -> float:
    if not 0 < level < 1:
        raise ConfigError(f"the confidence level is {level}; expected a number between 0 and 1")
    return float(ndtri((1 + level) / 2))
