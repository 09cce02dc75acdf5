"""Agreement of repeated measurements: intraclass correlation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtri

from metastra.errors import ConfigError, DataError, NotEstimable

__all__ = ["IccModel", "IntraclassCorrelation", "intraclass_correlation"]


class IccModel(StrEnum):
    """Which sources of variation count against agreement (Shrout and Fleiss 1979)."""

    ONE_WAY = "icc(1,1)"
    """Each subject has raters of its own."""
    ABSOLUTE = "icc(2,1)"
    """The same raters for all, drawn from many; their systematic differences count."""
    CONSISTENCY = "icc(3,1)"
    """The same raters for all, and only these; their systematic differences do not count."""


@dataclass(frozen=True, kw_only=True)
class IntraclassCorrelation:
    """Agreement of single measurements.

    Parameters
    ----------
    estimate : float
        Share of the variance that lies between subjects; may be negative.
    lower, upper : float
        Limits from the F distribution.
    n, k : int
        Subjects and measurements of each.
    model : IccModel
        What counts against agreement.
    level : float
        Confidence level.
    """

    estimate: float
    lower: float
    upper: float
    n: int
    k: int
    model: IccModel
    level: float


@dataclass(frozen=True, kw_only=True)
class _MeanSquares:
    between: float
    within: float
    raters: float
    error: float
    n: int
    k: int


def intraclass_correlation(
    ratings: ArrayLike, *, model: IccModel | str = IccModel.ABSOLUTE, level: float = 0.95
) -> IntraclassCorrelation:
    """Measure how far repeated measurements of the same subjects agree.

    Parameters
    ----------
    ratings : array_like of shape (n, k)
        One row for each subject, one column for each scan, reader or block; none missing.
    model : IccModel or str
        What counts against agreement.
    level : float
        Confidence level.

    Returns
    -------
    IntraclassCorrelation
        Of a single measurement.

    Raises
    ------
    ConfigError
        When the model is unknown or the level outside (0, 1).
    DataError
        When the ratings are not a table of numbers.
    NotEstimable
        For fewer than two subjects or measurements, or when nothing varies.

    Notes
    -----
    Shrout and Fleiss 1979; limits of the two-way absolute form by McGraw and Wong 1996.

    Examples
    --------
    >>> table = [
    ...     [9, 2, 5, 8],
    ...     [6, 1, 3, 2],
    ...     [8, 4, 6, 8],
    ...     [7, 1, 2, 6],
    ...     [10, 5, 6, 9],
    ...     [6, 2, 4, 7],
    ... ]
    >>> icc = intraclass_correlation(table, model="icc(2,1)")
    >>> round(icc.estimate, 2), round(icc.lower, 2), round(icc.upper, 2)
    (0.29, 0.02, 0.76)
    """
    try:
        chosen = IccModel(model)
    except ValueError as error:
        known = ", ".join(IccModel)
        raise ConfigError(f"the model {model!r} is unknown; expected {known}") from error
    if not 0.0 < level < 1.0:
        raise ConfigError(f"the confidence level is {level}; expected a number between 0 and 1")
    squares = _mean_squares(np.asarray(ratings, dtype=np.float64))
    tail = 0.5 * (1.0 + level)
    if chosen is IccModel.ABSOLUTE:
        estimate, lower, upper = _absolute(squares, tail)
    else:
        one_way = chosen is IccModel.ONE_WAY
        noise = squares.within if one_way else squares.error
        df = squares.n * (squares.k - 1) if one_way else (squares.n - 1) * (squares.k - 1)
        estimate, lower, upper = _ratio(squares, noise, df, tail)
    return IntraclassCorrelation(
        estimate=estimate,
        lower=lower,
        upper=upper,
        n=squares.n,
        k=squares.k,
        model=chosen,
        level=level,
    )


def _mean_squares(table: NDArray[np.float64]) -> _MeanSquares:
    if table.ndim != 2 or not np.isfinite(table).all():
        raise DataError(
            "ratings must be a table of numbers, none missing: subjects by measurements"
        )
    n, k = table.shape
    if n < 2 or k < 2:
        raise NotEstimable(f"{n} subjects with {k} measurements have no intraclass correlation")
    grand = table.mean()
    subject, rater = table.mean(axis=1), table.mean(axis=0)
    between = k * float(np.sum((subject - grand) ** 2)) / (n - 1)
    raters = n * float(np.sum((rater - grand) ** 2)) / (k - 1)
    within = float(np.sum((table - subject[:, None]) ** 2)) / (n * (k - 1))
    residual = table - subject[:, None] - rater[None, :] + grand
    error = float(np.sum(residual**2)) / ((n - 1) * (k - 1))
    # what rounding leaves of a variance of 0
    noise = 1e-26 * float(np.mean(table**2)) * n * k
    between, raters, within, error = (
        0.0 if square < noise else square for square in (between, raters, within, error)
    )
    if between == 0.0 and within == 0.0:
        raise NotEstimable("all ratings are equal, so agreement has no value")
    return _MeanSquares(between=between, within=within, raters=raters, error=error, n=n, k=k)


def _ratio(squares: _MeanSquares, noise: float, df: int, tail: float) -> tuple[float, float, float]:
    k = squares.k
    estimate = (squares.between - noise) / (squares.between + (k - 1) * noise)
    if noise == 0.0:
        return 1.0, 1.0, 1.0
    f = squares.between / noise
    low = f / float(fdtri(squares.n - 1, df, tail))
    high = f * float(fdtri(df, squares.n - 1, tail))
    return estimate, (low - 1.0) / (low + k - 1.0), (high - 1.0) / (high + k - 1.0)


def _absolute(squares: _MeanSquares, tail: float) -> tuple[float, float, float]:
    n, k = squares.n, squares.k
    raters, error, between = squares.raters, squares.error, squares.between
    rho = (between - error) / (between + (k - 1) * error + k * (raters - error) / n)
    if error == 0.0 and raters == 0.0:
        return 1.0, 1.0, 1.0
    a = k * rho / (n * (1.0 - rho))
    b = 1.0 + k * rho * (n - 1) / (n * (1.0 - rho))
    df = (a * raters + b * error) ** 2 / (
        (a * raters) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    )
    noise = k * raters + (k * n - k - n) * error
    f_low, f_high = float(fdtri(n - 1, df, tail)), float(fdtri(df, n - 1, tail))
    lower = n * (between - f_low * error) / (f_low * noise + n * between)
    upper = n * (f_high * between - error) / (noise + n * f_high * between)
    return rho, lower, upper
