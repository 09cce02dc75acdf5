"""Permutation tests: exact on small sets, level under the null, strata held."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.stats.permutation import permutation_test


def test_p_value_approaches_the_exact_one():
    """With all 720 arrangements counted, the share as extreme is what sampling finds."""
    x, y = np.arange(6.0), np.array([2.0, 1.0, 3.0, 5.0, 4.0, 6.0])
    exact = np.mean([x @ y[list(order)] >= x @ y for order in permutations(range(6))])

    test = permutation_test(lambda order: float(x @ y[order]), 6, permutations=20_000, seed=1)

    assert test.p_value == pytest.approx(exact, abs=0.003)
    assert test.statistic == x @ y
    assert (test.n_failed, test.null.size) == (0, 20_000)


def test_alternatives_mirror_each_other():
    """The smaller of the two sides doubled is the two-sided value."""
    x, y = np.arange(8.0), np.array([3.0, 1.0, 2.0, 5.0, 4.0, 8.0, 6.0, 7.0])

    greater, less, both = (
        permutation_test(lambda o: float(x @ y[o]), 8, seed=2, alternative=side).p_value
        for side in ("greater", "less", "two-sided")
    )

    assert both == pytest.approx(2 * greater)
    assert less > 0.9


def test_level_under_the_null():
    """Unrelated data are called related in about one case of twenty."""
    rng = np.random.default_rng(0)
    rejected = 0
    for seed in range(300):
        x, y = rng.normal(size=(2, 25))
        test = permutation_test(lambda o: float(x @ y[o]), 25, permutations=99, seed=seed)  # noqa: B023
        rejected += test.p_value <= 0.05
    assert 4 <= rejected <= 28


def test_strata_are_never_mixed():
    """Rows move within their stratum only."""
    strata = np.array([0, 0, 0, 1, 1, 1, 1])

    def statistic(order):
        assert (strata[order] == strata).all()
        return float(order[0])

    assert permutation_test(statistic, 7, seed=1, strata=strata).null.max() == 2


def test_p_is_never_zero_and_failures_are_counted():
    """The data themselves are one of the arrangements; NaN and refusals are left out."""

    def statistic(order):
        if order[0] == 1:
            raise NotEstimable("not this one")
        return np.nan if order[0] == 2 else float((order == np.arange(30)).sum())

    test = permutation_test(statistic, 30, permutations=200, seed=1)

    assert test.p_value == 1 / (1 + test.null.size)
    assert test.n_failed == 200 - test.null.size > 0


def test_bad_requests_are_refused():
    """Unknown sides, no permutations, wrong strata, statistics that never exist."""
    with pytest.raises(ConfigError, match="two-sided"):
        permutation_test(lambda o: 1.0, 3, seed=1, alternative="both")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="permutations=0"):
        permutation_test(lambda o: 1.0, 3, permutations=0, seed=1)
    with pytest.raises(DataError, match="strata"):
        permutation_test(lambda o: 1.0, 3, seed=1, strata=[1])
    with pytest.raises(NotEstimable, match="data themselves"):
        permutation_test(lambda o: np.nan, 3, seed=1)
    with pytest.raises(NotEstimable, match="none of"):
        permutation_test(
            lambda o: 1.0 if (o == np.arange(9)).all() else np.nan, 9, permutations=5, seed=1
        )
