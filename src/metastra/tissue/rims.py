"""Rims of bubbles: grey lines darker than both their sides that close around a convex place."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from metastra.tissue.colour import optical_density
from metastra.tissue.light import Light

__all__ = ["closed_rims", "rim_strength"]

_EIGHT = np.ones((3, 3), dtype=bool)
_WAYS = ((0, 1), (1, 0), (1, 1), (1, -1))
_COARSEST_MPP = 16.0
_SIGMA_UM, _BESIDE_UM = 5.0, 20.0
"""Smoothing, and distance to what lies beside: for rims of 10 to 40 µm."""
_TRUNCATE = 2.5
_BAND_PX = 1 << 19
"""Pixels whose sides are compared at a time, so that memory does not grow with the picture."""
_GREY, _BOTH_SIDES = 0.6, 0.2
_LEVELS = (0.12, 0.08, 0.055, 0.037, 0.025, 0.017)
_PIECE_UM, _GAP_UM = 40.0, 16.0
_LEAST_WIDTH_UM = 120.0
_COVERED, _TOLERANCE = 0.75, 0.04
_MOST_INSIDE = 0.2


def closed_rims(light: Light) -> NDArray[np.bool_]:
    """Find what lies inside the rim of a bubble, the rim included.

    The rim of a bubble bends light away, of all colours alike, so it is darker than the tissue on
    *both* sides by as much in red as in blue; what it lies on takes no part in the measure.  Lines
    that are so are cut at several levels; pieces of at least 40 µm that lie within 16 µm of each
    other are joined, and count as a rim where they follow three quarters of the outline of their
    convex hull and hardly anything like them lies inside it.

    Parameters
    ----------
    light : Light
        Of the picture.

    Returns
    -------
    bool array of shape (h, w)
        True on rims and inside them; on nothing narrower than 120 µm (120 px where the scale is
        not known), and nowhere on pixels of more than 16 µm, which hold no such line.

    Notes
    -----
    What reaches all four sides is the frame of the picture.

    Known errors: a quarter of the outline may be missing, not more; two bubbles that have grown
    into one are not convex and are seen only where each has its rim.
    """
    whole = np.zeros(light.mean.shape, dtype=bool)
    mpp = light.mpp or 1.0
    place = _place_of_what_absorbs(light)
    found = whole[place]
    if mpp > _COARSEST_MPP or min(found.shape) * mpp < _LEAST_WIDTH_UM:
        return whole
    strength = rim_strength(light.rgb[place], light.glass, mpp=mpp)
    for level in _LEVELS:
        lines = _long_pieces((strength >= level) & ~found, mpp)
        if lines.any():
            _close(lines, mpp, found)
    return whole


def _place_of_what_absorbs(light: Light) -> tuple[slice, slice]:
    """Give the part of the picture outside which there is nothing but glass, and a margin."""
    absorbs = light.mean >= _LEVELS[-1]
    margin = max(round(_BESIDE_UM / (light.mpp or 1.0)), 3)
    ends = []
    for axis in (1, 0):
        at = np.flatnonzero(absorbs.any(axis=axis))
        first, last = (at[0], at[-1] + 1) if len(at) else (0, 0)
        ends.append(slice(max(int(first) - margin, 0), int(last) + margin))
    return ends[0], ends[1]


def rim_strength(
    rgb: NDArray[np.uint8], glass: tuple[float, float, float], *, mpp: float
) -> NDArray[np.float32]:
    """Say how much darker each place is than both its sides, in the channel that shows it least.

    Parameters
    ----------
    rgb : uint8 array of shape (h, w, 3)
        Brightfield picture.
    glass : tuple of float
        Colour of bare glass.
    mpp : float
        Micrometres per pixel.

    Returns
    -------
    float32 array of shape (h, w)
        Absorbance, smoothed by a Gaussian of 5 µm, above the mean of what lies 20 µm away on both
        sides (across, along or both ways in between); 0 where one channel shows less than 0.6 of
        what another shows, which is the colour of a stain, or where one side is as dark: an edge.
    """
    height, width = rgb.shape[:2]
    beside = max(round(_BESIDE_UM / mpp), 2)
    sigma = max(_SIGMA_UM / mpp, 0.7)
    strength = np.empty((height, width), dtype=np.float32)
    # every pixel looks at what lies near it alone, so bands give what the whole would
    rows = max(_BAND_PX // max(width, 1), 4 * beside)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        smooth, around = _smooth_band(rgb, glass, top, bottom, sigma=sigma, beside=beside)
        strength[top:bottom] = _darker_than_beside(smooth, around, beside)
    return strength


def _smooth_band(
    rgb: NDArray[np.uint8],
    glass: tuple[float, float, float],
    top: int,
    bottom: int,
    *,
    sigma: float,
    beside: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the smoothed absorbance of some rows, alone and with what lies beside them."""
    height = rgb.shape[0]
    first, last = max(top - beside, 0), min(bottom + beside, height)
    reach = int(_TRUNCATE * sigma + 0.5)
    above, below = max(first - reach, 0), min(last + reach, height)
    density = optical_density(rgb[above:below], glass)
    smooth = np.stack(
        [
            ndimage.gaussian_filter(density[..., c], sigma, truncate=_TRUNCATE)[
                first - above : last - above
            ]
            for c in range(3)
        ]
    )
    over, under = beside - (top - first), beside - (last - bottom)
    around = np.pad(smooth, ((0, 0), (over, under), (beside, beside)), mode="symmetric")
    return smooth[:, top - first : bottom - first], around


