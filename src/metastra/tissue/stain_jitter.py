"""The same tissue as another laboratory would have stained it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metastra.tissue.deconvolution import EOSIN, HAEMATOXYLIN

__all__ = ["jitter_stains"]


def jitter_stains(
    tiles: NDArray[np.uint8], rng: np.random.Generator, *, strength: float = 1.0
) -> NDArray[np.uint8]:
    """Draw another staining for each tile.

    Parameters
    ----------
    tiles : ndarray of uint8, shape (b, h, w, 3)
        Haematoxylin and eosin, RGB.
    rng : numpy.random.Generator
        Source of the draws; the same state gives the same stainings.
    strength : float
        Factor on every spread below; 0 gives the tiles back, up to rounding.

    Returns
    -------
    ndarray of uint8, shape (b, h, w, 3)
        One new staining per tile.

    Raises
    ------
    ValueError
        If the tiles are not uint8 (b, h, w, 3) or the strength is below 0.

    Notes
    -----
    Stain amounts are separated, changed and put together again (Tellez et al. 2019, Med Image Anal
    58:101544, there in another colour space).  Per tile: amounts of haematoxylin and eosin are
    multiplied by exp(N(0, 0.2)) and moved by N(0, 0.015) optical density, the residual is
    multiplied by exp(N(0, 0.1)), and each component of the two stain vectors moves by N(0, 0.05).

    Examples
    --------
    >>> tiles = np.full((1, 2, 2, 3), (200, 120, 170), np.uint8)
    >>> jitter_stains(tiles, np.random.default_rng(0), strength=0.0)[0, 0, 0].tolist()
    [200, 120, 170]
    """
    if tiles.dtype != np.uint8 or tiles.ndim != 4 or tiles.shape[3] != 3:
        raise ValueError(f"tiles are {tiles.dtype} {tiles.shape}; expected uint8 (b, h, w, 3)")
    if not strength >= 0.0:
        raise ValueError(f"the strength of a jitter is {strength}; expected 0 or more")
    vectors = np.array([HAEMATOXYLIN, EOSIN])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    third = np.cross(vectors[0], vectors[1])
    third /= np.linalg.norm(third)
    unmixing = np.linalg.inv(np.vstack([vectors, third]))
    jittered = np.empty_like(tiles)
    for number, tile in enumerate(tiles):
        gains = np.exp(rng.normal(0.0, strength * np.array([0.2, 0.2, 0.1])))
        offsets = np.append(rng.normal(0.0, 0.015 * strength, 2), 0.0)
        moved = vectors + rng.normal(0.0, 0.05 * strength, (2, 3))
        moved /= np.linalg.norm(moved, axis=1, keepdims=True)
        amounts = -np.log10(np.maximum(tile, 1) / 255.0) @ unmixing
        density = (amounts * gains + offsets) @ np.vstack([moved, third])
        jittered[number] = np.clip(np.rint(255.0 * 10.0**-density), 0, 255)
    return jittered
