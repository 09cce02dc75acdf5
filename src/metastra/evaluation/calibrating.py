"""Calibration of the risks of one group of patients at each horizon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.evaluation.draws import FEWEST_FOR_DRAWS, Draws, with_interval
from metastra.evaluation.estimate import LEVEL, Estimate, Limits, attempt
from metastra.evaluation.measures import NO_RISK, missing
from metastra.evaluation.patients import Patients, Settings
from metastra.stats.resampling import bootstrap_weights
from metastra.survival.calibration import (
    ObservedExpected,
    WeakCalibration,
    observed_expected,
    weak_calibration,
)
from metastra.survival.calibration_curve import (
    CalibrationCurve,
    calibration_groups,
    loess_curve,
    spline_curve,
)
from metastra.survival.hazard_slope import hazard_slope
from metastra.survival.horizon import events_by
from metastra.survival.intervals import normal_quantile, probability_interval
from metastra.survival.outcome import Outcome

__all__ = ["calibration"]

_CURVE_POINTS = 41
_CURVE_DRAWS = 200
"""Draws for the intervals of ICI, E50 and E90, which need a new curve each time."""
_MOST_FOR_CURVE_DRAWS = 5000
_MIN_GROUP = 10
"""Patients in a group of the calibration plot; smaller groups could show single patients."""

_Array = NDArray[np.float64]
_METHODS = {
    "observed": "observed risk",
    "expected": "mean of the risks",
    "oe_ratio": "observed / expected",
    "slope": "slope of pseudo-observations on log(-log(1 - risk))",
    "slope_hazard": "slope of a proportional-hazards model on log(-log(1 - risk))",
    "intercept": "intercept of pseudo-observations, slope held at 1",
    "ici": "integrated calibration index",
    "e50": "E50, median distance of the calibration curve from the risks",
    "e90": "E90, 90th percentile of the distance of the calibration curve from the risks",
}
_DISTANCES = ("ici", "e50", "e90")


def calibration(patients: Patients, draws: Draws, settings: Settings) -> list[dict[str, Any]]:
    """Compare risks with what was observed at each horizon.

    Parameters
    ----------
    patients : Patients
        Whom.
    draws : Draws
        For the intervals.
    settings : Settings
        Draws and seed of the intervals of ICI, E50 and E90, which are left out where the redrawn
        curves do not hold the distance itself.

    Returns
    -------
    list of dict
        For each horizon ``observed``, ``expected``, ``oe_ratio``, ``slope``, ``slope_hazard``,
        ``intercept``, ``ici``, ``e50``, ``e90``, and ``curve`` and ``groups`` for the plot.

    Notes
    -----
    McLernon et al. 2023; with competing events van Geloven et al. 2022; ICI, E50 and
    E90: Austin et al. 2020, from one curve and the same redrawn curves.
    """
    return [_at(patients, draws, settings, k) for k in range(len(patients.horizons))]


def _at(patients: Patients, draws: Draws, settings: Settings, position: int) -> dict[str, Any]:
    horizon = patients.horizons[position]
    if patients.risks is None:
        numbers: dict[str, Any] = {
            key: missing(patients, NO_RISK, method=method, horizon=horizon).to_json()
            for key, method in _METHODS.items()
        }
        return {"horizon": horizon, **numbers, "curve": None, "groups": []}
    risk = patients.risks[:, position]
    large = _in_the_large(patients, draws, risk, horizon)
    weak = _weak(patients, draws, risk, horizon) | _by_hazards(patients, risk, horizon)
    curve = _curve(patients.outcome, risk, horizon)
    numbers = {key: value.to_json() for key, value in (large | weak).items()}
    numbers |= _distances(patients, settings, risk, horizon, curve)
    return {
        "horizon": horizon,
        **numbers,
        "curve": _curve_json(curve),
        "groups": _groups(patients.outcome, risk, horizon),
    }


def _in_the_large(
    patients: Patients, draws: Draws, risk: _Array, horizon: float
) -> dict[str, Estimate]:
    how = "Aalen–Johansen" if patients.competing else "one minus Kaplan–Meier"
    methods = _METHODS | {"observed": f"observed risk, {how}"}
    events = events_by(patients.outcome, horizon)

    def limits(found: ObservedExpected, key: str, df: float) -> Limits:
        if key == "oe_ratio":
            return found.interval(LEVEL, df=df)
        if key == "expected":
            half = normal_quantile(LEVEL) * float(np.std(risk, ddof=1)) / np.sqrt(risk.size)
            return max(found.expected - half, 0.0), min(found.expected + half, 1.0)
        ends = probability_interval(
            np.array([found.observed]),
            np.array([found.observed_std_error]),
            interval="log-log",
            level=LEVEL,
        )
        lower, upper = float(ends[0][0]), float(ends[1][0])
        if not np.isfinite([lower, upper]).all():
            raise NotEstimable(f"no interval at an observed risk of {found.observed:g}")
        return lower, upper

    words = {
        "observed": "standard error on the log-log scale",
        "expected": "standard error of the mean",
        "oe_ratio": "standard error of the observed risk, log scale",
    }

    def make(key: str) -> Callable[[], Estimate]:
        def one() -> Estimate:
            found = observed_expected(patients.outcome, risk, horizon)
            values = {
                "observed": found.observed,
                "expected": found.expected,
                "oe_ratio": found.ratio,
            }
            return with_interval(
                values[key],
                lambda df: limits(found, key, df),
                draws=draws,
                name=f"model {key}@{horizon:g}",
                estimator=methods[key],
                analytic_words=words[key],
                n=found.n,
                events=found.events,
                horizon=horizon,
                # the spread of a risk follows from the risk itself, and expected has no event in it
                by_events=key == "oe_ratio",
            )

        return one

    return {
        key: attempt(make(key), method=methods[key], n=patients.n, events=events, horizon=horizon)
        for key in words
    }


def _weak(patients: Patients, draws: Draws, risk: _Array, horizon: float) -> dict[str, Estimate]:
    events = events_by(patients.outcome, horizon)

    def make(key: str) -> Callable[[], Estimate]:
        def one() -> Estimate:
            found: WeakCalibration = weak_calibration(patients.outcome, risk, horizon)
            part = found.slope if key == "slope" else found.intercept
            name = f"model {key}@{horizon:g}"
            number = with_interval(
                part.estimate,
                lambda df: part.interval(LEVEL, df=df),
                draws=draws if key == "slope" else Draws(sample=None),
                name=name,
                estimator=_METHODS[key],
                analytic_words="sandwich standard error",
                n=found.n,
                events=found.events,
                horizon=horizon,
            )
            # the intercept is shown with its sandwich interval, whatever the number of events
            return replace(number, bootstrap=draws.beside(name))

        return one

    return {
        key: attempt(make(key), method=_METHODS[key], n=patients.n, events=events, horizon=horizon)
        for key in ("slope", "intercept")
    }


def _by_hazards(patients: Patients, risk: _Array, horizon: float) -> dict[str, Estimate]:
    """Look at the spread of the risks a second time, by a model that few events suffice for."""
    model = "Fine and Gray's model" if patients.competing else "Cox's model"
    method = f"{_METHODS['slope_hazard']} ({model}, follow-up to the horizon); Wald interval"
    n, events = patients.n, events_by(patients.outcome, horizon)

    def make() -> Estimate:
        found = hazard_slope(patients.outcome, risk, horizon)
        lower, upper = found.interval(LEVEL)
        return Estimate(
            estimate=found.estimate,
            lower=lower,
            upper=upper,
            method=method,
            n=n,
            events=events,
            horizon=horizon,
        )

    return {"slope_hazard": attempt(make, method=method, n=n, events=events, horizon=horizon)}


def _curve(outcome: Outcome, risk: _Array, horizon: float) -> CalibrationCurve | NotEstimable:
    """Smooth the observed risk: a Cox spline, or loess where it has no form."""
    try:
        if not set(outcome.causes) - {1}:
            try:
                return spline_curve(outcome, risk, horizon)
            except NotEstimable:
                return loess_curve(outcome, risk, horizon)
        return loess_curve(outcome, risk, horizon)
    except NotEstimable as error:
        return error


def _distances(
    patients: Patients,
    settings: Settings,
    risk: _Array,
    horizon: float,
    curve: CalibrationCurve | NotEstimable,
) -> dict[str, dict[str, Any]]:
    """Summarise how far the curve lies from the risks: mean, median and 90th percentile."""
    events = events_by(patients.outcome, horizon)
    limits: dict[str, Limits] = {}
    n_draws, reason = 0, ""
    if isinstance(curve, CalibrationCurve):
        try:
            limits, n_draws = _distance_limits(patients, settings, risk, horizon)
        except NotEstimable as error:
            reason = error.reason

    def make(key: str) -> Callable[[], Estimate]:
        def one() -> Estimate:
            if isinstance(curve, NotEstimable):
                raise curve
            bare = Estimate(
                estimate=getattr(curve, key),
                lower=None,
                upper=None,
                method=f"{_METHODS[key]} ({curve.smoother})",
                n=curve.n,
                events=events,
                horizon=horizon,
            )
            return _with_redrawn(bare, limits.get(key), n_draws, reason)

        return one

    return {
        key: attempt(
            make(key), method=_METHODS[key], n=patients.n, events=events, horizon=horizon
        ).to_json()
        for key in _DISTANCES
    }


def _with_redrawn(bare: Estimate, found: Limits | None, n_draws: int, reason: str) -> Estimate:
    """Put the limits of the redrawn curves beside a distance, unless they do not hold it."""
    if found is None:
        absent = {"lower": None, "upper": None, "draws": 0, "reason": reason}
        return replace(bare, reason=f"no interval: {reason}", bootstrap=absent)
    lower, upper = found
    drawn = {"lower": lower, "upper": upper, "draws": n_draws}
    if bare.estimate is None or not lower <= bare.estimate <= upper:
        # a distance cannot be negative, so every redraw of a wavy curve lies farther off
        words = "no interval: the redrawn curves all but leave out the curve itself"
        return replace(bare, reason=words, bootstrap=drawn)
    how = f"; percentile bootstrap of patients, the first {n_draws} draws"
    return replace(bare, lower=lower, upper=upper, method=bare.method + how, bootstrap=drawn)


def _distance_limits(
    patients: Patients, settings: Settings, risk: _Array, horizon: float
) -> tuple[dict[str, Limits], int]:
    if settings.bootstrap == 0:
        raise NotEstimable(
            "no bootstrap was asked for, and a distance of the curve has no other interval"
        )
    if patients.n > _MOST_FOR_CURVE_DRAWS:
        raise NotEstimable(f"more than {_MOST_FOR_CURVE_DRAWS} patients; the curve is not redrawn")
    events = events_by(patients.outcome, horizon)
    if events < FEWEST_FOR_DRAWS:
        raise NotEstimable(f"{events} events are too few to redraw the curve")
    n_draws = min(settings.bootstrap, _CURVE_DRAWS)
    values = []
    for weights in bootstrap_weights(patients.n, replicates=n_draws, seed=settings.seed):
        index = np.repeat(np.arange(patients.n), weights.astype(np.int64))
        found = _curve(patients.outcome.take(index), risk[index], horizon)
        if isinstance(found, CalibrationCurve):
            values.append([found.ici, found.e50, found.e90])
    if len(values) < 0.8 * n_draws:
        raise NotEstimable(f"{n_draws - len(values)} of {n_draws} redrawn curves failed")
    tail = 0.5 * (1.0 - LEVEL)
    ends = np.quantile(np.asarray(values), [tail, 1.0 - tail], axis=0)
    limits = {
        key: (float(lower), float(upper))
        for key, lower, upper in zip(_DISTANCES, *ends, strict=True)
    }
    return limits, n_draws


def _curve_json(curve: CalibrationCurve | NotEstimable) -> dict[str, Any] | None:
    """Read the curve at even steps of the risk, so that no patient can be read off it."""
    if isinstance(curve, NotEstimable):
        return None
    low, high = np.quantile(curve.risk, [0.01, 0.99])
    order = np.argsort(curve.risk, kind="stable")
    risks = np.linspace(low, high, _CURVE_POINTS)
    observed = np.interp(risks, curve.risk[order], curve.observed[order])
    points = [
        {"risk": float(x), "observed": float(y)} for x, y in zip(risks, observed, strict=True)
    ]
    return {"smoother": curve.smoother, "points": points}


def _groups(outcome: Outcome, risk: _Array, horizon: float) -> list[dict[str, Any]]:
    n_groups = min(5, outcome.n // _MIN_GROUP)
    if n_groups < 2:
        return []
    try:
        groups = calibration_groups(outcome, risk, horizon, n_groups=n_groups)
    except NotEstimable:
        return []
    found = []
    for group in groups:
        ends = probability_interval(
            np.array([group.observed]),
            np.array([group.std_error]),
            interval="log-log",
            level=LEVEL,
        )
        lower, upper = (float(end[0]) if np.isfinite(end[0]) else None for end in ends)
        found.append(
            {
                "n": group.n,
                "events": group.events,
                "mean_risk": group.mean_risk,
                "observed": group.observed,
                "lower": lower,
                "upper": upper,
            }
        )
    return found
