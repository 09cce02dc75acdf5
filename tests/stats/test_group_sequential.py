"""Bounds of interim looks against published values, brute force and the multivariate normal."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from metastra.errors import ConfigError
from metastra.stats.group_sequential import (
    crossing_probabilities,
    obrien_fleming_spent,
    sequential_bounds,
)

# Printed for even looks by the usual programs (spending function of Lan and DeMets, one-sided
# 0.025); the second of five is printed as 3.3569 by one with a coarse grid, adaptive quadrature
# gives 3.35701.
PUBLISHED = {
    1: [1.9600],
    2: [2.9626, 1.9686],
    3: [3.7103, 2.5114, 1.9930],
    4: [4.3326, 2.9631, 2.3590, 2.0141],
    5: [4.8769, 3.3570, 2.6803, 2.2898, 2.0310],
}


@pytest.mark.parametrize("k", sorted(PUBLISHED))
def test_even_looks_give_the_published_bounds(k):
    """To the four digits that are printed."""
    shares = np.arange(1, k + 1) / k

    found = sequential_bounds(shares, obrien_fleming_spent(shares, 0.025))

    np.testing.assert_allclose(found, PUBLISHED[k], atol=6e-5)


@pytest.mark.parametrize("shares", [[0.3, 1.0], [0.25, 0.6, 1.0], [0.5, 0.9, 1.0]])
def test_uneven_looks_agree_with_the_multivariate_normal(shares):
    """An independent integration: the chance of crossing nowhere is 1 - alpha."""
    bounds = sequential_bounds(shares, obrien_fleming_spent(shares, 0.025))

    t = np.array(shares)
    correlation = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))
    stays = multivariate_normal(mean=np.zeros(t.size), cov=correlation).cdf(bounds)

    assert stays == pytest.approx(0.975, abs=2e-5)


def test_the_error_holds_in_simulated_studies():
    """Brute force: Brownian motion, 400 000 paths, looked at three times."""
    shares = np.array([0.4, 0.7, 1.0])
    bounds = sequential_bounds(shares, obrien_fleming_spent(shares, 0.05))
    rng = np.random.default_rng(4)
    steps = rng.standard_normal((400_000, 3)) * np.sqrt(np.diff([0.0, *shares]))
    z = np.cumsum(steps, axis=1) / np.sqrt(shares)

    crossed = np.mean((z >= bounds).any(axis=1))

    assert crossed == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 400_000))
    np.testing.assert_allclose(crossing_probabilities(shares, bounds).sum(), 0.05, atol=1e-9)


def test_spending_has_its_closed_form():
    """Nothing early, all of it at the end, more information than planned spends no more."""
    spent = obrien_fleming_spent([0.1, 0.5, 1.0, 1.3], 0.025)

    assert spent[0] < 1e-11
    assert spent[1] == pytest.approx(2 * norm.sf(norm.isf(0.0125) / np.sqrt(0.5)))
    assert spent[2:].tolist() == pytest.approx([0.025, 0.025])


def test_a_look_that_spends_nothing_has_no_bound():
    """The last look then has the bound of a study with one look."""
    bounds = sequential_bounds([0.5, 1.0], [0.0, 0.025])

    assert np.isinf(bounds[0])
    assert bounds[1] == pytest.approx(norm.isf(0.025), abs=1e-9)


def test_more_events_than_planned_use_their_own_correlation():
    """The last bound depends on the information that came, not on the plan."""
    spent = obrien_fleming_spent([0.5, 1.0], 0.025)

    planned = sequential_bounds([8, 16], spent)
    more = sequential_bounds([8, 24], spent)

    assert planned[0] == more[0]
    assert more[1] > planned[1]  # less correlated with the first look


def test_power_grows_with_the_drift():
    """Under a drift the probabilities sum to the power."""
    shares = [0.5, 1.0]
    bounds = sequential_bounds(shares, obrien_fleming_spent(shares, 0.025))

    power = crossing_probabilities(shares, bounds, drift=3.24).sum()

    # a fixed design has 90 % power at this drift; one O'Brien-Fleming look costs under 1 %
    assert 0.89 < power < 0.901


@pytest.mark.parametrize(
    ("information", "spent"),
    [([1, 1], [0.01, 0.02]), ([2, 1], [0.01, 0.02]), ([1, 2], [0.02, 0.01]), ([1], [0.01, 0.02])],
)
def test_looks_that_cannot_be_are_refused(information, spent):
    """Information ascends, error does not descend, one error for each look."""
    with pytest.raises(ConfigError):
        sequential_bounds(information, spent)
