"""Numbers and yes-or-no words out of text cells, without a guess."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.tables import Table
from metastra.errors import ConfigError, Problem

__all__ = ["NO_WORDS", "YES_WORDS", "NumberKind", "booleans", "numbers", "quoted", "word_key"]

YES_WORDS = ("1", "yes", "y", "true")
"""Words that usually mean yes."""
NO_WORDS = ("0", "no", "n", "false")
"""Words that usually mean no."""

_POINT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_COMMA = re.compile(r"[+-]?(?:[0-9]+(?:,[0-9]*)?|,[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"([+-]?[0-9]+)\.0*")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_COMMA_GROUP = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
"""12,345 may be 12345 or 12.345."""
_GROUPED = re.compile(
    r"[+-]?[0-9]{1,3}(?:(?:,[0-9]{3})+(?:\.[0-9]*)?|(?:\.[0-9]{3})+(?:,[0-9]*)?"
    r"|(?:[ '\u2019\u00a0\u202f][0-9]{3})+(?:[.,][0-9]*)?)"
)
_AGE_YEARS = (0.0, 120.0)
_MAX_SHOWN = 3
_MAX_LENGTH = 24


class NumberKind(StrEnum):
    """What a column's numbers are, where that limits them."""

    NUMBER = "number"
    AGE = "age"
    """Years from 0 to 120."""


def numbers(
    table: Table, column: str, *, kind: NumberKind | str = NumberKind.NUMBER
) -> tuple[NDArray[np.float64], list[Problem]]:
    r"""Read a column of numbers in the table's declared decimal mark.

    White space around a number is ignored.  Separators of thousands, units and signs such as ``<``
    are refused, not guessed.

    Parameters
    ----------
    table : Table
        The table.
    column : str
        One of its columns.
    kind : NumberKind or str
        ``"age"`` also limits the values to 0 to 120.

    Returns
    -------
    values : ndarray of float64, shape (n,)
        NaN where the cell is missing or refused.
    problems : list of Problem
        ``CO030`` text, ``CO031`` undeclared decimal comma, ``CO036`` infinite or impossible.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from metastra.cohort.tables import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "clini.csv")
    ...     _ = path.write_text("PATIENT,age\na,61.5\nb,n. k.\nc,\n")
    ...     table, _ = read_table(path)
    >>> values, problems = numbers(table, "age")
    >>> values.tolist()
    [61.5, nan, nan]
    >>> print(problems[0].where, "|", problems[0].found)
    clini.csv, row 3, column 'age' | 1 cell is not a number: 'n. k.'
    """
    kind = NumberKind(kind)
    decimal = table.format.decimal
    pattern = _COMMA if decimal == "," else _POINT
    cells = table.column(column)
    values = np.full(len(table), np.nan)
    bad: list[int] = []
    for index, cell in enumerate(cells):
        if cell is None:
            continue
        text = cell.strip()
        if pattern.fullmatch(text):
            values[index] = float(text.replace(",", ".") if decimal == "," else text)
        elif _INFINITE.fullmatch(text):
            values[index] = np.inf
        else:
            bad.append(index)
    problems = _text_problems(table, column, bad)
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        found = f"{_counted(infinite.size)} infinite"
        problems.append(problem("CO036", found, where=table.where(column, infinite)))
    if kind is NumberKind.AGE:
        problems += _age_problems(table, column, values)
    values[infinite] = np.nan
    return values, problems


def booleans(
    table: Table, column: str, *, yes: Collection[str], no: Collection[str]
) -> tuple[NDArray[np.float64], list[Problem]]:
    r"""Read a column of yes-or-no words.

    Parameters
    ----------
    table : Table
        The table.
    column : str
        One of its columns.
    yes, no : collection of str
        The words; compared without regard to case, and as numbers where they are numbers (the word
        ``1`` also takes the cell ``1.0``).

    Returns
    -------
    values : ndarray of float64, shape (n,)
        1 yes, 0 no, NaN where the cell is missing or refused.
    problems : list of Problem
        ``CO037`` for words that are neither.

    Raises
    ------
    ConfigError
        If a word stands on both sides, or a side has none.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from metastra.cohort.tables import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "clini.csv")
    ...     _ = path.write_text("PATIENT,LVI\na,1.0\nb,0.0\nc,\n")
    ...     table, _ = read_table(path)
    >>> booleans(table, "LVI", yes={"1"}, no={"0"})[0].tolist()
    [1.0, 0.0, nan]
    """
    meaning = {word_key(word): 0.0 for word in no} | {word_key(word): 1.0 for word in yes}
    if not yes or not no or len(meaning) < len(_keys(yes)) + len(_keys(no)):
        raise ConfigError(f"column {column!r}: yes and no need at least one word each, none shared")
    values = np.full(len(table), np.nan)
    bad: list[int] = []
    for index, cell in enumerate(table.column(column)):
        if cell is None:
            continue
        key = word_key(cell)
        if key in meaning:
            values[index] = meaning[key]
        else:
            bad.append(index)
    if not bad:
        return values, []
    found = f"{_counted(len(bad))} neither yes nor no{quoted(table, column, bad)}"
    expected = ", ".join(sorted(map(repr, [*yes, *no])))
    where = table.where(column, bad)
    return values, [problem("CO037", found, where=where, expected=expected)]


