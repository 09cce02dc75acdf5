"""Faults of a TOML file against a model: every one at once, with its line and the nearest key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from metastra.catalogue import problem
from metastra.errors import ConfigError, Problem, Where
from metastra.study.lines import KeyLines

__all__ = ["parse_toml", "validated", "where_of"]

Model = TypeVar("Model", bound=BaseModel)


def parse_toml(text: str, *, name: str) -> dict[str, Any]:
    r"""Parse TOML.

    Parameters
    ----------
    text : str
        Of the file.
    name : str
        Of the file, for messages.

    Returns
    -------
    dict
        Plain values.

    Raises
    ------
    ConfigError
        With ``ST004`` and the line.

    Examples
    --------
    >>> parse_toml("a = 1", name="x.toml")
    {'a': 1}
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        rows = (int(found.group(1)),) if found else ()
        item = problem("ST004", str(error), where=Where(file=name, rows=rows))
        raise ConfigError(f"{name} cannot be read", [item]) from None


def validated(model: type[Model], raw: Mapping[str, Any], *, text: str, name: str) -> Model:
    """Hold plain values against a model.

    Parameters
    ----------
    model : type
        A pydantic model.
    raw : mapping
        What `parse_toml` gave.
    text : str
        Of the file, for the lines.
    name : str
        Of the file, for messages.

    Returns
    -------
    model
        Filled.

    Raises
    ------
    ConfigError
        With every problem and its line: ``ST001`` unknown, ``ST002`` of the wrong kind, ``ST003``
        missing.
    """
    lines = KeyLines(text)
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        details = error.errors()
        # a list that is "too short" only because its entries are wrong is said by the entries
        deeper = {
            detail["loc"][:depth] for detail in details for depth in range(len(detail["loc"]))
        }
        items = [
            _as_problem(model, item, name, lines) for item in details if item["loc"] not in deeper
        ]
        items.sort(key=lambda item: (item.code != "ST001", item.where.rows or (1 << 30,)))
        raise ConfigError(f"{name} cannot be used", items) from None


def _as_problem(root: type[BaseModel], detail: ErrorDetails, name: str, lines: KeyLines) -> Problem:
    path = detail["loc"]
    where = where_of(name, lines, path)
    key = str(path[-1]) if path else ""
    match detail["type"]:
        case "extra_forbidden":
            near = get_close_matches(key, list(_known_keys(root, path[:-1])), n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else _known_keys_hint(root, path[:-1])
            return problem("ST001", "this key is not known", where=where, hint=hint)
        case "missing":
            return problem("ST003", "this key is missing", where=where, hint=f"add {key}")
        case _:
            found = f"{_shown(detail['input'])}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"
            return problem("ST002", found, where=where)


def where_of(name: str, lines: KeyLines, path: Sequence[str | int]) -> Where:
    """Name the place of a key.

    Parameters
    ----------
    name : str
        Of the file.
    lines : KeyLines
        Of its text.
    path : sequence of str or int
        Table and key names, positions inside arrays of tables.

    Returns
    -------
    Where
        File, line and key.
    """
    line = lines.line(path)
    return Where(
        file=name,
        rows=(line,) if line else (),
        column=".".join(str(part) for part in path),
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _known_keys(root: type[BaseModel], path: Sequence[str | int]) -> Iterator[str]:
    """Give the keys that may stand at a place of the file."""
    model: type[BaseModel] | None = root
    for part in path:
        if isinstance(part, int) or model is None:
            continue
        field = model.model_fields.get(part)
        model = _section_of(field.annotation) if field else model
    if model is not None:
        yield from model.model_fields


def _section_of(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in cast("tuple[object, ...]", getattr(annotation, "__args__", ())):
        if (found := _section_of(inner)) is not None:
            return found
    return None


def _known_keys_hint(root: type[BaseModel], path: Sequence[str | int]) -> str:
    return "known here are " + ", ".join(sorted(_known_keys(root, path)))
