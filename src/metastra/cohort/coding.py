"""From declared predictors to numbers: every word has a declared meaning, or is refused."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.stage import Stage, parse_stage
from metastra.cohort.tables import Table
from metastra.cohort.tnm import parse_tnm
from metastra.cohort.values import (
    NO_WORDS,
    YES_WORDS,
    NumberKind,
    booleans,
    numbers,
    quoted,
    word_key,
)
from metastra.errors import ConfigError, DataError, Problem

__all__ = ["Coding", "CodingKind", "Encoded", "encode", "scheme_axis"]

_AGE_NAMES = frozenset({"age", "age_years", "age (years)", "age_at_diagnosis_years"})
_TNM_NAME = re.compile(r"(?:^|[^a-z])y?[cp]?([tnm])(?:$|[^a-z])", re.IGNORECASE)
_STAGE_NAME = re.compile(r"stage|stadium|uicc|ajcc", re.IGNORECASE)
_T_RANKS = {"0": 0.0, "is": 0.5, "a": 0.5, "1": 1.0, "2": 2.0, "3": 3.0, "4": 4.0}


class CodingKind(StrEnum):
    """What a predictor's values are."""

    CONTINUOUS = "continuous"
    ORDINAL = "ordinal"
    CATEGORICAL = "categorical"
    BINARY = "binary"


@dataclass(frozen=True, kw_only=True)
class Coding:
    """How one predictor becomes numbers.

    Parameters
    ----------
    kind : CodingKind
        What its values are.
    scheme : {"AJCC-7", "AJCC-8", "none"}
        For ordinal T, N, M or stage: the order of the manual.
    levels : tuple of str
        Ordinal: the words in ascending order, coded 0, 1, 2 ….  Categorical: the words, the first
        of which is the reference.  Binary: the words for 0 and for 1; usual words for no and yes
        when left out.
    minimum, maximum : float or None
        Continuous: the values that are possible.
    collapse_stage : bool
        IIIA, IIIB and IIIC are all coded as III.
    axis : {"", "T", "N", "M", "stage"}
        What a scheme's column holds; empty to take it from the column's name or cells.

    Raises
    ------
    ConfigError
        If levels are missing, repeated or not two for a binary predictor.

    Examples
    --------
    >>> Coding(kind=CodingKind.CATEGORICAL, levels=("left", "right")).levels
    ('left', 'right')
    """

    kind: CodingKind
    scheme: Literal["AJCC-7", "AJCC-8", "none"] = "none"
    levels: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    collapse_stage: bool = False
    axis: Literal["", "T", "N", "M", "stage"] = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", CodingKind(self.kind))
        if len({word_key(level) for level in self.levels}) < len(self.levels):
            raise ConfigError(f"levels {self.levels} name one word twice")
        if self.kind is CodingKind.CATEGORICAL and len(self.levels) < 2:
            raise ConfigError("a categorical predictor needs two levels or more")
        if self.kind is CodingKind.BINARY and len(self.levels) not in {0, 2}:
            raise ConfigError("a binary predictor has two levels: the word for 0, the word for 1")


class Encoded(NamedTuple):
    """A predictor as numbers.

    Attributes
    ----------
    values : ndarray of float64, shape (n, k)
        One row per record; NaN where the cell is missing or refused.
    names : tuple of str
        The `k` columns: the predictor's name, or ``"name=level"`` for each level of a categorical
        predictor but the reference.
    problems : tuple of Problem
        What is wrong.
    """

    values: NDArray[np.float64]
    names: tuple[str, ...]
    problems: tuple[Problem, ...]


