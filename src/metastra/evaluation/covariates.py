"""Clinical columns beside the predictions: numbers or categories, missing values counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.tables import Table
from metastra.cohort.values import numbers
from metastra.errors import NotEstimable, Problem

__all__ = ["MOST_LEVELS", "ColumnSpec", "Covariate", "Design", "design_of", "read_covariate"]

MOST_LEVELS = 12
"""A column of words with more is no category: it might hold ids or free text."""
_FEWEST_NUMBERS = 7
"""A column of numbers with fewer different values is taken as categories."""
_KINDS = ("number", "category")


@dataclass(frozen=True, kw_only=True)
class ColumnSpec:
    """A column and what it is said to hold.

    Parameters
    ----------
    name : str
        Of the column.
    kind : {"", "number", "category"}
        Empty when the column itself decides.

    Examples
    --------
    >>> ColumnSpec.parse("grade:category")
    ColumnSpec(name='grade', kind='category')
    >>> ColumnSpec.parse("age").kind
    ''
    """

    name: str
    kind: str = ""

    @classmethod
    def parse(cls, text: str) -> ColumnSpec:
        """Read ``COL``, ``COL:number`` or ``COL:category``.

        Parameters
        ----------
        text : str
            As given on the command line.

        Returns
        -------
        ColumnSpec
            With an empty kind where none was said.
        """
        name, colon, kind = text.rpartition(":")
        return cls(name=name, kind=kind) if colon and kind in _KINDS else cls(name=text)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Covariate:
    """One column, one entry per patient.

    Parameters
    ----------
    name : str
        Of the column.
    kind : {"number", "category"}
        What `values` are.
    values : ndarray of shape (n,)
        Numbers, or positions in `levels`; NaN where missing.
    levels : tuple of str
        Of a category.
    base : int or None
        Position of the level that a model takes as the reference; the most frequent when None.
    """

    name: str
    kind: str
    values: NDArray[np.float64]
    levels: tuple[str, ...] = ()
    base: int | None = None

    def __repr__(self) -> str:
        # no values: a traceback must show no patient
        return f"Covariate({self.name!r}, {self.kind}, n={self.values.size})"

    @property
    def n_missing(self) -> int:
        """Patients without a value."""
        return int(np.count_nonzero(np.isnan(self.values)))

    @property
    def reference(self) -> int:
        """Position of the reference level: the most frequent, the first of equals."""
        if self.base is not None:
            return self.base
        known = self.values[~np.isnan(self.values)].astype(np.int64)
        return int(np.argmax(np.bincount(known, minlength=max(len(self.levels), 1))))

    def take(self, chosen: NDArray[np.bool_]) -> Covariate:
        """Select patients.

        Parameters
        ----------
        chosen : ndarray of shape (n,), bool
            Who is kept.

        Returns
        -------
        Covariate
            With all levels, also those that nobody has any more.
        """
        return replace(self, values=self.values[chosen])


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """Columns of a model.

    Parameters
    ----------
    names : tuple of str
        ``age``, or ``grade 3 (against 2)`` for each level but the reference.
    owners : tuple of str
        The covariate that each column comes from.
    matrix : ndarray of shape (n, p)
        Numbers as they are, levels as 0 and 1.
    """

    names: tuple[str, ...]
    owners: tuple[str, ...]
    matrix: NDArray[np.float64]


def design_of(covariates: Sequence[Covariate]) -> Design:
    """Lay covariates out as columns of a model.

    Parameters
    ----------
    covariates : sequence of Covariate
        One or more, without missing values.

    Returns
    -------
    Design
        Levels that nobody has are left out.

    Raises
    ------
    NotEstimable
        When a value is missing, or a covariate does not vary.

    Examples
    --------
    >>> grade = Covariate(
    ...     name="grade", kind="category", values=np.array([0.0, 1, 1]), levels=("1", "2")
    ... )
    >>> design = design_of([grade])
    >>> design.names, design.matrix[:, 0].tolist()
    (('grade 1 (against 2)',), [1.0, 0.0, 0.0])
    """
    names: list[str] = []
    owners: list[str] = []
    columns: list[NDArray[np.float64]] = []
    for one in covariates:
        if one.n_missing:
            raise NotEstimable(f"{one.name} is missing in {one.n_missing} patients")
        if one.values.size == 0 or np.ptp(one.values) == 0.0:
            raise NotEstimable(f"{one.name} is the same in all patients")
        if one.kind == "number":
            names.append(one.name)
            owners.append(one.name)
            columns.append(one.values)
            continue
        reference = one.reference
        for level, word in enumerate(one.levels):
            mine = one.values == level
            if level != reference and mine.any():
                names.append(f"{one.name} {word} (against {one.levels[reference]})")
                owners.append(one.name)
                columns.append(mine.astype(np.float64))
    return Design(names=tuple(names), owners=tuple(owners), matrix=np.column_stack(columns))


def read_covariate(
    table: Table, spec: ColumnSpec, rows: NDArray[np.int64]
) -> tuple[Covariate, list[Problem]]:
    """Read one column.

    Parameters
    ----------
    table : Table
        With the column.
    spec : ColumnSpec
        Its name, and its kind where that was said.
    rows : ndarray of shape (n,), int64
        Position of each patient's row; -1 where there is none.

    Returns
    -------
    covariate : Covariate
        In the order of the patients.
    problems : list of Problem
        ``EV014`` too many categories, or no values at all; those of numbers.
    """
    cells = table.column(spec.name)
    texts = [None if row < 0 or cells[row] is None else str(cells[row]).strip() for row in rows]
    known = [text for text in texts if text]
    values, found = numbers(table, spec.name)
    kind = spec.kind
    if not kind:
        many = len({float(v) for v in values[np.isfinite(values)]}) >= _FEWEST_NUMBERS
        kind = "number" if many and not found else "category"
    if kind == "number":
        picked = np.where(rows >= 0, values[np.maximum(rows, 0)], np.nan)
        problems = list(found)
        if not np.isfinite(picked).any() and not found:
            problems = [_unusable(table, spec.name, "no value at all")]
        return Covariate(name=spec.name, kind=kind, values=picked), problems
    levels = _levels(known)
    problems = []
    if not levels or len(levels) > MOST_LEVELS:
        said = f"{len(levels)} different words" if levels else "no value at all"
        problems = [_unusable(table, spec.name, said)]
        # an undeclared decimal comma or a unit is the likelier cause, and it names its rows
        problems = found if found and len(found[0].where.rows) < len(known) // 2 else problems
        levels = levels[:MOST_LEVELS]
    place = {word: float(position) for position, word in enumerate(levels)}
    codes = np.array([place.get(text or "", np.nan) for text in texts])
    return Covariate(name=spec.name, kind="category", values=codes, levels=levels), problems


def _levels(known: Sequence[str]) -> tuple[str, ...]:
    """Sort the words, as numbers where they all are numbers."""
    words = list(Counter(known))
    try:
        return tuple(sorted(words, key=float))
    except ValueError:
        return tuple(sorted(words))


def _unusable(table: Table, column: str, said: str) -> Problem:
    expected = f"numbers, or {MOST_LEVELS} categories at most"
    return problem("EV014", said, where=table.where(column), expected=expected)
