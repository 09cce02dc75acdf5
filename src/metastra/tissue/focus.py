"""Where a slide is in focus: fields at full resolution, spread over the tissue."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.slides.scaled import read_scaled
from metastra.slides.slide import Slide, SlideInfo
from metastra.tissue.sharpness import BLURRED_BELOW, COARSEST_MPP, FINE_MPP, detail_ratio

__all__ = ["FIELD_UM", "MOST_FIELDS", "Focus", "judge_focus"]

FIELD_UM = 128.0
"""Side of a field in micrometres."""
MOST_FIELDS = 64
"""Fields read on a slide."""

_LEAST_TISSUE = 0.1


@dataclass(frozen=True, kw_only=True)
class Focus:
    """The focus of a slide.

    Parameters
    ----------
    boxes_px0 : float array of shape (n, 4)
        Fields that were read: x, y, width and height in level-0 pixels.
    ratio : float array of shape (n,)
        Median detail ratio of each field's blocks; NaN where there was nothing to judge by.
    every : int
        Side of the cell that a field stands for, in fields; 1 where all tissue was read.
    blurred, judged : bool arrays of shape (h, w)
        Tissue that is out of focus, and tissue whose field could be judged.
    """

    boxes_px0: NDArray[np.float64]
    ratio: NDArray[np.float64]
    every: int
    blurred: NDArray[np.bool_]
    judged: NDArray[np.bool_]


def judge_focus(
    slide: Slide,
    tissue: NDArray[np.bool_],
    scale_px0: tuple[float, float],
    glass: tuple[float, float, float],
) -> tuple[Focus | None, str]:
    """Judge the focus of a slide's tissue.

    Parameters
    ----------
    slide : Slide
        Open.
    tissue : bool array of shape (h, w)
        Map of the tissue.
    scale_px0 : tuple of float
        Level-0 pixels per map pixel along x and y.
    glass : tuple of float
        Colour of bare glass.

    Returns
    -------
    focus : Focus or None
        None where it cannot be judged.
    reason : str
        Why not; empty where it was judged.

    Raises
    ------
    SlideError
        If a field cannot be read.
    """
    info = slide.info
    if info.mpp_x is None or info.mpp_y is None:
        return None, "the scale is not known"
    mpp = math.sqrt(info.mpp_x * info.mpp_y)
    if mpp > COARSEST_MPP:
        return None, f"{mpp:.3g} µm per pixel are too coarse, at most {COARSEST_MPP}"
    rows, columns = _edges(info, tissue.shape)
    share = _cell_shares(tissue, rows, columns)
    every, chosen = _choose(share)
    blurred, judged = np.zeros_like(tissue), np.zeros_like(tissue)
    boxes, ratios = [], []
    for row, column in chosen:
        place = np.s_[rows[row] : rows[row + 1], columns[column] : columns[column + 1]]
        box = (
            columns[column] * scale_px0[0],
            rows[row] * scale_px0[1],
            (columns[column + 1] - columns[column]) * scale_px0[0],
            (rows[row + 1] - rows[row]) * scale_px0[1],
        )
        blocks = _read_field(slide, box, tissue[place], glass)
        boxes.append(box)
        ratios.append(_median(blocks))
        if every == 1:
            _mark(blurred[place], judged[place], blocks)
        else:
            top, left = row - row % every, column - column % every
            bottom = min(top + every, len(rows) - 1)
            right = min(left + every, len(columns) - 1)
            place = np.s_[rows[top] : rows[bottom], columns[left] : columns[right]]
            _mark(blurred[place], judged[place], np.array([[ratios[-1]]]))
    focus = Focus(
        boxes_px0=np.array(boxes).reshape(-1, 4),
        ratio=np.array(ratios),
        every=every,
        blurred=blurred & tissue,
        judged=judged & tissue,
    )
    return focus, ""


def _edges(info: SlideInfo, shape: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut the map into cells of about a field."""
    out = []
    for size_px0, mpp, size in (
        (info.height_px, info.mpp_y, shape[0]),
        (info.width_px, info.mpp_x, shape[1]),
    ):
        count = min(max(1, round(size_px0 * (mpp or 1.0) / FIELD_UM)), size)
        out.append(np.linspace(0, size, count + 1).round().astype(np.int64))
    return out[0], out[1]


def _cell_shares(
    tissue: NDArray[np.bool_], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.float64]:
    sums = np.add.reduceat(tissue.astype(np.float64), rows[:-1], axis=0)
    sums = np.add.reduceat(sums, columns[:-1], axis=1)
    shares: NDArray[np.float64] = sums / np.outer(np.diff(rows), np.diff(columns))
    return shares


def _choose(share: NDArray[np.float64]) -> tuple[int, list[tuple[int, int]]]:
    """Choose the fields: all with tissue, or the fullest of each square of several."""
    every = 1
    while True:
        chosen = []
        for top in range(0, share.shape[0], every):
            for left in range(0, share.shape[1], every):
                part = share[top : top + every, left : left + every]
                if part.max() < _LEAST_TISSUE:
                    continue
                y, x = np.indices(part.shape)
                middle = np.hypot(y - (part.shape[0] - 1) / 2, x - (part.shape[1] - 1) / 2)
                best = np.argmax(part - 1e-3 * middle)
                row, column = np.unravel_index(best, part.shape)
                chosen.append((top + int(row), left + int(column)))
        if len(chosen) <= MOST_FIELDS:
            return every, chosen
        every += 1


def _read_field(
    slide: Slide,
    box: tuple[float, float, float, float],
    tissue: NDArray[np.bool_],
    glass: tuple[float, float, float],
) -> NDArray[np.float64]:
    info = slide.info
    mpp_x, mpp_y = info.mpp_x or 1.0, info.mpp_y or 1.0
    mpp = max(FINE_MPP, mpp_x, mpp_y)
    out_w, out_h = max(2, round(box[2] * mpp_x / mpp)), max(2, round(box[3] * mpp_y / mpp))
    rgb = read_scaled(slide, *box, out_w, out_h)
    y = np.arange(out_h) * tissue.shape[0] // out_h
    x = np.arange(out_w) * tissue.shape[1] // out_w
    large = min(out_w, out_h) * mpp >= 0.75 * FIELD_UM and min(tissue.shape) > 1
    blocks = (2, 2) if large else (1, 1)
    return detail_ratio(rgb, tissue[np.ix_(y, x)], mpp=mpp, glass=glass, blocks=blocks)


def _mark(
    blurred: NDArray[np.bool_], judged: NDArray[np.bool_], blocks: NDArray[np.float64]
) -> None:
    """Write the verdict on each block into a piece of the maps."""
    rows = np.arange(blurred.shape[0]) * blocks.shape[0] // blurred.shape[0]
    columns = np.arange(blurred.shape[1]) * blocks.shape[1] // blurred.shape[1]
    spread = blocks[np.ix_(rows, columns)]
    judged[...] = np.isfinite(spread)
    blurred[...] = spread < BLURRED_BELOW


def _median(blocks: NDArray[np.float64]) -> float:
    known = blocks[np.isfinite(blocks)]
    return float(np.median(known)) if known.size else math.nan
