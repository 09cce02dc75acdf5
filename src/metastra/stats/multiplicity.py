"""P-values of several tests at once, adjusted so that they can be read against one level."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import DataError

__all__ = ["adjust_benjamini_hochberg", "adjust_holm"]


def adjust_holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p-values for the family-wise error.

    Parameters
    ----------
    p_values : array_like of shape (m,)
        From any tests, dependent or not.

    Returns
    -------
    ndarray of shape (m,)
        In the order given; those at or under alpha are rejected with family-wise error alpha.

    Raises
    ------
    DataError
        When a value is missing or outside [0, 1].

    Notes
    -----
    Holm 1979; R's ``p.adjust(method = "holm")``.

    Examples
    --------
    >>> adjust_holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    factor = np.arange(p.size, 0, -1)
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(np.maximum.accumulate(factor * p[order]), 1.0)
    return adjusted


def adjust_benjamini_hochberg(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p-values for the false discovery rate.

    Parameters
    ----------
    p_values : array_like of shape (m,)
        From independent or positively dependent tests.

    Returns
    -------
    ndarray of shape (m,)
        In the order given.

    Raises
    ------
    DataError
        When a value is missing or outside [0, 1].

    Notes
    -----
    Benjamini and Hochberg 1995; R's ``p.adjust(method = "BH")``.

    Examples
    --------
    >>> adjust_benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")[::-1]
    factor = p.size / np.arange(p.size, 0, -1)
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(np.minimum.accumulate(factor * p[order]), 1.0)
    return adjusted


def _checked(p_values: ArrayLike) -> NDArray[np.float64]:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0.0) & (p <= 1.0)).all():
        raise DataError("p-values must be a list of numbers from 0 to 1, none missing")
    return p
