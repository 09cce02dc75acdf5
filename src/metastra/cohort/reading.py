"""One cohort's tables, read and checked: ids, columns, one record for each patient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.declared_columns import actual_name, clinical_columns, declared_columns
from metastra.cohort.identifiers import id_problems, near_matches, normalise_id
from metastra.cohort.tables import Table, TableFormat, read_table, require_columns
from metastra.errors import Problem, Severity
from metastra.study.paths import resolve_path
from metastra.study.sections import CohortSection, Resolution
from metastra.study.study import Study

__all__ = ["CohortTables", "read_cohort_tables", "take_records"]

_UNUSABLE = frozenset({"CO001", "CO002", "CO003", "CO004", "CO006", "CO007"})
"""Codes after which a table's values are not looked at."""


@dataclass(frozen=True, kw_only=True)
class CohortTables:
    """The tables of one cohort.

    Parameters
    ----------
    section : CohortSection
        As the study file has it.
    clini : Table or None
        One record for each patient; None when it cannot be used.
    slide, specimen, event : Table or None
        None when the study has none or it cannot be used.
    ids : tuple of str
        Normal forms of the patients' ids, one for each record of `clini`.
    digests : dict of str to str
        SHA-256 of each table's bytes by kind.
    problems : tuple of Problem
        Of reading, columns and ids.
    set_patients : tuple of tuple of str
        For each resolution of the study the pseudonyms whose cells it set.
    """

    section: CohortSection
    clini: Table | None
    slide: Table | None = None
    specimen: Table | None = None
    event: Table | None = None
    ids: tuple[str, ...] = ()
    digests: dict[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    set_patients: tuple[tuple[str, ...], ...] = ()


def read_cohort_tables(
    study: Study, section: CohortSection, pseudonymise: Callable[[str], str]
) -> CohortTables:
    """Read the tables of one cohort.

    Parameters
    ----------
    study : Study
        What was promised.
    section : CohortSection
        The cohort.
    pseudonymise : callable
        Study id → pseudonym.

    Returns
    -------
    CohortTables
        With every problem that the tables show by themselves.
    """
    tables: dict[str, Table | None] = {}
    digests: dict[str, str] = {}
    problems: list[Problem] = []
    for kind in ("clini", "slide", "specimen", "event"):
        path = getattr(section, f"{kind}_table")
        if path is None:
            continue
        layout = getattr(section, f"{kind}_format")
        table, found = read_table(
            resolve_path(study, path),
            format=TableFormat(**layout.model_dump()),
            name=path,
            cohort=section.name,
        )
        if table is not None:
            digests[kind] = table.digest
            found += require_columns(table, declared_columns(study, section, kind))
        if kind in ("event", "specimen"):
            found = [_nothing_yet(item) for item in found]
        problems += found
        unusable = any(item.code in _UNUSABLE for item in found)
        tables[kind] = None if unusable else table
    clini = tables.get("clini")
    changed: tuple[tuple[str, ...], ...] = ()
    ids: tuple[str, ...] = ()
    if clini is not None:
        clini, changed = _set_cells(clini, section, study.resolve, pseudonymise)
        clini, ids, found = _one_record_each(study, section, clini, pseudonymise)
        problems += found
        problems += _foreign_ids(section, ids, tables, pseudonymise)
    return CohortTables(
        section=section,
        clini=clini,
        slide=tables.get("slide"),
        specimen=tables.get("specimen"),
        event=tables.get("event"),
        ids=ids,
        digests=digests,
        problems=tuple(problems),
        set_patients=changed,
    )


def _nothing_yet(item: Problem) -> Problem:
    """Let a table of events or specimens be empty: nothing may have happened yet."""
    if item.code == "CO002" and "header and no rows" in item.found:
        hint = "Nothing to do if nothing happened in this cohort yet."
        return replace(item, severity=Severity.WARN, hint=hint)
    return item


def take_records(table: Table, index: Sequence[int]) -> Table:
    """Keep some records of a table, in the given order.

    Parameters
    ----------
    table : Table
        Any table.
    index : sequence of int
        Positions of records.

    Returns
    -------
    Table
        The same file with fewer records; their line numbers stay.
    """
    chosen = np.asarray(index, dtype=np.int64)
    return replace(
        table, rows=table.rows[chosen], cells=tuple(cells[chosen] for cells in table.cells)
    )


def _set_cells(
    table: Table,
    section: CohortSection,
    resolutions: Sequence[Resolution],
    pseudonymise: Callable[[str], str],
) -> tuple[Table, tuple[tuple[str, ...], ...]]:
    """Put the values of ``action = "set"`` into their cells; say whose cells changed."""
    id_cells = table.column(actual_name(section, "PATIENT"))
    changed: list[tuple[str, ...]] = []
    for entry in resolutions:
        touched: list[str] = []
        if entry.action == "set" and (not entry.cohorts or section.name in entry.cohorts):
            column = actual_name(section, entry.column or "")
            wanted = {normalise_id(name) for name in entry.patients}
            if table.has(column):
                cells = table.column(column).copy()
                for index, cell in enumerate(id_cells):
                    hit = cell is not None and normalise_id(cell) in wanted
                    if hit and cells[index] != entry.value:
                        cells[index] = entry.value
                        touched.append(pseudonymise(normalise_id(str(cell))))
                table = _with_column(table, column, cells)
        changed.append(tuple(touched))
    return table, tuple(changed)


def _with_column(table: Table, name: str, cells: NDArray[np.object_]) -> Table:
    position = table.columns.index(name)
    return replace(table, cells=(*table.cells[:position], cells, *table.cells[position + 1 :]))


def _one_record_each(
    study: Study, section: CohortSection, table: Table, pseudonymise: Callable[[str], str]
) -> tuple[Table, tuple[str, ...], list[Problem]]:
    """Check the ids and keep the first record of each patient."""
    column = actual_name(section, "PATIENT")
    per_patient = section.clini_rows == "per-patient"
    cells = table.column(column)
    problems = id_problems(table, column, cells, pseudonymise, unique=per_patient)
    records: dict[str, list[int]] = {}
    for index, cell in enumerate(cells):
        if cell is not None:
            records.setdefault(normalise_id(cell), []).append(index)
    if not per_patient:
        problems += _unequal(study, section, table, records, pseudonymise)
    first = [indexes[0] for indexes in records.values()]
    return take_records(table, first), tuple(records), problems


def _unequal(
    study: Study,
    section: CohortSection,
    table: Table,
    records: dict[str, list[int]],
    pseudonymise: Callable[[str], str],
) -> list[Problem]:
    """Find patients whose several records disagree in a declared column (CO023)."""
    problems = []
    slide_columns = {study.metadata.scanner, study.metadata.scan_date}
    for name in clinical_columns(study, section.name):
        column = actual_name(section, name)
        if name in slide_columns or not table.has(column):
            continue
        cells = table.column(column)
        bad = [
            (patient, indexes)
            for patient, indexes in records.items()
            if len({cells[index] for index in indexes}) > 1
        ]
        if bad:
            pairs = [(pseudonymise(patient), index) for patient, some in bad for index in some]
            problems.append(
                problem(
                    "CO023",
                    f"{len(bad)} patients have different values in their rows",
                    where=table.where(column, [index for _, index in pairs]),
                    patients=tuple(name for name, _ in pairs),
                )
            )
    return problems


def _foreign_ids(
    section: CohortSection,
    ids: Sequence[str],
    tables: dict[str, Table | None],
    pseudonymise: Callable[[str], str],
) -> list[Problem]:
    """Find ids of the other tables that the clinical table lacks (CO019), and their own faults."""
    problems: list[Problem] = []
    known = set(ids)
    column = actual_name(section, "PATIENT")
    for kind in ("slide", "specimen", "event"):
        table = tables.get(kind)
        if table is None:
            continue
        cells = table.column(column)
        problems += id_problems(table, column, cells, pseudonymise, unique=False)
        lost = [
            (normalise_id(cell), index)
            for index, cell in enumerate(cells)
            if cell is not None and normalise_id(cell) not in known
        ]
        if not lost:
            continue
        near = near_matches([name for name, _ in lost], list(ids))
        patients = len({name for name, _ in lost})
        text = (
            f"{patients} patient{'s' if patients > 1 else ''} without a row in the clinical table"
        )
        severity = Severity.WARN
        hint = None
        if near:
            text += f"; {len(near)} differ from a listed id only in case, space, form or zeros"
            severity, hint = Severity.REFUSE, "Write the ids alike in both tables."
        problems.append(
            problem(
                "CO019",
                text,
                where=table.where(column, [index for _, index in lost]),
                patients=tuple(pseudonymise(name) for name, _ in lost),
                severity=severity,
                hint=hint,
            )
        )
    return problems
