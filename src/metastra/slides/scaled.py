"""Any region of a slide at any scale, read from the best level in bounded memory.

An output pixel is the mean of the area it covers, fractions of source pixels included, so that the
result does not depend on where a level's pixels happen to lie.  A region is read in blocks of at
most `BLOCK_PX` source pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from metastra.slides.area_kernel import area_bytes, area_mean
from metastra.slides.slide import Level, Slide, SlideInfo, slide_error

__all__ = [
    "BLOCK_PX",
    "HALF",
    "MAX_SOURCE_PX",
    "MAX_STEP",
    "best_level",
    "pixel_edges",
    "read_scaled",
    "thumbnail",
]

BLOCK_PX = 1 << 22
"""Source pixels that are held at once (4 million, 16 MB while they are decoded)."""
MAX_SOURCE_PX = 1 << 30
"""Source pixels that one picture may cost; a slide without small levels can claim any number."""

_LEVEL_SLACK = 1.005  # a level of 2.0003 serves a scale of 2
_NOISE = 1e-6  # far below a grey level and a pixel, far above the noise of the sums
HALF = 0.5 + _NOISE
"""What is added before a fraction is cut off, so that rounding half up does not depend on noise."""
MAX_STEP = 512.0
"""Source pixels per output pixel that one pass may average, along one axis."""


def best_level(info: SlideInfo, scale: float) -> int:
    """Choose the coarsest level that is at least as fine as wanted.

    Parameters
    ----------
    info : SlideInfo
        Of the slide.
    scale : float
        Level-0 pixels per wanted pixel.

    Returns
    -------
    int
        Position in ``info.levels``; levels need not be in order.
    """
    fine = [
        (level.downsample, -number)
        for number, level in enumerate(info.levels)
        if level.downsample <= scale * _LEVEL_SLACK
    ]
    return -max(fine)[1] if fine else 0


def read_scaled(
    slide: Slide,
    x_px0: float,
    y_px0: float,
    width_px0: float,
    height_px0: float,
    out_w: int,
    out_h: int,
) -> NDArray[np.uint8]:
    """Read a region at another scale.

    Parameters
    ----------
    slide : Slide
        Open.
    x_px0, y_px0 : float
        Top left corner in level-0 pixels; may lie outside the slide, and between two pixels.
    width_px0, height_px0 : float
        Size in level-0 pixels, above 0.
    out_w, out_h : int
        Size of the result in pixels, above 0.  It may be finer than the slide: the area rule
        then repeats pixels and mixes them where an output pixel straddles two.

    Returns
    -------
    ndarray of uint8, shape (out_h, out_w, 3)
        RGB, each pixel the mean over its area, rounded half up; white outside the slide.

    Raises
    ------
    SlideError
        SL005 if a part cannot be decoded; SL006 if more than `MAX_SOURCE_PX` pixels of the best
        level would have to be decoded.
    ValueError
        If a size is not above 0 or the corner is not finite.
    """
    sizes = (width_px0, height_px0, out_w, out_h)
    if not all(math.isfinite(size) and size > 0 for size in sizes):
        raise ValueError(f"sizes must be above 0, not {sizes}")
    if not (math.isfinite(x_px0) and math.isfinite(y_px0)):
        raise ValueError(f"the corner x {x_px0}, y {y_px0} is not a place")
    info = slide.info
    number = best_level(info, min(width_px0 / out_w, height_px0 / out_h))
    down = info.levels[number].downsample
    step_x, step_y = width_px0 / out_w / down, height_px0 / out_h / down
    _require_bounded(info, step_x * out_w * step_y * out_h, number)
    # pixels that cover very much are averaged twice: first into whole parts of themselves
    parts_x, parts_y = math.ceil(step_x / MAX_STEP), math.ceil(step_y / MAX_STEP)
    x_edges = pixel_edges(x_px0 / down, step_x / parts_x, out_w * parts_x)
    y_edges = pixel_edges(y_px0 / down, step_y / parts_y, out_h * parts_y)
    out = np.empty((out_h, out_w, 3), dtype=np.uint8)
    for rows, columns in _blocks(out_h, out_w, step_y, step_x):
        across = x_edges[columns.start * parts_x : columns.stop * parts_x + 1]
        along = y_edges[rows.start * parts_y : rows.stop * parts_y + 1]
        source, across, along = _read_block(slide, number, across, along)
        if parts_x == parts_y == 1:
            out[rows, columns] = _rounded(source, across, along)
        else:
            shape = (rows.stop - rows.start, parts_y, columns.stop - columns.start, parts_x, 3)
            means = area_mean(source, across, along).reshape(shape).mean(axis=(1, 3))
            out[rows, columns] = np.floor(means + HALF)
    return out


def thumbnail(slide: Slide, max_side_px: int) -> NDArray[np.uint8]:
    """Make a small picture of the whole slide, its level 0 from edge to edge.

    Parameters
    ----------
    slide : Slide
        Open.
    max_side_px : int
        Length of the longer side; never finer than the slide.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        The shorter side is rounded, and at least 1.

    Raises
    ------
    SlideError
        As for `read_scaled`.
    ValueError
        If `max_side_px` is not above 0.
    """
    if max_side_px < 1:
        raise ValueError(f"a thumbnail has at least 1 px, not {max_side_px}")
    width, height = slide.info.width_px, slide.info.height_px
    shrink = min(1.0, max_side_px / max(width, height))
    out_w, out_h = max(1, round(width * shrink)), max(1, round(height * shrink))
    return read_scaled(slide, 0, 0, width, height, out_w, out_h)


def _require_bounded(info: SlideInfo, source_px: float, number: int) -> None:
    if source_px > MAX_SOURCE_PX:
        level: Level = info.levels[number]
        raise slide_error(
            "SL006",
            info.name,
            f"{source_px:.3g} pixels would have to be decoded for one picture; the best level "
            f"has {level.width_px} × {level.height_px} px",
            expected=f"at most {MAX_SOURCE_PX} px",
            hint="Convert it to a pyramid, for instance with `vips tiffsave IN OUT --tile "
            "--pyramid`.",
        )


def pixel_edges(start: float, step: float, count: int) -> NDArray[np.float64]:
    """Give the edges of output pixels along one axis.

    Parameters
    ----------
    start : float
        The first edge, in pixels of the level.
    step : float
        Pixels of the level per output pixel.
    count : int
        Output pixels.

    Returns
    -------
    ndarray of float64, shape (count + 1,)
        One that is a whole number but for the noise of the arithmetic is that number.

    Examples
    --------
    >>> pixel_edges(0.1 + 0.2, 2.7, 2).tolist()
    [0.30000000000000004, 3.0, 5.7]
    """
    edges = start + np.arange(count + 1) * step
    whole = np.rint(edges)
    return np.where(np.abs(edges - whole) < _NOISE, whole, edges)


def _blocks(out_h: int, out_w: int, step_y: float, step_x: float) -> Iterator[tuple[slice, slice]]:
    """Cut the result so that each part needs at most about `BLOCK_PX` source pixels."""
    columns = min(out_w, max(1, int(BLOCK_PX / (step_x * max(step_y, 1)))))
    rows = min(out_h, max(1, int(BLOCK_PX / (step_y * columns * step_x))))
    for top in range(0, out_h, rows):
        for left in range(0, out_w, columns):
            yield slice(top, min(top + rows, out_h)), slice(left, min(left + columns, out_w))


def _read_block(
    slide: Slide, number: int, x_edges: NDArray[np.float64], y_edges: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """Read what the edges (in pixels of the level) cover; give the edges within it too."""
    down = slide.info.levels[number].downsample
    left, top = math.floor(x_edges[0]), math.floor(y_edges[0])
    right, bottom = math.ceil(x_edges[-1]), math.ceil(y_edges[-1])
    source = slide.read_region(
        round(left * down), round(top * down), number, right - left, bottom - top
    )
    return np.ascontiguousarray(source), x_edges - left, y_edges - top


def _rounded(
    source: NDArray[np.uint8], x_edges: NDArray[np.float64], y_edges: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Average and round; where each output pixel is one source pixel there is nothing to do."""
    if source.shape[:2] == (y_edges.size - 1, x_edges.size - 1) and all(
        np.array_equal(edges, np.arange(edges.size)) for edges in (x_edges, y_edges)
    ):
        return source
    rounded = np.empty((y_edges.size - 1, x_edges.size - 1, 3), dtype=np.uint8)
    area_bytes(source, x_edges, y_edges, HALF, rounded)
    return rounded
