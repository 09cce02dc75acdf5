"""One patient's course on the clock of one endpoint.

The rules, the same for every endpoint of the dictionary:

- the earliest occurrence that the definition names decides; an event and a competing event on the
  same day are the event;
- follow-up ends with death, or at the last contact of patients alive;
- what happened before time zero is not an event.  An endpoint that predicts spread leaves out
  patients who have it by time zero, because it cannot happen to them again;
- with a synchronous window, patients with the event, dead or lost by its end are not at risk;
- with delayed entry, a patient counts from entry on, and only if free of the event until then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan
from typing import Literal, TypeAlias

from metastra.cohort.endpoint_built import NotIncluded
from metastra.cohort.hierarchy import Course, Occurrence
from metastra.study.endpoints import Endpoint, Rule
from metastra.study.sections import EndpointSection
from metastra.study.vocabulary import EventType, Site
from metastra.units import TimeUnit, to_days

__all__ = ["Fault", "Followed", "UnknownSiteAs", "contradictions", "follow"]

UnknownSiteAs: TypeAlias = Literal["other", "event"]
"""How a metastasis of unknown site counts where the site decides."""

_DEATHS = {EventType.DEATH, EventType.DEATH_OF_DISEASE, EventType.DEATH_OF_OTHER_CAUSE}
_DISTANT = frozenset(site for site in Site if site.distant)
_KNOWN = frozenset(site for site in Site if site is not Site.UNKNOWN)
_SPREAD = Rule(
    types=frozenset({EventType.RECURRENCE, EventType.METASTASIS, EventType.PROGRESSION}),
    sites=_DISTANT,
)
_ONE_DAY = 1.0
"""Contradictions smaller than this are rounding between units, not wrong dates."""
_HALF_DAY = 0.5
_UNKNOWN_CAUSE = 3
"""Stands for event or competing until the study file decides."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a patient's data are refused.

    Parameters
    ----------
    code : str
        Of the catalogue.
    headline : str
        The same for all patients with this fault.
    detail : str
        This patient's figures.
    occurrence : Occurrence or None
        The record that is wrong; None for the clinical row.
    """

    code: str
    headline: str
    detail: str = ""
    occurrence: Occurrence | None = None


@dataclass(frozen=True, kw_only=True)
class Followed:
    """A patient's follow-up for an endpoint.

    Parameters
    ----------
    time_days, entry_days, interval_left_days : float
        As in `metastra.cohort.endpoint_built.BuiltEndpoint`.
    event : int
        0, 1 or 2; -1 when not included.
    not_included : NotIncluded or None
        Why there is no follow-up.
    by : Occurrence or None
        What decided.
    unknown_cause : bool
        Whether a death without a cause decided.
    fault : Fault or None
        Why the data are refused.
    """

    time_days: float = nan
    event: int = -1
    entry_days: float = 0.0
    interval_left_days: float = nan
    not_included: NotIncluded | None = None
    by: Occurrence | None = None
    unknown_cause: bool = False
    fault: Fault | None = None


@dataclass(frozen=True, kw_only=True)
class _Times:
    """Where the clock starts, from when relapses count, from when the patient is watched."""

    zero: float
    floor: float
    start: float


def follow(
    definition: Endpoint,
    course: Course,
    settings: EndpointSection,
    *,
    unknown_site_as: UnknownSiteAs = "other",
) -> Followed:
    """Follow one patient for one endpoint.

    Parameters
    ----------
    definition : Endpoint
        From the dictionary.
    course : Course
        Without contradictions (`contradictions` finds them).
    settings : EndpointSection
        Window, clock, and the rules for day zero and unknown causes of death.
    unknown_site_as : {"other", "event"}
        How a metastasis of unknown site counts where the site decides.

    Returns
    -------
    Followed
        Follow-up, or why there is none.

    Examples
    --------
    >>> from metastra.study.endpoints import endpoint_named
    >>> there = Occurrence(type=EventType.METASTASIS, site=Site.LIVER, days=400.0)
    >>> course = Course(occurrences=(there,), last_contact_days=900.0)
    >>> settings = EndpointSection(synchronous_window_months=6)
    >>> one = follow(endpoint_named("metachronous-liver-metastasis"), course, settings)
    >>> one.time_days, one.event
    (217.375, 1)
    """
    times = _times(definition, course, settings)
    if isinstance(times, NotIncluded):
        return Followed(not_included=times)
    if isinstance(times, Fault):
        return _refused(times)
    end = _end_of_follow_up(course)
    candidates: list[tuple[float, int, Occurrence]] = []
    before: set[NotIncluded] = set()
    for item in course.occurrences:
        role = _role(definition, item, course, settings, unknown_site_as)
        if role == 0:
            continue
        day = min(item.days, end)
        earlier = None
        if item.type not in _DEATHS:
            earlier = _too_early(definition, times, day, role)
        if earlier == "ignore":
            continue
        if earlier is not None:
            before.add(earlier)
        else:
            candidates.append((round(day, 6), role, item))
    for reason in NotIncluded:
        if reason in before:
            return Followed(not_included=reason)
    day, role, by = min(candidates, key=lambda found: found[:2], default=(end, 0, None))
    if day == inf:
        headline = "last contact is missing, and nothing else ends the follow-up"
        return _refused(Fault(code="EP004", headline=headline))
    return _place(definition, course, settings, times, day, role, by)


def contradictions(course: Course) -> list[Fault]:
    """Look for dates that cannot all be right, whatever the endpoint.

    Parameters
    ----------
    course : Course
        Of one patient.

    Returns
    -------
    list of Fault
        ``EP004`` a time that is no number, ``EP005`` follow-up before the time origin, ``EP009``
        something after the end of follow-up, ``EP019`` a last negative examination at or after
        the event.

    Notes
    -----
    A death after the last contact is none: the contact is the last one alive.

    Examples
    --------
    >>> late = Occurrence(type=EventType.RECURRENCE, days=90.0)
    >>> [fault.code for fault in contradictions(Course(occurrences=(late,), last_contact_days=60))]
    ['EP009']
    """
    given = [item.days for item in course.occurrences]
    given += [day for day in (course.last_contact_days, course.procedure_days) if day is not None]
    if not all(map(isfinite, [*given, course.entry_days])):
        return [Fault(code="EP004", headline="a time is not a finite number")]
    deaths = [item for item in course.occurrences if item.type in _DEATHS]
    faults = [*_death_faults(course, deaths), *_late_faults(course)]
    for item in course.occurrences:
        seen = item.last_negative_days
        if seen is not None and not seen < item.days:
            detail = f"last negative on day {seen:g}, {item.type} on day {item.days:g}"
            headline = "the last negative examination is not before the event"
            faults.append(Fault(code="EP019", headline=headline, detail=detail, occurrence=item))
    return faults


def _death_faults(course: Course, deaths: Sequence[Occurrence]) -> list[Fault]:
    faults = []
    contact = course.last_contact_days
    if contact is not None and contact < 0:
        headline = "the last contact lies before the time origin"
        faults.append(Fault(code="EP005", headline=headline, detail=f"day {contact:g}"))
    for item in deaths:
        if item.days < 0:
            headline = "the death lies before the time origin"
            detail = f"day {item.days:g}"
            faults.append(Fault(code="EP005", headline=headline, detail=detail, occurrence=item))
    if deaths:
        days = [item.days for item in deaths]
        if max(days) - min(days) >= _ONE_DAY:
            detail = f"days {min(days):g} and {max(days):g}"
            headline = "two different days of death are recorded"
            faults.append(Fault(code="EP009", headline=headline, detail=detail))
        elif contact is not None and contact - max(days) >= _ONE_DAY:
            detail = f"died on day {max(days):g}, last contact on day {contact:g}"
            headline = "the last contact lies after the death"
            faults.append(Fault(code="EP009", headline=headline, detail=detail))
    return faults


def _late_faults(course: Course) -> list[Fault]:
    end = _end_of_follow_up(course)
    faults = []
    for item in course.occurrences:
        if item.type not in _DEATHS and item.days - end >= _ONE_DAY:
            detail = f"{item.type} on day {item.days:g}, follow-up ends on day {end:g}"
            headline = "an event lies after the end of follow-up"
            faults.append(Fault(code="EP009", headline=headline, detail=detail, occurrence=item))
    return faults


def _end_of_follow_up(course: Course) -> float:
    """Give the day of death, else of the last contact, else infinity."""
    deaths = [item.days for item in course.occurrences if item.type in _DEATHS]
    if deaths:
        return min(deaths)
    return inf if course.last_contact_days is None else course.last_contact_days


def _times(
    definition: Endpoint, course: Course, settings: EndpointSection
) -> _Times | NotIncluded | Fault:
    if definition.origin == "surgery":
        zero = 0.0
        if definition.synchronous_window:
            zero = to_days(settings.synchronous_window_months, TimeUnit.MONTHS)
        return _Times(zero=zero, floor=zero, start=max(zero, course.entry_days))
    procedure = course.procedure_days
    if procedure is None:
        return NotIncluded.NO_PROCEDURE
    zero = procedure
    if settings.clock == "surgery":
        zero = 0.0
    elif settings.clock == "metastasis-diagnosis":
        known = [
            item.days
            for item in course.occurrences
            if item.days <= procedure and _sure(_SPREAD, item)
        ]
        if not known:
            headline = "no metastasis is recorded by the procedure, so the clock has no start"
            return Fault(code="EP004", headline=headline, detail=f"procedure on day {procedure:g}")
        zero = min(known)
    floor = max(zero, procedure)
    return _Times(zero=zero, floor=floor, start=max(floor, course.entry_days))


def _too_early(
    definition: Endpoint, times: _Times, day: float, role: int
) -> NotIncluded | Literal["ignore"] | None:
    """Say what becomes of a relapse that lies before the patient is at risk."""
    if definition.predicts_spread and day <= times.floor:
        return NotIncluded.EVENT_BEFORE if role == 1 else NotIncluded.COMPETING_BEFORE
    if day < times.floor:
        return "ignore"
    if definition.origin == "metastasis-procedure" and day == times.floor:
        return "ignore"  # the metastasis that is treated, not a relapse after its treatment
    late_entry = times.start > times.floor
    return NotIncluded.EVENT_BEFORE_ENTRY if late_entry and day <= times.start else None


def _place(
    definition: Endpoint,
    course: Course,
    settings: EndpointSection,
    times: _Times,
    day: float,
    role: int,
    by: Occurrence | None,
) -> Followed:
    """Put the end of follow-up on the clock."""
    window = definition.synchronous_window and settings.synchronous_window_months > 0
    if window and day <= times.zero:
        dead = by is not None
        return Followed(not_included=NotIncluded.DEATH_BEFORE if dead else NotIncluded.LOST_BEFORE)
    if day < times.start:
        return _refused(_never_watched(course, times, day))
    if day == times.start:
        if settings.day_zero == "exclude":
            return Followed(not_included=NotIncluded.DAY_ZERO)
        if settings.day_zero == "refuse":
            headline = "follow-up ends on the day it begins"
            return _refused(Fault(code="EP006", headline=headline, occurrence=by))
        day += _HALF_DAY
    unknown_cause = by is not None and _cause_unknown(definition, course, by)
    if role == _UNKNOWN_CAUSE:
        headline = "the cause of death is not recorded, or two are"
        return _refused(Fault(code="EP020", headline=headline, occurrence=by))
    left = nan
    if role == 1 and by is not None and by.type not in _DEATHS:
        seen = by.last_negative_days
        left = nan if seen is None else max(0.0, seen - times.zero)
    return Followed(
        time_days=day - times.zero,
        event=role,
        entry_days=times.start - times.zero,
        interval_left_days=left,
        by=by,
        unknown_cause=unknown_cause,
    )


def _never_watched(course: Course, times: _Times, day: float) -> Fault:
    detail = f"follow-up ends on day {day:g}, observation begins on day {times.start:g}"
    if course.entry_days == times.start:
        headline = "observation begins after its end"
        return Fault(code="EP007", headline=headline, detail=detail)
    headline = "the procedure on the metastasis lies after the end of follow-up"
    return Fault(code="EP009", headline=headline, detail=detail)


def _role(
    definition: Endpoint,
    item: Occurrence,
    course: Course,
    settings: EndpointSection,
    unknown_site_as: UnknownSiteAs,
) -> int:
    """Say what an occurrence is to the endpoint: 0 nothing, 1 event, 2 competing, 3 not known."""
    if item.type in _DEATHS and _cause_unknown(definition, course, item):
        choice = {"refuse": _UNKNOWN_CAUSE, "event": 1, "competing": 2}
        return choice[settings.unknown_cause_of_death]
    possible = frozenset[Site]() if item.type in _DEATHS else _possible_sites(item)
    for rule in definition.event:
        if item.type in rule.types:
            if rule.sites is None or possible <= rule.sites:
                return 1
            if possible & rule.sites and unknown_site_as == "event":
                return 1
            possible -= rule.sites
    for rule in definition.competing:
        if item.type in rule.types and (rule.sites is None or possible <= rule.sites):
            return 2
    return 0


def _sure(rule: Rule, item: Occurrence) -> bool:
    return item.type in rule.types and (rule.sites is None or _possible_sites(item) <= rule.sites)


def _possible_sites(item: Occurrence) -> frozenset[Site]:
    """Give the sites an occurrence may have: a metastasis is distant even where no site stands."""
    if item.site is not Site.UNKNOWN:
        return frozenset({item.site})
    return _DISTANT if item.type is EventType.METASTASIS else _KNOWN


def _cause_unknown(definition: Endpoint, course: Course, item: Occurrence) -> bool:
    """Say whether a death has no cause, or two, where the endpoint needs it."""
    if not definition.needs_cause_of_death or item.type not in _DEATHS:
        return False
    causes = {other.type for other in course.occurrences if other.type in _DEATHS}
    return len(causes - {EventType.DEATH}) != 1


def _refused(fault: Fault) -> Followed:
    return Followed(not_included=NotIncluded.REFUSED, fault=fault)
