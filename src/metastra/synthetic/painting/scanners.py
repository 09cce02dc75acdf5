"""Scanners: what turns stain into colour, and how finely."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from metastra.errors import ConfigError

__all__ = ["SCANNERS", "Scanner", "get_scanner"]

_FINEST_UM, _COARSEST_UM = 0.1, 4.0


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """One scanner together with the stain of the laboratory beside it.

    Parameters
    ----------
    name : str
        As slide tables name it.
    mpp : float
        Micrometres per pixel of level 0, the same in x and y.
    haematoxylin, eosin : tuple of float
        Direction of each stain in optical density (natural logarithm) of R, G and B; scaled to
        length 1.
    white : tuple of float
        R, G and B of clear glass, 0 to 255.
    blur_um : float
        Standard deviation of the point spread function, µm at the slide.
    noise : float
        Standard deviation of the sensor's noise, grey levels.
    jpeg_quality : int
        Of the tiles, 1 to 100.
    subsampling : {"444", "420"}
        Of the tiles' colour.

    Raises
    ------
    ConfigError
        If a value is out of range.

    Examples
    --------
    >>> SCANNERS["Pelican 2"].mpp
    0.5
    """

    name: str
    mpp: float
    haematoxylin: tuple[float, float, float]
    eosin: tuple[float, float, float]
    white: tuple[float, float, float]
    blur_um: float
    noise: float
    jpeg_quality: int
    subsampling: str = "420"

    def __post_init__(self) -> None:
        wrong = []
        if not _FINEST_UM <= self.mpp <= _COARSEST_UM:
            wrong.append(f"mpp {self.mpp} is not within {_FINEST_UM} to {_COARSEST_UM}")
        if min(*self.haematoxylin, *self.eosin) < 0 or not np.linalg.det(self._third()) > 0.05:
            wrong.append("the stains must absorb, and in different colours")
        if not all(128 <= value <= 255 for value in self.white):
            wrong.append(f"white {self.white} is not within 128 to 255")
        if not 0 <= self.blur_um <= 4 * self.mpp:
            wrong.append(f"blur_um {self.blur_um} is not within 0 to 4 pixels")
        if not 0 <= self.noise <= 20:
            wrong.append(f"noise {self.noise} is not within 0 to 20")
        if not 1 <= self.jpeg_quality <= 100 or self.subsampling not in ("444", "420"):
            wrong.append("jpeg_quality is 1 to 100 and subsampling is 444 or 420")
        if wrong:
            raise ConfigError(f"scanner {self.name!r}: " + "; ".join(wrong))

    @property
    def stain_matrix(self) -> NDArray[np.float64]:
        """Unit vectors of haematoxylin and eosin in optical density, shape (2, 3)."""
        rows = np.array([self.haematoxylin, self.eosin], dtype=np.float64)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float64)

    def _third(self) -> NDArray[np.float64]:
        """Both stains and the direction across them; its determinant is the sine between them."""
        first, second = self.stain_matrix
        across = np.cross(first, second)
        length = float(np.linalg.norm(across))
        return np.stack([first, second, across / length if length else across])


SCANNERS: dict[str, Scanner] = {
    scanner.name: scanner
    for scanner in (
        Scanner(
            name="Aurora S60",
            mpp=0.25,
            haematoxylin=(0.65, 0.70, 0.29),
            eosin=(0.13, 0.93, 0.34),
            white=(244.0, 243.0, 245.0),
            blur_um=0.28,
            noise=1.2,
            jpeg_quality=85,
        ),
        Scanner(
            name="Falter 3D",
            mpp=0.2428,
            haematoxylin=(0.74, 0.62, 0.26),
            eosin=(0.09, 0.90, 0.43),
            white=(236.0, 239.0, 242.0),
            blur_um=0.40,
            noise=2.0,
            jpeg_quality=80,
        ),
        Scanner(
            name="Pelican 2",
            mpp=0.5,
            haematoxylin=(0.60, 0.71, 0.37),
            eosin=(0.13, 0.88, 0.46),
            white=(241.0, 241.0, 240.0),
            blur_um=0.45,
            noise=1.0,
            jpeg_quality=75,
        ),
        Scanner(
            name="Orbit 450",
            mpp=0.465,
            haematoxylin=(0.69, 0.66, 0.30),
            eosin=(0.24, 0.89, 0.39),
            white=(250.0, 250.0, 251.0),
            blur_um=0.33,
            noise=1.5,
            jpeg_quality=90,
            subsampling="444",
        ),
        Scanner(
            name="Nova X",
            mpp=0.25,
            haematoxylin=(0.60, 0.72, 0.34),
            eosin=(0.30, 0.86, 0.42),
            white=(238.0, 235.0, 230.0),
            blur_um=0.35,
            noise=1.5,
            jpeg_quality=82,
        ),
        Scanner(
            name="Vega 1",
            mpp=0.25,
            haematoxylin=(0.78, 0.58, 0.22),
            eosin=(0.05, 0.95, 0.30),
            white=(248.0, 249.0, 252.0),
            blur_um=0.25,
            noise=0.8,
            jpeg_quality=90,
        ),
    )
}
"""The scanners of the synthetic study's centres and of its leak, by name."""


def get_scanner(name: str) -> Scanner:
    """Look a scanner up.

    Parameters
    ----------
    name : str
        As slide tables name it.

    Returns
    -------
    Scanner
        From `SCANNERS`.

    Raises
    ------
    ConfigError
        If there is none of this name, with the nearest.
    """
    if name not in SCANNERS:
        near = get_close_matches(name, list(SCANNERS), n=1) or list(SCANNERS)
        raise ConfigError(f"no scanner {name!r}; expected {' or '.join(map(repr, near))}")
    return SCANNERS[name]
