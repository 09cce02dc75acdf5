"""The tiles of patients: any number of slides each, opened when needed, read in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit

import numpy as np
from numpy.typing import NDArray

from metastra.errors import DataError
from metastra.features.bag import Bag, feature_error
from metastra.features.files import read_bag
from metastra.features.store import FeatureStore

__all__ = ["PatientBags", "TileMoments"]

_Array = NDArray[np.float64]

_BLOCK_ROWS = 4096
_MOST_OPEN = 4096
"""Memory maps that stay open, the first to come; at most half of the process's file handles."""


class TileMoments:
    """Sums over the tiles of n patients, from which means and spreads are made.

    Parameters
    ----------
    counts : ndarray of shape (n,), int64
        Tiles of each patient.
    means, squares : ndarray of shape (n, d)
        Means of the features and of their squares; 0 for a patient without tiles.
    """

    def __init__(self, counts: NDArray[np.int64], means: _Array, squares: _Array) -> None:
        self.counts, self.means, self.squares = counts, means, squares

    def standard(self, rows: NDArray[np.bool_]) -> tuple[_Array, _Array]:
        """Find centre and scale of tiles, each patient with the same weight.

        Parameters
        ----------
        rows : ndarray of shape (n,), bool
            Patients with tiles.

        Returns
        -------
        centre, scale : ndarray of shape (d,)
            Mean and standard deviation; 1 for a constant feature.
        """
        centre = self.means[rows].mean(axis=0)
        spread = self.squares[rows].mean(axis=0) - centre**2
        # the difference of two sums keeps no more digits than this
        known = spread > 1e-10 * np.maximum(centre**2, 1e-300)
        return centre, np.sqrt(np.where(known, spread, 1.0))


