"""Six public data sets against the values R gave for them (``expected_results_r.json``).

The values are printed with five or six significant digits; they are held to half a unit of the
last one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.cox import CoxModel, fit_cox
from metastra.survival.fine_gray import fit_fine_gray
from metastra.survival.gray import gray_test
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.logrank import logrank
from metastra.survival.outcome import Outcome


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, Any]:
    """All expected values."""
    text = (shared / "data" / "survival" / "expected_results_r.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def table(shared: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(shared / "data" / "survival" / f"{name}.csv")


def near(found: object, value: object, digits: float = 6e-6) -> None:
    """Agree to the digits printed: six decimals, or six significant figures."""
    assert np.asarray(found) == pytest.approx(np.asarray(value, dtype=float), rel=digits, abs=6e-7)


def dummies(
    frame: pd.DataFrame, columns: list[str], prefix: dict[str, list[object]]
) -> pd.DataFrame:
    """Design matrix with named indicator columns, in R's order."""
    parts = []
    for column in columns:
        if column in prefix:
            levels = prefix[column]
            parts += [(frame[column] == v).astype(float).rename(f"{column}{v}") for v in levels]
        else:
            parts.append(frame[column].astype(float))
    return pd.concat(parts, axis=1)


def check_model(model: CoxModel, value: dict[str, Any]) -> None:
    near(model.coef, list(value["coef"].values()))
    near(model.std_error, list(value["se"].values()))
    assert [model.loglik_null, model.loglik] == pytest.approx(value["loglik"], abs=6e-5)
    assert (model.n, model.n_events) == (value["n"], value["events"])


def fit(frame: pd.DataFrame, time: str, event: object, x: pd.DataFrame, ties: str) -> CoxModel:
    y = Outcome(time=frame[time], event=np.asarray(event, dtype=int))
    return fit_cox(y, x, names=list(x.columns), ties=ties)


def check_curve(y: Outcome, group: np.ndarray | None, labels: list[Any], value: Any) -> None:
    survival, error, lower, upper = [], [], [], []
    for label in labels:
        km = kaplan_meier(y if group is None else y.take(group == label))
        at = value["time"]
        survival.append(float(km.survival_at(at)))
        error.append(float(km.std_error_at(at)))
        limits = km.interval_at(at)
        lower.append(float(limits[0]))
        upper.append(float(limits[1]))
    for found, name in ((survival, "surv"), (error, "se"), (lower, "lower"), (upper, "upper")):
        near(found, np.atleast_1d(value[name]), digits=3e-5 if name == "se" else 6e-6)


RX = {"rx": ["Lev", "Lev+5FU"]}


def test_colon(shared: Path, expected: dict[str, Any]) -> None:
    """Survival and recurrence by arm, log-rank, and three Cox models."""
    long, values = table(shared, "colon"), expected["colon"]
    death = long[long["etype"] == 2].reset_index(drop=True)
    recurrence = long[long["etype"] == 1].reset_index(drop=True)
    arms = ["Obs", "Lev", "Lev+5FU"]
    y_death = Outcome(time=death["time"], event=death["status"])
    y_recurrence = Outcome(time=recurrence["time"], event=recurrence["status"])
    check_curve(y_death, death["rx"].to_numpy(), arms, values["km_os_5y"])
    check_curve(y_recurrence, recurrence["rx"].to_numpy(), arms, values["km_recurrence_free_5y"])
    test = logrank(y_death, death["rx"].to_numpy())
    near([test.chisq, test.df, test.p], list(values["logrank_os"].values()), digits=1e-5)
    x = dummies(death, ["rx"], RX)
    check_model(fit(death, "time", death["status"], x, "efron"), values["cox_os_rx"])
    columns = ["rx", "age", "sex", "obstruct", "adhere", "node4", "extent"]
    x = dummies(recurrence, columns, RX)
    model = fit(recurrence, "time", recurrence["status"], x, "efron")
    check_model(model, values["cox_rfs_multi"])
    x = dummies(death, ["rx", "age", "sex", "node4"], RX)
    model = fit(death, "time", death["status"], x, "breslow")
    check_model(model, values["cox_os_multi_breslow"])