def encode(table: Table, column: str, coding: Coding) -> Encoded:
    r"""Turn one predictor into numbers.

    Parameters
    ----------
    table : Table
        The clinical table.
    column : str
        The predictor's column.
    coding : Coding
        How it is coded.

    Returns
    -------
    Encoded
        Its problems are those of `numbers` for continuous predictors, ``CO036`` outside the
        declared limits, ``CO037`` a word without a meaning, ``CO038`` constant or empty,
        ``CO039`` missing cells, counted.

    Notes
    -----
    T is coded 0, 0.5 (Tis, Ta), 1, 2, 3, 4; N 0 to 3; M 0 and 1, without their subdivisions.
    Stage is coded 0 to 4; where it is not collapsed, A, B and C add a quarter, a half and three
    quarters.  TX, NX, MX, stage X and a stage that is not known are missing.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from metastra.cohort.tables import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "clini.csv")
    ...     _ = path.write_text("PATIENT,pT,side\na,T4a,left\nb,pT2,right\nc,,rihgt\n")
    ...     table, _ = read_table(path)
    >>> encode(table, "pT", Coding(kind="ordinal", scheme="AJCC-8")).values.ravel().tolist()
    [4.0, 2.0, nan]
    >>> side = encode(table, "side", Coding(kind="categorical", levels=("left", "right")))
    >>> side.names, side.values.ravel().tolist()
    (('side=right',), [0.0, 1.0, nan])
    >>> print(side.problems[0].found)
    1 cell has no declared meaning: 'rihgt'; the nearest is 'right'
    """
    if coding.kind is CodingKind.CONTINUOUS:
        values, problems = _continuous(table, column, coding)
    elif coding.kind is CodingKind.BINARY:
        no, yes = ([one] for one in coding.levels) if coding.levels else (NO_WORDS, YES_WORDS)
        values, problems = booleans(table, column, yes=yes, no=no)
    elif coding.levels:
        values, problems = _by_levels(table, column, coding.levels)
    elif coding.scheme != "none":
        values, problems = _by_scheme(table, column, coding)
    else:
        values, problems = numbers(table, column)
    refused = [line for one in problems for line in one.where.rows]
    missing = np.isnan(values) & ~np.isin(table.rows, refused)
    problems = [*problems, *_information_problems(table, column, values, missing)]
    names: tuple[str, ...] = (column,)
    matrix = values[:, None]
    if coding.kind is CodingKind.CATEGORICAL:
        names = tuple(f"{column}={level}" for level in coding.levels[1:])
        ranks = np.arange(1, len(coding.levels), dtype=np.float64)
        matrix = np.where(np.isnan(matrix), np.nan, (matrix == ranks).astype(np.float64))
    return Encoded(values=matrix, names=names, problems=tuple(problems))


def _continuous(
    table: Table, column: str, coding: Coding
) -> tuple[NDArray[np.float64], list[Problem]]:
    is_age = column.casefold() in _AGE_NAMES
    kind = NumberKind.AGE if is_age else NumberKind.NUMBER
    values, problems = numbers(table, column, kind=kind)
    low = -np.inf if coding.minimum is None else coding.minimum
    high = np.inf if coding.maximum is None else coding.maximum
    outside = np.flatnonzero((values < low) | (values > high))
    if outside.size:
        found = f"{outside.size} value{'s' if outside.size > 1 else ''} outside the declared limits"
        where = table.where(column, outside)
        problems.append(problem("CO036", found, where=where, expected=f"{low:g} to {high:g}"))
    return values, problems


def _by_levels(
    table: Table, column: str, levels: tuple[str, ...]
) -> tuple[NDArray[np.float64], list[Problem]]:
    rank = {word_key(level): float(place) for place, level in enumerate(levels)}
    spelt = {word_key(level): level for level in levels}
    values = np.full(len(table), np.nan)
    bad: list[int] = []
    for row, cell in enumerate(table.column(column)):
        if cell is None:
            continue
        values[row] = rank.get(word_key(cell), np.nan)
        if np.isnan(values[row]):
            bad.append(row)
    if not bad:
        return values, []
    keys = {word_key(str(table.column(column)[row])) for row in bad}
    near = [match for key in keys for match in difflib.get_close_matches(key, spelt, n=1)]
    hint = f"; the nearest is {spelt[near[0]]!r}" if len(keys) == 1 and near else ""
    return values, [_no_meaning(table, column, bad, hint, ", ".join(map(repr, levels)))]


def _no_meaning(
    table: Table, column: str, bad: list[int], more: str, expected: str, hint: str | None = None
) -> Problem:
    verb = "s have" if len(bad) > 1 else " has"
    found = f"{len(bad)} cell{verb} no declared meaning{quoted(table, column, bad)}{more}"
    where = table.where(column, bad)
    return problem("CO037", found, where=where, expected=expected, hint=hint)


