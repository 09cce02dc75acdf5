"""A reference case: an estimator, a table, arguments and the numbers other software gave."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metastra.errors import DataError
from metastra.survival.outcome import Outcome
from metastra.testing.reference.expressions import evaluate

__all__ = ["Case", "Handler", "Tolerance", "load_cases"]


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far a number may be from the expected one: ``abs + rel * |expected|``.

    Parameters
    ----------
    rel : float
        Relative part.
    abs : float
        Absolute part.
    """

    rel: float = 1e-6
    abs: float = 1e-8


@dataclass(frozen=True, kw_only=True)
class Case:
    """One reference case as its JSON file gives it.

    Parameters
    ----------
    id : str
        Unique name.
    estimator : str
        Estimator family, the key of the handler.
    data : str or None
        File name of the table; None for cases that are numbers only.
    columns : mapping
        Role to column name, expression over columns, or list of column names.
    args : mapping
        Arguments of the estimator; ``filter`` and ``rows`` choose rows.
    expected : mapping
        Name to number, list or nested mapping; None means missing.
    tolerance : Tolerance
        Of this case.
    """

    id: str
    estimator: str
    data: str | None
    columns: Mapping[str, Any]
    args: Mapping[str, Any]
    expected: Mapping[str, Any]
    tolerance: Tolerance = field(default_factory=Tolerance)

    def series(self, frame: pd.DataFrame, role: str) -> pd.Series[Any]:
        """Evaluate the column or expression that plays a role.

        Parameters
        ----------
        frame : pandas.DataFrame
            The case's rows.
        role : str
            Key of `columns`, for instance ``"time"``.

        Returns
        -------
        pandas.Series
            One value for each row.

        Raises
        ------
        DataError
            When the case names no such role or the table has no such column.
        """
        if role not in self.columns:
            raise DataError(f"case {self.id} names no column for {role!r}")
        return evaluate(str(self.columns[role]), frame)

    def numbers(self, frame: pd.DataFrame, role: str) -> NDArray[np.float64]:
        """Evaluate a role as numbers.

        Parameters
        ----------
        frame : pandas.DataFrame
            The case's rows.
        role : str
            Key of `columns`.

        Returns
        -------
        ndarray of shape (n,)
            Missing values are NaN.
        """
        return self.series(frame, role).to_numpy(dtype=np.float64, na_value=np.nan)

    def names(self, role: str) -> list[str]:
        """Column names of a role that may hold one or several.

        Parameters
        ----------
        role : str
            Key of `columns`, for instance ``"x"``.

        Returns
        -------
        list of str
            Empty when the case names none.
        """
        value = self.columns.get(role, [])
        return [value] if isinstance(value, str) else [str(name) for name in value]

    def matrix(self, frame: pd.DataFrame, role: str = "x") -> NDArray[np.float64]:
        """Covariates of a role side by side.

        Parameters
        ----------
        frame : pandas.DataFrame
            The case's rows.
        role : str
            Key of `columns`.

        Returns
        -------
        ndarray of shape (n, p)
            In the order of `names`; missing values are NaN.
        """
        columns = [
            evaluate(name, frame).to_numpy(dtype=np.float64, na_value=np.nan)
            for name in self.names(role)
        ]
        return np.column_stack(columns) if columns else np.empty((len(frame), 0))

    def outcome(self, frame: pd.DataFrame) -> Outcome:
        """Outcome from the roles ``time``, ``event`` or ``status``, and ``entry`` where given.

        Parameters
        ----------
        frame : pandas.DataFrame
            The case's rows, none with a missing time or event.

        Returns
        -------
        Outcome
            Of these rows.
        """
        event = "status" if "status" in self.columns else "event"
        entry = self.numbers(frame, "entry") if "entry" in self.columns else None
        return Outcome(
            time=self.numbers(frame, "time"), event=self.numbers(frame, event), entry=entry
        )

    def complete(self, frame: pd.DataFrame, *roles: str) -> pd.DataFrame:
        """Drop the rows in which a role is missing, as R's ``na.omit`` does.

        Parameters
        ----------
        frame : pandas.DataFrame
            The case's rows.
        *roles : str
            Keys of `columns`; those the case does not name are passed over.

        Returns
        -------
        pandas.DataFrame
            With a fresh index.
        """
        keep = np.ones(len(frame), dtype=np.bool_)
        for role in roles:
            for name in self.names(role):
                keep &= evaluate(name, frame).notna().to_numpy()
        return frame.loc[keep].reset_index(drop=True)

    def values(self, name: str) -> list[float]:
        """Read a numeric argument that may be one number or a list.

        Parameters
        ----------
        name : str
            Key of `args`, for instance ``"times"``.

        Returns
        -------
        list of float
            Empty when the argument is not given.
        """
        value = self.args.get(name)
        if value is None:
            return []
        return [float(v) for v in value] if isinstance(value, Sequence) else [float(value)]


Handler = Callable[[Case, pd.DataFrame], dict[str, object]]
"""From a case and its rows to the named numbers that are compared with `Case.expected`."""


def load_cases(path: Path) -> list[Case]:
    """Read the cases of a JSON file.

    Parameters
    ----------
    path : pathlib.Path
        A file with a list under ``cases``, or a bare list.

    Returns
    -------
    list of Case
        In the file's order.

    Raises
    ------
    DataError
        When the file is not such a list or a case lacks a part.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DataError(f"{path.name} is not JSON: {error}") from error
    entries = document.get("cases") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise DataError(f"{path.name} holds no list of cases")
    return [_case(entry, position, path.name) for position, entry in enumerate(entries, start=1)]


def _case(entry: object, position: int, file: str) -> Case:
    if not isinstance(entry, dict) or not {"id", "estimator", "expected"} <= entry.keys():
        raise DataError(f"{file}: case {position} lacks id, estimator or expected")
    tolerance = entry.get("tolerance") or {}
    return Case(
        id=str(entry["id"]),
        estimator=str(entry["estimator"]),
        data=entry.get("data") or None,
        # R writes an empty named list as []
        columns=entry.get("columns") or {},
        args=entry.get("args") or {},
        expected=entry["expected"] or {},
        tolerance=Tolerance(
            rel=float(tolerance.get("rel", 1e-6)), abs=float(tolerance.get("abs", 1e-8))
        ),
    )
