"""A finished endpoint: follow-up of every patient, and why some are not part of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from metastra.cohort.hierarchy import Occurrence
from metastra.errors import DataError, NotEstimable, Problem, Severity
from metastra.study.endpoints import Endpoint
from metastra.survival.outcome import Outcome

__all__ = ["BuiltEndpoint", "NotIncluded"]


class NotIncluded(StrEnum):
    """Why a patient has no follow-up for an endpoint."""

    EVENT_BEFORE = "event-before-time-zero"
    """The event had happened by time zero, so it could not happen again."""
    COMPETING_BEFORE = "competing-event-before-time-zero"
    """A competing event had happened by time zero, for instance another first site."""
    DEATH_BEFORE = "death-before-time-zero"
    """Died inside the synchronous window."""
    LOST_BEFORE = "follow-up-ended-before-time-zero"
    """Follow-up ended inside the synchronous window."""
    EVENT_BEFORE_ENTRY = "event-before-entry"
    """The event, or a competing one, came before the patient was watched."""
    NO_PROCEDURE = "no-procedure"
    """No procedure on a metastasis, for endpoints after metastasis."""
    DAY_ZERO = "day-zero"
    """Follow-up ends on the day it begins, and the study excludes such patients."""
    REFUSED = "refused"
    """A problem with the patient's data; the problems say which."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BuiltEndpoint:
    """An endpoint of n patients, one entry per patient in the order they were given.

    Parameters
    ----------
    name : str
        Of the endpoint, or of the time column for an endpoint without a name.
    definition : Endpoint or None
        From the dictionary; None for an endpoint given by columns alone.
    time_days : ndarray of shape (n,)
        Days from time zero to the event or the end of follow-up; NaN where not included.
    event : ndarray of shape (n,), int64
        0 censored, 1 event, 2 competing event; -1 where not included.
    entry_days : ndarray of shape (n,) or None
        Days from time zero to the start of observation; None when all are watched from time zero.
    interval_left_days : ndarray of shape (n,)
        For an event found at an examination: days from time zero to the last examination that did
        not show it, never below 0.  The event lies in ``(interval_left_days, time_days]``.  NaN
        where none is recorded, and for deaths, whose day is known.
    not_included : tuple of (NotIncluded or None)
        Reason for each patient; None where included.
    sentences : mapping of NotIncluded to str
        Each reason in the words of this study, for the flow diagram.
    unknown_site : ndarray of shape (n,), bool
        Patients who would have another outcome if a metastasis of unknown site were one of the
        endpoint's sites.
    unknown_cause : ndarray of shape (n,), bool
        Patients whose death without a recorded cause decides.
    decided_by : tuple of (Occurrence or None)
        What made the event or the competing event; None for censored patients and for finished
        columns.
    names : tuple of str
        Pseudonyms.
    rows : ndarray of shape (n,), int64
        Of the patients in the clinical table.
    file : str
        The clinical table.
    step_days : float
        Resolution of the recorded times: a table in whole months has steps of 30.4 days.
    problems : tuple of Problem
        What was found.
    """

    name: str
    definition: Endpoint | None
    time_days: NDArray[np.float64]
    event: NDArray[np.int64]
    entry_days: NDArray[np.float64] | None
    interval_left_days: NDArray[np.float64]
    not_included: tuple[NotIncluded | None, ...]
    sentences: Mapping[NotIncluded, str]
    unknown_site: NDArray[np.bool_]
    unknown_cause: NDArray[np.bool_]
    decided_by: tuple[Occurrence | None, ...]
    names: tuple[str, ...]
    rows: NDArray[np.int64]
    file: str = ""
    step_days: float = 1.0
    problems: tuple[Problem, ...] = field(default=())

    def __len__(self) -> int:
        return int(self.time_days.size)

    @property
    def included(self) -> NDArray[np.bool_]:
        """Who has follow-up for this endpoint, shape (n,)."""
        return np.array([reason is None for reason in self.not_included], dtype=np.bool_)

    @property
    def n_events(self) -> int:
        """Patients with the event."""
        return int(np.count_nonzero(self.event == 1))

    @property
    def n_competing(self) -> int:
        """Patients with a competing event."""
        return int(np.count_nonzero(self.event == 2))

    @property
    def refusals(self) -> tuple[Problem, ...]:
        """The problems for which the data are refused."""
        return tuple(item for item in self.problems if item.severity is Severity.REFUSE)

    def why(self, position: int) -> str:
        """Say why a patient is not included.

        Parameters
        ----------
        position : int
            Of the patient, from 0.

        Returns
        -------
        str
            A sentence for the flow diagram; empty for a patient who is included.
        """
        reason = self.not_included[position]
        return "" if reason is None else self.sentences[reason]

    def left_out(self) -> dict[str, int]:
        """Count the patients who are not included.

        Returns
        -------
        dict of str to int
            Sentence → number, in the order of `NotIncluded`; empty reasons are left out.
        """
        counts = {reason: self.not_included.count(reason) for reason in NotIncluded}
        return {self.sentences[reason]: n for reason, n in counts.items() if n}

    def outcome(self) -> Outcome:
        """Take the follow-up of the included patients, in days.

        Returns
        -------
        Outcome
            In the patients' order, without those who are not included.

        Raises
        ------
        DataError
            If a problem refuses the data, with all of them.
        NotEstimable
            If no patient is included.
        """
        if self.refusals:
            raise DataError(f"{self.name} cannot be built", self.refusals)
        keep = self.included
        if not keep.any():
            raise NotEstimable(f"{self.name}: none of {len(self)} patients is at risk")
        entry = None if self.entry_days is None else self.entry_days[keep]
        return Outcome(time=self.time_days[keep], event=self.event[keep], entry=entry)
