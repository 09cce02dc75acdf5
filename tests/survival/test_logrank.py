"""Log-rank tests against brute force, closed forms, lifelines and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metastra.errors import DataError, NotEstimable
from metastra.survival.groups import as_groups
from metastra.survival.logrank import logrank, logrank_trend
from metastra.survival.outcome import Outcome


def draw(seed: int, n: int = 150, *, entry: bool = False) -> tuple[Outcome, np.ndarray]:
    rng = np.random.default_rng(seed)
    group = rng.choice(["a", "b", "c"], n)
    late = np.floor(rng.uniform(0, 2, n) * 2) / 2 if entry else None
    time = np.ceil(rng.exponential(3.0, n) * 2) / 2 + (0 if late is None else late)
    return Outcome(time=time, event=rng.random(n) < 0.7, entry=late), group


def by_hand(y: Outcome, group: np.ndarray, rho: float) -> float:
    """Chi-squared in a plain loop over event times."""
    entry = np.full(y.n, -1.0) if y.entry is None else y.entry
    labels = np.unique(group)
    gap, variance, survival = np.zeros(labels.size), np.zeros((labels.size, labels.size)), 1.0
    for t in np.unique(y.time[y.event > 0]):
        risk = (y.time >= t) & (entry < t)
        now = (y.time == t) & (y.event > 0)
        n, d = risk.sum(), now.sum()
        share = np.array([np.sum(risk & (group == label)) for label in labels]) / n
        seen = np.array([np.sum(now & (group == label)) for label in labels])
        w = survival**rho
        gap += w * (seen - d * share)
        if n > 1:
            spread = np.diag(share) - np.outer(share, share)
            variance += w * w * d * (n - d) / (n - 1) * spread
        survival *= 1 - d / n
    return float(gap[1:] @ np.linalg.solve(variance[1:, 1:], gap[1:]))


@pytest.mark.parametrize("rho", [0.0, 1.0, 0.5])
@pytest.mark.parametrize("entry", [False, True])
def test_chi_squared_equals_a_plain_loop(rho: float, entry: bool) -> None:
    """Three groups with ties, all weights, with and without delayed entry."""
    y, group = draw(1, entry=entry)
    test = logrank(y, group, rho=rho)
    assert test.chisq == pytest.approx(by_hand(y, group, rho), rel=1e-10)
    assert test.df == 2
    assert test.p == pytest.approx(stats.chi2.sf(test.chisq, 2), rel=1e-10)


def test_it_agrees_with_lifelines() -> None:
    """An independent program gives the same statistic for three groups."""
    from lifelines.statistics import multivariate_logrank_test

    y, group = draw(2)
    other = multivariate_logrank_test(y.time, group, y.event)
    assert logrank(y, group).chisq == pytest.approx(other.test_statistic, rel=1e-8)


def test_observed_and_expected_have_the_same_sum() -> None:
    """Nothing is lost between groups: O and E both add up to the events."""
    y, group = draw(3)
    test = logrank(y, group)
    assert test.observed.sum() == y.n_events()
    assert test.expected.sum() == pytest.approx(y.n_events(), rel=1e-12)
    assert test.n.sum() == y.n
    assert test.groups == ("a", "b", "c")


def test_strata_add_observed_expected_and_variance() -> None:
    """A stratified test is the test of summed counts, not of the pooled data."""
    y, group = draw(4)
    centre = np.arange(y.n) % 3
    whole = logrank(y, group, strata=centre)
    parts = [logrank(y.take(centre == k), group[centre == k]) for k in range(3)]
    assert whole.expected == pytest.approx(sum(part.expected for part in parts), rel=1e-12)
    assert whole.variance == pytest.approx(sum(part.variance for part in parts), rel=1e-12)
    assert whole.chisq != pytest.approx(logrank(y, group).chisq, rel=1e-3)


def test_two_groups_trend_is_the_logrank_test() -> None:
    """With two groups any scores give the two-group statistic."""
    y, group = draw(5)
    two = group != "a"
    trend = logrank_trend(y, two, scores=[3.0, 11.0])
    assert trend.chisq == pytest.approx(logrank(y, two).chisq, rel=1e-10)
    assert np.sign(trend.z) == np.sign(logrank(y, two).observed[1] - logrank(y, two).expected[1])


def test_trend_is_its_quadratic_form_and_ignores_the_scale_of_scores() -> None:
    """z is a'(O - E) / sqrt(a'Va), the same for a and 10 a + 5."""
    y, group = draw(6)
    test = logrank(y, group)
    a = np.array([0.0, 1.0, 5.0])
    z = a @ (test.observed - test.expected) / np.sqrt(a @ test.variance @ a)
    assert logrank_trend(y, group, scores=a).z == pytest.approx(z, rel=1e-10)
    assert logrank_trend(y, group, scores=10 * a + 5).z == pytest.approx(z, rel=1e-10)


def test_trend_finds_an_ordered_difference_better_than_the_general_test() -> None:
    """For hazards rising over four groups the trend has the smaller p."""
    rng = np.random.default_rng(7)
    group = np.repeat([0, 1, 2, 3], 60)
    y = Outcome(time=rng.exponential(np.exp(-0.2 * group)), event=np.ones(240, dtype=int))
    assert logrank_trend(y, group).p < logrank(y, group).p
    assert logrank_trend(y, group).z > 0


def test_what_cannot_be_compared_is_not_estimable() -> None:
    """One group, no event, or a group never at risk with another: a reason, no number."""
    y = Outcome(time=[1, 2, 3, 4], event=[1, 1, 0, 1])
    with pytest.raises(NotEstimable, match="of 1 groups"):
        logrank(y, ["a"] * 4)
    with pytest.raises(NotEstimable, match="0 events"):
        logrank(Outcome(time=[1, 2], event=[0, 0]), ["a", "b"])
    with pytest.raises(NotEstimable, match="alone"):
        logrank(Outcome(time=[1, 2, 3, 4], event=[1] * 4), list("aabb"), strata=list("xxyy"))
    with pytest.raises(NotEstimable):
        logrank(Outcome(time=[2, 2], event=[1, 1]), ["a", "b"])


def test_a_group_that_is_never_at_risk_of_an_event_costs_no_degree_of_freedom() -> None:
    """Patients censored before the first event carry no information."""
    y = Outcome(time=[0.5, 0.6, 1, 2, 3, 4], event=[0, 0, 1, 1, 1, 0])
    with_early = logrank(y, ["z", "z", "a", "b", "a", "b"])
    without = logrank(y.take(np.arange(2, 6)), ["a", "b", "a", "b"])
    assert with_early.df == 1
    assert with_early.chisq == pytest.approx(without.chisq, rel=1e-12)


def test_missing_labels_are_refused_with_their_rows() -> None:
    """None and NaN are no groups."""
    y = Outcome(time=[1, 2, 3], event=[1, 1, 1])
    with pytest.raises(DataError, match=r"rows \[2\]"):
        logrank(y, np.array(["a", None, "b"], dtype=object))
    with pytest.raises(DataError, match=r"rows \[3\]"):
        logrank(y, [1.0, 2.0, np.nan])
    with pytest.raises(DataError, match="one label per patient"):
        logrank(y, ["a", "b"])
    with pytest.raises(DataError, match="cannot be sorted"):
        as_groups(np.array([1, "a", 2], dtype=object), 3, "group")
    with pytest.raises(DataError, match="one for each group"):
        logrank_trend(y, ["a", "b", "b"], scores=[1.0])


def test_equal_scores_have_no_trend() -> None:
    """Scores that do not differ cannot be tested."""
    y, group = draw(8)
    with pytest.raises(NotEstimable, match="do not differ"):
        logrank_trend(y, group, scores=[2.0, 2.0, 2.0])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100.0))
def test_order_unit_and_labels_do_not_matter(seed: int, unit: float) -> None:
    """Permutation, another unit of time and renamed groups leave chi-squared alone."""
    y, group = draw(seed, n=40)
    test = logrank(y, group)
    order = np.random.default_rng(seed).permutation(y.n)
    renamed = np.where(group == "a", "zz", group)
    other = logrank(Outcome(time=y.time[order] * unit, event=y.event[order]), renamed[order])
    assert other.chisq == pytest.approx(test.chisq, rel=1e-8, abs=1e-10)


def test_p_values_are_uniform_when_groups_do_not_differ() -> None:
    """Under the null 500 p-values pass a Kolmogorov–Smirnov test for uniformity."""
    rng = np.random.default_rng(9)
    values = []
    for _ in range(500):
        time, censored = rng.exponential(1.0, 120), rng.uniform(0.2, 2.5, 120)
        y = Outcome(time=np.minimum(time, censored), event=time <= censored)
        values.append(logrank(y, rng.integers(0, 3, 120)).p)
    assert stats.kstest(values, "uniform").pvalue > 0.01
    assert 0.03 <= np.mean(np.array(values) < 0.05) <= 0.075
