"""How good a slide is to look at: tissue and artefacts as maps, fractions and codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from metastra.errors import Problem
from metastra.slides.scaled import read_scaled
from metastra.slides.slide import Slide, SlideInfo, require_brightfield
from metastra.tissue.focus import Focus, judge_focus
from metastra.tissue.light import Light
from metastra.tissue.marks import blank_map, bubble_map, pen_map
from metastra.tissue.mask import tissue_of
from metastra.tissue.region import Region
from metastra.tissue.rules import PALE_SHARE
from metastra.tissue.thickness import COARSEST_FOLD_MPP, fold_map, fold_reference, pale_map
from metastra.tissue.verdict import judge

__all__ = [
    "ARTEFACTS",
    "MAP_MPP",
    "MEASURES_VERSION",
    "MapsOfSlide",
    "SlideQuality",
    "assess",
    "map_size",
]

ARTEFACTS: tuple[str, ...] = ("blur", "pen", "fold", "bubble", "fading", "dark", "blank")
"""Everything that is mapped, in the order of tables."""
MEASURES_VERSION = 5
"""Raised whenever the same slide would get other numbers, so that stored ones are made again."""
MAP_MPP = 8.0
"""Micrometres per pixel of the maps of a whole slide."""

_LEAST_SIDE_PX = 512
_MOST_PX = 6_000_000
_UNKNOWN_SIDE_PX = 1536


@dataclass(frozen=True, kw_only=True)
class MapsOfSlide:
    """Where tissue and artefacts lie on a slide.

    Parameters
    ----------
    scale_px0 : tuple of float
        Level-0 pixels per map pixel along x and y; the maps' corner is that of the slide.
    tissue : bool array of shape (h, w)
        Tissue, inside the region where one was drawn.
    artefacts : mapping of str to bool array of shape (h, w)
        One map for each of `ARTEFACTS` that could be assessed.
    region : bool array of shape (h, w) or None
        The drawn region.
    """

    scale_px0: tuple[float, float]
    tissue: NDArray[np.bool_]
    artefacts: Mapping[str, NDArray[np.bool_]]
    region: NDArray[np.bool_] | None

    def tile_fractions(self, boxes_px0: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Say how much of each tile is tissue, and how much is each artefact.

        Parameters
        ----------
        boxes_px0 : float array of shape (n, 4)
            x, y, width and height in level-0 pixels.

        Returns
        -------
        dict of str to float array of shape (n,)
            Share of the tile, 0 to 1, for ``tissue``, ``region`` where one was drawn, and each of
            `ARTEFACTS`; NaN for one that was not assessed.  A tile smaller than a map pixel gets
            that pixel's value; what lies outside the slide counts as nothing.

        Raises
        ------
        ValueError
            If the boxes are not of shape (n, 4) or have no area.
        """
        boxes = np.asarray(boxes_px0, dtype=np.float64)
        if boxes.ndim != 2 or boxes.shape[1] != 4 or not (boxes[:, 2:] > 0).all():
            raise ValueError(f"boxes are (n, 4): x, y, width, height above 0; not {boxes.shape}")
        maps: dict[str, NDArray[np.bool_] | None] = {"tissue": self.tissue}
        if self.region is not None:
            maps["region"] = self.region
        maps |= {name: self.artefacts.get(name) for name in ARTEFACTS}
        out: dict[str, NDArray[np.float64]] = {}
        for name, found in maps.items():
            if found is None:
                out[name] = np.full(len(boxes), np.nan)
                continue
            # the sums of one map at a time: they take four times its memory
            out[name] = _box_shares(_corner_sums(found), boxes, self.scale_px0)
        return out


