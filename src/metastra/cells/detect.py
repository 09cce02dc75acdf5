"""Nuclei of a haematoxylin and eosin picture, without weights."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from metastra.cells.blur_kernel import blob_response, blur, halve
from metastra.cells.nuclei import Nuclei, NucleusShapes
from metastra.cells.outline_kernel import climb, sums_by_label
from metastra.cells.seed_kernel import keep_strongest, local_maxima, strongest_scale
from metastra.tissue.deconvolution import stain_densities

__all__ = ["detect_nuclei", "detect_nuclei_in_haematoxylin"]

_WORK_MPP = 0.5
_RADII_UM = (2.6, 3.6, 5.0, 6.0)
_SCALE_POWER = 0.5
_APART = 0.6
_SHARE_OF_STRENGTH = 0.2
_FLOOR_OD = 0.03
_OUTLINE_SHARE = 0.1
_GLASS_SHARE = 0.3
_SMALLEST_UM2 = 5.0
_SOURCE = "metastra.cells.detect 1"


def detect_nuclei(rgb: NDArray[np.uint8], mpp: float) -> Nuclei:
    """Find and outline the nuclei of a picture.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (h, w, 3)
        Bright field, haematoxylin and eosin.
    mpp : float
        Micrometres per pixel, 0.1 to 1.5.

    Returns
    -------
    Nuclei
        In order from top to bottom; centroids in pixels of the picture.

    Raises
    ------
    ValueError
        If the picture is not uint8 (h, w, 3) or mpp is out of range.

    Notes
    -----
    See `detect_nuclei_in_haematoxylin`.  No type is given to a nucleus.

    Examples
    --------
    >>> picture = np.full((60, 60, 3), (235, 180, 210), np.uint8)
    >>> y, x = np.mgrid[:60, :60]
    >>> picture[(x - 20) ** 2 + (y - 30) ** 2 <= 7**2] = (90, 60, 140)
    >>> detect_nuclei(picture, 0.5).centroids_px0.round().tolist()
    [[20.0, 30.0]]
    """
    haematoxylin = np.ascontiguousarray(stain_densities(rgb)[0])
    np.maximum(haematoxylin, 0.0, out=haematoxylin)
    return detect_nuclei_in_haematoxylin(haematoxylin, mpp)


def detect_nuclei_in_haematoxylin(haematoxylin: NDArray[np.float32], mpp: float) -> Nuclei:
    """Find and outline the nuclei of a haematoxylin map.

    Parameters
    ----------
    haematoxylin : ndarray of float32, shape (h, w)
        Optical density, not below 0.
    mpp : float
        Micrometres per pixel, 0.1 to 1.5.

    Returns
    -------
    Nuclei
        In order from top to bottom; centroids in pixels of the map.

    Raises
    ------
    ValueError
        If mpp is out of range.

    Notes
    -----
    1. The map is halved until a pixel is about 0.5 µm, and raised to 0.3 of its own mean nearby
       (Gaussian of 8 µm), so that the edge of a lumen answers less.
    2. Its scale-normalised Laplacian of Gaussian (Lindeberg 1998) is taken for discs of radius 2.6,
       3.6, 5 and 6 µm; larger scales weigh more, as the square root of the radius, so that a pale
       nucleus with dark clumps is one nucleus.
    3. Maxima over place and scale above a fifth of the picture's own haematoxylin (95th percentile
       of every second pixel after smoothing by 2 µm; at least 0.03) are candidates; of two that
       are nearer than 0.6 of the larger radius the stronger one stays.
    4. Pixels darker than their surroundings (Gaussian of 20 µm) belong to the nucleus whose top
       they climb to.  Outlines under 5 µm² are dropped.
    """
    if not 0.1 <= mpp <= 1.5:
        raise ValueError(f"nuclei were asked for at {mpp:g} µm per pixel; expected 0.1 to 1.5")
    step = 0
    while mpp * 2 ** (step + 1) < _WORK_MPP * math.sqrt(2.0) and min(haematoxylin.shape) >= 8:
        haematoxylin = halve(haematoxylin)
        step += 1
    work_mpp = mpp * 2**step
    found = _find(haematoxylin, work_mpp)
    if not step:
        return found
    return found.placed(0.0, 0.0, scale=float(2**step))


def _find(haematoxylin: NDArray[np.float32], mpp: float) -> Nuclei:
    strength = _quantile(blur(haematoxylin, 2.0 / mpp)[::2, ::2], 0.95)
    glass = np.float32(_GLASS_SHARE) * blur(haematoxylin, 8.0 / mpp)
    best, scale = _respond(np.maximum(haematoxylin, glass), mpp)
    floor = max(_FLOOR_OD, _SHARE_OF_STRENGTH * strength)
    tops = local_maxima(best, floor)
    width = best.shape[1]
    x, y = (tops % width).astype(np.float64), (tops // width).astype(np.float64)
    radius = np.array(_RADII_UM)[scale.ravel()[tops]] / mpp
    order = np.argsort(-best.ravel()[tops], kind="stable")
    owner = keep_strongest(x, y, radius, order, _APART)
    kept = np.flatnonzero(owner == np.arange(owner.size))
    number = np.zeros(owner.size, np.int32)
    number[kept] = np.arange(1, kept.size + 1)
    seeds = np.zeros(best.shape, np.int32)
    seeds.ravel()[tops] = number[owner]
    dark = blur(haematoxylin, 0.8 / mpp) - blur(haematoxylin, 20.0 / mpp)
    mask = dark > max(_FLOOR_OD, _OUTLINE_SHARE * strength)
    labels = climb(best, mask, seeds)
    return _measure(haematoxylin, labels, int(kept.size), mpp)


def _respond(
    haematoxylin: NDArray[np.float32], mpp: float
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    best = np.full(haematoxylin.shape, -np.inf, np.float32)
    scale = np.zeros(haematoxylin.shape, np.int8)
    for number, radius_um in enumerate(_RADII_UM):
        response = blob_response(haematoxylin, radius_um / math.sqrt(2.0) / mpp)
        weight = (radius_um / _RADII_UM[0]) ** _SCALE_POWER
        strongest_scale(best, scale, response, weight, number)
    return best, scale


def _quantile(values: NDArray[np.float32], share: float) -> float:
    flat = values.ravel()
    place = int(share * (flat.size - 1))
    return float(np.partition(flat, place)[place])


def _measure(
    haematoxylin: NDArray[np.float32], labels: NDArray[np.int32], n: int, mpp: float
) -> Nuclei:
    outside = (labels == 0).astype(np.float32)
    weight = blur(outside, 4.0 / mpp)
    around = blur(haematoxylin * outside, 4.0 / mpp)
    around /= np.maximum(weight, 1e-3)
    sums = sums_by_label(labels, haematoxylin, around, n)
    sums = sums[sums[:, 0] * mpp**2 >= _SMALLEST_UM2]
    count, sum_x, sum_y, sum_xx, sum_yy, sum_xy, sum_h, sum_hh, sum_around = sums.T
    x, y = sum_x / count, sum_y / count
    # a pixel is a square, which adds 1/12 to its second moments
    var_x = sum_xx / count - x * x + 1.0 / 12.0
    var_y = sum_yy / count - y * y + 1.0 / 12.0
    cov = sum_xy / count - x * y
    half, gap = (var_x + var_y) / 2.0, np.hypot((var_x - var_y) / 2.0, cov)
    long, short = half + gap, np.maximum(half - gap, 1e-9)
    mean = sum_h / count
    shapes = NucleusShapes(
        area_um2=count * mpp**2,
        eccentricity=np.sqrt(np.clip(1.0 - short / long, 0.0, 1.0)),
        angle_rad=0.5 * np.arctan2(2.0 * cov, var_x - var_y),
        ellipse_fill=count / (4.0 * math.pi * np.sqrt(long * short)),
        haematoxylin_od=mean,
        haematoxylin_sd_od=np.sqrt(np.maximum(sum_hh / count - mean**2, 0.0)),
        contrast_od=mean - sum_around / count,
    )
    return Nuclei(
        centroids_px0=np.column_stack([x, y]),
        radius_um=np.sqrt(shapes.area_um2 / math.pi),
        class_names=(None,) * len(count),
        source=_SOURCE,
        shapes=shapes,
    )