def _darker_than_beside(
    smooth: NDArray[np.float32], around: NDArray[np.float32], beside: int
) -> NDArray[np.float32]:
    """Compare each pixel with both its sides, across, along and both ways in between."""
    height, width = smooth.shape[1:]
    best = np.zeros((height, width), dtype=np.float32)
    for down, right in _WAYS:
        far = beside if down * right == 0 else max(round(beside / math.sqrt(2)), 1)
        y, x = down * far, right * far
        one = smooth - around[:, beside + y :, beside + x :][:, :height, :width]
        other = smooth - around[:, beside - y :, beside - x :][:, :height, :width]
        both = (one + other) / 2
        least, most = both.min(axis=0), both.max(axis=0)
        weaker = np.minimum(one, other).mean(axis=0)
        least[(least < _GREY * most) | (weaker < _BOTH_SIDES * least)] = 0.0
        np.maximum(best, least, out=best)
    return best


def _long_pieces(strong: NDArray[np.bool_], mpp: float) -> NDArray[np.bool_]:
    """Drop what is too short to be part of a rim."""
    labels, count = ndimage.label(strong, _EIGHT)
    long = np.zeros(count + 1, dtype=bool)
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        long[number] = max(part.stop - part.start for part in place) * mpp >= _PIECE_UM
    return long[labels]


def _close(lines: NDArray[np.bool_], mpp: float, found: NDArray[np.bool_]) -> None:
    """Join pieces that lie near each other and mark what those that close enclose."""
    reach = max(round(_GAP_UM / mpp / 2), 1)
    near = ndimage.maximum_filter(lines.view(np.uint8), 2 * reach + 1) > 0
    groups, _ = ndimage.label(near, _EIGHT)
    for number, place in enumerate(ndimage.find_objects(groups), start=1):
        sides = tuple(part.stop - part.start for part in place)
        if min(sides) * mpp >= _LEAST_WIDTH_UM and sides != found.shape:
            found[place] |= _enclosed(lines[place] & (groups[place] == number), mpp)


def _enclosed(line: NDArray[np.bool_], mpp: float) -> NDArray[np.bool_]:
    """Give the convex hull of a line that follows its outline, else nothing."""
    nothing = np.zeros(line.shape, dtype=bool)
    points = np.argwhere(line)
    try:
        hull = ConvexHull(points)
    except QhullError:
        return nothing
    tolerance = max(1.5, _TOLERANCE * 2 * math.sqrt(hull.volume / math.pi))
    outline = _walk(points[hull.vertices].astype(np.float64))
    away = ndimage.distance_transform_edt(~line)
    if np.mean(away[outline[:, 0], outline[:, 1]] <= tolerance) < _COVERED:
        return nothing
    y, x = np.ogrid[: line.shape[0], : line.shape[1]]
    depth = np.full(line.shape, np.inf)
    for down, right, off in hull.equations:
        np.minimum(depth, -(down * y + right * x + off), out=depth)
    inner = depth >= 2.5 * tolerance
    besides = int((line & inner).sum()) / max(int((line & ~inner).sum()), 1)
    if 2 * depth.max() * mpp < _LEAST_WIDTH_UM or besides > _MOST_INSIDE:
        return nothing
    enclosed: NDArray[np.bool_] = depth >= -1.0
    return enclosed


def _walk(corners: NDArray[np.float64]) -> NDArray[np.int64]:
    """Give the pixels along a closed outline, one a step."""
    closed = np.vstack([corners, corners[:1]])
    way = np.concatenate([[0.0], np.hypot(*np.diff(closed, axis=0).T).cumsum()])
    at = np.arange(0.0, way[-1])
    steps = [np.interp(at, way, closed[:, axis]).round() for axis in range(2)]
    return np.column_stack(steps).astype(np.int64)
