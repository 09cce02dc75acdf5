"""A picture turned into absorbance once, at the scale at which tissue is judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from metastra.tissue.colour import chroma, glass_level, optical_density

__all__ = ["Light", "window_px"]

_WINDOW_UM = 12.0
_WINDOW_PX = 5


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
    """

    rgb: NDArray[np.uint8]
    mpp: float | None
    glass: tuple[float, float, float]
    density: NDArray[np.float32]
    chroma: NDArray[np.float32]
    mean: NDArray[np.float32]

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
            mean=smooth.mean(axis=2),
        )

    def area_px(self, um2: float, share: float) -> int:
        """Say how many pixels an area is.

        Parameters
        ----------
        um2 : float
            The area in µm².
        share : float
            Of the picture: the most that is asked for where the scale is known, and what is taken
            where it is not known.

        Returns
        -------
        int
            At least 4 pixels.
        """
        most = share * self.mean.size
        pixels = most if self.mpp is None else min(um2 / self.mpp**2, most)
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
