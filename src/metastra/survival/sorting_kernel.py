"""Compiled sorting: the order and the ranks that every rank-based measure starts from.

Sorting is most of the time of a concordance or an AUC.  A radix sort on the bits of the numbers
takes O(n) time, less than half of numpy's comparison sort at 100 000 patients; its order is stable.
Numbers that differ in their lowest bits only are put in place by insertion, or, where they are
many, by the digits that were left out at first.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["dense_rank", "merge_ordered", "stable_order"]

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]

_BITS = 11
_PASSES = 6
"""Six digits of eleven bits hold the 64 bits of a float."""
_LOWEST_DIGIT = 3
"""The three upper digits hold sign, exponent and 19 bits of the mantissa: they order all but a few
of 100 000 numbers, and an insertion sort does the rest."""


def stable_order(values: _Floats) -> _Ints:
    """Find the order that sorts numbers, equal ones as they stand.

    Parameters
    ----------
    values : ndarray of shape (n,), float64
        Finite; -0 comes before 0.

    Returns
    -------
    ndarray of shape (n,), int64
        Positions, from the smallest value to the largest.

    Notes
    -----
    Least-significant-digit radix sort (Knuth, *The Art of Computer Programming* 3, 5.2.5) of the
    IEEE 754 bits, which have the order of the numbers once the sign bit is turned over, and all
    bits of negative ones.  Only the upper digits are sorted so, as long as an insertion sort
    (ibid., 5.2.1) has at most n moves left.

    Examples
    --------
    >>> stable_order(np.array([2.0, -1.0, 2.0, 0.5])).tolist()
    [1, 3, 0, 2]
    """
    return np.asarray(_order(np.array(values)))  # a copy: compiled code wants one kind of array


def dense_rank(values: _Floats) -> tuple[_Ints, int]:
    """Rank values so that equal ones share a rank and ranks have no gaps.

    Parameters
    ----------
    values : ndarray of shape (n,), float64
        Finite.

    Returns
    -------
    rank : ndarray of shape (n,), int64
        From 0.
    n_ranks : int
        Number of distinct values.

    Examples
    --------
    >>> rank, n_ranks = dense_rank(np.array([5.0, 1.0, 5.0]))
    >>> rank.tolist(), n_ranks
    ([1, 0, 1], 2)
    """
    rank, n_ranks = _rank(np.array(values))
    return rank, int(n_ranks)


@njit(cache=True)
def merge_ordered(values: _Floats, order: _Ints, tolerance: float) -> _Floats:
    """Give each run of close neighbours the run's first value.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Finite.
    order : ndarray of shape (n,), int64
        As `stable_order` gives it.
    tolerance : float
        Neighbours not further apart than this, or than this times the mean absolute distinct value,
        are close.

    Returns
    -------
    ndarray of shape (n,)
        A copy in the order of `values`.

    Examples
    --------
    >>> merge_ordered(np.array([0.3, 0.1 + 0.2, 1.0]), np.array([0, 1, 2]), 1e-8).tolist()
    [0.3, 0.3, 1.0]
    """
    merged = np.empty_like(values)
    total, distinct = 0.0, 0
    for i in range(order.size):
        if i == 0 or values[order[i]] != values[order[i - 1]]:
            total += abs(values[order[i]])
            distinct += 1
    leader = 0.0
    close = max(tolerance, tolerance * total / max(distinct, 1))
    for i in range(order.size):
        here = values[order[i]]
        if i == 0 or here - values[order[i - 1]] > close:
            leader = here
        merged[order[i]] = leader
    return merged


@njit(cache=True)
def _order(values: _Floats) -> _Ints:
    key, order = _by_digits(values, _LOWEST_DIGIT)
    if not _settle(key, order):
        _, order = _by_digits(values, 0)
    return order


@njit(cache=True)
def _by_digits(values: _Floats, lowest: int) -> tuple[NDArray[np.uint64], _Ints]:
    """Sort by the digits from `lowest` up; keys and order come back in that order."""
    n = values.size
    bits = values.view(np.uint64)
    sign = np.uint64(1) << np.uint64(63)
    mask = np.uint64((1 << _BITS) - 1)
    counts = np.zeros((_PASSES, 1 << _BITS), dtype=np.int64)
    key = np.empty(n, dtype=np.uint64)
    for i in range(n):
        turned = ~bits[i] if bits[i] & sign else bits[i] | sign
        key[i] = turned
        for digit in range(lowest, _PASSES):
            counts[digit, (turned >> np.uint64(_BITS * digit)) & mask] += 1
    order = np.arange(n)
    other_key, other_order = np.empty_like(key), np.empty_like(order)
    for digit in range(lowest, _PASSES):
        count = counts[digit]
        shift = np.uint64(_BITS * digit)
        if n == 0 or count[(key[0] >> shift) & mask] == n:
            continue  # all have the same digit
        start = 0
        for bucket in range(count.size):
            here = count[bucket]
            count[bucket] = start
            start += here
        for i in range(n):
            bucket = (key[i] >> shift) & mask
            place = count[bucket]
            count[bucket] += 1
            other_key[place] = key[i]
            other_order[place] = order[i]
        key, other_key = other_key, key
        order, other_order = other_order, order
    return key, order


@njit(cache=True)
def _settle(key: NDArray[np.uint64], order: _Ints) -> bool:
    """Insert what the upper digits left out of order; False where that is too much work."""
    moves = 0
    for i in range(1, key.size):
        if key[i] >= key[i - 1]:
            continue
        here, position, j = key[i], order[i], i
        while j > 0 and key[j - 1] > here:
            key[j], order[j] = key[j - 1], order[j - 1]
            j -= 1
        key[j], order[j] = here, position
        moves += i - j
        if moves > key.size:
            return False
    return True


@njit(cache=True)
def _rank(values: _Floats) -> tuple[_Ints, int]:
    order = _order(values)
    rank = np.empty(values.size, dtype=np.int64)
    here = -1
    for i in range(order.size):
        if i == 0 or values[order[i]] != values[order[i - 1]]:
            here += 1
        rank[order[i]] = here
    return rank, here + 1
