"""The clinical model against a known truth: near the best that its predictors allow, no better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from metastra.bundle.contract import MissingRule, Predictor
from metastra.survival.outcome import Outcome
from metastra.synthetic.case_mix import COHORTS, Detection
from metastra.synthetic.covariates import Covariates
from metastra.synthetic.generate import generate
from metastra.synthetic.hazard import HazardModel
from metastra.synthetic.patients import draw_patients
from metastra.synthetic.risk import true_risk
from metastra.training.clinical import fit_clinical
from metastra.training.clinical_data import ClinicalData
from metastra.training.risk_layer import RiskTask
from metastra.units import TimeUnit

TWO_YEARS = 730.5
TASK = RiskTask(horizons=(24.0,), primary_horizon=24.0, time_unit=TimeUnit.MONTHS)
_IMPUTE = MissingRule(rule="impute")
PREDICTORS = (
    Predictor(name="age", kind="continuous", minimum=18.0, missing=_IMPUTE),
    Predictor(name="sex", kind="binary", levels=("F", "M"), missing=_IMPUTE),
    Predictor(name="stage", kind="ordinal", levels=("I", "II", "III"), missing=_IMPUTE),
    Predictor(name="grade", kind="ordinal", levels=("G1", "G2", "G3"), missing=_IMPUTE),
    Predictor(name="MMR", kind="binary", levels=("pMMR", "dMMR"), missing=_IMPUTE),
    Predictor(name="CEA", kind="continuous", minimum=0.0, transform="log1p", missing=_IMPUTE),
    Predictor(
        name="location", kind="categorical", levels=("left", "right", "rectum"), missing=_IMPUTE
    ),
)


def declared(x: Covariates, stage: np.ndarray) -> dict[str, np.ndarray]:
    """What the study's tables show of the covariates."""
    codes = {"I": 0.0, "II": 1.0, "III": 2.0}
    return {
        "age": x.age_years[:, None],
        "sex": x.male[:, None].astype(float),
        "stage": np.array([codes[s] for s in stage])[:, None],
        "grade": x.grade[:, None] - 1.0,
        "MMR": x.dmmr[:, None].astype(float),
        "CEA": x.cea_ng_ml[:, None],
        "location": np.column_stack([x.right, x.rectum]).astype(float),
    }


def development(n: int, seed: int) -> ClinicalData:
    """Patients of the two development cohorts as hospitals see them, onsets recorded at once."""
    study = generate(n_patients=n, seed=seed, detection=Detection.AT_ONSET)
    times, events, cohorts = [], [], []
    values: dict[str, list[np.ndarray]] = {one.name: [] for one in PREDICTORS}
    for cohort in study.cohorts[:2]:
        patients, seen = cohort.patients, cohort.follow_up
        found = seen.recorded[:, 0]
        time = np.where(found, seen.detected[:, 0], seen.last_contact).astype(float)
        keep = patients.eligible & (time > 0.0)
        times.append(time[keep])
        events.append(np.where(found, 1, np.where(seen.dead, 2, 0))[keep])
        cohorts += [patients.plan.name] * int(keep.sum())
        mine = declared(patients.covariates.take(keep), patients.coarse_stage[keep])
        for name, block in mine.items():
            values[name].append(block)
    whole = {name: np.concatenate(blocks) for name, blocks in values.items()}
    rng = np.random.default_rng(seed)
    for name, share in (("grade", 0.02), ("MMR", 0.06), ("CEA", 0.08)):
        whole[name] = np.where(rng.uniform(size=whole[name].shape) < share, np.nan, whole[name])
    total = len(cohorts)
    return ClinicalData(
        keys=np.array([f"p{i}" for i in range(total)]),
        cohorts=np.array(cohorts),
        development=np.ones(total, dtype=bool),
        outcome=Outcome(time=np.concatenate(times), event=np.concatenate(events)),
        predictors=PREDICTORS,
        values=whole,
    )


@pytest.fixture(scope="module")
def outside() -> tuple[ClinicalData, np.ndarray]:
    """20,000 drawn patients of the external cohort and their true risk of an onset by two years."""
    patients = draw_patients(COHORTS[2], 30_000, seed=77)
    x, stage = patients.covariates.take(patients.eligible), patients.coarse_stage[patients.eligible]
    n = x.n
    data = ClinicalData(
        keys=np.array([f"e{i}" for i in range(n)]),
        cohorts=np.full(n, "south"),
        development=np.zeros(n, dtype=bool),
        outcome=Outcome(time=np.ones(n), event=np.zeros(n)),
        predictors=PREDICTORS,
        values=declared(x, stage),
    )
    return data, true_risk(HazardModel(), x, TWO_YEARS)


def auc(score: np.ndarray, risk: np.ndarray) -> float:
    """AUC of a score where the event has these probabilities: no outcome is drawn, so no noise."""
    order = np.argsort(score, kind="stable")
    score, risk = score[order], risk[order]
    below = np.concatenate([[0.0], np.cumsum(1.0 - risk)])
    first = np.searchsorted(score, score, side="left")
    last = np.searchsorted(score, score, side="right")
    won = below[first] + 0.5 * (below[last] - below[first])
    return float((risk * won).sum() / (risk.sum() * (1.0 - risk).sum()))


@pytest.fixture(scope="module")
def attainable(outside) -> float:
    """The AUC of the mean true risk given the declared predictors, learned from the truth."""
    data, risk = outside
    x = np.column_stack([data.values[one.name] for one in PREDICTORS])
    half = np.arange(risk.size) % 2 == 0
    settings = {"max_iter": 300, "learning_rate": 0.05, "max_leaf_nodes": 15, "random_state": 0}
    learned = HistGradientBoostingRegressor(**settings).fit(x[half], risk[half])
    return auc(learned.predict(x[~half]), risk[~half])


def judged(train: ClinicalData, outside) -> tuple[float, float]:
    """AUC by two years and mean predicted over mean true risk in the external cohort."""
    groups = np.arange(train.keys.size) % 5
    fit = fit_clinical(train, train.development, groups, TASK)
    data, risk = outside
    predicted = fit.model.risks(data.columns(fit.predictors), TASK.days)[:, 0]
    return auc(predicted, risk), float(predicted.mean() / risk.mean())


@pytest.mark.slow
def test_with_many_patients_it_is_as_good_as_its_predictors_allow(outside, attainable):
    """A study of 6,000 patients: within 0.01 of the best attainable AUC, right on average."""
    found, ratio = judged(development(6000, seed=1), outside)

    assert 0.66 < attainable < 0.80
    assert attainable - 0.01 < found <= attainable + 0.003
    assert ratio == pytest.approx(1.0, abs=0.1)


@pytest.mark.slow
def test_with_few_patients_it_comes_near(outside, attainable):
    """Studies of the demo's size (some 340 patients, 40 events): on average within 0.06."""
    found = [judged(development(600, seed=seed), outside)[0] for seed in range(1, 7)]

    assert attainable - 0.06 < np.mean(found) <= attainable + 0.003
    assert min(found) > 0.55


@pytest.mark.slow
def test_permuted_outcomes_give_chance(outside):
    """With outcomes of other patients nothing is left: the AUC scatters around one half."""
    found = []
    for seed in range(1, 9):
        train = development(600, seed=seed)
        order = np.random.default_rng(seed).permutation(train.keys.size)
        found.append(judged(replace(train, outcome=train.outcome.take(order)), outside)[0])

    assert np.mean(found) == pytest.approx(0.5, abs=0.06)
    assert max(found) < 0.68
