"""Single findings about patients, gathered into problems with rows and pseudonyms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from metastra.catalogue import problem
from metastra.errors import Problem, Severity, Where

__all__ = ["Finding", "gather", "with_patients"]

_SHOWN = 3
"""Details of so many patients stand in the message; the rows name them all."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong with one patient.

    Parameters
    ----------
    code : str
        Of the catalogue.
    headline : str
        What is wrong, the same for every patient it happens to.
    name : str
        The patient's pseudonym.
    row : int
        Line of the file; 0 when there is none.
    file : str
        As the study file names it.
    column : str
        Column of that file; empty when no one column is meant.
    detail : str
        This patient's figures.
    hint : str or None
        A remedy more exact than the catalogue's.
    severity : Severity or None
        Another weight than the catalogue's.
    """

    code: str
    headline: str
    name: str
    row: int = 0
    file: str = ""
    column: str = ""
    detail: str = ""
    hint: str | None = None
    severity: Severity | None = None


def gather(findings: Iterable[Finding], *, cohort: str = "") -> list[Problem]:
    """Make one problem of all findings of one kind in one column.

    Parameters
    ----------
    findings : iterable of Finding
        In any order.
    cohort : str
        The cohort their files belong to.

    Returns
    -------
    list of Problem
        In the order in which each kind came first; rows ascend, `Problem.patients` goes with
        them.

    Examples
    --------
    >>> found = [
    ...     Finding(code="EP002", headline="missing status", name=name, row=row, file="c.csv")
    ...     for name, row in [("P-2", 7), ("P-1", 3)]
    ... ]
    >>> [one] = gather(found)
    >>> one.where.rows, one.patients
    ((3, 7), ('P-1', 'P-2'))
    """
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for item in findings:
        key = (item.code, item.headline, item.file, item.column, item.hint, item.severity)
        groups.setdefault(key, []).append(item)
    return [_problem_of(group, cohort) for group in groups.values()]


def _problem_of(group: list[Finding], cohort: str) -> Problem:
    group = sorted(group, key=lambda item: item.row)
    first = group[0]
    details = [f"{item.name}: {item.detail}" for item in group if item.detail]
    found = first.headline
    if details:
        more = f"; and {len(details) - _SHOWN} more" if len(details) > _SHOWN else ""
        found += f" ({'; '.join(details[:_SHOWN])}{more})"
    rows = tuple(item.row for item in group) if all(item.row for item in group) else ()
    return problem(
        first.code,
        found,
        where=Where(file=first.file, rows=rows, column=first.column, cohort=cohort),
        hint=first.hint,
        severity=first.severity,
        patients=tuple(item.name for item in group),
    )


def with_patients(
    problems: Iterable[Problem], rows: Iterable[int], names: Iterable[str]
) -> list[Problem]:
    """Name the patients of problems that so far only name rows.

    Parameters
    ----------
    problems : iterable of Problem
        Of one table with one record per patient.
    rows : iterable of int
        Line of each patient in that table.
    names : iterable of str
        Pseudonyms in the same order.

    Returns
    -------
    list of Problem
        The same, with `Problem.patients` where every row is a patient's.
    """
    name_of = dict(zip(rows, names, strict=True))
    return [
        replace(item, patients=tuple(name_of[row] for row in item.where.rows))
        if not item.patients and all(row in name_of for row in item.where.rows)
        else item
        for item in problems
    ]
