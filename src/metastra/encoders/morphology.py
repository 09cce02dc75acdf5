"""The embedded encoder: named, interpretable features of a haematoxylin and eosin tile."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from metastra.cells.detect import detect_nuclei_in_haematoxylin
from metastra.cells.nuclei import Nuclei
from metastra.cells.scratch import Scratch
from metastra.encoders import (
    layout_features,
    nucleus_features,
    orientation_features,
    space_features,
    stain_features,
    texture_features,
)
from metastra.encoders.encoder import EncoderCard, require_tiles
from metastra.encoders.feature import Feature
from metastra.encoders.tile_maps import TileMaps, prepare
from metastra.executor import worker_number

__all__ = ["FEATURES", "Morphology"]

_REVISION = "2"

FEATURES: tuple[Feature, ...] = (
    *stain_features.FEATURES,
    *texture_features.FEATURES,
    *orientation_features.FEATURES,
    *nucleus_features.FEATURES,
    *space_features.FEATURES,
    *layout_features.FEATURES,
)
"""All features in the order of the columns."""


class Morphology:
    """Named features of tiles: no weights, no download, CPU.

    Parameters
    ----------
    mpp : float
        Micrometres per pixel of the tiles, 0.2 to 1.5.  Every scale is in micrometres, so the
        features mean the same at another mpp, but what a coarse tile does not show is lost.
    tile_px : int
        Side of the tiles in pixels, at least 32.

    Raises
    ------
    ValueError
        If mpp or tile_px is out of range.

    Notes
    -----
    Where a tile does not hold what a feature is about, for instance the mean size of nuclei in a
    tile without nuclei, the feature is 0; the feature that counts the things says so.

    Examples
    --------
    >>> encoder = Morphology()
    >>> encoder.encode(np.full((2, 224, 224, 3), 255, np.uint8)).shape == (2, len(FEATURES))
    True
    """

    def __init__(self, *, mpp: float = 0.5, tile_px: int = 224) -> None:
        if not 0.2 <= mpp <= 1.5:
            raise ValueError(f"morphology was asked for {mpp:g} µm per pixel; expected 0.2 to 1.5")
        if tile_px < 32:
            raise ValueError(f"morphology was asked for tiles of {tile_px} px; expected 32 or more")
        self._card = EncoderCard(
            name="morphology",
            source="metastra, embedded",
            revision=_REVISION,
            weights_sha256=None,
            licence="Apache-2.0",
            mpp=mpp,
            tile_px=tile_px,
            dimension=len(FEATURES),
            feature_names=tuple(feature.name for feature in FEATURES),
            engine="numba",
            precision="float32",
        )
        self._piles: list[Scratch] = []
        self._compiled = False

    @property
    def card(self) -> EncoderCard:
        """What this encoder is."""
        return self._card

    def encode(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Measure every tile.

        Parameters
        ----------
        tiles : ndarray of uint8, shape (b, tile_px, tile_px, 3)
            RGB, bright field, haematoxylin and eosin.

        Returns
        -------
        ndarray of float32, shape (b, dimension)
            In the order of ``card.feature_names``; finite on any tile.

        Raises
        ------
        ValueError
            If the tiles have another shape or dtype.
        """
        require_tiles(tiles, self._card)
        features = np.empty((len(tiles), len(FEATURES)), np.float32)
        # a pile of memory for each call that runs at the same time
        try:
            scratch = self._piles.pop()
        except IndexError:
            scratch = Scratch()
        if len(tiles) and not self._compiled:
            self._compile(tiles[0], scratch)
        for number, tile in enumerate(tiles):
            with scratch.frame():
                maps = prepare(np.ascontiguousarray(tile), self._card.mpp, scratch)
                features[number] = _measure(maps)
        self._piles.append(scratch)
        return features

    def _compile(self, tile: NDArray[np.uint8], scratch: Scratch) -> None:
        """Compile, or load, what measures a tile; the numbers are thrown away.

        After an installation that takes most of a minute, once.  Workers side by side begin at
        opposite ends, so that each finds in the cache what the other has compiled.
        """
        families = list(_FAMILIES)
        if worker_number() % 2:
            families.reverse()
        with scratch.frame():
            maps = prepare(np.ascontiguousarray(tile), self._card.mpp, scratch)
            for family in families:
                family(maps)
        self._compiled = True


def _nuclei(maps: TileMaps) -> Nuclei:
    return detect_nuclei_in_haematoxylin(maps.haematoxylin, maps.mpp, scratch=maps.scratch)


_FAMILIES: tuple[Callable[[TileMaps], object], ...] = (
    texture_features.measure,
    orientation_features.measure,
    stain_features.measure,
    _nuclei,
    lambda maps: nucleus_features.measure(maps, _nuclei(maps)),
    lambda maps: space_features.measure(maps, _nuclei(maps)),
    lambda maps: layout_features.measure(maps, _nuclei(maps)),
)
"""What is compiled apart, what takes longest first and last."""


def _measure(maps: TileMaps) -> NDArray[np.float64]:
    nuclei = _nuclei(maps)
    return np.concatenate(
        [
            stain_features.measure(maps),
            texture_features.measure(maps),
            orientation_features.measure(maps),
            nucleus_features.measure(maps, nuclei),
            space_features.measure(maps, nuclei),
            layout_features.measure(maps, nuclei),
        ]
    )
