"""Simulated truth: intervals cover it, and what is not the truth scores worse."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.survival.calibration import observed_expected
from metastra.survival.concordance import concordance, delta_concordance
from metastra.survival.dynamic_auc import delta_auc, dynamic_auc
from metastra.survival.outcome import Outcome

HORIZON = 2.0


def trial(rng: np.random.Generator, n: int):
    """Patients with a score, a competing event and loss to follow-up; about 25 % events."""
    x = rng.normal(size=n)
    first = rng.exponential(1 / (0.14 * np.exp(0.9 * x)))
    second, censor = rng.exponential(25.0, n), rng.exponential(8.0, n)
    time = np.minimum(np.minimum(first, second), censor)
    event = np.where(time == first, 1, np.where(time == second, 2, 0))
    return Outcome(time=time, event=event), x, np.minimum(first, second), first <= second


def truths() -> tuple[float, float, float]:
    """AUC with controls free of the cause, Harrell's C by the horizon, and the risk; no loss."""
    rng = np.random.default_rng(1)
    aucs, concordances, risks = [], [], []
    for _ in range(20):
        y, x, time, is_first = trial(rng, 50_000)
        whole = Outcome(time=time, event=np.where(is_first, 1, 2))
        aucs.append(dynamic_auc(whole, x, HORIZON).estimate)
        # Harrell's C under the trial's own censoring is what it estimates
        concordances.append(concordance(y, x, tau=HORIZON, std_error=False).estimate)
        risks.append(np.mean(is_first & (time <= HORIZON)))
    return float(np.mean(aucs)), float(np.mean(concordances)), float(np.mean(risks))


@pytest.mark.slow
def test_intervals_cover_the_truth_with_a_hundred_events():
    """AUC, C and O/E: 95 % intervals cover in 93 to 97 of a hundred trials of 100 events."""
    auc, c, risk = truths()
    rng = np.random.default_rng(2)
    covered, events, repeats = np.zeros(3), 0, 1500
    for _ in range(repeats):
        y, x, _, _ = trial(rng, 420)
        for k, (result, truth) in enumerate(
            (
                (dynamic_auc(y, x, HORIZON), auc),
                (concordance(y, x, tau=HORIZON), c),
                (observed_expected(y, np.full(y.n, risk), HORIZON), 1.0),
            )
        ):
            lower, upper = result.interval()
            covered[k] += lower <= truth <= upper
            events += result.events
    assert 85 < events / repeats / 3 < 120
    assert covered / repeats == pytest.approx([0.95] * 3, abs=0.02)


@pytest.mark.slow
def test_added_noise_is_found_better_one_time_in_twenty_at_most():
    """Two equally good scores: the paired tests of AUC and C reject in 4 to 6 of a hundred."""
    rng = np.random.default_rng(3)
    rejected, repeats = np.zeros(2), 1500
    for _ in range(repeats):
        y, x, _, _ = trial(rng, 420)
        one, two = (x + rng.normal(0, 0.7, y.n) for _ in range(2))
        rejected[0] += delta_auc(y, one, two, HORIZON).p_value() < 0.05
        rejected[1] += delta_concordance(y, one, two, tau=HORIZON).p_value() < 0.05
    assert rejected / repeats == pytest.approx([0.05, 0.05], abs=0.017)


def test_a_better_score_is_found_better():
    """A score with less noise has the higher AUC and C, with a small p-value."""
    rng = np.random.default_rng(4)
    y, x, _, _ = trial(rng, 1500)
    noisy = x + rng.normal(0, 1.5, y.n)

    auc, c = delta_auc(y, noisy, x, HORIZON), delta_concordance(y, noisy, x, tau=HORIZON)

    assert auc.estimate > 0.05
    assert c.estimate > 0.05
    assert max(auc.p_value(), c.p_value()) < 1e-4
