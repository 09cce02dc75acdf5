"""Predictions under several conditions out of a table; everything wrong is said at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.tables import Table, TableFormat, read_table, require_columns
from metastra.cohort.values import numbers
from metastra.errors import ConfigError, DataError, Problem, Severity
from metastra.evaluation.joining import rows_of, table_ids
from metastra.evaluation.repeatability import Repeated

__all__ = ["RepeatedRequest", "read_repeated"]


@dataclass(frozen=True, kw_only=True)
class RepeatedRequest:
    """Which columns hold what.

    Parameters
    ----------
    predictions : Path
        One row per patient and condition.
    id, condition : str
        Columns of the patient and of the name of the condition.
    risk, risk_score : str or None
        Column of the prediction; exactly one of the two.
    reference : str
        The condition that the others are compared with.
    cutpoints : tuple of float
        Of the risk groups.
    format : TableFormat
        How the table is written.

    Raises
    ------
    ConfigError
        When not exactly one column of predictions is named.
    """

    predictions: Path
    condition: str
    reference: str
    id: str = "PATIENT"
    risk: str | None = None
    risk_score: str | None = None
    cutpoints: tuple[float, ...] = ()
    format: TableFormat = field(default_factory=TableFormat)

    def __post_init__(self) -> None:
        if (self.risk is None) == (self.risk_score is None):
            raise ConfigError("name the predictions: either --risk COL or --risk-score COL")

    @property
    def column(self) -> str:
        """Column of the predictions."""
        return self.risk if self.risk is not None else str(self.risk_score)


def read_repeated(request: RepeatedRequest) -> tuple[Repeated, tuple[Problem, ...]]:
    """Read the table.

    Parameters
    ----------
    request : RepeatedRequest
        Which columns hold what.

    Returns
    -------
    repeated : Repeated
        A patient without a row, or with an empty cell, for a condition was not assessable there.
    problems : tuple of Problem
        Warnings.

    Raises
    ------
    DataError
        With every refusal, each with its rows.
    """
    table, problems = read_table(request.predictions, format=request.format)
    if table is None:
        raise DataError("the table cannot be read", problems)
    found = list(problems)
    missing = require_columns(table, [request.id, request.condition, request.column])
    if missing:
        raise DataError("columns are missing", found + missing)
    found += table_ids(table, request.id, unique=False)
    values, more = numbers(table, request.column)
    found += more
    rows = rows_of(table, request.id)
    names, more = _conditions(table, request)
    found += more
    matrix, more = _placed(table, request, rows, names, values)
    found += more
    if request.risk is not None:
        bad = np.isfinite(values) & ((values <= 0.0) | (values >= 1.0))
        if bad.any():
            text = f"{int(bad.sum())} risks are not inside (0, 1)"
            found.append(problem("EV001", text, where=table.where(request.column, bad)))
    refused = [one for one in found if one.severity is Severity.REFUSE]
    if refused:
        raise DataError("the table is refused", found)
    repeated = Repeated(
        values=matrix,
        conditions=names,
        cutpoints=request.cutpoints,
        is_risk=request.risk is not None,
    )
    return repeated, tuple(found)


def _conditions(table: Table, request: RepeatedRequest) -> tuple[tuple[str, ...], list[Problem]]:
    """Names of the conditions with the reference first, then in the order of the file."""
    cells = table.column(request.condition)
    empty = [position for position, cell in enumerate(cells) if cell is None or not cell.strip()]
    names = list(dict.fromkeys(cell.strip() for cell in cells if cell is not None and cell.strip()))
    problems = []
    if empty:
        text = f"{len(empty)} rows without a condition"
        problems.append(problem("EV041", text, where=table.where(request.condition, empty)))
    if request.reference not in names:
        text = f"the reference {request.reference!r} does not occur"
        expected = f"one of {', '.join(map(repr, names[:8]))}"
        where = table.where(request.condition)
        problems.append(problem("EV041", text, where=where, expected=expected))
    elif len(names) < 2:
        text = f"the only condition is {request.reference!r}: there is nothing to compare it with"
        problems.append(problem("EV041", text, where=table.where(request.condition)))
    order = sorted(names, key=lambda name: name != request.reference)
    return tuple(order), problems


def _placed(
    table: Table,
    request: RepeatedRequest,
    rows: dict[str, list[int]],
    names: tuple[str, ...],
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], list[Problem]]:
    cells = table.column(request.condition)
    matrix = np.full((len(rows), len(names)), np.nan)
    seen = np.zeros(matrix.shape, dtype=np.int64)
    twice: list[int] = []
    for patient, mine in enumerate(rows.values()):
        for row in mine:
            cell = cells[row]
            if cell is None or cell.strip() not in names:
                continue
            column = names.index(cell.strip())
            matrix[patient, column] = values[row]
            seen[patient, column] += 1
            if seen[patient, column] > 1:
                twice.append(row)
    problems = []
    if twice:
        text = f"{len(twice)} rows predict a patient again under the same condition"
        problems.append(problem("EV042", text, where=table.where(request.condition, twice)))
    return matrix, problems
