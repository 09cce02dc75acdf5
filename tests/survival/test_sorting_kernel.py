"""The sort under every rank-based measure, against numpy's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metastra.survival.outcome import Outcome, merge_near_ties
from metastra.survival.sorting_kernel import dense_rank, merge_ordered, stable_order

FLOATS = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=60)


@given(FLOATS)
def test_order_is_numpys_stable_order(values):
    """Equal to numpy's stable sort on any finite numbers, the two zeros apart."""
    array = np.array(values) + 0.0  # -0 becomes 0: numpy takes them as equal

    assert stable_order(array).tolist() == np.argsort(array, kind="stable").tolist()


@given(FLOATS)
def test_ranks_are_numpys_inverse(values):
    """Dense ranks as numpy's unique gives them; -0 and 0 are one value."""
    array = np.array(values)

    rank, n_ranks = dense_rank(array)

    unique, inverse = np.unique(array, return_inverse=True)
    assert (rank.tolist(), n_ranks) == (inverse.tolist(), unique.size)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(5000.0)[::-1],
        np.random.default_rng(1).integers(0, 3, 5000).astype(float),
        np.random.default_rng(2).standard_normal(5000),
        np.random.default_rng(3).standard_cauchy(5000) * 1e300,
        np.full(5000, 7.0),
        np.array([5e-324, -5e-324, 0.0, 1.7e308, -1.7e308]),
    ],
    ids=["falling", "ties", "normal", "huge", "constant", "extremes"],
)
def test_order_of_long_arrays(array):
    """Long arrays of every kind are in order, ties as they stood."""
    assert (stable_order(array) == np.argsort(array, kind="stable")).all()


def test_views_and_read_only_arrays():
    """A reversed view and a read-only array sort like their copies."""
    array = np.random.default_rng(4).standard_normal(100)
    array.setflags(write=False)

    assert (stable_order(array[::-1]) == np.argsort(array[::-1], kind="stable")).all()
    assert array.flags.writeable is False


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_outcome_keeps_an_order_that_sorts_its_merged_times(days):
    """Times that differ by rounding are made equal, and the kept order still sorts them."""
    noisy = np.array(days) / 365.25 * (1.0 + 1e-12 * np.arange(len(days)))

    outcome = Outcome(time=noisy, event=np.ones(len(days), dtype=int))

    assert (np.diff(outcome.time[outcome.order]) >= 0.0).all()
    assert np.unique(outcome.time).size == len(set(days))
    assert outcome.time.tolist() == merge_near_ties(noisy).tolist()


def test_order_follows_a_selection():
    """A bootstrap draw has an order of its own."""
    outcome = Outcome(time=[3.0, 1.0, 2.0], event=[1, 1, 0])

    assert outcome.order.tolist() == [1, 2, 0]
    assert outcome.take(np.array([0, 0, 1])).order.tolist() == [2, 0, 1]


def test_numbers_that_differ_in_their_last_bits_only_are_sorted_too():
    """Many of them at once, few of them among others, and all the same in the upper bits."""
    rng = np.random.default_rng(5)
    near = 1.0 + rng.permutation(3_000) * np.finfo(np.float64).eps
    few = rng.normal(size=3_000)
    few[::100] = few[0] + rng.permutation(30) * 1e-15
    for values in (near, few, -near, np.concatenate([near, few, -few])):
        assert stable_order(values).tolist() == np.argsort(values, kind="stable").tolist()


def test_close_neighbours_take_the_first_value_of_their_run():
    """The rule of R's aeqSurv, written out over the sorted distinct values."""
    rng = np.random.default_rng(8)
    values = np.concatenate([rng.exponential(100.0, 200), rng.integers(1, 50, 200).astype(float)])
    values = np.concatenate([values, values[:100] + 1e-7, values[:100] - 2e-7])
    distinct = np.unique(values)
    close = 1.5e-8 * max(1.0, float(np.mean(np.abs(distinct))))
    leader = {distinct[0]: distinct[0]}
    for before, here in itertools.pairwise(distinct):
        leader[here] = leader[before] if here - before <= close else here

    merged = merge_ordered(values, stable_order(values), 1.5e-8)

    assert merged.tolist() == [leader[value] for value in values]
    assert np.unique(merged).size < distinct.size - 100
