"""Permutation test: how often shuffled labels do as well as the real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import ConfigError, DataError, NotEstimable

__all__ = ["PermutationTest", "permutation_test"]

Alternative = Literal["greater", "less", "two-sided"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PermutationTest:
    """A permutation test.

    Parameters
    ----------
    statistic : float
        On the data as they are.
    p_value : float
        Never 0: the data themselves count as one of the permutations.
    null : ndarray of shape (B,)
        The statistic on the permutations in which it exists.
    n_failed : int
        Permutations in which it does not.
    alternative : {"greater", "less", "two-sided"}
        Which statistics count as extreme.
    seed : int
        Of the permutations.
    """

    statistic: float
    p_value: float
    null: NDArray[np.float64]
    n_failed: int
    alternative: Alternative
    seed: int


def permutation_test(
    statistic: Callable[[NDArray[np.int64]], float],
    n: int,
    *,
    permutations: int = 999,
    seed: int,
    strata: ArrayLike | None = None,
    alternative: Alternative = "greater",
) -> PermutationTest:
    """Test whether an arrangement matters.

    Parameters
    ----------
    statistic : callable
        From a permutation of ``0 … n - 1`` to a number, for instance the concordance of the score
        so reordered.  `NotEstimable` or NaN counts as a failed permutation.
    n : int
        Rows.
    permutations : int
        How many.
    seed : int
        Permutation number b depends on the seed and b alone.
    strata : array_like of shape (n,), optional
        Rows are exchanged within each label only.
    alternative : {"greater", "less", "two-sided"}
        Two-sided: twice the smaller of the two one-sided values, at most 1.

    Returns
    -------
    PermutationTest
        ``p = (1 + number as extreme) / (1 + permutations)`` (Phipson and Smyth 2010).

    Raises
    ------
    ConfigError
        When the alternative is unknown or there are no permutations.
    DataError
        When the strata do not fit.
    NotEstimable
        When the statistic does not exist for the data, or in no permutation.

    Examples
    --------
    >>> x, y = np.arange(12.0), np.arange(12.0) ** 2
    >>> test = permutation_test(lambda order: np.corrcoef(x, y[order])[0, 1], 12, seed=3)
    >>> test.p_value
    0.001
    """
    if alternative not in ("greater", "less", "two-sided"):
        raise ConfigError(
            f"alternative={alternative!r} is unknown; expected greater, less or two-sided"
        )
    if permutations < 1:
        raise ConfigError(f"permutations={permutations}; expected 1 or more")
    groups = _groups(strata, n)
    observed = float(statistic(np.arange(n)))
    if not np.isfinite(observed):
        raise NotEstimable("the statistic does not exist for the data themselves")
    values = np.empty(permutations)
    for number in range(permutations):
        generator = np.random.default_rng([seed, number])
        order = np.arange(n)
        for group in groups:
            order[group] = generator.permutation(group)
        try:
            values[number] = statistic(order)
        except NotEstimable:
            values[number] = np.nan
    null = values[np.isfinite(values)]
    if null.size == 0:
        raise NotEstimable("the statistic exists in none of the permutations")
    above = (1 + int(np.count_nonzero(null >= observed))) / (1 + null.size)
    below = (1 + int(np.count_nonzero(null <= observed))) / (1 + null.size)
    p_value = {"greater": above, "less": below, "two-sided": min(1.0, 2.0 * min(above, below))}
    return PermutationTest(
        statistic=observed,
        p_value=p_value[alternative],
        null=null,
        n_failed=permutations - null.size,
        alternative=alternative,
        seed=seed,
    )


def _groups(strata: ArrayLike | None, n: int) -> list[NDArray[np.int64]]:
    if strata is None:
        return [np.arange(n)]
    labels = np.asarray(strata)
    if labels.shape != (n,):
        raise DataError(f"strata has shape {labels.shape}; expected ({n},), one label per row")
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]
