"""Handlers of the regression estimators."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metastra.errors import DataError
from metastra.survival.absolute_risk import absolute_risk, fit_cause_specific_cox
from metastra.survival.cox import CoxModel, fit_cox, likelihood_ratio_test
from metastra.survival.fine_gray import FineGrayConvention, FineGrayModel, fit_fine_gray
from metastra.survival.outcome import Outcome
from metastra.survival.partial_likelihood import Ties
from metastra.survival.zph import TimeTransform, proportional_hazards_test
from metastra.testing.reference.data import Case, Handler
from metastra.testing.reference.expressions import evaluate

__all__ = ["HANDLERS"]


def _ties(case: Case) -> Ties:
    return cast("Ties", str(case.args.get("ties") or "efron"))


def _labels(case: Case, frame: pd.DataFrame, role: str) -> NDArray[Any] | None:
    """Strata or clusters of a role; several columns together make the label."""
    names = case.names(role)
    if not names:
        return None
    if len(names) == 1:
        return np.asarray(evaluate(names[0], frame).to_numpy())
    return np.asarray(frame[names].astype(str).agg("/".join, axis=1).to_numpy())


def _report(model: CoxModel) -> dict[str, object]:
    """Name what R's summary of a Cox model holds."""
    lower, upper = model.hazard_ratio_interval()
    result: dict[str, object] = {
        "n": model.n,
        "events": model.n_events,
        "names": list(model.names),
        "coef": model.coef,
        "se": model.std_error,
        "hr": model.hazard_ratio,
        "hr_lower": lower,
        "hr_upper": upper,
        "p": model.p,
        "loglik_null": model.loglik_null,
        "loglik": model.loglik,
        "lr_chisq": model.lr_test.chisq,
        "lr_df": model.lr_test.df,
        "wald_chisq": model.wald_test.chisq,
        "score_chisq": model.score_test.chisq,
    }
    if model.robust_covariance is not None:
        result["robust_se"] = model.robust_std_error
    return result


def _fit(case: Case, frame: pd.DataFrame, role: str = "x") -> CoxModel:
    frame = case.complete(frame, "time", "event", "status", "entry", role, "strata", "cluster")
    return fit_cox(
        case.outcome(frame),
        case.matrix(frame, role),
        names=case.names(role),
        ties=_ties(case),
        strata=_labels(case, frame, "strata"),
        cluster=_labels(case, frame, "cluster"),
    )


