"""The staging columns of a clinical table, read together and held against each other."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.identifiers import normalise_id
from metastra.cohort.stage import (
    Edition,
    Site,
    Stage,
    implied_stage_group,
    parse_stage,
    possible_stages,
    site_faults,
)
from metastra.cohort.tables import Table
from metastra.cohort.tnm import Tnm, parse_tnm
from metastra.cohort.values import NO_WORDS, YES_WORDS, booleans, quoted
from metastra.errors import DataError, Problem, Severity

__all__ = ["StagingColumns", "StagingValues", "read_staging", "tnm_stage_problems"]

_MAX_REASONS = 10


@dataclass(frozen=True, kw_only=True)
class StagingColumns:
    """Which columns of the clinical table speak of stage, and how.

    Parameters
    ----------
    patient : str
        The column of ids.
    tnm, stage, metastasis : str or None
        TNM string, stage group, and whether metastases were present at diagnosis; None where the
        table has no such column.
    site : {"colorectal", "breast", "other"}
        The primary tumour, whose stage table is used.
    edition : {"AJCC-7", "AJCC-8"}
        The edition of the manual.
    yes, no : collection of str
        The words of the metastasis column.
    """

    patient: str
    tnm: str | None = None
    stage: str | None = None
    metastasis: str | None = None
    site: Site = "other"
    edition: Edition = "AJCC-8"
    yes: Collection[str] = YES_WORDS
    no: Collection[str] = NO_WORDS


@dataclass(frozen=True, kw_only=True, eq=False)
class StagingValues:
    """What the staging columns say of each of `n` patients.

    Parameters
    ----------
    tnm : tuple of Tnm or None
        None where the cell is missing or cannot be read.
    stage : tuple of Stage or None
        None where the stage is missing, not known or cannot be read.
    metastasis : ndarray of float64, shape (n,)
        1 metastases at diagnosis, 0 none, NaN not recorded or contradicted: from M, else from the
        metastasis column.
    neoadjuvant : ndarray of bool, shape (n,)
        The descriptor y.
    """

    tnm: tuple[Tnm | None, ...]
    stage: tuple[Stage | None, ...]
    metastasis: NDArray[np.float64]
    neoadjuvant: NDArray[np.bool_]


def tnm_stage_problems(
    table: Table, columns: StagingColumns, pseudonymise: Callable[[str], str]
) -> list[Problem]:
    """Find what is wrong with the staging columns.

    Parameters
    ----------
    table, columns, pseudonymise
        As in `read_staging`.

    Returns
    -------
    list of Problem
        The problems of `read_staging`.
    """
    return read_staging(table, columns, pseudonymise)[1]


def read_staging(
    table: Table, columns: StagingColumns, pseudonymise: Callable[[str], str]
) -> tuple[StagingValues, list[Problem]]:
    r"""Read the staging columns and hold them against each other.

    Parameters
    ----------
    table : Table
        The clinical table.
    columns : StagingColumns
        Its columns; those that the table lacks are left out (`require_columns` names them).
    pseudonymise : callable
        From a study id to the pseudonym that may be shown.

    Returns
    -------
    values : StagingValues
        One entry per row.
    problems : list of Problem
        ``CO040`` TNM that cannot be read, ``CO037`` a stage or a word that cannot be read,
        ``CO041`` stage against TNM (a warning where only the subdivision differs), ``CO042``
        metastasis column against M, ``CO043`` the descriptor y, ``CO044`` metastasis at diagnosis
        not recorded (a note where M says it and only the column is empty).

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from metastra.cohort.tables import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "clini.csv")
    ...     _ = path.write_text("PATIENT,TNM,stage\na,pT3 N1b M1a,III\nb,ypT3 N0 cM0,IIA\n")
    ...     table, _ = read_table(path)
    >>> columns = StagingColumns(patient="PATIENT", tnm="TNM", stage="stage", site="colorectal")
    >>> for one in read_staging(table, columns, lambda _: "P-x")[1]:
    ...     print(one.code, one.where, "|", one.found)
    CO041 clini.csv, row 2, column 'stage' | stage III although TNM implies IVA
    CO043 clini.csv, row 3, column 'TNM' | 1 patient with the descriptor y
    """
    reading = _Reading(table, columns, pseudonymise)
    tnms = reading.tnms()
    stages = reading.stages()
    stated = reading.stated_metastasis()
    reading.compare_stage(tnms, stages)
    metastasis = reading.compare_metastasis(tnms, stages, stated)
    treated = np.array([one is not None and one.y for one in tnms], dtype=np.bool_)
    reading.add("CO043", columns.tnm, np.flatnonzero(treated), "with the descriptor y")
    values = StagingValues(tnm=tnms, stage=stages, metastasis=metastasis, neoadjuvant=treated)
    return values, reading.problems


class _Reading:
    """One pass over the staging columns, gathering problems."""

    def __init__(
        self, table: Table, columns: StagingColumns, pseudonymise: Callable[[str], str]
    ) -> None:
        self.table, self.columns = table, columns
        self.problems: list[Problem] = []
        ids = table.column(columns.patient)
        self._names = [None if cell is None else pseudonymise(normalise_id(cell)) for cell in ids]

    def add(
        self,
        code: str,
        column: str | None,
        rows: NDArray[np.intp] | list[int],
        what: str,
        *,
        expected: str = "",
        hint: str | None = None,
        severity: Severity | None = None,
        counted: bool = True,
    ) -> None:
        """Add a problem of some rows, unless there are none."""
        if not len(rows):
            return
        count = f"{len(rows)} patient{'s' if len(rows) > 1 else ''} " if counted else ""
        self.problems.append(
            problem(
                code,
                count + what,
                where=self.table.where(column or "", rows),
                expected=expected,
                hint=hint,
                severity=severity,
                patients=tuple(self._names[row] or "" for row in rows),
            )
        )

    def _cells(self, column: str | None) -> list[str | None]:
        if column is None or not self.table.has(column):
            return [None] * len(self.table)
        return list(self.table.column(column))

    def tnms(self) -> tuple[Tnm | None, ...]:
        """Read the TNM column; unreadable strings are grouped by their reason."""
        column = self.columns.tnm
        read: list[Tnm | None] = []
        reasons: dict[str, list[int]] = {}
        for row, cell in enumerate(self._cells(column)):
            tnm = None
            if cell is not None:
                try:
                    tnm = parse_tnm(cell)
                    faults = site_faults(tnm, self.columns.site, self.columns.edition)
                    if faults:
                        reason = f"{' and '.join(faults)} does not exist for {self.columns.site} "
                        raise DataError(f"{reason}tumours ({self.columns.edition})")
                except DataError as error:
                    tnm = None
                    reasons.setdefault(str(error), []).append(row)
            read.append(tnm)
        bad = sorted(row for rows in reasons.values() for row in rows)
        if len(reasons) > _MAX_REASONS or (column and bad and not quoted(self.table, column, bad)):
            reasons = {"it is no TNM string": bad}
        for reason, rows in reasons.items():
            self.add("CO040", column, rows, f"with a TNM string that cannot be read: {reason}")
        return tuple(read)

    def stages(self) -> tuple[Stage | None, ...]:
        """Read the stage column; X is read as not known."""
        column = self.columns.stage
        read: list[Stage | None] = []
        bad: list[int] = []
        for row, cell in enumerate(self._cells(column)):
            stage = None
            if cell is not None:
                try:
                    stage = parse_stage(cell)
                except DataError:
                    bad.append(row)
            read.append(stage if stage is None or stage.rank is not None else None)
        if bad and column:
            what = f"with a stage that cannot be read{quoted(self.table, column, bad)}"
            expected = "0, I to IV with A, B or C, or X"
            self.add("CO037", column, bad, what, expected=expected)
        return tuple(read)

    def stated_metastasis(self) -> NDArray[np.float64]:
        """Read the metastasis column."""
        column = self.columns.metastasis
        if column is None or not self.table.has(column):
            return np.full(len(self.table), np.nan)
        values, problems = booleans(self.table, column, yes=self.columns.yes, no=self.columns.no)
        self.problems += problems
        return values

    def compare_stage(self, tnms: tuple[Tnm | None, ...], stages: tuple[Stage | None, ...]) -> None:
        """Hold the stage against what TNM allows: groups must agree, subdivisions should."""
        site, edition = self.columns.site, self.columns.edition
        against: dict[tuple[str, str, bool], list[int]] = {}
        for row, (tnm, stage) in enumerate(zip(tnms, stages, strict=True)):
            if tnm is None or stage is None:
                continue
            allowed = possible_stages(tnm, site, edition)
            groups = {name.rstrip("ABC") for name in allowed}
            letter = stage.sub[:1] if stage.sub[:1] in {"A", "B", "C", "D"} else ""
            same_group = stage.numeral in groups
            if not allowed or (same_group and (not letter or stage.numeral + letter in allowed)):
                continue
            implied = implied_stage_group(tnm, site, edition) or " or ".join(sorted(groups))
            against.setdefault((str(stage), implied, same_group), []).append(row)
        for (stated, implied, same_group), rows in sorted(against.items(), key=lambda one: one[1]):
            what = f"stage {stated} although TNM implies {implied}"
            severity = Severity.WARN if same_group else None
            self.add("CO041", self.columns.stage, rows, what, severity=severity, counted=False)

    def compare_metastasis(
        self,
        tnms: tuple[Tnm | None, ...],
        stages: tuple[Stage | None, ...],
        stated: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Hold the metastasis column against M, or against the stage where M is open."""
        column = self.columns.metastasis
        by_m = np.array([_as_float(None if one is None else one.metastasis) for one in tnms])
        by_stage = np.array([_as_float(None if one is None else one.rank == 4) for one in stages])
        both = np.where(np.isnan(by_m), stated, by_m)
        clash = np.isfinite(by_m) & np.isfinite(stated) & (by_m != stated)
        denied = np.flatnonzero(clash & (by_m == 1))
        self.add("CO042", column, denied, "with M1 although the column says no metastases")
        claimed = np.flatnonzero(clash & (by_m == 0))
        self.add("CO042", column, claimed, "with M0 although the column says metastases")
        open_m = np.isnan(by_m) & np.isfinite(by_stage) & np.isfinite(stated)
        rows = np.flatnonzero(open_m & (by_stage != stated))
        self.add("CO042", column, rows, "whose stage says otherwise; M is not recorded")
        both[clash] = np.nan
        place = self.columns.tnm or column
        unknown = np.flatnonzero(np.isnan(both) & ~clash)
        if self.columns.tnm or column:
            self.add("CO044", place, unknown, "without M0 or M1")
        if column and self.table.has(column):
            empty = np.array([cell is None for cell in self._cells(column)], dtype=np.bool_)
            rows = np.flatnonzero(empty & np.isfinite(by_m))
            hint = "TNM is used; complete the column."
            what = "with an empty cell although TNM says M0 or M1"
            self.add("CO044", column, rows, what, hint=hint, severity=Severity.NOTE)
        return both


def _as_float(value: bool | None) -> float:  # noqa: FBT001 (a value, not a switch)
    return np.nan if value is None else float(value)
