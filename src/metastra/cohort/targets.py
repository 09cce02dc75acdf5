"""Targets that are no follow-up: binary, multiclass, ordinal and continuous columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from metastra.cohort.findings import Finding, gather, with_patients
from metastra.cohort.tables import Table
from metastra.cohort.values import numbers
from metastra.errors import ConfigError, DataError, Problem, Severity

__all__ = ["Target", "TargetKind", "read_target"]


class TargetKind(StrEnum):
    """What a target is."""

    BINARY = "binary"
    """Two levels, the negative one first."""
    MULTICLASS = "multiclass"
    """Levels without an order."""
    ORDINAL = "ordinal"
    """Levels in ascending order."""
    CONTINUOUS = "continuous"
    """Numbers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """A target of n patients, one entry per patient.

    Parameters
    ----------
    kind : TargetKind
        What it is.
    column : str
        Where it stands.
    levels : tuple of str
        In the declared order; empty for a continuous target.
    values : ndarray of shape (n,)
        Position in `levels`, or the number; NaN where missing or refused.
    problems : tuple of Problem
        EP001 for undeclared levels, EP002 for missing values, and those of reading numbers.
    """

    kind: TargetKind
    column: str
    levels: tuple[str, ...]
    values: NDArray[np.float64]
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return int(self.values.size)

    def counts(self) -> dict[str, int]:
        """Count the patients of each level.

        Returns
        -------
        dict of str to int
            In the order of `levels`, levels that do not occur included; empty for a continuous
            target.
        """
        return {
            level: int(np.count_nonzero(self.values == position))
            for position, level in enumerate(self.levels)
        }

    def usable(self) -> NDArray[np.float64]:
        """Take the values where every patient has one.

        Returns
        -------
        ndarray of shape (n,)
            Without NaN.

        Raises
        ------
        DataError
            If a value is missing or not declared, with all problems.
        """
        refusals = [item for item in self.problems if item.severity is Severity.REFUSE]
        if refusals:
            raise DataError(f"the target {self.column!r} cannot be used", refusals)
        return self.values


def read_target(
    table: Table,
    column: str,
    *,
    kind: TargetKind | str,
    levels: Sequence[str] = (),
    names: Sequence[str],
) -> Target:
    r"""Read a target from a column with declared levels.

    Parameters
    ----------
    table : Table
        Clinical table with one record per patient.
    column : str
        One of its columns.
    kind : TargetKind or str
        What the target is.
    levels : sequence of str
        Every value that may occur, as written: negative first (binary), ascending (ordinal).
    names : sequence of str
        Pseudonyms of the records.

    Returns
    -------
    Target
        In the order of the records.

    Raises
    ------
    ConfigError
        If the levels do not fit the kind.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from metastra.cohort.tables import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "clini.csv")
    ...     _ = path.write_text("PATIENT,MSI\na,MSS\nb,MSI-H\nc,msi-h\nd,\n")
    ...     table, _ = read_table(path)
    >>> target = read_target(
    ...     table, "MSI", kind="binary", levels=["MSS", "MSI-H"], names=["P1", "P2", "P3", "P4"]
    ... )
    >>> target.values.tolist(), [item.code for item in target.problems]
    ([0.0, 1.0, nan, nan], ['EP001', 'EP002'])
    """
    kind = TargetKind(kind)
    levels = tuple(level.strip() for level in levels)
    _require_levels(kind, levels, column)
    cells = table.column(column)
    findings: list[Finding] = []
    problems: list[Problem] = []
    if kind is TargetKind.CONTINUOUS:
        values, found = numbers(table, column)
        problems += with_patients(found, map(int, table.rows), names)
    else:
        place = {level: float(position) for position, level in enumerate(levels)}
        values = np.array(
            [np.nan if cell is None else place.get(cell.strip(), np.nan) for cell in cells]
        )
    for index, cell in enumerate(cells):
        headline, code, hint = "", "", None
        if cell is None:
            headline, code = "the target is missing", "EP002"
        elif levels and np.isnan(values[index]):
            headline, code = f"{cell.strip()!r} is not among the levels", "EP001"
            hint = _level_hint(cell.strip(), levels)
        if code:
            findings.append(
                Finding(
                    code=code,
                    headline=headline,
                    name=names[index],
                    row=int(table.rows[index]),
                    file=table.name,
                    column=column,
                    hint=hint,
                )
            )
    problems += gather(findings, cohort=table.cohort)
    return Target(kind=kind, column=column, levels=levels, values=values, problems=tuple(problems))


def _require_levels(kind: TargetKind, levels: tuple[str, ...], column: str) -> None:
    if len(set(levels)) < len(levels):
        raise ConfigError(f"the levels of {column!r} repeat themselves: {', '.join(levels)}")
    if kind is TargetKind.CONTINUOUS and levels:
        raise ConfigError(f"{column!r} is continuous and has no levels")
    if kind is TargetKind.BINARY and len(levels) != 2:
        raise ConfigError(f"{column!r} is binary and needs two levels, not {len(levels)}")
    if kind in (TargetKind.MULTICLASS, TargetKind.ORDINAL) and len(levels) < 2:
        raise ConfigError(f"{column!r} is {kind} and needs at least two levels")


def _level_hint(word: str, levels: Sequence[str]) -> str:
    folded = {level.casefold(): level for level in levels}
    near = get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    declared = f"Declared are {', '.join(map(repr, levels))}"
    if near:
        return f"{declared}; the nearest is {folded[near[0]]!r}."
    return f"{declared}; add it to levels, or exclude the patients with a reason."
