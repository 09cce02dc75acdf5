"""A risk map for QuPath: every tile a detection with its numbers as measurements."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["map_geojson"]


def map_geojson(
    coords_px0: NDArray[np.int64],
    side_px0: tuple[float, float],
    measures: Mapping[str, NDArray[np.float64]],
    *,
    offset_px0: tuple[int, int] = (0, 0),
) -> bytes:
    """Write tiles with their numbers as GeoJSON.

    Parameters
    ----------
    coords_px0 : ndarray of int64, shape (n, 2)
        Top left corners in level-0 pixels.
    side_px0 : tuple of float
        Width and height of a tile in level-0 pixels.
    measures : mapping of str to ndarray of shape (n,)
        What QuPath shows as measurements; NaN is left out.
    offset_px0 : tuple of int
        Corner of the scanned bounds: QuPath shows a slide that has them cropped, and counts from
        there.

    Returns
    -------
    bytes
        A FeatureCollection.  In QuPath: File › Import objects, then Measure › Show measurement
        maps.

    Examples
    --------
    >>> one = map_geojson(np.array([[0, 0]]), (10.0, 10.0), {"c": np.array([0.5])})
    >>> json.loads(one)["features"][0]["properties"]["measurements"]
    {'c': 0.5}
    """
    features = []
    for row, (x, y) in enumerate(coords_px0.tolist()):
        left, top = x - offset_px0[0], y - offset_px0[1]
        right, bottom = round(left + side_px0[0], 2), round(top + side_px0[1], 2)
        numbers = {name: float(values[row]) for name, values in measures.items()}
        ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
        features.append(
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [ring]},
                "properties": {
                    "objectType": "detection",
                    "measurements": {
                        name: float(f"{value:.6g}")
                        for name, value in numbers.items()
                        if math.isfinite(value)
                    },
                },
            }
        )
    document = {"type": "FeatureCollection", "features": features}
    return json.dumps(document, separators=(",", ":")).encode()
