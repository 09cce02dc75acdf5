"""Regions that somebody drew: polygons in level-0 pixels, and which pixels of a map they hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

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
            True where the middle of the pixel is inside, to half a pixel.

        Examples
        --------
        >>> square = np.array([[0.0, 0.0], [40.0, 0.0], [40.0, 40.0], [0.0, 40.0]])
        >>> region = Region(polygons=(Polygon(outline=square),))
        >>> int(region.mask((10, 10), (8.0, 8.0)).sum())
        25
        """
        height, width = shape
        inside = np.zeros(shape, dtype=bool)
        for polygon in self.polygons:
            image = Image.new("1", (width, height))
            draw = ImageDraw.Draw(image)
            for ring, fill in ((polygon.outline, 1), *((hole, 0) for hole in polygon.holes)):
                points = ring / np.array(scale_px0) - 0.5
                draw.polygon([(float(x), float(y)) for x, y in points], fill=fill)
            inside |= np.asarray(image, dtype=bool)
        return inside
