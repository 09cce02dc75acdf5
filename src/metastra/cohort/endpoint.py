"""Endpoints of the dictionary built from what is recorded of each patient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from metastra.cohort.endpoint_built import BuiltEndpoint, NotIncluded
from metastra.cohort.endpoint_course import (
    Fault,
    Followed,
    UnknownSiteAs,
    contradictions,
    follow,
)
from metastra.cohort.endpoint_notes import never_competing, not_at_risk_notes
from metastra.cohort.endpoint_words import sentences
from metastra.cohort.findings import Finding, gather
from metastra.cohort.hierarchy import Course
from metastra.errors import Severity, Where
from metastra.study.endpoints import Endpoint
from metastra.study.sections import EndpointSection
from metastra.study.vocabulary import Site

__all__ = ["build_endpoint"]


def build_endpoint(
    definition: Endpoint,
    courses: Sequence[Course],
    settings: EndpointSection,
    *,
    names: Sequence[str] = (),
    where: Where | None = None,
    unknown_site_as: UnknownSiteAs = "other",
) -> BuiltEndpoint:
    """Build an endpoint of one cohort from the recorded events.

    Parameters
    ----------
    definition : Endpoint
        From the dictionary.
    courses : sequence of Course
        One for each patient.
    settings : EndpointSection
        Window, clock, day zero, unknown causes of death.
    names : sequence of str
        Pseudonyms of the patients; numbered when left out.
    where : Where, optional
        File and cohort of the clinical table.
    unknown_site_as : {"other", "event"}
        How a metastasis of unknown site counts where the site decides: as one of another site, or,
        for the sensitivity analysis, as one of the endpoint's sites.

    Returns
    -------
    BuiltEndpoint
        One entry per patient; its `problems` hold everything that was found: EP004 to EP007, EP009,
        EP011, EP013, EP018, EP019, EP020.

    Raises
    ------
    ValueError
        If there are not as many names as courses.

    Examples
    --------
    >>> from metastra.cohort.hierarchy import Occurrence
    >>> from metastra.study.endpoints import endpoint_named
    >>> from metastra.study.vocabulary import EventType, Site
    >>> lung = Occurrence(type=EventType.METASTASIS, site=Site.LUNG, days=300)
    >>> liver = Occurrence(type=EventType.METASTASIS, site=Site.LIVER, days=500)
    >>> death = Occurrence(type=EventType.DEATH, days=700)
    >>> courses = [
    ...     Course(occurrences=(lung, liver, death)),
    ...     Course(occurrences=(lung, death)),
    ...     Course(occurrences=(lung,), last_contact_days=800),
    ... ]
    >>> built = build_endpoint(
    ...     endpoint_named("metachronous-liver-metastasis"), courses, EndpointSection()
    ... )
    >>> built.time_days.tolist(), built.event.tolist()
    ([500.0, 700.0, 800.0], [1, 2, 0])
    """
    names = tuple(names) or tuple(f"patient {number + 1}" for number in range(len(courses)))
    place = where or Where()
    followed: list[Followed] = []
    findings: list[Finding] = []
    unknown_site = np.zeros(len(courses), dtype=np.bool_)
    for index, (course, name) in enumerate(zip(courses, names, strict=True)):
        faults = contradictions(course)
        if faults:
            one = Followed(not_included=NotIncluded.REFUSED)
        else:
            one = follow(definition, course, settings, unknown_site_as=unknown_site_as)
            unknown_site[index] = _site_matters(definition, course, settings)
            faults = [one.fault] if one.fault else []
        findings += [_finding(fault, course, name, place.file) for fault in faults]
        followed.append(one)
    findings += _site_findings(courses, names, unknown_site, place.file, unknown_site_as)
    findings += _cause_findings(courses, names, followed, place.file, settings)
    findings += _before_origin(definition, courses, names, followed, place.file)
    entry = np.array([one.entry_days for one in followed], dtype=np.float64)
    built = BuiltEndpoint(
        name=definition.name,
        definition=definition,
        time_days=np.array([one.time_days for one in followed], dtype=np.float64),
        event=np.array([one.event for one in followed], dtype=np.int64),
        entry_days=entry if (entry > 0).any() else None,
        interval_left_days=np.array([f.interval_left_days for f in followed], dtype=np.float64),
        not_included=tuple(one.not_included for one in followed),
        sentences=sentences(definition, settings),
        unknown_site=unknown_site,
        unknown_cause=np.array([one.unknown_cause for one in followed], dtype=np.bool_),
        decided_by=tuple(one.by for one in followed),
        names=names,
        rows=np.array([course.row for course in courses], dtype=np.int64),
        file=place.file,
        problems=tuple(gather(findings, cohort=place.cohort)),
    )
    counted = [*not_at_risk_notes(built, place), *never_competing(built, settings, place)]
    return replace(built, problems=(*built.problems, *counted))


def _finding(fault: Fault, course: Course, name: str, file: str) -> Finding:
    """Give a fault its place: the record that is wrong, or the patient's clinical row."""
    source, row = file, course.row
    if fault.occurrence is not None and fault.occurrence.row:
        source, row = fault.occurrence.source or file, fault.occurrence.row
    return Finding(
        code=fault.code,
        headline=fault.headline,
        name=name,
        row=row,
        file=source,
        detail=fault.detail,
    )


