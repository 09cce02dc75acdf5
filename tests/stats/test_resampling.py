"""Bootstrap by weights: draws, intervals, failures, clusters, pairs."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import stats as sps

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.stats.resampling import bootstrap, bootstrap_weights


def mean_of(values):
    return lambda w: w @ values / w.sum()


def test_draws_are_whole_numbers_that_add_up():
    """Every draw has n patients, and over many draws each comes once on average."""
    draws = np.array(list(bootstrap_weights(30, replicates=2000, seed=1)))

    assert (draws == np.round(draws)).all()
    assert (draws.sum(axis=1) == 30).all()
    assert draws.mean(axis=0) == pytest.approx(np.ones(30), abs=0.12)
    assert draws.var() == pytest.approx(1 - 1 / 30, rel=0.05)


def test_a_draw_depends_on_seed_and_number_alone():
    """Asking for more draws leaves the first ones as they were; another seed does not."""
    few = list(bootstrap_weights(20, replicates=3, seed=5))
    many = list(bootstrap_weights(20, replicates=9, seed=5))
    other = list(bootstrap_weights(20, replicates=3, seed=6))

    assert all((a == b).all() for a, b in zip(few, many, strict=False))
    assert any((a != b).any() for a, b in zip(few, other, strict=True))


def test_clusters_are_drawn_whole():
    """Rows of one patient always have the same weight."""
    patient = np.array([7, 7, 3, 3, 3, 9])

    for weights in bootstrap_weights(6, replicates=50, seed=1, cluster=patient):
        assert weights[0] == weights[1]
        assert weights[2] == weights[3] == weights[4]
        assert weights[[0, 2, 5]].sum() == 3


def test_strata_keep_their_number_of_units():
    """Within each centre as many patients are drawn as it has."""
    centre = np.repeat(["a", "b", "c"], [5, 2, 9])

    for weights in bootstrap_weights(16, replicates=50, seed=1, strata=centre):
        assert [weights[centre == c].sum() for c in "abc"] == [5, 2, 9]


def test_clusters_inside_strata():
    """Patients with two rows, drawn within their centre; one in two centres is refused."""
    patient = np.repeat(np.arange(8), 2)
    centre = np.repeat([0, 1], 8)
    for weights in bootstrap_weights(16, replicates=20, seed=1, cluster=patient, strata=centre):
        assert (weights[::2] == weights[1::2]).all()
        assert weights[:8].sum() == 8
    astray = np.concatenate([[1], centre[1:]])
    with pytest.raises(DataError, match="two strata"):
        next(bootstrap_weights(16, replicates=1, seed=1, cluster=patient, strata=astray))


def test_intervals_agree_with_scipy():
    """Percentile and BCa limits of a skewed mean agree with scipy's bootstrap."""
    values = np.random.default_rng(0).exponential(size=80)
    result = bootstrap(mean_of(values), 80, replicates=20_000, seed=1, jackknife_blocks=80)

    for method, found in (("percentile", result.percentile()), ("BCa", result.bca())):
        theirs = sps.bootstrap(
            (values,), np.mean, n_resamples=20_000, method=method, rng=np.random.default_rng(2)
        ).confidence_interval
        assert found == pytest.approx((theirs.low, theirs.high), abs=0.015)
    assert result.std_error() == pytest.approx(values.std() / np.sqrt(80), rel=0.03)
    assert result.bca()[1] > result.percentile()[1]


def test_blocks_approximate_the_full_jack_knife():
    """Leaving out blocks of patients gives nearly the limits of leaving out each."""
    values = np.random.default_rng(1).exponential(size=400)
    each = bootstrap(mean_of(values), 400, replicates=4000, seed=1, jackknife_blocks=10_000)
    blocks = bootstrap(mean_of(values), 400, replicates=4000, seed=1, jackknife_blocks=50)

    assert each.jackknife.shape == (400, 1)
    assert blocks.jackknife.shape == (50, 1)
    assert blocks.bca() == pytest.approx(each.bca(), abs=0.02)


def test_differences_are_paired():
    """Two measures from one statistic share the draws, so their difference is much surer."""
    rng = np.random.default_rng(2)
    one = rng.normal(size=200)
    both = np.column_stack([one, one + 0.1 + rng.normal(0, 0.05, 200)])
    result = bootstrap(mean_of(both), 200, replicates=1000, seed=1, jackknife_blocks=200)

    difference = result.map(lambda rows: rows[:, 1] - rows[:, 0])

    assert difference.std_error() < 0.1 * result.std_error(0)
    assert difference.estimate[0] == pytest.approx(np.diff(both.mean(axis=0))[0])
    assert difference.bca()[0] > 0.05
    assert difference.n_replicates == 1000


