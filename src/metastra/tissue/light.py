"""A picture turned into absorbance once, at the scale at which tissue is judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from metastra.tissue.colour import chroma, extremes, glass_level, optical_density

__all__ = ["Light", "opened", "window_px"]

_WINDOW_UM = 12.0
_WINDOW_PX = 5
_MOST_SHARE = 0.01
_DARK_GREY, _FLAT = 30, 3
_FILL_PX = 9


@dataclass(frozen=True, kw_only=True)
class Light:
    """What a picture absorbs, smoothed over about two nuclei.

    Parameters
    ----------
    rgb : uint8 array of shape (h, w, 3)
        The picture.
    mpp : float or None
        Micrometres per pixel of the picture; None where that is not known.
    glass : tuple of float
        Colour of bare glass.
    density : float32 array of shape (h, w, 3)
        Absorbance, averaged over a square of 12 µm and at least 3 px (5 px where the scale is not
        known), so that the same tissue gives the same answer at any scale.
    chroma, mean : float32 arrays of shape (h, w)
        Spread and mean of the three channels of `density`.
    dark : bool array of shape (h, w)
        True on black fill: every channel at most 30 of 255, neighbours differing by at most 3.
    """

    rgb: NDArray[np.uint8]
    mpp: float | None
    glass: tuple[float, float, float]
    density: NDArray[np.float32]
    chroma: NDArray[np.float32]
    mean: NDArray[np.float32]
    dark: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        rgb: NDArray[np.uint8],
        mpp: float | None = None,
        glass: tuple[float, float, float] | None = None,
    ) -> Light:
        """Turn a picture into absorbance.

        Parameters
        ----------
        rgb : uint8 array of shape (h, w, 3)
            Brightfield picture.
        mpp : float, optional
            Its micrometres per pixel.
        glass : tuple of float, optional
            Colour of bare glass, for a piece of a slide whose glass is known; else estimated.

        Returns
        -------
        Light
            Of the same height and width.

        Examples
        --------
        >>> light = Light.of(np.full((6, 6, 3), 240, np.uint8))
        >>> float(light.mean.max())
        0.0
        """
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
            raise ValueError(
                f"a picture is uint8 of shape (h, w, 3), not {rgb.dtype} of shape {rgb.shape}"
            )
        level = glass_level(rgb) if glass is None else glass
        side = window_px(mpp)
        smooth = ndimage.uniform_filter(optical_density(rgb, level), (side, side, 1))
        return cls(
            rgb=rgb,
            mpp=mpp,
            glass=level,
            density=smooth,
            chroma=chroma(smooth),
            mean=(smooth[..., 0] + smooth[..., 1] + smooth[..., 2]) / np.float32(3),
            dark=_dark(rgb),
        )

    def area_px(self, um2: float, share: float) -> int:
        """Say how many pixels an area is.

        Parameters
        ----------
        um2 : float
            The area in µm².
        share : float
            Of the picture: taken where the scale is not known.  Where it is known, a hundredth of
            the picture is the most that is asked for.

        Returns
        -------
        int
            At least 4 pixels.
        """
        if self.mpp is None:
            pixels = share * self.mean.size
        else:
            pixels = min(um2 / self.mpp**2, _MOST_SHARE * self.mean.size)
        return max(round(pixels), 4)

    def length_px(self, um: float, unknown_px: int) -> int:
        """Say how many pixels a length is.

        Parameters
        ----------
        um : float
            The length in µm.
        unknown_px : int
            Taken where the scale is not known.

        Returns
        -------
        int
            At least 1 pixel.
        """
        return max(unknown_px if self.mpp is None else round(um / self.mpp), 1)


def window_px(mpp: float | None) -> int:
    """Give the side of the square over which absorbance is averaged.

    Parameters
    ----------
    mpp : float or None
        Micrometres per pixel.

    Returns
    -------
    int
        Odd, at least 3.

    Examples
    --------
    >>> window_px(8.0), window_px(0.5), window_px(None)
    (3, 25, 5)
    """
    return _WINDOW_PX if mpp is None else max(3, 2 * round(_WINDOW_UM / mpp / 2) + 1)


def _dark(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    most = extremes(rgb)[1]
    dark: NDArray[np.bool_] = most <= _DARK_GREY
    if dark.any():
        high = ndimage.maximum_filter(most, 3, mode="nearest")
        low = ndimage.minimum_filter(most, 3, mode="nearest")
        dark &= high - low <= _FLAT
        dark = opened(dark, _FILL_PX)
    return dark


def opened(mask: NDArray[np.bool_], side_px: int) -> NDArray[np.bool_]:
    """Drop what a square does not fit into.

    Parameters
    ----------
    mask : bool array of shape (h, w)
        Any map.
    side_px : int
        Side of the square in pixels, odd.

    Returns
    -------
    bool array of shape (h, w)
        Opening by the square; what touches the edge of the map counts as going on outside.
    """
    if not mask.any():
        return mask
    values = mask.view(np.uint8)
    eroded = ndimage.minimum_filter(values, side_px, mode="nearest")
    return ndimage.maximum_filter(eroded, side_px, mode="nearest").astype(bool) & mask
