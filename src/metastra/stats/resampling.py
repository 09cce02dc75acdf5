"""Bootstrap by whole-number case weights: one set of draws for all measures and models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from metastra.errors import ConfigError, DataError, NotEstimable

__all__ = ["Bootstrap", "bootstrap", "bootstrap_weights"]

Statistic = Callable[[NDArray[np.float64]], ArrayLike]
"""From case weights of shape (n,) to one or several numbers."""

_MOST_FAILED = 0.2
"""Share of failed replicates above which an interval is refused."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bootstrap:
    """Estimates with their bootstrap replicates.

    Parameters
    ----------
    estimate : ndarray of shape (p,)
        With every weight 1.
    replicates : ndarray of shape (B, p)
        One row for each draw; NaN where a measure could not be computed.
    jackknife : ndarray of shape (m, p) or None
        Estimates with one block of units left out at a time, for the BCa interval.
    n_units : int
        What was drawn: patients, or clusters.
    seed : int
        Of the draws.
    """

    estimate: NDArray[np.float64]
    replicates: NDArray[np.float64]
    jackknife: NDArray[np.float64] | None
    n_units: int
    seed: int

    @property
    def n_replicates(self) -> int:
        """Number of draws."""
        return int(self.replicates.shape[0])

    @property
    def n_failed(self) -> NDArray[np.int64]:
        """Draws in which each measure could not be computed, of shape (p,)."""
        return np.asarray(np.count_nonzero(~np.isfinite(self.replicates), axis=0), dtype=np.int64)

    def map(self, function: Callable[[NDArray[np.float64]], ArrayLike]) -> Bootstrap:
        """Derive other measures from the same draws, for instance paired differences.

        Parameters
        ----------
        function : callable
            From an array of shape (r, p) to one of shape (r,) or (r, q), row by row.

        Returns
        -------
        Bootstrap
            Of the derived measures.

        Examples
        --------
        >>> scores = np.array([[1.0, 2.0], [3.0, 5.0], [2.0, 2.0]])
        >>> both = bootstrap(lambda w: w @ scores / w.sum(), 3, seed=1, replicates=200)
        >>> both.map(lambda rows: rows[:, 1] - rows[:, 0]).estimate.tolist()
        [1.0]
        """

        def apply(rows: NDArray[np.float64]) -> NDArray[np.float64]:
            values = np.asarray(function(rows), dtype=np.float64)
            return values[:, None] if values.ndim == 1 else values

        return Bootstrap(
            estimate=apply(self.estimate[None, :])[0],
            replicates=apply(self.replicates),
            jackknife=None if self.jackknife is None else apply(self.jackknife),
            n_units=self.n_units,
            seed=self.seed,
        )

    def std_error(self, measure: int = 0) -> float:
        """Take the standard deviation of the replicates.

        Parameters
        ----------
        measure : int
            Position of the measure.

        Returns
        -------
        float
            Over the draws that did not fail.

        Raises
        ------
        NotEstimable
            When too many draws failed.
        """
        return float(np.std(self._finite(measure), ddof=1))

    def percentile(self, measure: int = 0, *, level: float = 0.95) -> tuple[float, float]:
        """Percentile interval.

        Parameters
        ----------
        measure : int
            Position of the measure.
        level : float
            Confidence level.

        Returns
        -------
        lower, upper : float
            Quantiles of the replicates (type 7).

        Raises
        ------
        ConfigError
            When the level is outside (0, 1).
        NotEstimable
            When too many draws failed.
        """
        tail = _tail(level)
        lower, upper = np.quantile(self._finite(measure), [tail, 1.0 - tail])
        return float(lower), float(upper)

    def bca(self, measure: int = 0, *, level: float = 0.95) -> tuple[float, float]:
        """Bias-corrected and accelerated interval (Efron 1987).

        Parameters
        ----------
        measure : int
            Position of the measure.
        level : float
            Confidence level.

        Returns
        -------
        lower, upper : float
            Quantiles of the replicates at corrected probabilities.

        Raises
        ------
        ConfigError
            When the level is outside (0, 1), or the bootstrap was run without a jack-knife.
        NotEstimable
            When too many draws failed, or the estimate lies outside all replicates.
        """
        if self.jackknife is None:
            raise ConfigError("a BCa interval needs jackknife_blocks in the bootstrap")
        tail = _tail(level)
        replicates = self._finite(measure)
        estimate = self.estimate[measure]
        below = np.mean(replicates < estimate) + 0.5 * np.mean(replicates == estimate)
        if not 0.0 < below < 1.0:
            raise NotEstimable(
                "the estimate lies outside all its bootstrap replicates, so the interval "
                "cannot be corrected for bias"
            )
        bias = float(ndtri(below))
        acceleration = _acceleration(self.jackknife[:, measure])
        shifted = bias + ndtri(np.array([tail, 1.0 - tail]))
        probability = ndtr(bias + shifted / (1.0 - acceleration * shifted))
        lower, upper = np.quantile(replicates, probability)
        return float(lower), float(upper)

    def _finite(self, measure: int) -> NDArray[np.float64]:
        column = self.replicates[:, measure]
        finite = column[np.isfinite(column)]
        failed = column.size - finite.size
        if failed > _MOST_FAILED * column.size or finite.size < 2:
            raise NotEstimable(
                f"{failed} of {column.size} bootstrap replicates failed; an interval is refused "
                f"above {_MOST_FAILED:.0%}"
            )
        return finite


