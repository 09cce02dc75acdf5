"""Spreading indivisible groups over folds so that events and patients are balanced.

Howard et al. (Nature Communications 2021;12:4423, https://doi.org/10.1038/s41467-021-24698-1)
state site-preserved folds as a quadratic programme and give it to a commercial solver.  Here the
same kind of objective is lowered by a greedy start, largest group first, and exchanges of one or
two groups, from many starts.  No solver is needed and the result depends on nothing but the
groups and the seed; how far it is from the optimum is measured in the tests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from metastra.cohort.split_groups import keyed_order

__all__ = ["balanced_folds", "deal_evenly", "imbalance", "place_remaining"]

_STARTS = 64
_WORK = 20_000
"""Groups × folds × starts: very many groups are balanced from few starts."""
_STRETCH = 3.0
"""Sizes are stretched by up to 1 + this at each start; less leaves starts too much alike."""
_NO_EVENT = 10.0
"""Cost of a fold without events, above everything that balance can gain."""
_STEP = 1e-12
"""Smallest gain that counts; below it are only rounding errors."""


def imbalance(counts: NDArray[np.int64], fold: NDArray[np.int64], n_folds: int) -> float:
    r"""Measure how unequal the folds are.

    .. math:: \sum_k \sum_c (S_{kc} / C_c - 1 / K)^2

    with K folds and :math:`S_{kc}` of the :math:`C_c` patients of kind c in fold k, where the
    kinds are: with the event, without it, all.

    Parameters
    ----------
    counts : ndarray of shape (G, 2)
        Patients with and without the event in each group.
    fold : ndarray of shape (G,)
        Fold of each group, 0 … K−1.
    n_folds : int
        K.

    Returns
    -------
    float
        0 when every fold holds the same share of each kind.

    Examples
    --------
    >>> imbalance(np.array([[1, 2], [1, 2]]), np.array([0, 1]), 2)
    0.0
    """
    three = _with_total(counts)
    sums = _fold_sums(three, fold, n_folds)
    mean = three.sum(axis=0) / n_folds
    return float((_weights(three) * (sums - mean) ** 2).sum())


def balanced_folds(
    counts: NDArray[np.int64], keys: Sequence[str], n_folds: int, seed: str
) -> NDArray[np.int64]:
    """Assign groups to folds.

    Parameters
    ----------
    counts : ndarray of shape (G, 2)
        Patients with and without the event in each group.
    keys : sequence of str
        Name of each group, each once; the result does not depend on their order.
    n_folds : int
        K, at most G.
    seed : str
        Names the draw; ties and starts are decided by it.

    Returns
    -------
    ndarray of shape (G,)
        Fold of each group.  No fold is empty, and a fold without events is avoided wherever the
        exchanges can.

    Examples
    --------
    >>> counts = np.array([[3, 9], [2, 4], [1, 5]])
    >>> fold = balanced_folds(counts, ["A", "B", "C"], 2, "seed")
    >>> bool(fold[0] != fold[1] and fold[1] == fold[2])
    True
    """
    canonical = keyed_order(keys, seed)
    three = _with_total(counts)[canonical]
    weights = _weights(three)
    best, best_cost = np.zeros(len(keys), dtype=np.int64), np.inf
    for start in range(max(1, min(_STARTS, _WORK // (len(keys) * n_folds)))):
        order = _largest_first(three, weights, f"{seed}/{start}")
        fold = _greedily(three, order, np.zeros((n_folds, 3)), weights)
        fold = _exchange(three, fold, n_folds, weights)
        sums = _fold_sums(three, fold, n_folds)
        spread = float((weights * (sums - sums.mean(axis=0)) ** 2).sum())
        cost = spread + _NO_EVENT * int((sums[:, 0] == 0).sum())
        if cost < best_cost - _STEP:
            best, best_cost = fold, cost
    names = keyed_order([str(k) for k in range(n_folds)], f"{seed}/names")
    result = np.empty(len(keys), dtype=np.int64)
    result[canonical] = names[best]
    return result


def deal_evenly(
    strata: Sequence[NDArray[np.int64]], ids: NDArray[np.str_], n_folds: int, seed: str
) -> NDArray[np.int64]:
    """Assign single patients to folds, stratum after stratum, like dealing cards.

    Each stratum is shuffled and dealt on from where the last one ended, so that every stratum,
    every run of neighbouring strata and the whole differ by at most one patient between folds.

    Parameters
    ----------
    strata : sequence of ndarray of int
        Positions of the patients of each stratum; together all of them, each once.
    ids : ndarray of shape (n,)
        Study ids.
    n_folds : int
        Number of folds.
    seed : str
        Names the draw.

    Returns
    -------
    ndarray of shape (n,)
        Fold of each patient.

    Examples
    --------
    >>> ids = np.array(["a", "b", "c", "d", "e"])
    >>> fold = deal_evenly([np.array([0, 1]), np.array([2, 3, 4])], ids, 2, "seed")
    >>> sorted(np.bincount(fold).tolist()), bool(fold[0] != fold[1])
    ([2, 3], True)
    """
    dealt = [rows[keyed_order(ids[rows].tolist(), f"{seed}/{s}")] for s, rows in enumerate(strata)]
    names = keyed_order([str(k) for k in range(n_folds)], f"{seed}/names")
    fold = np.empty(ids.size, dtype=np.int64)
    fold[np.concatenate(dealt)] = names[np.arange(ids.size) % n_folds]
    return fold


def place_remaining(
    counts: NDArray[np.int64],
    fold: NDArray[np.int64],
    keys: Sequence[str],
    n_folds: int,
    seed: str,
) -> NDArray[np.int64]:
    """Give groups without a fold one, and leave all others where they are.

    Parameters
    ----------
    counts : ndarray of shape (G, 2)
        Patients with and without the event in each group.
    fold : ndarray of shape (G,)
        Fold of each group; −1 for those that have none.
    keys : sequence of str
        Name of each group, each once.
    n_folds : int
        Number of folds.
    seed : str
        Names the draw; it decides between groups of one size.

    Returns
    -------
    ndarray of shape (G,)
        Fold of each group: the largest new group goes first, each where it costs balance least.

    Examples
    --------
    >>> counts = np.array([[3, 3], [1, 1], [1, 1]])
    >>> place_remaining(counts, np.array([0, 1, -1]), ["A", "B", "C"], 2, "seed").tolist()
    [0, 1, 1]
    """
    three = _with_total(counts)
    weights = _weights(three)
    kept = fold >= 0
    sums = _fold_sums(three[kept], fold[kept], n_folds)
    order = keyed_order(keys, seed)
    order = order[np.argsort(-three[order, -1], kind="stable")]
    new = order[~kept[order]]
    result = fold.copy()
    result[new] = _greedily(three[new], np.arange(new.size), sums, weights)
    return result


def _greedily(
    counts: NDArray[np.int64],
    order: NDArray[np.int64],
    sums: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Put one group after the other where it costs least, on top of what the folds hold."""
    held = sums.copy()
    fold = np.zeros(len(counts), dtype=np.int64)
    for group in order.tolist():
        # (S + c)² − S² = c (2 S + c): what the squares grow by, fold by fold
        growth = _dot(weights, counts[group] * (2 * held + counts[group]))
        fold[group] = int(np.argmin(growth))
        held[fold[group]] += counts[group]
    return fold


