"""Covariates checked on the way in, and information matrices inverted on the way out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import DataError, NotEstimable

__all__ = ["as_covariates", "check_names", "inverse"]

_Array = NDArray[np.float64]


def as_covariates(values: ArrayLike, width: int | None, names: tuple[str, ...] = ()) -> _Array:
    """Check a matrix of covariates.

    Parameters
    ----------
    values : array_like of shape (r, p)
        Numbers, none missing.
    width : int or None
        Expected p; any when None.
    names : tuple of str
        Of the columns, for messages.

    Returns
    -------
    ndarray of shape (r, p), float64
        The values.

    Raises
    ------
    DataError
        When the shape is wrong or a value is missing or infinite.

    Examples
    --------
    >>> as_covariates([[1, 2], [3, 4]], 2).shape
    (2, 2)
    """
    try:
        x = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"covariates hold something that is not a number: {error}") from error
    if x.ndim != 2 or (width is not None and x.shape[1] != width):
        expected = f"(rows, {width})" if width is not None else "(rows, covariates)"
        raise DataError(f"covariates have shape {x.shape}; expected {expected}")
    bad = ~np.isfinite(x)
    if bad.any():
        rows = (np.flatnonzero(bad.any(axis=1)) + 1).tolist()
        columns = np.flatnonzero(bad.any(axis=0)).tolist()
        which = [names[column] if names else f"column {column + 1}" for column in columns]
        raise DataError(
            f"covariates are missing or infinite in {len(rows)} rows ({rows[:8]}): "
            f"{', '.join(which)}"
        )
    return x


def inverse(information: _Array) -> _Array:
    """Invert an information matrix, scaled to a unit diagonal first.

    Parameters
    ----------
    information : ndarray of shape (p, p)
        Positive definite.

    Returns
    -------
    ndarray of shape (p, p)
        Its inverse.

    Raises
    ------
    NotEstimable
        When it is singular.

    Examples
    --------
    >>> inverse(np.array([[4.0]])).tolist()
    [[0.25]]
    """
    scale = np.sqrt(np.diag(information))
    try:
        scaled = np.linalg.inv(information / np.outer(scale, scale))
    except np.linalg.LinAlgError as error:
        raise NotEstimable("no standard errors: the information matrix is singular") from error
    return np.asarray(scaled / np.outer(scale, scale))


def check_names(names: Sequence[str] | None, width: int) -> tuple[str, ...]:
    """Name the covariates.

    Parameters
    ----------
    names : sequence of str or None
        One distinct name for each column; ``x1, x2, …`` when None.
    width : int
        Number of columns.

    Returns
    -------
    tuple of str
        The names.

    Raises
    ------
    DataError
        When their number is wrong or one comes twice.

    Examples
    --------
    >>> check_names(None, 2)
    ('x1', 'x2')
    """
    labels = tuple(f"x{k + 1}" for k in range(width)) if names is None else tuple(names)
    if len(labels) != width or len(set(labels)) != len(labels):
        raise DataError(f"names are {labels}; expected {width} distinct names")
    return labels
