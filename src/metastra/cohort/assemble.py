"""One cohort, from its tables to patients with a course, an endpoint and their slides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.coding import Coding, CodingKind, encode
from metastra.cohort.dates import dates
from metastra.cohort.declared_columns import clinical_columns, column_namer
from metastra.cohort.drawn_regions import with_regions
from metastra.cohort.hierarchy import Course, Patient, Role, Slide, Specimen
from metastra.cohort.identifiers import normalise_id
from metastra.cohort.measured import measured_late
from metastra.cohort.reading import CohortTables, read_cohort_tables
from metastra.cohort.recorded import read_cohort_clock, read_courses
from metastra.cohort.staging import StagingColumns, StagingValues, read_staging
from metastra.cohort.tables import Table
from metastra.cohort.tissue_tables import (
    TissueReading,
    read_slides,
    read_specimens,
    rule_problems,
    select_slides,
)
from metastra.errors import Problem
from metastra.pseudonyms import Pseudonyms
from metastra.study.paths import resolve_path
from metastra.study.sections import CohortSection
from metastra.study.study import Study

__all__ = ["CohortPart", "read_part"]


@dataclass(frozen=True, kw_only=True)
class CohortPart:
    """One cohort before exclusions and endpoint.

    Parameters
    ----------
    tables : CohortTables
        As read.
    patients : tuple of Patient
        Everybody in the clinical table, in its order, with the slides that the rule selects.
    problems : tuple of Problem
        Of tables, ids, values, staging, course and tissue.
    n_slides_listed : int
        Rows of the slide table with a listed patient.
    pseudonymise : callable
        Study id → pseudonym in this cohort.
    """

    tables: CohortTables
    patients: tuple[Patient, ...]
    problems: tuple[Problem, ...]
    n_slides_listed: int
    pseudonymise: Callable[[str], str]

    @property
    def section(self) -> CohortSection:
        """The cohort's section of the study file."""
        return self.tables.section


def read_part(study: Study, section: CohortSection, pseudonyms: Pseudonyms) -> CohortPart:
    """Read one cohort.

    Parameters
    ----------
    study : Study
        What was promised.
    section : CohortSection
        The cohort.
    pseudonyms : Pseudonyms
        Of the study.

    Returns
    -------
    CohortPart
        Without patients when the clinical table cannot be used.
    """

    def pseudonymise(patient: str) -> str:
        return pseudonyms.patient(_key(study, section, patient))

    tables = read_cohort_tables(study, section, pseudonymise)
    problems = list(tables.problems)
    if tables.clini is None:
        return CohortPart(
            tables=tables,
            patients=(),
            problems=tuple(problems),
            n_slides_listed=0,
            pseudonymise=pseudonymise,
        )
    actual = column_namer(section)
    clini = tables.clini
    problems += _predictor_problems(study, clini, actual)
    derived, found = _derived(study, clini, actual, pseudonymise)
    problems += found
    courses, found = read_courses(
        study, section, clini, tables.event, ids=tables.ids, pseudonymise=pseudonymise
    )
    problems += found
    problems += _late_values(study, tables, clini, pseudonymise)
    specimens, slides, n_listed, found = _tissue(study, tables, pseudonymise)
    problems += found
    temporal, found = _temporal(study, clini, actual)
    problems += found
    names = clinical_columns(study, section.name)
    columns = {name: clini.column(actual(name)) for name in names if clini.has(actual(name))}

    def patient_at(index: int, patient: str) -> Patient:
        mine = tuple(specimens.get(patient, ()))
        chosen = select_slides(slides.get(patient, ()), study.slides)
        values = {name: cells[index] for name, cells in columns.items()}
        return Patient(
            id=patient,
            pseudonym=pseudonymise(patient),
            cohort=section.name,
            key=_key(study, section, patient),
            row=int(clini.rows[index]),
            values=values | _facts(derived, index, mine),
            temporal=temporal[index],
            course=_with_procedure(courses.get(patient, Course()), mine, chosen),
            specimens=mine,
            slides=chosen,
        )

    patients = [patient_at(index, patient) for index, patient in enumerate(tables.ids)]
    problems += _without_slides(tables, patients, slides)
    if section.region_dir is not None and tables.slide is not None and section.require_slides:
        folder = resolve_path(study, section.region_dir)
        patients, found = with_regions(patients, tables.slide, actual("FILENAME"), folder)
        problems += found
    return CohortPart(
        tables=tables,
        patients=tuple(patients),
        problems=tuple(problems),
        n_slides_listed=n_listed,
        pseudonymise=pseudonymise,
    )


