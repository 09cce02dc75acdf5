"""How a tile is built at large: dense and loose parts, their size, and how even it is."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from metastra.cells.blur_kernel import ScaleSpace
from metastra.cells.nuclei import Nuclei
from metastra.encoders.feature import Feature
from metastra.encoders.layout_kernel import measure_dense, measure_evenness
from metastra.encoders.tile_maps import TileMaps

__all__ = ["FEATURES", "measure"]

_GROUP = "Layout"
_STAINS = ("haematoxylin", "eosin")
_LAGS_UM = (4.0, 8.0, 16.0, 32.0)
_BLOCKS = 4
_COARSE_MPP = 2.0
_UNKNOWN = (np.empty(0), np.empty(0), np.empty(0))


def _one(name: str, definition: str, source: str = "") -> Feature:
    return Feature(name=name, group=_GROUP, definition=definition, source=source)


FEATURES: tuple[Feature, ...] = (
    *(
        feature
        for stain in _STAINS
        for feature in (
            *(
                _one(
                    f"{stain}_autocorrelation_{lag:g}um_correlation",
                    f"Correlation of {stain} with itself {lag:g} µm away, mean of four directions, "
                    "glass counted as no stain.",
                )
                for lag in _LAGS_UM
            ),
            _one(
                f"{stain}_autocorrelation_direction_index",
                f"Largest minus smallest of the four directions at 8 µm, for {stain}.",
            ),
            _one(
                f"{stain}_blocks_variation_ratio",
                f"Standard deviation of {stain} between 16 equal blocks of the tile over the mean.",
            ),
        )
    ),
    _one("tissue_blocks_sd_share", "Standard deviation of the tissue share between 16 blocks."),
    _one(
        "nuclei_blocks_variation_ratio",
        "Standard deviation of the count of nuclei between 16 blocks over the mean.",
    ),
    _one(
        "dense_share",
        "Share of the tile above Otsu's threshold of haematoxylin smoothed over 6 µm: epithelium, "
        "or a cluster of lymphocytes.",
        "Otsu 1979",
    ),
    _one(
        "dense_contrast_ratio",
        "Mean smoothed haematoxylin of the dense part minus that of the rest, over the stain's "
        "strength.",
        "Otsu 1979",
    ),
    _one(
        "dense_separation_index", "Share of the variance that this threshold explains.", "Otsu 1979"
    ),
    _one("dense_parts_per_mm2", "Connected dense parts of at least 100 µm²."),
    _one(
        "dense_thickness_mean_um",
        "Twice the mean distance from a dense pixel to the nearest other one.",
    ),
    _one("dense_thickness_p90_um", "Twice the 90th percentile of that distance."),
    _one("loose_thickness_mean_um", "The same for the part that is not dense."),
    _one(
        "dense_boundary_mm_per_mm2",
        "Length of the boundary between dense and loose over the area of the tile.",
    ),
    _one(
        "dense_to_loose_eosin_log_ratio",
        "Logarithm of mean eosin in the dense part over that in the loose tissue.",
    ),
    _one(
        "dense_to_loose_nucleus_area_log_ratio",
        "Logarithm of the mean nuclear area in the dense over that in the loose part.",
    ),
    _one(
        "dense_to_loose_nucleus_haematoxylin_log_ratio",
        "Logarithm of the mean nuclear haematoxylin in the dense over that in the loose part.",
    ),
    _one(
        "dense_to_loose_nucleus_eccentricity_difference_index",
        "Mean nuclear eccentricity in the dense minus that in the loose part.",
    ),
    _one("nuclei_in_dense_share", "Share of nuclei that lie in the dense part."),
    _one("loose_nuclei_per_mm2", "Nuclei of the loose part over its area of tissue."),
)


def measure(maps: TileMaps, nuclei: Nuclei) -> NDArray[np.float64]:
    """Measure the layout of a tile.

    Parameters
    ----------
    maps : TileMaps
        Of the tile.
    nuclei : Nuclei
        Of the tile, with shapes.

    Returns
    -------
    ndarray of shape (len(FEATURES),)
        In the order of `FEATURES`; ratios between two parts are 0 where one of them is missing.
    """
    stains, mpp, times = maps.relative, maps.mpp, 0
    while mpp < _COARSE_MPP / 1.5 and min(stains.images.shape[1:]) >= 32:
        stains, mpp, times = stains.halved, 2.0 * mpp, times + 1
    shapes = nuclei.shapes
    of_nuclei = (
        (shapes.area_um2, shapes.haematoxylin_od, shapes.eccentricity) if shapes else _UNKNOWN
    )
    with maps.scratch.frame():
        smooth = ScaleSpace(stains.images[:1], maps.scratch).make((6.0 / mpp,))
        even, share = measure_evenness(
            stains.images,
            (maps.tissue, maps.scratch.take((2 * maps.tissue.size,))),
            times,
            _offsets(mpp),
            _BLOCKS,
            nuclei.centroids_px0,
        )
        dense = measure_dense(
            stains.images[1],
            smooth[0, 0],
            share,
            (nuclei.centroids_px0, *of_nuclei),
            (maps.mpp, mpp, mpp**2, maps.area_mm2()),
        )
    return np.concatenate([even, dense])


@lru_cache(maxsize=16)
def _offsets(mpp: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Four directions at each lag: across and down, in pixels."""
    steps = [max(round(lag_um / mpp), 1) for lag_um in _LAGS_UM]
    slants = [max(round(lag_um / mpp / math.sqrt(2.0)), 1) for lag_um in _LAGS_UM]
    offsets = [
        offset
        for step, slant in zip(steps, slants, strict=True)
        for offset in ((step, 0), (0, step), (slant, slant), (-slant, slant))
    ]
    dx, dy = np.array(offsets, np.int64).T.copy()
    return dx, dy
