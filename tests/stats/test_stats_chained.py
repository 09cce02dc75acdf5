"""Multiple imputation by chained equations: what is kept, drawn, and covered."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.stats.chained import IncompleteColumn, imputations_needed, impute_chained
from metastra.stats.imputation import pool_rubin


def columns(n=300, seed=1, share=0.3):
    """A number and a category that depend on a complete column, with holes that depend on it."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = x + rng.normal(size=n)
    level = np.clip(np.round(x + 0.7 * rng.normal(size=n)) + 1.0, 0.0, 2.0)
    gone = rng.uniform(size=(n, 2)) < 2.0 * share / (1.0 + np.exp(-x))[:, None]
    holed = [np.where(gone[:, 0], np.nan, y), np.where(gone[:, 1], np.nan, level)]
    return x, [IncompleteColumn(values=holed[0]), IncompleteColumn(values=holed[1], n_levels=3)]


def test_known_values_stay_and_drawn_ones_are_values_that_occur():
    """Matching draws observed numbers, levels stay levels; the seed alone decides."""
    x, holed = columns()
    draws = impute_chained(holed, x[:, None], m=4, seed=2, sweeps=4)
    assert len(draws) == 4
    for draw in draws:
        for one, values in zip(holed, draw, strict=True):
            known = ~np.isnan(one.values)
            assert (values[known] == one.values[known]).all()
            assert set(values[~known]) <= set(one.values[known])
    again = impute_chained(holed, x[:, None], m=4, seed=2, sweeps=4)
    assert all((a == b).all() for one, two in zip(draws, again, strict=True)
               for a, b in zip(one, two, strict=True))  # fmt: skip
    assert (draws[0][0] != draws[1][0]).any()


def test_the_levels_that_are_drawn_follow_the_predictor():
    """Where the predictor is high, high levels are drawn: the relation is not thinned out."""
    x, holed = columns(800, seed=3)
    draw = impute_chained(holed, x[:, None], m=1, seed=1, sweeps=4)[0]
    gone = np.isnan(holed[1].values)
    among_known = np.corrcoef(x[~gone], holed[1].values[~gone])[0, 1]
    among_drawn = np.corrcoef(x[gone], draw[1][gone])[0, 1]
    assert among_drawn == pytest.approx(among_known, abs=0.12)


def test_as_many_imputations_as_percent_of_patients_lack_a_value():
    """5 at least, 50 at most."""
    values = np.ones(200)
    assert imputations_needed([]) == 5
    assert imputations_needed([IncompleteColumn(values=values)]) == 5
    third = np.where(np.arange(200) < 61, np.nan, 1.0)
    assert imputations_needed([IncompleteColumn(values=third)]) == 31
    most = np.where(np.arange(200) < 190, np.nan, 1.0)
    assert imputations_needed([IncompleteColumn(values=most)]) == 50


def test_what_cannot_be_imputed_is_refused():
    """Holes in the complete columns, other lengths, hardly any known value, wrong numbers."""
    x, holed = columns()
    with pytest.raises(DataError, match="missing"):
        impute_chained(holed, np.where(x > 2, np.nan, x)[:, None], m=2, seed=1)
    with pytest.raises(DataError, match="same patients"):
        impute_chained(holed, x[:10, None], m=2, seed=1)
    with pytest.raises(ConfigError):
        impute_chained(holed, x[:, None], m=0, seed=1)
    empty = IncompleteColumn(values=np.where(np.arange(300) < 5, 1.0, np.nan))
    with pytest.raises(NotEstimable, match="5 known values"):
        impute_chained([empty], x[:, None], m=2, seed=1)


@pytest.mark.slow
def test_pooled_intervals_cover_where_complete_cases_are_biased():
    """The mean of a column with holes that depend on x: complete cases miss it, Rubin's hold it."""
    held = naive = 0
    studies = 200
    for seed in range(studies):
        rng = np.random.default_rng(seed)
        n = 200
        x = rng.normal(size=n)
        y = 1.0 + x + rng.normal(size=n)
        gone = rng.uniform(size=n) < 1.0 / (1.0 + np.exp(-0.7 * x))
        holed = IncompleteColumn(values=np.where(gone, np.nan, y))
        draws = impute_chained([holed], x[:, None], m=10, seed=seed, sweeps=1)
        values = [draw[0] for draw in draws]
        pooled = pool_rubin(
            [v.mean() for v in values], [v.std(ddof=1) / np.sqrt(n) for v in values], n=n
        )
        low, high = pooled.interval()
        held += low <= 1.0 <= high
        known = y[~gone]
        half = 1.96 * known.std(ddof=1) / np.sqrt(known.size)
        naive += abs(known.mean() - 1.0) <= half
    assert 0.91 <= held / studies <= 0.985
    assert naive / studies < 0.5
