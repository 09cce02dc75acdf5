"""Handlers of calibration, pseudo-observations and net benefit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from metastra.survival.calibration import observed_expected, weak_calibration
from metastra.survival.calibration_curve import (
    calibration_groups,
    cox_slope,
    loess_curve,
    spline_curve,
)
from metastra.survival.net_benefit import net_benefit
from metastra.survival.pseudo_values import pseudo_observations
from metastra.testing.reference.data import Case, Handler

__all__ = ["HANDLERS"]


def _calibration(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    frame = case.complete(frame, "time", "event", "status", "risk")
    outcome, risk = case.outcome(frame), case.numbers(frame, "risk")
    horizon = case.values("t")[0]
    large = observed_expected(outcome, risk, horizon)
    weak = weak_calibration(outcome, risk, horizon)
    loess = loess_curve(outcome, risk, horizon)
    result: dict[str, object] = {
        "t": horizon,
        "observed": large.observed,
        "observed_se": large.observed_std_error,
        "expected": large.expected,
        "oe": large.ratio,
        "events_by_t": large.events,
        "pseudo_intercept": weak.intercept.estimate,
        "pseudo_intercept_se": weak.intercept.std_error,
        "pseudo_slope": weak.slope.estimate,
        "pseudo_slope_se": weak.slope.std_error,
        "pseudo_joint_wald": weak.joint_chi2,
        "pseudo_loess_ici": loess.ici,
        "pseudo_loess_e50": loess.e50,
        "pseudo_loess_e90": loess.e90,
    }
    result["oe_lower_se"], result["oe_upper_se"] = large.interval()
    result["oe_lower_events"], result["oe_upper_events"] = large.interval(source="events")
    return result


def _calibration_one_event(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    result = _calibration(case, frame)
    frame = case.complete(frame, "time", "event", "status", "risk")
    outcome, risk = case.outcome(frame), case.numbers(frame, "risk")
    slope = cox_slope(outcome, risk)
    spline = spline_curve(outcome, risk, case.values("t")[0])
    return result | {
        "cox_slope": slope.estimate,
        "cox_slope_se": slope.std_error,
        "rcs_knots": spline.knots,
        "rcs_coef": spline.coefficients,
        "rcs_observed_first10": spline.observed[:10],
        "rcs_ici": spline.ici,
        "rcs_e50": spline.e50,
        "rcs_e90": spline.e90,
        "rcs_emax": spline.e_max,
    }


def _groups(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    frame = case.complete(frame, "time", "event", "status", "risk")
    horizon = case.values("t")[0]
    groups = calibration_groups(
        case.outcome(frame),
        case.numbers(frame, "risk"),
        horizon,
        n_groups=int(case.values("k")[0]),
    )
    return {
        "t": horizon,
        "n": [group.n for group in groups],
        "mean_predicted": [group.mean_risk for group in groups],
        "observed": [group.observed for group in groups],
        "se": [group.std_error for group in groups],
    }


def _pseudo(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    outcome = case.outcome(case.complete(frame, "time", "event", "status"))
    horizon = case.values("t")[0]
    cause = int((case.values("cause") or [1.0])[0])
    exact = pseudo_observations(outcome, horizon, cause=cause)
    derivative = pseudo_observations(outcome, horizon, cause=cause, method="infinitesimal")
    return {
        "first20": exact[:20],
        "sum": float(np.sum(exact)),
        "ij_first20": derivative[:20],
        "ij_sum": float(np.sum(derivative)),
    }


def _net_benefit(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    frame = case.complete(frame, "time", "event", "status", "risk")
    horizon, thresholds = case.values("t")[0], case.values("thresholds")
    result = net_benefit(case.outcome(frame), case.numbers(frame, "risk"), horizon, thresholds)
    return {
        "t": horizon,
        "thresholds": thresholds,
        "p_positive": result.share_positive,
        "nb_model": result.model,
        "nb_all": result.treat_all,
    }


HANDLERS: dict[str, Handler] = {
    "calibration": _calibration_one_event,
    "calibration_competing": _calibration,
    "calibration_groups": _groups,
    "pseudo_observations": _pseudo,
    "pseudo_observations_competing": _pseudo,
    "net_benefit": _net_benefit,
    "net_benefit_competing": _net_benefit,
}
