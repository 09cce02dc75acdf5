"""The floors of the house: which package may import which, and the walk that holds it.

A package imports only lower floors or itself; neighbours on a floor are strangers.  The judging
side never reaches torch.  ``docs/architecture.md`` is printed from this table, so the drawing
cannot drift from what the test holds.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FLOORS", "JUDGING_SIDE", "Floor", "Import", "floor_of", "imports_of", "violations"]

_ROOT = "metastra"


@dataclass(frozen=True, kw_only=True)
class Floor:
    """One floor of the house.

    Parameters
    ----------
    name : str
        What the floor is for.
    west : tuple of str
        Packages that see pixels and learn; torch is allowed.
    shared : tuple of str
        Packages both wings stand on.
    east : tuple of str
        Packages that judge.
    """

    name: str
    west: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    east: tuple[str, ...] = ()

    @property
    def packages(self) -> tuple[str, ...]:
        """All packages of the floor."""
        return (*self.west, *self.shared, *self.east)


FLOORS: tuple[Floor, ...] = (
    Floor(
        name="ground: words",
        shared=("errors", "units", "digest", "progress", "version", "kernels"),
    ),
    Floor(
        name="ground: catalogue, executor, keys",
        shared=("catalogue", "executor", "pseudonyms", "signing"),
    ),
    Floor(name="ground: storage", shared=("storage",)),
    Floor(name="vocabulary", shared=("study", "survival", "stats")),
    Floor(name="tables, stores, maps", shared=("cohort", "features", "spatial")),
    Floor(name="sources", west=("slides", "volumes", "omics")),
    Floor(name="measures", west=("tissue",), east=("evaluation",)),
    Floor(
        name="preparation", west=("cells", "radiomics", "registration", "models"), east=("ledger",)
    ),
    Floor(name="parts", west=("tiles", "encoders", "bundle"), east=("monitoring",)),
    Floor(name="learn", west=("extraction", "training"), shared=("synthetic",)),
    Floor(name="use", west=("prediction", "explanation", "virtual_stain")),
    Floor(name="windows", east=("report", "viewer")),
    Floor(name="partners", west=("integrations",)),
    Floor(name="public contracts", shared=("testing",)),
    Floor(name="roof", shared=("pipeline",)),
    Floor(name="door", shared=("cli",)),
)
"""From the ground up.  A package that is not built yet keeps its place."""

JUDGING_SIDE: frozenset[str] = frozenset(
    {name for floor in FLOORS for name in floor.east}
    | {"study", "survival", "stats", "cohort", "storage", "synthetic"}
)
"""Packages that must never reach torch, not even through what they import."""


@dataclass(frozen=True, kw_only=True)
class Import:
    """One import statement, wherever in a file it stands.

    Parameters
    ----------
    path : Path
        The file.
    line : int
        1-based.
    package : str
        First part of the imported name, for instance ``"torch"``.
    room : str
        For imports of metastra itself, the package inside it; else empty.
    """

    path: Path
    line: int
    package: str
    room: str = ""


def floor_of(room: str) -> int | None:
    """Find the floor of a package.

    Parameters
    ----------
    room : str
        Name of a package or ground module of metastra.

    Returns
    -------
    int or None
        0 for the ground; None for a room that the table does not have.

    Examples
    --------
    >>> floor_of("cohort") < floor_of("evaluation") < floor_of("cli")
    True
    """
    for number, floor in enumerate(FLOORS):
        if room in floor.packages:
            return number
    return None


def imports_of(path: Path) -> Iterator[Import]:
    """Walk over all imports of a file, the ones inside functions included.

    Parameters
    ----------
    path : Path
        A Python file of the package.

    Yields
    ------
    Import
        Imports for type checkers only are walked too: they draw the architecture as well.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names = [base]
            if base == _ROOT:
                names = [f"{_ROOT}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            room = rest.partition(".")[0] if package == _ROOT else ""
            yield Import(path=path, line=node.lineno, package=package or ".", room=room)


def violations(source: Path) -> Iterator[str]:
    """Find every import that does not go down.

    Parameters
    ----------
    source : Path
        Folder of the package, ``…/src/metastra``.

    Yields
    ------
    str
        File, line and what is wrong with it.
    """
    for path in sorted(source.rglob("*.py")):
        relative = path.relative_to(source)
        room = relative.parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue
        mine = floor_of(room)
        if mine is None:
            yield f"{relative}: package {room!r} has no floor"
            continue
        for found in imports_of(path):
            place = f"{relative}:{found.line}"
            if found.package == "torch" and room in JUDGING_SIDE:
                yield f"{place}: the judging side must not import torch"
            if found.package == ".":
                yield f"{place}: relative imports hide the floor; write the full name"
            if found.package != _ROOT or found.room == room:
                continue
            theirs = floor_of(found.room)
            if found.room == "":
                yield f"{place}: nobody imports the root package from inside"
            elif theirs is None:
                yield f"{place}: imports {found.room!r}, which has no floor"
            elif theirs >= mine:
                yield f"{place}: {room} imports {found.room}, which is not below it"
