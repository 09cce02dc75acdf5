"""Reclassification: counts by hand, the censored estimate against complete data, the caveat."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.evaluation.patients import Patients, Settings
from metastra.evaluation.reclassification import reclassification
from metastra.survival.outcome import Outcome

CUTS = Settings(bootstrap=0, cutpoints=(0.2,))


def made(n=4000, seed=0, censored=False, noise=1.0):
    rng = np.random.default_rng(seed)
    x, z = rng.standard_normal((2, n))
    hazard = 0.01 * np.exp(x + z)
    time = rng.exponential(1.0 / hazard)
    end = rng.uniform(15.0, 60.0, n) if censored else np.full(n, 60.0)
    model = 1.0 - np.exp(-24.0 * 0.01 * np.exp(x + noise * z))
    baseline = 1.0 - np.exp(-24.0 * 0.01 * np.exp(x + 0.5))
    patients = Patients(
        outcome=Outcome(time=np.minimum(time, end), event=(time <= end).astype(int)),
        horizons=(24.0,),
        risks=model[:, None],
        baseline=baseline[:, None],
    )
    return patients, time <= 24.0


def test_complete_data_give_the_shares_of_a_count():
    """Without censoring the estimate is the plain count among those with and without the event."""
    patients, event = made()
    found = reclassification(patients, CUTS)
    old, new = patients.baseline[:, 0] >= 0.2, patients.risks[:, 0] >= 0.2
    up, down = new & ~old, old & ~new
    assert found["events"]["estimate"] == pytest.approx(up[event].mean() - down[event].mean())
    assert found["non_events"]["estimate"] == pytest.approx(down[~event].mean() - up[~event].mean())
    assert (found["moved_up"], found["moved_down"]) == (up.sum(), down.sum())
    assert sum(row["n"] for row in found["table"]) == patients.n


def test_censoring_is_weighted_away():
    """Half of the follow-up cut off changes the shares by no more than their spread."""
    whole, cut = (reclassification(made(40_000, censored=c)[0], CUTS) for c in (False, True))
    for key in ("events", "non_events"):
        assert cut[key]["estimate"] == pytest.approx(whole[key]["estimate"], abs=0.03)


def test_the_caveat_is_true_a_useless_marker_can_look_good():
    """A marker of pure noise in a miscalibrated model is 'better' among the events."""
    rng = np.random.default_rng(3)
    patients, _ = made(4000)
    useless = np.clip(patients.baseline[:, 0] * np.exp(0.4 + rng.normal(0.0, 0.3, 4000)), 0, 0.99)
    worse = Patients(
        outcome=patients.outcome,
        horizons=(24.0,),
        risks=useless[:, None],
        baseline=patients.baseline,
    )
    found = reclassification(worse, Settings(bootstrap=200, cutpoints=(0.2,)))
    assert found["events"]["lower"] > 0.0
    assert "no evidence" in found["caveat"]


def test_intervals_cover():
    """Intervals of 300 censored cohorts hold the large-sample shares as often as they say."""
    truth = reclassification(made(200_000, seed=900)[0], CUTS)
    inside = {"events": 0, "non_events": 0}
    for seed in range(300):
        found = reclassification(made(400, seed=seed, censored=True)[0], CUTS)
        for key in inside:
            inside[key] += found[key]["lower"] <= truth[key]["estimate"] <= found[key]["upper"]
    assert all(0.92 <= count / 300 <= 0.98 for count in inside.values()), inside


def test_nothing_without_what_it_needs():
    """A reason stands where there is no baseline or no fixed cutpoint."""
    patients, _ = made(100)
    assert "cutpoint" in reclassification(patients, Settings(bootstrap=0))["reason"]
    alone = Patients(outcome=patients.outcome, horizons=(24.0,), risks=patients.risks)
    assert "baseline" in reclassification(alone, CUTS)["reason"]
    early = Patients(
        outcome=Outcome(time=np.full(100, 30.0), event=np.zeros(100, dtype=int)),
        horizons=(24.0,),
        risks=patients.risks,
        baseline=patients.baseline,
    )
    assert "nobody is known" in reclassification(early, CUTS)["events"]["reason"]
