"""Patient ids: one spelling each, and every way in which two of them are nearly one.

Ids are compared as they are written and after each *folding*: Unicode form, white space, case,
leading zeros.  Two ids that a folding makes equal are one patient under two spellings until the
study says otherwise.  No message shows an id: pseudonyms and row numbers only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from metastra.catalogue import problem
from metastra.cohort.tables import Table
from metastra.errors import Problem

__all__ = ["Folding", "NearMatch", "id_problems", "near_matches", "normalise_id"]

_MAX_SINGLE = 20
"""Problems named one by one; further ones of the same code share one entry."""

_ZERO_RUN = re.compile(r"(?<![0-9])(?<![0-9]\.)0+(?=[0-9])")
_NUMBER_REWRITTEN = re.compile(r"[+-]?[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{1,3}|[0-9]+[.,]0+")
_MONTH = (  # as spreadsheets write them in English, German, French and Spanish
    r"(?:jan(?:uary|uar|v)?|feb(?:ruary|ruar)?|févr?|mar(?:ch|s)?|märz?|mrz|apr(?:il)?|avr|may|mai"
    r"|june?|juni|juin|july?|juli|juil|aug(?:ust)?|août|sept?(?:ember)?|oct(?:ober)?|okt(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?|dez(?:ember)?|déc|ene|abr|ago|dic)\.?"
)
_DATE_REWRITTEN = re.compile(
    rf"[0-9]{{1,2}}\.?[-/ ]{_MONTH}(?:[-/ ](?:[0-9]{{4}}|[0-9]{{2}}))?"
    rf"|{_MONTH}[-/ ](?:[0-9]{{4}}|[0-9]{{2}})"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]+)?"
    r"|[0-9]{1,2}([./])[0-9]{1,2}\1(?:[0-9]{4}|[0-9]{2})(?: [0-9:.]+)?",
    re.IGNORECASE,
)
# Capitals of Cyrillic and Greek that look like Latin ones, and the dashes of word processors.
# Small letters follow their capitals: case and looks can then be folded in either order.
_CAPITALS = dict(zip("АВЕКМНОРСТХУІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEKMHOPCTXYIJSABEZHIKMNOPTYX", strict=True))
_LOOKALIKES = str.maketrans(
    _CAPITALS
    | {theirs.lower(): ours.lower() for theirs, ours in _CAPITALS.items()}
    | dict.fromkeys("‐‑‒–—−", "-")
)


class Folding(StrEnum):
    """A way in which two spellings of one id can differ."""

    UNICODE = "Unicode form"
    SPACE = "white space"
    CASE = "case"
    ZEROS = "leading zeros"

    @property
    def code(self) -> str:
        """The code of the catalogue for ids that differ in this way."""
        return _CODES[self]


_CODES = {
    Folding.UNICODE: "CO014",
    Folding.SPACE: "CO013",
    Folding.CASE: "CO012",
    Folding.ZEROS: "CO015",
}


_ORDER = (Folding.SPACE, Folding.UNICODE, Folding.CASE, Folding.ZEROS)


@dataclass(frozen=True, kw_only=True)
class NearMatch:
    """Another spelling of an id.

    Parameters
    ----------
    other : str
        The id on the other side, as written there.  A study id: for joins, not for messages.
    foldings : tuple of Folding
        In what the two differ.
    """

    other: str
    foldings: tuple[Folding, ...]


def normalise_id(text: str) -> str:
    r"""Write an id as it is joined: Unicode form NFC, without white space around it.

    Parameters
    ----------
    text : str
        An id as written.

    Returns
    -------
    str
        The id; nothing else is changed.

    Examples
    --------
    >>> normalise_id(" Mu\u0308ller-7 ") == "Müller-7"
    True
    """
    return unicodedata.normalize("NFC", text).strip()


def near_matches(ids_a: Iterable[str], ids_b: Iterable[str]) -> dict[str, NearMatch]:
    """Find ids of one table that are another spelling of an id of another table.

    Parameters
    ----------
    ids_a : iterable of str
        The ids that are looked up, for instance those of a slide table.
    ids_b : iterable of str
        The ids that are right, for instance those of the clinical table.

    Returns
    -------
    dict of str to NearMatch
        For each id of `ids_a` that is not among `ids_b` after `normalise_id` but is another
        spelling of one of them.

    Examples
    --------
    >>> near_matches(["p-007", "P-8", "P-008", "P-9"], ["P-007", "P-008"])["P-8"]
    NearMatch(other='P-008', foldings=(<Folding.ZEROS: 'leading zeros'>,))
    """
    known = {normalise_id(text): text for text in reversed(list(ids_b))}
    by_key = {_fold(text, Folding): text for text in known.values()}
    found = {}
    for text in dict.fromkeys(ids_a):
        other = by_key.get(_fold(text, Folding))
        if other is not None and normalise_id(text) not in known:
            found[text] = NearMatch(other=other, foldings=_differences(text, other))
    return found


def id_problems(
    table: Table,
    column: str,
    ids: Iterable[str | None],
    pseudonymise: Callable[[str], str],
    *,
    unique: bool,
) -> list[Problem]:
    r"""Find everything that is wrong with the ids of one table.

    Parameters
    ----------
    table : Table
        The table.
    column : str
        Its column of ids.
    ids : iterable of str or None
        The ids as written, one per row: the column's cells.
    pseudonymise : callable
        From an id to the pseudonym that may be shown.
    unique : bool
        Whether each patient may have one row only (the clinical table).

    Returns
    -------
    list of Problem
        ``CO010`` missing, ``CO011`` twice, ``CO012`` to ``CO015`` two spellings, ``CO016`` and
        ``CO017`` rewritten by a spreadsheet, ``CO018`` rows of one patient apart.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from metastra.cohort.tables import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "clini.csv")
    ...     _ = path.write_text("PATIENT,age\nP-007,61\nP-008,59\nP-7,61\n")
    ...     table, _ = read_table(path)
    >>> cells = table.column("PATIENT")
    >>> for one in id_problems(table, "PATIENT", cells, lambda _: "P-x", unique=True):
    ...     print(one.code, one.where, "|", one.found)
    CO015 clini.csv, rows 2, 4, column 'PATIENT' | 2 ids differ only in leading zeros
    """
    cells = list(ids)
    written: dict[str, list[int]] = {}
    missing: list[int] = []
    for index, cell in enumerate(cells):
        if cell is None or not cell.strip():
            missing.append(index)
        else:
            written.setdefault(cell, []).append(index)
    report = partial(_report, table, column, cells, pseudonymise)
    problems = []
    if missing:
        where = table.where(column, missing)
        problems.append(problem("CO010", f"{_rows(missing)} without an id", where=where))
    by_patient: dict[str, list[int]] = {}
    for text, indices in written.items():
        by_patient.setdefault(normalise_id(text), []).extend(indices)
    if unique:
        twice = [sorted(at) for at in by_patient.values() if len(at) > 1]
        problems += report("CO011", [(at, f"one patient in {_rows(at)}") for at in twice])
    problems += _spelling_problems(written, report)
    for code, pattern, what in (
        ("CO016", _NUMBER_REWRITTEN, "written like a rewritten number"),
        ("CO017", _DATE_REWRITTEN, "written like a date among ids of another form"),
    ):
        hits = sorted(
            i for text in written if pattern.fullmatch(text.strip()) for i in written[text]
        )
        if hits and not (code == "CO017" and len(hits) + len(missing) == len(cells)):
            problems += report(code, [(hits, f"{_rows(hits)} with an id {what}")])
    if not unique:
        apart = sorted(i for at in by_patient.values() for i in _later_runs(sorted(at)))
        if apart:
            found = f"{_rows(apart)} away from the earlier rows of the same patient"
            problems += report("CO018", [(apart, found)])
    return problems


def _rows(indices: Sequence[int]) -> str:
    return f"{len(indices)} row{'s' if len(indices) != 1 else ''}"


def _report(
    table: Table,
    column: str,
    cells: Sequence[str | None],
    pseudonymise: Callable[[str], str],
    code: str,
    groups: list[tuple[list[int], str]],
) -> list[Problem]:
    """Make one problem per group; past a score of them, the rest share one."""
    if len(groups) > _MAX_SINGLE:
        rest = groups[_MAX_SINGLE:]
        indices = sorted({index for at, _ in rest for index in at})
        groups = [*groups[:_MAX_SINGLE], (indices, f"the same for {len(rest)} further ids")]
    return [
        problem(
            code,
            found,
            where=table.where(column, at),
            patients=tuple(pseudonymise(normalise_id(str(cells[index]))) for index in at),
        )
        for at, found in groups
    ]


def _spelling_problems(
    written: dict[str, list[int]],
    report: Callable[[str, list[tuple[list[int], str]]], list[Problem]],
) -> list[Problem]:
    clusters: dict[str, list[str]] = {}
    for text in written:
        clusters.setdefault(_fold(text, Folding), []).append(text)
    groups: dict[str, list[tuple[list[int], str]]] = {folding.code: [] for folding in Folding}
    for spellings in clusters.values():
        if len(spellings) == 1:
            continue
        usual = max(spellings, key=lambda text: len(written[text]))
        alike: dict[tuple[Folding, ...], list[str]] = {}
        for text in spellings:
            if text != usual:
                alike.setdefault(_differences(text, usual), []).append(text)
        for foldings, others in alike.items():
            at = sorted(index for text in [usual, *others] for index in written[text])
            found = f"{len(others) + 1} ids differ only in {' and '.join(foldings)}"
            groups[foldings[0].code].append((at, found))
    return [one for code in sorted(groups) for one in report(code, groups[code])]


def _fold(text: str, foldings: Iterable[Folding]) -> str:
    wanted = frozenset(foldings)
    if Folding.UNICODE in wanted:
        text = unicodedata.normalize("NFKC", text).translate(_LOOKALIKES)
    if Folding.SPACE in wanted:
        text = "".join(letter for letter in text if not _is_space(letter))
    if Folding.CASE in wanted:
        text = text.upper().casefold()  # the Turkish dotless i has no other way to its capital
    if Folding.ZEROS in wanted:
        text = _ZERO_RUN.sub("", text)
    # casefolding and compatibility forms can leave decomposed letters behind
    return unicodedata.normalize("NFKC", text) if Folding.UNICODE in wanted else text


def _is_space(letter: str) -> bool:
    """Whether a character is white space, the invisible kinds included."""
    return letter.isspace() or unicodedata.category(letter) == "Cf"


def _differences(text: str, other: str) -> tuple[Folding, ...]:
    """Name the foldings that are needed to make two spellings equal, the fewest there are."""
    single = [one for one in _ORDER if _fold(text, [one]) == _fold(other, [one])]
    if single:
        return (single[0],)
    needed = list(_ORDER)
    for one in _ORDER:
        fewer = [kept for kept in needed if kept is not one]
        if _fold(text, fewer) == _fold(other, fewer):
            needed = fewer
    return tuple(needed)


def _later_runs(indices: list[int]) -> list[int]:
    """Select the rows that follow a gap in the run of one patient's rows."""
    for position in range(1, len(indices)):
        if indices[position] != indices[position - 1] + 1:
            return indices[position:]
    return []
