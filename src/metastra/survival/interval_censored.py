"""Events that are only known to lie between two examinations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import DataError
from metastra.survival.outcome import Outcome, merge_near_ties

__all__ = ["Imputation", "IntervalCensored"]

_Array = NDArray[np.float64]


class Imputation(StrEnum):
    """Which single time stands for an interval."""

    MIDPOINT = "midpoint"
    """Half-way between the last scan without and the first scan with the event."""
    RIGHT = "right"
    """The scan that found the event: what most studies record as the event's date."""
    GRACE = "grace"
    """The scan that found it, but a scan up to a grace window late counts at the horizon."""


@dataclass(frozen=True, kw_only=True, eq=False)
class IntervalCensored:
    """When the event of each of `n` patients happened, as far as examinations tell.

    Parameters
    ----------
    left : array_like of shape (n,)
        Last time a patient was known to be free of the event, in one unit of the caller's choice
        (metastra stores days); 0 where no examination came before.  Finite, not negative.
    right : array_like of shape (n,)
        First time the event was known to have happened.  The event lies in ``(left, right]``.
        Infinite for a patient never found with the event (right-censored at `left`); equal to
        `left` for an event whose time is known exactly, for instance a death.

    Raises
    ------
    DataError
        When there is no patient, shapes differ, a value is missing, or an interval ends before
        it begins.  All reasons are listed, with the rows.

    Notes
    -----
    Times that differ only by floating-point noise are made equal, as in `Outcome`.  A patient
    examined free of the event at t is free of it at t: the interval is open on the left.

    Examples
    --------
    >>> found = IntervalCensored(left=[0, 180, 365, 200], right=[180, 365, np.inf, 200])
    >>> found.n, found.n_found, found.n_exact
    (4, 3, 1)
    """

    left: _Array
    right: _Array

    def __init__(self, *, left: ArrayLike, right: ArrayLike) -> None:
        starts, ends = _vector(left, "left"), _vector(right, "right")
        if starts.shape != ends.shape:
            raise DataError(f"left has shape {starts.shape} and right {ends.shape}; expected one")
        _refuse(starts, ends)
        finite = np.isfinite(ends)
        merged = merge_near_ties(np.concatenate([starts, ends[finite]]))
        ends = ends.copy()
        starts, ends[finite] = merged[: starts.size], merged[starts.size :]
        for name, value in (("left", starts), ("right", ends)):
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    @property
    def n(self) -> int:
        """Number of patients."""
        return int(self.left.size)

    @property
    def found(self) -> NDArray[np.bool_]:
        """Whether the event was found, of shape (n,)."""
        return np.isfinite(self.right)

    @property
    def n_found(self) -> int:
        """Number of patients found with the event."""
        return int(np.count_nonzero(self.found))

    @property
    def n_exact(self) -> int:
        """Number of patients whose event has an exact time."""
        return int(np.count_nonzero(self.left == self.right))

    def take(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> IntervalCensored:
        """Select patients.

        Parameters
        ----------
        index : ndarray
            Positions (repeats allowed) or a mask of shape (n,).

        Returns
        -------
        IntervalCensored
            Of the selected patients.

        Raises
        ------
        DataError
            When nobody is selected.
        """
        return IntervalCensored(left=self.left[index], right=self.right[index])

    def n_straddling(self, horizon: float) -> int:
        """Count the patients whose event may lie on either side of a horizon.

        Parameters
        ----------
        horizon : float
            In the unit of `left`.

        Returns
        -------
        int
            Patients found with the event and ``left < horizon < right``.
        """
        return int(np.count_nonzero(self.found & (self.left < horizon) & (self.right > horizon)))

    def imputed(
        self,
        rule: Imputation,
        *,
        horizon: float | None = None,
        grace: float | None = None,
        competing: ArrayLike | None = None,
    ) -> Outcome:
        """Put one time in the place of each interval.

        Parameters
        ----------
        rule : Imputation
            ``midpoint``, ``right`` or ``grace``.
        horizon, grace : float, optional
            For ``grace`` only, and needed there.  A patient not known free at the horizon whose
            event is found within ``(horizon, horizon + grace]`` has it at the horizon; a patient
            known free at the horizon has not.
        competing : array_like of shape (n,), optional
            For patients never found with the event: code (2, 3, …) of a competing event that
            ended their watch at `left`; 0 elsewhere.

        Returns
        -------
        Outcome
            Events of code 1 at the imputed time; the others end at `left`.

        Raises
        ------
        DataError
            When `competing` does not fit the patients.

        Examples
        --------
        >>> found = IntervalCensored(left=[0, 540, 800], right=[200, 790, np.inf])
        >>> found.imputed(Imputation.MIDPOINT).time.tolist()
        [100.0, 665.0, 800.0]
        >>> found.imputed(Imputation.GRACE, horizon=730, grace=90).time.tolist()
        [200.0, 730.0, 800.0]
        """
        if rule is Imputation.GRACE and not _usable(horizon, grace):
            raise DataError(
                f"horizon is {horizon} and grace is {grace}; expected a positive horizon and a "
                "grace window of 0 or more for this imputation"
            )
        ends = np.where(self.found, self.right, self.left)
        if rule is Imputation.MIDPOINT:
            ends = 0.5 * (self.left + ends)
        elif rule is Imputation.GRACE and horizon is not None and grace is not None:
            late = (self.left < horizon) & (ends > horizon) & (ends <= horizon + grace)
            ends = np.where(late & self.found, horizon, ends)
        event = self.found.astype(np.int64)
        if competing is not None:
            event = np.where(self.found, event, self._competing(competing))
        return Outcome(time=ends, event=event)

    def _competing(self, codes: ArrayLike) -> NDArray[np.int64]:
        given = np.asarray(codes)
        if given.shape != (self.n,) or given.dtype.kind not in "iu" or (given < 0).any():
            raise DataError(
                f"competing has shape {given.shape} and type {given.dtype}; expected ({self.n},) "
                "whole codes: 0, or 2 and up"
            )
        values = given.astype(np.int64)
        wrong = np.flatnonzero((values == 1) | ((values != 0) & self.found)) + 1
        if wrong.size:
            raise DataError(
                f"competing is set in rows {wrong[:8].tolist()} ({wrong.size} in all) where the "
                "event of interest was found, or has its code 1; expected 0, or 2 and up for "
                "patients never found with it"
            )
        return values


def _usable(horizon: float | None, grace: float | None) -> bool:
    return horizon is not None and grace is not None and horizon > 0.0 and grace >= 0.0


def _vector(values: ArrayLike, name: str) -> _Array:
    try:
        vector = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} holds something that is not a number: {error}") from error
    if vector.ndim != 1 or not vector.size:
        raise DataError(f"{name} has shape {vector.shape}; expected one entry per patient")
    return vector


def _refuse(left: _Array, right: _Array) -> None:
    """List everything that is wrong with the intervals."""
    with np.errstate(invalid="ignore"):
        checks = (
            (~np.isfinite(left), "left is missing or infinite"),
            (left < 0.0, "left is negative"),
            (np.isnan(right), "right is missing (an event never found has right = inf)"),
            (right < left, "right lies before left"),
        )
    reasons = [
        f"{what} in rows {(np.flatnonzero(bad) + 1)[:8].tolist()} ({np.count_nonzero(bad)} in all)"
        for bad, what in checks
        if bad.any()
    ]
    if reasons:
        raise DataError("the intervals cannot be used: " + "; ".join(reasons))
