"""Measured tables in docs/benchmarks.md: replaced between markers, the old one kept with its moves.

The section of a group stands between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``.  What
stood there goes to the top of ``docs/records/benchmarks-NAME.md``, with every number that moved by
a tenth or more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Moved", "earlier_page", "moved", "replace_section", "section_of"]

_LEAST = 1.1
_NAMED = frozenset({"n", "stage", "engine", "patients", "tiles of each", "fits", "tiles"})
"""Columns that say what a row is, beside the first."""
_NOT_COMPARED = frozenset(
    {"load", "rounds", "difference", "exit code", "cosine", "asked", "wanted"}
)
_UNITS = {"µs": 1e-6, "ms": 1e-3, "s": 1.0}
_NUMBER = re.compile(r"\**(\d[\d ,\u00a0\u202f]*(?:\.\d+)?)\s*([^\s\d(*]*)")
_NEW = "<!-- newest first -->"


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A number that moved.

    Parameters
    ----------
    row, column : str
        Where it stands.
    before, now : str
        As they are written.
    factor : float
        Now over before.
    """

    row: str
    column: str
    before: str
    now: str
    factor: float


def section_of(page: str, name: str) -> str:
    """Give what stands between the markers of a group.

    Parameters
    ----------
    page : str
        The page.
    name : str
        Of the group.

    Returns
    -------
    str
        Without blank lines around it.

    Raises
    ------
    ValueError
        If a marker is missing.
    """
    start, end = _places(page, name)
    return page[start:end].strip()


def replace_section(page: str, name: str, text: str) -> str:
    """Put a text between the markers of a group.

    Parameters
    ----------
    page : str
        The page as it is.
    name : str
        Of the group.
    text : str
        What was measured now.

    Returns
    -------
    str
        The page as it shall be; what is outside the markers is left alone.

    Raises
    ------
    ValueError
        If a marker is missing.
    """
    start, end = _places(page, name)
    return f"{page[:start]}\n{text.strip()}\n{page[end:]}"


def earlier_page(page: str, title: str, before: str, now: str, *, date: str, why: str) -> str:
    """Put a section that is replaced on top of the record of its group.

    Parameters
    ----------
    page : str
        The record as it is; empty for a new one.
    title : str
        What is measured.
    before, now : str
        The section that stood in the page, and the one that stands there now.
    date : str
        Of today.
    why : str
        What changed between them; empty where nobody said.

    Returns
    -------
    str
        The record as it shall be: as it was where nothing was replaced, or the same was written
        again.
    """
    if not before or before.strip() == now.strip():
        return page
    rows = moved(before, now)
    told = "\n".join(
        f"| {one.row} | {one.column} | {one.before} | {one.now} | {one.factor:.2f}× |"
        for one in rows
    )
    table = f"| row | column | before | now | factor |\n| --- | --- | --: | --: | --: |\n{told}\n"
    entry = (
        f"## Replaced on {date}\n\nWhy: {why or 'not said'}.\n\n"
        f"{table if rows else 'No number of a row that both have moved by a tenth.'}\n\n"
        f"{before.strip()}\n"
    )
    head = (
        f"# Earlier measurements: {title}\n\n"
        "What stood in [benchmarks](../benchmarks.md) before, newest first, each with what moved "
        f"by a tenth or more when it was replaced.\n\n{_NEW}\n"
    )
    return (page or head).replace(_NEW, f"{_NEW}\n\n{entry.strip()}", 1)


def moved(before: str, now: str) -> list[Moved]:
    """Compare the tables of two sections.

    Parameters
    ----------
    before, now : str
        Markdown.

    Returns
    -------
    list of Moved
        Numbers of the same row and column whose ratio is 1.1 or more either way.
    """
    old, found = _numbers(before), []
    for place, (told, value) in _numbers(now).items():
        known = old.get(place)
        if known is None or not known[1] or not value:
            continue
        factor = value / known[1]
        if max(factor, 1 / factor) >= _LEAST:
            row, column = place
            found.append(Moved(row=row, column=column, before=known[0], now=told, factor=factor))
    return found


def _numbers(text: str) -> dict[tuple[str, str], tuple[str, float]]:
    """Take every number out of the tables of a text, by row and column."""
    found: dict[tuple[str, str], tuple[str, float]] = {}
    head: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            head = []
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not head:
            head = cells
        elif not set(line) <= set("|-: "):
            named = [
                c for n, c in enumerate(cells) if not n or (n < len(head) and head[n] in _NAMED)
            ]
            row = ", ".join(filter(None, named))
            for column, cell in zip(head[1:], cells[1:], strict=False):
                value = _value(cell)
                if value is not None and column not in _NAMED | _NOT_COMPARED:
                    found[row, column] = (cell, value)
    return found


def _value(cell: str) -> float | None:
    match = _NUMBER.match(cell)
    if match is None:
        return None
    digits = re.sub(r"[ ,\u00a0\u202f]", "", match[1])
    return float(digits) * _UNITS.get(match[2], 1.0)


def _places(page: str, name: str) -> tuple[int, int]:
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    return page.index(begin) + len(begin), page.index(end)