def _exchange(
    counts: NDArray[np.int64],
    fold: NDArray[np.int64],
    n_folds: int,
    weights: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Make the best move of one group or swap of two until none helps."""
    fold = fold.copy()
    sums = _fold_sums(counts, fold, n_folds)
    while True:
        # Groups of one fold with equal counts are interchangeable: one stands for all of them.
        # An empty group in each fold (number −1) makes a move a swap with nothing.
        table = np.column_stack([fold, counts])
        like = np.unique(table, axis=0, return_index=True)[1]
        group = np.concatenate([like, np.full(n_folds, -1)])
        where = np.concatenate([fold[like], np.arange(n_folds)])
        held = np.vstack([counts[like], np.zeros((n_folds, counts.shape[1]))])
        gain, give, take = 0.0, -1, -1
        for a in range(n_folds):
            mine = np.flatnonzero(where == a)
            change = _changes(held[mine], held, sums[a], sums[where], weights)
            change[:, where == a] = 0.0
            at = int(np.argmin(change))
            i, j = divmod(at, len(held))
            if change[i, j] < gain - _STEP:
                gain, give, take = float(change[i, j]), int(mine[i]), j
        if give < 0:
            return fold
        a, b = where[give], where[take]
        for moved, to in ((group[give], b), (group[take], a)):
            if moved >= 0:
                fold[moved] = to
        sums[a] += held[take] - held[give]
        sums[b] += held[give] - held[take]


def _changes(
    mine: NDArray[np.float64],
    theirs: NDArray[np.float64],
    here: NDArray[np.float64],
    there: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Cost of swapping each of `mine` with each of `theirs`, shape (mine, theirs)."""
    d = mine[:, None, :] - theirs[None, :, :]
    # (A − d)² + (B + d)² − A² − B² = 2 d (B − A + d), with A here and B there
    change = 2 * _dot(weights, d * (there[None, :, :] - here + d))
    if weights[0] > 0:
        after = ((here[0] - d[..., 0]) == 0).astype(np.float64) + (there[:, 0] + d[..., 0] == 0)
        before = float(here[0] == 0) + (there[:, 0] == 0)
        change += _NO_EVENT * (after - before)
    return change


def _dot(weights: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted sum over the last axis in a fixed order: the same bits on every machine."""
    total: NDArray[np.float64] = weights[0] * values[..., 0]
    for c in range(1, len(weights)):
        total = total + weights[c] * values[..., c]
    return total


def _largest_first(
    counts: NDArray[np.int64], weights: NDArray[np.float64], seed: str
) -> NDArray[np.int64]:
    """Order groups by their size after each was stretched at random: other starts, other orders."""
    stretch = np.array([1 + _STRETCH * _uniform(f"{seed}/{g}") for g in range(len(counts))])
    size = _dot(weights, (counts * counts).astype(np.float64)) * stretch * stretch
    return np.argsort(-size, kind="stable")


def _uniform(text: str) -> float:
    """Give a number in [0, 1) that the text decides."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2.0**48


def _with_total(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.column_stack([counts, counts.sum(axis=1)])


def _weights(three: NDArray[np.int64]) -> NDArray[np.float64]:
    """One over the squared total of each kind, 0 for a kind that does not occur."""
    total = three.sum(axis=0).astype(np.float64)
    weights = np.zeros(three.shape[1])
    weights[total > 0] = 1 / total[total > 0] ** 2
    return weights


def _fold_sums(
    three: NDArray[np.int64], fold: NDArray[np.int64], n_folds: int
) -> NDArray[np.float64]:
    sums = np.zeros((n_folds, three.shape[1]))
    np.add.at(sums, fold, three)
    return sums
