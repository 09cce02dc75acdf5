"""Focus: how much of the detail that tissue has is still in the picture.

The measure is the energy of detail of about 0.5 µm (between Gaussians of 0.25 and 0.75 µm) over
that of detail of about 2 µm (between 0.75 µm and a box average like a Gaussian of 3 µm), both of
absorbance, so staining and brightness cancel.  Out of focus, the finer band goes first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from metastra.tissue.colour import optical_density

__all__ = ["BLURRED_BELOW", "COARSEST_MPP", "FINE_MPP", "blur_um", "detail_ratio"]

FINE_MPP = 0.5
"""Micrometres per pixel at which focus is judged; finer slides are read at this scale."""
COARSEST_MPP = 0.8
"""Above this, the finer band is not in the pixels and focus cannot be judged."""
BLURRED_BELOW = 0.3
"""Detail ratio under which tissue counts as out of focus: a Gaussian of about 0.7 µm."""

_SCALES_UM = (0.25, 0.75, 3.0)
_LEAST_CONTRAST = 0.004
_LEAST_TISSUE = 0.1
_CURVE_RATIO = (0.137, 0.16, 0.184, 0.22, 0.281, 0.377, 0.64)
_CURVE_UM = (2.0, 1.5, 1.25, 1.0, 0.75, 0.5, 0.0)


def detail_ratio(
    rgb: NDArray[np.uint8],
    tissue: NDArray[np.bool_],
    *,
    mpp: float,
    glass: tuple[float, float, float],
    blocks: tuple[int, int] = (1, 1),
) -> NDArray[np.float64]:
    """Measure focus in the blocks of a field.

    Parameters
    ----------
    rgb : uint8 array of shape (h, w, 3)
        Field of a brightfield slide.
    tissue : bool array of shape (h, w)
        Where it is measured.
    mpp : float
        Micrometres per pixel, at most `COARSEST_MPP`.
    glass : tuple of float
        Colour of bare glass.
    blocks : tuple of int
        Rows and columns of equal blocks.

    Returns
    -------
    float array of shape `blocks`
        Ratio of standard deviations, without a unit: above 0.37 in focus, about 0.28 at a blur of
        0.75 µm, 0.22 at 1 µm and 0.14 at 2 µm; NaN where less than a tenth of the block is
        tissue or it has no structure to judge by.

    Raises
    ------
    ValueError
        If the pixels are too coarse or there are more blocks than pixels.

    Notes
    -----
    A picture of edges has a power spectrum falling with the square of frequency, whatever the
    edges; of such a picture each ratio belongs to one width of a Gaussian blur, which `blur_um`
    gives.  The finest detail is left out: there, noise and compression of the scanner look like it.
    """
    if mpp > COARSEST_MPP:
        raise ValueError(f"focus needs at most {COARSEST_MPP} µm per pixel, not {mpp}")
    height, width = tissue.shape
    if blocks[0] > height or blocks[1] > width:
        raise ValueError(f"{blocks} blocks in {height} × {width} px")
    red, green, blue = np.moveaxis(optical_density(rgb, glass), 2, 0)
    density = (red + green + blue) / np.float32(3)
    fine_um, middle_um, coarse_um = _SCALES_UM
    finest = ndimage.gaussian_filter(density, fine_um / mpp, truncate=3.0)
    middle = ndimage.gaussian_filter(density, middle_um / mpp, truncate=3.0)
    counts = _block_sums(tissue.astype(np.float64), blocks)
    fine = _block_power(finest - middle, tissue, counts)
    coarse = _block_power(middle - _smooth_twice(density, coarse_um / mpp), tissue, counts)
    share = counts / ((height / blocks[0]) * (width / blocks[1]))
    judged = (share >= _LEAST_TISSUE) & (coarse >= _LEAST_CONTRAST**2)
    ratio = np.full(blocks, np.nan)
    ratio[judged] = np.sqrt(fine[judged] / coarse[judged])
    return ratio


def blur_um(ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    """Say which Gaussian blur brings tissue in focus to a detail ratio.

    Parameters
    ----------
    ratio : float array
        From `detail_ratio`.

    Returns
    -------
    float array
        Standard deviation in µm, 0 to 2, on the median curve of five sets of real tiles that were
        blurred by known widths; NaN for NaN.

    Examples
    --------
    >>> blur_um(np.array([0.7, 0.22, 0.05])).tolist()
    [0.0, 1.0, 2.0]
    """
    width: NDArray[np.float64] = np.interp(ratio, _CURVE_RATIO, _CURVE_UM)
    return width


def _smooth_twice(density: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Smooth by two running means that together are as wide as a Gaussian."""
    side = max(3, 2 * round((np.sqrt(6.0 * sigma_px**2 + 1.0) - 1.0) / 2.0) + 1)
    once = ndimage.uniform_filter(density, side)
    twice: NDArray[np.float32] = ndimage.uniform_filter(once, side)
    return twice


def _block_power(
    band: NDArray[np.float32], tissue: NDArray[np.bool_], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean square of a band over the tissue of each block."""
    some = np.maximum(counts, 1.0)
    inside = band.astype(np.float64) * tissue
    mean = _block_sums(inside, counts.shape) / some
    power: NDArray[np.float64] = _block_sums(inside**2, counts.shape) / some - mean**2
    return np.maximum(power, 0.0)


def _block_sums(values: NDArray[np.float64], blocks: tuple[int, ...]) -> NDArray[np.float64]:
    rows = np.linspace(0, values.shape[0], blocks[0] + 1).astype(int)[:-1]
    columns = np.linspace(0, values.shape[1], blocks[1] + 1).astype(int)[:-1]
    sums: NDArray[np.float64] = np.add.reduceat(
        np.add.reduceat(values, rows, axis=0), columns, axis=1
    )
    return sums
