"""Stain densities of a haematoxylin and eosin picture by colour deconvolution."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["EOSIN", "HAEMATOXYLIN", "stain_densities"]

HAEMATOXYLIN: tuple[float, float, float] = (0.5626, 0.7201, 0.4062)
"""Optical density of haematoxylin in red, green and blue: the reference vector that Macenko-type
normalisers use by default (Veta, staining-normalization, ``HERef``)."""
EOSIN: tuple[float, float, float] = (0.2159, 0.8012, 0.5581)
"""Optical density of eosin in red, green and blue (same reference)."""


def stain_densities(
    rgb: NDArray[np.uint8],
    *,
    haematoxylin: tuple[float, float, float] = HAEMATOXYLIN,
    eosin: tuple[float, float, float] = EOSIN,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Separate a picture into haematoxylin, eosin and what neither explains.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (h, w, 3)
        Bright field; 255 is glass.
    haematoxylin, eosin : tuple of float
        Optical density of each stain in red, green and blue, of any length.
    out : ndarray of float32, shape (3, h, w), optional
        Where to write; new memory where it is not given.

    Returns
    -------
    ndarray of float32, shape (3, h, w)
        Amounts as optical density (base 10) along the unit vector of each stain: haematoxylin,
        eosin, residual.  Not clipped: a colour outside the two stains gives negative amounts.

    Raises
    ------
    ValueError
        If the picture is not of shape (h, w, 3) and uint8, or if the two stains are one colour.

    Notes
    -----
    Beer and Lambert: optical density −log₁₀(I / 255) is a sum of stain amounts times stain vectors
    (Ruifrok and Johnston 2001, Anal Quant Cytol Histol 23:291).  The third vector is the cross
    product of the two, so the residual is orthogonal to both.  An intensity of 0 counts as 0.5.

    Examples
    --------
    >>> glass = np.full((1, 1, 3), 255, np.uint8)
    >>> stain_densities(glass).ravel().tolist()
    [0.0, 0.0, 0.0]
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"a picture is {rgb.dtype} {rgb.shape}; expected uint8 (h, w, 3)")
    inverse = _unmixing(haematoxylin, eosin)
    if out is None:
        out = np.empty((3, *rgb.shape[:2]), np.float32)
    _unmix(np.ascontiguousarray(rgb), _DENSITY, inverse, out)
    return out


@lru_cache(maxsize=16)
def _unmixing(
    haematoxylin: tuple[float, float, float], eosin: tuple[float, float, float]
) -> NDArray[np.float32]:
    rows = np.array([haematoxylin, eosin], dtype=np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    third = np.cross(rows[0], rows[1])
    length = float(np.linalg.norm(third))
    if not length > 0.05:
        raise ValueError("haematoxylin and eosin are nearly one colour; they cannot be separated")
    matrix = np.vstack([rows, third / length])
    inverse: NDArray[np.float32] = np.linalg.inv(matrix).astype(np.float32)
    inverse.flags.writeable = False
    return inverse


_DENSITY: NDArray[np.float32] = -np.log10(np.maximum(np.arange(256), 0.5) / 255.0).astype(
    np.float32
)
_DENSITY[255] = 0.0


@njit(cache=True)
def _unmix(
    rgb: NDArray[np.uint8],
    density: NDArray[np.float32],
    inverse: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    width = rgb.shape[1]
    red, green, blue = np.empty((3, width), np.float32)
    for y in range(rgb.shape[0]):
        line = rgb[y]
        for x in range(width):
            red[x] = density[line[x, 0]]
            green[x] = density[line[x, 1]]
            blue[x] = density[line[x, 2]]
        for k in range(3):
            row, (of_red, of_green, of_blue) = out[k, y], inverse[:, k]
            for x in range(width):
                row[x] = red[x] * of_red + green[x] * of_green + blue[x] * of_blue
