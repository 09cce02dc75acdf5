"""Faded tissue: nuclei are there, but all of them are weak beside those of the same slide."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from metastra.tissue.colour import optical_density

__all__ = ["FADED_BELOW", "LEAST_FIELDS", "STAIN_MEASURES", "faded", "stain_of_nuclei"]

FADED_BELOW = 0.65
"""Share of what is typical of the slide under which nuclei and ground must both lie."""
LEAST_FIELDS = 6
"""Fields that must be judged before a slide says what is typical of it."""

_RANKS_MM2 = (150.0, 300.0, 600.0)
STAIN_MEASURES = len(_RANKS_MM2) + 1
"""Numbers that say how strong the stain of a field is: nuclei at three ranks, and the ground."""

_NUCLEUS_UM, _AROUND_UM, _APART_UM = 1.5, 5.0, 3.0
_LEAST_PEAK = 0.015
_LEAST_TISSUE = 0.1
_WORKING_UM = 1.0


def stain_of_nuclei(
    rgb: NDArray[np.uint8],
    tissue: NDArray[np.bool_],
    *,
    mpp: float,
    glass: tuple[float, float, float],
) -> NDArray[np.float64]:
    """Measure how strong the nuclei of a field are, and what lies between them.

    Nuclei are the places where red light is absorbed more than around them (a difference of
    Gaussians of 1.5 and 5 µm).  They are ranked, and read at 150, 300 and 600 for each mm² of
    tissue: a few dark nuclei, as of fibroblasts in pale tissue, are enough to be strong.

    Parameters
    ----------
    rgb : uint8 array of shape (h, w, 3)
        Field of a brightfield slide.
    tissue : bool array of shape (h, w)
        Where it is measured.
    mpp : float
        Micrometres per pixel.
    glass : tuple of float
        Colour of bare glass.

    Returns
    -------
    float array of shape (4,)
        Absorbance of red of the nuclei at each rank above their surroundings, and median
        absorbance of green; NaN where less than a tenth is tissue or it has fewer than 600 places
        in a mm² that could be nuclei, which says nothing: mucin and matrix have none.
    """
    side = max(1, round(_WORKING_UM / mpp))
    height, width = (length // side * side for length in tissue.shape)
    here = tissue[:height:side, :width:side]
    area_mm2 = np.count_nonzero(here) * (mpp * side) ** 2 / 1e6
    nothing = np.full(STAIN_MEASURES, np.nan)
    if np.count_nonzero(here) < max(_LEAST_TISSUE * here.size, 1):
        return nothing
    density = optical_density(_binned(rgb[:height, :width], side), glass)
    red, green = density[..., 0], density[..., 1]
    um = mpp * side
    above = ndimage.gaussian_filter(red, _NUCLEUS_UM / um, truncate=3.0)
    above -= ndimage.gaussian_filter(red, _AROUND_UM / um, truncate=3.0)
    highest = ndimage.maximum_filter(above, 2 * round(_APART_UM / um) + 1)
    peaks = np.sort(above[(above == highest) & (above >= _LEAST_PEAK) & here])[::-1]
    places = [int(rank * area_mm2) for rank in _RANKS_MM2]
    if places[-1] >= len(peaks):
        return nothing
    return np.array([*peaks[places], np.median(green[here])], dtype=np.float64)


def _binned(rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Average squares of pixels."""
    if side == 1:
        return rgb
    pieces = [rgb[top::side, left::side] for top in range(side) for left in range(side)]
    total = np.zeros(pieces[0].shape, dtype=np.uint16)
    for piece in pieces:
        total += piece
    return (total // len(pieces)).astype(np.uint8)


def faded(
    fields: NDArray[np.float64], typical_of: NDArray[np.float64] | None = None
) -> NDArray[np.bool_]:
    """Say in which fields of a slide the stain has faded.

    Parameters
    ----------
    fields : float array of shape (n, 4)
        From `stain_of_nuclei`.
    typical_of : float array of shape (m, 4), optional
        Fields spread evenly over the slide, whose medians are what is typical of it; `fields` when
        omitted.

    Returns
    -------
    bool array of shape (n,)
        True where nuclei at every rank *and* the ground are below 0.65 of what is typical; False
        where it cannot be told and where fewer than six fields tell what is typical.

    Notes
    -----
    Fat, oedema and matrix are paler than the rest, but their nuclei are not; tumours with pale,
    vesicular nuclei have a ground like the rest.  A slide that has faded over more than half has
    nothing to be compared with.

    Examples
    --------
    >>> fields = np.ones((8, 4))
    >>> fields[0], fields[1] = 0.5, (1.0, 0.9, 0.5, 0.5)
    >>> np.flatnonzero(faded(fields)).tolist()
    [0]
    """
    spread = fields if typical_of is None else typical_of
    known = spread[np.isfinite(spread).all(axis=1)]
    if len(known) < LEAST_FIELDS:
        return np.zeros(len(fields), dtype=bool)
    weak: NDArray[np.bool_] = np.all(fields < FADED_BELOW * np.median(known, axis=0), axis=1)
    return weak
