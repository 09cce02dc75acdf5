"""Run reference cases through the public functions and compare every number."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metastra.errors import DataError, MetastraError
from metastra.testing.reference.data import Case, Handler, Tolerance
from metastra.testing.reference.expressions import evaluate, select_rows

__all__ = ["Verdict", "all_handlers", "compare", "read_tables", "run_case", "select"]

_MODULES = ("nonparametric", "regression", "discrimination", "calibration", "pooling")
"""Modules of this package that export ``HANDLERS``."""

_EXACT = frozenset(
    {"n", "events", "n_risk", "df", "lr_df", "k", "concordant", "discordant"}
    | {"tied_x", "tied_y", "tied_xy", "events_by_t"}
)
"""Counts: compared without tolerance (unless the expected number is weighted, not whole)."""

_P_VALUES = frozenset({"p", "q_p"})
_P_TOLERANCE = Tolerance(rel=1e-3, abs=1e-8)
_CASE_ERRORS = (
    MetastraError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a case may raise without ending the run: it fails, the others go on."""
_INFORMATIVE = "hare_"
"""Prefix of expected values that are given for information only."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a case holds.

    Parameters
    ----------
    case : str
        Its id.
    estimator : str
        Its estimator.
    passed : bool
        All numbers agree.
    detail : str
        The first difference, or why the case could not be run; empty when it passed.
    """

    case: str
    estimator: str
    passed: bool
    detail: str = ""

    def __str__(self) -> str:
        word = "PASS" if self.passed else "FAIL"
        return f"{word} {self.case} ({self.estimator})" + (
            f": {self.detail}" if self.detail else ""
        )


def all_handlers() -> dict[str, Handler]:
    """Collect the handlers of every module of this package.

    Returns
    -------
    dict
        Estimator name to handler.
    """
    handlers: dict[str, Handler] = {}
    for module in _MODULES:
        name = f"{__package__}.{module}"
        if importlib.util.find_spec(name) is not None:
            handlers.update(importlib.import_module(name).HANDLERS)
    return handlers


def select(case: Case, frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows a case is about: its ``filter``, then its ``rows``.

    Parameters
    ----------
    case : Case
        With ``args.filter`` (``column`` and ``equals``, or a list of such) and ``args.rows``.
    frame : pandas.DataFrame
        The whole table.

    Returns
    -------
    pandas.DataFrame
        Freshly indexed.

    Raises
    ------
    DataError
        When a selection is not understood.
    """
    chosen = case.args.get("filter") or []
    for one in [chosen] if isinstance(chosen, Mapping) else chosen:
        frame = frame.loc[_filter_mask(one, frame)].reset_index(drop=True)
    rows = case.args.get("rows")
    if isinstance(rows, str):
        roles = {role: case.names(role) for role in case.columns}
        frame = select_rows(rows, frame, roles)
    elif isinstance(rows, Sequence):
        frame = frame.iloc[[int(row) - 1 for row in rows]].reset_index(drop=True)
    return frame


def run_case(
    case: Case, frames: Mapping[str, pd.DataFrame], handlers: Mapping[str, Handler]
) -> Verdict:
    """Run one case.

    Parameters
    ----------
    case : Case
        What to compute and what to expect.
    frames : mapping
        File name to table.
    handlers : mapping
        Estimator name to handler.

    Returns
    -------
    Verdict
        Failed, with the reason, also where the estimator is unknown or the data are refused.
    """
    handler = handlers.get(case.estimator)
    if handler is None:
        return _failed(case, f"unknown estimator {case.estimator!r}")
    if case.data is not None and case.data not in frames:
        return _failed(case, f"the table {case.data!r} is not there")
    frame = frames[case.data] if case.data is not None else pd.DataFrame()
    try:
        found = handler(case, select(case, frame))
    except _CASE_ERRORS as error:
        return _failed(case, f"{type(error).__name__}: {error}")
    difference = compare(case, found)
    return _failed(case, difference) if difference else _passed(case)


def compare(case: Case, found: Mapping[str, object]) -> str:
    """Compare the numbers of a case with those expected.

    Parameters
    ----------
    case : Case
        With `expected` and `tolerance`.
    found : mapping
        Name to number, text, list or nested mapping.

    Returns
    -------
    str
        The first difference; empty when all agree.

    Notes
    -----
    ``|x - y| <= abs + rel * |x|`` for expected x; p-values within 1e-3 relative or 1e-8 absolute;
    counts exactly; an expected ``null`` must come out as missing.
    """
    for name, expected in case.expected.items():
        if name.startswith(_INFORMATIVE):
            continue
        if name not in found:
            return f"{name} was not computed"
        difference = _difference(name, expected, found[name], case.tolerance)
        if difference:
            return difference
    return ""


def _difference(path: str, expected: object, found: object, tolerance: Tolerance) -> str:
    wanted, got = list(_leaves(path, expected)), list(_leaves(path, found))
    if len(wanted) != len(got):
        return f"{path}: expected {len(wanted)} values, found {len(got)}"
    for (place, x), (_, y) in zip(wanted, got, strict=True):
        if not _agrees(place, x, y, tolerance):
            return f"{place}: expected {x!r}, found {y!r}"
    return ""


def _leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    """Every number in nesting order; one number and a list of one are the same to R."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}", item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for position, item in enumerate(value):
            yield from _leaves(f"{path}[{position}]", item)
    else:
        yield path, value


def _agrees(place: str, expected: object, found: object, tolerance: Tolerance) -> bool:
    if _missing(expected) or _missing(found):
        return _missing(expected) and _missing(found)
    if isinstance(expected, (bool, str)):
        return str(expected) == str(found)
    x, y = float(expected), float(found)  # type: ignore[arg-type]
    name = place.rsplit(".", 1)[-1].split("[", 1)[0]
    gap = abs(x - y)
    if name in _P_VALUES:
        return gap <= _P_TOLERANCE.rel * abs(x) or gap <= _P_TOLERANCE.abs
    if name in _EXACT and x == math.floor(x):
        return x == y
    return gap <= tolerance.abs + tolerance.rel * abs(x)


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _filter_mask(one: Mapping[str, Any], frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    column = evaluate(str(one["column"]), frame)
    if "equals" in one:
        wanted = one["equals"]
        allowed = wanted if isinstance(wanted, list) else [wanted]
    elif "in" in one:
        allowed = list(one["in"])
    else:
        raise DataError(f"the filter {dict(one)!r} is not understood; expected column and equals")
    mask = column.isin(allowed)
    if not mask.any():
        # a code may be written as a number in one file and as text in the other
        mask = column.astype(str).isin([str(value) for value in allowed])
    return mask.to_numpy()


def _passed(case: Case) -> Verdict:
    return Verdict(case=case.id, estimator=case.estimator, passed=True)


def _failed(case: Case, detail: str) -> Verdict:
    return Verdict(case=case.id, estimator=case.estimator, passed=False, detail=detail)


def read_tables(cases: Sequence[Case], folder: Path) -> dict[str, pd.DataFrame]:
    """Read the tables that cases name, each once.

    Parameters
    ----------
    cases : sequence of Case
        Any.
    folder : pathlib.Path
        Where the tables lie.

    Returns
    -------
    dict
        File name to table; files that are not there are left out, and their cases fail.
    """
    names = sorted({case.data for case in cases if case.data is not None})
    # empty cells (and R's NA) are missing; pandas would also take a group named "None" for missing
    return {
        name: pd.read_csv(folder / name, keep_default_na=False, na_values=["", "NA"])
        for name in names
        if (folder / name).is_file()
    }
