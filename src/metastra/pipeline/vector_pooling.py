"""Slides to rows, one after the other, all of one kind of features."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.encoders.slide_network import SlideNetwork
from metastra.errors import DataError, Where
from metastra.features.bag import Bag
from metastra.features.files import read_bag
from metastra.features.pooling import Prototypes, mean_vector, prototype_vector
from metastra.pipeline.vector_tables import VectorRow, VectorSource, column_names, network_names

__all__ = ["PooledSlides", "features_kind", "require_kind"]


@dataclass(kw_only=True, eq=False)
class PooledSlides:
    """The rows so far, of features of one kind.

    Parameters
    ----------
    prototypes : Prototypes or None
        About which tiles are pooled.
    network : SlideNetwork or None
        That pools them; without either a row is the mean.
    kind : dict
        What the features have to be; of the first slide where it is empty.
    tile_names : list of str
        Of a tile's features.
    rows : list of VectorRow
        One for each slide that has a tile.
    most_bytes : int
        Features of the largest slide that a network had in memory.
    """

    prototypes: Prototypes | None
    network: SlideNetwork | None
    kind: dict[str, Any]
    tile_names: list[str] = field(default_factory=list)
    rows: list[VectorRow] = field(default_factory=list)
    most_bytes: int = 0

    def take(self, source: VectorSource) -> bool:
        """Pool one slide.

        Parameters
        ----------
        source : VectorSource
            The slide.

        Returns
        -------
        bool
            Whether it has a tile.

        Raises
        ------
        DataError
            SL051 to SL061 if it cannot be used.
        """
        bag = read_bag(source.path)
        if not len(bag):
            return False
        vector = self._vector(source, bag)
        if not self.tile_names:
            numbered = [f"f{n:04d}" for n in range(1, bag.dimension + 1)]
            self.tile_names = list(bag.origin.feature_names) or numbered
        self.rows.append(VectorRow(source=source, n_tiles=len(bag), vector=vector))
        return True

    def names(self) -> list[str]:
        """Name the numbers of a row.

        Returns
        -------
        list of str
            In their order.
        """
        if self.network is not None:
            return network_names(self.network.card.dimension)
        return column_names(self.tile_names, len(self.prototypes or ()))

    def _vector(self, source: VectorSource, bag: Bag) -> NDArray[np.float64]:
        kind = self.kind or features_kind(bag)
        require_kind(source, bag, kind)
        if self.network is not None:
            vector = self.network.vector(bag)
            self.most_bytes = max(self.most_bytes, 4 * len(bag) * bag.dimension)
        elif self.prototypes is not None:
            vector = prototype_vector(bag, self.prototypes)
        else:
            vector = mean_vector(bag)
        self.kind = kind
        return vector


def features_kind(bag: Bag) -> dict[str, Any]:
    """Say what features are.

    Parameters
    ----------
    bag : Bag
        Of a slide.

    Returns
    -------
    dict
        Encoder, the digest of its card, how many numbers.
    """
    origin = bag.origin
    return {
        "encoder": origin.encoder,
        "encoder_digest": origin.encoder_digest,
        "dimension": bag.dimension,
    }


def require_kind(source: VectorSource, bag: Bag, kind: dict[str, Any]) -> None:
    """Refuse features of another kind.

    Parameters
    ----------
    source : VectorSource
        The slide.
    bag : Bag
        Its features.
    kind : dict
        As `features_kind` says it.

    Raises
    ------
    DataError
        SL059 with what differs.
    """
    own = features_kind(bag)
    if own == kind:
        return
    told = ", ".join(
        f"{key} is {own[key] or 'not said'!r}, expected {kind[key] or 'not said'!r}"
        for key in kind
        if own[key] != kind[key]
    )
    raise DataError("", [problem("SL059", told, where=Where(file=source.name))])
