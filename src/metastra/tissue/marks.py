"""What is on the glass and is not tissue: pen, fill, the edges of bubbles and cover slips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from metastra.tissue.colour import extremes
from metastra.tissue.light import Light, opened, window_px
from metastra.tissue.rims import closed_rims

__all__ = ["blank_map", "bubble_map", "pen_map"]

_EIGHT = np.ones((3, 3), dtype=bool)

# Ratios of absorbance in red to green and in blue to green.  Stained with haematoxylin and eosin,
# 98 % of real pixels have red to green below 1.0 and blue to green 0.3 to 0.8 unless they are
# erythrocytes, which take up less green than ink does.
_RED_CORE_GREEN = 0.6
_RED_BLUE_LOW, _RED_BLUE_HIGH = 0.68, 1.25
_RED_CORE_RED = 0.3
_RED_OVER_BLUE, _COLD_OVER_RED = 0.55, 0.5
_COLD_CORES = ((0.45, 1.35), (0.08, 2.0))
_COLD_GROWN_RED, _COLD_GROWN_RATIO = 0.12, 1.15
_BLACK_CORE, _BLACK_GROWN = 0.5, 0.25
_BLACK_CHROMA = 0.35
_GROWN_MEAN = 0.08
_HALO_MEAN, _HALO_CHROMA = 0.12, 0.015

_FILL_PX = 9

_EDGE_MEAN = 0.15
_EDGE_CHROMA = 0.3


def pen_map(light: Light) -> NDArray[np.bool_]:
    """Find ink: colours that haematoxylin and eosin never give, in strokes wide enough for a pen.

    Red ink absorbs green and blue alike and hardly any red; blue, green and turquoise ink absorb
    more red than green, or, over stained tissue, much red and hardly any blue; black ink absorbs
    all three alike.  A stroke starts where that is
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
    red, green, blue = (np.maximum(light.density[..., channel], 1e-3) for channel in range(3))
    warm = (blue >= _RED_BLUE_LOW * green) & (blue <= _RED_BLUE_HIGH * green)
    warm |= (blue >= _RED_OVER_BLUE) & (red <= _RED_CORE_RED * green)
    red_core = warm & (green >= _RED_CORE_GREEN) & (red <= _RED_CORE_RED * green)
    found = _grown(light, red_core, warm & (light.mean >= _GROWN_MEAN))
    cold_core = _colder(red, green, blue, 0.33, 0.8) & (red >= _COLD_OVER_RED)
    for least_red, ratio in _COLD_CORES:
        cold_core |= (red >= least_red) & (red >= ratio * green)
    cold = (red >= _COLD_GROWN_RATIO * green) | _colder(red, green, blue, 0.38, 0.7)
    found |= _grown(light, cold_core, cold & (red >= _COLD_GROWN_RED))
    least, most = extremes(light.density)
    grey = light.chroma <= _BLACK_CHROMA * most
    black = grey & (least >= _BLACK_CORE) & ~light.dark
    wide = opened(black, 2 * light.length_px(30.0, 6) + 1)
    return _with_halo(light, found | _grown(light, wide, grey & (least >= _BLACK_GROWN)))


def _colder(
    red: NDArray[np.float32],
    green: NDArray[np.float32],
    blue: NDArray[np.float32],
    most_blue: float,
    least_red: float,
) -> NDArray[np.bool_]:
    """Say where blue is absorbed less than haematoxylin would, for so much red: ink on tissue."""
    cold: NDArray[np.bool_] = (blue <= most_blue * red) & (red >= least_red * green)
    return cold


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
    return opened(extremes(rgb)[0] == 255, _FILL_PX)


def bubble_map(light: Light) -> NDArray[np.bool_]:
    """Find the edges of air bubbles and cover slips, and what lies inside a closed one.

    An edge bends light away: it is a thin, long, dark and colourless line, or one that is darker
    than both its sides in all colours alike and closes (`metastra.tissue.rims.closed_rims`).

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
    A line that reaches all four sides is the frame of a picture, which is marked while what it
    holds is not.  In a picture smaller than 400 µm (120 µm for a rim that closes) there is no room
    for an edge, and none is found.

    Known errors: hairs and scratches look the same; a bubble whose edge leaves the picture is
    marked along its edge only; a bubble without a dark edge is not seen.
    """
    return _dark_lines(light) | closed_rims(light)


def _dark_lines(light: Light) -> NDArray[np.bool_]:
    """Find lines that are dark and colourless whatever lies beside them, and fill closed ones."""
    thin_px = light.length_px(60.0, 12)
    long_px = light.length_px(400.0, max(light.mean.shape) // 6)
    if long_px > max(light.mean.shape):
        return np.zeros(light.mean.shape, dtype=bool)
    long_px = min(long_px, max(light.mean.shape) // 3)
    dark = (light.mean >= _EDGE_MEAN) & (light.chroma <= _EDGE_CHROMA * light.mean)
    if light.dark.any():
        # the average mixes the rim of black fill with its neighbours
        dark &= ~ndimage.binary_dilation(light.dark, _EIGHT, iterations=window_px(light.mpp))
    if not dark.any():
        return dark
    labels, _ = ndimage.label(dark, _EIGHT)
    keep, frame = (np.zeros(labels.max() + 1, dtype=bool) for _ in range(2))
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        height, width = (part.stop - part.start for part in place)
        if max(height, width) < long_px:
            continue
        piece = np.pad(labels[place] == number, 1)
        thin = 2 * ndimage.distance_transform_cdt(piece, "chessboard").max() <= thin_px
        whole = (height, width) == labels.shape
        keep[number], frame[number] = thin and not whole, thin and whole
    line = ndimage.binary_dilation(keep[labels], _EIGHT, iterations=max(thin_px // 4, 1))
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(line) | frame[labels]
    return filled


def _grown(light: Light, core: NDArray[np.bool_], allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
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


def _with_halo(light: Light, pen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Take in the faint rim of a stroke, which lies out of focus, up to 100 µm (24 px)."""
    if not pen.any():
        return pen
    faint = pen | ((light.mean < _HALO_MEAN) & (light.chroma >= _HALO_CHROMA))
    halo: NDArray[np.bool_] = ndimage.binary_dilation(
        pen, _EIGHT, iterations=light.length_px(100.0, 24), mask=faint
    )
    return halo
