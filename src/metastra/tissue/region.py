"""Regions that somebody drew: polygons in level-0 pixels, and which pixels of a map they hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Polygon", "Region"]


@dataclass(frozen=True, kw_only=True)
class Polygon:
    """One closed outline and the holes in it.

    Parameters
    ----------
    outline : float array of shape (n, 2)
        x and y in level-0 pixels, n at least 3, the first point not repeated.
    holes : tuple of float arrays of shape (m, 2)
        What is cut out.
    """

    outline: NDArray[np.float64]
    holes: tuple[NDArray[np.float64], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Region:
    """The union of polygons.

    Parameters
    ----------
    polygons : tuple of Polygon
        At least one.
    source : str
        Name of the file it came from, without its folder; empty for one made in a program.
    """

    polygons: tuple[Polygon, ...]
    source: str = ""

    @property
    def bounds_px0(self) -> tuple[float, float, float, float]:
        """Smallest rectangle that holds it: left, top, right, bottom in level-0 pixels."""
        points = np.concatenate([polygon.outline for polygon in self.polygons])
        left, top = points.min(axis=0)
        right, bottom = points.max(axis=0)
        return float(left), float(top), float(right), float(bottom)

    def mask(self, shape: tuple[int, int], scale_px0: tuple[float, float]) -> NDArray[np.bool_]:
        """Draw the region on a map.

        Parameters
        ----------
        shape : tuple of int
            Height and width of the map.
        scale_px0 : tuple of float
            Level-0 pixels per map pixel along x and y; the map's corner is that of the slide.

        Returns
        -------
        bool array of `shape`
            True where the middle of the pixel is inside one of the polygons and not in its holes.

        Examples
        --------
        >>> square = np.array([[0.0, 0.0], [40.0, 0.0], [40.0, 40.0], [0.0, 40.0]])
        >>> region = Region(polygons=(Polygon(outline=square),))
        >>> int(region.mask((10, 10), (8.0, 8.0)).sum())
        25
        """
        inside = np.zeros(shape, dtype=bool)
        for polygon in self.polygons:
            rings = [ring / np.array(scale_px0) - 0.5 for ring in (polygon.outline, *polygon.holes)]
            inside |= _filled(rings, shape)
        return inside


def _filled(rings: list[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill rings by the even-odd rule, row by row, at the middles of pixels."""
    mask = np.zeros(shape, dtype=bool)
    one = np.concatenate(rings)
    two = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    first = max(int(np.ceil(one[:, 1].min())), 0)
    last = min(int(np.floor(one[:, 1].max())), shape[0] - 1)
    for row in range(first, last + 1):
        crosses = (one[:, 1] > row) != (two[:, 1] > row)
        a, b = one[crosses], two[crosses]
        at = np.sort(a[:, 0] + (row - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0]))
        edges = np.clip(np.ceil(at), 0, shape[1]).astype(int)
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            mask[row, start:stop] = True
    return mask