def test_colon_with_competing_risks(shared: Path, expected: dict[str, Any]) -> None:
    """Incidences, cause-specific models, Fine–Gray after crr, and Gray's test."""
    frame, values = table(shared, "colon_competing"), expected["colon_competing"]
    y = Outcome(time=frame["ct"], event=frame["cs"])
    risks = aalen_johansen(y)
    near(risks[1].incidence_at(values["times"]), values["cif_recurrence"])
    near(risks[2].incidence_at(values["times"]), values["cif_death_without_recurrence"])
    x = dummies(frame, ["rx", "node4"], RX)
    for cause in (1, 2):
        model = fit(frame, "ct", frame["cs"] == cause, x, "efron")
        check_model(model, values[f"csc_cause{cause}"])
    crr = fit_fine_gray(y, x, convention="crr")
    near(crr.coef, list(values["finegray_cause1"]["coef"].values()), digits=3e-5)
    near(crr.std_error, values["finegray_cause1"]["se"], digits=1e-5)
    tests = [gray_test(y, frame["rx"].to_numpy(), cause=cause) for cause in (1, 2)]
    near([test.chisq for test in tests], values["gray_test"]["stat"])
    near([test.p for test in tests], values["gray_test"]["p"], digits=2e-5)


def test_melanoma(shared: Path, expected: dict[str, Any]) -> None:
    """Incidences, cause-specific models and Fine–Gray after crr."""
    frame, values = table(shared, "melanoma"), expected["melanoma"]
    y = Outcome(time=frame["time"], event=frame["status"])
    risks = aalen_johansen(y)
    near(risks[1].incidence_at(values["times"]), values["cif_melanoma_death"])
    near(risks[2].incidence_at(values["times"]), values["cif_other_death"])
    x = dummies(frame, ["thick", "sex", "age", "ulcer"], {"sex": ["Male"], "ulcer": ["present"]})
    for cause in (1, 2):
        model = fit(frame, "time", frame["status"] == cause, x, "efron")
        check_model(model, values[f"csc_cause{cause}"])
    crr = fit_fine_gray(y, x, convention="crr")
    near(crr.coef, list(values["finegray_cause1"]["coef"].values()), digits=1e-4)
    near(crr.std_error, values["finegray_cause1"]["se"], digits=6e-5)


def test_breast_with_competing_risks(shared: Path, expected: dict[str, Any]) -> None:
    """Both cause-specific models of the development half."""
    frame, values = table(shared, "breast_cr_development"), expected["breast_competing"]
    levels: dict[str, list[object]] = {"ncat": ["positive"], "hr_status": ["ER-/PR-"]}
    x = dummies(frame, ["age", "size", "ncat", "hr_status"], levels)
    for cause in (1, 2):
        model = fit(frame, "time", frame["status_num"] == cause, x, "efron")
        check_model(model, values[f"csc_cause{cause}_dev"])


def test_rotterdam_and_gbsg(shared: Path, expected: dict[str, Any]) -> None:
    """Recurrence-free and overall survival, and a Cox model on each."""
    frame, values = table(shared, "rotterdam"), expected["rotterdam"]
    either = np.maximum(frame["recur"], frame["death"])
    time = np.where(frame["recur"] == 1, frame["rtime"], frame["dtime"]) / 365.25
    event = either
    y = Outcome(time=time, event=event)
    check_curve(y, None, [None], values["km_rfs_5y"])
    overall = Outcome(time=frame["dtime"] / 365.25, event=frame["death"])
    check_curve(overall, None, [None], values["km_os_10y"])
    x = dummies(frame, ["size", "nodes", "grade", "age"], {"size": ["20-50", ">50"]})
    check_model(fit_cox(y, x, names=list(x.columns)), values["cox_rfs"])
    gbsg, values = table(shared, "gbsg"), expected["gbsg"]
    y = Outcome(time=gbsg["rfstime"], event=gbsg["status"])
    check_curve(y, gbsg["hormon"].to_numpy(), [0, 1], values["km_rfs_5y"])
    columns = ["hormon", "age", "size", "grade", "nodes", "pgr", "er"]
    x = dummies(gbsg, columns, {"grade": [2, 3]})
    check_model(fit(gbsg, "rfstime", gbsg["status"], x, "efron"), values["cox"])


def test_distant_metastasis_in_brca_epi(shared: Path, expected: dict[str, Any]) -> None:
    """First of metastasis and death; incidences and the Cox model of metastasis."""
    frame, values = table(shared, "brca_epi_multistate"), expected["brca_epi"]
    first = frame[["tom", "tod", "tox"]].min(axis=1)
    cause = np.select([frame["tom"] == first, frame["tod"] == first], [1, 2], 0)
    y = Outcome(time=first, event=cause)
    assert [int(np.sum(cause == code)) for code in (0, 1, 2)] == list(values["counts"].values())
    risks = aalen_johansen(y)
    near(risks[1].incidence_at(values["times"]), values["cif_metastasis"])
    near(risks[2].incidence_at(values["times"]), values["cif_death_without_metastasis"])
    levels: dict[str, list[object]] = {"size": [">20-50 mm", ">50 mm"], "grade": [3]}
    x = dummies(frame, ["size", "nodes", "grade", "pr.tr"], levels)
    check_model(fit_cox(y.only(1), x, names=list(x.columns)), values["cox_metastasis"])
