"""Columns that became known after the clock had started: found, refused, or set apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.tables import Table
from metastra.cohort.values import NO_WORDS, YES_WORDS, word_key
from metastra.errors import ConfigError, Problem, Severity
from metastra.evaluation.outcome_cells import read_times

__all__ = ["KnownAt", "LateColumn", "read_known_at"]

Source = Callable[[str], tuple[Table, NDArray[np.int64]]]
"""Finds a column: its table, and the row of each patient there (-1 where there is none)."""

_YES = frozenset(word_key(word) for word in YES_WORDS)
_NO = frozenset(word_key(word) for word in NO_WORDS)


@dataclass(frozen=True, kw_only=True)
class KnownAt:
    """A column, and the column with the time at which its value became known.

    Parameters
    ----------
    column : str
        Of the covariate, subgroup or treatment.
    time : str
        Of the times, in the unit of the outcome; empty where the state was never reached.
    """

    column: str
    time: str

    @classmethod
    def parse(cls, text: str) -> KnownAt:
        """Read ``COL=TIME_COL``.

        Parameters
        ----------
        text : str
            As given on the command line.

        Returns
        -------
        KnownAt
            Both names.

        Raises
        ------
        ConfigError
            When it is not of this form.

        Examples
        --------
        >>> KnownAt.parse("recurrence=recurrence_months").time
        'recurrence_months'
        """
        column, equals, time = text.partition("=")
        if not (equals and column.strip() and time.strip()):
            raise ConfigError(f"--known-at {text!r}: expected COL=TIME_COL")
        return cls(column=column.strip(), time=time.strip())


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LateColumn:
    """A column that is no baseline covariate, one entry per patient.

    Parameters
    ----------
    name : str
        Of the column.
    known_at : ndarray of shape (n,) or None
        When the state was reached; infinite where it never was.  None where the column holds no
        state that is reached or not (1 and 0, yes and no).
    """

    name: str
    known_at: NDArray[np.float64] | None

    def take(self, chosen: NDArray[np.bool_]) -> LateColumn:
        """Select patients.

        Parameters
        ----------
        chosen : ndarray of shape (n,), bool
            Who is kept.

        Returns
        -------
        LateColumn
            Of the same column.
        """
        return self if self.known_at is None else replace(self, known_at=self.known_at[chosen])


def read_known_at(
    texts: Sequence[str],
    source: Source,
    *,
    used: frozenset[str],
    entry: NDArray[np.float64] | None,
    accept: frozenset[str],
) -> tuple[tuple[LateColumn, ...], list[Problem]]:
    """Hold the times at which columns became known against the start of the clock.

    Parameters
    ----------
    texts : sequence of str
        ``COL=TIME_COL``.
    source : callable
        Finds a column.
    used : frozenset of str
        Columns that would be used as baseline covariates, subgroups or treatment.
    entry : ndarray of shape (n,) or None
        Delayed entry, which takes the place of 0.
    accept : frozenset of str
        With ``EV016`` late columns are set apart instead of refused.

    Returns
    -------
    late : tuple of LateColumn
        Columns that became known late in any patient with a value.
    problems : list of Problem
        ``EV016`` and those of times.

    Raises
    ------
    ConfigError
        When a name is not of the form, or is not used.
    """
    late: list[LateColumn] = []
    problems: list[Problem] = []
    for named in dict.fromkeys(KnownAt.parse(text) for text in texts):
        if named.column not in used:
            raise ConfigError(
                f"--known-at {named.column}: no such column is named by --adjust, --subgroup or "
                "--treatment"
            )
        table, rows = source(named.time)
        times, found = read_times(table, named.time)
        problems += found
        if found:
            continue
        column = _Column.read(named, source, times, rows)
        origin = np.zeros(rows.size) if entry is None else np.nan_to_num(entry)
        wrong = column.problems(table, rows, origin, accept=accept)
        problems += wrong
        if wrong:
            late.append(LateColumn(name=named.column, known_at=column.reached_at()))
    return tuple(late), problems


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class _Column:
    """One column with its times: which patients have a value, and a state that was reached."""

    named: KnownAt
    known: NDArray[np.float64]
    has_value: NDArray[np.bool_]
    state: NDArray[np.bool_] | None

    @classmethod
    def read(
        cls, named: KnownAt, source: Source, times: NDArray[np.float64], rows: NDArray[np.int64]
    ) -> _Column:
        table, places = source(named.column)
        cells = table.column(named.column)
        words = [
            "" if row < 0 or cells[row] is None else word_key(str(cells[row])) for row in places
        ]
        is_state = {word for word in words if word} <= _YES | _NO
        return cls(
            named=named,
            known=np.where(rows >= 0, times[np.maximum(rows, 0)], np.nan),
            has_value=np.array([bool(word) for word in words]),
            state=np.array([word in _YES for word in words]) if is_state else None,
        )

    def reached_at(self) -> NDArray[np.float64] | None:
        """Give the time at which the state was reached; None where it is no state."""
        if self.state is None:
            return None
        return np.where(self.state & np.isfinite(self.known), self.known, np.inf)

    def problems(
        self,
        table: Table,
        rows: NDArray[np.int64],
        origin: NDArray[np.float64],
        *,
        accept: frozenset[str],
    ) -> list[Problem]:
        """Say in whom it became known too late, or in whom nobody can know when."""
        name = self.named.column
        dated = np.isfinite(self.known)
        late = self.has_value & dated & (self.known > origin)
        undated = self.has_value & ~dated
        if self.state is not None and (undated & self.state).any():
            lost = undated & self.state
            text = f"{int(lost.sum())} patients reached the state {name!r} at no known time"
            return [problem("EV016", text, where=table.where(self.named.time, _at(rows, lost)))]
        if not (late.any() or undated.any()):
            return []
        text = f"{name!r} cannot be a baseline covariate: "
        if late.any():
            span = f"{self.known[late].min():g} to {self.known[late].max():g}"
            text += (
                f"it became known only later in {int(late.sum())} patients, at {span}; whoever "
                "reached it had to stay alive and watched until then (immortal time)"
            )
        else:
            text += f"{int(undated.sum())} patients have a value and no time when it became known"
        severity = Severity.WARN if "EV016" in accept else None
        where = table.where(self.named.time, _at(rows, late if late.any() else undated))
        return [problem("EV016", text, where=where, expected="0 or before", severity=severity)]


def _at(rows: NDArray[np.int64], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.sort(rows[mask & (rows >= 0)])