def word_key(text: str) -> str:
    """Reduce a word to what it is compared by.

    Parameters
    ----------
    text : str
        A cell or a declared word.

    Returns
    -------
    str
        In compatibility form, case-folded, inner white space single; ``1.0`` becomes ``1``.

    Examples
    --------
    >>> word_key(" Liver  Metastasis "), word_key("1.0")
    ('liver metastasis', '1')
    """
    key = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    whole = _WHOLE.fullmatch(key)
    return whole[1] if whole else key


def quoted(table: Table, column: str, rows: Sequence[int], *, masked: bool = False) -> str:
    r"""Quote a few cells for a message, unless they could be ids.

    Parameters
    ----------
    table : Table
        The table.
    column : str
        The column.
    rows : sequence of int
        Positions of the cells.
    masked : bool
        Show the form only, with 9 for every digit: for dates, which may be of birth.

    Returns
    -------
    str
        ``": 'x', 'y', …"``, or nothing where every cell of the column is refused and all differ:
        then it is another column than was meant, perhaps one of ids or names.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from metastra.cohort.tables import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "clini.csv")
    ...     _ = path.write_text("PATIENT,age\nAnna,x\nBert,1\nCleo,2\n")
    ...     table, _ = read_table(path)
    >>> quoted(table, "age", [0]), quoted(table, "PATIENT", [0, 1, 2])
    (": 'x'", '')
    """
    cells = table.column(column)
    present = sum(cell is not None for cell in cells)
    words = list(dict.fromkeys(str(cells[index]).strip() for index in rows))
    if len(rows) == present and len(words) == len(rows) > 1:
        return ""
    if masked:
        words = list(dict.fromkeys(re.sub(r"\d", "9", word) for word in words))
    shown = [word if len(word) <= _MAX_LENGTH else word[:_MAX_LENGTH] + "…" for word in words]
    more = ", …" if len(words) > _MAX_SHOWN else ""
    return ": " + ", ".join(map(repr, shown[:_MAX_SHOWN])) + more


def _keys(words: Iterable[str]) -> set[str]:
    return {word_key(word) for word in words}


def _counted(count: int) -> str:
    return f"{count} cell{'s are' if count != 1 else ' is'}"


def _text_problems(table: Table, column: str, bad: list[int]) -> list[Problem]:
    if not bad:
        return []
    cells = table.column(column)
    texts = {index: str(cells[index]).strip() for index in bad}
    commas: list[int] = []
    if table.format.decimal == ".":
        commas = [index for index in bad if _COMMA.fullmatch(texts[index])]
        if all(_COMMA_GROUP.fullmatch(texts[index]) for index in commas):
            commas = []
    grouped = [i for i in bad if i not in set(commas) and _GROUPED.fullmatch(texts[i])]
    other = sorted(set(bad) - set(commas) - set(grouped))
    problems = []
    if commas:
        found = f"{_counted(len(commas))} written with a decimal comma"
        found += quoted(table, column, commas)
        problems.append(problem("CO031", found, where=table.where(column, commas)))
    if grouped:
        found = f"{_counted(len(grouped))} written with a separator of thousands"
        found += quoted(table, column, grouped)
        hint = "Write the numbers without one: 12,345 could be 12345 or 12.345."
        where = table.where(column, grouped)
        problems.append(problem("CO030", found, where=where, hint=hint))
    if other:
        found = f"{_counted(len(other))} not a number{quoted(table, column, other)}"
        expected = f"a number with decimal {table.format.decimal!r}"
        where = table.where(column, other)
        problems.append(problem("CO030", found, where=where, expected=expected))
    return problems


def _age_problems(table: Table, column: str, values: NDArray[np.float64]) -> list[Problem]:
    low, high = _AGE_YEARS
    finite = np.isfinite(values)
    outside = np.flatnonzero(finite & ((values < low) | (values > high)))
    if not outside.size:
        return []
    span = f"from {np.min(values[outside]):g} to {np.max(values[outside]):g}"
    found = f"{_counted(outside.size)} no age in years ({span})"
    where = table.where(column, outside)
    return [problem("CO036", found, where=where, expected=f"{low:g} to {high:g} years")]