def _late_values(
    study: Study, tables: CohortTables, clini: Table, pseudonymise: Callable[[str], str]
) -> list[Problem]:
    actual = column_namer(tables.section)
    return measured_late(
        study,
        clini,
        ids=tables.ids,
        origins=_origins(study, clini, tables.ids, actual),
        actual=actual,
        pseudonymise=pseudonymise,
    )


def _without_slides(
    tables: CohortTables, patients: Sequence[Patient], slides: dict[str, list[Slide]]
) -> list[Problem]:
    """Count the patients whom a slide table leaves without a slide, and say why."""
    if tables.slide is None or tables.clini is None:
        return []
    problems = []
    reasons = {
        "without a row in the slide table": [p for p in patients if not slides.get(p.id)],
        "whose slides the study's rule removes": [
            p for p in patients if slides.get(p.id) and not p.slides
        ],
    }
    for words, those in reasons.items():
        if those:
            rows = [tables.clini.rows.tolist().index(p.row) for p in those]
            problems.append(
                problem(
                    "CO046",
                    f"{len(those)} patient{'s' if len(those) > 1 else ''} {words}",
                    where=tables.clini.where(rows=rows),
                    patients=tuple(p.pseudonym for p in those),
                )
            )
    return problems


def _key(study: Study, section: CohortSection, patient: str) -> str:
    patient = normalise_id(patient)
    if study.study.patient_ids == "per-cohort":
        return f"{section.name}:{patient}"
    return patient


def _predictor_problems(study: Study, clini: Table, actual: Callable[[str], str]) -> list[Problem]:
    problems: list[Problem] = []
    for name, column in study.clinical.items():
        if clini.has(actual(name)):
            coding = Coding(
                kind=CodingKind(column.kind),
                scheme=column.coding,
                levels=column.levels,
                minimum=column.minimum,
                maximum=column.maximum,
                collapse_stage=column.collapse_stage,
            )
            problems += encode(clini, actual(name), coding).problems
    return problems


def _derived(
    study: Study,
    clini: Table,
    actual: Callable[[str], str],
    pseudonymise: Callable[[str], str],
) -> tuple[StagingValues | None, list[Problem]]:
    """Read the staging columns, if the study has any."""
    staging = study.staging
    if not (staging.tnm or staging.stage or staging.metastasis_at_diagnosis):
        return None, []
    columns = StagingColumns(
        patient=actual("PATIENT"),
        tnm=_named(actual, staging.tnm),
        stage=_named(actual, staging.stage),
        metastasis=_named(actual, staging.metastasis_at_diagnosis),
        site=study.study.primary_tumour,
        edition=staging.edition,
        yes=staging.yes,
        no=staging.no,
    )
    return read_staging(clini, columns, pseudonymise)


def _facts(
    staging: StagingValues | None, index: int, specimens: Sequence[Specimen]
) -> dict[str, str | None]:
    """Give the derived columns ``@M``, ``@stage`` and ``@neoadjuvant`` of one patient."""
    said = [item.neoadjuvant for item in specimens if item.neoadjuvant is not None]
    facts: dict[str, str | None] = {"@neoadjuvant": _flag(any(said)) if said else None}
    if staging is not None:
        spread = staging.metastasis[index]
        stage = staging.stage[index]
        facts["@M"] = None if np.isnan(spread) else str(int(spread))
        facts["@stage"] = None if stage is None else str(stage.group())
        if staging.neoadjuvant[index]:
            facts["@neoadjuvant"] = "1"
        elif staging.tnm[index] is not None and not said:
            facts["@neoadjuvant"] = "0"  # a TNM string that was read has no descriptor y
    return facts


