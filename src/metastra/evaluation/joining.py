"""Bringing the rows of predictions and outcomes together by patient."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.identifiers import id_problems, near_matches, normalise_id
from metastra.cohort.tables import Table
from metastra.errors import Problem, Severity

__all__ = ["Joined", "join", "rows_of", "table_ids"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Joined:
    """Rows of each patient in both tables; patients have numbers, not ids.

    Parameters
    ----------
    patient_rows : tuple of ndarray of int64
        Positions of each patient's rows in the predictions, in the order of the file.
    outcome_row : ndarray of int64
        Position of each patient's row in the outcomes; -1 where there is none.
    unmatched_outcomes : int
        Patients of the outcomes without a prediction.
    """

    patient_rows: tuple[NDArray[np.int64], ...]
    outcome_row: NDArray[np.int64]
    unmatched_outcomes: int = field(default=0)


def table_ids(table: Table, column: str, *, unique: bool) -> list[Problem]:
    """Find everything wrong with a table's ids, by row and without naming anybody.

    Parameters
    ----------
    table : Table
        The table.
    column : str
        Its column of ids.
    unique : bool
        Whether each patient may have one row only.

    Returns
    -------
    list of Problem
        The codes of `metastra.cohort.identifiers.id_problems`, without pseudonyms: predictions
        are judged outside a study and there is no key for them.
    """
    found = id_problems(table, column, table.column(column), lambda _: "", unique=unique)
    return [replace(one, patients=()) for one in found if one.code != "CO018"]


def rows_of(table: Table, column: str) -> dict[str, list[int]]:
    """Gather the rows of each patient.

    Parameters
    ----------
    table : Table
        The table.
    column : str
        Its column of ids.

    Returns
    -------
    dict of str to list of int
        Positions by normalised id, in the order of the file; rows without an id are left out.
    """
    rows: dict[str, list[int]] = {}
    for position, cell in enumerate(table.column(column)):
        if cell is not None and cell.strip():
            rows.setdefault(normalise_id(cell), []).append(position)
    return rows


def join(
    predictions: Table, outcomes: Table | None, column: str, *, accept: frozenset[str]
) -> tuple[Joined, list[Problem]]:
    """Look each predicted patient up in the outcomes.

    Parameters
    ----------
    predictions : Table
        The predictions.
    outcomes : Table or None
        The outcomes; None where they stand beside the predictions.
    column : str
        The column of ids in both.
    accept : frozenset of str
        Codes that do not refuse.

    Returns
    -------
    joined : Joined
        With the patients in the order of the predictions.
    problems : list of Problem
        ``CO012`` to ``CO015`` another spelling in the other table, ``EV009``, ``EV010``.
    """
    mine = rows_of(predictions, column)
    patient_rows = tuple(np.asarray(rows, dtype=np.int64) for rows in mine.values())
    if outcomes is None:
        first = np.array([rows[0] for rows in mine.values()], dtype=np.int64)
        return Joined(patient_rows=patient_rows, outcome_row=first), []
    theirs = rows_of(outcomes, column)
    found = np.array([theirs.get(name, [-1])[0] for name in mine], dtype=np.int64)
    near = near_matches(mine, theirs)
    problems = []
    spelt: dict[str, list[int]] = {}
    for name, match in near.items():
        spelt.setdefault(match.foldings[0].code, []).extend(mine[name])
    for code, rows in sorted(spelt.items()):
        text = f"{len(rows)} rows whose patient is spelt otherwise in {outcomes.name}"
        problems.append(problem(code, text, where=predictions.where(column, sorted(rows))))
    lost = sorted(r for name in mine if name not in theirs and name not in near for r in mine[name])
    if lost:
        patients = sum(name not in theirs and name not in near for name in mine)
        text = f"{patients} of {len(mine)} patients have no row in {outcomes.name}"
        severity = Severity.WARN if "EV009" in accept and patients < len(mine) else None
        problems.append(
            problem("EV009", text, where=predictions.where(column, lost), severity=severity)
        )
    others = {match.other for match in near.values()}
    extra = sorted(r for name in theirs if name not in mine for r in theirs[name])
    unmatched = sum(name not in mine for name in theirs)
    if unmatched > len(others):
        text = f"{unmatched} of {len(theirs)} patients have no prediction in {predictions.name}"
        problems.append(problem("EV010", text, where=outcomes.where(column, extra)))
    joined = Joined(patient_rows=patient_rows, outcome_row=found, unmatched_outcomes=unmatched)
    return joined, problems