class PatientBags:
    """Feature files of n patients.

    Parameters
    ----------
    openers : sequence of sequence of callable
        For each patient what opens each of the slides' bags; none for a patient without slides.
    sources : sequence of str, optional
        Where each patient's slides were made: hospital and scanner.  Equal names for all where
        that is not known.

    Raises
    ------
    DataError
        If there is not one source for each patient.

    Examples
    --------
    >>> from metastra.features.bag import BagFrame
    >>> def bag(values):
    ...     tiles = np.asarray(values, dtype=np.float32)
    ...     corners = np.column_stack([np.arange(len(tiles)), np.zeros(len(tiles), int)])
    ...     return Bag(features=tiles, coords=corners, frame=BagFrame())
    >>> bags = PatientBags.of_bags([[bag([[1, 2]]), bag([[3, 4], [5, 6]])], []])
    >>> bags.counts.tolist(), bags.dimension
    ([3, 0], 2)
    >>> bags.tiles(0, [0, 2]).tolist()
    [[1.0, 2.0], [5.0, 6.0]]
    """

    def __init__(
        self,
        openers: Sequence[Sequence[Callable[[], Bag]]],
        sources: Sequence[str] | None = None,
    ) -> None:
        self._openers = tuple(tuple(mine) for mine in openers)
        names = [""] * len(self._openers) if sources is None else list(sources)
        if len(names) != len(self._openers):
            raise DataError(f"{len(names)} sources do not fit {len(self._openers)} patients")
        self.sources: NDArray[np.str_] = np.array(names, dtype=np.str_)
        self._open: dict[tuple[int, int], Bag] = {}
        handles = getrlimit(RLIMIT_NOFILE)[0]
        self._most_open = _MOST_OPEN if handles < 0 else min(handles // 2, _MOST_OPEN)
        self._counts: tuple[tuple[int, ...], ...] | None = None
        self._dimension = 0
        self._moments: TileMoments | None = None

    @classmethod
    def of_files(cls, paths: Sequence[Sequence[Path]]) -> PatientBags:
        """Take feature files of any layout that is read.

        Parameters
        ----------
        paths : sequence of sequence of Path
            Of each patient.

        Returns
        -------
        PatientBags
            Nothing is opened yet.
        """
        return cls([[partial(read_bag, path) for path in mine] for mine in paths])

    @classmethod
    def of_store(
        cls,
        store: FeatureStore,
        names: Sequence[Sequence[str]],
        sources: Sequence[str] | None = None,
    ) -> PatientBags:
        """Take slides of a feature store.

        Parameters
        ----------
        store : FeatureStore
            Where their features lie.
        names : sequence of sequence of str
            Slides of each patient.
        sources : sequence of str, optional
            Where they were made.

        Returns
        -------
        PatientBags
            Nothing is opened yet.
        """
        return cls([[partial(store.open, name) for name in mine] for mine in names], sources)

    @classmethod
    def of_bags(
        cls, bags: Sequence[Sequence[Bag]], sources: Sequence[str] | None = None
    ) -> PatientBags:
        """Take bags that are open already.

        Parameters
        ----------
        bags : sequence of sequence of Bag
            Of each patient.
        sources : sequence of str, optional
            Where their slides were made.

        Returns
        -------
        PatientBags
            Of the same bags.
        """
        return cls([[partial(_itself, bag) for bag in mine] for mine in bags], sources)

    @property
    def n(self) -> int:
        """Patients."""
        return len(self._openers)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Tiles of each patient, over all slides."""
        return np.array([sum(mine) for mine in self._sizes()], dtype=np.int64)

    @property
    def dimension(self) -> int:
        """Features of a tile; 0 where nobody has a slide."""
        self._sizes()
        return self._dimension

    def blocks(
        self, patient: int, rows: NDArray[np.int64] | Sequence[int] | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Read a patient's tiles.

        Parameters
        ----------
        patient : int
            Position.
        rows : ndarray of int, optional
            Tiles, ascending, counted through all slides; all of them when left out.

        Yields
        ------
        ndarray of float32, shape (k, d)
            Finite; at most 4096 tiles of one slide at a time.

        Raises
        ------
        DataError
            SL054 if one is not finite.
        """
        sizes = self._sizes()[patient]
        wanted = None if rows is None else np.asarray(rows, dtype=np.int64)
        start = 0
        for slide, size in enumerate(sizes):
            if wanted is None:
                bag = self._bag(patient, slide)
                for first in range(0, size, _BLOCK_ROWS):
                    yield bag.rows(slice(first, first + _BLOCK_ROWS))
            else:
                mine = wanted[(wanted >= start) & (wanted < start + size)] - start
                for first in range(0, mine.size, _BLOCK_ROWS):
                    yield self._bag(patient, slide).rows(mine[first : first + _BLOCK_ROWS])
            start += size

    def tiles(self, patient: int, rows: NDArray[np.int64] | Sequence[int]) -> NDArray[np.float32]:
        """Read some of a patient's tiles at once.

        Parameters
        ----------
        patient : int
            Position.
        rows : sequence of int
            Tiles, ascending, counted through all slides.

        Returns
        -------
        ndarray of float32, shape (k, d)
            Finite.

        Raises
        ------
        DataError
            SL054 if one is not finite.
        """
        parts = list(self.blocks(patient, rows))
        return np.concatenate(parts) if parts else np.empty((0, self.dimension), np.float32)

    def moments(self) -> TileMoments:
        """Go through all tiles once; the second call has the answer ready.

        Returns
        -------
        TileMoments
            Of n patients.

        Raises
        ------
        DataError
            SL054 if a feature is not finite.
        """
        if self._moments is None:
            means = np.zeros((self.n, self.dimension))
            squares = np.zeros((self.n, self.dimension))
            for patient, count in enumerate(self.counts):
                for block in self.blocks(patient):
                    tiles = block.astype(np.float64)
                    means[patient] += tiles.sum(axis=0) / count
                    squares[patient] += np.einsum("ij,ij->j", tiles, tiles) / count
            self._moments = TileMoments(self.counts, means, squares)
        return self._moments

    def _bag(self, patient: int, slide: int) -> Bag:
        key = patient, slide
        bag = self._open.get(key)
        if bag is None:
            bag = self._openers[patient][slide]()
            # all patients are walked through again and again: to close the oldest would open all
            if len(self._open) < self._most_open:
                self._open[key] = bag
        return bag

    def _sizes(self) -> tuple[tuple[int, ...], ...]:
        """Open every bag once: how many tiles, and whether all are of one kind."""
        if self._counts is None:
            first: Bag | None = None
            counts = []
            for patient, mine in enumerate(self._openers):
                sizes = []
                for slide in range(len(mine)):
                    bag = self._bag(patient, slide)
                    first = bag if first is None else first
                    _require_alike(first, bag)
                    sizes.append(len(bag))
                counts.append(tuple(sizes))
            self._dimension = 0 if first is None else first.dimension
            self._counts = tuple(counts)
        return self._counts


def _itself(bag: Bag) -> Bag:
    return bag


def _require_alike(first: Bag, other: Bag) -> None:
    """Refuse features of two encoders in one model."""
    if other.dimension != first.dimension:
        raise _unlike(other, f"{other.dimension} features", f"{first.dimension}", first)
    digests = first.origin.encoder_digest, other.origin.encoder_digest
    if all(digests) and digests[0] != digests[1]:
        names = [_encoder(bag) for bag in (first, other)]
        raise _unlike(other, f"made by {names[1]}", names[0], first)


def _unlike(bag: Bag, found: str, expected: str, first: Bag) -> DataError:
    as_in = f"{expected}, as in {first.origin.name or 'the first file'}"
    return feature_error("SL059", bag.origin.name, found, expected=as_in)


def _encoder(bag: Bag) -> str:
    origin = bag.origin
    words = (origin.encoder, origin.engine, origin.precision, origin.encoder_digest[:12])
    return " ".join(word for word in words if word)