def _cox(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    return _report(_fit(case, frame))


def _zph(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    model = _fit(case, frame)
    transform = cast("TimeTransform", str(case.args.get("transform") or "km"))
    test = proportional_hazards_test(model, transform=transform)
    every = [*test.tests, test.overall]
    return {
        "names": [*test.names, "GLOBAL"],
        "chisq": [one.chisq for one in every],
        "df": [one.df for one in every],
        "p": [one.p for one in every],
    }


def predict_rows(case: Case, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows to predict: ``"rows 1-5"``, ``"first 5 complete-case rows"`` or a list of numbers.

    Parameters
    ----------
    case : Case
        With ``args.predict_rows``.
    frame : pandas.DataFrame
        The case's rows.

    Returns
    -------
    pandas.DataFrame
        Those rows.

    Raises
    ------
    DataError
        When the words are not understood.
    """
    asked = case.args.get("predict_rows")
    if asked is None:
        return frame
    if isinstance(asked, int):
        return frame.iloc[[asked - 1]]
    if isinstance(asked, Sequence) and not isinstance(asked, str):
        return frame.iloc[[int(row) - 1 for row in asked]]
    text = str(asked).strip()
    first = re.fullmatch(r"(?:the )?first (\d+)\b(.*)", text)
    if first:
        if "complete" in first[2]:
            frame = case.complete(frame, "x")
        return frame.iloc[: int(first[1])]
    span = re.fullmatch(r"rows? (\d+)(?: *(?:-|–|to|:) *(\d+))?", text)
    if span:
        return frame.iloc[int(span[1]) - 1 : int(span[2] or span[1])]
    raise DataError(f"predict_rows {text!r} is not understood")


def _predict_survival(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    model = _fit(case, frame)
    times = case.values("times")
    new = case.matrix(predict_rows(case, frame))
    return {"times": times, "surv": model.predict_survival(new, times)}


def _likelihood_ratio(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    smaller = _fit(case, frame, "x0")
    larger = _fit(case, frame, "x1")
    test = likelihood_ratio_test(smaller, larger)
    return {
        "n": larger.n,
        "chisq": test.chisq,
        "df": test.df,
        "p": test.p,
        "aic0": smaller.aic,
        "aic1": larger.aic,
    }


def _ridge(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    frame = case.complete(frame, "time", "event", "x")
    model = fit_cox(
        case.outcome(frame),
        case.matrix(frame),
        names=case.names("x"),
        ties=_ties(case),
        ridge=float(case.args["theta"]),
    )
    return {"names": list(model.names), "coef": model.coef}


def _switch(case: Case, frame: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Who switches, and when."""
    switched = case.numbers(frame, "switch") == 1
    return switched, case.numbers(frame, "switch_time")


def _time_dependent(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    frame = case.complete(frame, "time", "event", "switch", "x")
    switched, at = _switch(case, frame)
    time, event = case.numbers(frame, "time"), case.numbers(frame, "event")
    rule = str(case.args.get("split") or "")
    written = re.search(r"switch time *= *([^;]+)", rule)
    if written:
        at = evaluate(written[1], frame).to_numpy(dtype=np.float64)
    at = np.where(switched, at, np.inf)
    x = case.matrix(frame)
    before, after = at > 0.0, at < time
    both = before & after
    start = np.concatenate([np.zeros(before.sum()), np.where(both, at, 0.0)[after]])
    stop = np.concatenate([np.minimum(at, time)[before], time[after]])
    ends = np.concatenate([np.where(after, 0.0, event)[before], event[after]])
    state = np.concatenate([np.zeros(before.sum()), np.ones(after.sum())])
    name = re.match(r"(\w+) *=", rule)
    model = fit_cox(
        Outcome(time=stop, event=ends, entry=start),
        np.column_stack([state, np.concatenate([x[before], x[after]])]),
        names=[name[1] if name else "recur", *case.names("x")],
        ties=_ties(case),
    )
    return _report(model)


def _landmark(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    frame = case.complete(frame, "time", "event", "switch", "x")
    landmark = float(case.args["landmark"])
    time = case.numbers(frame, "time")
    switched, at = _switch(case, frame)
    known = (switched & (at <= landmark)).astype(np.float64)
    keep = time > landmark
    wanted = case.expected.get("names")
    name = str(wanted[0]) if isinstance(wanted, list) and wanted else "r"
    model = fit_cox(
        Outcome(time=time[keep] - landmark, event=case.numbers(frame, "event")[keep]),
        np.column_stack([known, case.matrix(frame)])[keep],
        names=[name, *case.names("x")],
        ties=_ties(case),
    )
    return _report(model)


def _fit_fine_gray(
    case: Case, frame: pd.DataFrame, convention: FineGrayConvention
) -> FineGrayModel:
    frame = case.complete(frame, "time", "status", "x")
    return fit_fine_gray(
        case.outcome(frame),
        case.matrix(frame),
        cause=int(case.args.get("cause") or 1),
        names=case.names("x"),
        convention=convention,
    )


def _fine_gray(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    model = _fit_fine_gray(case, frame, "finegray")
    return {
        "names": list(model.names),
        "coef": model.coef,
        "robust_se": model.std_error,
        "naive_se": model.naive_std_error,
    }


def _prediction_times(case: Case) -> list[float]:
    """Find the times of predictions: an argument, or given beside the expected values."""
    if "times" in case.args:
        return case.values("times")
    times = case.expected.get("pred_times", [])
    return [float(time) for time in (times if isinstance(times, list) else [times])]


def _fine_gray_crr(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    model = _fit_fine_gray(case, frame, "crr")
    result: dict[str, object] = {
        "names": list(model.names),
        "coef": model.coef,
        "se": model.std_error,
        "loglik_null": model.loglik_null,
        "loglik": model.loglik,
        "converged": model.converged,
    }
    times = _prediction_times(case)
    if times:
        complete = case.complete(frame, "time", "status", "x")
        new = case.matrix(predict_rows(case, complete))
        result["pred_times"] = times
        result["pred_cif"] = model.predict_incidence(new, times, extend=True).T
    return result


def _cause_specific(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    complete = case.complete(frame, "time", "status", "x")
    models = fit_cause_specific_cox(
        case.outcome(complete), case.matrix(complete), names=case.names("x"), ties=_ties(case)
    )
    times = _prediction_times(case)
    new = case.matrix(predict_rows(case, frame))
    cause = int(case.args.get("cause") or 1)
    return {
        "coef": [dict(zip(m.names, m.coef.tolist(), strict=True)) for m in models.values()],
        "se": [model.std_error for model in models.values()],
        "pred_times": times,
        f"risk{cause}": absolute_risk(models, new, times, cause=cause),
        "risk1": absolute_risk(models, new, times, cause=cause),
    }


HANDLERS: dict[str, Handler] = {
    "cox": _cox,
    "cox_stratified": _cox,
    "cox_cluster": _cox,
    "cox_stratified_cluster": _cox,
    "cox_time_fixed_biased": _cox,
    "cox_time_dependent": _time_dependent,
    "cox_landmark": _landmark,
    "cox_zph": _zph,
    "cox_predict_survival": _predict_survival,
    "cox_ridge": _ridge,
    "likelihood_ratio_test": _likelihood_ratio,
    "fine_gray": _fine_gray,
    "fine_gray_crr": _fine_gray_crr,
    "cause_specific_cox_risk": _cause_specific,
}
