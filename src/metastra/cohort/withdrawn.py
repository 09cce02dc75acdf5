"""The list of withdrawn patients beside a study file: who is never analysed again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from metastra.catalogue import problem
from metastra.cohort.hierarchy import Patient
from metastra.errors import DataError, Problem, Where
from metastra.storage import csv_rows
from metastra.study.study import Study

__all__ = ["WITHDRAWN_COLUMNS", "withdrawn_path", "withdrawn_patients", "withdrawn_problem"]

WITHDRAWN_COLUMNS = ("PATIENT", "cohort", "date", "reason")
"""Columns of the list; PATIENT is a pseudonym under the study's key."""


def withdrawn_path(study: Study) -> Path | None:
    """Say where the list of a study lies.

    Parameters
    ----------
    study : Study
        What was promised.

    Returns
    -------
    Path or None
        ``withdrawn.csv`` beside the study file, whether it exists or not; None for a study that
        was not loaded from a file.
    """
    return None if study.path is None else study.folder / "withdrawn.csv"


def withdrawn_patients(study: Study) -> frozenset[tuple[str, str]]:
    """Read who has withdrawn.

    Parameters
    ----------
    study : Study
        What was promised.

    Returns
    -------
    frozenset of (str, str)
        Cohort and pseudonym; empty without a list.

    Raises
    ------
    DataError
        If the list cannot be read, with every row that is at fault: nobody who withdrew may
        come back because of a slip in the list.
    """
    path = withdrawn_path(study)
    if path is None or not path.exists():
        return frozenset()
    try:
        columns, rows = csv_rows(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path.name} cannot be read: {error}") from error
    if tuple(columns) != WITHDRAWN_COLUMNS:
        raise DataError(
            f"{path.name} has the columns {', '.join(columns)}; "
            f"expected {', '.join(WITHDRAWN_COLUMNS)}"
        )
    cohorts = {section.name for section in study.cohort}
    bad = [
        number
        for number, row in enumerate(rows, start=2)
        if not row[0].startswith("P-") or row[1] not in cohorts
    ]
    if bad:
        raise DataError(
            f"{path.name}, rows {', '.join(map(str, bad))}: PATIENT must be the pseudonym "
            f"(P-…, column pseudonym of cohort.csv), never the study's id, and cohort one of "
            f"{', '.join(sorted(cohorts))}"
        )
    return frozenset((row[1], row[0]) for row in rows)


def withdrawn_problem(
    withdrawn: Collection[tuple[str, str]], patients: Sequence[Patient]
) -> list[Problem]:
    """Say which rows of the list exclude nobody.

    Parameters
    ----------
    withdrawn : collection of (str, str)
        Cohort and pseudonym, as `withdrawn_patients` gives them.
    patients : sequence of Patient
        Everybody in the clinical tables.

    Returns
    -------
    list of Problem
        At most one, CO047.
    """
    strangers = sorted(set(withdrawn) - {(p.cohort, p.pseudonym) for p in patients})
    if not strangers:
        return []
    return [
        problem(
            "CO047",
            f"{len(strangers)} of {len(withdrawn)} withdrawn patients are not in the tables",
            where=Where(file="withdrawn.csv"),
            patients=tuple(name for _, name in strangers),
        )
    ]
