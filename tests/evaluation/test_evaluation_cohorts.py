"""Pooling over cohorts, and subgroups held against the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metastra.evaluation.evaluate import evaluate
from metastra.evaluation.fairness import fairness
from metastra.evaluation.patients import Patients, Settings
from metastra.evaluation.pooling import pooled
from metastra.stats.meta_analysis import pool_random_effects
from metastra.survival.calibration import observed_expected
from metastra.survival.dynamic_auc import dynamic_auc
from metastra.survival.outcome import Outcome

NONE = Settings(bootstrap=0)


def made(n=600, seed=1, *, cohorts=6, spread=0.0, slope=1.0, horizons=(2.0,)):
    """Patients of several cohorts whose hazards `spread`; `slope` spoils the risks."""
    rng = np.random.default_rng(seed)
    score = rng.normal(0.0, 1.0, n)
    cohort = np.arange(n) % cohorts
    shift = rng.normal(0.0, spread, cohorts) if spread else np.zeros(cohorts)
    rate = 0.15 * np.exp(score)
    first = rng.exponential(1.0 / (rate * np.exp(shift[cohort])))
    other = rng.exponential(1.0 / 0.05, n)
    censored = rng.uniform(0.5, 6.0, n)
    time = np.minimum(np.minimum(first, other), censored)
    event = np.where(time == first, 1, np.where(time == other, 2, 0))
    total = rate + 0.05
    risks = np.column_stack([rate / total * -np.expm1(-total * t) for t in horizons])
    log = np.log(-np.log1p(-risks))
    risks = -np.expm1(-np.exp(slope * (log - log.mean(axis=0)) + log.mean(axis=0)))
    return Patients(
        outcome=Outcome(time=time, event=event),
        horizons=horizons,
        risks=risks,
        cohort=np.array([f"c{k}" for k in cohort], dtype=object),
    )


def row_of(found, measure):
    """One row of the pooled measures."""
    return next(row for row in found["measures"] if row["measure"] == measure)


def test_each_pooled_number_is_that_of_its_cohorts():
    """By hand: estimate and standard error of each cohort, pooled on the stated scale."""
    patients = made()
    found = pooled(patients, NONE)
    parts = [patients.take(patients.cohort == f"c{k}") for k in range(6)]
    areas = [dynamic_auc(p.outcome, p.risks[:, 0], 2.0) for p in parts]
    ratios = [observed_expected(p.outcome, p.risks[:, 0], 2.0) for p in parts]
    auc = pool_random_effects(
        [a.estimate for a in areas], [a.std_error for a in areas], scale="logit"
    )
    ratio = pool_random_effects(
        [r.ratio for r in ratios],
        [r.observed_std_error / r.expected for r in ratios],
        scale="log",
    )
    for key, by_hand in (("auc", auc), ("oe_ratio", ratio)):
        row = row_of(found, key)
        assert row["estimate"] == pytest.approx(by_hand.estimate)
        assert (row["lower"], row["upper"]) == pytest.approx((by_hand.lower, by_hand.upper))
        assert row["prediction"]["lower"] == pytest.approx(by_hand.prediction_lower)
        assert (row["tau2"], row["i2"]) == pytest.approx((by_hand.tau2, by_hand.i2))
        assert row["k"] == 6
        assert row["warning"] is None
        assert row["n"] == 600


def test_few_cohorts_are_not_estimable_or_warned_about():
    """Nothing below three cohorts, a warning below five; too few events leave a cohort out."""
    two = pooled(made(cohorts=2), NONE)
    assert {row["estimate"] for row in two["measures"]} == {None}
    assert "fewer than 3" in two["measures"][0]["reason"]
    four = row_of(pooled(made(cohorts=4), NONE), "auc")
    assert four["estimate"] is not None
    assert four["warning"].startswith("4 cohorts")
    patients = made(cohorts=6)
    tiny = np.where(np.arange(600) < 12, "tiny", patients.cohort).astype(object)
    row = row_of(pooled(replace(patients, cohort=tiny), NONE), "auc")
    assert [one["cohort"] for one in row["left_out"]] == ["tiny"]
    assert "fewer than 10" in row["left_out"][0]["reason"]
    assert pooled(replace(patients, cohort=None), NONE)["reason"]


def test_differing_cohorts_are_seen_and_checked():
    """A hazard that differs from cohort to cohort gives a large I² of O/E and an issue."""
    same = evaluate(made(1800, seed=4), NONE).to_json()
    apart = evaluate(made(1800, seed=4, spread=0.8), NONE).to_json()
    assert row_of(apart["pooled"], "oe_ratio")["i2"] > 60.0
    assert row_of(same["pooled"], "oe_ratio")["i2"] < 50.0
    status = {c["code"]: c["status"] for c in apart["checks"]}
    assert status["EV032"] == "issue"
    calm = {c["code"]: c["status"] for c in same["checks"]}
    assert calm["EV031"] == "passed"


@pytest.mark.slow
def test_the_pooled_interval_holds_the_truth_as_often_as_it_says():
    """With equal cohorts the pooled O/E is 1: 95% intervals hold it in 93 to 97% of 300 studies."""
    held = new = 0
    for seed in range(300):
        row = row_of(pooled(made(1200, seed=1000 + seed), NONE), "oe_ratio")
        held += row["lower"] <= 1.0 <= row["upper"]
        new += row["prediction"]["lower"] <= 1.0 <= row["prediction"]["upper"]
    assert 0.92 <= held / 300 <= 0.985
    assert new >= held


def test_a_level_that_was_not_recorded_is_a_row_and_differences_are_joined():
    """None is a row; every difference lies between the limits of both parts."""
    patients = made(800, seed=2)
    sex = np.array([None if i % 9 == 0 else "fm"[i % 2] for i in range(800)], dtype=object)
    document = evaluate(
        replace(patients, subgroups={"sex": sex}), Settings(bootstrap=0, cutpoints=(0.2, 0.4))
    ).to_json()
    labels = [row["label"] for row in document["subgroups"]]
    assert labels == ["f", "m", None]
    for row in document["subgroups"]:
        high = patients.risks[:, 0] >= 0.4
        rest = fairness(patients, NONE, ~np.array([label == row["label"] for label in sex]), high)
        for key in ("sensitivity", "specificity", "ppv", "slope"):
            number = row["differences"][key]
            expected = row[key]["estimate"] - rest[key]["estimate"]
            assert number["estimate"] == pytest.approx(expected)
            assert number["lower"] < expected < number["upper"]


def test_groups_with_few_events_are_withheld_everywhere():
    """No measure, no fairness, no difference below 10 events; the reason counts them."""
    patients = made(400, seed=3)
    rare = np.array(["rare" if i < 25 else "common" for i in range(400)], dtype=object)
    document = evaluate(replace(patients, subgroups={"g": rare}), NONE).to_json()
    row = next(one for one in document["subgroups"] if one["label"] == "rare")
    assert row["events"] < 10
    for key in ("auc", "oe_ratio", "slope", "ipa", "sensitivity", "ppv"):
        assert row[key]["estimate"] is None
        assert "fewer than 10" in row[key]["reason"]
    assert all(one["estimate"] is None for one in row["differences"].values())
    issue = next(c for c in document["checks"] if c["code"] == "EV034")
    assert issue["status"] == "issue"
    assert "g: rare" in issue["why"]


@pytest.mark.slow
def test_differences_of_equal_halves_hold_zero_as_often_as_they_say():
    """A coin toss is no subgroup: 95% intervals of sensitivity and O/E hold no difference."""
    held = {"sensitivity": 0, "specificity": 0, "oe_ratio": 0}
    rng = np.random.default_rng(5)
    for seed in range(300):
        patients = made(600, seed=3000 + seed)
        high = patients.risks[:, 0] >= 0.3
        row = fairness(patients, NONE, rng.uniform(size=600) < 0.4, high)["differences"]
        for key in held:
            null = 1.0 if key == "oe_ratio" else 0.0
            held[key] += row[key]["lower"] <= null <= row[key]["upper"]
    for key, count in held.items():
        assert 0.92 <= count / 300 <= 0.985, key
