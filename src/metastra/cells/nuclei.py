"""Nuclei of a picture or a slide, wherever they come from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["Nuclei", "NucleusShapes"]


@dataclass(frozen=True, kw_only=True)
class NucleusShapes:
    """What is measured inside the outline of each nucleus.

    Parameters
    ----------
    area_um2 : ndarray of float64, shape (n,)
        Area of the outline.
    eccentricity : ndarray of float64, shape (n,)
        Of the ellipse with the same second moments: 0 for a circle, towards 1 for a line.
    angle_rad : ndarray of float64, shape (n,)
        Direction of its long axis, −π/2 to π/2, against the x axis, y downwards.
    ellipse_fill : ndarray of float64, shape (n,)
        Area over the area of that ellipse: 1 for an ellipse, less for an irregular outline.
    haematoxylin_od : ndarray of float64, shape (n,)
        Mean haematoxylin inside.
    haematoxylin_sd_od : ndarray of float64, shape (n,)
        Its standard deviation inside: coarse chromatin is high.
    contrast_od : ndarray of float64, shape (n,)
        Mean haematoxylin inside minus that of what is no nucleus around it.
    """

    area_um2: NDArray[np.float64]
    eccentricity: NDArray[np.float64]
    angle_rad: NDArray[np.float64]
    ellipse_fill: NDArray[np.float64]
    haematoxylin_od: NDArray[np.float64]
    haematoxylin_sd_od: NDArray[np.float64]
    contrast_od: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Nuclei:
    """Positions of nuclei, with a class name where somebody gave one.

    Parameters
    ----------
    centroids_px0 : ndarray of float64, shape (n, 2)
        x and y in level-0 pixels, the centre of the first pixel being 0; for a picture of its own,
        pixels of the picture.
    radius_um : ndarray of float64, shape (n,)
        Radius of the circle with the nucleus's area; NaN where it is not known.
    class_names : tuple of (str or None), length n
        As the software that gave them spells them; None where there is none.
    source : str
        What found them.
    shapes : NucleusShapes, optional
        Only for nuclei that were outlined here.

    Raises
    ------
    ValueError
        If the lengths differ or a centroid is not finite.

    Examples
    --------
    >>> found = Nuclei(
    ...     centroids_px0=np.array([[10.0, 20.0]]),
    ...     radius_um=np.array([3.0]),
    ...     class_names=(None,),
    ...     source="example",
    ... )
    >>> len(found), found.placed(100, 200, scale=2.0).centroids_px0.tolist()
    (1, [[120.5, 240.5]])
    """

    centroids_px0: NDArray[np.float64]
    radius_um: NDArray[np.float64]
    class_names: tuple[str | None, ...]
    source: str
    shapes: NucleusShapes | None = None

    def __post_init__(self) -> None:
        n = len(self.class_names)
        if self.centroids_px0.shape != (n, 2) or self.radius_um.shape != (n,):
            raise ValueError(
                f"{n} class names, centroids of shape {self.centroids_px0.shape} and radii of "
                f"shape {self.radius_um.shape}; expected one of each per nucleus"
            )
        if not np.isfinite(self.centroids_px0).all():
            raise ValueError("a centroid is not finite")

    def __len__(self) -> int:
        return len(self.class_names)

    def placed(self, x_px0: float, y_px0: float, *, scale: float = 1.0) -> Nuclei:
        """Move nuclei of a picture to where the picture lies on the slide.

        Parameters
        ----------
        x_px0, y_px0 : float
            Top left corner of the picture in level-0 pixels.
        scale : float
            Level-0 pixels per pixel of the picture.

        Returns
        -------
        Nuclei
            The same nuclei in level-0 pixels of the slide.
        """
        corner = np.array([x_px0, y_px0], np.float64)
        centroids = (self.centroids_px0 + 0.5) * scale - 0.5 + corner
        return replace(self, centroids_px0=centroids)
