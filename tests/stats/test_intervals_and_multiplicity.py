"""Proportions and adjusted p-values: against scipy, closed forms and what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as sps

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.stats.multiplicity import adjust_benjamini_hochberg, adjust_holm
from metastra.stats.proportions import clopper_pearson_interval, wilson_interval


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_agree_with_scipy(pair):
    """Wilson and Clopper-Pearson limits are those of scipy for any count."""
    count, n = pair
    test = sps.binomtest(count, n)
    wilson, exact = test.proportion_ci(method="wilson"), test.proportion_ci(method="exact")

    assert wilson_interval(count, n) == pytest.approx((wilson.low, wilson.high), abs=1e-9)
    assert clopper_pearson_interval(count, n) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_exact_interval_never_covers_less_than_it_says():
    """Summed over the binomial, the exact interval covers at least 95 %; Wilson on average."""
    n = 30
    exact = [clopper_pearson_interval(k, n) for k in range(n + 1)]
    score = [wilson_interval(k, n) for k in range(n + 1)]
    coverage = {"exact": [], "score": []}
    for p in np.linspace(0.03, 0.97, 60):
        mass = sps.binom.pmf(np.arange(n + 1), n, p)
        for name, limits in (("exact", exact), ("score", score)):
            inside = [low <= p <= high for low, high in limits]
            coverage[name].append(mass @ inside)
    assert min(coverage["exact"]) >= 0.95
    assert np.mean(coverage["score"]) == pytest.approx(0.95, abs=0.01)


def test_ends_are_closed():
    """No success has a lower limit of exactly 0, only successes an upper of exactly 1."""
    for interval in (wilson_interval, clopper_pearson_interval):
        assert interval(0, 12)[0] == 0.0
        assert interval(12, 12)[1] == 1.0
        assert interval(3, 12, level=0.99)[1] > interval(3, 12)[1]


def test_impossible_proportions_are_refused():
    """No trials, more successes than trials, impossible levels."""
    for interval in (wilson_interval, clopper_pearson_interval):
        with pytest.raises(NotEstimable, match="a proportion of 0"):
            interval(0, 0)
        with pytest.raises(ConfigError, match="5 successes of 3"):
            interval(5, 3)
        with pytest.raises(ConfigError, match="level"):
            interval(1, 3, level=95)


def test_holm_by_hand():
    """Smallest times m, next times m - 1, never falling, at most 1 (R's p.adjust)."""
    assert adjust_holm([0.04, 0.01, 0.03, 0.5]).tolist() == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert adjust_holm([0.6, 0.7]).tolist() == [1.0, 1.0]
    assert adjust_holm([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjustments_keep_order_and_their_rank(p):
    """Adjusted values keep the order, lie at or above the raw ones, and Holm's above BH's."""
    holm, fdr = adjust_holm(p), adjust_benjamini_hochberg(p)

    assert fdr == pytest.approx(sps.false_discovery_control(p))
    assert (holm >= fdr - 1e-12).all()
    assert (fdr >= np.array(p) - 1e-12).all()
    assert holm.max() <= 1.0
    order = np.argsort(p)
    assert (np.diff(holm[order]) >= 0).all()


def test_holm_keeps_the_family_wise_error():
    """With no true effect, any rejection happens in about 5 of a hundred families."""
    p = np.random.default_rng(0).uniform(size=(4000, 6))

    families = np.mean([adjust_holm(row).min() <= 0.05 for row in p])

    assert families == pytest.approx(0.05, abs=0.012)


def test_missing_p_values_are_refused():
    """NaN and numbers outside [0, 1] are no p-values."""
    for adjust in (adjust_holm, adjust_benjamini_hochberg):
        for bad in ([0.1, np.nan], [1.2], [[0.1]]):
            with pytest.raises(DataError, match="p-values"):
                adjust(bad)