def test_percentile_interval_covers():
    """95 % intervals of a mean of 60 cover the truth in about 95 of a hundred samples."""
    rng = np.random.default_rng(3)
    covered = 0
    for seed in range(250):
        values = rng.normal(1.0, 2.0, 60)
        draws = bootstrap(mean_of(values), 60, replicates=200, seed=seed)
        lower, upper = draws.percentile()
        covered += lower <= 1.0 <= upper
    assert 0.90 <= covered / 250 <= 0.98


def test_clustered_rows_have_the_spread_of_their_patients():
    """Ten copies of each patient do not make the estimate surer."""
    values = np.random.default_rng(4).normal(size=50)
    rows = np.repeat(np.arange(50), 10)

    honest = bootstrap(mean_of(values[rows]), 500, replicates=800, seed=1, cluster=rows)
    naive = bootstrap(mean_of(values[rows]), 500, replicates=800, seed=1)

    assert honest.std_error() == pytest.approx(values.std() / np.sqrt(50), rel=0.1)
    assert naive.std_error() < 0.4 * honest.std_error()
    assert honest.n_units == 50


def test_failed_replicates_are_counted():
    """A draw in which a measure has no value is counted and left out of the interval."""
    values = np.arange(1.0, 41.0)

    def statistic(weights):
        if weights[0] == 0 and weights[1] == 0:
            raise NotEstimable("nobody left")
        return [weights @ values / weights.sum(), np.nan if weights[2] > 2 else 1.0]

    result = bootstrap(statistic, 40, replicates=1000, seed=1)

    assert result.n_failed[0] == pytest.approx(1000 * np.exp(-2), abs=40)
    assert result.n_failed[1] > result.n_failed[0]
    assert 15 < result.percentile()[0] < 20.5 < result.percentile()[1] < 26


def test_too_many_failures_refuse_the_interval():
    """When more than a fifth of the draws fail there is no interval, and it says how many."""

    def statistic(weights):
        return weights.sum() if weights[0] > 0 else np.nan

    result = bootstrap(statistic, 20, replicates=400, seed=1, jackknife_blocks=20)

    for interval in (result.percentile, result.bca, result.std_error):
        with pytest.raises(NotEstimable, match=r"\d+ of 400 bootstrap replicates failed"):
            interval()


def test_a_statistic_that_does_not_exist_on_the_data_is_no_bootstrap():
    """The reason of the statistic itself is passed on."""

    def statistic(weights):
        raise NotEstimable("no events")

    with pytest.raises(NotEstimable, match="no events"):
        bootstrap(statistic, 5, seed=1)


def test_bca_needs_its_jack_knife_and_an_estimate_among_the_draws():
    """Without blocks it says what to ask for; outside all draws it refuses."""
    values = np.arange(10.0)
    with pytest.raises(ConfigError, match="jackknife_blocks"):
        bootstrap(mean_of(values), 10, replicates=50, seed=1).bca()
    smallest = bootstrap(
        lambda w: float(np.min(w)) + (w.min() == 1), 10, replicates=50, seed=1, jackknife_blocks=5
    )
    with pytest.raises(NotEstimable, match="outside all"):
        smallest.bca()
    flat = bootstrap(lambda w: 1.0, 10, replicates=50, seed=1, jackknife_blocks=5)
    assert flat.bca() == (1.0, 1.0)


def test_memory_does_not_grow_with_draws_times_patients():
    """300 draws of 20 000 patients (48 MB of weights) stay under a few megabytes."""
    values = np.arange(20_000.0)
    tracemalloc.start()
    bootstrap(mean_of(values), 20_000, replicates=300, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 5e6


def test_bad_requests_are_refused():
    """Too few draws or blocks, labels that do not fit, impossible levels."""
    with pytest.raises(ConfigError, match="replicates"):
        bootstrap(lambda w: 1.0, 3, replicates=1, seed=1)
    with pytest.raises(ConfigError, match="replicates"):
        list(bootstrap_weights(3, replicates=0, seed=1))
    with pytest.raises(ConfigError, match="jackknife_blocks"):
        bootstrap(lambda w: 1.0, 3, seed=1, jackknife_blocks=1)
    with pytest.raises(DataError, match="cluster"):
        bootstrap(lambda w: 1.0, 3, seed=1, cluster=[1, 2])
    with pytest.raises(DataError, match="no rows"):
        bootstrap(lambda w: 1.0, 0, seed=1)
    with pytest.raises(ConfigError, match="level"):
        bootstrap(lambda w: 1.0, 3, seed=1).percentile(level=1.0)
