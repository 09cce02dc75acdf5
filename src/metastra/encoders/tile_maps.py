"""The maps of a tile from which all its features are measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.cells.blur_kernel import ScaleSpace
from metastra.cells.scratch import Scratch
from metastra.encoders.map_kernel import above, cut_and_average, scale_and_cut
from metastra.encoders.mask_kernel import masked_quantiles, moments
from metastra.tissue.deconvolution import stain_densities

__all__ = ["QUANTILES", "TISSUE_OD", "Spread", "TileMaps", "prepare"]

TISSUE_OD = 0.06
"""Smoothed optical density above which a pixel holds something; glass is 0 to 0.04."""

_WEAKEST_OD = 0.15
QUANTILES = (10, 25, 50, 75, 90, 95, 99)
"""Quantiles of a stain that are taken, in per cent."""

_SHARES = np.array(QUANTILES) / 100.0


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How a stain is spread over the tissue of a tile.

    Parameters
    ----------
    mean_od, sd_od, skewness : float
        Moments; 0 without tissue.
    quantiles_od : tuple of float, length len(QUANTILES)
        Quantiles in per cent `QUANTILES`; 0 without tissue.
    """

    mean_od: float
    sd_od: float
    skewness: float
    quantiles_od: tuple[float, ...]

    @property
    def strength_od(self) -> float:
        """The 95th percentile, not below 0.15: what a map is divided by."""
        return max(self.quantiles_od[QUANTILES.index(95)], _WEAKEST_OD)


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
    smooth_darkness : ndarray of float32, shape (h, w)
        Darkness, the mean of haematoxylin and eosin, smoothed over 1 µm.
    tissue : ndarray of bool, shape (h, w)
        Where the smoothed darkness is above `TISSUE_OD`.
    n_tissue : int
        Pixels of it.
    spread : tuple of Spread
        Of haematoxylin, of eosin and of the darkness.
    relative : tuple of ScaleSpace
        Haematoxylin, eosin and darkness over their strength, to cancel a stronger or weaker stain;
        cut at 2, so that a speck of dirt does not rule the texture.
    tile : ndarray of uint8, shape (h, w, 3)
        The pixels.
    scratch : Scratch
        Where the maps lie, and where more can be taken; they hold as long as its frame.
    """

    mpp: float
    haematoxylin: NDArray[np.float32]
    eosin: NDArray[np.float32]
    residual: NDArray[np.float32]
    smooth_darkness: NDArray[np.float32]
    tissue: NDArray[np.bool_]
    n_tissue: int
    spread: tuple[Spread, Spread, Spread]
    relative: tuple[ScaleSpace, ScaleSpace, ScaleSpace]
    tile: NDArray[np.uint8]
    scratch: Scratch

    def sigma_px(self, sigma_um: float) -> float:
        """Convert a scale to pixels; not below a third of a pixel, where nothing is smoothed."""
        return max(sigma_um / self.mpp, 0.33)

    def area_mm2(self) -> float:
        """Area of the tile in square millimetres."""
        return self.tissue.size * (self.mpp / 1000.0) ** 2


def prepare(tile: NDArray[np.uint8], mpp: float, scratch: Scratch) -> TileMaps:
    """Separate a tile into its maps.

    Parameters
    ----------
    tile : ndarray of uint8, shape (h, w, 3)
        RGB.
    mpp : float
        Micrometres per pixel.
    scratch : Scratch
        Where the maps are taken from.

    Returns
    -------
    TileMaps
        All of the tile's size.
    """
    shape = (tile.shape[0], tile.shape[1])
    haematoxylin, eosin, residual = stain_densities(tile, out=scratch.take((3, *shape)))
    darkness = scratch.take(shape)
    cut_and_average(haematoxylin, eosin, darkness)
    smooth = ScaleSpace(darkness, scratch).blurred(max(1.0 / mpp, 0.33))
    tissue = scratch.take(shape, np.bool_)
    n_tissue = above(smooth, TISSUE_OD, tissue)
    stains = (haematoxylin, eosin, darkness)
    spread = tuple(_spread(image, tissue) for image in stains)
    relative = []
    for image, one in zip(stains, spread, strict=True):
        scaled = scratch.take(shape)
        scale_and_cut(image, 1.0 / one.strength_od, 2.0, scaled)
        relative.append(ScaleSpace(scaled, scratch))
    return TileMaps(
        mpp=mpp,
        haematoxylin=haematoxylin,
        eosin=eosin,
        residual=residual,
        smooth_darkness=smooth,
        tissue=tissue,
        n_tissue=n_tissue,
        spread=(spread[0], spread[1], spread[2]),
        relative=(relative[0], relative[1], relative[2]),
        tile=tile,
        scratch=scratch,
    )


def _spread(image: NDArray[np.float32], tissue: NDArray[np.bool_]) -> Spread:
    mean, sd, skewness = moments(image, tissue)
    marks = masked_quantiles(image, tissue, _SHARES)
    return Spread(mean_od=mean, sd_od=sd, skewness=skewness, quantiles_od=tuple(marks.tolist()))
