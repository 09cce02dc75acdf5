"""How a table is written: the declared format, the limits, and the grid every reader gives back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from metastra.catalogue import problem
from metastra.errors import ConfigError, Problem, Where

__all__ = [
    "DEFAULT_MISSING",
    "MAX_CELLS",
    "MAX_TABLE_BYTES",
    "Grid",
    "TableFormat",
    "at_rows",
    "refuse",
]

DEFAULT_MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", ".")
"""Texts that mean "missing" when they fill a whole cell, white space around them aside."""

MAX_TABLE_BYTES = 1 << 30
"""Largest table that is read, in bytes after decompression: 1 GiB."""
MAX_CELLS = 100_000_000
"""Largest table that is read, in cells."""

_DATE_DIRECTIVE = re.compile(r"%(.)")
_DATE_DIRECTIVES = frozenset("YmbBdjHMSf%")


@dataclass(frozen=True, kw_only=True)
class TableFormat:
    """How one table is written, as the study file declares it.

    Parameters
    ----------
    encoding : str
        A text encoding Python knows.  With ``"utf-8"`` a byte-order mark is accepted.
    delimiter : str, optional
        The field separator, one character.  Without it the file's extension decides: a comma for
        ``.csv``, a tab for ``.tsv``, ``.tab``, ``.txt`` and ``.maf``.
    decimal : {".", ","}
        The decimal mark of numbers.
    date_format : str, optional
        A `strptime` format with year, month and day; without it dates are ISO (2021-03-02).
    comment : str, optional
        Lines before the header that begin with this text are skipped, and counted as rows.
    sheet : str, optional
        The sheet of a workbook; without it the workbook must have only one.
    missing : tuple of str
        Texts that mean "missing" when they fill a whole cell (white space around them aside),
        whether or not they stand in quotes.

    Raises
    ------
    ConfigError
        With all that is wrong.

    Examples
    --------
    >>> TableFormat(delimiter=";", decimal=",", date_format="%d.%m.%Y").decimal
    ','
    """

    encoding: str = "utf-8"
    delimiter: str | None = None
    decimal: Literal[".", ","] = "."
    date_format: str | None = None
    comment: str | None = None
    sheet: str | None = None
    missing: tuple[str, ...] = DEFAULT_MISSING

    def __post_init__(self) -> None:
        problems = [
            *_encoding_problems(self.encoding),
            *_mark_problems(self.delimiter, self.decimal, self.comment),
            *_date_format_problems(self.date_format),
        ]
        if problems:
            raise ConfigError("the format of a table cannot be used", problems)


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """The cells of a table as text, before anything is known about their meaning.

    Parameters
    ----------
    header : sequence of str
        The column names as written.
    records : list of sequence of str
        One per row; their lengths may differ from the header's.
    rows : list of int
        1-based line number of each record.
    """

    header: Sequence[str]
    records: list[Sequence[str]] = field(repr=False)
    rows: list[int] = field(repr=False)


def refuse(
    code: str, found: str, place: Where, *, expected: str = "", hint: str | None = None
) -> tuple[None, list[Problem]]:
    """Say why nothing could be read, in the shape that readers return.

    Parameters
    ----------
    code : str
        A code of the catalogue.
    found : str
        What stands there.
    place : Where
        The file.
    expected, hint : str
        As in `metastra.catalogue.problem`.

    Returns
    -------
    tuple of None and list of Problem
        Nothing, and the one reason.

    Examples
    --------
    >>> refuse("CO002", "no bytes", Where(file="clini.csv"))[1][0].code
    'CO002'
    """
    return None, [problem(code, found, where=place, expected=expected, hint=hint)]


def at_rows(place: Where, rows: Sequence[int], column: str = "") -> Where:
    """Narrow a place to rows and a column.

    Parameters
    ----------
    place : Where
        The file.
    rows : sequence of int
        Line numbers.
    column : str
        A column's name.

    Returns
    -------
    Where
        The same file with rows and column.

    Examples
    --------
    >>> str(at_rows(Where(file="a.csv"), [3, 4]))
    'a.csv, rows 3, 4'
    """
    return replace(place, rows=tuple(int(row) for row in rows), column=column)


def _setting(message: str, expected: str) -> Problem:
    return problem("ST002", message, expected=expected)


def _encoding_problems(encoding: str) -> list[Problem]:
    try:
        b" ".decode(encoding)
    except UnicodeDecodeError:
        return []  # an encoding of two bytes or more per letter
    except (LookupError, ValueError):
        return [_setting(f"encoding {encoding!r} is not known", 'for instance "utf-8" or "cp1252"')]
    return []


def _mark_problems(delimiter: str | None, decimal: str, comment: str | None) -> list[Problem]:
    problems = []
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        problems.append(_setting(f"delimiter {delimiter!r}", 'one character such as ";"'))
    if decimal not in {".", ","}:
        problems.append(_setting(f"decimal {decimal!r}", '"." or ","'))
    if comment is not None and not comment:
        problems.append(_setting("comment is empty", 'for instance "#"'))
    return problems


def _date_format_problems(date_format: str | None) -> list[Problem]:
    if date_format is None:
        return []
    used = set(_DATE_DIRECTIVE.findall(date_format))
    expected = '%Y with %m (or %b, %B) and %d, for instance "%d.%m.%Y"'
    if "y" in used:
        return [_setting(f"date_format {date_format!r}: %y leaves the century open", expected)]
    if unknown := sorted(used - _DATE_DIRECTIVES):
        named = ", ".join(f"%{letter}" for letter in unknown)
        return [_setting(f"date_format {date_format!r} has {named}", expected)]
    has_month = bool(used & {"m", "b", "B"})
    if "Y" not in used or not (("d" in used and has_month) or "j" in used):
        return [_setting(f"date_format {date_format!r} does not name one day", expected)]
    return []
