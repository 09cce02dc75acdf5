"""Predictions out of text cells, one row per patient and one column per horizon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.tables import Table
from metastra.cohort.values import NO_WORDS, numbers, word_key
from metastra.errors import Problem
from metastra.evaluation.request import Request

__all__ = ["Layout", "PredictionCells", "is_long", "layout", "read_prediction_cells"]

_MOST_OUTSIDE = 0.2
_PERCENT = 100.0


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Layout:
    """Where each patient's prediction for each horizon stands.

    Parameters
    ----------
    rows : ndarray of shape (n, k), int64
        Positions in the table; in a wide table the same row for every horizon; -1 where a long
        table has none.
    is_long : bool
        Whether the table has a row for each horizon.
    """

    rows: NDArray[np.int64]
    is_long: bool


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PredictionCells:
    """Predictions of n patients, NaN where they are missing or refused.

    Parameters
    ----------
    risks, baseline : ndarray of shape (n, k) or None
        None where not asked for.
    score : ndarray of shape (n,) or None
        None where not asked for.
    assessable : ndarray of shape (n,), bool
        False for patients whose row says why there is no prediction.
    """

    risks: NDArray[np.float64] | None
    baseline: NDArray[np.float64] | None
    score: NDArray[np.float64] | None
    assessable: NDArray[np.bool_]


def is_long(table: Table, request: Request) -> bool:
    """Tell a long table from a wide one.

    Parameters
    ----------
    table : Table
        The predictions.
    request : Request
        A table with a column ``horizon`` is long unless several columns of risks are named.

    Returns
    -------
    bool
        True for a row per patient and horizon.
    """
    return table.has("horizon") and len(request.risks) <= 1 and len(request.baseline) <= 1


def layout(
    table: Table, request: Request, patient_rows: Sequence[NDArray[np.int64]]
) -> tuple[Layout, list[Problem]]:
    """Find the row of each patient and horizon.

    Parameters
    ----------
    table : Table
        The predictions.
    request : Request
        With the horizons.
    patient_rows : sequence of ndarray
        Rows of each patient.

    Returns
    -------
    layout : Layout
        In the order of the patients.
    problems : list of Problem
        ``EV007`` predicted twice, ``EV008`` no prediction for a horizon, and those of the column
        ``horizon``.
    """
    k = len(request.horizons)
    if not is_long(table, request):
        first = np.array([rows[0] for rows in patient_rows], dtype=np.int64)
        return Layout(rows=first[:, None].repeat(k, axis=1), is_long=False), []
    horizon, problems = numbers(table, "horizon")
    found = np.full((len(patient_rows), k), -1, dtype=np.int64)
    twice: list[int] = []
    absent: list[int] = []
    for position, rows in enumerate(patient_rows):
        for column, wanted in enumerate(request.horizons):
            at = rows[np.isclose(horizon[rows], wanted, rtol=1e-9)]
            if at.size:
                found[position, column] = at[0]
            else:
                absent.append(int(rows[0]))
            if at.size > 1:
                twice += at.tolist()
    if twice:
        text = f"{len(twice)} rows predict a patient again for the same horizon"
        problems.append(problem("EV007", text, where=table.where(request.id, sorted(twice))))
    if absent:
        rows_ = sorted(set(absent))
        wanted_words = ", ".join(f"{h:g}" for h in request.horizons)
        text = f"{len(rows_)} patients lack a row for a horizon; their first rows are named"
        where = table.where("horizon", rows_)
        problems.append(problem("EV008", text, where=where, expected=f"horizons {wanted_words}"))
    return Layout(rows=found, is_long=True), problems


def read_prediction_cells(
    table: Table, request: Request, places: Layout
) -> tuple[PredictionCells, list[Problem]]:
    """Read risks and scores and hold them against what they are said to be.

    Parameters
    ----------
    table : Table
        The predictions.
    request : Request
        Names of columns.
    places : Layout
        Rows of patients and horizons.

    Returns
    -------
    cells : PredictionCells
        In the order of the patients.
    problems : list of Problem
        ``EV001`` to ``EV006`` and those of the cells: all of them.
    """
    problems: list[Problem] = []
    out = _not_assessable(table, places)
    risks, found = _matrix(table, request.risks, places, out)
    problems += found
    baseline, found = _matrix(table, request.baseline, places, out)
    problems += found
    score = None
    if request.risk_score is not None:
        one = Layout(rows=places.rows[:, -1:], is_long=places.is_long)
        column = request.risk_score
        values, found = numbers(table, column)
        problems += found
        score = _placed(values, one)[:, 0]
        problems += _missing(table, column, one.rows, out)
        problems += _constant(table, column, score[~out])
        known = score[np.isfinite(score) & ~out]
        alone = not request.risks and "EV003" not in request.accept
        if alone and known.size > 1 and ((known >= 0.0) & (known <= 1.0)).all():
            text = f"all {known.size} scores lie inside 0 and 1"
            problems.append(problem("EV003", text, where=table.where(column)))
    cells = PredictionCells(risks=risks, baseline=baseline, score=score, assessable=~out)
    return cells, problems


def _placed(values: NDArray[np.float64], places: Layout) -> NDArray[np.float64]:
    return np.where(places.rows >= 0, values[np.maximum(places.rows, 0)], np.nan)


def _not_assessable(table: Table, places: Layout) -> NDArray[np.bool_]:
    """Mark the patients whose rows give a reason, or say that they are out of scope."""
    said = np.zeros(len(table), dtype=np.bool_)
    if table.has("reason"):
        said |= np.array([bool(cell and cell.strip()) for cell in table.column("reason")])
    if table.has("in_scope"):
        words = set(NO_WORDS)
        said |= np.array(
            [cell is not None and word_key(cell) in words for cell in table.column("in_scope")]
        )
    rows = places.rows
    return np.asarray((said[np.maximum(rows, 0)] & (rows >= 0)).any(axis=1))


def _matrix(
    table: Table, columns: tuple[str, ...], places: Layout, out: NDArray[np.bool_]
) -> tuple[NDArray[np.float64] | None, list[Problem]]:
    if not columns:
        return None, []
    problems: list[Problem] = []
    parts = []
    for position, column in enumerate(columns):
        values, found = numbers(table, column)
        problems += found
        if places.is_long:
            where = places
        else:
            where = Layout(rows=places.rows[:, position : position + 1], is_long=False)
        part = _placed(values, where)
        problems += _missing(table, column, where.rows, out)
        problems += _outside(table, column, part[~out], where.rows[~out])
        for each in part.T:
            problems += _constant(table, column, each[~out])
        parts.append(part)
    matrix = np.column_stack(parts)
    with np.errstate(invalid="ignore"):
        falls = (np.diff(matrix, axis=1) < -1e-9).any(axis=1) & ~out
    if falls.any():
        text = f"{int(falls.sum())} patients have a lower risk at a later horizon"
        rows = np.unique(places.rows[falls, 0])
        problems.append(problem("EV004", text, where=table.where(columns[0], rows)))
    return matrix, problems


def _missing(
    table: Table, column: str, rows: NDArray[np.int64], out: NDArray[np.bool_]
) -> list[Problem]:
    """Name the rows whose cell is empty though nothing says why."""
    cells = table.column(column)
    empty = sorted({int(row) for row in rows[~out].ravel() if row >= 0 and cells[row] is None})
    if not empty:
        return []
    text = f"{len(empty)} predictions are empty"
    return [problem("EV006", text, where=table.where(column, empty))]


def _outside(
    table: Table, column: str, values: NDArray[np.float64], rows: NDArray[np.int64]
) -> list[Problem]:
    with np.errstate(invalid="ignore"):
        bad = (values < 0.0) | (values > 1.0)
    if not bad.any():
        return []
    known = values[np.isfinite(values)]
    span = f"from {known.min():g} to {known.max():g}"
    at = table.where(column, np.unique(rows[bad]))
    text = f"{int(bad.sum())} risks lie outside 0 to 1 (the column goes {span})"
    if known.min() >= 0.0 and 1.5 < known.max() <= _PERCENT:
        hint = "They look like percentages: divide by 100. A score belongs under --risk-score."
        return [problem("EV001", text, where=at, hint=hint)]
    code = "EV002" if bad.mean() > _MOST_OUTSIDE else "EV001"
    return [problem(code, text, where=at, expected="probabilities by the horizon")]


def _constant(table: Table, column: str, values: NDArray[np.float64]) -> list[Problem]:
    known = values[np.isfinite(values)]
    if known.size < 2 or float(np.ptp(known)) > 0.0:
        return []
    text = f"all {known.size} predictions are {known[0]:g}"
    return [problem("EV005", text, where=table.where(column))]
