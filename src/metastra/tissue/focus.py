"""Where a slide is in focus and where it has faded: fields at full resolution over the tissue."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from metastra.slides.scaled import read_scaled
from metastra.slides.slide import Slide
from metastra.tissue.fading import STAIN_MEASURES, faded, stain_of_nuclei
from metastra.tissue.fields import FIELD_UM, FieldGrid
from metastra.tissue.sharpness import BLURRED_BELOW, COARSEST_MPP, FINE_MPP, detail_ratio

__all__ = ["FIELD_UM", "MORE_FIELDS", "MOST_FIELDS", "Focus", "judge_focus"]

MOST_FIELDS = 64
"""Fields read on a slide that raises no doubts."""
MORE_FIELDS = 64
"""Fields read besides, around those that are out of focus or faded."""

_REACH = 1.5


@dataclass(frozen=True, kw_only=True)
class Focus:
    """What the fields of a slide say.

    Parameters
    ----------
    boxes_px0 : float array of shape (n, 4)
        Fields that were read: x, y, width and height in level-0 pixels.
    ratio : float array of shape (n,)
        Median detail ratio of each field's blocks; NaN where there was nothing to judge by.
    every : int
        Side of the square of which one field is read in the first place; 1 where all are.
    spread : int
        How many of the fields, from the first, are spread evenly over the slide; what follows lies
        around those that raised doubts.
    blurred, judged : bool arrays of shape (h, w)
        Tissue that is out of focus, and tissue whose field could be judged.
    faded : bool array of shape (h, w)
        Tissue whose nuclei and ground are weak beside the slide's.
    """

    boxes_px0: NDArray[np.float64]
    ratio: NDArray[np.float64]
    every: int
    spread: int
    blurred: NDArray[np.bool_]
    judged: NDArray[np.bool_]
    faded: NDArray[np.bool_]


def judge_focus(
    slide: Slide,
    tissue: NDArray[np.bool_],
    scale_px0: tuple[float, float],
    glass: tuple[float, float, float],
) -> tuple[Focus | None, str]:
    """Judge focus and fading of a slide's tissue.

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
    grid = FieldGrid.over(info, tissue)
    every, chosen = grid.spread(MOST_FIELDS)
    reader = _Reader(slide=slide, tissue=tissue, scale_px0=scale_px0, glass=glass, grid=grid)
    seen = [reader.read(at) for at in chosen]
    if every > 1:
        read, doubtful = (np.zeros(grid.share.shape, dtype=bool) for _ in range(2))
        weak = faded(_stains(seen))
        for one, is_weak in zip(seen, weak, strict=True):
            read[one.at] = True
            doubtful[one.at] = is_weak or bool((one.blocks < BLURRED_BELOW).any())
        more = grid.around(read, doubtful, reach=_REACH * every, most=MORE_FIELDS)
        seen += [reader.read(at) for at in more]
    return _judged(seen, len(chosen), every, grid, tissue), ""


@dataclass(frozen=True, kw_only=True)
class _Field:
    """A field that was read: where it lies, its blocks' detail ratios and its stain."""

    at: tuple[int, int]
    box_px0: tuple[float, float, float, float]
    blocks: NDArray[np.float64]
    stain: NDArray[np.float64]

    @property
    def ratio(self) -> float:
        known = self.blocks[np.isfinite(self.blocks)]
        return float(np.median(known)) if known.size else math.nan


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Reads fields of one slide."""

    slide: Slide
    tissue: NDArray[np.bool_]
    scale_px0: tuple[float, float]
    glass: tuple[float, float, float]
    grid: FieldGrid

    def read(self, at: tuple[int, int]) -> _Field:
        info, (down, right) = self.slide.info, self.grid.place(*at)
        box = (
            right.start * self.scale_px0[0],
            down.start * self.scale_px0[1],
            (right.stop - right.start) * self.scale_px0[0],
            (down.stop - down.start) * self.scale_px0[1],
        )
        mpp_x, mpp_y = info.mpp_x or 1.0, info.mpp_y or 1.0
        mpp = max(FINE_MPP, mpp_x, mpp_y)
        out_w, out_h = max(2, round(box[2] * mpp_x / mpp)), max(2, round(box[3] * mpp_y / mpp))
        rgb = read_scaled(self.slide, *box, out_w, out_h)
        tissue = self.tissue[down, right]
        y = np.arange(out_h) * tissue.shape[0] // out_h
        x = np.arange(out_w) * tissue.shape[1] // out_w
        inside = tissue[np.ix_(y, x)]
        large = min(out_w, out_h) * mpp >= 0.75 * FIELD_UM and min(tissue.shape) > 1
        blocks = (2, 2) if large else (1, 1)
        ratio = detail_ratio(rgb, inside, mpp=mpp, glass=self.glass, blocks=blocks)
        stain = stain_of_nuclei(rgb, inside, mpp=mpp, glass=self.glass)
        return _Field(at=at, box_px0=box, blocks=ratio, stain=stain)


def _stains(seen: list[_Field]) -> NDArray[np.float64]:
    return np.array([one.stain for one in seen]).reshape(-1, STAIN_MEASURES)


def _judged(
    seen: list[_Field], spread: int, every: int, grid: FieldGrid, tissue: NDArray[np.bool_]
) -> Focus:
    """Let each field speak for itself, and for what was not read and lies nearest to it."""
    stains = _stains(seen)
    weak = faded(stains, stains[:spread]) if seen else np.zeros(0, dtype=bool)
    ratios = np.full(grid.share.shape, np.nan)
    faint, read = (np.zeros(grid.share.shape, dtype=bool) for _ in range(2))
    for one, is_weak in zip(seen, weak, strict=True):
        ratios[one.at], faint[one.at], read[one.at] = one.ratio, is_weak, True
    if every > 1 and seen:
        away, nearest = ndimage.distance_transform_edt(~read, return_indices=True)
        far = away > _REACH * every
        ratios, faint = ratios[tuple(nearest)], faint[tuple(nearest)] & ~far
        ratios[far] = np.nan
    spread_ratio = grid.on_map(ratios)
    blurred, judged = spread_ratio < BLURRED_BELOW, np.isfinite(spread_ratio)
    for one in seen:
        place = grid.place(*one.at)
        _mark(blurred[place], judged[place], one.blocks)
    return Focus(
        boxes_px0=np.array([one.box_px0 for one in seen]).reshape(-1, 4),
        ratio=np.array([one.ratio for one in seen]),
        every=every,
        spread=spread,
        blurred=blurred & tissue,
        judged=judged & tissue,
        faded=grid.on_map(faint) & tissue,
    )


def _mark(
    blurred: NDArray[np.bool_], judged: NDArray[np.bool_], blocks: NDArray[np.float64]
) -> None:
    """Write the verdict on each block into a piece of the maps."""
    rows = np.arange(blurred.shape[0]) * blocks.shape[0] // blurred.shape[0]
    columns = np.arange(blurred.shape[1]) * blocks.shape[1] // blurred.shape[1]
    spread = blocks[np.ix_(rows, columns)]
    judged[...] = np.isfinite(spread)
    blurred[...] = spread < BLURRED_BELOW
