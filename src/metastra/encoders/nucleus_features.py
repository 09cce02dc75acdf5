"""Nuclei of a tile: how many, how large, of what shape, how dark, and how they lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from metastra.cells.nuclei import Nuclei
from metastra.encoders.feature import Feature
from metastra.encoders.nucleus_kernel import (
    columns_of,
    measure_arrangement,
    measure_nuclei,
    nearest_of_each,
)
from metastra.encoders.tile_maps import TileMaps

__all__ = ["FEATURES", "measure"]

_GROUP = "Nuclei"
_ARRANGED = "Arrangement of nuclei"
# small, large; lymphocyte-like from, to, rounder than; elongated; hyperchromatic
_LIMITS = (20.0, 60.0, 10.0, 45.0, 0.75, 0.88, 1.15)
_REACHES_UM = (15.0, 30.0)
_NEIGHBOURS = 5


def _one(name: str, definition: str) -> Feature:
    return Feature(name=name, group=_GROUP, definition=definition)


def _lie(name: str, definition: str, source: str = "") -> Feature:
    return Feature(name=name, group=_ARRANGED, definition=definition, source=source)


def _spread(stem: str, unit: str, what: str) -> list[Feature]:
    return [
        _one(f"{stem}_mean_{unit}", f"Mean {what}."),
        _one(f"{stem}_sd_{unit}", f"Standard deviation of {what} between nuclei."),
        _one(f"{stem}_p10_{unit}", f"10th percentile of {what}."),
        _one(f"{stem}_p90_{unit}", f"90th percentile of {what}."),
    ]


_DENSITY = (
    _one("nuclei_per_mm2_of_tile", "Nuclei over the area of the tile."),
    _one("nuclei_per_mm2_of_tissue", "Nuclei over the area of tissue in the tile."),
    _one("nucleus_area_share_of_tissue", "Area of all outlines over the area of tissue."),
)
_SHAPE = (
    *_spread("nucleus_area", "um2", "area of the outline"),
    *_spread("nucleus_eccentricity", "index", "eccentricity of the outline's ellipse"),
    *_spread("nucleus_ellipse_fill", "ratio", "area over that of the ellipse of equal moments"),
    *_spread("nucleus_haematoxylin", "od", "haematoxylin of the nucleus"),
    *_spread(
        "nucleus_haematoxylin_relative",
        "ratio",
        "haematoxylin of the nucleus over the stain's strength in the tile",
    ),
    *_spread(
        "nucleus_contrast_relative",
        "ratio",
        "haematoxylin inside minus around, over the stain's strength in the tile",
    ),
    *_spread(
        "nucleus_chromatin_variation",
        "ratio",
        "standard deviation of haematoxylin inside a nucleus over its mean",
    ),
)
_KINDS = (
    _one("nucleus_area_variation_ratio", "Standard deviation of the area over its mean."),
    _one("small_nuclei_share", "Share of nuclei under 20 µm²."),
    _one("large_nuclei_share", "Share of nuclei above 60 µm²."),
    _one("elongated_nuclei_share", "Share of nuclei with an eccentricity above 0.88."),
    _one(
        "hyperchromatic_nuclei_share",
        "Share of nuclei with more than 1.15 times the median haematoxylin of the tile's nuclei.",
    ),
    _one(
        "large_dark_nuclei_share",
        "Share of nuclei above 60 µm² and with more than the median haematoxylin.",
    ),
    _one(
        "lymphocyte_like_nuclei_share",
        "Share of nuclei of 10 to 45 µm², with an eccentricity under 0.75 and more than the median "
        "haematoxylin. Small, round and dark; not a cell type.",
    ),
    _one("lymphocyte_like_nuclei_per_mm2", "The same over the area of the tile."),
)
_ARRANGEMENT = (
    _lie("nearest_nucleus_mean_um", "Mean distance to the nearest other nucleus."),
    _lie("nearest_nucleus_sd_um", "Its standard deviation."),
    _lie(
        "nearest_nucleus_clark_evans_ratio",
        "Mean nearest distance over that of as many random points in the tissue's area: under "
        "1 clustered, above 1 regular. Without edge correction.",
        "Clark and Evans 1954",
    ),
    _lie("fifth_nucleus_mean_um", "Mean distance to the fifth nearest nucleus."),
    _lie(
        "fifth_nucleus_variation_ratio",
        "Standard deviation of that distance over its mean: uneven crowding.",
    ),
    _lie("neighbours_within_15um_mean", "Mean number of nuclei within 15 µm."),
    _lie("neighbours_within_30um_mean", "Mean number of nuclei within 30 µm."),
    _lie(
        "nucleus_direction_tile_index",
        "Length of the mean doubled direction of the nuclei, weighted with eccentricity: 1 "
        "where all lie in one direction.",
        "Mardia and Jupp 2000",
    ),
    _lie(
        "nucleus_direction_neighbours_index",
        "Mean cosine of twice the angle between a nucleus and its nearest 5, weighted with "
        "both eccentricities: 1 parallel, 0 none.",
    ),
    _lie(
        "nucleus_palisade_index",
        "Minus the mean cosine of twice the angle between a nucleus and the way to its nearest "
        "5, weighted with its eccentricity: 1 side by side, −1 end to end.",
    ),
    _lie(
        "nucleus_size_difference_neighbours_log_ratio",
        "Mean absolute logarithm of the ratio of areas of a nucleus and its nearest 5.",
    ),
    _lie(
        "nucleus_haematoxylin_difference_neighbours_log_ratio",
        "The same for haematoxylin.",
    ),
    _lie(
        "lymphocyte_like_within_30um_mean",
        "Mean number of lymphocyte-like nuclei within 30 µm of a lymphocyte-like nucleus.",
    ),
)

FEATURES: tuple[Feature, ...] = (*_DENSITY, *_SHAPE, *_KINDS, *_ARRANGEMENT)


def measure(maps: TileMaps, nuclei: Nuclei) -> NDArray[np.float64]:
    """Measure the nuclei of a tile.

    Parameters
    ----------
    maps : TileMaps
        Of the tile.
    nuclei : Nuclei
        Of the tile, with shapes.

    Returns
    -------
    ndarray of shape (len(FEATURES),)
        In the order of `FEATURES`; all 0 without a nucleus, and arrangement 0 with fewer than 6.

    Raises
    ------
    ValueError
        If the nuclei were not outlined.
    """
    if nuclei.shapes is None:
        raise ValueError("nuclei without shapes; expected those of metastra.cells.detect")
    found = np.zeros(len(FEATURES))
    n = len(nuclei)
    if n == 0:
        return found
    shapes = nuclei.shapes
    tile_mm2 = maps.area_mm2()
    tissue_mm2 = max(maps.n_tissue / maps.tissue.size * tile_mm2, 1e-9)
    columns = columns_of(
        shapes.area_um2,
        shapes.eccentricity,
        shapes.ellipse_fill,
        shapes.haematoxylin_od,
        shapes.haematoxylin_sd_od,
        shapes.contrast_od,
        maps.spread[0].strength_od,
    )
    like = np.empty(n, np.bool_)
    done = measure_nuclei(
        columns, np.sort(columns, axis=1), _LIMITS, (tile_mm2, tissue_mm2), like, found
    )
    if n > _NEIGHBOURS:
        points = nuclei.centroids_px0 * maps.mpp
        distances, neighbours, clear = nearest_of_each(points, _NEIGHBOURS)
        if not clear:
            # of several that are equally far the tree's choice counts, as it always did
            nearest = np.asarray(cKDTree(points).query(points, k=_NEIGHBOURS + 1)[1], np.int64)
            neighbours = nearest[:, 1:].copy()
        measure_arrangement(
            points,
            (distances, neighbours),
            (shapes.eccentricity, shapes.angle_rad, shapes.area_um2, shapes.haematoxylin_od),
            like,
            tissue_mm2,
            _REACHES_UM,
            found[done:],
        )
    return found