def _flag(value: bool) -> str:  # noqa: FBT001 – a value, not a switch
    return "1" if value else "0"


def _named(actual: Callable[[str], str], name: str | None) -> str | None:
    return None if name is None else actual(name)


def _temporal(
    study: Study, clini: Table, actual: Callable[[str], str]
) -> tuple[list[date | None], list[Problem]]:
    """Days that a temporal split goes by."""
    name = study.validation.temporal_column
    if name is None or not clini.has(actual(name)):
        return [None] * len(clini), []
    days, problems = dates(clini, actual(name), data_cut=None)
    return [None if np.isnat(day) else day.item() for day in days], problems


def _origins(
    study: Study, clini: Table, ids: Sequence[str], actual: Callable[[str], str]
) -> dict[str, np.datetime64]:
    """Calendar date of each patient's time origin, where the tables have dates."""
    if study.clock.origin is None or not clini.has(actual(study.clock.origin)):
        return {}
    days, _ = dates(clini, actual(study.clock.origin), data_cut=None)
    return {patient: day for patient, day in zip(ids, days, strict=True) if not np.isnat(day)}


def _tissue(
    study: Study,
    tables: CohortTables,
    pseudonymise: Callable[[str], str],
) -> tuple[dict[str, list[Specimen]], dict[str, list[Slide]], int, list[Problem]]:
    section = tables.section
    actual = column_namer(section)
    specimens: dict[str, list[Specimen]] = {}
    slides: dict[str, list[Slide]] = {}
    problems: list[Problem] = []
    if tables.specimen is not None:
        days, found = _specimen_days(study, tables, actual, pseudonymise)
        problems += found
        reading = TissueReading(
            table=tables.specimen,
            actual=actual,
            days=lambda _patient, index: None if np.isnan(days[index]) else float(days[index]),
            pseudonymise=pseudonymise,
        )
        specimens, found = read_specimens(reading)
        problems += found
    n_listed = 0
    if tables.slide is not None:
        home = section.slide_dir or section.feature_dir
        reading = TissueReading(
            table=tables.slide,
            actual=actual,
            days=lambda _patient, _index: None,
            pseudonymise=pseudonymise,
        )
        slides, found = read_slides(
            reading,
            folder=resolve_path(study, home) if home else None,
            specimens=specimens,
            require_files=section.require_slides,
            scanner=study.metadata.scanner or "SCANNER",
            scan_date=study.metadata.scan_date or "SCAN_DATE",
        )
        problems += found
        problems += rule_problems(tables.slide, actual, study.slides)
        known = set(tables.ids)
        n_listed = sum(len(mine) for patient, mine in slides.items() if patient in known)
    return specimens, slides, n_listed, problems


def _specimen_days(
    study: Study,
    tables: CohortTables,
    actual: Callable[[str], str],
    pseudonymise: Callable[[str], str],
) -> tuple[NDArray[np.float64], list[Problem]]:
    """Days of the specimens since the time origin, from dates or durations."""
    table, clini = tables.specimen, tables.clini
    if table is None or clini is None or not table.has(actual("DATE")):
        return np.full(0 if table is None else len(table), np.nan), []
    names = [pseudonymise(name) for name in tables.ids]
    clock, _ = read_cohort_clock(study, tables.section, clini, names=names)
    position = {name: index for index, name in enumerate(tables.ids)}
    cells = table.column(actual("PATIENT"))
    patients = np.array(
        [-1 if cell is None else position.get(normalise_id(cell), -1) for cell in cells],
        dtype=np.int64,
    )
    return clock.days(table, actual("DATE"), patients)


def _with_procedure(
    course: Course, specimens: Sequence[Specimen], slides: Sequence[Slide]
) -> Course:
    """Let the metastasis whose slide is used say when the procedure was, if it has a date."""
    used = {slide.specimen for slide in slides if slide.specimen}
    days = [
        item.days
        for item in specimens
        if item.role is Role.METASTASIS
        and item.days is not None
        and (item.specimen in used or not used)
    ]
    if days:
        return replace(course, procedure_days=min(days))
    return course
