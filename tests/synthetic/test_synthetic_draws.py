"""Streams of random numbers that are named, independent and the same everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from metastra.synthetic.draws import Draws

PINNED = [0.34363399533704936, 0.2272772625549671, 0.012804259074070623]


def test_a_stream_never_changes():
    """The first numbers of a stream are pinned: a change would change every published study."""
    drawn = Draws(seed=20260101, label="north").uniform("age", 3)

    assert drawn.tolist() == PINNED


def test_a_longer_draw_begins_with_the_shorter_one():
    """Asking for more numbers changes none of those already drawn."""
    draws = Draws(seed=7, label="a")

    assert (draws.normal("x", 100)[:10] == draws.normal("x", 10)).all()


@pytest.mark.parametrize(
    "other",
    [
        Draws(seed=8, label="a").uniform("x", 2000),
        Draws(seed=7, label="b").uniform("x", 2000),
        Draws(seed=7, label="a").uniform("y", 2000),
        Draws(seed=7, label="a").within("a").uniform("x", 2000),
    ],
    ids=["seed", "label", "name", "within"],
)
def test_streams_with_another_name_are_independent(other):
    """Seed, label and name each give a stream of their own, uncorrelated with the others."""
    drawn = Draws(seed=7, label="a").uniform("x", 2000)

    assert abs(np.corrcoef(drawn, other)[0, 1]) < 4 / np.sqrt(2000)


@pytest.mark.parametrize(
    ("drawn", "law"),
    [
        (Draws(seed=3).uniform("u", 20_000), "uniform"),
        (Draws(seed=3).normal("n", 20_000), "norm"),
        (Draws(seed=3).exponential("e", 20_000), "expon"),
    ],
    ids=["uniform", "normal", "exponential"],
)
def test_each_distribution_is_what_it_says(drawn, law):
    """A Kolmogorov–Smirnov test does not reject the distribution's law."""
    assert kstest(drawn, law).pvalue > 0.001


def test_integers_hit_both_ends_and_every_value_equally_often():
    """Both limits can occur, and frequencies agree with equal chances."""
    values, counts = np.unique(
        Draws(seed=1).integers("i", 70_000, low=-3, high=3), return_counts=True
    )

    assert values.tolist() == [-3, -2, -1, 0, 1, 2, 3]
    assert (np.abs(counts - 10_000) < 4 * np.sqrt(10_000)).all()


def test_categories_follow_each_rows_own_probabilities():
    """Rows may have their own probabilities, which need not sum to 1."""
    probabilities = np.tile([[1.0, 3.0, 0.0], [0.0, 0.0, 2.0]], (20_000, 1))

    drawn = Draws(seed=1).categories("c", probabilities, 40_000)

    assert set(drawn[1::2].tolist()) == {2}
    assert set(drawn[::2].tolist()) == {0, 1}
    assert np.mean(drawn[::2]) == pytest.approx(0.75, abs=4 * np.sqrt(0.75 * 0.25 / 20_000))
