"""Which columns a study names, in the study's words and in each cohort's own."""

from __future__ import annotations

from collections.abc import Callable

from metastra.study.sections import CohortSection
from metastra.study.study import Study

__all__ = ["actual_name", "clinical_columns", "column_namer", "declared_columns"]


def actual_name(section: CohortSection, name: str) -> str:
    """Translate a column's name into the cohort's own.

    Parameters
    ----------
    section : CohortSection
        With its ``columns`` map.
    name : str
        As the study file's other sections use it.

    Returns
    -------
    str
        As the cohort's tables have it.
    """
    return section.columns.get(name, name)


def column_namer(section: CohortSection) -> Callable[[str], str]:
    """Make the translation of one cohort.

    Parameters
    ----------
    section : CohortSection
        With its ``columns`` map.

    Returns
    -------
    callable
        Study's name → cohort's name.
    """
    return lambda name: actual_name(section, name)


def clinical_columns(study: Study, cohort: str) -> list[str]:
    """List the columns of the clinical table that the study uses, without PATIENT.

    Parameters
    ----------
    study : Study
        Whose sections are walked.
    cohort : str
        Name of the cohort, for sections that speak of some cohorts only.

    Returns
    -------
    list of str
        The study's names, each once, in the order of the study file.
    """
    meta, staging, clock, end = study.metadata, study.staging, study.clock, study.endpoint
    names: list[str | None] = [end.time, end.event, end.column]
    names += [clock.origin, clock.last_contact, clock.entry]
    names += [staging.tnm, staging.stage, staging.metastasis_at_diagnosis]
    for name, column in study.clinical.items():
        names += [name, column.measured]
    for recorded in study.recorded:
        if not recorded.cohorts or cohort in recorded.cohorts:
            names += [recorded.when, recorded.site, *recorded.occurred]
    for status in study.status:
        if not status.cohorts or cohort in status.cohorts:
            names += [status.time, status.event]
    for criterion in study.exclude:
        if not criterion.cohorts or cohort in criterion.cohorts:
            names.append(criterion.column)
    names.append(study.validation.temporal_column)
    names.append(meta.site)
    if study.cohort_named(cohort).slide_table is None:
        names += [meta.scanner, meta.scan_date]
    known = {"site": meta.site, "scanner": meta.scanner}
    on_slides = {"scanner"} if study.cohort_named(cohort).slide_table else set()
    names += [
        known.get(name) or name
        for name in study.validation.group
        if name != "PATIENT" and name not in on_slides
    ]
    return [name for name in dict.fromkeys(names) if name and not name.startswith("@")]


def declared_columns(study: Study, section: CohortSection, kind: str) -> list[str]:
    """List the columns that one table of a cohort must have.

    Parameters
    ----------
    study : Study
        Whose sections are walked.
    section : CohortSection
        The cohort.
    kind : str
        ``"clini"``, ``"slide"``, ``"specimen"`` or ``"event"``.

    Returns
    -------
    list of str
        The cohort's own names.
    """
    fixed = {
        "clini": ["PATIENT", *clinical_columns(study, section.name)],
        "slide": ["PATIENT", "FILENAME"],
        "specimen": ["PATIENT", "SPECIMEN"],
        "event": ["PATIENT", "TYPE"],
    }[kind]
    return [actual_name(section, name) for name in fixed]
