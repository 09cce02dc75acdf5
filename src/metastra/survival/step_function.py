"""A right-continuous step function that knows where its data end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import NotEstimable

__all__ = ["StepFunction"]


@dataclass(frozen=True, kw_only=True, eq=False)
class StepFunction:
    """A function that is constant between jumps and takes its new value *at* the jump.

    Survival curves, cumulative hazards, cumulative incidences and the distribution of censoring
    are all of this kind.

    Parameters
    ----------
    times : ndarray of shape (m,)
        Ascending, distinct; in the unit of the outcome.
    values : ndarray of shape (m,)
        Value from ``times[j]`` on.
    before : float
        Value before the first time: 1 for a survival curve, 0 for an incidence.
    support_end : float
        Last time the data speak about; infinite where the value cannot change any more.

    Examples
    --------
    >>> curve = StepFunction(
    ...     times=np.array([2.0, 5.0]), values=np.array([0.8, 0.4]), before=1.0, support_end=6.0
    ... )
    >>> curve([0.0, 2.0, 4.9, 5.0]).tolist()
    [1.0, 0.8, 0.8, 0.4]
    >>> curve.left([2.0, 5.0]).tolist()
    [1.0, 0.8]
    """

    times: NDArray[np.float64]
    values: NDArray[np.float64]
    before: float
    support_end: float = np.inf

    def __call__(self, time: ArrayLike, *, extend: bool = False) -> NDArray[np.float64]:
        """Value at a time, the jump at that time included.

        Parameters
        ----------
        time : array_like
            Any shape.
        extend : bool
            Carry the last value past the end of the data instead of refusing.

        Returns
        -------
        ndarray
            Of the shape of `time`.

        Raises
        ------
        NotEstimable
            When a time lies past `support_end` and `extend` is not set.
        """
        return self._lookup(time, side="right", extend=extend)

    def left(self, time: ArrayLike, *, extend: bool = False) -> NDArray[np.float64]:
        """Value just before a time, written ``f(t-)``.

        Parameters
        ----------
        time : array_like
            Any shape.
        extend : bool
            Carry the last value past the end of the data instead of refusing.

        Returns
        -------
        ndarray
            Of the shape of `time`.

        Raises
        ------
        NotEstimable
            When a time lies past `support_end` and `extend` is not set.
        """
        return self._lookup(time, side="left", extend=extend)

    def index(self, time: ArrayLike) -> NDArray[np.int64]:
        """Position of the last jump at or before a time; -1 before the first.

        Parameters
        ----------
        time : array_like
            Any shape.

        Returns
        -------
        ndarray of int64
            Of the shape of `time`.
        """
        return np.searchsorted(self.times, np.asarray(time, dtype=np.float64), side="right") - 1

    def _lookup(self, time: ArrayLike, *, side: str, extend: bool) -> NDArray[np.float64]:
        at = np.asarray(time, dtype=np.float64)
        if not extend and at.size and (at > self.support_end).any():
            raise NotEstimable(
                f"nothing is known at time {float(at.max()):g}: "
                f"follow-up ends at {self.support_end:g}"
            )
        padded = np.concatenate([[self.before], self.values])
        if side == "right":
            return padded[np.searchsorted(self.times, at, side="right")]
        return padded[np.searchsorted(self.times, at, side="left")]
