"""Tiles have their size in microns on every scanner, and come in one order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metastra.errors import ConfigError, SlideError
from metastra.slides.opening import open_slide
from metastra.slides.slide import Level, SlideInfo
from metastra.tiles import grid as grid_module
from metastra.tiles.grid import TileSpec, make_grid
from metastra.tiles.reading import read_tiles


def info(width=5000, height=3000, mpp=(0.25, 0.25), **other):
    return SlideInfo(
        name="a.svs",
        reader="openslide",
        vendor="aperio",
        width_px=width,
        height_px=height,
        mpp_x=mpp[0],
        mpp_y=mpp[1],
        mpp_source=None if mpp[0] is None else "file",
        levels=(Level(width_px=width, height_px=height, downsample=1.0),),
        **other,
    )


def by_integral(pixels, side, count):
    """Area means of a square from the integral of the picture: another way to the same number."""
    integral = np.zeros((pixels.shape[0] + 1, pixels.shape[1] + 1, 3))
    integral[1:, 1:] = pixels.astype(float).cumsum(0).cumsum(1)
    edges = np.arange(count + 1) * side / count

    def at(axis_values, axis):
        low = np.minimum(edges.astype(int), axis_values.shape[axis] - 2)
        share = (edges - low).reshape([-1 if a == axis else 1 for a in range(3)])
        return (1 - share) * axis_values.take(low, axis) + share * axis_values.take(low + 1, axis)

    corners = at(at(integral, 0), 1)
    return np.diff(np.diff(corners, axis=0), axis=1) / (side / count) ** 2


@pytest.mark.parametrize("mpp", [0.2274, 0.25, 0.2525, 0.499, 0.5, 0.62])
def test_a_tile_measures_the_same_in_microns_on_every_scanner(mpp):
    """112 µm, to the rounding of float; what is called 20× does not matter."""
    grid = make_grid(info(mpp=(mpp, mpp)), TileSpec())

    assert np.allclose(np.asarray(grid.side_px0) * mpp, 112.0, rtol=1e-12)
    steps = np.diff(np.unique(grid.coords[:, 0])) * mpp
    assert np.abs(steps - 112.0).max() <= mpp
    assert np.abs(grid.coords[:, 0] * mpp / 112 - np.rint(grid.coords[:, 0] * mpp / 112)).max() < (
        0.51 * mpp / 112
    )


def test_roundings_of_corners_never_add_up():
    """The thousandth tile stands where 1000 sides say, to half a pixel."""
    grid = make_grid(info(width=600_000, height=600, mpp=(0.2274, 0.2274)), TileSpec())

    column = np.arange(len(grid))
    assert len(grid) > 1000
    assert np.abs(grid.coords[:, 0] - column * grid.side_px0[0]).max() <= 0.5


def test_pixels_that_are_not_square_give_tiles_that_are_square_in_microns():
    """mpp_x ≠ mpp_y: other sides in pixels, the same in microns."""
    grid = make_grid(info(mpp=(0.25, 0.5)), TileSpec())

    assert grid.side_px0 == (448.0, 224.0)
    assert (grid.boxes_px0[:, 2:] * [0.25, 0.5] == 112).all()
    assert (np.diff(np.unique(grid.centres_um[:, 1])) == 112).all()


def test_tiles_come_by_rows_and_lie_wholly_inside():
    """Row-major from the top left; none is padded."""
    grid = make_grid(info(width=1400, height=950), TileSpec())

    assert grid.coords.tolist() == [[x, y] for y in (0, 448) for x in (0, 448, 896)]
    far = grid.boxes_px0[:, :2] + grid.boxes_px0[:, 2:]
    assert (far <= [1400, 950]).all()
    assert grid.coords.dtype == np.int64


def test_bounds_limit_the_grid():
    """The scanned area of a MIRAX slide, not the empty frame around it."""
    grid = make_grid(info(bounds_px0=(1000, 500, 900, 460)), TileSpec())

    assert grid.coords.tolist() == [[1000, 500], [1448, 500]]


def test_a_slide_smaller_than_a_tile_has_none():
    """An empty grid is a grid."""
    grid = make_grid(info(width=447, height=9000), TileSpec())

    assert len(grid) == 0
    assert grid.coords.shape == (0, 2)
    assert grid.boxes_px0.shape == (0, 4)


@settings(max_examples=50)
@given(
    mpp=st.tuples(st.floats(0.1, 0.62), st.floats(0.1, 0.62)),
    size=st.tuples(st.integers(1, 9000), st.integers(1, 9000)),
    tile_px=st.integers(16, 600),
)
def test_any_grid_tiles_its_slide(mpp, size, tile_px):
    """Inside the slide, side by side to half a pixel, and no further tile would fit."""
    slide = info(width=size[0], height=size[1], mpp=mpp)
    grid = make_grid(slide, TileSpec(tile_px=tile_px))

    for axis in (0, 1):
        corners, side = np.unique(grid.coords[:, axis]), grid.side_px0[axis]
        fitting = int(size[axis] / side + 1e-9)
        if len(grid):
            assert len(corners) in (fitting, fitting - 1)
            assert corners[0] == 0
            assert corners[-1] + side <= size[axis] + 1e-6
            assert np.abs(np.diff(corners) - side).max(initial=0) <= 1
    assert np.unique(grid.coords, axis=0).shape == grid.coords.shape


def test_take_keeps_the_order():
    """By mask or by position."""
    grid = make_grid(info(width=1400, height=950), TileSpec())
    mask = np.array([True, False, False, True, True, False])

    assert grid.take(mask).coords.tolist() == grid.coords[[0, 3, 4]].tolist()
    assert grid.take(np.array([5, 0])).coords.tolist() == grid.coords[[5, 0]].tolist()
    with pytest.raises(IndexError):
        grid.take(mask[:3])


def test_a_slide_that_is_too_coarse_is_refused():
    """Up to 1.25 times coarser is allowed; the message says both scales."""
    assert len(make_grid(info(mpp=(0.625, 0.5)), TileSpec()))
    with pytest.raises(SlideError, match=r"SL010 a\.svs: .*28\.97 µm.*at most 0\.625") as caught:
        make_grid(info(mpp=(28.969, 28.968)), TileSpec())
    assert caught.value.code == "SL010"
    with pytest.raises(SlideError, match="SL010"):
        make_grid(info(mpp=(0.25, 0.63)), TileSpec())


def test_a_slide_without_a_scale_is_refused_with_the_option():
    """Never assumed."""
    with pytest.raises(SlideError, match=r"SL007 .*--slide-mpp.*column MPP"):
        make_grid(info(mpp=(None, None)), TileSpec())


def test_a_header_that_claims_a_country_is_refused(monkeypatch):
    """The number of tiles is limited before they are laid out."""
    with pytest.raises(SlideError, match=r"SL006 .*tiles; expected at most 2097152 tiles"):
        make_grid(info(width=2**40, height=2**40), TileSpec())
    monkeypatch.setattr(grid_module, "MAX_TILES", 5)
    with pytest.raises(SlideError, match="3 × 2 tiles"):
        make_grid(info(width=1400, height=950), TileSpec())


@pytest.mark.parametrize(
    "spec", [{"target_mpp": 0}, {"target_mpp": float("nan")}, {"tile_px": 0}, {"tile_px": 5000}]
)
def test_a_tiling_that_cannot_be_is_refused(spec):
    """The scale and the side have ranges."""
    with pytest.raises(ConfigError, match="expected"):
        TileSpec(**spec)


def test_tiles_of_a_real_slide(shared):
    """CMU-1: 117 tiles, in batches of any size the same pixels, true to the slide."""
    path = shared / "data" / "wsi" / "CMU-1-Small-Region.svs"
    with open_slide(path) as slide:
        grid = make_grid(slide.info, TileSpec())
        some = grid.take(np.arange(40, 47))
        big = np.concatenate([tiles for _, tiles in read_tiles(slide, some, 100)])
        parts = [(part, tiles.copy()) for part, tiles in read_tiles(slide, some, 3)]
        x, y = some.coords[0].tolist()
        raw = slide.read_region(x, y, 0, 226, 226)

    assert len(grid) == 9 * 13
    assert big.shape == (7, 224, 224, 3)
    assert [(p.start, p.stop) for p, _ in parts] == [(0, 3), (3, 6), (6, 7)]
    assert (np.concatenate([tiles for _, tiles in parts]) == big).all()
    assert np.abs(big[0] - by_integral(raw, some.side_px0[0], 224)).max() <= 0.5 + 1e-5


def test_a_batch_has_at_least_one_tile(shared):
    """Zero would never end."""
    with open_slide(shared / "data" / "wsi" / "CMU-1-Small-Region.svs") as slide:
        grid = make_grid(slide.info, TileSpec())
        with pytest.raises(ValueError, match="at least 1"):
            next(read_tiles(slide, grid, 0))