def bootstrap_weights(
    n: int,
    *,
    replicates: int,
    seed: int,
    cluster: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> Iterator[NDArray[np.float64]]:
    """Draw units with replacement, as case weights.

    Parameters
    ----------
    n : int
        Rows.
    replicates : int
        Draws.
    seed : int
        Draw number b depends on the seed and b alone, not on how many are drawn.
    cluster : array_like of shape (n,), optional
        Rows with the same label are drawn together.
    strata : array_like of shape (n,), optional
        Units are drawn within each label, so that its number of units stays as it is.

    Yields
    ------
    ndarray of shape (n,)
        How often each row was drawn.

    Raises
    ------
    ConfigError
        When fewer than one replicate is asked for.
    DataError
        When labels do not fit, or a cluster lies in two strata.

    Examples
    --------
    >>> [int(weights.sum()) for weights in bootstrap_weights(5, replicates=3, seed=1)]
    [5, 5, 5]
    """
    units = _Units.of(n, cluster, strata)
    if replicates < 1:
        raise ConfigError(f"replicates={replicates}; expected 1 or more")
    for number in range(replicates):
        yield units.draw(np.random.default_rng([seed, number]))


def bootstrap(
    statistic: Statistic,
    n: int,
    *,
    replicates: int = 1000,
    seed: int,
    cluster: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    jackknife_blocks: int | None = None,
) -> Bootstrap:
    """Repeat a statistic over draws of the same patients.

    Parameters
    ----------
    statistic : callable
        From case weights of shape (n,) to one or several numbers.  Where it raises `NotEstimable`
        or gives NaN the replicate has failed and is counted.
    n : int
        Rows.
    replicates : int
        Draws.
    seed : int
        Of the draws.
    cluster, strata : array_like of shape (n,), optional
        As `bootstrap_weights`.
    jackknife_blocks : int, optional
        For the BCa interval: leave out this many blocks of units in turn; at or above the number
        of units each unit is a block of its own.

    Returns
    -------
    Bootstrap
        Memory grows with draws times measures, not with draws times rows.

    Raises
    ------
    ConfigError
        When a number of draws or blocks is too small.
    DataError
        When labels do not fit.
    NotEstimable
        When the statistic does not exist for the data themselves.

    Notes
    -----
    Efron and Tibshirani 1993.  All measures and models should be put into one statistic, so that
    they share the draws and differences between them are paired.

    Examples
    --------
    >>> values = np.arange(20.0)
    >>> result = bootstrap(lambda w: w @ values / w.sum(), 20, seed=7, replicates=500)
    >>> result.estimate.tolist(), int(result.n_failed[0])
    ([9.5], 0)
    """
    units = _Units.of(n, cluster, strata)
    if replicates < 2:
        raise ConfigError(f"replicates={replicates}; expected 2 or more")
    estimate = np.atleast_1d(np.asarray(statistic(np.ones(n)), dtype=np.float64))
    jackknife = None
    if jackknife_blocks is not None:
        jackknife = np.array(
            [_try(statistic, w, estimate) for w in units.without(jackknife_blocks)]
        )
    rows = np.empty((replicates, estimate.size))
    for number in range(replicates):
        weights = units.draw(np.random.default_rng([seed, number]))
        rows[number] = _try(statistic, weights, estimate)
    return Bootstrap(
        estimate=estimate, replicates=rows, jackknife=jackknife, n_units=units.count, seed=seed
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Units:
    """What is drawn: for each row its unit, and the units of each stratum."""

    row_unit: NDArray[np.int64]
    strata: tuple[NDArray[np.int64], ...]
    count: int

    @classmethod
    def of(cls, n: int, cluster: ArrayLike | None, strata: ArrayLike | None) -> _Units:
        if n < 1:
            raise DataError("there are no rows to draw from")
        unit, count = np.arange(n), n
        if cluster is not None:
            _, unit = np.unique(_labels(cluster, n, "cluster"), return_inverse=True)
            count = int(unit.max()) + 1
        if strata is None:
            return cls(row_unit=unit, strata=(np.arange(count),), count=count)
        _, stratum = np.unique(_labels(strata, n, "strata"), return_inverse=True)
        of_unit = np.empty(count, dtype=np.int64)
        of_unit[unit] = stratum
        if (of_unit[unit] != stratum).any():
            raise DataError("a cluster lies in two strata; expected each cluster in one")
        parts = tuple(np.flatnonzero(of_unit == s) for s in range(int(stratum.max()) + 1))
        return cls(row_unit=unit, strata=parts, count=count)

    def draw(self, generator: np.random.Generator) -> NDArray[np.float64]:
        times = np.zeros(self.count)
        for units in self.strata:
            drawn = units[generator.integers(0, units.size, units.size)]
            times += np.bincount(drawn, minlength=self.count)
        return times[self.row_unit]

    def without(self, blocks: int) -> Iterator[NDArray[np.float64]]:
        """Weights with one block of units left out at a time; units are dealt out in turn."""
        if blocks < 2:
            raise ConfigError(f"jackknife_blocks={blocks}; expected 2 or more")
        blocks = min(blocks, self.count)
        block = np.arange(self.count) % blocks
        for left_out in range(blocks):
            yield (block[self.row_unit] != left_out).astype(np.float64)


def _try(
    statistic: Statistic, weights: NDArray[np.float64], estimate: NDArray[np.float64]
) -> NDArray[np.float64]:
    try:
        return np.atleast_1d(np.asarray(statistic(weights), dtype=np.float64))
    except NotEstimable:
        return np.full(estimate.size, np.nan)


def _acceleration(jackknife: NDArray[np.float64]) -> float:
    values = jackknife[np.isfinite(jackknife)]
    if values.size < 2:
        raise NotEstimable("the statistic does not exist without each block of patients in turn")
    away = values.mean() - values
    spread = float(np.sum(away**2))
    return float(np.sum(away**3) / (6.0 * spread**1.5)) if spread > 0.0 else 0.0


def _labels(labels: ArrayLike, n: int, name: str) -> NDArray[np.generic]:
    array = np.asarray(labels)
    if array.shape != (n,):
        raise DataError(f"{name} has shape {array.shape}; expected ({n},), one label per row")
    return array


def _tail(level: float) -> float:
    if not 0.0 < level < 1.0:
        raise ConfigError(f"the confidence level is {level}; expected a number between 0 and 1")
    return 0.5 * (1.0 - level)
