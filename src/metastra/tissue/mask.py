"""The tissue mask: what takes up colour, without ink, edges, fill and specks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from metastra.tissue.light import Light, window_px
from metastra.tissue.marks import bubble_map, pen_map

__all__ = ["find_tissue", "tissue_of"]

_EIGHT = np.ones((3, 3), dtype=bool)
_LEAST_CHROMA = 0.03
_PALE_CHROMA, _PALE_MEAN = 0.015, 0.04
_PIXEL_MEAN = 0.02
_NOISE_TIMES = 6.0
_LEAST_COLOUR = 0.12
_FRAGMENT_UM2, _FRAGMENT_SHARE = 10_000.0, 0.001
_HOLE_UM2, _HOLE_SHARE = 10_000.0, 0.001


def find_tissue(
    rgb: NDArray[np.uint8],
    *,
    mpp: float | None = None,
    glass: tuple[float, float, float] | None = None,
) -> NDArray[np.bool_]:
    """Find tissue in a brightfield picture of any scale.

    A pixel belongs to tissue when the channels' absorbances, averaged over 12 µm, differ by at
    least 0.03 (0.015 where they absorb 0.04 in the mean; more on noisy glass): dyes absorb
    unequally, glass, dust and shadows do not.  No threshold is drawn from the histogram, so a
    picture without tissue has none, and one without glass is tissue throughout.

    Parameters
    ----------
    rgb : uint8 array of shape (h, w, 3)
        Brightfield picture: a slide at low power (8 µm/px is meant), a field or a tile.
    mpp : float, optional
        Micrometres per pixel; without it lengths are counted in pixels.
    glass : tuple of float, optional
        Colour of bare glass, for a piece of a slide whose glass is known; else estimated.

    Returns
    -------
    bool array of shape (h, w)
        True on tissue.  Holes up to 10 000 µm² are filled and fragments below that are dropped
        (1 % of the picture where that is smaller, 0.1 % where the scale is not known).

    Raises
    ------
    ValueError
        If the picture is not uint8 with three channels.

    Examples
    --------
    >>> picture = np.full((64, 64, 3), 240, np.uint8)
    >>> picture[16:48, 16:48] = (200, 120, 170)
    >>> int(find_tissue(picture)[20:44, 20:44].sum()) == 24 * 24
    True
    """
    light = Light.of(rgb, mpp, glass)
    return tissue_of(light, pen_map(light) | bubble_map(light))


def tissue_of(light: Light, marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find tissue where the light is measured and the marks are known.

    Parameters
    ----------
    light : Light
        Of the picture.
    marks : bool array of shape (h, w)
        True on what is no tissue: ink and edges.

    Returns
    -------
    bool array of shape (h, w)
        As `find_tissue`.
    """
    noise = _NOISE_TIMES * _noise(light)
    stained = light.chroma >= max(_LEAST_CHROMA, noise)
    stained |= (light.chroma >= max(_PALE_CHROMA, noise)) & (light.mean >= _PALE_MEAN)
    stained &= ~(marks | _beside_fill(light)) & _at_the_pixel(light)
    stained = _without_small_holes(light, stained) & ~marks
    labels, count = ndimage.label(stained, _EIGHT)
    if not count:
        return stained
    sizes = np.bincount(labels.ravel())
    keep = sizes >= light.area_px(_FRAGMENT_UM2, _FRAGMENT_SHARE)
    # a colourless fragment is dust or a shadow with a coloured rim
    flat = labels.ravel()
    colour = np.bincount(flat, light.chroma.ravel())
    dark = np.bincount(flat, light.mean.ravel())
    keep &= colour >= _LEAST_COLOUR * dark
    keep[0] = False
    return keep[labels]


def _beside_fill(light: Light) -> NDArray[np.bool_]:
    """Black fill and its rim, where the average mixes it with what lies beside it."""
    if not light.dark.any():
        return light.dark
    side = 2 * window_px(light.mpp) + 1
    rim: NDArray[np.bool_] = ndimage.maximum_filter(light.dark.view(np.uint8), side) > 0
    return rim


def _at_the_pixel(light: Light) -> NDArray[np.bool_]:
    """Say where something absorbs within 3 px, so that averaging does not widen the outline."""
    grey = light.rgb.astype(np.uint16).sum(axis=2, dtype=np.uint16).astype(np.float32)
    near = ndimage.uniform_filter(grey, 3)
    dim: NDArray[np.bool_] = near <= sum(light.glass) * 10.0**-_PIXEL_MEAN
    return dim


def _noise(light: Light) -> float:
    """Estimate how far the channels of bare glass differ by chance, after averaging."""
    glass = (light.mean < 0.02) & (light.chroma < 0.05)
    if np.count_nonzero(glass) < 100:
        return 0.0
    return float(np.median(light.chroma[glass]) / 1.5)


def _without_small_holes(light: Light, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, _ = ndimage.label(~mask)
    sizes = np.bincount(labels.ravel())
    small = sizes <= light.area_px(_HOLE_UM2, _HOLE_SHARE)
    small[0] = True
    return small[labels]
