"""Predictions out of text cells, one row per patient and one column per horizon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.tables import Table
from metastra.cohort.values import NO_WORDS, numbers, word_key
from metastra.errors import Problem, Severity
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
    again : ndarray of shape (n, k, m), int64
        Further rows of the same patient and horizon by other folds, -1 where there are none; the
        mean of all is judged.
    """

    rows: NDArray[np.int64]
    is_long: bool
    again: NDArray[np.int64] | None = None

    @property
    def all_rows(self) -> NDArray[np.int64]:
        """Every row of each patient and horizon, of shape (n, k, 1 + m)."""
        first = self.rows[:, :, None]
        return first if self.again is None else np.concatenate([first, self.again], axis=2)

    def column(self, position: int) -> Layout:
        """Keep one horizon.

        Parameters
        ----------
        position : int
            Of the horizon; negative from the end.

        Returns
        -------
        Layout
            Of one column.
        """
        chosen = [position % self.rows.shape[1]]
        again = None if self.again is None else self.again[:, chosen]
        return Layout(rows=self.rows[:, chosen], is_long=self.is_long, again=again)


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
        ``EV007`` predicted twice (by several folds it can be accepted), ``EV008`` no prediction for
        a horizon, and those of the column ``horizon``.
    """
    k = len(request.horizons)
    if not is_long(table, request):
        first = np.array([rows[0] for rows in patient_rows], dtype=np.int64)
        return Layout(rows=first[:, None].repeat(k, axis=1), is_long=False), []
    horizon, problems = numbers(table, "horizon")
    found = np.full((len(patient_rows), k), -1, dtype=np.int64)
    several: dict[tuple[int, int], NDArray[np.int64]] = {}
    absent: list[int] = []
    for position, rows in enumerate(patient_rows):
        for column, wanted in enumerate(request.horizons):
            at = rows[np.isclose(horizon[rows], wanted, rtol=1e-9)]
            if at.size:
                found[position, column] = at[0]
            else:
                absent.append(int(rows[0]))
            if at.size > 1:
                several[position, column] = at
    problems += _several(table, request, several)
    if absent:
        rows_ = sorted(set(absent))
        wanted_words = ", ".join(f"{h:g}" for h in request.horizons)
        text = f"{len(rows_)} patients lack a row for a horizon; their first rows are named"
        where = table.where("horizon", rows_)
        problems.append(problem("EV008", text, where=where, expected=f"horizons {wanted_words}"))
    return Layout(rows=found, is_long=True, again=_again(several, found.shape)), problems


def _several(
    table: Table, request: Request, several: dict[tuple[int, int], NDArray[np.int64]]
) -> list[Problem]:
    """Say who is predicted twice; by different folds that can be accepted."""
    if not several:
        return []
    rows = np.sort(np.concatenate(list(several.values())))
    where = table.where(request.id, rows)
    text = f"{rows.size} rows predict a patient again for the same horizon"
    if not table.has("fold"):
        return [problem("EV007", text, where=where, hint="Keep one row; there is no column fold.")]
    fold = table.column("fold")
    names = [[(fold[row] or "").strip() for row in at] for at in several.values()]
    if any(len(set(mine)) < len(mine) for mine in names):
        text += ", and by the same fold"
        return [problem("EV007", text, where=where, hint="Keep one row of each fold.")]
    if "EV007" not in request.accept:
        return [problem("EV007", text, where=where)]
    patients = len({position for position, _ in several})
    text = f"{patients} patients are predicted by several folds: the mean of each is judged"
    return [problem("EV007", text, where=where, severity=Severity.WARN)]


def _again(
    several: dict[tuple[int, int], NDArray[np.int64]], shape: tuple[int, ...]
) -> NDArray[np.int64] | None:
    if not several:
        return None
    most = max(at.size for at in several.values()) - 1
    again = np.full((*shape, most), -1, dtype=np.int64)
    for (position, column), at in several.items():
        again[position, column, : at.size - 1] = at[1:]
    return again


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
        one = places.column(-1)
        column = request.risk_score
        values, found = numbers(table, column)
        problems += found
        score = _placed(values, one)[:, 0]
        problems += _missing(table, column, one.all_rows, out)
        problems += _constant(table, column, score[~out])
        known = score[np.isfinite(score) & ~out]
        alone = not request.risks and "EV003" not in request.accept
        if alone and known.size > 1 and ((known >= 0.0) & (known <= 1.0)).all():
            text = f"all {known.size} scores lie inside 0 and 1"
            problems.append(problem("EV003", text, where=table.where(column)))
    cells = PredictionCells(risks=risks, baseline=baseline, score=score, assessable=~out)
    return cells, problems


def _placed(values: NDArray[np.float64], places: Layout) -> NDArray[np.float64]:
    """Give each patient and horizon its value: the mean where several folds predict."""
    rows = places.all_rows
    cells = np.where(rows >= 0, values[np.maximum(rows, 0)], 0.0)
    count = (rows >= 0).sum(axis=2)
    return np.where(count > 0, cells.sum(axis=2) / np.maximum(count, 1), np.nan)


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
    rows = places.all_rows
    return np.asarray((said[np.maximum(rows, 0)] & (rows >= 0)).any(axis=(1, 2)))


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
        where = places if places.is_long else places.column(position)
        part = _placed(values, where)
        rows = where.all_rows
        problems += _missing(table, column, rows, out)
        cells = np.where(rows >= 0, values[np.maximum(rows, 0)], np.nan)[~out]
        problems += _outside(table, column, cells, rows[~out])
        for each in part.T:
            problems += _constant(table, column, each[~out])
        parts.append(part)
    matrix = np.column_stack(parts)
    with np.errstate(invalid="ignore"):
        falls = (np.diff(matrix, axis=1) < -1e-9).any(axis=1) & ~out
    if falls.any():
        text = f"{int(falls.sum())} patients have a lower risk at a later horizon"
        first = np.unique(places.rows[falls, 0])
        problems.append(problem("EV004", text, where=table.where(columns[0], first)))
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
