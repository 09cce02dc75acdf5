"""Contributions of tiles and neighbourhoods against scoring again what is left."""

from __future__ import annotations

import numpy as np
import pytest

from explanation.weighted_tiles import Rescored
from metastra.errors import DataError, NotEstimable
from metastra.explanation.contributions import (
    neighbourhood_contributions,
    risk_map,
    tile_cells,
)


@pytest.fixture
def drawn():
    """Sixty tiles with holes on two slides."""
    rng = np.random.default_rng(5)
    every = np.array([(x, y) for y in range(8) for x in range(6)])
    cells = np.concatenate([every[rng.permutation(48)[:35]], every[rng.permutation(48)[:25]]])
    slides = np.repeat([0, 1], [35, 25])
    return Rescored(rng.normal(size=60), rng.uniform(0.2, 3.0, 60)), cells, slides


def test_a_neighbourhood_is_the_tile_and_what_touches_it_on_its_slide(drawn):
    """Each of the sixty against leaving out by hand what lies within one cell on the same slide."""
    explained, cells, slides = drawn
    found = neighbourhood_contributions(explained, cells, slides)
    for place in range(60):
        near = (np.abs(cells - cells[place]) <= 1).all(axis=1) & (slides == slides[place])
        assert near[place]
        assert found[place] == pytest.approx(explained.score - explained._of(~near), abs=1e-12)


def test_contributions_are_in_units_of_the_risk_model(drawn):
    """Turned round and scaled by the risk model's coefficient; attention is left as it is."""
    explained, cells, slides = drawn
    found = risk_map(explained, cells, slides, per_score=-2.0)
    np.testing.assert_allclose(found.tiles, -2.0 * explained.leave_one_out)
    around = neighbourhood_contributions(explained, cells, slides)
    np.testing.assert_allclose(found.neighbourhoods, -2.0 * around)
    assert found.attention.sum() == pytest.approx(1.0)


def test_where_nothing_would_be_left_there_is_no_number():
    """The only tile, and a neighbourhood that is the whole slide."""
    one = risk_map(Rescored(np.ones(1), np.ones(1)), np.zeros((1, 2), int), np.zeros(1, int))
    assert np.isnan(one.tiles).all()
    assert np.isnan(one.neighbourhoods).all()
    two = Rescored(np.array([0.0, 1.0]), np.ones(2))
    found = risk_map(two, np.array([[0, 0], [1, 0]]), np.zeros(2, int))
    assert found.tiles.tolist() == [-0.5, 0.5]
    assert np.isnan(found.neighbourhoods).all()


def test_no_tiles_and_arrays_that_do_not_fit_are_refused(drawn):
    explained, cells, slides = drawn
    with pytest.raises(NotEstimable, match="no tiles"):
        risk_map(explained, cells[:0], slides[:0])
    with pytest.raises(DataError, match=r"leave_one_out has shape \(60,\); expected \(59,\)"):
        risk_map(explained, cells[:59], slides[:59])


def test_cells_follow_a_grid_whose_corners_were_rounded():
    """Sides of 486.96 px: corners are whole pixels, columns do not drift over 400 tiles."""
    side = 486.956
    x = np.rint(17.3 + side * np.arange(400)).astype(np.int64)
    coords = np.column_stack([x, np.full(400, 40)])
    cells = tile_cells(coords, (side, side))
    assert cells[:, 0].tolist() == list(range(400))
    assert not cells[:, 1].any()
    assert tile_cells(coords[:0], (side, side)).shape == (0, 2)
