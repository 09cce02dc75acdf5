"""What a user knows about a feature file and the file does not say."""

from __future__ import annotations

import math
from dataclasses import dataclass

from metastra.errors import ConfigError

__all__ = ["Hints"]


@dataclass(frozen=True, kw_only=True)
class Hints:
    """Facts for files that leave them out; what a file says itself comes first.

    Parameters
    ----------
    mpp : tuple of float or None
        Micrometres per level-0 pixel along x and y.
    tile_side_um : float or None
        Side of a tile in micrometres.
    tile_side_px0 : float or None
        Side of a tile in level-0 pixels.
    encoder : str
        Name of the encoder.

    Raises
    ------
    ConfigError
        If a number is not positive.
    """

    mpp: tuple[float, float] | None = None
    tile_side_um: float | None = None
    tile_side_px0: float | None = None
    encoder: str = ""

    def __post_init__(self) -> None:
        for name, value in (
            ("microns per pixel", self.mpp),
            ("tile side in µm", self.tile_side_um),
            ("tile side in level-0 px", self.tile_side_px0),
        ):
            numbers = value if isinstance(value, tuple) else (value,)
            if any(item is not None and not (item > 0 and math.isfinite(item)) for item in numbers):
                raise ConfigError(f"the {name} given is {value}; expected above 0")
