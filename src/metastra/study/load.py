"""Reading `study.toml`: every fault at once, with its line and the nearest known key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from metastra.catalogue import problem
from metastra.errors import ConfigError, Problem, Where
from metastra.study.consistency import contradictions
from metastra.study.lines import KeyLines
from metastra.study.study import Study

__all__ = ["load_study", "parse_study"]

_MAX_BYTES = 4 << 20
"""A study file of more than 4 MiB is not a study file."""


def load_study(path: str | Path) -> Study:
    """Read and freeze a study file.

    Parameters
    ----------
    path : str or Path
        The study file, or a folder that holds ``study.toml``.

    Returns
    -------
    Study
        Frozen; its digest does not depend on comments or layout.

    Raises
    ------
    ConfigError
        With every problem and its line.
    """
    path = Path(path)
    if path.is_dir():
        path /= "study.toml"
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise ConfigError(f"{path.name} has {size:,} bytes; a study file has a few thousand")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no study file {path.name!r} in {path.parent}; "
            f"`metastra init {path.parent}` writes one from the tables it finds"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name} is not UTF-8: byte {error.start} cannot be read") from error
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror}") from error
    study = parse_study(text, name=path.name)
    study._path = path  # noqa: SLF001 – the loader is the study's other half
    return study


def parse_study(text: str, *, name: str = "study.toml") -> Study:
    r"""Parse the text of a study file.

    Parameters
    ----------
    text : str
        TOML.
    name : str
        Of the file, for messages.

    Returns
    -------
    Study
        Without a path; relative paths start from the current folder.

    Raises
    ------
    ConfigError
        With every problem and its line.

    Examples
    --------
    >>> parse_study('[study]\nnmae = "x"')
    Traceback (most recent call last):
        ...
    metastra.errors.ConfigError: study.toml cannot be used (4 problems)
      ST001 study.toml, row 2, column 'study.nmae': this key is not known; did you mean 'name'?
      ST003 study.toml, row 1, column 'study.name': this key is missing; add name
      ST003 study.toml, column 'endpoint': this key is missing; add endpoint
      ST003 study.toml, column 'cohort': this key is missing; add cohort
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        rows = (int(found.group(1)),) if found else ()
        item = problem("ST004", str(error), where=Where(file=name, rows=rows))
        raise ConfigError(f"{name} cannot be read", [item]) from None
    lines = KeyLines(text)
    try:
        study = Study.model_validate(_singular(raw))
    except ValidationError as error:
        details = error.errors()
        # a list that is "too short" only because its entries are wrong is said by the entries
        deeper = {
            detail["loc"][:depth] for detail in details for depth in range(len(detail["loc"]))
        }
        items = [_as_problem(item, name, lines) for item in details if item["loc"] not in deeper]
        items.sort(key=lambda item: (item.code != "ST001", item.where.rows or (1 << 30,)))
        raise ConfigError(f"{name} cannot be used", items) from None
    items = [
        problem(code, found, where=_where(name, lines, path), hint=hint)
        for code, found, path, hint in contradictions(study)
    ]
    if items:
        raise ConfigError(f"{name} cannot be used", items)
    return study


def _singular(raw: dict[str, Any]) -> dict[str, Any]:
    """Let ``age = "continuous"`` stand for ``age = { kind = "continuous" }``."""
    clinical = raw.get("clinical")
    if isinstance(clinical, dict):
        raw["clinical"] = {
            name: {"kind": spec} if isinstance(spec, str) else spec
            for name, spec in clinical.items()
        }
    return raw


def _as_problem(detail: ErrorDetails, name: str, lines: KeyLines) -> Problem:
    path = detail["loc"]
    where = _where(name, lines, path)
    key = str(path[-1]) if path else ""
    match detail["type"]:
        case "extra_forbidden":
            near = get_close_matches(key, list(_known_keys(path[:-1])), n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else _known_keys_hint(path[:-1])
            return problem("ST001", "this key is not known", where=where, hint=hint)
        case "missing":
            return problem("ST003", "this key is missing", where=where, hint=f"add {key}")
        case _:
            found = f"{_shown(detail['input'])}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"
            return problem("ST002", found, where=where)


def _where(name: str, lines: KeyLines, path: Sequence[str | int]) -> Where:
    line = lines.line(path)
    return Where(
        file=name,
        rows=(line,) if line else (),
        column=".".join(str(part) for part in path),
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _known_keys(path: Sequence[str | int]) -> Iterator[str]:
    """Give the keys that may stand at a place of the study file."""
    model: type[BaseModel] | None = Study
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


def _known_keys_hint(path: Sequence[str | int]) -> str:
    return "known here are " + ", ".join(sorted(_known_keys(path)))
