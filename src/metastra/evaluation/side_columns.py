"""Columns beside predictions and outcomes: covariates, table 1, treatment."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from metastra.cohort.tables import Table
from metastra.cohort.values import NO_WORDS, YES_WORDS, booleans
from metastra.errors import Problem
from metastra.evaluation.covariates import ColumnSpec, Covariate, read_covariate
from metastra.evaluation.joining import Joined
from metastra.evaluation.late_columns import KnownAt, LateColumn, read_known_at
from metastra.evaluation.prediction_cells import Layout
from metastra.evaluation.request import Request

__all__ = ["SideColumns", "read_side_columns", "side_names"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SideColumns:
    """What stands beside, one entry per predicted patient.

    Parameters
    ----------
    covariates, described : tuple of Covariate
        For the models, and further ones for table 1.
    treatment : ndarray of shape (n,) or None
        1 treated, 0 not, NaN where missing.
    late : tuple of LateColumn
        Columns that became known late, which are none of the above.
    """

    covariates: tuple[Covariate, ...] = ()
    described: tuple[Covariate, ...] = ()
    late: tuple[LateColumn, ...] = ()
    treatment: NDArray[np.float64] | None = field(default=None)


def side_names(request: Request) -> tuple[str, ...]:
    """List the columns that have to be there.

    Parameters
    ----------
    request : Request
        With `adjust`, `describe`, `known_at` and `treatment`.

    Returns
    -------
    tuple of str
        Names without the kind.
    """
    names = [ColumnSpec.parse(text).name for text in (*request.adjust, *request.describe)]
    times = [KnownAt.parse(text).time for text in request.known_at]
    return (*names, *times, *([request.treatment] if request.treatment is not None else []))


def read_side_columns(
    request: Request,
    predictions: Table,
    outcomes: Table | None,
    joined: Joined,
    places: Layout,
    entry: NDArray[np.float64] | None = None,
) -> tuple[SideColumns, list[Problem]]:
    """Read them from the predictions, or from the outcomes where they stand there.

    Parameters
    ----------
    request : Request
        Names of columns.
    predictions, outcomes : Table
        Where they may stand.
    joined : Joined
        Rows of the patients in the outcomes.
    places : Layout
        Rows of the patients in the predictions.
    entry : ndarray of shape (n,), optional
        Delayed entry of the patients.

    Returns
    -------
    columns : SideColumns
        In the order of the patients.
    problems : list of Problem
        ``EV014`` a column that is neither number nor category, ``EV016`` one that became known
        after the clock started, and those of numbers and words.
    """
    problems: list[Problem] = []

    def source(name: str) -> tuple[Table, NDArray[np.int64]]:
        if predictions.has(name) or outcomes is None:
            return predictions, places.rows[:, 0]
        return outcomes, joined.outcome_row

    def covariates(texts: tuple[str, ...]) -> tuple[Covariate, ...]:
        found = []
        for spec in dict.fromkeys(ColumnSpec.parse(text) for text in texts):
            table, rows = source(spec.name)
            one, wrong = read_covariate(table, spec, rows)
            problems.extend(wrong)
            found.append(one)
        return tuple(found)

    adjust, describe = covariates(request.adjust), covariates(request.describe)
    used = {one.name for one in adjust} | set(request.subgroups)
    used |= set() if request.treatment is None else {request.treatment}
    late, wrong = read_known_at(
        request.known_at, source, used=frozenset(used), entry=entry, accept=request.accept
    )
    problems += wrong
    kept_out = {one.name for one in late}
    treatment = None
    if request.treatment is not None and request.treatment not in kept_out:
        table, rows = source(request.treatment)
        values, wrong = booleans(table, request.treatment, yes=YES_WORDS, no=NO_WORDS)
        problems += wrong
        treatment = np.where(rows >= 0, values[np.maximum(rows, 0)], np.nan)
    columns = SideColumns(
        covariates=tuple(one for one in adjust if one.name not in kept_out),
        described=describe,
        treatment=treatment,
        late=late,
    )
    return columns, problems
