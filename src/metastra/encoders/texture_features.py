"""Texture of chromatin and collagen: at which scales a stain varies, and in which patterns."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from metastra.encoders.feature import Feature
from metastra.encoders.mask_kernel import moments_between
from metastra.encoders.texture_kernel import binary_patterns, pair_measures
from metastra.encoders.tile_maps import SMOOTHED_UM, TileMaps

__all__ = ["FEATURES", "measure"]

_GROUP = "Texture"
_STAINS = ("haematoxylin", "eosin")
_SCALES_UM = SMOOTHED_UM[:6]
_OFFSETS_UM = (1.5, 4.0, 12.0)
_MEASURES = {
    "contrast_index": "mean squared difference of the two levels",
    "correlation": "correlation of the two levels",
    "homogeneity_index": "mean of 1 / (1 + squared difference)",
    "energy_index": "sum of squared shares of pairs",
    "entropy_bits": "entropy of the shares of pairs",
}
_CIRCLES_UM = (1.5, 4.0)
# a circle is taken on the map smoothed by a third of its radius
_OF_CIRCLES = np.array([SMOOTHED_UM.index(0.5), SMOOTHED_UM.index(4.0 / 3.0)])
_STEP = 0.02
_TOP = 1.25


def _declare() -> tuple[Feature, ...]:
    found = []
    for stain in _STAINS:
        for fine, coarse in itertools.pairwise(_SCALES_UM):
            band = f"{stain}_variation_{_text(fine)}_to_{_text(coarse)}um"
            what = f"{stain} between Gaussians of {fine:g} and {coarse:g} µm, over the tissue"
            found += [
                _one(
                    f"{band}_sd_ratio",
                    f"Standard deviation of the difference of {what}, over the stain's strength.",
                    "Burt and Adelson 1983",
                ),
                _one(
                    f"{band}_skewness_index",
                    f"Skewness of the difference of {what}; positive for dark grains.",
                    "Burt and Adelson 1983",
                ),
            ]
        for offset in _OFFSETS_UM:
            found += [
                _one(
                    f"{stain}_pairs_{_text(offset)}um_{measure}",
                    f"Of pairs of tissue pixels {offset:g} µm apart in 4 directions, {stain} over "
                    f"its strength in 16 levels from 0 to 1.25: {meaning}.",
                    "Haralick et al. 1973",
                )
                for measure, meaning in _MEASURES.items()
            ]
            found.append(
                _one(
                    f"{stain}_pairs_{_text(offset)}um_direction_ratio",
                    f"Largest minus smallest contrast of the 4 directions at {offset:g} µm, over "
                    "their mean: 0 where no direction stands out.",
                )
            )
        for radius in _CIRCLES_UM:
            circle = f"{stain}_circle_{_text(radius)}um"
            found += [
                _one(
                    f"{circle}_{count}_darker_neighbours_share",
                    f"Share of tissue pixels with {count} of 8 neighbours on a circle of "
                    f"{radius:g} µm darker in {stain}, next to one another.",
                    "Ojala et al. 2002",
                )
                for count in range(9)
            ]
            found.append(
                _one(
                    f"{circle}_irregular_share",
                    f"Share of tissue pixels whose darker neighbours on a circle of {radius:g} µm "
                    "do not lie next to one another.",
                    "Ojala et al. 2002",
                )
            )
    return tuple(found)


def _one(name: str, definition: str, source: str = "") -> Feature:
    return Feature(name=name, group=_GROUP, definition=definition, source=source)


def _text(scale_um: float) -> str:
    return f"{scale_um:g}".replace(".", "p")


FEATURES = _declare()


def measure(maps: TileMaps) -> NDArray[np.float64]:
    """Measure the texture of a tile.

    Parameters
    ----------
    maps : TileMaps
        Of the tile.

    Returns
    -------
    ndarray of shape (len(FEATURES),)
        In the order of `FEATURES`; all 0 where there is no tissue.
    """
    smooth, tissue, stains = maps.smoothed(), maps.tissue, maps.relative.images
    bands = moments_between(smooth, len(_SCALES_UM), tissue, maps.n_tissue)
    with maps.scratch.frame():
        grey = maps.scratch.take(tissue.shape, np.uint8)
        pairs = pair_measures(stains, tissue, _TOP, _pair_offsets(maps.mpp), grey)
    patterns = binary_patterns(smooth, _OF_CIRCLES, tissue, _circle_offsets(maps.mpp), _STEP)
    n = len(smooth)
    families = (bands[:, :, 1:].reshape(n, -1), pairs.reshape(n, -1), patterns.reshape(n, -1))
    return np.concatenate(families, axis=1).ravel()


@lru_cache(maxsize=16)
def _pair_offsets(mpp: float) -> NDArray[np.int64]:
    """Four directions at each distance, in pixels: shape (3, 2, 4), across and down."""
    found = []
    for offset_um in _OFFSETS_UM:
        step = max(round(offset_um / mpp), 1)
        slant = max(round(offset_um / mpp / math.sqrt(2.0)), 1)
        found.append(([step, slant, 0, -slant], [0, slant, step, slant]))
    return np.array(found, np.int64)


@lru_cache(maxsize=16)
def _circle_offsets(mpp: float) -> NDArray[np.int64]:
    """Eight pixels around each circle: shape (2, 2, 8), across and down."""
    angles = np.arange(8) * (math.pi / 4.0)
    found = []
    for radius_um in _CIRCLES_UM:
        radius_px = max(radius_um / mpp, 1.0)
        found.append((np.rint(radius_px * np.cos(angles)), np.rint(radius_px * np.sin(angles))))
    return np.array(found).astype(np.int64)
