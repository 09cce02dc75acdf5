"""Everything that can be wrong with a study's tables, found at once, before hours of work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from metastra.cohort.assemble import CohortPart, read_part
from metastra.cohort.cohort import Cohort
from metastra.cohort.cohort_units import split_settings, units_of
from metastra.cohort.declared_columns import clinical_columns
from metastra.cohort.endings import Endings, endings_of
from metastra.cohort.flow import CohortFlow, flow_to_json
from metastra.cohort.hierarchy import Patient
from metastra.cohort.leakage import (
    dated_after_prediction,
    metastasis_slides,
    patients_in_two_cohorts,
    shared_slides,
    twins,
)
from metastra.cohort.masking import mask_ids
from metastra.cohort.metadata_model import MetadataModel, fit_metadata_model, metadata_problem
from metastra.cohort.split import Split
from metastra.cohort.split_draw import draw_split
from metastra.cohort.telltale import repeats_outcome
from metastra.errors import ConfigError, DataError, Problem, Severity
from metastra.pseudonyms import Pseudonyms, load_or_create_key
from metastra.study.sections import Resolution
from metastra.study.study import Study

__all__ = ["CheckReport", "check_study", "load_cohort", "split_cohort", "study_pseudonyms"]


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """What a check found.

    Parameters
    ----------
    study : Study
        What was promised.
    cohort : Cohort or None
        The analysed patients; None when the data are refused.
    flows : tuple of CohortFlow
        One for each cohort; also when the data are refused.
    problems : tuple of Problem
        All of them: refusals, warnings, notes.
    metadata_model : MetadataModel or None
        What metadata alone predict; None without a cohort.
    split : Split or None
        The folds as they would be used; None when they cannot be made.
    resolutions : tuple of (Resolution, tuple of str)
        Each resolution with the pseudonyms it was applied to.
    ids : dict of (str, str) to str
        Cohort and pseudonym → study id, for tables that a user asks for.
    table_digests : dict of str to str
        SHA-256 of every table by ``cohort/kind``.
    """

    study: Study
    cohort: Cohort | None
    flows: tuple[CohortFlow, ...]
    problems: tuple[Problem, ...]
    metadata_model: MetadataModel | None = None
    split: Split | None = None
    resolutions: tuple[tuple[Resolution, tuple[str, ...]], ...] = ()
    ids: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)
    table_digests: dict[str, str] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether the data are refused."""
        return any(item.severity is Severity.REFUSE for item in self.problems)

    def flow_json(self) -> dict[str, Any]:
        """Write the flow diagram as plain values.

        Returns
        -------
        dict
            As ``flow.json`` holds it.
        """
        return flow_to_json(self.flows)

    def summary(self) -> str:
        """Say in a few lines what was found.

        Returns
        -------
        str
            Counts of problems, and of patients and events for each cohort.
        """
        counts = {
            severity: sum(item.severity is severity for item in self.problems)
            for severity in Severity
        }
        refused, warned, noted = (counts[severity] for severity in Severity)
        lines = [f"{refused} refused, {warned} warnings, {noted} notes"]
        for flow in self.flows:
            left = flow.n_listed - flow.n_analysed
            lines.append(
                f"{flow.cohort} ({flow.role}): {flow.n_listed} patients listed, {left} excluded, "
                f"{flow.n_analysed} analysed, {flow.n_events} events, "
                f"{flow.n_competing} competing events"
            )
        return "\n".join(lines)


def check_study(study: Study, pseudonyms: Pseudonyms | None = None) -> CheckReport:
    """Find everything that is wrong with a study's tables.

    Parameters
    ----------
    study : Study
        What was promised.
    pseudonyms : Pseudonyms, optional
        No study id enters a problem.  By default under the key beside the study file, which is
        made when it is missing.

    Returns
    -------
    CheckReport
        With every problem of every table at once.

    Raises
    ------
    ConfigError
        If no pseudonyms are given and the study was not loaded from a file.
    """
    pseudonyms = pseudonyms or study_pseudonyms(study)
    parts = [read_part(study, section, pseudonyms) for section in study.cohort]
    problems = [item for part in parts for item in part.problems]
    problems += _leakage(study, parts)
    endings = endings_of(study, parts, problems)
    problems = list(endings.problems)
    digests = {
        f"{part.section.name}/{kind}": digest
        for part in parts
        for kind, digest in part.tables.digests.items()
    }
    names = {p.id: p.pseudonym for part in parts for p in part.patients}
    report = CheckReport(
        study=study,
        cohort=None,
        flows=endings.flows,
        problems=mask_ids(problems, names),
        resolutions=endings.applied,
        ids={(p.cohort, p.pseudonym): p.id for part in parts for p in part.patients},
        table_digests=digests,
    )
    if report.refused or not endings.patients:
        return report
    return _with_cohort(report, endings, pseudonyms)


def study_pseudonyms(study: Study, key: Path | None = None) -> Pseudonyms:
    """Open the pseudonyms of a study.

    Parameters
    ----------
    study : Study
        Loaded from a file.
    key : Path, optional
        By default the study file's name with ``.key``; made when it is missing.

    Returns
    -------
    Pseudonyms
        Under that key.

    Raises
    ------
    ConfigError
        If there is no study file to lay a key beside, or the key is not private.
    """
    if key is None and study.path is None:
        raise ConfigError("the study was not loaded from a file; give its pseudonyms")
    place = key if key is not None else Path(str(study.path)).with_suffix(".key")
    return Pseudonyms(load_or_create_key(place))


