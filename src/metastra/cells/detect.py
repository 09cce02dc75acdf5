"""Nuclei of a haematoxylin and eosin picture, without weights."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from metastra.cells.blur_kernel import ScaleSpace
from metastra.cells.nuclei import Nuclei, NucleusShapes
from metastra.cells.outline_kernel import find_outlines, shapes_of_sums, sums_by_label
from metastra.cells.scratch import Scratch
from metastra.cells.seed_kernel import local_maxima, raise_and_find_strength, strongest_scale
from metastra.tissue.deconvolution import stain_densities

__all__ = ["detect_nuclei", "detect_nuclei_in_haematoxylin"]

_WORK_MPP = 0.5
_RADII_UM = (2.6, 3.6, 5.0, 6.0)
_BLOBS_UM = tuple(radius_um / math.sqrt(2.0) for radius_um in _RADII_UM)
# larger scales weigh more, as the square root of the radius
_SCALE_WEIGHTS = np.sqrt(np.array(_RADII_UM) / _RADII_UM[0]).astype(np.float32)
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


def detect_nuclei_in_haematoxylin(
    haematoxylin: NDArray[np.float32], mpp: float, *, scratch: Scratch | None = None
) -> Nuclei:
    """Find and outline the nuclei of a haematoxylin map.

    Parameters
    ----------
    haematoxylin : ndarray of float32, shape (h, w)
        Optical density, not below 0.
    mpp : float
        Micrometres per pixel, 0.1 to 1.5.
    scratch : Scratch, optional
        Memory to work in, for whoever asks again and again.

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
    scratch = scratch or Scratch()
    with scratch.frame():
        whole = np.ascontiguousarray(haematoxylin, np.float32)[None]
        space, step = ScaleSpace(whole, scratch), 0
        while (
            mpp * 2 ** (step + 1) < _WORK_MPP * math.sqrt(2.0) and min(space.images.shape[1:]) >= 8
        ):
            space, step = space.halved, step + 1
        found = _find(space, mpp * 2**step, scratch)
    if not step:
        return found
    return found.placed(0.0, 0.0, scale=float(2**step))


def _find(space: ScaleSpace, mpp: float, scratch: Scratch) -> Nuclei:
    haematoxylin = space.images[0]
    shape = haematoxylin.shape
    smooth = space.make((2.0 / mpp, 8.0 / mpp, 0.8 / mpp, 20.0 / mpp))[0]
    raised = scratch.take((1, *shape))
    bits = raise_and_find_strength(
        haematoxylin, smooth[1], _GLASS_SHARE, smooth[0].view(np.uint32), raised[0]
    )
    strength = float(np.uint32(bits).view(np.float32))
    best, scale = scratch.take(shape), scratch.take(shape, np.int8)
    responses = ScaleSpace(raised, scratch).make((), tuple(um / mpp for um in _BLOBS_UM))[0]
    floor = max(_FLOOR_OD, _SHARE_OF_STRENGTH * strength)
    strongest_scale(responses, _SCALE_WEIGHTS, best, scale)
    tops = local_maxima(best, floor)
    order = np.argsort(-best.ravel()[tops], kind="stable")
    labels, both = scratch.take(shape, np.int32), scratch.take((2, *shape))
    least = max(_FLOOR_OD, _OUTLINE_SHARE * strength)
    n = find_outlines(
        (haematoxylin, smooth, best),
        scale,
        (tops, order),
        (_RADII_UM[0] / mpp, _RADII_UM[1] / mpp, _RADII_UM[2] / mpp, _RADII_UM[3] / mpp),
        (least, _APART),
        labels,
        both,
    )
    made = ScaleSpace(both, scratch).make((4.0 / mpp,))
    sums = sums_by_label(labels, haematoxylin, made[1, 0], made[0, 0], n)
    centroids, shapes = shapes_of_sums(sums, mpp, _SMALLEST_UM2)
    return Nuclei(
        centroids_px0=centroids,
        radius_um=shapes[0],
        class_names=(None,) * len(centroids),
        source=_SOURCE,
        shapes=NucleusShapes(
            area_um2=shapes[1],
            eccentricity=shapes[2],
            angle_rad=shapes[3],
            ellipse_fill=shapes[4],
            haematoxylin_od=shapes[5],
            haematoxylin_sd_od=shapes[6],
            contrast_od=shapes[7],
        ),
    )
