"""The `[[cohort]]` section of a drafted study file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from metastra.pipeline.folder_scan import EVENT_NAMES, SPECIMEN_NAMES, FoundTable, pick

__all__ = ["CohortTablesFound", "cohort_lines", "quoted"]

_SLIDE_NAMES = {
    "MPP": ("MPP",),
    "STAIN": ("STAIN",),
    "SPECIMEN": ("SPECIMEN",),
    "BLOCK": ("BLOCK",),
}
_NAMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "slide": _SLIDE_NAMES,
    "specimen": SPECIMEN_NAMES,
    "event": EVENT_NAMES,
}


@dataclass(kw_only=True)
class CohortTablesFound:
    """The tables that seem to make one cohort.

    Parameters
    ----------
    clinical : FoundTable
        One row for each patient.
    beside : dict of str to FoundTable
        ``"slide"``, ``"specimen"`` and ``"event"``, as far as they were found.
    renames : dict of str to str
        The name in the study file → the name in this cohort's tables.
    """

    clinical: FoundTable
    beside: dict[str, FoundTable]
    renames: dict[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> set[Path]:
        """The tables that are used."""
        return {item.path for item in (self.clinical, *self.beside.values())}


def cohort_lines(
    found: CohortTablesFound, name: str, role: str, slides: Sequence[Path]
) -> list[str]:
    """Write the section of one cohort.

    Parameters
    ----------
    found : CohortTablesFound
        Its tables.
    name, role : str
        Of the cohort.
    slides : sequence of Path
        Every slide and feature file of the folder.

    Returns
    -------
    list of str
        Lines of TOML.
    """
    clinical = found.clinical
    renames = {"PATIENT": clinical.patient, **found.renames}
    lines = [
        "[[cohort]]",
        f"name = {quoted(name)}",
        f"role = {quoted(role)}    # guess: development, external or temporal",
        f"clini_table = {quoted(str(clinical.path))}    # guess",
    ]
    if clinical.repeated:
        lines.append('clini_rows = "per-slide"    # guess: patients stand in several rows')
    formats = {"clini": clinical}
    for kind, table in found.beside.items():
        path = quoted(str(table.path))
        if table.patient != clinical.patient:
            lines.append(f"# {kind}_table = {path}")
            lines.append(
                f"#   not used: it calls its patients {quoted(table.patient)}, the clinical table "
                f"{quoted(clinical.patient)}; give both columns one name"
            )
            continue
        lines.append(f"{kind}_table = {path}    # guess")
        formats[kind] = table
        renames |= _renamed(kind, table)
        if kind == "slide":
            lines += _slide_folder(table, slides)
    for kind, table in formats.items():
        if table.layout:
            inner = ", ".join(f"{key} = {_value(value)}" for key, value in table.layout.items())
            lines.append(f"{kind}_format = {{ {inner} }}    # guess")
    differing = {key: value for key, value in renames.items() if key != value}
    if differing:
        inner = ", ".join(f"{quoted(key)} = {quoted(value)}" for key, value in differing.items())
        lines.append(f"columns = {{ {inner} }}    # guess")
    return [*lines, ""]


def _renamed(kind: str, table: FoundTable) -> dict[str, str]:
    """Find the table's own names of the columns that metastra expects."""
    renames = {"FILENAME": table.filename} if kind == "slide" else {}
    for expected, names in _NAMES[kind].items():
        if name := pick(table.table.columns, names):
            renames[expected] = name
    return renames


def _slide_folder(table: FoundTable, slides: Sequence[Path]) -> list[str]:
    """Find the folder in which the files of a slide table lie."""
    wanted = {str(cell).strip() for cell in table.table.column(table.filename) if cell}
    homes: Counter[tuple[str, str]] = Counter()
    for path in slides:
        key = "feature_dir" if path.suffix.lower() == ".h5" else "slide_dir"
        parts = path.parts
        for start in range(len(parts)):
            if "/".join(parts[start:]) in wanted:
                homes["/".join(parts[:start]) or ".", key] += 1
    if not homes:
        return ["require_slides = false    # guess: none of the slide files was found here"]
    (home, key), n = homes.most_common(1)[0]
    return [f"{key} = {quoted(home)}    # guess: {n} of {len(wanted)} files are there"]


def _value(value: str | list[str]) -> str:
    return quoted(value) if isinstance(value, str) else f"[{', '.join(map(quoted, value))}]"


def quoted(text: str) -> str:
    r"""Quote a TOML string; JSON's strings are TOML's but for the delete character.

    Parameters
    ----------
    text : str
        Any; half of a surrogate pair, as an undecodable file name has it, becomes a question mark.

    Returns
    -------
    str
        On one line.

    Examples
    --------
    >>> print(quoted('a"b\nc'))
    "a\"b\nc"
    """
    clean = text.encode("utf-8", errors="replace").decode()
    return json.dumps(clean, ensure_ascii=False).replace("\x7f", "\\u007f")