@dataclass(frozen=True, kw_only=True)
class SlideQuality:
    """What `assess` found on a slide.

    Parameters
    ----------
    name : str
        The slide's file name.
    scale_px0 : tuple of float
        Level-0 pixels per map pixel along x and y; the maps' corner is that of the slide.
    map_mpp : float or None
        Micrometres per map pixel; None where the slide's scale is not known.
    thumbnail : uint8 array of shape (h, w, 3)
        The slide at the scale of the maps.
    tissue : bool array of shape (h, w)
        Tissue, inside the region where one was drawn.
    artefacts : mapping of str to bool array of shape (h, w)
        One map for each of `ARTEFACTS` that could be assessed; for fading, what has faded beside
        the rest of the slide.
    region : bool array of shape (h, w) or None
        The drawn region.
    focus : Focus or None
        Where focus was judged and how it is; None where it could not be.
    fractions : mapping of str to float
        ``tissue``, ``pen``, ``bubble``, ``dark`` and ``blank`` of the picture; ``blur`` of the
        tissue that was judged; ``fold`` and ``fading`` of the tissue (all that is pale, where that
        is more than half).  NaN where not assessable.
    measures : mapping of str to float
        ``tissue_mm2``; ``blur_um``, the median over the judged tissue; ``stain``, absorbance of
        green at the 90th percentile of the tissue.  NaN where not assessable.
    not_assessable : mapping of str to str
        Measures that could not be taken, each with the reason.
    codes : tuple of Problem
        What was found, coded; weight "refuse" where the slide is not assessable.
    assessable : bool
        Whether there is enough tissue to go on with.
    """

    name: str
    scale_px0: tuple[float, float]
    map_mpp: float | None
    thumbnail: NDArray[np.uint8]
    tissue: NDArray[np.bool_]
    artefacts: Mapping[str, NDArray[np.bool_]]
    region: NDArray[np.bool_] | None
    focus: Focus | None
    fractions: Mapping[str, float]
    measures: Mapping[str, float]
    not_assessable: Mapping[str, str]
    codes: tuple[Problem, ...]
    assessable: bool

    @cached_property
    def maps(self) -> MapsOfSlide:
        """What the tiles are chosen by."""
        return MapsOfSlide(
            scale_px0=self.scale_px0,
            tissue=self.tissue,
            artefacts=self.artefacts,
            region=self.region,
        )

    def tile_fractions(self, boxes_px0: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Say how much of each tile is tissue, and how much is each artefact.

        Parameters
        ----------
        boxes_px0 : float array of shape (n, 4)
            As for `MapsOfSlide.tile_fractions`.

        Returns
        -------
        dict of str to float array of shape (n,)
            Shares of each tile.

        Raises
        ------
        ValueError
            If the boxes are not of shape (n, 4) or have no area.
        """
        return self.maps.tile_fractions(boxes_px0)


def assess(slide: Slide, region: Region | None = None) -> SlideQuality:
    """Find tissue and artefacts on a slide.

    Tissue, ink, edges, folds, paleness and fill are judged at 8 µm per pixel (finer where the slide
    is smaller than 512 px there, coarser where it is larger than 6 million px); focus and the
    fading of a part are judged at 0.5 µm per pixel in fields of 128 µm, all of them on a small
    slide and at most 64, evenly spread over the tissue, on a large one, and at most 64 more around
    those that are out of focus or faded.

    Parameters
    ----------
    slide : Slide
        Open.
    region : Region, optional
        Limits tissue and fractions to what somebody drew.

    Returns
    -------
    SlideQuality
        What needs micrometres is not assessable on a slide of unknown scale.

    Raises
    ------
    SlideError
        If the slide cannot be read or is a fluorescence slide.
    """
    require_brightfield(slide.info)
    info = slide.info
    width, height = map_size(info)
    scale = (info.width_px / width, info.height_px / height)
    thumbnail = read_scaled(slide, 0, 0, info.width_px, info.height_px, width, height)
    map_mpp = _mean_mpp(info, scale)
    light = Light.of(thumbnail, map_mpp)
    marks = {
        "pen": pen_map(light),
        "bubble": bubble_map(light),
        "dark": light.dark,
        "blank": blank_map(thumbnail),
    }
    tissue = tissue_of(light, marks["pen"] | marks["bubble"])
    inside = None if region is None else region.mask(tissue.shape, scale)
    reference = fold_reference(light, tissue)
    if inside is not None:
        tissue = tissue & inside
    maps: dict[str, NDArray[np.bool_]] = dict(marks)
    reasons: dict[str, str] = {}
    if map_mpp is None:
        reasons["fold"] = "the scale is not known"
    elif map_mpp > COARSEST_FOLD_MPP:
        reasons["fold"] = f"{map_mpp:.3g} µm per pixel are too coarse"
    else:
        maps["fold"] = fold_map(light, tissue, reference)
    focus, why_not = judge_focus(slide, tissue, scale, light.glass)
    faded = _faded(light, tissue, focus)
    if focus is None:
        reasons["blur"] = why_not
        if not faded.any():
            # a part that has faded would only be seen in the fields of focus
            reasons["fading"] = why_not
    else:
        maps |= {"blur": focus.blurred, "fading": focus.faded}
    counted = {**maps, "fading": faded}
    verdict = judge(info.name, tissue, counted, inside, focus, light, reasons)
    return SlideQuality(
        name=info.name,
        scale_px0=scale,
        map_mpp=map_mpp,
        thumbnail=thumbnail,
        tissue=tissue,
        artefacts=maps,
        region=inside,
        focus=focus,
        fractions=verdict.fractions,
        measures=verdict.measures,
        not_assessable=reasons,
        codes=verdict.codes,
        assessable=verdict.assessable,
    )


def _faded(light: Light, tissue: NDArray[np.bool_], focus: Focus | None) -> NDArray[np.bool_]:
    """Give the tissue that counts as faded on the slide, whether or not it costs tiles."""
    pale = pale_map(light, tissue)
    part = np.zeros_like(tissue) if focus is None else focus.faded
    whole = np.count_nonzero(pale) > PALE_SHARE * np.count_nonzero(tissue)
    return pale | part if whole else part


def map_size(info: SlideInfo) -> tuple[int, int]:
    """Give the size of a slide's maps.

    Parameters
    ----------
    info : SlideInfo
        Of the slide.

    Returns
    -------
    tuple of int
        Width and height in pixels: at `MAP_MPP`, but finer as long as the longer side is below
        512 px, never finer than the slide and never above 6 million px; the longer side is 1536 px
        where the scale is not known.
    """
    mpp_x, mpp_y = info.mpp_x, info.mpp_y
    if mpp_x is None or mpp_y is None:
        shrink = max(1.0, max(info.width_px, info.height_px) / _UNKNOWN_SIDE_PX)
        return max(1, round(info.width_px / shrink)), max(1, round(info.height_px / shrink))
    width_um, height_um = info.width_px * mpp_x, info.height_px * mpp_y
    wanted = min(MAP_MPP, max(width_um, height_um) / _LEAST_SIDE_PX)
    wanted = max(wanted, mpp_x, mpp_y, math.sqrt(width_um * height_um / _MOST_PX))
    return max(1, round(width_um / wanted)), max(1, round(height_um / wanted))


def _mean_mpp(info: SlideInfo, scale: tuple[float, float]) -> float | None:
    if info.mpp_x is None or info.mpp_y is None:
        return None
    return math.sqrt(info.mpp_x * scale[0] * info.mpp_y * scale[1])


def _corner_sums(found: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Sum a map above and left of each corner between its pixels; at most some million."""
    height, width = found.shape
    sums = np.zeros((height + 1, width + 1), dtype=np.int32)
    inside = sums[1:, 1:]
    np.cumsum(found, axis=0, dtype=np.int32, out=inside)
    np.cumsum(inside, axis=1, dtype=np.int32, out=inside)
    return sums


def _box_shares(
    sums: NDArray[np.int32], boxes: NDArray[np.float64], scale: tuple[float, float]
) -> NDArray[np.float64]:
    """Average a map over boxes, parts of pixels included."""
    left, right = boxes[:, 0] / scale[0], (boxes[:, 0] + boxes[:, 2]) / scale[0]
    top, bottom = boxes[:, 1] / scale[1], (boxes[:, 1] + boxes[:, 3]) / scale[1]
    total = (
        _sum_at(sums, bottom, right)
        - _sum_at(sums, top, right)
        - _sum_at(sums, bottom, left)
        + _sum_at(sums, top, left)
    )
    shares: NDArray[np.float64] = np.clip(total / ((right - left) * (bottom - top)), 0.0, 1.0)
    return shares


def _sum_at(
    sums: NDArray[np.int32], y: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Read corner sums between corners: exact, as a map is constant within a pixel."""
    y, x = np.clip(y, 0, sums.shape[0] - 1), np.clip(x, 0, sums.shape[1] - 1)
    row = np.minimum(y.astype(int), sums.shape[0] - 2)
    column = np.minimum(x.astype(int), sums.shape[1] - 2)
    down, along = y - row, x - column
    upper = sums[row, column] * (1 - along) + sums[row, column + 1] * along
    lower = sums[row + 1, column] * (1 - along) + sums[row + 1, column + 1] * along
    read: NDArray[np.float64] = upper * (1 - down) + lower * down
    return read
