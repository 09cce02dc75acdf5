"""Table 1: the patients of each cohort, column by column, with missing values as a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from metastra.cohort.cohort import Cohort
from metastra.cohort.hierarchy import Patient
from metastra.cohort.values import word_key
from metastra.report.small_cells import hide_small

__all__ = ["Cell", "CellKind", "TableOne", "TableOneRow", "table_one"]


class CellKind(StrEnum):
    """What a row of the table counts."""

    COUNT = "count"
    """Patients, with their share of the cohort."""
    MEDIAN = "median"
    """Median and quartiles of the patients with a value."""
    HEADING = "heading"
    """Nothing: the rows below belong to it."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cohort's entry of a row.

    Parameters
    ----------
    n : int or None
        Patients; None where the cell is hidden or holds no count.
    share : float or None
        Of the cohort's patients.
    median, q1, q3 : float or None
        Of the column's values, quartiles by linear interpolation (R's type 7).
    hidden : bool
        Whether the count is small and therefore not shown.
    """

    n: int | None = None
    share: float | None = None
    median: float | None = None
    q1: float | None = None
    q3: float | None = None
    hidden: bool = False


@dataclass(frozen=True, kw_only=True)
class TableOneRow:
    """One row.

    Parameters
    ----------
    column : str
        Column of the clinical table, or what is counted.
    level : str
        Value of the column; empty where the row is about the whole column.
    missing : bool
        Whether the row counts patients without a value.
    kind : CellKind
        What the cells hold.
    cells : tuple of Cell
        One for each cohort.
    decimals : int
        Digits after the point of medians and quartiles.
    """

    column: str
    level: str = ""
    missing: bool = False
    kind: CellKind
    cells: tuple[Cell, ...] = ()
    decimals: int = 0


@dataclass(frozen=True, kw_only=True)
class TableOne:
    """The table.

    Parameters
    ----------
    cohorts : tuple of str
        Names of its columns.
    n : tuple of int
        Patients of each cohort.
    rows : tuple of TableOneRow
        From top to bottom.
    hidden_below : int
        Counts above 0 and below this are not shown; 0 shows all.
    """

    cohorts: tuple[str, ...]
    n: tuple[int, ...]
    rows: tuple[TableOneRow, ...]
    hidden_below: int


def table_one(cohort: Cohort, *, hidden_below: int = 5) -> TableOne:
    """Summarise the declared clinical columns for each cohort.

    Parameters
    ----------
    cohort : Cohort
        The analysed patients.
    hidden_below : int
        Counts above 0 and below this are hidden, and a second one of the same column and cohort
        where the first could be worked out from the total.

    Returns
    -------
    TableOne
        Outcome rows first, then one block for each column.
    """
    names = tuple(section.name for section in cohort.study.cohort)
    groups = [[p for p in cohort.patients if p.cohort == name] for name in names]
    rows = _outcome_rows(cohort, names)
    for column, spec in cohort.study.clinical.items():
        if spec.kind == "continuous":
            rows += _numeric_block(column, groups, _decimals(cohort), hidden_below)
        else:
            rows += _coded_block(column, spec.levels, groups, hidden_below)
    return TableOne(
        cohorts=names,
        n=tuple(len(group) for group in groups),
        rows=tuple(rows),
        hidden_below=hidden_below,
    )


def _decimals(cohort: Cohort) -> dict[str, str]:
    return {section.name: section.clini_format.decimal for section in cohort.study.cohort}


def _outcome_rows(cohort: Cohort, names: Sequence[str]) -> list[TableOneRow]:
    """Events, competing events and censorings; for other endpoints the target."""
    masks = [cohort.cohort_names == name for name in names]
    if cohort.target is None:
        rows = [TableOneRow(column="outcome", kind=CellKind.HEADING)]
        for code, words in ((1, "event"), (2, "competing event"), (0, "censored")):
            cells = tuple(
                _counted(int(np.count_nonzero(cohort.event[mask] == code)), int(mask.sum()))
                for mask in masks
            )
            row = TableOneRow(column="outcome", level=words, kind=CellKind.COUNT, cells=cells)
            rows.append(row)
        return rows
    column = cohort.study.endpoint.column or "Target"
    if cohort.study.endpoint.kind == "continuous":
        cells = tuple(_median(cohort.target[mask]) for mask in masks)
        whole = bool((cohort.target == np.round(cohort.target)).all())
        return [_median_row(column, cells, whole=whole)]
    rows = [TableOneRow(column=column, kind=CellKind.HEADING)]
    for code, level in enumerate(cohort.study.endpoint.levels):
        cells = tuple(
            _counted(int(np.count_nonzero(cohort.target[mask] == code)), int(mask.sum()))
            for mask in masks
        )
        rows.append(TableOneRow(column=column, level=level, kind=CellKind.COUNT, cells=cells))
    return rows


def _counted(n: int, total: int) -> Cell:
    return Cell(n=n, share=n / total if total else None)


def _median(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Cell:
    if not values.size:
        return Cell()
    q1, median, q3 = (float(v) for v in np.quantile(values, (0.25, 0.5, 0.75)))
    return Cell(median=median, q1=q1, q3=q3)


def _median_row(column: str, cells: tuple[Cell, ...], *, whole: bool) -> TableOneRow:
    """Print as many decimals as the values call for: none for whole years, two below one."""
    shown = [v for cell in cells for v in (cell.median, cell.q1, cell.q3) if v is not None]
    decimals = 0 if whole else 1 if max(map(abs, shown), default=0.0) >= 1.0 else 2
    return TableOneRow(column=column, kind=CellKind.MEDIAN, cells=cells, decimals=decimals)


def _numeric_block(
    column: str,
    groups: Sequence[Sequence[Patient]],
    decimals: dict[str, str],
    hidden_below: int,
) -> list[TableOneRow]:
    summaries, missing, whole = [], [], True
    for group in groups:
        values = [_number(p.values.get(column), decimals.get(p.cohort, ".")) for p in group]
        known = np.array([value for value in values if value is not None], dtype=np.float64)
        whole = whole and bool((known == np.round(known)).all())
        enough = known.size >= max(hidden_below, 1)
        summaries.append(_median(known) if enough else Cell(hidden=bool(known.size)))
        missing.append((len(group) - known.size, len(group)))
    return [
        _median_row(column, tuple(summaries), whole=whole),
        TableOneRow(
            column=column,
            missing=True,
            kind=CellKind.COUNT,
            cells=tuple(_shown([n], total, hidden_below)[0] for n, total in missing),
        ),
    ]


def _coded_block(
    column: str,
    declared: Sequence[str],
    groups: Sequence[Sequence[Patient]],
    hidden_below: int,
) -> list[TableOneRow]:
    spelt = {word_key(level): level for level in declared}
    counts = [Counter(_level(p.values.get(column), spelt) for p in group) for group in groups]
    seen = {value for counter in counts for value in counter if value is not None}
    levels = [*declared, *sorted(seen - set(declared), key=_natural)]
    wanted: list[str | None] = [*levels, None]
    shown = [
        _shown([counter[level] for level in wanted], len(group), hidden_below)
        for counter, group in zip(counts, groups, strict=True)
    ]
    rows = [TableOneRow(column=column, kind=CellKind.HEADING)]
    for position, level in enumerate(wanted):
        rows.append(
            TableOneRow(
                column=column,
                level=level or "",
                missing=level is None,
                kind=CellKind.COUNT,
                cells=tuple(cells[position] for cells in shown),
            )
        )
    return rows


def _shown(counts: Sequence[int], total: int, hidden_below: int) -> list[Cell]:
    hidden = hide_small(counts, below=hidden_below)
    return [
        Cell(hidden=True) if hide else _counted(n, total)
        for n, hide in zip(counts, hidden, strict=True)
    ]


def _number(text: str | None, decimal: str) -> float | None:
    """Read a cell; tables were checked before, so what is no number is as good as missing."""
    if text is None:
        return None
    try:
        value = float(text.strip().replace(decimal, "."))
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _level(cell: str | None, spelt: dict[str, str]) -> str | None:
    """Give a value in the spelling that was declared, or in the first that occurs."""
    if cell is None:
        return None
    return spelt.setdefault(word_key(cell), cell.strip())


def _natural(text: str) -> tuple[int, float, str]:
    """Order numbers by size before words by letters."""
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text.casefold())
