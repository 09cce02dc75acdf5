"""One way to write JSON and CSV, so that equal values are equal bytes on every machine."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

__all__ = ["csv_bytes", "csv_lines", "csv_rows", "json_bytes", "json_listing", "parse_json"]

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_SPECIAL = re.compile(r'[,"\r\n]')
_ESCAPED = re.compile(r"'+[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def json_bytes(value: object) -> bytes:
    r"""Write a value as strict JSON: keys sorted, UTF-8, one newline at the end.

    Parameters
    ----------
    value : object
        Built of dict with text keys, list, tuple, str, int, float, bool and None.

    Returns
    -------
    bytes
        Equal values give equal bytes.

    Raises
    ------
    ValueError
        If a number is NaN or infinite, which JSON cannot hold; the message names its place.
    TypeError
        If something else than the types above is inside, or a key is not text.

    Examples
    --------
    >>> json_bytes({"b": None, "a": (1, 2.5)})
    b'{\n "a": [\n  1,\n  2.5\n ],\n "b": null\n}\n'
    """
    return f"{_json_text(value, '$')}\n".encode()


def json_listing(head: Mapping[str, object], key: str, items: Iterable[object]) -> Iterator[bytes]:
    r"""Write an object with one long list in it, so that the list is never whole in memory.

    Parameters
    ----------
    head : mapping
        The rest of the object.
    key : str
        Of the list; not in `head`.
    items : iterable
        What is in the list.

    Yields
    ------
    bytes
        Together what `json_bytes` writes of ``{**head, key: [*items]}``.

    Raises
    ------
    ValueError, TypeError
        As `json_bytes`.

    Examples
    --------
    >>> b"".join(json_listing({"b": None}, "a", [1, 2.5]))
    b'{\n "a": [\n  1,\n  2.5\n ],\n "b": null\n}\n'
    """
    for place, name in enumerate(sorted([*head, key])):
        yield (",\n " if place else "{\n ").encode() + f"{_json_text(name, '$')}: ".encode()
        if name != key:
            yield _json_text(head[name], f"$.{name}").replace("\n", "\n ").encode()
            continue
        number = -1
        for number, item in enumerate(items):
            text = _json_text(item, f"$.{key}[{number}]").replace("\n", "\n  ")
            yield ("[\n  " if number == 0 else ",\n  ").encode() + text.encode()
        yield b"[]" if number < 0 else b"\n ]"
    yield b"\n}\n"


def parse_json(data: bytes) -> Any:
    """Read strict JSON.

    Parameters
    ----------
    data : bytes
        UTF-8 text.

    Returns
    -------
    object
        Built of dict, list, str, int, float, bool and None.

    Raises
    ------
    ValueError
        If it is no JSON, a key stands twice in one object, or a number is not finite.

    Examples
    --------
    >>> parse_json(b'{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    """
    return json.loads(
        data.decode(),
        object_pairs_hook=_object_once,
        parse_constant=_refuse_constant,
        parse_float=_finite,
    )


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    r"""Write a table as CSV: UTF-8, commas, newline ends, exact numbers, empty for None.

    Text that a spreadsheet would run as a formula (it begins with ``=``, ``+``, ``-``, ``@``, a
    tab or a carriage return and is no number) gets an apostrophe in front, as OWASP advises for
    CSV injection (https://owasp.org/www-community/attacks/CSV_Injection); `csv_rows` takes it
    away again.

    Parameters
    ----------
    columns : sequence of str
        The header.
    rows : iterable of sequence
        Each as long as the header; of str, int, float, bool and None.

    Returns
    -------
    bytes
        Equal tables give equal bytes.

    Raises
    ------
    ValueError
        If a row has another length than the header, or a number is not finite.
    TypeError
        If a cell has another type.

    Examples
    --------
    >>> csv_bytes(["patient", "risk"], [["=cmd", 0.1], ["p2", None]])
    b"patient,risk\n'=cmd,0.1\np2,\n"
    """
    return b"".join(csv_lines(columns, rows))


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    r"""Write a table line by line, so that it is never whole in memory.

    Parameters
    ----------
    columns, rows
        As `csv_bytes`.

    Yields
    ------
    bytes
        Together what `csv_bytes` writes.

    Raises
    ------
    ValueError, TypeError
        As `csv_bytes`.

    Examples
    --------
    >>> list(csv_lines(["patient", "risk"], [["p2", None]]))
    [b'patient,risk\n', b'p2,\n']
    """
    yield _line([_cell(name, "header") for name in columns]).encode()
    for number, row in enumerate(rows, start=2):
        if len(row) != len(columns):
            raise ValueError(f"row {number} has {len(row)} cells, expected {len(columns)}")
        yield _line([_cell(item, f"row {number}") for item in row]).encode()


def csv_rows(data: bytes) -> tuple[list[str], list[list[str]]]:
    r"""Read what `csv_bytes` wrote, every cell as text.

    Parameters
    ----------
    data : bytes
        A table.

    Returns
    -------
    columns : list of str
        The header.
    rows : list of list of str
        None reads as empty text.

    Raises
    ------
    ValueError
        If it is no UTF-8, has no header or its rows differ in length.

    Examples
    --------
    >>> csv_rows(b"patient,risk\n'=cmd,0.1\n")
    (['patient', 'risk'], [['=cmd', '0.1']])
    """
    lines = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    if not lines:
        raise ValueError("the table has no header")
    table = [[_plain(item) for item in line] for line in lines]
    for number, row in enumerate(table, start=1):
        if len(row) != len(table[0]):
            raise ValueError(f"row {number} has {len(row)} cells, expected {len(table[0])}")
    return table[0], table[1:]


def _json_text(value: object, where: str) -> str:
    for place, item in _leaves(value, where, ()):
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError(f"{place} is {item}, which JSON cannot hold; write null with a reason")
        if item is not None and not isinstance(item, str | int | float):
            raise TypeError(f"{place} is a {type(item).__name__}, which JSON cannot hold")
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)


def _leaves(value: object, where: str, above: tuple[int, ...]) -> Iterator[tuple[str, object]]:
    if id(value) in above:
        raise ValueError(f"{where} contains itself")
    inside = (*above, id(value))
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {key!r}; JSON keys are text")
            yield from _leaves(item, f"{where}.{key}", inside)
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from _leaves(item, f"{where}[{position}]", inside)
    else:
        yield where, value


def _object_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice in one JSON object")
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is larger than any JSON number metastra reads")
    return number


def _line(cells: Sequence[str]) -> str:
    """Join cells as RFC 4180 has it; Python's own writer leaves a lone carriage return bare."""
    # An empty line would be no row at all to most readers.
    if list(cells) == [""]:
        return '""\n'
    return ",".join(map(_quoted, cells)) + "\n"


def _quoted(cell: str) -> str:
    if not _SPECIAL.search(cell):
        return cell
    doubled = cell.replace('"', '""')
    return f'"{doubled}"'


def _cell(value: object, where: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where}: {value} cannot stand in a table; write None")
        return float.__repr__(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if not isinstance(value, str):
        raise TypeError(f"{where}: a {type(value).__name__} cannot stand in a table")
    if _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return str(value)


def _plain(text: str) -> str:
    return text[1:] if _ESCAPED.match(text) else text
