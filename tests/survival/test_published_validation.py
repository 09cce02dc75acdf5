"""Published external validations and stored R values, from the public tables to the last figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from metastra.survival.absolute_risk import absolute_risk, fit_cause_specific_cox
from metastra.survival.brier import brier_score
from metastra.survival.calibration import observed_expected, weak_calibration
from metastra.survival.calibration_curve import cox_slope, spline_curve
from metastra.survival.concordance import concordance
from metastra.survival.cox import fit_cox
from metastra.survival.dynamic_auc import dynamic_auc
from metastra.survival.outcome import Outcome


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, Any]:
    """All values that R gave."""
    path = shared / "data" / "survival" / "expected_results_r.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def table(shared: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(shared / "data" / "survival" / f"{name}.csv")


def melanoma_design(frame: pd.DataFrame) -> np.ndarray:
    columns = [frame["thick"], frame["sex"] == "Male", frame["age"], frame["ulcer"] == "present"]
    return np.column_stack(columns).astype(float)


def breast_design(frame: pd.DataFrame) -> np.ndarray:
    columns = [
        frame["age"],
        frame["size"],
        frame["ncat"] == "positive",
        frame["hr_status"] == "ER-/PR-",
    ]
    return np.column_stack(columns).astype(float)


@pytest.mark.parametrize("model", sorted(["brca", "luad"]))
def test_stored_concordances_of_eleven_published_models(shared: Path, model: str):
    """Harrell's C per fold, averaged over five folds, is what the MCAT authors stored."""
    folder = shared / "data" / "tcga" / "mcat_published_risks"
    risks = pd.read_csv(folder / f"{model}_validation_risks.csv.gz")
    stored = pd.read_csv(folder / f"{model}_published_mean_cindex.csv").set_index("model")
    assert len(stored) == 11

    for name, folds in risks.groupby("model"):
        values = [
            concordance(Outcome(time=fold["months"], event=fold["event"]), fold["risk"]).estimate
            for _, fold in folds.groupby("fold")
        ]
        assert len(values) == 5
        assert np.mean(values) == pytest.approx(stored.loc[name, "mean_val_cindex"], abs=1e-6)


def test_competing_risk_validation_in_breast_cancer(shared: Path, expected: dict[str, Any]):
    """van Geloven et al. 2022: fit on the development half, judge on the validation half."""
    values = expected["breast_competing"]
    development = table(shared, "breast_cr_development")
    validation = table(shared, "breast_cr_validation")
    y = Outcome(time=development["time"], event=development["status_num"])
    models = fit_cause_specific_cox(y, breast_design(development))
    risk = absolute_risk(models, breast_design(validation), [5.0])[:, 0]
    stored = table(shared, "breast_cr_validation_reference_predictions")
    assert validation["id"].tolist() == stored["id"].tolist()
    assert risk == pytest.approx(stored["predicted_risk_5y_cause1"], abs=1e-6)

    y = Outcome(time=validation["time"], event=validation["status_num"])
    auc, brier = dynamic_auc(y, risk, 5.0), brier_score(y, risk, 5.0)
    large, weak = observed_expected(y, risk, 5.0), weak_calibration(y, risk, 5.0)

    assert auc.estimate == pytest.approx(values["validation_auc_5y"], abs=6e-6)
    assert brier.estimate == pytest.approx(values["validation_brier_5y"], abs=6e-5)
    assert brier.ipa == pytest.approx(values["validation_ipa_5y"], abs=6e-6)
    assert large.observed == pytest.approx(values["observed_aj_5y"], abs=6e-6)
    assert large.expected == pytest.approx(values["mean_predicted_5y"], abs=6e-6)
    assert large.ratio == pytest.approx(values["OE"], abs=6e-6)
    # as printed in the paper
    assert auc.interval() == pytest.approx((0.66, 0.77), abs=0.006)
    assert large.interval() == pytest.approx((0.67, 0.97), abs=0.005)
    assert weak.intercept.estimate == pytest.approx(-0.15, abs=0.005)
    assert weak.intercept.interval() == pytest.approx((-0.36, 0.05), abs=0.005)
    assert weak.slope.estimate == pytest.approx(1.22, abs=0.005)
    assert weak.slope.interval() == pytest.approx((0.84, 1.60), abs=0.005)
    wolbers = concordance(y, risk, method="wolbers", tau=5.0)
    assert wolbers.estimate == pytest.approx(0.71, abs=0.005)


def spline_of_nodes(nodes: pd.Series) -> np.ndarray:
    """Restricted cubic spline with knots at 0, 1 and 9, winsorised at 19."""
    x = np.minimum(nodes.to_numpy(dtype=float), 19.0)
    a, b, c = (np.maximum(x - knot, 0.0) ** 3 for knot in (0.0, 1.0, 9.0))
    return np.column_stack([x, (a - b * 9.0 / 8.0 + c * 1.0 / 8.0) / 81.0])


