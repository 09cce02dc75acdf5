"""Compiled sorting: the order and the ranks that every rank-based measure starts from.

Sorting is most of the time of a concordance or an AUC.  A radix sort on the bits of the numbers
takes O(n) time, less than half of numpy's comparison sort at 100 000 patients; its order is stable.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["dense_rank", "stable_order"]

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]

_BITS = 11
_PASSES = 6
"""Six digits of eleven bits hold the 64 bits of a float."""


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
    bits of negative ones.

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
def _order(values: _Floats) -> _Ints:
    n = values.size
    bits = values.view(np.uint64)
    sign = np.uint64(1) << np.uint64(63)
    mask = np.uint64((1 << _BITS) - 1)
    counts = np.zeros((_PASSES, 1 << _BITS), dtype=np.int64)
    key = np.empty(n, dtype=np.uint64)
    for i in range(n):
        turned = ~bits[i] if bits[i] & sign else bits[i] | sign
        key[i] = turned
        for digit in range(_PASSES):
            counts[digit, (turned >> np.uint64(_BITS * digit)) & mask] += 1
    order = np.arange(n)
    other_key, other_order = np.empty_like(key), np.empty_like(order)
    for digit in range(_PASSES):
        count = counts[digit]
        shift = np.uint64(_BITS * digit)
        if n == 0 or count[(key[0] >> shift) & mask] == n:
            continue  # all have the same digit, as the low bits of whole days
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
    return order


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
