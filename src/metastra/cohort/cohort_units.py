"""The patients of a cohort as a split sees them."""

from __future__ import annotations

import numpy as np

from metastra.cohort.cohort import Cohort
from metastra.cohort.hierarchy import Patient
from metastra.cohort.split_units import Units
from metastra.study.paths import resolve_path
from metastra.study.sections import ValidationSection
from metastra.study.study import Study

__all__ = ["split_settings", "units_of"]


def units_of(cohort: Cohort) -> Units:
    """Take ids, events, groupings, cohorts and dates out of a cohort.

    Parameters
    ----------
    cohort : Cohort
        Whose study declares the groupings.

    Returns
    -------
    Units
        In the order of `Cohort.patients`.  Ids are study ids, or ``cohort:id`` where each cohort
        numbers its own patients.
    """
    study = cohort.study
    meta = study.metadata
    column_of = {"site": meta.site, "scanner": meta.scanner}
    groups = {
        name: np.array(
            [_group(patient, name, column_of.get(name) or name) for patient in cohort.patients],
            dtype=object,
        )
        for name in study.validation.group
        if name != "PATIENT"
    }
    roles = {section.name: section.role for section in study.cohort}
    days = None
    if study.validation.temporal_column is not None:
        days = np.array(
            [patient.temporal or np.datetime64("NaT") for patient in cohort.patients],
            dtype="datetime64[D]",
        )
    event = cohort.event
    if cohort.target is not None:
        binary = study.endpoint.kind == "binary"
        event = cohort.target.astype(np.int64) if binary else np.ones(len(cohort), dtype=np.int64)
    return Units(
        ids=[patient.key for patient in cohort.patients],
        event=event,
        groups=groups,
        cohort=cohort.cohort_names,
        role=[roles[patient.cohort] for patient in cohort.patients],
        date=days,
    )


def _group(patient: Patient, name: str, column: str) -> str | None:
    """Value of a grouping; the scanners of the slides where the slide table names them."""
    if name == "scanner":
        scanners = sorted({slide.scanner for slide in patient.slides if slide.scanner})
        if scanners:
            return "+".join(scanners)
    return patient.values.get(column)


def split_settings(study: Study) -> ValidationSection:
    """Give the settings of the split with the path of fold files resolved.

    Parameters
    ----------
    study : Study
        Whose ``[validation]`` may name published folds.

    Returns
    -------
    ValidationSection
        Ready for `metastra.cohort.split_draw.draw_split`.
    """
    settings = study.validation
    if settings.fold_files is None:
        return settings
    return settings.model_copy(update={"fold_files": str(resolve_path(study, settings.fold_files))})
