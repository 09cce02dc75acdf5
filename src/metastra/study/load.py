"""Reading `study.toml`: every fault at once, with its line and the nearest known key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metastra.catalogue import problem
from metastra.errors import ConfigError
from metastra.study.consistency import contradictions
from metastra.study.lines import KeyLines
from metastra.study.study import Study
from metastra.study.toml_problems import parse_toml, validated, where_of

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
    raw = parse_toml(text, name=name)
    study = validated(Study, _singular(raw), text=text, name=name)
    lines = KeyLines(text)
    items = [
        problem(code, found, where=where_of(name, lines, path), hint=hint)
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
