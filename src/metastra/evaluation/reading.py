"""From tables on disk to the patients that are judged; everything wrong is said at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.tables import Table, read_table, require_columns
from metastra.errors import DataError, Problem, Severity
from metastra.evaluation.joining import Joined, join, table_ids
from metastra.evaluation.outcome_cells import OutcomeCells, read_outcome_cells
from metastra.evaluation.patients import Patients
from metastra.evaluation.prediction_cells import (
    Layout,
    PredictionCells,
    is_long,
    layout,
    read_prediction_cells,
)
from metastra.evaluation.request import Request
from metastra.evaluation.side_columns import SideColumns, read_side_columns, side_names
from metastra.survival.outcome import Outcome

__all__ = ["Reading", "read_patients"]

_MOST_LABELS = 30
_LEAST_EVENTS = 2


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Reading:
    """What was read.

    Parameters
    ----------
    patients : Patients
        Who can be judged.
    problems : tuple of Problem
        Warnings and notes; refusals are raised.
    bundle : str or None
        Digest of the model, where all rows name the same.
    predictions_sha256 : str
        Of the table of predictions.
    flow : dict
        Patients predicted, excluded and judged, in counts.
    is_long : bool
        Whether the predictions have a row for each horizon.
    """

    patients: Patients
    problems: tuple[Problem, ...]
    bundle: str | None
    predictions_sha256: str
    flow: dict[str, Any]
    is_long: bool


def read_patients(request: Request) -> Reading:
    """Read predictions with their outcomes.

    Parameters
    ----------
    request : Request
        Which columns of which tables.

    Returns
    -------
    Reading
        With warnings.

    Raises
    ------
    DataError
        With every refusal found, each with its rows.
    """
    predictions, outcomes, problems = _tables(request)
    if predictions is None or (request.outcomes is not None and outcomes is None):
        raise DataError("the tables cannot be read", _for_the_command_line(problems))
    source = predictions if outcomes is None else outcomes
    columns_missing = _columns(request, predictions, outcomes)
    if columns_missing:
        raise DataError("columns are missing", problems + columns_missing)
    problems += table_ids(predictions, request.id, unique=not is_long(predictions, request))
    if outcomes is not None:
        problems += table_ids(outcomes, request.id, unique=True)
    joined, found = join(predictions, outcomes, request.id, accept=request.accept)
    problems += found
    places, found = layout(predictions, request, joined.patient_rows)
    problems += found
    cells, found = read_prediction_cells(predictions, request, places)
    problems += found
    outcome, found = _outcomes(source, predictions, request, joined, beside=outcomes is None)
    problems += found
    judged = (joined.outcome_row >= 0) & cells.assessable
    labels, found = _labels(request, predictions, outcomes, joined, places)
    problems += found
    side, found = read_side_columns(request, predictions, outcomes, joined, places, outcome.entry)
    problems += found
    _refuse(problems)
    patients = _patients(request, outcome, cells, labels, side, judged, _folds(predictions))
    problems += _enough(patients, request, source)
    _refuse(problems)
    flow = {
        "predicted": len(joined.patient_rows),
        "without_outcome": int((joined.outcome_row < 0).sum()),
        "not_assessable": int((~cells.assessable & (joined.outcome_row >= 0)).sum()),
        "judged": patients.n,
        "outcomes_without_prediction": joined.unmatched_outcomes,
    }
    return Reading(
        patients=patients,
        problems=tuple(problems),
        bundle=_bundle(predictions, places),
        predictions_sha256=predictions.digest,
        flow=flow,
        is_long=places.is_long,
    )


def _tables(request: Request) -> tuple[Table | None, Table | None, list[Problem]]:
    predictions, problems = read_table(request.predictions, format=request.format)
    outcomes = None
    if request.outcomes is not None:
        outcomes, found = read_table(request.outcomes, format=request.format)
        problems = problems + found
    return predictions, outcomes, list(problems)


def _columns(request: Request, predictions: Table, outcomes: Table | None) -> list[Problem]:
    """Look for the columns: predictions here, outcomes there, groups in either."""
    here = [request.id, *request.risks, *request.baseline]
    here += [request.risk_score] if request.risk_score is not None else []
    there = [request.id, request.time, request.event]
    there += [name for name in (request.entry, request.last_negative) if name is not None]
    problems = require_columns(predictions, here)
    problems += require_columns(predictions if outcomes is None else outcomes, there)
    for name in (*_group_columns(request), *side_names(request)):
        if not predictions.has(name) and (outcomes is None or not outcomes.has(name)):
            problems += require_columns(predictions, [name])
    named = {problem.found: problem for problem in problems}
    wide = not is_long(predictions, request)
    k = len(request.horizons)
    short = [c for c in (request.risks, request.baseline) if c and len(c) != k]
    if wide and short:
        text = f"{len(short[0])} column of risks for {k} horizons in a table without `horizon`"
        named[text] = problem("EV008", text, where=predictions.where())
    return list(named.values())


def _group_columns(request: Request) -> tuple[str, ...]:
    further = (request.cohort, request.risk_group)
    return (*request.subgroups, *(name for name in further if name is not None))


def _part(table: Table, rows: NDArray[np.int64]) -> Table:
    return replace(table, rows=table.rows[rows], cells=tuple(c[rows] for c in table.cells))


def _outcomes(
    table: Table, predictions: Table, request: Request, joined: Joined, *, beside: bool
) -> tuple[OutcomeCells, list[Problem]]:
    """Read the outcomes of the predicted patients; NaN and -1 for those who have none."""
    known = joined.outcome_row >= 0
    used = np.unique(np.concatenate(joined.patient_rows) if beside else joined.outcome_row[known])
    if not used.size:
        raise DataError(
            "no predicted patient has an outcome",
            [
                problem(
                    "EV009",
                    "no id of the predictions occurs in the outcomes",
                    where=predictions.where(request.id),
                    hint="Name the column of the ids with --id; both tables must have it, and be "
                    "of the same patients.",
                )
            ],
        )
    cells, problems = read_outcome_cells(_part(table, used), request)
    at = np.where(known, np.searchsorted(used, np.maximum(joined.outcome_row, 0)), 0)
    if beside and not problems:
        problems += _two_values(table, request, joined, used, cells)

    def placed(values: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
        return None if values is None else np.where(known, values[at], np.nan)

    time = placed(cells.time)
    event = np.where(known, cells.event[at], -1).astype(np.int64)
    return OutcomeCells(
        time=cells.time if time is None else time,
        event=event,
        entry=placed(cells.entry),
        last_negative=placed(cells.last_negative),
    ), problems


def _two_values(
    table: Table,
    request: Request,
    joined: Joined,
    used: NDArray[np.int64],
    cells: OutcomeCells,
) -> list[Problem]:
    """Find patients whose rows disagree about the outcome (long table)."""
    problems = []
    for column, values in ((request.time, cells.time), (request.event, cells.event)):
        rows: list[int] = []
        for mine in joined.patient_rows:
            theirs = values[np.searchsorted(used, mine)]
            if (theirs != theirs[0]).any():
                rows += mine.tolist()
        if rows:
            text = f"{len(rows)} rows of patients whose rows differ in the outcome"
            problems.append(problem("CO023", text, where=table.where(column, sorted(rows))))
    return problems


def _labels(
    request: Request,
    predictions: Table,
    outcomes: Table | None,
    joined: Joined,
    places: Layout,
) -> tuple[dict[str, NDArray[np.object_]], list[Problem]]:
    """Read group columns; a column with many labels is none, and might hold ids."""
    found: dict[str, NDArray[np.object_]] = {}
    problems = []
    for name in dict.fromkeys(_group_columns(request)):
        table = predictions if predictions.has(name) or outcomes is None else outcomes
        rows = places.rows[:, 0] if table is predictions else joined.outcome_row
        cells = table.column(name)
        labels = np.empty(rows.size, dtype=object)
        labels[:] = [None if row < 0 or cells[row] is None else cells[row].strip() for row in rows]
        count = len({label for label in labels if label is not None})
        if count > _MOST_LABELS or name == request.id:
            text = f"{count} different labels"
            expected = f"{_MOST_LABELS} at most, and not the ids"
            where = table.where(name)
            problems.append(problem("EV013", text, where=where, expected=expected))
        gone = np.array([label is None for label in labels]) & (rows >= 0)
        if name == request.cohort and gone.any():
            text = f"{int(gone.sum())} patients without a cohort"
            problems.append(problem("CO023", text, where=table.where(name, rows[gone])))
        found[name] = labels
    return found, problems


def _patients(
    request: Request,
    outcome: OutcomeCells,
    cells: PredictionCells,
    labels: dict[str, NDArray[np.object_]],
    side: SideColumns,
    judged: NDArray[np.bool_],
    folds: int,
) -> Patients:
    def part(values: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
        return None if values is None else values[judged]

    if not judged.any():
        raise DataError(
            "nobody can be judged",
            [problem("EV006", "no patient has both a prediction and an outcome")],
        )
    return Patients(
        outcome=Outcome(
            time=outcome.time[judged], event=outcome.event[judged], entry=part(outcome.entry)
        ),
        horizons=request.horizons,
        time_unit=request.time_unit,
        risks=part(cells.risks),
        score=part(cells.score),
        baseline=part(cells.baseline),
        cohort=None if request.cohort is None else labels[request.cohort][judged],
        subgroups={
            name: labels[name][judged]
            for name in request.subgroups
            if name not in {one.name for one in side.late}
        },
        assigned=None if request.risk_group is None else labels[request.risk_group][judged],
        last_negative=part(outcome.last_negative),
        folds=folds,
        covariates=tuple(one.take(judged) for one in side.covariates),
        described=tuple(one.take(judged) for one in side.described),
        treatment=part(side.treatment),
        late=tuple(one.take(judged) for one in side.late),
    )


def _enough(patients: Patients, request: Request, source: Table) -> list[Problem]:
    """Refuse data in which nothing can be judged."""
    y = patients.outcome
    problems = []
    where = source.where(request.event)
    events = y.n_events(1)
    if events < _LEAST_EVENTS:
        said = "no event" if events == 0 else "one event"
        all_censored = "" if y.causes else "; everybody is censored"
        text = f"{said} of cause {request.cause} among {y.n} patients{all_censored}"
        problems.append(problem("EV011", text, where=where))
    last = float(y.time.max())
    past = [horizon for horizon in request.horizons if horizon > last]
    if past:
        words = ", ".join(f"{horizon:g}" for horizon in past)
        text = f"the horizon {words} lies past the last follow-up at {last:g} {request.time_unit}"
        hint = "Choose an earlier horizon, or correct --time-unit."
        where = source.where(request.time)
        problems.append(problem("EP016", text, where=where, hint=hint))
    return problems


def _folds(table: Table) -> int:
    if not table.has("fold"):
        return 0
    return len({cell.strip() for cell in table.column("fold") if cell is not None})


def _bundle(table: Table, places: Layout) -> str | None:
    """Take the digest that every row names; None where rows differ or have none."""
    if not table.has("bundle"):
        return None
    rows = np.unique(places.all_rows[places.all_rows >= 0])
    named = {None if cell is None else cell.strip() for cell in table.column("bundle")[rows]}
    only = named.pop() if len(named) == 1 else None
    return only or None


def _for_the_command_line(problems: list[Problem]) -> list[Problem]:
    """Name options where the remedy of a study file is a line of it."""
    comma = "Add --decimal , and where fields are separated otherwise --delimiter ;"
    hints = {"CO031": comma, "CO004": "Name the separator, such as --delimiter ';'"}
    return [replace(one, hint=hints.get(one.code, one.hint)) for one in problems]


def _refuse(problems: list[Problem]) -> None:
    problems = _for_the_command_line(problems)
    if any(one.severity is Severity.REFUSE for one in problems):
        raise DataError("the predictions cannot be judged", problems)
