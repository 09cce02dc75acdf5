"""Settings that only make sense together, compared with each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from metastra.catalogue import all_checks
from metastra.study.endpoints import ENDPOINTS, nearest_endpoint
from metastra.study.study import Study
from metastra.study.vocabulary import EventType, Site, WordNotKnown

__all__ = ["contradictions"]

Contradiction: TypeAlias = tuple[str, str, tuple[str | int, ...], str | None]
"""Code, what was found, path of the key, remedy (None for the catalogue's)."""


def contradictions(study: Study) -> Iterator[Contradiction]:
    """Compare the settings of a study with each other.

    Parameters
    ----------
    study : Study
        Whose single values are valid.

    Yields
    ------
    code : str
        Of the catalogue.
    found : str
        What does not fit.
    path : tuple of str or int
        The key it stands at.
    hint : str or None
        What to do; None for the catalogue's remedy.
    """
    yield from _cohorts(study)
    yield from _endpoint(study)
    yield from _horizons(study)
    yield from _model(study)
    yield from _words(study)
    yield from _references(study)


def _cohorts(study: Study) -> Iterator[Contradiction]:
    seen: set[str] = set()
    for index, section in enumerate(study.cohort):
        if section.name in seen:
            yield "ST006", f"two cohorts are called {section.name!r}", ("cohort", index), None
        seen.add(section.name)
        homeless = section.slide_table and not (section.slide_dir or section.feature_dir)
        if homeless and section.require_slides:
            yield (
                "ST006",
                f"cohort {section.name!r} has a slide table but no folder of slides",
                ("cohort", index, "slide_table"),
                "add slide_dir or feature_dir, or require_slides = false",
            )
        if section.slide_table is None and (section.slide_dir or section.feature_dir):
            key = "slide_dir" if section.slide_dir else "feature_dir"
            yield (
                "ST006",
                f"cohort {section.name!r} has {key} but no slide table",
                ("cohort", index, key),
                "add slide_table: it says which slide belongs to which patient",
            )
        if section.region_dir and not (section.slide_table and section.slide_dir):
            yield (
                "ST006",
                f"cohort {section.name!r} has region_dir but no slides to draw on",
                ("cohort", index, "region_dir"),
                "add slide_table and slide_dir; feature files have their tiles already",
            )
    if not any(section.role == "development" for section in study.cohort):
        yield "ST006", "no cohort has the role development", ("cohort", 0, "role"), None
    validation = study.validation
    kinds = {
        "fold_files": validation.fold_files is not None,
        "temporal_column": validation.temporal_column is not None,
        "leave_one_cohort_out": validation.leave_one_cohort_out,
    }
    declared = [name for name, given in kinds.items() if given]
    if len(declared) > 1:
        found = f"{' and '.join(declared)} are two ways to make the folds"
        yield "ST006", found, ("validation", declared[-1]), "keep one of them"
    if validation.leave_one_cohort_out and len(study.cohort) < 2:
        path = ("validation", "leave_one_cohort_out")
        yield "ST006", "leaving one cohort out needs at least two", path, None


def _endpoint(study: Study) -> Iterator[Contradiction]:
    section = study.endpoint
    if section.name is not None and section.name not in ENDPOINTS:
        near = nearest_endpoint(section.name)
        hint = f"did you mean {near!r}?" if near else None
        yield "ST005", f"{section.name!r} is not in the dictionary", ("endpoint", "name"), hint
        return
    yield from _status_endpoints(study)
    if section.kind != "survival":
        if section.column is None:
            found = f"an endpoint of kind {section.kind} needs its column"
            yield "ST006", found, ("endpoint", "kind"), 'add column = "…"'
        if section.kind in ("ordinal", "multiclass", "binary") and len(section.levels) < 2:
            found = f"an endpoint of kind {section.kind} needs its levels"
            yield "ST006", found, ("endpoint", "kind"), 'add levels = ["…", "…"]'
        return
    if (section.time is None) != (section.event is None):
        yield "ST006", "time and event go together", ("endpoint",), None
    if section.event is not None and not section.codes:
        found = "the status column has no code map"
        yield "ST003", found, ("endpoint", "event"), "add [endpoint.codes] with every value"
    if section.name is None and section.time is None:
        found = "the endpoint has neither a name nor columns"
        yield "ST003", found, ("endpoint",), 'add name = "…" or time = "…" and event = "…"'
    definition = study.endpoint_definition
    if section.time is None and definition and study.clock.last_contact is None:
        found = "an endpoint that is built from recorded events needs the last contact"
        yield "ST003", found, ("clock",), 'add last_contact = "…" under [clock]'
    if section.synchronous_window_months and not (definition and definition.synchronous_window):
        found = "this endpoint has no synchronous window"
        yield "ST006", found, ("endpoint", "synchronous_window_months"), "remove the key"
    if section.clock != "procedure" and not (
        definition and definition.origin == "metastasis-procedure"
    ):
        found = "clock belongs to endpoints after metastasis"
        yield "ST006", found, ("endpoint", "clock"), "remove the key"


def _status_endpoints(study: Study) -> Iterator[Contradiction]:
    for index, status in enumerate(study.status):
        if status.endpoint not in ENDPOINTS:
            near = nearest_endpoint(status.endpoint)
            hint = f"did you mean {near!r}?" if near else None
            found = f"{status.endpoint!r} is not in the dictionary"
            yield "ST005", found, ("status", index, "endpoint"), hint


def _horizons(study: Study) -> Iterator[Contradiction]:
    section = study.endpoint
    if list(section.horizons) != sorted(set(section.horizons)):
        found = "horizons must ascend without repeats"
        yield "ST006", found, ("endpoint", "horizons"), None
    if section.primary_horizon is not None and section.primary_horizon not in section.horizons:
        found = f"primary_horizon {section.primary_horizon:g} is not among the horizons"
        yield "ST006", found, ("endpoint", "primary_horizon"), "add it to horizons"
    cuts = section.cutpoints
    if list(cuts) != sorted(set(cuts)):
        yield "ST006", "cutpoints must ascend without repeats", ("endpoint", "cutpoints"), None
    if cuts and not section.horizons:
        found = "cutpoints are risks by a horizon, and there are no horizons"
        yield "ST006", found, ("endpoint", "cutpoints"), "add horizons"
    temporal = study.validation
    if (temporal.temporal_column is None) != (temporal.temporal_cut is None):
        found = "temporal_column and temporal_cut go together"
        yield "ST006", found, ("validation",), None


def _model(study: Study) -> Iterator[Contradiction]:
    section = study.model
    if section.primary in ("combined", "slides") and not study.develops_on_slides:
        found = f"primary = {section.primary!r}, and no development cohort has slides"
        hint = "give a development cohort slide_table and slide_dir or feature_dir"
        yield "ST006", found, ("model", "primary"), hint
    if section.primary in ("combined", "clinical") and not study.clinical:
        found = f"primary = {section.primary!r}, and there are no predictors under [clinical]"
        yield "ST006", found, ("model", "primary"), 'declare predictors, or take primary = "slides"'
    if section.aggregator == "linear" and section.head != "cox":
        found = f"aggregator = 'linear' goes with head = 'cox', not {section.head!r}"
        yield "ST006", found, ("model", "head"), "remove the key"
    if list(section.steps) != sorted(set(section.steps)):
        yield "ST006", "steps must ascend without repeats", ("model", "steps"), None


def _words(study: Study) -> Iterator[Contradiction]:
    types = {member.value for member in EventType}
    sites = {member.value for member in Site}
    for word, meaning in study.events.types.items():
        if meaning not in types:
            found = f"{meaning!r} is no event type; known are {', '.join(sorted(types))}"
            yield "ST006", found, ("events", "types", word), None
    for word, meaning in study.events.sites.items():
        if meaning not in sites:
            found = f"{meaning!r} is no site; known are {', '.join(sorted(sites))}"
            yield "ST006", found, ("events", "sites", word), None
    for index, recorded in enumerate(study.recorded):
        try:
            study.vocabulary.event_type(recorded.type)
        except WordNotKnown as error:
            hint = f"did you mean {error.nearest!r}?" if error.nearest else None
            found = f"{recorded.type!r} is no event type"
            yield "ST006", found, ("recorded", index, "type"), hint
        if recorded.site and recorded.fixed_site:
            found = "site and fixed_site exclude each other"
            yield "ST006", found, ("recorded", index), None


def _references(study: Study) -> Iterator[Contradiction]:
    names = {section.name for section in study.cohort}
    for key in ("recorded", "status", "exclude", "resolve"):
        for index, entry in enumerate(getattr(study, key)):
            for cohort in entry.cohorts:
                if cohort not in names:
                    yield "ST006", f"there is no cohort {cohort!r}", (key, index, "cohorts"), None
    yield from _criteria(study)
    yield from _predictors(study)
    yield from _scores(study)
    for index, entry in enumerate(study.resolve):
        if entry.code not in all_checks():
            found = f"there is no check {entry.code}"
            yield "ST006", found, ("resolve", index, "code"), "docs/checks.md lists them"
        if (entry.action == "set") != (entry.column is not None and entry.value is not None):
            found = "action set needs column and value, and only it"
            yield "ST006", found, ("resolve", index), None


def _predictors(study: Study) -> Iterator[Contradiction]:
    for name, column in study.clinical.items():
        path = ("clinical", name)
        if column.kind != "continuous" and (column.unit or column.transform != "none"):
            key = "unit" if column.unit else "transform"
            yield "ST006", f"{key} belongs to continuous predictors", (*path, key), "remove the key"
        elif column.transform == "log1p" and (column.minimum is None or column.minimum < 0.0):
            found = "transform log1p takes values of 0 or more"
            yield "ST006", found, (*path, "transform"), "add minimum = 0 (or more)"


def _scores(study: Study) -> Iterator[Contradiction]:
    """Look at scores for which nothing is fitted."""
    seen: set[str] = set()
    for index, entry in enumerate(study.reference):
        path = ("reference", index)
        if entry.name in seen:
            yield "ST006", f"two references are called {entry.name!r}", (*path, "name"), None
        seen.add(entry.name)
        column = study.clinical.get(entry.column)
        if column is None:
            found = f"the reference {entry.name!r} names no predictor: {entry.column!r}"
            hint = "declare the column under [clinical]: that says how its values are ordered"
            yield "ST006", found, (*path, "column"), hint
        elif column.kind == "categorical":
            found = f"the levels of {entry.column!r} have no order"
            yield "ST006", found, (*path, "column"), 'declare it as kind = "ordinal"'
    if study.reference and study.endpoint.kind != "survival":
        found = f"a reference is judged by times to an event; the endpoint is {study.endpoint.kind}"
        yield "ST006", found, ("reference", 0), "remove [[reference]]"


def _criteria(study: Study) -> Iterator[Contradiction]:
    """Look at criteria that could never exclude anybody."""
    staging = study.staging
    founded = {
        "@M": bool(staging.tnm or staging.metastasis_at_diagnosis),
        "@stage": bool(staging.stage),
        "@neoadjuvant": bool(staging.tnm) or any(c.specimen_table for c in study.cohort),
    }
    for index, criterion in enumerate(study.exclude):
        path = ("exclude", index)
        conditions = (criterion.equals, criterion.not_equals, criterion.missing)
        limits = (criterion.minimum, criterion.maximum)
        if not any(conditions) and limits == (None, None):
            found = f"the criterion {criterion.reason!r} has no condition"
            yield "ST003", found, path, "add equals, not_equals, minimum, maximum or missing = true"
        name = criterion.column
        if name.startswith("@") and name not in founded:
            found = f"there is no derived column {name!r}; there are {', '.join(founded)}"
            yield "ST006", found, (*path, "column"), None
        elif name.startswith("@") and not founded[name]:
            found = f"nothing in [staging] or the specimen tables says {name}"
            yield "ST006", found, (*path, "column"), "name the columns under [staging]"