def _by_scheme(
    table: Table, column: str, coding: Coding
) -> tuple[NDArray[np.float64], list[Problem]]:
    """Code T, N, M or stage; the column's name says which, else its cells do."""
    cells = [None if cell is None else cell.strip() for cell in table.column(column)]
    axis = coding.axis or scheme_axis(column, [cell for cell in cells if cell is not None])
    if axis == "stage":
        return _stage_ranks(table, column, cells, collapse=coding.collapse_stage)
    rank = _rank_reader(axis)
    values = np.full(len(table), np.nan)
    bad: list[int] = []
    for row, cell in enumerate(cells):
        if cell is None:
            continue
        try:
            values[row] = rank(cell)
        except DataError:
            bad.append(row)
    expected = f"{axis} of {coding.scheme}, for instance {axis}1"
    return values, [_no_meaning(table, column, bad, "", expected)] if bad else []


def scheme_axis(column: str, cells: Iterable[str]) -> Literal["T", "N", "M", "stage"]:
    """Find out what a column of a staging scheme holds.

    Parameters
    ----------
    column : str
        Its name, which decides where it tells.
    cells : iterable of str
        Its cells, which decide otherwise.

    Returns
    -------
    {"T", "N", "M", "stage"}
        Stage when nothing tells.

    Examples
    --------
    >>> scheme_axis("pT", []), scheme_axis("spread", ["N1", "N2"]), scheme_axis("AJCC", ["III"])
    ('T', 'N', 'stage')
    """
    axes: dict[str, Literal["T", "N", "M"]] = {"T": "T", "N": "N", "M": "M"}
    if named := _TNM_NAME.search(column):
        return axes[named[1].upper()]
    if not _STAGE_NAME.search(column):
        for cell in cells:
            try:
                tnm = parse_tnm(cell)
            except DataError:
                continue
            stated = [axis for axis in axes if getattr(tnm, axis.lower())]
            if len(stated) == 1:
                return axes[stated[0]]
    return "stage"


def _rank_reader(axis: Literal["T", "N", "M"]) -> Callable[[str], float]:
    def rank(cell: str) -> float:
        bare = cell[:1].isdigit() or cell.casefold() in {"x", "is"}
        category = getattr(parse_tnm(axis + cell if bare else cell), axis.lower())
        if category in {"", "X"}:
            return float("nan")
        return _T_RANKS[category] if axis == "T" else float(category)

    return rank


def _stage_ranks(
    table: Table, column: str, cells: list[str | None], *, collapse: bool
) -> tuple[NDArray[np.float64], list[Problem]]:
    stages: list[Stage | None] = []
    bad: list[int] = []
    for row, cell in enumerate(cells):
        stage = None
        if cell is not None:
            try:
                stage = parse_stage(cell)
            except DataError:
                bad.append(row)
        stages.append(stage)
    problems = []
    if bad:
        expected = "0, I to IV with A, B or C, or X"
        problems.append(_no_meaning(table, column, bad, "", expected))
    values = np.full(len(cells), np.nan)
    divided = {one.numeral for one in stages if one is not None and one.sub[:1] in set("ABCD")}
    open_rows: list[int] = []
    for row, one in enumerate(stages):
        if one is None or one.rank is None:
            continue
        letter = " ABCD".find(one.sub[:1] or " ")
        if not collapse and one.numeral in divided and letter < 1:
            open_rows.append(row)
        else:
            values[row] = one.rank + (0.0 if collapse else max(letter, 0) / 4)
    if open_rows:
        hint = "Declare `collapse_stage = true`."
        more = " beside subdivided stages of the same group"
        problems.append(_no_meaning(table, column, open_rows, more, "A, B or C", hint))
    return values, problems


def _information_problems(
    table: Table, column: str, values: NDArray[np.float64], missing: NDArray[np.bool_]
) -> list[Problem]:
    problems = []
    known = np.unique(values[np.isfinite(values)])
    if known.size < 2:
        found = "every value is the same" if known.size else "there is no value"
        problems.append(problem("CO038", found, where=table.where(column)))
    if missing.any():
        words = table.words_for_missing.get(column, {})
        written = ", ".join(f"{count} written {word!r}" for word, count in words.items())
        count = int(np.count_nonzero(missing))
        found = f"{count} of {len(table)} values are missing{f' ({written})' if written else ''}"
        where = table.where(column, np.flatnonzero(missing))
        problems.append(problem("CO039", found, where=where))
    return problems
