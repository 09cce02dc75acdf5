"""Every measure pooled over cohorts, with what a new cohort has to expect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import DataError, NotEstimable
from metastra.evaluation.estimate import LEVEL, Estimate
from metastra.evaluation.patients import Patients, Settings
from metastra.stats.meta_analysis import PooledEffect, Scale, pool_random_effects
from metastra.survival.brier import brier_score
from metastra.survival.calibration import observed_expected, weak_calibration
from metastra.survival.concordance import concordance
from metastra.survival.dynamic_auc import dynamic_auc
from metastra.survival.horizon import events_by

__all__ = ["FEWEST_COHORTS", "FEW_COHORTS", "POOLED_MEASURES", "pooled"]

FEWEST_COHORTS = 3
"""With two cohorts the variance between them has one degree of freedom and no prediction."""
FEW_COHORTS = 5
"""Below this many the interval of the mean is honest and the one of a new cohort hardly bounded."""

_Value = tuple[float, float]
"""Estimate and standard error on the natural scale."""


@dataclass(frozen=True, kw_only=True)
class _Measure:
    """One measure and the scale on which it is pooled."""

    key: str
    label: str
    scale: Scale
    needs_risk: bool
    at_horizon: bool
    make: Callable[[Patients, int], _Value]


def pooled(patients: Patients, settings: Settings) -> dict[str, Any]:
    """Pool every measure over the cohorts by random effects.

    Parameters
    ----------
    patients : Patients
        With `cohort`.
    settings : Settings
        With the fewest events that a cohort's number may rest on.

    Returns
    -------
    dict
        ``cohorts`` and ``measures``: for each measure and horizon an EST with ``prediction``
        (where a new cohort's measure is expected), ``tau2``, ``i2``, ``q_p``, ``k``, ``scale``,
        ``warning`` and ``left_out``; only a ``reason`` where no cohorts were named.

    Notes
    -----
    REML, Hartung and Knapp's interval, prediction interval with k - 2 degrees of freedom (Debray et
    al. 2017, BMJ 356:i6460).  C and AUC are pooled on the logit scale, O/E on the log scale, the
    others as they are.  Each cohort's standard error is the one of its formula, not of the draws,
    so the pooled numbers do not move with the seed.
    """
    if patients.cohort is None:
        return {"cohorts": 0, "measures": [], "reason": "no column of cohorts was given"}
    names = sorted(set(patients.cohort.tolist()))
    parts = {str(name): patients.take(patients.cohort == name) for name in names}
    rows = []
    for measure in POOLED_MEASURES:
        last = len(patients.horizons) - 1
        positions = range(len(patients.horizons)) if measure.at_horizon else (last,)
        rows += [_row(parts, settings, measure, position) for position in positions]
    return {"cohorts": len(parts), "measures": rows}


def _row(
    parts: Mapping[str, Patients], settings: Settings, measure: _Measure, position: int
) -> dict[str, Any]:
    values: list[_Value] = []
    left_out: list[dict[str, str]] = []
    n = events = 0
    horizon = next(iter(parts.values())).horizons[position]
    for name, part in parts.items():
        found = events_by(part.outcome, horizon)
        try:
            if found < settings.min_events:
                raise NotEstimable(f"{found} events, fewer than {settings.min_events}")
            values.append(_value(part, measure, position))
        except (NotEstimable, DataError) as error:
            left_out.append({"cohort": name, "reason": getattr(error, "reason", str(error))})
            continue
        n, events = n + part.n, events + found
    k = len(values)
    scale = "" if measure.scale is Scale.IDENTITY else f" on the {measure.scale.value} scale"
    method = (
        f"{measure.label} pooled over {k} cohorts, random effects{scale} (REML), Hartung–Knapp "
        "interval"
    )
    effect: PooledEffect | str
    if k < FEWEST_COHORTS:
        effect = f"{k} cohorts with a number, fewer than {FEWEST_COHORTS}"
    else:
        effect = _effect(values, measure.scale)
    known = isinstance(effect, PooledEffect)
    number = Estimate(
        estimate=effect.estimate if isinstance(effect, PooledEffect) else None,
        lower=effect.lower if isinstance(effect, PooledEffect) else None,
        upper=effect.upper if isinstance(effect, PooledEffect) else None,
        method=method,
        n=n,
        events=events,
        horizon=horizon,
        reason=None if isinstance(effect, PooledEffect) else effect,
    )
    few = f"{k} cohorts: where a new cohort lies is hardly known from so few"
    return {
        "measure": measure.key,
        "scale": measure.scale.value,
        "k": k,
        "left_out": left_out,
        **number.to_json(),
        **_spread(effect),
        "warning": few if known and k < FEW_COHORTS else None,
    }


def _effect(values: Sequence[_Value], scale: Scale) -> PooledEffect | str:
    """Pool, or say why not."""
    estimates, errors = np.array(values).T
    try:
        return pool_random_effects(estimates, errors, scale=scale, level=LEVEL)
    except (NotEstimable, DataError) as error:
        return str(error)


def _spread(effect: PooledEffect | str) -> dict[str, Any]:
    """Where a new cohort is expected, and how far the cohorts differ."""
    if isinstance(effect, str):
        return {"prediction": None, "tau2": None, "i2": None, "q_p": None}
    limits = {"lower": effect.prediction_lower, "upper": effect.prediction_upper}
    return {"prediction": limits, "tau2": effect.tau2, "i2": effect.i2, "q_p": effect.q_p}


def _value(part: Patients, measure: _Measure, position: int) -> _Value:
    if measure.needs_risk and part.risks is None:
        raise NotEstimable("there is a risk score and no risk")
    estimate, error = measure.make(part, position)
    if not (np.isfinite(estimate) and np.isfinite(error) and error > 0.0):
        raise NotEstimable("there is no standard error")
    return estimate, error


def _risk(part: Patients, position: int) -> NDArray[np.float64]:
    if part.risks is None:
        raise NotEstimable("there is a risk score and no risk")
    return part.risks[:, position]


def _concordance(method: str) -> Callable[[Patients, int], _Value]:
    def make(part: Patients, _position: int) -> _Value:
        tau = part.last_horizon
        if tau > float(part.outcome.time.max()):
            raise NotEstimable(f"the horizon {tau:g} lies past the last follow-up")
        found = concordance(part.outcome, part.order(), method=method, tau=tau)
        return found.estimate, float(found.std_error or np.nan)

    return make


def _auc(part: Patients, position: int) -> _Value:
    ranking = part.order() if part.risks is None else part.risks[:, position]
    found = dynamic_auc(part.outcome, ranking, part.horizons[position])
    return found.estimate, found.std_error


def _brier(part: Patients, position: int) -> _Value:
    found = brier_score(part.outcome, _risk(part, position), part.horizons[position])
    return found.estimate, found.std_error


def _ipa(part: Patients, position: int) -> _Value:
    found = brier_score(part.outcome, _risk(part, position), part.horizons[position])
    if found.ipa is None or found.ipa_std_error is None:
        raise NotEstimable("the Brier score of the marginal risk is 0, so there is no IPA")
    return found.ipa, found.ipa_std_error


def _oe(part: Patients, position: int) -> _Value:
    found = observed_expected(part.outcome, _risk(part, position), part.horizons[position])
    return found.ratio, found.observed_std_error / found.expected


def _weak(key: str) -> Callable[[Patients, int], _Value]:
    def make(part: Patients, position: int) -> _Value:
        found = weak_calibration(part.outcome, _risk(part, position), part.horizons[position])
        one = found.slope if key == "slope" else found.intercept
        return one.estimate, one.std_error

    return make


def _measure(
    key: str, label: str, scale: Scale, make: Callable[[Patients, int], _Value], *, risk: bool
) -> _Measure:
    at_horizon = key not in ("harrell", "uno")
    return _Measure(
        key=key, label=label, scale=scale, needs_risk=risk, at_horizon=at_horizon, make=make
    )


POOLED_MEASURES: tuple[_Measure, ...] = (
    _measure("harrell", "Harrell's concordance", Scale.LOGIT, _concordance("harrell"), risk=False),
    _measure("uno", "Uno's concordance", Scale.LOGIT, _concordance("uno"), risk=False),
    _measure("auc", "AUC", Scale.LOGIT, _auc, risk=False),
    _measure("brier", "Brier score", Scale.IDENTITY, _brier, risk=True),
    _measure("ipa", "IPA", Scale.IDENTITY, _ipa, risk=True),
    _measure("oe_ratio", "observed / expected", Scale.LOG, _oe, risk=True),
    _measure("slope", "calibration slope", Scale.IDENTITY, _weak("slope"), risk=True),
    _measure("intercept", "calibration intercept", Scale.IDENTITY, _weak("intercept"), risk=True),
)
"""What is pooled, in the order of the tables."""
