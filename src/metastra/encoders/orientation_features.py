"""Whether fibres, cells and layers run in one direction."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.cells.blur_kernel import blur, halve
from metastra.encoders.feature import Feature
from metastra.encoders.tile_maps import TileMaps

__all__ = ["FEATURES", "measure"]

_GROUP = "Orientation"
_SOURCE = "Bigun and Granlund 1987"
_WINDOWS_UM = (5.0, 15.0)
_STAINS = ("haematoxylin", "eosin")
_BINS = 18


def _declare() -> tuple[Feature, ...]:
    found = []
    for stain in _STAINS:
        for window in _WINDOWS_UM:
            found += [
                _one(
                    f"{stain}_coherence_{window:g}um_mean_index",
                    f"Coherence of the structure tensor of {stain} in Gaussian windows of "
                    f"{window:g} µm, weighted with its energy: 0 no direction, 1 a single one.",
                ),
                _one(
                    f"{stain}_coherence_{window:g}um_sd_index",
                    f"Weighted standard deviation of that coherence over the tile ({window:g} µm).",
                ),
            ]
        found += [
            _one(
                f"{stain}_coherence_tile_index",
                f"Coherence of the structure tensor of {stain} summed over the whole tile.",
            ),
            _one(
                f"{stain}_direction_entropy_index",
                f"Entropy of the gradient directions of {stain}, weighted with their energy, in 18 "
                "bins over half a turn, divided by that of equal bins: 1 where all are alike.",
            ),
            _one(
                f"{stain}_edge_strength_ratio",
                f"Root mean square gradient of {stain} over its strength, per µm, after smoothing "
                "over 1 µm.",
            ),
        ]
    return tuple(found)


def _one(name: str, definition: str) -> Feature:
    return Feature(name=name, group=_GROUP, definition=definition, source=_SOURCE)


FEATURES = _declare()


def measure(maps: TileMaps) -> NDArray[np.float64]:
    """Measure directions in a tile.

    Parameters
    ----------
    maps : TileMaps
        Of the tile.

    Returns
    -------
    ndarray of shape (len(FEATURES),)
        In the order of `FEATURES`; all 0 in a flat tile.
    """
    found: list[float] = []
    for number in range(len(_STAINS)):
        tensor, bins = _tensor(blur(maps.relative[number], maps.sigma_px(1.0)), _BINS)
        coarse, mpp = [halve(part) for part in tensor], 2.0 * maps.mpp
        for window_um in _WINDOWS_UM:
            found += _coherence(*(blur(part, window_um / mpp) for part in coarse))
        xx, yy, xy = (float(part.mean(dtype=np.float64)) for part in tensor)
        energy = xx + yy
        if energy < 1e-9:
            found += [0.0, 0.0, 0.0]
            continue
        shares = bins / bins.sum()
        shares = shares[shares > 0]
        entropy = -float(np.sum(shares * np.log(shares))) / float(np.log(_BINS))
        found += [
            float(np.hypot(xx - yy, 2.0 * xy)) / energy,
            entropy,
            energy**0.5 / maps.mpp,
        ]
    return np.array(found)


@njit(cache=True)
def _tensor(
    image: NDArray[np.float32], n_bins: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Squares and product of the central differences, and their directions; 0 at the border."""
    rows, columns = image.shape
    tensor = np.zeros((3, rows, columns), np.float32)
    bins = np.zeros(n_bins)
    half = np.float32(0.5)
    for y in range(1, rows - 1):
        for x in range(1, columns - 1):
            gx = half * (image[y, x + 1] - image[y, x - 1])
            gy = half * (image[y + 1, x] - image[y - 1, x])
            tensor[0, y, x] = gx * gx
            tensor[1, y, x] = gy * gy
            tensor[2, y, x] = gx * gy
    # every second pixel is enough for the directions, which cost most
    for y in range(1, rows - 1, 2):
        for x in range(1, columns - 1, 2):
            gx = half * (image[y, x + 1] - image[y, x - 1])
            gy = half * (image[y + 1, x] - image[y - 1, x])
            turn = np.arctan2(gy, gx) / np.pi
            bins[int((turn + 1.0) * n_bins) % n_bins] += gx * gx + gy * gy
    return tensor, bins


@njit(cache=True)
def _coherence(
    xx: NDArray[np.float32], yy: NDArray[np.float32], xy: NDArray[np.float32]
) -> tuple[float, float]:
    """Energy-weighted mean and standard deviation of the local coherence."""
    total, first, second = 0.0, 0.0, 0.0
    for y in range(xx.shape[0]):
        for x in range(xx.shape[1]):
            energy = xx[y, x] + yy[y, x]
            if energy < 1e-7:
                continue
            gap = xx[y, x] - yy[y, x]
            coherence = (gap * gap + 4.0 * xy[y, x] * xy[y, x]) ** 0.5 / energy
            total += energy
            first += energy * coherence
            second += energy * coherence * coherence
    if total == 0.0:
        return 0.0, 0.0
    mean = first / total
    return mean, max(second / total - mean * mean, 0.0) ** 0.5
