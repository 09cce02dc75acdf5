"""How a tile is built at large: dense and loose parts, their size, and how even it is."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from metastra.cells.blur_kernel import ScaleSpace
from metastra.cells.nuclei import Nuclei
from metastra.encoders.feature import Feature
from metastra.encoders.layout_kernel import (
    autocorrelations,
    block_counts,
    block_spread,
    boundary_px,
    nuclei_by_part,
    otsu,
)
from metastra.encoders.map_kernel import above, as_floats, count_true
from metastra.encoders.mask_kernel import moments
from metastra.encoders.part_kernel import part_areas, parts_where
from metastra.encoders.thickness_kernel import distance_counts, thickness
from metastra.encoders.tile_maps import TileMaps

__all__ = ["FEATURES", "measure"]

_GROUP = "Layout"
_STAINS = ("haematoxylin", "eosin")
_LAGS_UM = (4.0, 8.0, 16.0, 32.0)
_BLOCKS = 4
_COARSE_MPP = 2.0


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
    with maps.scratch.frame():
        inside = maps.scratch.take(maps.tissue.shape)
        as_floats(maps.tissue, inside)
        tissue = ScaleSpace(inside, maps.scratch)
        return np.array(_measure(maps, tissue, nuclei))


def _measure(maps: TileMaps, tissue: ScaleSpace, nuclei: Nuclei) -> list[float]:
    stains, mpp = maps.relative[:2], maps.mpp
    while mpp < _COARSE_MPP / 1.5 and min(tissue.image.shape) >= 32:
        stains, tissue, mpp = (stains[0].halved, stains[1].halved), tissue.halved, 2.0 * mpp
    found: list[float] = []
    for stain in stains:
        found += autocorrelations(stain.image, *_offsets(mpp)).tolist()
        mean, sd = block_spread(stain.image, _BLOCKS)
        found.append(sd / mean if mean > 1e-3 else 0.0)
    found.append(block_spread(tissue.image, _BLOCKS)[1])
    points, shape = nuclei.centroids_px0, maps.tissue.shape
    found.append(block_counts(points, shape, _BLOCKS) if len(nuclei) else 0.0)
    return found + _dense(stains, tissue.image, mpp, maps, nuclei)


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


def _dense(
    stains: tuple[ScaleSpace, ...],
    tissue: NDArray[np.float32],
    mpp: float,
    maps: TileMaps,
    nuclei: Nuclei,
) -> list[float]:
    smooth = stains[0].blurred(6.0 / mpp)
    threshold, contrast, separation = otsu(smooth)
    dense, loose = np.empty((2, *smooth.shape), np.bool_)
    n_dense = above(smooth, threshold, dense)
    if contrast == 0.0 or not n_dense:
        return [0.0] * 14
    above(tissue, 0.5, loose)
    sparse = ~dense
    loose &= sparse
    n_loose = count_true(loose)
    areas_um2 = part_areas(*parts_where(dense)) * mpp**2
    thick_px, thick_p90_px = thickness(distance_counts(dense), 0.9)
    thin_px, _ = thickness(distance_counts(sparse), 0.9)
    eosin = 0.0
    if n_loose:
        inside, outside = (moments(stains[1].image, part)[0] for part in (dense, loose))
        eosin = math.log((inside + 0.05) / (outside + 0.05))
    area_mm2, loose_mm2 = maps.area_mm2(), n_loose * (mpp / 1000.0) ** 2
    # π/4 corrects the length of a staircase
    length_mm = boundary_px(dense) * mpp / 1000.0 * np.pi / 4.0
    return [
        n_dense / dense.size,
        contrast,
        separation,
        float(np.count_nonzero(areas_um2 >= 100.0)) / area_mm2,
        2.0 * mpp * thick_px,
        2.0 * mpp * thick_p90_px,
        2.0 * mpp * thin_px,
        length_mm / area_mm2,
        eosin,
        *_nuclei_by_part(dense, loose_mm2, maps.mpp / mpp, nuclei),
    ]


def _nuclei_by_part(
    dense: NDArray[np.bool_], loose_mm2: float, scale: float, nuclei: Nuclei
) -> list[float]:
    of_each, n = nuclei.shapes, len(nuclei)
    if of_each is None or not n:
        return [0.0] * 5
    shapes = (of_each.area_um2, of_each.haematoxylin_od, of_each.eccentricity)
    *ratios, n_dense = nuclei_by_part(dense, nuclei.centroids_px0, scale, shapes)
    density = (n - n_dense) / loose_mm2 if loose_mm2 > 1e-4 else 0.0
    return [*ratios, n_dense / n, density]
