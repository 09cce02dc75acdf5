"""Area and centroid of an outline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["area_and_centroid"]


def area_and_centroid(ring: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """Measure a closed outline.

    Parameters
    ----------
    ring : sequence of (x, y)
        Corners in order; the first may be repeated at the end.

    Returns
    -------
    area, x, y : float
        Area without sign, and the centroid of the area.  An outline without area (a point, a
        line) has the mean of its corners.

    Raises
    ------
    ValueError
        If a corner is no pair of finite numbers, or there is none.

    Examples
    --------
    >>> area_and_centroid([(0, 0), (4, 0), (4, 2), (0, 2)])
    (8.0, 2.0, 1.0)
    """
    corners = np.array([point[:2] for point in ring], np.float64)
    if corners.ndim != 2 or corners.shape[1] != 2 or not np.isfinite(corners).all():
        raise ValueError("an outline is no list of pairs of finite numbers")
    # around the first corner, so that large coordinates lose nothing
    origin = corners[0]
    x, y = (corners - origin).T
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    twice = float(cross.sum())
    if abs(twice) < 1e-9:
        middle = np.unique(corners, axis=0).mean(axis=0)
        return 0.0, float(middle[0]), float(middle[1])
    centre_x = float(((x + np.roll(x, -1)) * cross).sum()) / (3.0 * twice)
    centre_y = float(((y + np.roll(y, -1)) * cross).sum()) / (3.0 * twice)
    return abs(twice) / 2.0, centre_x + float(origin[0]), centre_y + float(origin[1])
