"""From the cells of a table to the columns of a model, by the locked contract and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.contract import Predictor
from metastra.catalogue import problem
from metastra.cohort.coding import encode
from metastra.cohort.tables import Table, TableFormat, require_columns
from metastra.digest import digest_value
from metastra.errors import Problem

__all__ = ["CodedPatients", "code_patients", "coded_values", "model_columns", "table_in_memory"]

_Array = NDArray[np.float64]

_ABOUT_A_SAMPLE = frozenset({"CO038", "CO039"})
"""Checks of a whole column's information: constant, missing cells."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class CodedPatients:
    """Patients as a model sees them.

    Parameters
    ----------
    columns : ndarray of shape (n, p)
        Missing values filled in; rows of `refused` patients hold NaN.
    refused : tuple of str or None, of length n
        Why a patient gets no risk; None where nothing speaks against it.
    notes : tuple of str, of length n
        What a reader of the risk should know first; empty where there is nothing.
    problems : tuple of Problem
        Refusals, warnings and notes, each with its rows.
    """

    columns: _Array
    refused: tuple[str | None, ...]
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]


def table_in_memory(
    rows: Sequence[Mapping[str, str | None]],
    columns: Sequence[str],
    *,
    name: str = "patients",
    decimal: Literal[".", ","] = ".",
) -> Table:
    """Make a table of cells that stand in no file.

    Parameters
    ----------
    rows : sequence of mapping of str to (str or None)
        One for each patient; cells as text, None where missing.
    columns : sequence of str
        Names of the columns.
    name : str
        For messages.
    decimal : {".", ","}
        Mark in numbers.

    Returns
    -------
    Table
        Row 2 is the first patient, as in a file with a header.

    Examples
    --------
    >>> table_in_memory([{"age": "61"}], ["age"]).column("age").tolist()
    ['61']
    """
    cells = []
    for column in columns:
        array = np.empty(len(rows), dtype=object)
        array[:] = [row.get(column) for row in rows]
        cells.append(array)
    return Table(
        name=name,
        cohort="",
        path=Path(name),
        format=TableFormat(decimal=decimal),
        digest=digest_value([[row.get(column) for column in columns] for row in rows]),
        columns=tuple(columns),
        rows=np.arange(2, len(rows) + 2, dtype=np.int64),
        cells=tuple(cells),
    )


def coded_values(predictor: Predictor, table: Table) -> tuple[_Array, list[Problem]]:
    """Code one predictor, missing values left missing.

    Parameters
    ----------
    predictor : Predictor
        How.
    table : Table
        Has its column.

    Returns
    -------
    values : ndarray of shape (n, k)
        NaN where the cell is missing or refused; not yet transformed.
    problems : list of Problem
        Refusals of cells.
    """
    coded = encode(table, predictor.name, predictor.coding)
    return coded.values, [one for one in coded.problems if one.code not in _ABOUT_A_SAMPLE]


def code_patients(predictors: Sequence[Predictor], table: Table) -> CodedPatients:
    """Bring a table into the columns of a model.

    Parameters
    ----------
    predictors : sequence of Predictor
        In the order of the model's columns.
    table : Table
        One row per patient.

    Returns
    -------
    CodedPatients
        Whose problems are CO007 (a column is missing), those of coding (CO030, CO031, CO036,
        CO037), BU020 to BU022.  With a refusal among them the columns are of no use.
    """
    n = len(table)
    problems = require_columns(table, [predictor.name for predictor in predictors])
    refused: list[list[str]] = [[] for _ in range(n)]
    notes: list[list[str]] = [[] for _ in range(n)]
    blocks: list[_Array] = []
    for predictor in predictors:
        if not table.has(predictor.name):
            continue
        values, found = coded_values(predictor, table)
        problems += found
        wrong = {row for one in found for row in one.where.rows}
        missing = np.isnan(values).any(axis=1) & ~np.isin(table.rows, sorted(wrong))
        problems += _outside(predictor, table, values, notes)
        problems += _missing(predictor, table, missing, refused, notes)
        blocks.append(model_columns(predictor, values))
    return CodedPatients(
        columns=np.column_stack(blocks) if blocks else np.empty((n, 0)),
        refused=tuple("; ".join(reasons) or None for reasons in refused),
        notes=tuple("; ".join(words) for words in notes),
        problems=tuple(problems),
    )


def model_columns(predictor: Predictor, values: _Array) -> _Array:
    """Put the locked value in, transform, and add the indicator.

    Parameters
    ----------
    predictor : Predictor
        With its rule for missing values.
    values : ndarray of shape (n, k)
        As `coded_values` gives them.

    Returns
    -------
    ndarray of shape (n, p)
        Columns of the model; NaN stays where the rule is to refuse.
    """
    missing = np.isnan(values).any(axis=1)
    filled = values.copy()
    if predictor.missing.rule == "impute":
        filled[missing] = predictor.missing.fill
    if predictor.transform == "log1p":
        # values below 0 were refused by the predictor's own limits
        filled = np.log1p(np.where(filled < 0.0, np.nan, filled))
    if predictor.missing.indicator:
        filled = np.column_stack([filled, missing.astype(np.float64)])
    return filled


def _outside(
    predictor: Predictor, table: Table, values: _Array, notes: list[list[str]]
) -> list[Problem]:
    """Find values in a range where the model has seen next to nobody."""
    low, high = predictor.validated_low, predictor.validated_high
    if low is None or high is None:
        return []
    with np.errstate(invalid="ignore"):
        outside = np.flatnonzero((values[:, 0] < low) | (values[:, 0] > high))
    if not outside.size:
        return []
    span = f"{low:g} to {high:g}{f' {predictor.unit}' if predictor.unit else ''}"
    for row in outside:
        words = f"outside the validated range: {predictor.name} {values[row, 0]:g} ({span})"
        notes[row].append(words)
    found = f"{outside.size} value{'s' if outside.size > 1 else ''} outside the validated range"
    where = table.where(predictor.name, outside)
    return [problem("BU022", found, where=where, expected=span)]


def _missing(
    predictor: Predictor,
    table: Table,
    missing: NDArray[np.bool_],
    refused: list[list[str]],
    notes: list[list[str]],
) -> list[Problem]:
    rows = np.flatnonzero(missing)
    if not rows.size or predictor.missing.rule == "pass":
        return []
    where = table.where(predictor.name, rows)
    count = f"{rows.size} patient{'s' if rows.size > 1 else ''}"
    if predictor.missing.rule == "refuse":
        for row in rows:
            refused[row].append(f"{predictor.name} is missing")
        return [problem("BU021", f"{count} without a value", where=where)]
    for row in rows:
        notes[row].append(f"{predictor.name} missing: {predictor.missing.meaning}")
    found = f"{count} without a value: {predictor.missing.meaning} put in"
    return [problem("BU020", found, where=where)]
