"""The slide model: from the features of a patient's tiles to one score, as plain numbers.

Whatever trained it, it is read, run and explained with numpy alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.layout import SLIDE_MODEL
from metastra.bundle.slide_explanation import TileExplanation
from metastra.bundle.slide_head import HEADS, Head, HeadKind
from metastra.bundle.slide_member import Member, PooledTiles
from metastra.bundle.slide_tensors import (
    AGGREGATORS,
    Aggregator,
    members_of,
    read_slide_tensors,
    tensors_of,
)
from metastra.bundle.tensors import tensor_bytes
from metastra.catalogue import problem
from metastra.errors import BundleError, DataError, NotEstimable, Where

__all__ = ["SlideModel", "SlideReading"]

_Array = NDArray[np.float64]

_LAYOUT = 1.0
"""Number of the layout of the tensors, first entry of ``form``."""
_NO_LIMIT = 0.0
"""Stands for an infinite limit, since a bundle holds finite numbers only."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SlideReading:
    """What a model says about one patient's tiles.

    Parameters
    ----------
    score : float
        Higher is worse.
    n_tiles : int
        That were read.
    mean : ndarray of shape (d,)
        Of the features over the tiles.
    outside : tuple of int
        Features whose mean lies outside the range of the development patients.
    """

    score: float
    n_tiles: int
    mean: _Array
    outside: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class SlideModel:
    """An ensemble whose score is the mean of its members' scores.

    Parameters
    ----------
    aggregator : {"attention", "mean", "linear"}
        ``attention``: gated attention over tile embeddings; ``mean``: their plain mean;
        ``linear``: the mean of the features themselves.
    readout : Head
        What the outputs of a member mean.
    centre, scale : ndarray of shape (d,)
        A feature enters as ``(x - centre) / scale``.
    limit : float
        Standardised features are cut at plus and minus this number; infinite with ``linear``.
    members : tuple of Member
        At least one.
    typical_low, typical_high : ndarray of shape (d,)
        0.5 and 99.5 % quantiles of the development patients' means.

    Examples
    --------
    >>> member = Member(head_weight=np.array([[1.0], [0.5]]), head_bias=np.zeros(1))
    >>> model = SlideModel(
    ...     aggregator="linear",
    ...     readout=Head(kind="cox"),
    ...     centre=np.zeros(2),
    ...     scale=np.ones(2),
    ...     limit=np.inf,
    ...     members=(member,),
    ...     typical_low=-np.ones(2),
    ...     typical_high=np.ones(2),
    ... )
    >>> tiles = np.array([[1, 0], [3, 4]], dtype=np.float32)
    >>> model.score([tiles[:1], tiles[1:]])
    3.0
    >>> model.explain(tiles).leave_one_out.tolist()
    [-2.0, 2.0]
    >>> model.read([tiles]).outside
    (0, 1)
    """

    aggregator: Aggregator
    readout: Head
    centre: _Array
    scale: _Array
    limit: float
    members: tuple[Member, ...]
    typical_low: _Array
    typical_high: _Array

    @property
    def dimension(self) -> int:
        """Features of a tile."""
        return int(self.centre.size)

    @property
    def head(self) -> HeadKind:
        """``"cox"``, ``"discrete-hazard"`` or ``"classification"``."""
        return self.readout.kind

    def score(self, blocks: Iterable[NDArray[np.float32]]) -> float:
        """Score a patient.

        Parameters
        ----------
        blocks : iterable of ndarray of shape (n, d)
            All tiles of all slides in any order and any blocks; gone through once.

        Returns
        -------
        float
            Higher is worse.

        Raises
        ------
        NotEstimable
            If there is no tile.
        DataError
            If the number of features is another one, or one is not finite.
        """
        return self.read(blocks).score

    def read(self, blocks: Iterable[NDArray[np.float32]]) -> SlideReading:
        """Score a patient and compare the tiles with those of the development patients.

        Parameters
        ----------
        blocks : iterable of ndarray of shape (n, d)
            All tiles of all slides in any order and any blocks; gone through once.

        Returns
        -------
        SlideReading
            Memory is bounded by the largest block.

        Raises
        ------
        NotEstimable
            If there is no tile.
        DataError
            If the number of features is another one, or one is not finite.
        """
        pools = [PooledTiles() for _ in self.members]
        total, n_tiles = np.zeros(self.dimension), 0
        for block in blocks:
            if not len(block):
                continue
            tiles = self._checked(block)
            total += tiles.sum(axis=0)
            n_tiles += len(tiles)
            entered = self._entered(tiles)
            for member, pool in zip(self.members, pools, strict=True):
                pool.add(*member.weighed(entered))
        if n_tiles == 0:
            raise NotEstimable("no score: the patient's slides have no tile")
        scores = [
            float(member.read(pool.mean()[None, :], self.readout)[0])
            for member, pool in zip(self.members, pools, strict=True)
        ]
        mean = total / n_tiles
        outside = np.flatnonzero((mean < self.typical_low) | (mean > self.typical_high))
        return SlideReading(
            score=float(np.mean(scores)),
            n_tiles=n_tiles,
            mean=mean,
            outside=tuple(outside.tolist()),
        )

    def explain(self, tiles: NDArray[np.float32]) -> TileExplanation:
        """Say what each tile did to the score.

        Parameters
        ----------
        tiles : ndarray of shape (n, d)
            All tiles of the patient.

        Returns
        -------
        TileExplanation
            Attention, and the exact change of the score when tiles are left out.

        Raises
        ------
        NotEstimable
            If there is no tile.
        DataError
            If the number of features is another one, or one is not finite.
        """
        if not len(tiles):
            raise NotEstimable("no explanation: the patient's slides have no tile")
        entered = self._entered(self._checked(tiles))
        return TileExplanation.of(self.members, self.readout, entered)

    def alone(self, member: int) -> SlideModel:
        """Take one member for itself.

        Parameters
        ----------
        member : int
            Its position.

        Returns
        -------
        SlideModel
            With this member only.
        """
        return self.with_members((self.members[member],))

    def with_members(self, members: tuple[Member, ...]) -> SlideModel:
        """Exchange the members.

        Parameters
        ----------
        members : tuple of Member
            At least one.

        Returns
        -------
        SlideModel
            Otherwise the same.
        """
        return replace(self, members=members)

    def to_bytes(self) -> bytes:
        """Write the model as safetensors.

        Returns
        -------
        bytes
            Equal models give equal bytes.
        """
        codes = (
            _LAYOUT,
            float(AGGREGATORS.index(self.aggregator)),
            float(HEADS.index(self.head)),
            float(self.readout.primary_interval),
            _NO_LIMIT if np.isinf(self.limit) else self.limit,
        )
        return tensor_bytes(
            {
                "form": np.array(codes),
                "centre": self.centre,
                "scale": self.scale,
                "typical_low": self.typical_low,
                "typical_high": self.typical_high,
                "edges_days": self.readout.edges_days,
                **tensors_of(self.members),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, n_features: int | None = None) -> SlideModel:
        """Read a model and hold its parts against each other.

        Parameters
        ----------
        data : bytes
            Safetensors.
        n_features : int, optional
            That the encoder gives.

        Returns
        -------
        SlideModel
            Sound.

        Raises
        ------
        BundleError
            BU008 for another layout, BU010 for numbers that cannot be a model.
        """
        aggregator, tensors = read_slide_tensors(data)
        form = tensors["form"]
        if form[0] != _LAYOUT or form[1] != AGGREGATORS.index(aggregator):
            raise _refused("BU008", [f"the form {form.tolist()} is not that of {aggregator!r}"])
        if form[2] not in range(len(HEADS)) or form[3] != int(form[3]):
            raise _refused("BU008", [f"the form {form.tolist()} names no known head"])
        readout = Head(
            kind=HEADS[int(form[2])],
            edges_days=tensors["edges_days"],
            primary_interval=int(form[3]),
        )
        model = cls(
            aggregator=aggregator,
            readout=readout,
            centre=tensors["centre"],
            scale=tensors["scale"],
            limit=float("inf") if form[4] == _NO_LIMIT else float(form[4]),
            members=members_of(tensors),
            typical_low=tensors["typical_low"],
            typical_high=tensors["typical_high"],
        )
        found = model.contradictions()
        if n_features is not None and n_features != model.dimension:
            found.append(f"{model.dimension} features, where the encoder gives {n_features}")
        if found:
            raise _refused("BU010", found)
        return model

    def contradictions(self) -> list[str]:
        """Look for numbers that cannot be a model.

        Returns
        -------
        list of str
            Empty for a sound model.
        """
        if not self.members:
            return ["there is no member"]
        found = self.readout.contradictions(int(self.members[0].head_bias.size))
        if (self.scale <= 0.0).any():
            found.append("a scale is not above 0")
        if (self.typical_low > self.typical_high).any():
            found.append("a typical range is empty")
        for member in self.members:
            low, high = member.mean_low, member.mean_high
            if (low is None) is not (high is None):
                found.append("a range of mean features has one limit")
            elif low is not None and high is not None and (low > high).any():
                found.append("a range of mean features is empty")
            else:
                continue
            break
        if not self.limit > 0.0:
            found.append(f"features cut at {self.limit:g}")
        return found

    def _checked(self, block: NDArray[np.float32]) -> _Array:
        tiles = np.asarray(block, dtype=np.float64)
        if tiles.ndim != 2 or tiles.shape[1] != self.dimension:
            raise DataError(
                f"the tiles have shape {tiles.shape}; expected (n, {self.dimension}), the features "
                "that the model was trained on"
            )
        if not np.isfinite(tiles).all():
            raise DataError("a feature of a tile is not finite; features are checked when read")
        return tiles

    def _entered(self, tiles: _Array) -> _Array:
        standardised = (tiles - self.centre) / self.scale
        if np.isinf(self.limit):
            return standardised
        return np.clip(standardised, -self.limit, self.limit)


def _refused(code: str, found: list[str]) -> BundleError:
    where = Where(file=SLIDE_MODEL)
    return BundleError(
        "the bundle is refused", [problem(code, text, where=where) for text in found]
    )
