"""The maps of a tile from which all its features are measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.cells.blur_kernel import blur
from metastra.encoders.texture_kernel import masked_quantiles
from metastra.tissue.deconvolution import stain_densities

__all__ = ["TISSUE_OD", "TileMaps", "prepare"]

TISSUE_OD = 0.06
"""Smoothed optical density above which a pixel holds something; glass is 0 to 0.04."""

_WEAKEST_OD = 0.15
_STRENGTH_SHARE = np.array([0.95])


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
    smooth_darkness : ndarray of float32, shape (h, w)
        Darkness smoothed over 1 µm.
    tissue : ndarray of bool, shape (h, w)
        Where the smoothed darkness is above `TISSUE_OD`.
    strengths_od : tuple of float
        95th percentile of haematoxylin, of eosin and of the darkness over the tissue, not below
        0.15: what a map is divided by to cancel a stronger or weaker stain.
    relative : tuple of ndarray of float32, shape (h, w)
        Haematoxylin, eosin and darkness over their strength; cut at 2, so that a speck of dirt does
        not rule the texture.
    tile : ndarray of uint8, shape (h, w, 3)
        The pixels.
    """

    mpp: float
    haematoxylin: NDArray[np.float32]
    eosin: NDArray[np.float32]
    residual: NDArray[np.float32]
    darkness: NDArray[np.float32]
    smooth_darkness: NDArray[np.float32]
    tissue: NDArray[np.bool_]
    strengths_od: tuple[float, float, float]
    relative: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
    tile: NDArray[np.uint8]

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
    smooth = blur(darkness, max(1.0 / mpp, 0.33))
    tissue = smooth > TISSUE_OD
    of_haematoxylin = _strength(haematoxylin, tissue)
    of_eosin = _strength(eosin, tissue)
    of_darkness = _strength(darkness, tissue)
    return TileMaps(
        mpp=mpp,
        haematoxylin=haematoxylin,
        eosin=eosin,
        residual=residual,
        darkness=darkness,
        smooth_darkness=smooth,
        tissue=tissue,
        strengths_od=(of_haematoxylin, of_eosin, of_darkness),
        relative=(
            _over(haematoxylin, of_haematoxylin),
            _over(eosin, of_eosin),
            _over(darkness, of_darkness),
        ),
        tile=tile,
    )


def _strength(image: NDArray[np.float32], tissue: NDArray[np.bool_]) -> float:
    return max(float(masked_quantiles(image, tissue, _STRENGTH_SHARE)[0]), _WEAKEST_OD)


def _over(image: NDArray[np.float32], strength_od: float) -> NDArray[np.float32]:
    scaled = image * np.float32(1.0 / strength_od)
    np.minimum(scaled, 2.0, out=scaled)
    return scaled
