"""A chain of entries in one file, read with everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from metastra.catalogue import problem
from metastra.errors import DigestMismatch, IntegrityError, Problem, Where
from metastra.ledger.entry import NOTHING, STUDY_CHAIN, Entry, Kind
from metastra.storage import read_lines

__all__ = ["CENTRES", "LEDGER", "Chain", "read_chain", "read_chains"]

LEDGER, CENTRES = "ledger.jsonl", "centres"
_SUFFIX = ".jsonl"


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The entries of a chain.

    Parameters
    ----------
    name : str
        ``"study"`` or a centre.
    file : str
        Of the chain, relative to the study's folder.
    entries : tuple of Entry
        Those that can be read, in the order of the file.
    remainder : bytes
        An append that was cut off; no entry.
    problems : tuple of Problem
        ``PR101`` to ``PR106``, each with the line.
    """

    name: str
    file: str
    entries: tuple[Entry, ...] = ()
    remainder: bytes = field(default=b"", repr=False)
    problems: tuple[Problem, ...] = ()

    @property
    def head(self) -> str:
        """Hash of the last entry; zeros where there is none."""
        return self.entries[-1].hash if self.entries else NOTHING

    def where(self, number: int) -> Where:
        """Name the place of an entry.

        Parameters
        ----------
        number : int
            Of the entry; entries stand in the line of their number.

        Returns
        -------
        Where
            File and line.
        """
        return Where(file=self.file, rows=(number,))


def read_chains(folder: Path) -> dict[str, Chain]:
    """Read the chains of a study.

    Parameters
    ----------
    folder : Path
        Of the study.

    Returns
    -------
    dict of str to Chain
        The study's own first, then the centres' that have a file.

    Raises
    ------
    ResourceError, ConfigError
        If a file cannot be read.
    """
    study = read_chain(folder / LEDGER, STUDY_CHAIN, file=LEDGER)
    first = study.entries[0] if study.entries else None
    chains = {STUDY_CHAIN: study}
    inside = folder / CENTRES
    for path in sorted(inside.glob(f"*{_SUFFIX}")) if inside.is_dir() else ():
        name = path.name.removesuffix(_SUFFIX)
        chains[name] = read_chain(path, name, file=f"{CENTRES}/{path.name}", first=first)
    return chains


def read_chain(path: Path, name: str, *, file: str, first: Entry | None = None) -> Chain:
    """Read a chain and look at every link of it.

    Parameters
    ----------
    path : Path
        Its file; a missing one has no entries.
    name : str
        Of the chain.
    file : str
        Its name in messages.
    first : Entry, optional
        The study's first entry, for the chain of a centre.

    Returns
    -------
    Chain
        With all problems.
    """
    lines, remainder = read_lines(path)
    entries: list[Entry] = []
    problems: list[Problem] = []
    link = _Link(name=name, first=first)
    for row, line in enumerate(lines, start=1):
        where = Where(file=file, rows=(row,))
        try:
            entry = Entry.from_line(line)
        except IntegrityError as error:
            code = "PR102" if isinstance(error, DigestMismatch) else "PR101"
            problems.append(problem(code, f"entry {name}:{row}: {error}", where=where))
            link.lose()
            continue
        problems += [
            problem(code, f"entry {name}:{entry.number} {found}", where=where)
            for code, found in link.follow(entry)
        ]
        entries.append(entry)
    return Chain(
        name=name,
        file=file,
        entries=tuple(entries),
        remainder=remainder,
        problems=tuple(problems),
    )


class _Link:
    """What the next entry of a chain has to hold."""

    def __init__(self, *, name: str, first: Entry | None) -> None:
        self._name = name
        self._study = first.study if first else None
        self._simulated = first.simulated if first else None
        self._previous = first.hash if first else NOTHING
        self._time = first.time if first else ""
        self._number = 0
        self._known = name == STUDY_CHAIN or first is not None

    def lose(self) -> None:
        """Go past a line that is no entry: what follows it cannot be linked to it."""
        self._known = False
        self._number += 1

    def follow(self, entry: Entry) -> Iterator[tuple[str, str]]:
        """Look at the next entry."""
        if self._study is None:
            self._study, self._simulated = entry.study, entry.simulated
            if entry.kind is not Kind.INIT or entry.commitment != entry.study:
                yield "PR106", "is not the beginning of a study"
        if entry.study != self._study:
            yield "PR106", f"belongs to another study ({entry.study[:12]}…)"
        elif entry.simulated != self._simulated:
            yield "PR106", "does not say as the study's first entry does whether it is simulated"
        if entry.chain != self._name:
            yield "PR106", f"belongs to the chain {entry.chain!r}"
        if entry.number != self._number + 1:
            what = "stands twice" if entry.number == self._number else "is out of place"
            found = f"has the number {entry.number} where {self._number + 1} is expected: it {what}"
            yield "PR104", f"{found}, or entries between are gone"
        if self._known and entry.previous != self._previous:
            yield "PR103", "does not follow the entry before it: one was taken out, put in or moved"
        if entry.time < self._time:
            yield "PR105", f"is dated {entry.time}, before its predecessor's {self._time}"
        self._previous, self._number, self._known = entry.hash, entry.number, True
        self._time = max(self._time, entry.time)
