"""One member of a slide model: embed tiles, weigh them, average, and read a score off the mean.

The three aggregators are one formula, ``head(sum_i w_i t_i / sum_i w_i)``, with tokens t and
weights w of the tiles.  That is why a score can be streamed, and leaving tiles out is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp

from metastra.bundle.slide_head import Head

__all__ = ["Gate", "Member", "PooledTiles", "means_without"]

_Array = NDArray[np.float64]

_HEAVY = 0.5
"""A share of the weight above which the rest is summed anew instead of by subtraction."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Gate:
    """Gated attention (Ilse, Tomczak and Welling 2018, equation 9).

    The logit of a token t is ``weight · (tanh(t V + v) * sigmoid(t U + u))``.

    Parameters
    ----------
    value_weight, gate_weight : ndarray of shape (h, a)
        V and U.
    value_bias, gate_bias : ndarray of shape (a,)
        v and u.
    weight : ndarray of shape (a,)
        Joins them to one number.
    """

    value_weight: _Array
    value_bias: _Array
    gate_weight: _Array
    gate_bias: _Array
    weight: _Array

    def logits(self, tokens: _Array) -> _Array:
        """Weigh tokens.

        Parameters
        ----------
        tokens : ndarray of shape (n, h)
            Of n tiles.

        Returns
        -------
        ndarray of shape (n,)
            Logarithms of weights that are not yet scaled to a sum of 1.
        """
        value = np.tanh(tokens @ self.value_weight + self.value_bias)
        gate = expit(tokens @ self.gate_weight + self.gate_bias)
        return np.asarray((value * gate) @ self.weight, dtype=np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Member:
    """One of the models whose scores are averaged.

    Parameters
    ----------
    head_weight : ndarray of shape (h, o)
        From the mean token to the outputs of the head.
    head_bias : ndarray of shape (o,)
        Added to them.
    embed_weight : ndarray of shape (d, h), optional
        From standardised features to tokens, cut at 0 (ReLU); without it a token is the
        standardised features themselves.
    embed_bias : ndarray of shape (h,), optional
        Goes with it.
    gate : Gate, optional
        Weighs the tokens; without it all tiles weigh the same.
    mean_low, mean_high : ndarray of shape (h,), optional
        A mean token is held inside these limits before scores are read off it; without them it is
        taken as it is.

    Examples
    --------
    >>> member = Member(
    ...     head_weight=np.ones((1, 1)),
    ...     head_bias=np.zeros(1),
    ...     mean_low=np.array([-2.0]),
    ...     mean_high=np.array([3.0]),
    ... )
    >>> member.read(np.array([[-9.0], [1.0], [30.0]]), Head(kind="cox")).tolist()
    [-2.0, 1.0, 3.0]
    """

    head_weight: _Array
    head_bias: _Array
    embed_weight: _Array | None = None
    embed_bias: _Array | None = None
    gate: Gate | None = None
    mean_low: _Array | None = None
    mean_high: _Array | None = None

    def tokens(self, standardised: _Array) -> _Array:
        """Embed tiles.

        Parameters
        ----------
        standardised : ndarray of shape (n, d)
            Features with centre 0 and scale 1.

        Returns
        -------
        ndarray of shape (n, h)
            Their tokens.
        """
        if self.embed_weight is None or self.embed_bias is None:
            return standardised
        return np.maximum(standardised @ self.embed_weight + self.embed_bias, 0.0)

    def weighed(self, standardised: _Array) -> tuple[_Array, _Array]:
        """Embed tiles and weigh them.

        Parameters
        ----------
        standardised : ndarray of shape (n, d)
            Features with centre 0 and scale 1.

        Returns
        -------
        tokens : ndarray of shape (n, h)
            Of the tiles.
        logits : ndarray of shape (n,)
            Logarithms of their weights.
        """
        tokens = self.tokens(standardised)
        logits = np.zeros(len(tokens)) if self.gate is None else self.gate.logits(tokens)
        return tokens, logits

    def read(self, pooled: _Array, head: Head) -> _Array:
        """Read scores off mean tokens.

        Parameters
        ----------
        pooled : ndarray of shape (k, h)
            Mean tokens of k bags.
        head : Head
            What the outputs mean.

        Returns
        -------
        ndarray of shape (k,)
            Higher is worse.
        """
        held = pooled
        if self.mean_low is not None and self.mean_high is not None:
            held = np.clip(pooled, self.mean_low, self.mean_high)
        return head.scores(held @ self.head_weight + self.head_bias)


class PooledTiles:
    """A weighted mean of tokens that grows block by block (a streamed softmax).

    Examples
    --------
    >>> pool = PooledTiles()
    >>> pool.add(np.array([[1.0], [3.0]]), np.zeros(2))
    >>> pool.add(np.array([[5.0]]), np.zeros(1))
    >>> pool.mean().tolist()
    [3.0]
    """

    def __init__(self) -> None:
        self._largest = -np.inf
        self._weight = 0.0
        self._sum: _Array | None = None

    def add(self, tokens: _Array, logits: _Array) -> None:
        """Take in a block.

        Parameters
        ----------
        tokens : ndarray of shape (n, h)
            At least one.
        logits : ndarray of shape (n,)
            Logarithms of their weights.
        """
        largest = max(self._largest, float(logits.max()))
        weights = np.exp(logits - largest)
        total = weights @ tokens
        if self._sum is not None:
            before = float(np.exp(self._largest - largest))
            total = total + before * self._sum
            self._weight *= before
        self._sum, self._largest = total, largest
        self._weight += float(weights.sum())

    def mean(self) -> _Array:
        """Average what was taken in.

        Returns
        -------
        ndarray of shape (h,)
            Of at least one tile.
        """
        if self._sum is None:
            raise ValueError("no tile was added")
        return self._sum / self._weight


def means_without(
    tokens: _Array, logits: _Array, groups: NDArray[np.int64], n_groups: int
) -> tuple[_Array, NDArray[np.bool_]]:
    """Average tokens again without each group of tiles.

    Parameters
    ----------
    tokens : ndarray of shape (n, h)
        Of all tiles.
    logits : ndarray of shape (n,)
        Logarithms of their weights.
    groups : ndarray of shape (n,), int64
        From 0 to `n_groups` - 1; -1 for tiles that are in no group.
    n_groups : int
        Groups to leave out, one at a time.

    Returns
    -------
    means : ndarray of shape (n_groups, h)
        Weighted means of the other tiles; of no meaning where none is left.
    left : ndarray of shape (n_groups,), bool
        Whether any tile is left.

    Notes
    -----
    The sums of a group are taken off the sums of all.  Where a group holds more than half of the
    weight, that would lose digits, and the rest is summed directly; at most one group can.
    """
    weights = np.exp(logits - logsumexp(logits))
    inside = groups >= 0
    gone = np.bincount(groups[inside], weights=weights[inside], minlength=n_groups)
    counts = np.bincount(groups[inside], minlength=n_groups)
    left = counts < len(tokens)
    sums = np.zeros((n_groups, tokens.shape[1]))
    order = np.flatnonzero(inside)[np.argsort(groups[inside], kind="stable")]
    if order.size:
        firsts = np.flatnonzero(np.diff(groups[order], prepend=-1))
        shares = weights[order, None] * tokens[order]
        sums[groups[order[firsts]]] = np.add.reduceat(shares, firsts, axis=0)
    kept = np.where(gone < _HEAVY, 1.0 - gone, 1.0)
    means = (weights @ tokens - sums) / kept[:, None]
    for heavy in np.flatnonzero((gone >= _HEAVY) & left):
        rest = groups != heavy
        anew = np.exp(logits[rest] - logsumexp(logits[rest]))
        means[heavy] = anew @ tokens[rest]
    return means, left
