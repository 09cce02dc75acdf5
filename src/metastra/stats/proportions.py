"""Exact and score intervals of a proportion."""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv, ndtri

from metastra.errors import ConfigError, NotEstimable

__all__ = ["clopper_pearson_interval", "wilson_interval"]


def wilson_interval(count: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a proportion.

    Parameters
    ----------
    count : int
        Successes, 0 to `n`.
    n : int
        Trials.
    level : float
        Confidence level.

    Returns
    -------
    lower, upper : float
        Inside [0, 1].

    Raises
    ------
    ConfigError
        When the count is outside 0 to n or the level outside (0, 1).
    NotEstimable
        When there are no trials.

    Notes
    -----
    Wilson 1927, without continuity correction.  Close to its level on average; a single interval
    may cover a little less.

    Examples
    --------
    >>> [round(limit, 4) for limit in wilson_interval(8, 10)]
    [0.4902, 0.9433]
    """
    _check(count, n, level)
    z = float(ndtri(0.5 * (1.0 + level)))
    share = count / n
    centre = (share + z * z / (2.0 * n)) / (1.0 + z * z / n)
    half = z * float(np.sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n))) / (1.0 + z * z / n)
    lower = 0.0 if count == 0 else centre - half
    upper = 1.0 if count == n else centre + half
    return lower, upper


def clopper_pearson_interval(count: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a proportion.

    Parameters
    ----------
    count : int
        Successes, 0 to `n`.
    n : int
        Trials.
    level : float
        Confidence level.

    Returns
    -------
    lower, upper : float
        Inside [0, 1].

    Raises
    ------
    ConfigError
        When the count is outside 0 to n or the level outside (0, 1).
    NotEstimable
        When there are no trials.

    Notes
    -----
    Clopper and Pearson 1934: never covers less than its level, usually more.

    Examples
    --------
    >>> [round(limit, 4) for limit in clopper_pearson_interval(8, 10)]
    [0.4439, 0.9748]
    """
    _check(count, n, level)
    tail = 0.5 * (1.0 - level)
    lower = 0.0 if count == 0 else float(betaincinv(count, n - count + 1, tail))
    upper = 1.0 if count == n else float(betaincinv(count + 1, n - count, 1.0 - tail))
    return lower, upper


def _check(count: int, n: int, level: float) -> None:
    if n <= 0:
        raise NotEstimable(f"a proportion of {n} has no interval")
    if not 0 <= count <= n:
        raise ConfigError(f"{count} successes of {n}; expected 0 to {n}")
    if not 0.0 < level < 1.0:
        raise ConfigError(f"the confidence level is {level}; expected a number between 0 and 1")
