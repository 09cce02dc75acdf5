"""Folds and fading: tissue that absorbs twice what it should, and tissue that hardly absorbs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from metastra.tissue.light import Light

__all__ = [
    "COARSEST_FOLD_MPP",
    "PALE_BELOW",
    "fold_map",
    "fold_reference",
    "pale_map",
    "pooled_reference",
]

COARSEST_FOLD_MPP = 16.0
"""Above this, a fold of 30 µm is narrower than the average that is judged."""
PALE_BELOW = 0.09
"""Absorbance of green, 90th percentile within 250 µm, under which tissue counts as faded."""

_FOLD_WINDOW_UM = 24.0
_REFERENCE = 75.0
_SEED, _GROWN = 1.6, 1.3
_MOST_RED = 1.08
_SMALLEST_UM2 = 1_500.0
_PALE_SIDE_UM = 250.0
_PALE_BLOCKS = 16
_PALE_SHARE = 0.9


def fold_reference(light: Light, tissue: NDArray[np.bool_]) -> tuple[float, float, float] | None:
    """Say how much single tissue of a slide absorbs.

    Parameters
    ----------
    light : Light
        Of the slide, with a known scale.
    tissue : bool array of shape (h, w)
        Where it is measured.

    Returns
    -------
    tuple of float or None
        Absorbance of red, green and blue, upper quartile of the tissue averaged over 24 µm; None
        without tissue or scale.
    """
    return pooled_reference([(light, tissue)])


def pooled_reference(
    pieces: Sequence[tuple[Light, NDArray[np.bool_]]],
) -> tuple[float, float, float] | None:
    """Say how much single tissue absorbs, from several pieces of one slide.

    Parameters
    ----------
    pieces : sequence of (Light, bool array of shape (h, w))
        Pieces with a known scale, and their tissue.

    Returns
    -------
    tuple of float or None
        As `fold_reference`, over the tissue of all pieces.
    """
    smooth = [_smooth(light)[tissue] for light, tissue in pieces if light.mpp is not None]
    pixels = np.concatenate(smooth) if smooth else np.empty((0, 3), dtype=np.float32)
    if not len(pixels):
        return None
    red, green, blue = np.percentile(pixels, _REFERENCE, axis=0)
    return float(red), float(green), float(blue)


def fold_map(
    light: Light, tissue: NDArray[np.bool_], reference: tuple[float, float, float] | None = None
) -> NDArray[np.bool_]:
    """Find folds: two layers absorb the sum of both.

    Both stains absorb blue weakly and green strongly.  Nuclei or erythrocytes raise one of the two
    more than the other; a second layer raises both.  A fold starts where green *and* blue, averaged
    over 24 µm, reach 1.6 of the reference, and is followed down to 1.3.  Crowded nuclei raise red
    still more than those two: what is raised in red by more than 1.08 times as much is no fold.

    Parameters
    ----------
    light : Light
        Of the picture; its scale must be known and at most `COARSEST_FOLD_MPP`.
    tissue : bool array of shape (h, w)
        Where folds are looked for.
    reference : tuple of float, optional
        From `fold_reference` of the whole slide; of this picture alone when omitted, which misses
        folds that fill much of it.

    Returns
    -------
    bool array of shape (h, w)
        True on folds of at least 1500 µm².

    Raises
    ------
    ValueError
        If the scale is unknown or too coarse.

    Notes
    -----
    Known errors: a fold of pale tissue on a slide that also has dense tissue is not dense enough
    to be seen; tissue that is twice as dense by nature (epidermis beside dermis, tumour beside
    mucin) is taken for a fold where it covers less than a quarter of the slide.
    """
    if light.mpp is None or light.mpp > COARSEST_FOLD_MPP:
        raise ValueError(f"folds need at most {COARSEST_FOLD_MPP} µm per pixel, not {light.mpp}")
    single = fold_reference(light, tissue) if reference is None else reference
    if single is None:
        return np.zeros(tissue.shape, dtype=bool)
    times = _smooth(light)
    times /= np.maximum(np.array(single, dtype=np.float32), 0.02)
    ratio = times[..., 1:].min(axis=2)
    labels, count = ndimage.label(tissue & (ratio >= _GROWN))
    if not count:
        return np.zeros(tissue.shape, dtype=bool)
    # what is in no piece takes no part, and is most of the picture
    pieces = labels > 0
    flat, high = labels[pieces], ratio[pieces]
    seeds = np.bincount(flat, high >= _SEED)
    keep = (seeds > 0) & (np.bincount(flat) >= max(_SMALLEST_UM2 / light.mpp**2, 1.0))
    red = np.bincount(flat, times[..., 0][pieces])
    keep &= red <= _MOST_RED * np.bincount(flat, high)
    keep[0] = False
    return keep[labels]


def pale_map(light: Light, tissue: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find tissue that has hardly any stain.

    Parameters
    ----------
    light : Light
        Of the picture.
    tissue : bool array of shape (h, w)
        Where it is looked for.

    Returns
    -------
    bool array of shape (h, w)
        True on tissue of blocks of 250 µm (a sixteenth of the picture's longer side where the
        scale is not known) in which nine tenths of the tissue absorb less than `PALE_BELOW` of
        green.

    Notes
    -----
    Fat, mucin and oedema are pale by nature, so only the share over a whole slide tells fading;
    fading of a part is told by its nuclei (`metastra.tissue.fading`).
    """
    height, width = tissue.shape
    longer = max(height, width)
    side = light.length_px(_PALE_SIDE_UM, -(-longer // _PALE_BLOCKS))
    starts = [np.arange(0, length, side) for length in (height, width)]

    def count(found: NDArray[np.bool_]) -> NDArray[np.int64]:
        sums = np.add.reduceat(found, starts[0], axis=0, dtype=np.int64)
        total: NDArray[np.int64] = np.add.reduceat(sums, starts[1], axis=1)
        return total

    weak = tissue & (light.density[..., 1] < PALE_BELOW)
    pale = count(weak) >= _PALE_SHARE * count(tissue)
    rows, columns = np.arange(height) // side, np.arange(width) // side
    return tissue & pale[np.ix_(rows, columns)]


def _smooth(light: Light) -> NDArray[np.float32]:
    """Absorbance averaged over 24 µm, at least 3 px."""
    if light.mpp is None:
        raise ValueError("the scale is not known")
    side = max(3, 2 * round(_FOLD_WINDOW_UM / light.mpp / 2) + 1)
    # what `Light` averaged over 12 µm is averaged again over the rest
    smooth: NDArray[np.float32] = ndimage.uniform_filter(light.density, (side, side, 1))
    return smooth
