"""What a planted fault is, and how one is put into the tables of a study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from metastra.synthetic.writing import Cell, Parts, Table

__all__ = ["Fault", "Planted", "cohort_file", "find_rows", "table_of"]

MAIN = "study.toml"
SURVIVAL = "study-overall-survival.toml"


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A study with a fault in it.

    Parameters
    ----------
    parts : dict of str to (Table or bytes)
        The files, of which the faulty ones are changed copies.
    code : str
        The check that must find it, from `metastra.catalogue`.
    study_file : str
        The study file under which it is found.
    file : str
        The file in which the check must find it; empty when it is in several.
    rows : tuple of int
        Line numbers in `file`, the header being 1; empty when no row is meant.
    """

    parts: Parts
    code: str = ""
    study_file: str = MAIN
    file: str = ""
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault or leak that can be planted.

    Parameters
    ----------
    name : str
        By which it is asked for.
    code : str
        The check that must find it.
    what : str
        What is wrong, in a sentence.
    put : callable
        Files of the default study → files with the fault.
    study_file : str
        The study file under which it is found.
    """

    name: str
    code: str
    what: str
    put: Callable[[Parts], Planted]
    study_file: str = MAIN


def cohort_file(parts: Parts, kind: str, cohort: str = "") -> str:
    """Find the name of a table.

    Parameters
    ----------
    parts : dict of str to (Table or bytes)
        The files.
    kind : str
        ``"clini"``, ``"slides"``, ``"specimens"`` or ``"events"``.
    cohort : str
        Of which cohort; the first when left out.

    Returns
    -------
    str
        For instance ``"north/clini.csv"``.

    Raises
    ------
    KeyError
        If there is no such table.
    """
    for name in parts:
        folder, _, rest = name.partition("/")
        if rest.partition(".")[0] == kind and cohort in ("", folder):
            return name
    raise KeyError(f"{cohort or 'any cohort'}/{kind}")


def table_of(parts: Parts, name: str) -> Table:
    """Take a table that can still be changed.

    Parameters
    ----------
    parts : dict of str to (Table or bytes)
        The files.
    name : str
        Of the file.

    Returns
    -------
    Table
        Not yet written.

    Raises
    ------
    ValueError
        If an earlier fault has written it down already.
    """
    part = parts[name]
    if isinstance(part, bytes):
        raise ValueError(f"{name} is written already: plant faults of bytes last")
    return part


def find_rows(table: Table, **conditions: Callable[[Cell], bool]) -> list[int]:
    """Find the rows that meet conditions.

    Parameters
    ----------
    table : Table
        Where to look.
    **conditions : callable
        By column: cell → whether it will do.

    Returns
    -------
    list of int
        Positions, from 0.

    Raises
    ------
    ValueError
        If there is none: the study is too small for this fault.
    """
    columns = {name: table.column(name) for name in conditions}
    found = [
        row
        for row in range(len(table))
        if all(accept(columns[name][row]) for name, accept in conditions.items())
    ]
    if not found:
        raise ValueError("no row of the table suits this fault; draw more patients")
    return found
