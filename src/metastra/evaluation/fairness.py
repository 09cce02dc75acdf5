"""Does the model serve a subgroup as it serves the rest?  Measures and differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.evaluation.classifying import SHARES, classified
from metastra.evaluation.estimate import LEVEL, Estimate, attempt
from metastra.evaluation.measures import NO_RISK, missing
from metastra.evaluation.patients import Patients, Settings
from metastra.survival.brier import brier_score
from metastra.survival.calibration import observed_expected, weak_calibration
from metastra.survival.horizon import events_by

__all__ = ["COMPARED", "fairness"]

COMPARED = ("oe_ratio", "slope", "ipa", *SHARES, "share_high")
"""Measures whose difference to the rest is taken; O/E as a ratio of ratios."""

_T = "Student's t on the events"
_METHODS = {
    "oe_ratio": f"observed / expected; error of the observed risk, log scale, {_T}",
    "slope": f"calibration slope; sandwich standard error, {_T}",
    "ipa": f"index of prediction accuracy; influence function, {_T}",
}
_JOINED = "limits joined from both parts (Zou and Donner 2008)"
_NO_CUT = "there is no cutpoint"


def fairness(
    patients: Patients,
    settings: Settings,
    mine: NDArray[np.bool_],
    high: NDArray[np.bool_] | None,
) -> dict[str, Any]:
    """Measure a subgroup and how far it is from the rest.

    Parameters
    ----------
    patients : Patients
        Whom.
    settings : Settings
        With the fewest events that either side may rest on.
    mine : ndarray of shape (n,), bool
        The subgroup.
    high : ndarray of shape (n,), bool, or None
        Who is called high; None where there is no cutpoint.

    Returns
    -------
    dict
        ``slope``, ``ipa``, the keys of the classification, ``share_high``, and ``differences``:
        for each of `COMPARED` the subgroup less the rest, for O/E its ratio to that of the rest.

    Notes
    -----
    Intervals of differences come from those of both parts, which share no patient (Zou and Donner
    2008, Statistics in Medicine 27:1693); with small parts they keep their level better than a
    common standard error.
    """
    part = patients.take(mine)
    rest = patients.take(~mine) if (~mine).any() else None
    here = _measures(part, settings, None if high is None else high[mine])
    others = None if high is None else high[~mine]
    there = None if rest is None else _measures(rest, settings, others)
    differences = {key: _difference(part, key, here, there) for key in COMPARED}
    return {key: here[key] for key in COMPARED if key != "oe_ratio"} | {"differences": differences}


def _measures(
    part: Patients, settings: Settings, high: NDArray[np.bool_] | None
) -> dict[str, dict[str, Any]]:
    events = events_by(part.outcome, part.last_horizon)
    withheld = (
        f"{events} events, fewer than {settings.min_events}" if events < settings.min_events else ""
    )
    found = {key: _one(part, key, withheld).to_json() for key in _METHODS}
    keys = (*SHARES, "share_high")
    if withheld or high is None:
        reason = withheld or _NO_CUT
        return found | {
            key: missing(
                part, reason, method=SHARES.get(key, "share high"), horizon=part.last_horizon
            ).to_json()
            for key in keys
        }
    return found | classified(part, high)


def _one(part: Patients, key: str, withheld: str) -> Estimate:
    horizon, method = part.last_horizon, _METHODS[key]
    reason = withheld or (NO_RISK if part.risks is None else "")
    if part.risks is None or reason:
        return missing(part, reason, method=method, horizon=horizon)
    risk, outcome = part.risks[:, -1], part.outcome

    df = events_by(outcome, horizon) - 1.0

    def limits() -> tuple[float, float, float]:
        if key == "oe_ratio":
            found = observed_expected(outcome, risk, horizon)
            return (found.ratio, *found.interval(LEVEL, df=df))
        if key == "slope":
            slope = weak_calibration(outcome, risk, horizon).slope
            return (slope.estimate, *slope.interval(LEVEL, df=df))
        brier = brier_score(outcome, risk, horizon)
        if brier.ipa is None:
            raise NotEstimable("the Brier score of the marginal risk is 0, so there is no IPA")
        return (brier.ipa, *brier.ipa_interval(LEVEL, df=df))

    events = events_by(outcome, horizon)

    def make() -> Estimate:
        value, lower, upper = limits()
        return Estimate(
            estimate=value,
            lower=lower,
            upper=upper,
            method=method,
            n=part.n,
            events=events,
            horizon=horizon,
        )

    return attempt(make, method=method, n=part.n, events=events, horizon=horizon)


def _difference(
    part: Patients,
    key: str,
    here: Mapping[str, Mapping[str, Any]],
    there: Mapping[str, Mapping[str, Any]] | None,
) -> dict[str, Any]:
    ratio = key == "oe_ratio"
    what = "ratio to the rest" if ratio else "difference to the rest"
    method = f"{key}: {what}; {_JOINED}"
    horizon = part.last_horizon
    events = events_by(part.outcome, horizon)

    def make() -> Estimate:
        if there is None:
            raise NotEstimable("there is no rest")
        a, b = here[key], there[key]
        for number, who in ((a, "the subgroup"), (b, "the rest")):
            if number["estimate"] is None:
                raise NotEstimable(f"{who}: {number['reason']}")
        value, lower, upper = _joined(a, b, log=ratio)
        reason = None if lower is not None else "no interval: one of both parts has none"
        return Estimate(
            estimate=value,
            lower=lower,
            upper=upper,
            method=method,
            n=part.n,
            events=min(a["events"], b["events"]),
            horizon=horizon,
            reason=reason,
        )

    return attempt(make, method=method, n=part.n, events=events, horizon=horizon).to_json()


_Scale = Callable[[float], float]


def _joined(
    a: Mapping[str, Any], b: Mapping[str, Any], *, log: bool
) -> tuple[float, float | None, float | None]:
    if log and not min(a["estimate"], b["estimate"]) > 0.0:
        raise NotEstimable("a ratio of 0 has no log scale")
    forth: _Scale = np.log if log else float
    back: _Scale = np.exp if log else float
    one, other = forth(a["estimate"]), forth(b["estimate"])
    value = float(back(one - other))
    ends = (a["lower"], a["upper"], b["lower"], b["upper"])
    if any(end is None or (log and not end > 0.0) for end in ends):
        return value, None, None
    low_a, high_a, low_b, high_b = (forth(end) for end in ends)
    down = float(np.hypot(one - low_a, high_b - other))
    up = float(np.hypot(high_a - one, other - low_b))
    return value, float(back(one - other - down)), float(back(one - other + up))
