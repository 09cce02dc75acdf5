"""Handlers of the nonparametric estimators."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.gray import gray_test
from metastra.survival.intervals import IntervalScale
from metastra.survival.kaplan_meier import KaplanMeier, kaplan_meier, reverse_kaplan_meier
from metastra.survival.logrank import logrank
from metastra.survival.rmst import rmst
from metastra.testing.reference.data import Case, Handler

__all__ = ["HANDLERS"]


def _scale(case: Case) -> IntervalScale:
    """Scale of the limits; R says arcsin."""
    name = str(case.args.get("conf", "log"))
    return cast("IntervalScale", {"arcsin": "arcsine"}.get(name, name))


def _kaplan_meier(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    outcome = case.outcome(case.complete(frame, "time", "event", "entry"))
    km = kaplan_meier(outcome, interval=_scale(case))
    times = np.array(case.values("times"))
    lower, upper = km.interval_at(times, extend=True)
    median = km.median()
    return {
        "n": outcome.n,
        "events": outcome.n_events(),
        "times": times,
        "n_risk": _n_risk(km, times),
        "surv": km.survival_at(times, extend=True),
        "std_err": km.std_error_at(times, extend=True),
        "lower": lower,
        "upper": upper,
        "median": median.value,
        "median_lower": median.lower,
        "median_upper": median.upper,
    }


def _n_risk(km: KaplanMeier, times: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count those at risk at the next recorded time, as R's ``summary.survfit`` does."""
    position = np.searchsorted(km.times, times, side="left")
    return cast("NDArray[np.int64]", np.append(km.n_risk, 0)[position])


def _reverse(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    outcome = case.outcome(case.complete(frame, "time", "event"))
    median = reverse_kaplan_meier(outcome).median()
    return {"median_followup": median.value, "lower": median.lower, "upper": median.upper}


def _rmst(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    tau = float(case.args["tau"])
    mean = rmst(case.outcome(case.complete(frame, "time", "event")), tau)
    return {"tau": tau, "rmst": mean.value, "std_err": mean.std_error}


def _logrank(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    frame = case.complete(frame, "time", "event", "group", "strata")
    names = case.names("strata")
    strata = frame[names].astype(str).agg("/".join, axis=1).to_numpy() if names else None
    test = logrank(
        case.outcome(frame),
        case.series(frame, "group").to_numpy(),
        strata=strata,
        rho=float(case.args.get("rho") or 0.0),
    )
    labels, order = _r_order(test.groups, case.expected.get("groups"))
    return {
        "groups": labels,
        "observed": test.observed[order],
        "expected": test.expected[order],
        "chisq": test.chisq,
        "df": test.df,
        "p": test.p,
    }


def _r_order(groups: tuple[object, ...], wanted: Any) -> tuple[list[str], list[int]]:
    """Labels and the order of the counts.

    The case says the order of its text labels, which in R depends on the locale.  Numeric groups
    are counted in numeric order while their labels are sorted as text.
    """
    labels = [_label(group) for group in groups]
    if not all(isinstance(group, str) for group in groups):
        return sorted(labels), list(range(len(labels)))
    wanted = [str(label) for label in wanted] if isinstance(wanted, list) else []
    if sorted(wanted) != sorted(labels):
        return labels, list(range(len(labels)))
    return wanted, [labels.index(label) for label in wanted]


def _label(group: object) -> str:
    whole = isinstance(group, float) and group.is_integer()
    return str(int(group)) if whole else str(group)  # type: ignore[call-overload]


def _aalen_johansen(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    outcome = case.outcome(case.complete(frame, "time", "status", "event"))
    times = np.array(case.values("times"))
    causes = [int(cause) for cause in case.values("causes")] or [1, 2]
    result: dict[str, object] = {"n": outcome.n, "times": times}
    for cause, risk in aalen_johansen(outcome, causes=causes, interval=_scale(case)).items():
        lower, upper = risk.interval_at(times, extend=True)
        result[f"cif{cause}"] = risk.incidence_at(times, extend=True)
        result[f"se{cause}"] = risk.std_error_at(times, extend=True)
        result[f"lower{cause}"], result[f"upper{cause}"] = lower, upper
    return result


def _gray(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    frame = case.complete(frame, "time", "status", "group", "strata")
    outcome = case.outcome(frame)
    group = case.series(frame, "group").to_numpy()
    strata = case.series(frame, "strata").to_numpy() if case.names("strata") else None
    tests = [
        gray_test(
            outcome, group, cause=cause, strata=strata, rho=float(case.args.get("rho") or 0.0)
        )
        for cause in outcome.causes
    ]
    return {
        "stat": [test.chisq for test in tests],
        "p": [test.p for test in tests],
        "df": [test.df for test in tests],
    }


HANDLERS: dict[str, Handler] = {
    "kaplan_meier": _kaplan_meier,
    "kaplan_meier_near_ties": _kaplan_meier,
    "kaplan_meier_left_truncated": _kaplan_meier,
    "reverse_kaplan_meier": _reverse,
    "rmst": _rmst,
    "logrank": _logrank,
    "logrank_stratified": _logrank,
    "fleming_harrington": _logrank,
    "aalen_johansen": _aalen_johansen,
    "gray_test": _gray,
}
