"""How numbers, intervals and foreign text are written for a reader."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

__all__ = [
    "NOT_AVAILABLE",
    "RESEARCH_USE",
    "count",
    "interval",
    "joined",
    "number",
    "one_line",
    "percent",
    "plural",
    "printable",
    "spreadsheet_safe",
]

RESEARCH_USE = "Research use only. Not for diagnosis or treatment."
"""Stands on every page, screen and printed sheet."""

NOT_AVAILABLE = "–"
"""Where there is no number; the reason stands beside it."""

_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]+"
)
"""Control characters, line ends, and the marks that turn the direction of text round."""


def number(value: float | None, decimals: int = 1) -> str:
    """Write a number with a fixed count of decimals.

    Parameters
    ----------
    value : float or None
        None or NaN gives an en dash.
    decimals : int
        Digits after the point.

    Returns
    -------
    str
        Thousands separated by commas, a minus sign for negative numbers.

    Examples
    --------
    >>> number(12345.678), number(None), number(-0.04)
    ('12,345.7', '–', '0.0')
    """
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    # Adding 0.0 turns a rounded negative zero into zero.
    text = f"{round(value, decimals) + 0.0:,.{decimals}f}"
    return text.replace("-", "−")


def count(value: int | None) -> str:
    """Write a count.

    Parameters
    ----------
    value : int or None
        None gives an en dash.

    Returns
    -------
    str
        With commas between thousands.

    Examples
    --------
    >>> count(1234)
    '1,234'
    """
    return number(value, 0)


def percent(share: float | None, decimals: int = 1) -> str:
    """Write a share as a percentage.

    Parameters
    ----------
    share : float or None
        Between 0 and 1.
    decimals : int
        Digits after the point.

    Returns
    -------
    str
        For instance ``"12.3%"``.

    Examples
    --------
    >>> percent(0.1234), percent(None)
    ('12.3%', '–')
    """
    text = number(None if share is None else 100.0 * share, decimals)
    return text if text == NOT_AVAILABLE else f"{text}%"


def interval(
    lower: float | None, upper: float | None, decimals: int = 1, *, as_percent: bool = False
) -> str:
    """Write the two limits of an interval.

    Parameters
    ----------
    lower, upper : float or None
        Limits; a missing one is an en dash, and two missing ones give an empty text.
    decimals : int
        Digits after the point.
    as_percent : bool
        Whether the limits are shares.

    Returns
    -------
    str
        ``"8.9 to 16.4"``; the word "to" cannot be mistaken for a minus sign.

    Examples
    --------
    >>> interval(0.089, 0.164, as_percent=True)
    '8.9% to 16.4%'
    """
    write = percent if as_percent else number
    low, high = write(lower, decimals), write(upper, decimals)
    return "" if low == high == NOT_AVAILABLE else f"{low} to {high}"


def plural(n: int, one: str, many: str = "") -> str:
    """Write a count with its noun.

    Parameters
    ----------
    n : int
        How many.
    one : str
        The noun for one.
    many : str
        The noun for several; by default `one` with an s.

    Returns
    -------
    str
        For instance ``"3 patients"``.

    Examples
    --------
    >>> plural(1, "patient"), plural(3, "patient")
    ('1 patient', '3 patients')
    """
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def joined(parts: Sequence[str], last: str = "and") -> str:
    """Write a list as a sentence has it.

    Parameters
    ----------
    parts : sequence of str
        In order.
    last : str
        The word before the last part.

    Returns
    -------
    str
        ``"a, b and c"``.

    Examples
    --------
    >>> joined(["age", "pT", "grade"])
    'age, pT and grade'
    """
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def printable(text: str) -> str:
    r"""Take out of foreign text what a reader cannot see.

    Parameters
    ----------
    text : str
        From a table or a study file.

    Returns
    -------
    str
        With a space for each run of control characters, line ends and marks of direction.

    Examples
    --------
    >>> printable("a\tb\u202ec")
    'a b c'
    """
    return _CONTROL.sub(" ", text)


def one_line(text: str, longest: int = 200) -> str:
    r"""Make foreign text fit for one line: no control characters, no line ends, not endless.

    Parameters
    ----------
    text : str
        From a table or a study file.
    longest : int
        Characters that are kept.

    Returns
    -------
    str
        Shortened with an ellipsis where it was longer.

    Examples
    --------
    >>> one_line("two\nlines"), one_line("abcdef", longest=4)
    ('two lines', 'abc…')
    """
    text = printable(text).strip()
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def spreadsheet_safe(text: str) -> str:
    """Keep a table cell that is copied into a spreadsheet from being run as a formula.

    Parameters
    ----------
    text : str
        A cell of foreign text.

    Returns
    -------
    str
        With an apostrophe in front where it begins like a formula and is no number; a lone sign,
        as in the levels + and - of a receptor, stays as it is.  The rule is the one of
        `metastra.storage.encode.csv_bytes` (OWASP, CSV injection).

    Examples
    --------
    >>> spreadsheet_safe("=cmd()"), spreadsheet_safe("-1.5"), spreadsheet_safe("+")
    ("'=cmd()", '-1.5', '+')
    """
    harmless = len(text) < 2 or _NUMBER.fullmatch(text)
    return f"'{text}" if _FORMULA.match(text) and not harmless else text