def load_cohort(study: Study, pseudonyms: Pseudonyms | None = None) -> Cohort:
    """Load the analysed patients of a study.

    Parameters
    ----------
    study : Study
        What was promised.
    pseudonyms : Pseudonyms, optional
        As in `check_study`.

    Returns
    -------
    Cohort
        Of all cohorts.

    Raises
    ------
    DataError
        With every problem, when the data are refused.
    """
    report = check_study(study, pseudonyms)
    if report.cohort is None:
        refused = [item for item in report.problems if item.severity is Severity.REFUSE]
        raise DataError(f"study {study.study.name!r} is refused", refused)
    return report.cohort


def _leakage(study: Study, parts: Sequence[CohortPart]) -> list[Problem]:
    patients = [patient for part in parts for patient in part.patients]
    clini = {part.section.name: part.section.clini_table for part in parts}
    slide = {part.section.name: part.section.slide_table or "" for part in parts}
    specimen = {part.section.name: part.section.specimen_table or "" for part in parts}
    problems: list[Problem] = []
    if study.study.patient_ids == "study-wide" and study.overlap == "refuse":
        problems += patients_in_two_cohorts(patients, clini)
    problems += shared_slides(patients, slide)
    problems += twins(patients, _telling_columns(study), clini)
    definition = study.endpoint_definition
    after_metastasis = definition is not None and definition.origin == "metastasis-procedure"
    problems += dated_after_prediction(patients, after=specimen, at_procedure=after_metastasis)
    if definition is not None and definition.predicts_spread:
        problems += metastasis_slides(patients, slide)
    return problems


def _telling_columns(study: Study) -> list[str]:
    """List the columns in which two ids of one patient would agree: all but metadata."""
    meta = study.metadata
    names = dict.fromkeys(
        name for section in study.cohort for name in clinical_columns(study, section.name)
    )
    return [name for name in names if name not in {meta.site, meta.scanner, meta.scan_date}]


def _with_cohort(report: CheckReport, endings: Endings, pseudonyms: Pseudonyms) -> CheckReport:
    """Add what needs the analysed patients: the cohort, metadata, folds."""
    cohort = Cohort(
        study=report.study,
        patients=endings.patients,
        time_days=endings.time_days,
        event=endings.event,
        entry_days=endings.entry_days,
        target=endings.target,
        flows=report.flows,
        problems=report.problems,
        table_digests=report.table_digests,
    )
    problems = list(report.problems)
    model = _metadata(cohort)
    if model is not None and (found := metadata_problem(model)) is not None:
        problems.append(found)
    happened = cohort.event if cohort.target is None else np.asarray(cohort.target == 1, np.int64)
    problems += repeats_outcome(cohort.study, cohort.patients, happened)
    split, found_split = _try_split(cohort, pseudonyms)
    problems += found_split
    refused = any(item.severity is Severity.REFUSE for item in problems)
    return replace(
        report,
        cohort=None if refused else replace(cohort, problems=tuple(problems)),
        problems=tuple(problems),
        metadata_model=model,
        split=split,
    )


def _metadata(cohort: Cohort) -> MetadataModel | None:
    """Fit the model of metadata on the development cohorts."""
    if cohort.target is not None:
        return None
    study = cohort.study
    roles = {section.name: section.role for section in study.cohort}
    keep = np.array([roles[p.cohort] == "development" for p in cohort.patients], dtype=np.bool_)
    chosen = [p for p, k in zip(cohort.patients, keep, strict=True) if k]
    if not chosen:
        return None
    columns: dict[str, Sequence[str | float | None]] = {
        "slide count": [float(len(p.slides)) for p in chosen],
        "scanner": [_scanner(p, study) for p in chosen],
        "cohort": [p.cohort for p in chosen],
    }
    if study.metadata.site is not None:
        columns["site"] = [p.values.get(study.metadata.site) for p in chosen]
    years = [p.slides[0].scan_year if p.slides else None for p in chosen]
    if any(year is not None for year in years):
        columns["scan year"] = [None if year is None else float(year) for year in years]
    return fit_metadata_model(cohort.outcome().take(keep), columns, seed=study.study.seed)


def _scanner(patient: Patient, study: Study) -> str | None:
    if patient.slides and any(slide.scanner for slide in patient.slides):
        return "+".join(sorted({slide.scanner for slide in patient.slides}))
    name = study.metadata.scanner
    return None if name is None else patient.values.get(name)


def split_cohort(study: Study, cohort: Cohort, pseudonyms: Pseudonyms | None = None) -> Split:
    """Make the folds of a study.

    Parameters
    ----------
    study : Study
        Whose ``[validation]`` says how; published folds are read as they are.
    cohort : Cohort
        The analysed patients.
    pseudonyms : Pseudonyms, optional
        For messages; without them patients are counted and not named.

    Returns
    -------
    Split
        Drawn anew; a run stores its folds and never redraws them.

    Raises
    ------
    LeakageError, DataError
        If the folds cannot be used, with every problem.
    """
    return draw_split(
        units_of(cohort),
        split_settings(study),
        seed=study.study.seed,
        pseudonymise=None if pseudonyms is None else pseudonyms.patient,
    )


def _try_split(cohort: Cohort, pseudonyms: Pseudonyms) -> tuple[Split | None, list[Problem]]:
    """Make the folds, to find what is wrong with them before a run."""
    try:
        split = split_cohort(cohort.study, cohort, pseudonyms)
    except DataError as error:
        return None, list(error.problems)
    return split, split.check(units_of(cohort), pseudonymise=pseudonyms.patient)
