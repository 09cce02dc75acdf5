"""Clinical columns and a slide score joined by two coefficients, both of unseen patients."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.survival.cox import fit_cox
from metastra.survival.outcome import Outcome
from metastra.survival.partial_likelihood import PartialLikelihood
from metastra.survival.risk_sums import RiskSets
from metastra.training.joining import cross_fitted_scores, join
from metastra.training.penalty import ChosenPenalty, choose_penalty


def drawn(n=200, p=6, *, score=1.0, clinical=0.6, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p + 1))
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    hazard = np.exp(clinical * x[:, 0] + score * x[:, p])
    event, end = rng.exponential(900.0 / hazard), rng.uniform(300.0, 1500.0, n)
    outcome = Outcome(time=np.minimum(event, end), event=event < end)
    return x, outcome, np.arange(n) % 5


def loglik(outcome, level):
    n = outcome.n
    sets = RiskSets.of(outcome, outcome.event != 0, np.zeros(n, dtype=np.int64))
    made = PartialLikelihood.of(sets, level[:, None], np.ones(n), np.zeros(n), "efron")
    return made.at(np.ones(1)).loglik


def test_the_clinical_score_is_of_coefficients_without_the_part():
    """Whatever happens to a part, its own clinical scores stay, at one penalty."""
    x, outcome, groups = drawn()
    chosen = ChosenPenalty(ridge=5.0, l1=0.0, gain=1.0, why="")
    scores = cross_fitted_scores(outcome, x, groups, chosen)
    mine = groups == 2
    share = outcome.take(~mine).n_events() / outcome.n_events()
    by_hand = fit_cox(outcome.take(~mine), x[~mine], ridge=5.0 * share)
    np.testing.assert_allclose(
        scores[mine], (x[mine] - x[~mine].mean(axis=0)) @ by_hand.coef, rtol=1e-9
    )
    time, event = outcome.time.copy(), outcome.event.copy()
    time[mine], event[mine] = time[mine][::-1].copy(), event[mine][::-1].copy()
    again = cross_fitted_scores(Outcome(time=time, event=event), x, groups, chosen)
    np.testing.assert_allclose(again[mine], scores[mine], rtol=1e-12)
    assert np.abs(again[~mine] - scores[~mine]).max() > 1e-3


def test_joining_is_two_coefficients_on_the_columns_as_they_are():
    """Clinical coefficients keep their proportions; the two weights are a bounded maximum."""
    x, outcome, groups = drawn()
    made = join(outcome, x, groups, 6)
    first, second = made.weights
    assert first > 0.0
    assert second > 0.0
    chosen = choose_penalty(outcome, x[:, :6], groups)
    alone = fit_cox(outcome, x[:, :6], ridge=chosen.ridge, l1=chosen.l1).coef
    np.testing.assert_allclose(made.coef[:6], first * alone, rtol=1e-9)
    assert made.coef[6] == second
    assert made.chosen.ridge == chosen.ridge
    # near the free maximum over both weights, which a search of the likelihood finds
    clinical = cross_fitted_scores(outcome, x[:, :6], groups, chosen)
    top = max(
        loglik(outcome, a * clinical + b * x[:, 6])
        for a in np.linspace(0.0, 2.0, 21)
        for b in np.linspace(0.0, 2.0, 21)
    )
    assert loglik(outcome, first * clinical + second * x[:, 6]) > top - 1.0


def test_the_baseline_gives_as_many_events_as_there_were():
    """Summed over patients the cumulative hazards at their ends equal the events."""
    x, outcome, groups = drawn(n=300)
    made = join(outcome, x, groups, 6)
    clinical = cross_fitted_scores(outcome, x[:, :6], groups, made.chosen)
    level = made.weights[0] * clinical + made.weights[1] * x[:, 6]
    expected = float((made.baseline(outcome.time) * np.exp(level)).sum())
    assert expected == pytest.approx(outcome.n_events(), rel=1e-6)


@pytest.mark.parametrize("turned", ["score", "clinical"])
def test_what_points_the_wrong_way_has_no_weight(turned):
    """A score is not turned round, nor are columns that mislead where they were not fitted."""
    x, outcome, groups = drawn(score=-0.8 if turned == "score" else 0.8, clinical=0.0, seed=3)
    made = join(outcome, x, groups, 6)
    if turned == "score":
        assert made.coef[6] == 0.0
    else:
        assert made.coef[6] > 0.3
        assert made.weights[0] >= 0.0


def test_a_part_that_holds_all_events_and_patients_of_no_part_are_no_obstacle():
    """Without the part nobody has the event: its clinical score is 0."""
    x, outcome, groups = drawn(n=80)
    groups = np.where(outcome.event != 0, 0, 1 + np.arange(80) % 2)
    groups[5] = -1
    made = join(outcome, x, groups, 6)
    assert np.isfinite(made.coef).all()
    chosen = ChosenPenalty(ridge=1.0, l1=0.0, gain=None, why="")
    scores = cross_fitted_scores(outcome, x, groups, chosen)
    assert not scores[groups == 0].any() or outcome.event[5] != 0
    assert np.isfinite(scores).all()
