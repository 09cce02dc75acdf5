"""Compiled measures of the stains of a tile, and maps of them over their strength."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.encoders.map_kernel import above, raise_and_negate, scale_and_cut
from metastra.encoders.mask_kernel import masked_correlation, masked_quantiles, moments

__all__ = ["measure_stains", "spread_and_scale"]

_Floats = NDArray[np.float32]
_Values = NDArray[np.float64]


@njit(cache=True)
def spread_and_scale(
    densities: _Floats,
    smooth: _Floats,
    limits: tuple[float, float, float],
    shares: _Values,
    strong: int,
    tissue: NDArray[np.bool_],
    scaled: _Floats,
) -> tuple[int, _Values]:
    """Mark the tissue, say how the stains are spread over it, and divide them by their strength.

    Parameters
    ----------
    densities : ndarray of float32, shape (4, h, w)
        Haematoxylin, eosin, residual and darkness.
    smooth : ndarray of float32, shape (h, w)
        Smoothed darkness.
    limits : tuple of float
        Tissue is darker than the first; a strength is not below the second; a map over its
        strength is not above the third.
    shares : ndarray of float64, shape (k,)
        Quantiles that are taken, from 0 to 1.
    strong : int
        Column of the table that is the strength.
    tissue : ndarray of bool, shape (h, w)
        Written.
    scaled : ndarray of float32, shape (3, h, w)
        Written: darkness over its strength, not below that of the palest tissue, with the sign
        turned; haematoxylin and eosin over theirs.

    Returns
    -------
    n_tissue : int
        Pixels of tissue.
    table : ndarray of float64, shape (3, 3 + k)
        Mean, standard deviation, skewness and quantiles of haematoxylin, eosin and darkness.
    """
    n = above(smooth, limits[0], tissue)
    table = np.empty((3, 3 + shares.size))
    for k in range(3):
        image, row = densities[k if k < 2 else 3], table[k]
        row[0], row[1], row[2] = moments(image, tissue)
        row[3:] = masked_quantiles(image, tissue, shares)
        strength = max(row[strong], limits[1])
        target = scaled[(k + 1) % 3]
        scale_and_cut(image, 1.0 / strength, limits[2], target)
        if k == 2:
            raise_and_negate(target, limits[0] / strength, target)
    return n, table


@njit(cache=True)
def measure_stains(
    densities: _Floats,
    tissue: NDArray[np.bool_],
    n_tissue: int,
    table: _Values,
    columns: tuple[int, int, int],
    floor_od: float,
) -> _Values:
    """Measure the stains over the tissue.

    Parameters
    ----------
    densities, tissue, n_tissue, table
        From `spread_and_scale`; at least one pixel of tissue.
    columns : tuple of int
        Columns of the table with the 10th, 50th and 90th percentile; the one before the last is
        left out.
    floor_od : float
        What is added before a logarithm.

    Returns
    -------
    ndarray of float64
        In the order of `metastra.encoders.stain_features.FEATURES`.
    """
    k = table.shape[1] + 1
    found = np.empty(5 + 2 * k)
    found[0] = n_tissue / tissue.size
    low, middle, high = columns
    for stain in range(2):
        marks, row = table[stain], found[1 + stain * k :]
        row[0], row[1] = marks[0], marks[1]
        for at in range(3, k - 3):
            row[at - 1] = marks[at]
        row[k - 4], row[k - 3] = marks[k - 2], marks[2]
        row[k - 2] = math.log((marks[high] + floor_od) / (marks[middle] + floor_od))
        row[k - 1] = math.log((marks[middle] + floor_od) / (marks[low] + floor_od))
    row = found[1 + 2 * k :]
    row[0] = math.log((table[0, 0] + floor_od) / (table[1, 0] + floor_od))
    row[1] = masked_correlation(densities[0], densities[1], tissue, n_tissue)
    row[2], row[3], _ = moments(densities[2], tissue)
    return found