def _before_origin(
    definition: Endpoint,
    courses: Sequence[Course],
    names: Sequence[str],
    followed: Sequence[Followed],
    file: str,
) -> Iterator[Finding]:
    """Name relapses before surgery that the endpoint would have counted after it."""
    if definition.origin != "surgery":
        return
    kinds = {kind for rule in definition.event for kind in rule.types}
    for course, name, one in zip(courses, names, followed, strict=True):
        early = [o for o in course.occurrences if o.type in kinds and o.days < 0]
        if early and one.not_included is None:
            first = min(early, key=lambda item: item.days)
            yield Finding(
                code="EP021",
                headline="an event lies before time zero and is not counted",
                name=name,
                row=first.row or course.row,
                file=first.source or file,
                detail=f"{first.type.value} on day {first.days:.0f}",
            )


def _site_matters(definition: Endpoint, course: Course, settings: EndpointSection) -> bool:
    """Say whether the outcome depends on where a metastasis of unknown site was."""
    if not definition.needs_site:
        return False
    if all(item.site is not Site.UNKNOWN for item in course.occurrences):
        return False
    other = follow(definition, course, settings, unknown_site_as="other")
    event = follow(definition, course, settings, unknown_site_as="event")
    return _essence(other) != _essence(event)


def _essence(one: Followed) -> tuple[NotIncluded | None, int, str]:
    return one.not_included, one.event, f"{one.time_days!r}"  # as text NaN equals NaN


def _site_findings(
    courses: Sequence[Course],
    names: Sequence[str],
    unknown_site: NDArray[np.bool_],
    file: str,
    unknown_site_as: UnknownSiteAs,
) -> Iterator[Finding]:
    counted = {"other": "as another site", "event": "as the endpoint's site"}[unknown_site_as]
    for index in np.flatnonzero(unknown_site).tolist():
        course = courses[index]
        record = next(item for item in course.occurrences if item.site is Site.UNKNOWN)
        here = record.row > 0
        yield Finding(
            code="EP013",
            headline=f"a metastasis of unknown site could be the event; it counts {counted}",
            name=names[index],
            row=record.row if here else course.row,
            file=record.source if here and record.source else file,
        )


def _cause_findings(
    courses: Sequence[Course],
    names: Sequence[str],
    followed: Sequence[Followed],
    file: str,
    settings: EndpointSection,
) -> Iterator[Finding]:
    counted = settings.unknown_cause_of_death
    for course, name, one in zip(courses, names, followed, strict=True):
        if one.unknown_cause and one.fault is None:
            words = "the event" if counted == "event" else "a competing event"
            yield Finding(
                code="EP020",
                headline=f"a death without one recorded cause counts as {words}, as declared",
                name=name,
                row=course.row,
                file=file,
                severity=Severity.NOTE,
            )
