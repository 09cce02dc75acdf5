"""Concordance by fold and its mean, against brute force, closed forms and a simulation."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.evaluation.fold_concordance import fold_concordances, mean_difference
from metastra.survival.concordance import concordance, delta_concordance
from metastra.survival.outcome import Outcome


def by_pairs(outcome: Outcome, score: np.ndarray) -> float:
    """Count every comparable pair."""
    won = total = 0.0
    for i in range(outcome.n):
        for j in range(outcome.n):
            later = outcome.time[j] > outcome.time[i] or (
                outcome.time[j] == outcome.time[i] and outcome.event[j] != 1
            )
            if outcome.event[i] == 1 and i != j and later:
                total += 1.0
                won += 1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0
    return won / total


def drawn(n: int, seed: int) -> tuple[Outcome, np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    score = rng.normal(size=n).round(1)
    time = rng.exponential(np.exp(-score)).round(2) + 0.01
    event = rng.choice([0, 1, 2], p=[0.3, 0.5, 0.2], size=n)
    folds = [f"fold-{k}" for k in rng.integers(0, 4, size=n)]
    return Outcome(time=time, event=event), score, folds


def test_each_fold_and_the_mean_are_those_of_all_pairs():
    """Ties, competing events and censoring as counted one by one."""
    outcome, score, folds = drawn(120, 5)
    found = fold_concordances(outcome, score, folds)
    label = np.array(folds)
    expected = [by_pairs(outcome.take(label == f), score[label == f]) for f in sorted(set(folds))]
    assert [one.estimate for one in found.folds.values()] == pytest.approx(expected, abs=1e-12)
    assert found.mean.estimate == pytest.approx(np.mean(expected), abs=1e-12)
    assert found.mean.n == 120
    assert found.mean.lower < found.mean.estimate < found.mean.upper


def test_the_variance_of_the_mean_is_that_of_independent_folds():
    """Half the width is t times the root of the folds' summed variances over their number."""
    outcome, score, folds = drawn(900, 6)
    found = fold_concordances(outcome, score, folds)
    label = np.array(folds)
    errors = [
        concordance(outcome.take(label == f), score[label == f]).std_error
        for f in sorted(set(folds))
    ]
    centre = found.mean.estimate
    half = 1.959964 * np.sqrt(np.sum(np.square(errors))) / 4.0 / (centre * (1.0 - centre))
    limits = 1.0 / (1.0 + np.exp(-np.log(centre / (1.0 - centre)) - np.array([-half, half])))
    assert [found.mean.lower, found.mean.upper] == pytest.approx(limits, abs=1e-6)


def test_the_difference_is_paired_in_each_fold():
    """The mean of the differences, with the joint variance; zero for the same score."""
    outcome, score, folds = drawn(200, 7)
    other = score + np.random.default_rng(1).normal(size=200)
    found = mean_difference(outcome, other, score, folds)
    label = np.array(folds)
    parts = [
        delta_concordance(outcome.take(label == f), other[label == f], score[label == f])
        for f in sorted(set(folds))
    ]
    assert found.estimate == pytest.approx(np.mean([one.estimate for one in parts]))
    assert found.lower < found.estimate < found.upper
    same = mean_difference(outcome, score, score, folds)
    assert (same.estimate, same.lower, same.upper) == (0.0, 0.0, 0.0)


def test_a_fold_without_a_pair_has_a_reason_and_is_told_in_the_mean():
    """No event, no score, and a single patient: three ways to have nothing to compare."""
    outcome = Outcome(time=[1.0, 2.0, 3.0, 1.0, 2.0, 5.0, 6.0], event=[1, 1, 0, 0, 0, 1, 1])
    score = [3.0, 2.0, 1.0, 1.0, 2.0, np.nan, np.nan]
    found = fold_concordances(outcome, score, ["a", "a", "a", "b", "b", "c", None])
    assert found.folds["a"].estimate == 1.0
    assert found.folds["b"].estimate is None
    assert found.folds["b"].reason
    assert found.folds["c"].reason == "no patient of the fold has a score"
    assert found.mean.estimate == 1.0
    assert "2 of 3 folds have no comparable pair" in found.mean.reason
    nothing = mean_difference(outcome, [np.nan] * 7, score, ["b"] * 7)
    assert nothing.reason == "no fold has a comparable pair"
