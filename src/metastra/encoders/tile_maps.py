"""The maps of a tile from which all its features are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metastra.cells.blur_kernel import ScaleSpace
from metastra.cells.scratch import Scratch
from metastra.encoders.map_kernel import cut_and_average
from metastra.encoders.stain_kernel import spread_and_scale
from metastra.tissue.deconvolution import stain_densities

__all__ = ["QUANTILES", "SMOOTHED_UM", "TISSUE_OD", "Spread", "TileMaps", "prepare"]

TISSUE_OD = 0.06
"""Smoothed optical density above which a pixel holds something; glass is 0 to 0.04."""

_WEAKEST_OD = 0.15
QUANTILES = (10, 25, 50, 75, 90, 95, 99)
"""Quantiles of a stain that are taken, in per cent."""
SMOOTHED_UM = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 4.0 / 3.0)
"""Gaussians of both stains that several families of features use, made together once."""

_SHARES = np.array(QUANTILES) / 100.0
_STRONG = 3 + QUANTILES.index(95)
_MOST_RELATIVE = 2.0


class Spread(NamedTuple):
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
    densities : ndarray of float32, shape (4, h, w)
        Optical density of haematoxylin and of eosin, not below 0; what the two stains do not
        explain, above 0 for the blue-yellow side; darkness, the mean of the two stains.
    smooth_darkness : ndarray of float32, shape (h, w)
        Darkness, smoothed over 1 µm.
    tissue : ndarray of bool, shape (h, w)
        Where the smoothed darkness is above `TISSUE_OD`.
    n_tissue : int
        Pixels of it.
    spread : tuple of Spread
        Of haematoxylin, of eosin and of the darkness.
    table : ndarray of float64, shape (3, 3 + len(QUANTILES))
        The same as numbers.
    relative : ScaleSpace
        Haematoxylin and eosin over their strength, to cancel a stronger or weaker stain; cut at 2,
        so that a speck of dirt does not rule the texture.
    blobs : ScaleSpace
        Lightness, the darkness over its strength, cut likewise and at the level of very pale
        tissue, with the sign turned; and haematoxylin as in `relative`.
    tile : ndarray of uint8, shape (h, w, 3)
        The pixels.
    scratch : Scratch
        Where the maps lie, and where more can be taken; they hold as long as its frame.
    """

    mpp: float
    densities: NDArray[np.float32]
    smooth_darkness: NDArray[np.float32]
    tissue: NDArray[np.bool_]
    n_tissue: int
    spread: tuple[Spread, Spread, Spread]
    table: NDArray[np.float64]
    relative: ScaleSpace
    blobs: ScaleSpace
    tile: NDArray[np.uint8]
    scratch: Scratch

    @property
    def haematoxylin(self) -> NDArray[np.float32]:
        """Optical density of haematoxylin, shape (h, w)."""
        found: NDArray[np.float32] = self.densities[0]
        return found

    def smoothed(self) -> NDArray[np.float32]:
        """Smooth both stains over their strength by `SMOOTHED_UM`, shape (2, k, h, w)."""
        return self.relative.make(tuple(self.sigma_px(sigma_um) for sigma_um in SMOOTHED_UM))

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
    densities = scratch.take((4, *shape))
    stain_densities(tile, out=densities[:3])
    cut_and_average(densities[0], densities[1], densities[3])
    smooth = ScaleSpace(densities[3:], scratch).make((max(1.0 / mpp, 0.33),))[0, 0]
    tissue, scaled = scratch.take(shape, np.bool_), scratch.take((3, *shape))
    limits = (TISSUE_OD, _WEAKEST_OD, _MOST_RELATIVE)
    n_tissue, table = spread_and_scale(densities, smooth, limits, _SHARES, _STRONG, tissue, scaled)
    first, second, third = (
        Spread(mean, sd, skewness, tuple(marks)) for mean, sd, skewness, *marks in table.tolist()
    )
    return TileMaps(
        mpp=mpp,
        densities=densities,
        smooth_darkness=smooth,
        tissue=tissue,
        n_tissue=n_tissue,
        spread=(first, second, third),
        table=table,
        relative=ScaleSpace(scaled[1:], scratch),
        blobs=ScaleSpace(scaled[:2], scratch),
        tile=tile,
        scratch=scratch,
    )
