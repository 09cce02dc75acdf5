"""What tiles did to a score: the exact change when they are left out, and where attention lay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from metastra.bundle.slide_head import Head
from metastra.bundle.slide_member import Member, means_without
from metastra.errors import DataError

__all__ = ["TileExplanation"]

_Array = NDArray[np.float64]

_TINY = 1e-200


@dataclass(frozen=True, kw_only=True, eq=False)
class TileExplanation:
    """How a score came about, tile by tile.

    Parameters
    ----------
    score : float
        Of all tiles; higher is worse.
    attention : ndarray of shape (n,)
        Mean share of the weight over the members; sums to 1.  It says where the model looked, not
        whether a tile raised or lowered the score.
    leave_one_out : ndarray of shape (n,)
        The score less the score without the tile: above 0 for a tile that raised it.  NaN where
        no other tile is left.
    """

    score: float
    attention: _Array
    leave_one_out: _Array
    _members: tuple[Member, ...] = field(repr=False)
    _head: Head = field(repr=False)
    _weighed: tuple[tuple[_Array, _Array], ...] = field(repr=False)

    @classmethod
    def of(cls, members: Sequence[Member], head: Head, entered: _Array) -> TileExplanation:
        """Explain the score of one patient.

        Parameters
        ----------
        members : sequence of Member
            Of the model.
        head : Head
            What their outputs mean.
        entered : ndarray of shape (n, d)
            Standardised features of at least one tile.

        Returns
        -------
        TileExplanation
            Of n tiles.
        """
        weighed = tuple(member.weighed(entered) for member in members)
        weights = [softmax(logits) for _, logits in weighed]
        scores = [
            float(member.read((weight @ tokens)[None, :], head)[0])
            for member, (tokens, _), weight in zip(members, weighed, weights, strict=True)
        ]
        alone = np.arange(len(entered), dtype=np.int64)
        score = float(np.mean(scores))
        return cls(
            score=score,
            attention=np.mean(weights, axis=0),
            leave_one_out=score - _scores_without(members, head, weighed, alone, alone.size),
            _members=tuple(members),
            _head=head,
            _weighed=weighed,
        )

    def without(self, groups: NDArray[np.int64]) -> _Array:
        """Leave out groups of tiles, one group at a time.

        Parameters
        ----------
        groups : ndarray of shape (n,), int
            0, 1, …; -1 for tiles that stay.

        Returns
        -------
        ndarray of shape (g,)
            The score less the score without each group, for groups 0 to the largest; 0 for a
            group of no tile, NaN where no other tile is left.

        Raises
        ------
        DataError
            If there is not one group for each tile.
        """
        label = np.asarray(groups)
        if label.shape != self.attention.shape or not np.issubdtype(label.dtype, np.integer):
            raise DataError(
                f"groups are {label.dtype} of shape {label.shape}; expected whole numbers, one for "
                f"each of {self.attention.size} tiles"
            )
        label = label.astype(np.int64)
        n_groups = int(label.max(initial=-1)) + 1
        return self.score - _scores_without(
            self._members, self._head, self._weighed, label, n_groups
        )

    def along(self, order: NDArray[np.int64], counts: NDArray[np.int64]) -> _Array:
        """Take tiles away one after another and score what is left.

        Parameters
        ----------
        order : ndarray of shape (n,), int
            Every tile once, in the order in which they go.
        counts : ndarray of shape (s,), int
            Ascending numbers of tiles that are gone, each below n.

        Returns
        -------
        ndarray of shape (s,)
            The score of all tiles less the score without the first `counts` of the order: what
            `without` gives for them as one group, in one pass for all.

        Raises
        ------
        DataError
            If the order is not one of all tiles, or the counts do not ascend from 0 to below n.
        """
        n = self.attention.size
        counts = np.asarray(counts, dtype=np.int64)
        if not np.array_equal(np.sort(order), np.arange(n)):
            raise DataError(f"the order is not one of {n} tiles")
        if not counts.size or counts[0] < 0 or counts[-1] >= n or (np.diff(counts) <= 0).any():
            raise DataError(f"counts must ascend from 0 to below {n}")
        scores = [
            member.read(_means_left(tokens[order], logits[order], counts), self._head)
            for member, (tokens, logits) in zip(self._members, self._weighed, strict=True)
        ]
        changes: _Array = self.score - np.mean(scores, axis=0)
        return changes


def _means_left(tokens: _Array, logits: _Array, counts: NDArray[np.int64]) -> _Array:
    """Weighted means of the tiles from each count on, summed from the end: nothing is taken off."""
    weights = np.exp(logits - logits.max())
    gone = np.add.reduceat(weights, counts)
    sums = np.add.reduceat(weights[:, None] * tokens, counts, axis=0)
    left = np.cumsum(gone[::-1])[::-1]
    means: _Array = np.cumsum(sums[::-1], axis=0)[::-1] / np.maximum(left, _TINY)[:, None]
    for step in np.flatnonzero(left < _TINY):
        # all that is left has so little weight that it vanishes beside what is gone
        means[step] = softmax(logits[counts[step] :]) @ tokens[counts[step] :]
    return means


def _scores_without(
    members: Sequence[Member],
    head: Head,
    weighed: Sequence[tuple[_Array, _Array]],
    groups: NDArray[np.int64],
    n_groups: int,
) -> _Array:
    """Score the tiles without each group; NaN where none is left."""
    total = np.zeros(n_groups)
    for member, (tokens, logits) in zip(members, weighed, strict=True):
        means, left = means_without(tokens, logits, groups, n_groups)
        total += np.where(left, member.read(means, head), np.nan)
    return total / len(members)
