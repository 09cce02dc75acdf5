"""A status column beside the endpoint that the recorded events make: who disagrees, and how."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.endpoint_built import BuiltEndpoint
from metastra.cohort.endpoint_plausible import swapped_by_facts
from metastra.cohort.findings import Finding, gather
from metastra.cohort.hierarchy import Occurrence
from metastra.errors import Problem, Severity, Where
from metastra.study.vocabulary import EventType, Site
from metastra.units import DAYS_PER_UNIT

__all__ = ["compare_status"]

_CODED = {0: "censored", 1: "an event", 2: "a competing event"}
_ENOUGH_FOR_UNIT = 5
_UNIT_TOLERANCE = 0.05
"""A month of 30 days and one of 30.4375 are the same unit."""
_DEATHS = (EventType.DEATH, EventType.DEATH_OF_DISEASE, EventType.DEATH_OF_OTHER_CAUSE)


def compare_status(
    events: BuiltEndpoint, status: BuiltEndpoint, *, where: Where | None = None
) -> list[Problem]:
    """Compare a finished status column with the endpoint built from the recorded events.

    Parameters
    ----------
    events : BuiltEndpoint
        From `metastra.cohort.endpoint.build_endpoint`.
    status : BuiltEndpoint
        From `metastra.cohort.endpoint_status.status_endpoint`, the same patients in the same order.
    where : Where, optional
        The status column: file, cohort, column.

    Returns
    -------
    list of Problem
        EP010 for each kind of disagreement, with its rows and patients; or EP003 alone when the
        codes are swapped, or EP008 alone when the times are in another unit.  Follow-up that ends
        earlier in the status column than the last contact is no disagreement (it may end at the
        last examination) and is counted in a note.

    Raises
    ------
    ValueError
        If the two are not of the same patients.

    Notes
    -----
    Times may differ by one day, or by the step on which the status column is written: half a step
    of rounding on either side.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from metastra.cohort.endpoint import build_endpoint
    >>> from metastra.cohort.hierarchy import Course
    >>> from metastra.study.endpoints import endpoint_named
    >>> from metastra.study.sections import EndpointSection
    >>> death = Occurrence(type=EventType.DEATH, days=109.0)
    >>> pfs = endpoint_named("progression-free-survival")
    >>> courses = [Course(occurrences=(death,), row=14)]
    >>> events = build_endpoint(pfs, courses, EndpointSection(), names=["P-1"])
    >>> coded = replace(events, event=np.array([0]), time_days=np.array([98.0]))
    >>> print(compare_status(events, coded)[0].found)
    death without recurrence coded as censored (P-1: death on day 109, coded censored on day 98)
    """
    if events.names != status.names:
        raise ValueError("the recorded events and the status column are of different patients")
    place = where or Where(file=status.file)
    both = events.included & status.included
    swapped = _swapped(events, status, both, place)
    if swapped:
        return swapped
    other_unit = _other_unit(events, status, both, place)
    if other_unit:
        return other_unit
    tolerance = max(1.0, status.step_days)
    findings = []
    earlier = []
    for index in np.flatnonzero(both).tolist():
        built, coded = int(events.event[index]), int(status.event[index])
        by = events.decided_by[index]
        days = float(events.time_days[index]), float(status.time_days[index])
        gap = days[1] - days[0]
        if built != coded:
            headline = _disagreement(events, by, built, coded)
            detail = _detail(by, days, coded)
        elif abs(gap) <= tolerance:
            continue
        elif built == 0 and gap < 0:
            earlier.append(-gap)
            continue
        else:
            headline = "censored after the last contact" if built == 0 else "times differ"
            recorded = "last contact" if by is None else _what(by)
            detail = f"{recorded} on day {days[0]:g}, coded on day {days[1]:g}: {abs(gap):g} days"
        findings.append(
            Finding(
                code="EP010",
                headline=headline,
                name=status.names[index],
                row=int(status.rows[index]),
                file=place.file,
                column=place.column,
                detail=detail,
            )
        )
    return gather(findings, cohort=place.cohort) + _earlier_note(earlier, place)


def _swapped(
    events: BuiltEndpoint, status: BuiltEndpoint, both: NDArray[np.bool_], place: Where
) -> list[Problem]:
    agree = (
        float(np.mean((events.event != 0)[both] == (status.event != 0)[both]))
        if both.any()
        else 1.0
    )
    if agree >= 0.5:
        return []
    return swapped_by_facts(status.event[both], events.event[both] != 0, place)[1]


def _other_unit(
    events: BuiltEndpoint, status: BuiltEndpoint, both: NDArray[np.bool_], place: Where
) -> list[Problem]:
    """Look for one factor between two units in the times of patients with the same event."""
    same = both & (events.event == status.event) & (events.event != 0)
    same &= (events.time_days > 0) & (status.time_days > 0)
    if np.count_nonzero(same) < _ENOUGH_FOR_UNIT:
        return []
    ratio = float(np.median(status.time_days[same] / events.time_days[same]))
    units = list(DAYS_PER_UNIT.items())
    for declared, per_declared in units:
        for actual, per_actual in units:
            factor = per_declared / per_actual
            if declared is not actual and abs(ratio / factor - 1) < _UNIT_TOLERANCE:
                found = (
                    f"the coded times are {ratio:.3g} times the recorded ones: "
                    f"{actual} read as {declared}"
                )
                return [problem("EP008", found, where=place)]
    return []


def _disagreement(events: BuiltEndpoint, by: Occurrence | None, built: int, coded: int) -> str:
    if by is None:
        kind = "event" if coded == 1 else "competing event"
        return f"{kind} coded but nothing recorded that counts"
    kind = by.type.value.replace("-", " ")
    if by.type in _DEATHS:
        kind += _without_relapse(events)
    competing = " (competing)" if built == 2 else ""
    return f"{kind}{competing} coded as {_CODED[coded]}"


def _without_relapse(events: BuiltEndpoint) -> str:
    """Say what a death came without, where the endpoint also ends with a relapse."""
    rules = events.definition.event if events.definition is not None else ()
    relapses = [rule for rule in rules if EventType.RECURRENCE in rule.types]
    if not relapses:
        return ""
    return " without recurrence" if relapses[0].sites is None else " without such a metastasis"


def _detail(by: Occurrence | None, days: tuple[float, float], coded: int) -> str:
    recorded = "last contact" if by is None else _what(by)
    return f"{recorded} on day {days[0]:g}, coded {_CODED[coded]} on day {days[1]:g}"


def _what(by: Occurrence) -> str:
    kind = by.type.value.replace("-", " ")
    where = "" if by.type in _DEATHS or by.site is Site.UNKNOWN else f" ({by.site.value})"
    return f"{kind}{where}"


def _earlier_note(earlier: list[float], place: Where) -> list[Problem]:
    """Count follow-up that ends before the last contact; the rows stay out, nothing is wrong."""
    if not earlier:
        return []
    middle = float(np.median(earlier))
    found = (
        f"{len(earlier)} patients are censored before their last contact, by {middle:g} days in "
        f"the median and {max(earlier):g} at most"
    )
    hint = "Say in the report whether follow-up ends at the last contact or the last examination."
    return [problem("EP010", found, where=place, severity=Severity.NOTE, hint=hint)]
