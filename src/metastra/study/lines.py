"""Where in a TOML text each key stands, so that an error can name its line."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["KeyLines"]

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(
    r"""^\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*="""
)
_PART = re.compile(r""""([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)""")


class KeyLines:
    r"""The lines of a TOML text's keys.

    Parameters
    ----------
    text : str
        Of the study file; it has been parsed before, so it is valid TOML.

    Examples
    --------
    >>> lines = KeyLines('[study]\nname = "a"\n[[cohort]]\nname = "b"\nrole = "x"\n')
    >>> lines.line(("cohort", 0, "role")), lines.line(("cohort", 0))
    (5, 3)
    """

    def __init__(self, text: str) -> None:
        self._line: dict[tuple[str | int, ...], int] = {}
        counts: dict[tuple[str | int, ...], int] = {}
        table: tuple[str | int, ...] = ()
        in_string = ""
        for number, line in enumerate(text.splitlines(), start=1):
            if in_string:
                in_string = "" if in_string in line else in_string
                continue
            if header := _HEADER.match(line):
                table = self._enter(header.group(1), header.group(2), counts)
                self._line.setdefault(table, number)
            elif key := _KEY.match(line):
                self._line.setdefault((*table, *_parts(key.group(1))), number)
                in_string = _opened_string(line[key.end() :])

    @staticmethod
    def _enter(
        brackets: str, name: str, counts: dict[tuple[str | int, ...], int]
    ) -> tuple[str | int, ...]:
        parts = _parts(name)
        table: tuple[str | int, ...] = ()
        for depth, part in enumerate(parts):
            table = (*table, part)
            last = depth == len(parts) - 1
            if last and brackets == "[[":
                counts[table] = counts.get(table, -1) + 1
            if table in counts:
                table = (*table, counts[table])
        return table

    def line(self, path: Sequence[str | int]) -> int | None:
        """Find the line of a key, or of the nearest thing around it.

        Parameters
        ----------
        path : sequence of str or int
            Table and key names, positions inside arrays of tables.

        Returns
        -------
        int or None
            1-based; None when not even the table is there.
        """
        path = tuple(path)
        while path:
            if path in self._line:
                return self._line[path]
            path = path[:-1]
        return None


def _parts(name: str) -> tuple[str, ...]:
    return tuple(next(filter(None, match), "") for match in _PART.findall(name))


def _opened_string(rest: str) -> str:
    for quotes in ('"""', "'''"):
        if rest.count(quotes) == 1:
            return quotes
    return ""
