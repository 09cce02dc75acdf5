"""The outcome of a follow-up: how long, what happened, and from when the patient was watched."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import DataError, Problem, Where
from metastra.survival.sorting_kernel import merge_ordered, stable_order

__all__ = ["Outcome", "merge_near_ties"]

_TIE_TOLERANCE = float(np.sqrt(np.finfo(np.float64).eps))
"""Relative distance below which two times are one: the rule of R's ``survival`` (`timefix`)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """Follow-up of `n` patients, one entry per patient.

    The constructor validates once; every function that takes an `Outcome` trusts it.

    Parameters
    ----------
    time : array_like of shape (n,)
        Time from the time origin to the event or to the end of follow-up, in one unit of the
        caller's choice (metastra stores days).  Finite and not negative.  Times that differ only
        by floating-point noise (relative distance below 1.5e-8) are made equal, as R does.
    event : array_like of shape (n,)
        ``0`` censored, ``1`` the event of interest, ``2, 3, …`` competing events.  Booleans are
        accepted for a single event.
    entry : array_like of shape (n,), optional
        Delayed entry (left truncation): the time from which the patient was under observation.
        Strictly before `time`.  Without it everybody is watched from 0.

    Raises
    ------
    DataError
        With *all* problems; rows are 1-based positions in the arrays.

    Notes
    -----
    One convention for ties everywhere: an event at time t comes before a censoring at t, so the
    patient censored at t is still at risk at t; numbers at risk are counted just before t.

    Examples
    --------
    >>> y = Outcome(time=[5.0, 8.0, 8.0], event=[1, 0, 2])
    >>> y.n, y.n_events(1), y.n_events(2)
    (3, 1, 1)
    """

    time: NDArray[np.float64]
    event: NDArray[np.int64]
    entry: NDArray[np.float64] | None = field(default=None)

    def __init__(
        self, *, time: ArrayLike, event: ArrayLike, entry: ArrayLike | None = None
    ) -> None:
        times = _as_vector(time, "time")
        raw_event = np.asarray(event)
        problems = _time_problems(times)
        events, event_problems = _as_events(raw_event, times.size)
        problems += event_problems
        entries = None
        if entry is not None:
            entries = _as_vector(entry, "entry")
            problems += _entry_problems(entries, times)
        if problems:
            raise DataError("the outcome cannot be used", problems)
        if entries is None:
            times, order = _merged(times)
            self.__dict__["order"] = order
        else:
            merged = merge_near_ties(np.concatenate([times, entries]))
            times, entries = merged[: times.size], merged[times.size :]
        for name, value in (("time", times), ("event", events), ("entry", entries)):
            if value is not None:
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    @property
    def n(self) -> int:
        """Number of patients."""
        return int(self.time.size)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Positions of the patients in the order of their times."""
        return stable_order(self.time)

    @property
    def causes(self) -> tuple[int, ...]:
        """Codes of the events that occur, ascending; without 0."""
        return tuple(int(code) for code in np.unique(self.event) if code != 0)

    def n_events(self, cause: int | None = None) -> int:
        """Count the patients who had an event.

        Parameters
        ----------
        cause : int, optional
            The event's code; any event when left out.

        Returns
        -------
        int
            Number of patients.
        """
        return int(np.count_nonzero(self.event if cause is None else self.event == cause))

    def take(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> Outcome:
        """Select patients, for instance a bootstrap draw or a subgroup.

        Parameters
        ----------
        index : ndarray
            Positions (repeats allowed) or a mask of shape (n,).

        Returns
        -------
        Outcome
            Of the selected patients, not validated again.
        """
        return _unchecked(
            self.time[index], self.event[index], None if self.entry is None else self.entry[index]
        )

    def any_event(self) -> Outcome:
        """Treat every cause as the event of interest.

        Returns
        -------
        Outcome
            With codes 0 and 1 only.
        """
        return _unchecked(self.time, (self.event != 0).astype(np.int64), self.entry)

    def only(self, cause: int = 1) -> Outcome:
        """Make one cause the event and censor the others (the cause-specific view).

        Parameters
        ----------
        cause : int
            The event's code.

        Returns
        -------
        Outcome
            With codes 0 and 1 only.
        """
        return _unchecked(self.time, (self.event == cause).astype(np.int64), self.entry)

    def censored_as_event(self) -> Outcome:
        """Reverse the roles: the end of follow-up becomes the event.

        Returns
        -------
        Outcome
            For the reverse Kaplan–Meier estimate of follow-up.
        """
        return _unchecked(self.time, (self.event == 0).astype(np.int64), self.entry)

    def until(self, horizon: float) -> Outcome:
        """End everybody's follow-up at a horizon (administrative censoring).

        Parameters
        ----------
        horizon : float
            In the unit of `time`.  An event exactly at the horizon counts.

        Returns
        -------
        Outcome
            Patients who enter at or after the horizon are left out.
        """
        time = np.minimum(self.time, horizon)
        event = np.where(self.time <= horizon, self.event, 0)
        if self.entry is None:
            return _unchecked(time, event, None)
        keep = self.entry < horizon
        return _unchecked(time[keep], event[keep], self.entry[keep])


def merge_near_ties(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make times that differ only by rounding noise equal.

    Parameters
    ----------
    times : ndarray of shape (n,)
        Finite.

    Returns
    -------
    ndarray of shape (n,)
        A copy, in which each run of neighbours closer than ``sqrt(eps)`` times the mean absolute
        time carries the run's first value.

    Notes
    -----
    The rule is the one of R's ``survival::aeqSurv``: neighbours ``d`` apart are one time if
    ``d <= tolerance`` or ``d / mean(|times|) <= tolerance``.

    Examples
    --------
    >>> merge_near_ties(np.array([0.3, 0.1 + 0.2, 1.0])).tolist()
    [0.3, 0.3, 1.0]
    """
    return _merged(times)[0]


def _merged(times: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Make near ties equal, and give the order of the times, which that does not change."""
    order = stable_order(times)
    return merge_ordered(times, order, _TIE_TOLERANCE), order


def _unchecked(
    time: NDArray[np.float64], event: NDArray[np.int64], entry: NDArray[np.float64] | None
) -> Outcome:
    """Build an outcome from parts of one that was validated."""
    outcome = object.__new__(Outcome)
    object.__setattr__(outcome, "time", time)
    object.__setattr__(outcome, "event", event)
    object.__setattr__(outcome, "entry", entry)
    return outcome


def _as_vector(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        vector = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} holds something that is not a number: {error}") from error
    if vector.ndim != 1:
        raise DataError(f"{name} has shape {vector.shape}; expected one entry per patient")
    return vector


def _rows(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(row) + 1 for row in np.flatnonzero(mask))


def _time_problems(times: NDArray[np.float64]) -> list[Problem]:
    problems = []
    if not times.size:
        problems.append(
            Problem(code="EP004", where=Where(column="time"), found="no patients at all")
        )
    bad = ~np.isfinite(times)
    if bad.any():
        problems.append(
            Problem(
                code="EP004",
                where=Where(column="time", rows=_rows(bad)),
                found="missing or infinite time",
                expected="a finite number",
            )
        )
    with np.errstate(invalid="ignore"):
        negative = times < 0
    if negative.any():
        problems.append(
            Problem(
                code="EP005",
                where=Where(column="time", rows=_rows(negative)),
                found="follow-up ends before it begins",
                expected="a time of 0 or more",
            )
        )
    return problems


def _as_events(raw: NDArray[np.generic], n: int) -> tuple[NDArray[np.int64], list[Problem]]:
    empty = np.zeros(n, dtype=np.int64)
    if raw.shape != (n,):
        raise DataError(f"event has shape {raw.shape}; expected ({n},), one entry per patient")
    if raw.dtype == np.bool_ or np.issubdtype(raw.dtype, np.integer):
        values = raw.astype(np.float64)
    else:
        values = _as_vector(raw, "event")
    missing = ~np.isfinite(values)
    problems = []
    if missing.any():
        problems.append(
            Problem(
                code="EP002",
                where=Where(column="event", rows=_rows(missing)),
                found="missing status",
                expected="0 for censored, 1 for the event, 2 and up for competing events",
                hint="a missing status is never taken for censored",
            )
        )
    unknown = ~missing & ((values != np.round(values)) | (values < 0))
    if unknown.any():
        problems.append(
            Problem(
                code="EP001",
                where=Where(column="event", rows=_rows(unknown)),
                found="an event code that is negative or not whole",
                expected="0, 1, 2, …",
            )
        )
    return (empty if problems else values.astype(np.int64)), problems


def _entry_problems(entries: NDArray[np.float64], times: NDArray[np.float64]) -> list[Problem]:
    if entries.shape != times.shape:
        raise DataError(f"entry has shape {entries.shape}; expected {times.shape}")
    with np.errstate(invalid="ignore"):
        bad = ~(np.isfinite(entries) & (entries < times))
    if not bad.any():
        return []
    return [
        Problem(
            code="EP007",
            where=Where(column="entry", rows=_rows(bad)),
            found="observation begins at or after its end, or the entry is missing",
            expected="entry < time",
        )
    ]
