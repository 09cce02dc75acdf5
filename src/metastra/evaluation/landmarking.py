"""The same predictions judged among those still at risk at a landmark, the clock started there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.evaluation.estimate import LEVEL, Estimate, attempt
from metastra.evaluation.patients import Patients
from metastra.evaluation.risk_groups import Grouping, group_risks
from metastra.survival.calibration import observed_expected, weak_calibration
from metastra.survival.concordance import concordance
from metastra.survival.dynamic_auc import dynamic_auc
from metastra.survival.horizon import events_by
from metastra.survival.landmark import LandmarkData, at_landmark

__all__ = ["landmark_analysis"]

_Array = NDArray[np.float64]


def landmark_analysis(patients: Patients, landmark: float, grouping: Grouping) -> dict[str, Any]:
    """Judge the predictions at a landmark.

    Parameters
    ----------
    patients : Patients
        Whom; their predictions were made at the time origin.
    landmark : float
        In the unit of the times, before the last horizon.
    grouping : Grouping
        Risk groups of the same patients.

    Returns
    -------
    dict
        ``kept`` and who left before and why, ``harrell``, ``auc`` at each horizon after the
        landmark, ``calibration`` of the conditional risk, and ``groups`` with their risk since the
        landmark; only a ``reason`` where nobody is at risk any more.

    Notes
    -----
    Anderson, Cain and Gelber 1983.  The risk by a horizon, given that nothing happened by the
    landmark, is ``(r(horizon) - r(landmark)) / (1 - r(landmark))``: it needs the landmark among the
    horizons, and it is not the conditional risk where a competing event may have come before.
    """
    head: dict[str, Any] = {"landmark": landmark}
    try:
        kept = at_landmark(patients.outcome, landmark)
    except NotEstimable as error:
        return {**head, "kept": 0, "reason": error.reason}
    later = [k for k, horizon in enumerate(patients.horizons) if horizon > landmark]
    if not later:
        return {**head, "kept": kept.n_kept, "reason": "no horizon lies after the landmark"}
    mine = np.zeros(patients.n, dtype=np.bool_)
    mine[kept.index] = True
    part = replace(
        patients.take(mine),
        outcome=kept.outcome,
        horizons=tuple(patients.horizons[k] - landmark for k in later),
        risks=None if patients.risks is None else patients.risks[mine][:, later],
        baseline=None if patients.baseline is None else patients.baseline[mine][:, later],
        score=patients.order()[mine],
    )
    groups = replace(grouping, group=grouping.group[mine])
    return {
        **head,
        **_left(kept),
        "harrell": _harrell(part, landmark).to_json(),
        "auc": [_auc(part, k, landmark).to_json() for k in range(len(later))],
        "calibration": [
            _calibration(patients, part, mine, position, k, landmark)
            for k, position in enumerate(later)
        ],
        "groups": group_risks(part, groups),
    }


def _left(kept: LandmarkData) -> dict[str, int]:
    return {
        "kept": kept.n_kept,
        "left_with_event": kept.left_with_event.get(1, 0),
        "left_with_competing": kept.left_with_event.get(2, 0),
        "left_censored": kept.n_left_censored,
        "not_entered": kept.n_not_entered,
    }


def _harrell(part: Patients, landmark: float) -> Estimate:
    tau = part.last_horizon
    method = f"Harrell's concordance of those at risk at {landmark:g}; jack-knife, t"
    events = events_by(part.outcome, tau)

    def make() -> Estimate:
        if tau > float(part.outcome.time.max()):
            raise NotEstimable("the horizon lies past the last follow-up")
        found = concordance(part.outcome, part.order(), tau=tau)
        lower, upper = found.interval(LEVEL, df=found.events - 1.0)
        return _number(found.estimate, lower, upper, method, part, found.events, tau)

    return attempt(make, method=method, n=part.n, events=events, horizon=tau)


def _auc(part: Patients, position: int, landmark: float) -> Estimate:
    horizon = part.horizons[position]
    method = (
        f"cumulative/dynamic AUC since the landmark {landmark:g}, inverse probability of "
        "censoring weights; influence function, logit scale"
    )
    events = events_by(part.outcome, horizon)

    def make() -> Estimate:
        ranking = part.order() if part.risks is None else part.risks[:, position]
        found = dynamic_auc(part.outcome, ranking, horizon)
        lower, upper = found.interval(LEVEL, df=found.events - 1.0)
        return _number(found.estimate, lower, upper, method, part, found.events, horizon)

    return attempt(make, method=method, n=part.n, events=events, horizon=horizon)


def _conditional(
    patients: Patients, mine: NDArray[np.bool_], position: int, landmark: float
) -> _Array:
    """Risk by a horizon given that nothing happened by the landmark."""
    if patients.risks is None:
        raise NotEstimable("there is a risk score and no risk")
    if patients.competing:
        raise NotEstimable(
            "with competing events the conditional risk needs the risk of the competing event, too"
        )
    if landmark not in patients.horizons:
        raise NotEstimable("the landmark is not among the horizons, so the risk by it is not known")
    by_then = patients.risks[mine][:, patients.horizons.index(landmark)]
    if (by_then >= 1.0).any():
        raise NotEstimable("a risk by the landmark is 1")
    risk = (patients.risks[mine][:, position] - by_then) / (1.0 - by_then)
    return np.asarray(np.clip(risk, 0.0, 1.0))


def _calibration(
    patients: Patients,
    part: Patients,
    mine: NDArray[np.bool_],
    position: int,
    k: int,
    landmark: float,
) -> dict[str, Any]:
    horizon = part.horizons[k]
    events = events_by(part.outcome, horizon)
    words = {
        "oe_ratio": "observed / expected of the conditional risk; log scale",
        "slope": "slope of pseudo-observations on the conditional risk; sandwich standard error",
    }

    def make(key: str) -> Callable[[], Estimate]:
        def one() -> Estimate:
            risk = _conditional(patients, mine, position, landmark)
            if key == "oe_ratio":
                found = observed_expected(part.outcome, risk, horizon)
                value, limits = found.ratio, found.interval(LEVEL, df=events - 1.0)
            else:
                slope = weak_calibration(part.outcome, risk, horizon).slope
                value, limits = slope.estimate, slope.interval(LEVEL, df=events - 1.0)
            return _number(value, *limits, words[key], part, events, horizon)

        return one

    numbers = {
        key: attempt(make(key), method=method, n=part.n, events=events, horizon=horizon).to_json()
        for key, method in words.items()
    }
    return {"horizon": patients.horizons[position], "since_landmark": horizon, **numbers}


def _number(
    value: float,
    lower: float,
    upper: float,
    method: str,
    part: Patients,
    events: int,
    horizon: float,
) -> Estimate:
    return Estimate(
        estimate=value,
        lower=lower,
        upper=upper,
        method=method,
        n=part.n,
        events=events,
        horizon=horizon,
    )
