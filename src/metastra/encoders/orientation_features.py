"""Whether fibres, cells and layers run in one direction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metastra.cells.blur_kernel import ScaleSpace
from metastra.encoders.feature import Feature
from metastra.encoders.orientation_kernel import measure_orientation, structure_tensors
from metastra.encoders.tile_maps import SMOOTHED_UM, TileMaps

__all__ = ["FEATURES", "measure"]

_GROUP = "Orientation"
_SOURCE = "Bigun and Granlund 1987"
_WINDOWS_UM = (5.0, 15.0)
_STAINS = ("haematoxylin", "eosin")
_BINS = 18


def _declare() -> tuple[Feature, ...]:
    found = []
    for stain in _STAINS:
        for window in _WINDOWS_UM:
            found += [
                _one(
                    f"{stain}_coherence_{window:g}um_mean_index",
                    f"Coherence of the structure tensor of {stain} in Gaussian windows of "
                    f"{window:g} µm, weighted with its energy: 0 no direction, 1 a single one.",
                ),
                _one(
                    f"{stain}_coherence_{window:g}um_sd_index",
                    f"Weighted standard deviation of that coherence over the tile ({window:g} µm).",
                ),
            ]
        found += [
            _one(
                f"{stain}_coherence_tile_index",
                f"Coherence of the structure tensor of {stain} summed over the whole tile.",
            ),
            _one(
                f"{stain}_direction_entropy_index",
                f"Entropy of the gradient directions of {stain}, weighted with their energy, in 18 "
                "bins over half a turn, divided by that of equal bins: 1 where all are alike.",
            ),
            _one(
                f"{stain}_edge_strength_ratio",
                f"Root mean square gradient of {stain} over its strength, per µm, after smoothing "
                "over 1 µm.",
            ),
        ]
    return tuple(found)


def _one(name: str, definition: str) -> Feature:
    return Feature(name=name, group=_GROUP, definition=definition, source=_SOURCE)


FEATURES = _declare()


def measure(maps: TileMaps) -> NDArray[np.float64]:
    """Measure directions in a tile.

    Parameters
    ----------
    maps : TileMaps
        Of the tile.

    Returns
    -------
    ndarray of shape (len(FEATURES),)
        In the order of `FEATURES`; all 0 in a flat tile.
    """
    smooth, mpp = maps.smoothed(), 2.0 * maps.mpp
    with maps.scratch.frame():
        rows, columns = maps.tissue.shape
        coarse = maps.scratch.take((6, (rows + 1) // 2, (columns + 1) // 2))
        table = structure_tensors(smooth, SMOOTHED_UM.index(1.0), coarse, _BINS)
        made = ScaleSpace(coarse, maps.scratch).make(tuple(um / mpp for um in _WINDOWS_UM))
        found: NDArray[np.float64] = measure_orientation(table, made, maps.tissue.size, maps.mpp)
    return found.ravel()
