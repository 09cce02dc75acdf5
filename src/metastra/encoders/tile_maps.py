"""The maps of a tile from which all its features are measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.cells.blur_kernel import blur
from metastra.tissue.deconvolution import stain_densities

__all__ = ["TISSUE_OD", "TileMaps", "prepare"]

TISSUE_OD = 0.06
"""Smoothed optical density above which a pixel holds something; glass is 0 to 0.04."""


@dataclass(frozen=True, kw_only=True)
class TileMaps:
    """A tile, separated into stains once for all features.

    Parameters
    ----------
    mpp : float
        Micrometres per pixel.
    haematoxylin, eosin : ndarray of float32, shape (h, w)
        Optical density, not below 0.
    residual : ndarray of float32, shape (h, w)
        What the two stains do not explain; above 0 for the blue-yellow side.
    darkness : ndarray of float32, shape (h, w)
        Mean of haematoxylin and eosin.
    tissue : ndarray of bool, shape (h, w)
        Where the darkness, smoothed over 1 µm, is above `TISSUE_OD`.
    """

    mpp: float
    haematoxylin: NDArray[np.float32]
    eosin: NDArray[np.float32]
    residual: NDArray[np.float32]
    darkness: NDArray[np.float32]
    tissue: NDArray[np.bool_]

    def sigma_px(self, sigma_um: float) -> float:
        """Convert a scale to pixels; not below a third of a pixel, where nothing is smoothed."""
        return max(sigma_um / self.mpp, 0.33)

    def area_mm2(self) -> float:
        """Area of the tile in square millimetres."""
        return self.tissue.size * (self.mpp / 1000.0) ** 2


def prepare(tile: NDArray[np.uint8], mpp: float) -> TileMaps:
    """Separate a tile into its maps.

    Parameters
    ----------
    tile : ndarray of uint8, shape (h, w, 3)
        RGB.
    mpp : float
        Micrometres per pixel.

    Returns
    -------
    TileMaps
        All of the tile's size.
    """
    haematoxylin, eosin, residual = stain_densities(tile)
    np.maximum(haematoxylin, 0.0, out=haematoxylin)
    np.maximum(eosin, 0.0, out=eosin)
    darkness = (haematoxylin + eosin) * np.float32(0.5)
    tissue = blur(darkness, max(1.0 / mpp, 0.33)) > TISSUE_OD
    return TileMaps(
        mpp=mpp,
        haematoxylin=haematoxylin,
        eosin=eosin,
        residual=residual,
        darkness=darkness,
        tissue=tissue,
    )
