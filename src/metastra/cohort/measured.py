"""Predictors that were measured after the time of prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.dates import dates
from metastra.cohort.tables import Table
from metastra.cohort.values import numbers
from metastra.errors import Problem
from metastra.study.study import Study

__all__ = ["measured_late"]


def measured_late(
    study: Study,
    clini: Table,
    *,
    ids: Sequence[str],
    origins: Mapping[str, np.datetime64],
    actual: Callable[[str], str],
    pseudonymise: Callable[[str], str],
) -> list[Problem]:
    """Compare the day of each declared measurement with the time origin.

    Parameters
    ----------
    study : Study
        Whose ``[clinical]`` entries may name the column ``measured``.
    clini : Table
        Clinical table with one record per patient.
    ids : sequence of str
        Of the records.
    origins : mapping of str to datetime64
        Time origin by id; empty where times are durations since it.
    actual : callable
        Study's name of a column → the table's.
    pseudonymise : callable
        Study id → pseudonym.

    Returns
    -------
    list of Problem
        ``LK004`` for each column with measurements after the time origin, and the problems of
        reading the column.
    """
    problems: list[Problem] = []
    for column in study.clinical.values():
        if column.measured is None or not clini.has(actual(column.measured)):
            continue
        name = actual(column.measured)
        days, found = _days(clini, name, ids, origins)
        problems += found
        late = [int(index) for index in np.flatnonzero(days > 0)]
        if late:
            problems.append(
                problem(
                    "LK004",
                    f"{len(late)} value{'s' if len(late) > 1 else ''} measured after the time of "
                    f"prediction, by up to {days[late].max():.0f} days",
                    where=clini.where(name, late),
                    patients=tuple(pseudonymise(ids[index]) for index in late),
                )
            )
    return problems


def _days(
    clini: Table, name: str, ids: Sequence[str], origins: Mapping[str, np.datetime64]
) -> tuple[NDArray[np.float64], list[Problem]]:
    """Days since the time origin; NaN where not known."""
    if not origins:
        return numbers(clini, name)
    stamps, problems = dates(clini, name, data_cut=None)
    zero = np.array([origins.get(patient, np.datetime64("NaT")) for patient in ids])
    gap: NDArray[np.float64] = (stamps - zero.astype("datetime64[D]")).astype("float64")
    gap[np.isnat(stamps) | np.isnat(zero)] = np.nan
    return gap, problems
