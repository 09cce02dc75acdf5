"""What is on the glass and is not tissue: pen, fill, the edges of bubbles and cover slips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from metastra.tissue.light import Light

__all__ = ["blank_map", "bubble_map", "dark_map", "pen_map"]

_EIGHT = np.ones((3, 3), dtype=bool)

# Ratios of absorbance in red to green and in blue to green.  Stained with haematoxylin and eosin,
# 98 % of real pixels have red to green below 1.0 and blue to green 0.3 to 0.8 unless they are
# erythrocytes, which take up less green than ink does.
_RED_CORE_GREEN = 0.6
_RED_BLUE_LOW, _RED_BLUE_HIGH = 0.68, 1.25
_RED_CORE_RED = 0.3
_COLD_CORE_RED, _COLD_CORE_RATIO = 0.45, 1.35
_COLD_GROWN_RED, _COLD_GROWN_RATIO = 0.12, 1.15
_BLACK_CORE, _BLACK_GROWN = 0.5, 0.25
_BLACK_CHROMA = 0.35
_GROWN_MEAN = 0.08

_DARK_GREY = 30
_FLAT = 3

_EDGE_MEAN = 0.15
_EDGE_CHROMA = 0.3


def pen_map(light: Light) -> NDArray[np.bool_]:
    """Find ink: colours that haematoxylin and eosin never give, in strokes wide enough for a pen.

    Red ink absorbs green and blue alike and hardly any red; blue, green and turquoise ink absorb
    more red than green; black ink absorbs all three alike.  A stroke starts where that is
    unmistakable (its core) and is followed as long as the colour stays of its kind.

    Parameters
    ----------
    light : Light
        Of the picture.

    Returns
    -------
    bool array of shape (h, w)
        True on ink.

    Notes
    -----
    Known errors: ink of the colour of haematoxylin is not told from it; anthracotic or melanin
    pigment of more than 60 µm is called black ink; alcian blue and other cold stains are called
    blue ink.
    """
    red, green, blue = np.moveaxis(np.maximum(light.density, 1e-3), 2, 0)
    warm = (blue >= _RED_BLUE_LOW * green) & (blue <= _RED_BLUE_HIGH * green)
    red_core = warm & (green >= _RED_CORE_GREEN) & (red <= _RED_CORE_RED * green)
    found = _grown(light, red_core, warm & (light.mean >= _GROWN_MEAN))
    cold_core = (red >= _COLD_CORE_RED) & (red >= _COLD_CORE_RATIO * green)
    found |= _grown(
        light, cold_core, (red >= _COLD_GROWN_RED) & (red >= _COLD_GROWN_RATIO * green)
    )
    least = light.density.min(axis=2)
    grey = light.chroma <= _BLACK_CHROMA * light.density.max(axis=2)
    black = grey & (least >= _BLACK_CORE) & ~dark_map(light.rgb)
    wide = ndimage.binary_opening(black, _EIGHT, iterations=light.length_px(30.0, 6))
    return found | _grown(light, wide, grey & (least >= _BLACK_GROWN))


def dark_map(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Find black fill: regions that were never scanned.

    Parameters
    ----------
    rgb : uint8 array of shape (h, w, 3)
        Brightfield picture.

    Returns
    -------
    bool array of shape (h, w)
        True where every channel is at most 30 of 255 and the neighbours differ by at most 3.
    """
    most: NDArray[np.uint8] = rgb.max(axis=2)
    return _opened((most <= _DARK_GREY) & (_range(most) <= _FLAT))


def blank_map(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Find white fill: pure white without any noise, so no light was measured there.

    Parameters
    ----------
    rgb : uint8 array of shape (h, w, 3)
        Brightfield picture.

    Returns
    -------
    bool array of shape (h, w)
        True on padding, and on glass that the scanner clipped to 255.
    """
    return _opened(rgb.min(axis=2) == 255)


def bubble_map(light: Light) -> NDArray[np.bool_]:
    """Find the edges of air bubbles and cover slips, and what lies inside a closed one.

    An edge bends light away: it is a thin, long, dark and colourless line.

    Parameters
    ----------
    light : Light
        Of the picture.

    Returns
    -------
    bool array of shape (h, w)
        True on the line and inside a line that closes on itself.

    Notes
    -----
    Known errors: hairs and scratches look the same; a bubble whose edge leaves the picture is
    marked along its edge only; a bubble without a dark edge is not seen.
    """
    thin_px = light.length_px(60.0, 8)
    long_px = light.length_px(400.0, max(light.mean.shape) // 6)
    long_px = min(long_px, max(light.mean.shape) // 3)
    dark = (light.mean >= _EDGE_MEAN) & (light.chroma <= _EDGE_CHROMA * light.mean)
    dark &= ~dark_map(light.rgb)
    labels, _ = ndimage.label(dark, _EIGHT)
    keep = np.zeros(labels.max() + 1, dtype=bool)
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        height, width = (part.stop - part.start for part in place)
        if max(height, width) < long_px:
            continue
        piece = np.pad(labels[place] == number, 1)
        keep[number] = 2 * ndimage.distance_transform_cdt(piece, "chessboard").max() <= thin_px
    line = keep[labels]
    around = ndimage.binary_dilation(line, _EIGHT, iterations=max(thin_px // 4, 1))
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(around)
    return filled


def _grown(
    light: Light, core: NDArray[np.bool_], allowed: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Follow each core of some size through what is allowed."""
    labels, count = ndimage.label(core, _EIGHT)
    if not count:
        return core
    sizes = np.bincount(labels.ravel())
    large = sizes >= light.area_px(2_500.0, 0.0005)
    large[0] = False
    seeds = large[labels]
    if not seeds.any():
        return seeds
    region, _ = ndimage.label(allowed | seeds, _EIGHT)
    hit = np.zeros(region.max() + 1, dtype=bool)
    hit[region[seeds]] = True
    hit[0] = False
    return hit[region]


def _range(grey: NDArray[np.uint8]) -> NDArray[np.int16]:
    high = ndimage.maximum_filter(grey, 3).astype(np.int16)
    return high - ndimage.minimum_filter(grey, 3)


def _opened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Drop what is narrower than 9 px."""
    if not mask.any():
        return mask
    opened: NDArray[np.bool_] = ndimage.binary_opening(mask, _EIGHT, iterations=4)
    return opened