def test_rotterdam_model_in_the_german_trial(shared: Path):
    """McLernon et al. 2023: the published development and external validation, whole."""
    dev, val = table(shared, "rotterdam"), table(shared, "gbsg")
    late_death = (dev["recur"] == 0) & (dev["death"] == 1) & (dev["rtime"] < dev["dtime"])
    assert late_death.sum() == 43
    time = np.where(late_death, dev["dtime"], dev["rtime"]) / 365.25
    y = Outcome(time=time, event=np.maximum(dev["recur"], dev["death"])).until(5.0)
    x = np.column_stack(
        [
            dev["size"] == "20-50",
            dev["size"] == ">50",
            spline_of_nodes(dev["nodes"]),
            dev["grade"] == 3,
        ]
    )
    model = fit_cox(y, x.astype(float))
    assert model.coef == pytest.approx([0.34184, 0.57355, 0.30397, -0.81117, 0.36171], abs=6e-6)

    size = val["size"]
    new = np.column_stack(
        [(size > 20) & (size <= 50), size > 50, spline_of_nodes(val["nodes"]), val["grade"] == 3]
    ).astype(float)
    y = Outcome(time=val["rfstime"] / 365.25, event=val["status"]).until(5.0)
    risk, score = model.risk_at(new, 5.0), model.linear_predictor(new)

    harrell, uno = concordance(y, score), concordance(y, score, method="uno")
    assert harrell.estimate == pytest.approx(0.65, abs=0.005)
    assert harrell.interval() == pytest.approx((0.62, 0.69), abs=0.006)
    assert uno.estimate == pytest.approx(0.64, abs=0.005)
    assert uno.interval() == pytest.approx((0.60, 0.67), abs=0.005)
    auc = dynamic_auc(y, score, 4.99)
    assert auc.estimate == pytest.approx(0.68, abs=0.005)
    assert auc.interval() == pytest.approx((0.62, 0.73), abs=0.005)
    large = observed_expected(y, risk, 5.0)
    assert large.ratio == pytest.approx(1.017, abs=0.0005)
    assert large.interval(source="events") == pytest.approx((0.906, 1.143), abs=0.0005)
    slope = cox_slope(y, risk)
    assert slope.estimate == pytest.approx(1.056, abs=0.0005)
    assert slope.interval() == pytest.approx((0.816, 1.297), abs=0.0006)
    curve = spline_curve(y, risk, 5.0)
    assert (curve.ici, curve.e50, curve.e90) == pytest.approx((0.0302, 0.0263, 0.0747), abs=2e-4)
    brier = brier_score(y, risk, 4.99)
    assert brier.estimate == pytest.approx(0.22, abs=0.005)
    assert brier.ipa == pytest.approx(0.10, abs=0.005)


def test_apparent_accuracy_in_melanoma(shared: Path, expected: dict[str, Any]):
    """AUC, Brier score and IPA of the cause-specific model at three times, as Score gave them."""
    frame, values = table(shared, "melanoma"), expected["melanoma"]
    y = Outcome(time=frame["time"], event=frame["status"])
    x = melanoma_design(frame)
    risks = absolute_risk(fit_cause_specific_cox(y, x), x, values["times"])
    score = values["score_csc_apparent"]

    for k, horizon in enumerate(values["times"]):
        brier = brier_score(y, risks[:, k], horizon)
        auc = dynamic_auc(y, risks[:, k], horizon).estimate
        assert auc == pytest.approx(score["auc"][k], abs=1e-6)
        assert brier.estimate == pytest.approx(score["brier"][k], abs=1e-6)
        assert brier.null == pytest.approx(score["brier_null"][k], abs=1e-6)
        assert brier.ipa == pytest.approx(score["ipa"][k], abs=1e-6)


def test_concordance_of_fitted_models(shared: Path, expected: dict[str, Any]):
    """Harrell's C of the linear predictor of Cox models on five data sets."""
    mela = table(shared, "melanoma")
    both = Outcome(time=mela["time"], event=mela["status"])
    breast = table(shared, "breast_cr_development")
    halves = Outcome(time=breast["time"], event=breast["status_num"])
    gbsg = table(shared, "gbsg")
    grades = [gbsg["grade"] == 2, gbsg["grade"] == 3]
    design = np.column_stack(
        [gbsg["hormon"], gbsg["age"], gbsg["size"], *grades, gbsg["nodes"], gbsg["pgr"], gbsg["er"]]
    ).astype(float)
    cases = [
        (both.only(1), melanoma_design(mela), expected["melanoma"]["csc_cause1"]),
        (both.only(2), melanoma_design(mela), expected["melanoma"]["csc_cause2"]),
        (halves.only(1), breast_design(breast), expected["breast_competing"]["csc_cause1_dev"]),
        (halves.only(2), breast_design(breast), expected["breast_competing"]["csc_cause2_dev"]),
        (Outcome(time=gbsg["rfstime"], event=gbsg["status"]), design, expected["gbsg"]["cox"]),
    ]

    for y, x, value in cases:
        score = fit_cox(y, x).linear_predictor(x)
        # equal patients must have equal scores; rounding noise would break their ties
        result = concordance(y, np.round(score, 10))
        assert result.estimate == pytest.approx(value["harrell_c"], abs=6e-6)
