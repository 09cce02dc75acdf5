"""Columns, expressions over columns and row selections, as the reference cases write them.

A case may name a column (``"os_time"``), an expression (``"(futime + id)/12 - id/12"``,
``"cr_status==1"``) or a selection in words (``"complete cases of x"``, ``"nodes not missing"``,
``"rec == 1 and post_time > 0"``).  Expressions are parsed, never executed as code.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from metastra.errors import DataError

__all__ = ["evaluate", "select_rows"]

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Mod: operator.mod,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "is_na": pd.isna,
    "pmin": np.minimum,
    "pmax": np.maximum,
    "min": np.minimum,
    "max": np.maximum,
    "log": np.log,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "ifelse": lambda test, yes, no: np.where(_truth(test), yes, no),
    "as_integer": lambda values: pd.Series(values).astype(float),
    "as_numeric": lambda values: pd.Series(values).astype(float),
}
_CONSTANTS: dict[str, object] = {"TRUE": True, "FALSE": False, "NA": np.nan}


def evaluate(text: str, frame: pd.DataFrame) -> pd.Series[Any]:
    """Evaluate a column name or an expression over columns.

    Parameters
    ----------
    text : str
        A column's name, or arithmetic, comparisons, ``and``/``&``, ``or``/``|``, ``not``/``!``
        and a few functions (``is.na``, ``pmin``, ``pmax``, ``ifelse``, ``log`` …).
    frame : pandas.DataFrame
        The table.

    Returns
    -------
    pandas.Series
        One value for each row, on the index of `frame`.

    Raises
    ------
    DataError
        When the text cannot be parsed or names no column.

    Examples
    --------
    >>> evaluate("(a + 1) / 2 > 1", pd.DataFrame({"a": [0, 1, 2]})).tolist()
    [False, False, True]
    """
    name = text.strip()
    if name in frame.columns:
        return frame[name]
    try:
        tree = ast.parse(_pythonic(name), mode="eval")
    except SyntaxError as error:
        raise DataError(f"{text!r} is neither a column nor an expression") from error
    value = _walk(tree.body, frame)
    if isinstance(value, pd.Series):
        return value
    return pd.Series(np.broadcast_to(np.asarray(value), (len(frame),)), index=frame.index)


def select_rows(text: str, frame: pd.DataFrame, roles: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Apply a selection of rows written in words.

    Parameters
    ----------
    text : str
        Clauses parted by semicolons.  Definitions (``time = os_time-365``) and remarks on what
        is compared (``first 20 and the sum``) select nothing.
    frame : pandas.DataFrame
        The table.
    roles : mapping of str to sequence of str
        Columns by role, for ``complete cases of x``.

    Returns
    -------
    pandas.DataFrame
        The rows chosen, freshly indexed.

    Raises
    ------
    DataError
        When a clause is not understood.

    Examples
    --------
    >>> table = pd.DataFrame({"a": [1.0, None, 3.0], "b": [1, 1, 0]})
    >>> len(select_rows("complete cases of x; b == 1", table, {"x": ["a"]}))
    1
    """
    for clause in text.split(";"):
        keep = _clause(clause.strip(), frame, roles)
        if keep is not None:
            frame = frame.loc[keep].reset_index(drop=True)
    return frame


def _clause(
    clause: str, frame: pd.DataFrame, roles: Mapping[str, Sequence[str]]
) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
    """Rows a clause keeps; None for a clause that selects nothing."""
    if (
        not clause
        or re.fullmatch(r"all\b.*", clause)
        or re.fullmatch(r"first \d+ and .*|\w+ *=(?!=).*", clause)
    ):
        return None
    span = re.fullmatch(r"rows? (\d+)(?: *(?:-|to|:) *(\d+))?", clause)
    if span:
        first, last = int(span[1]), int(span[2] or span[1])
        position = np.arange(1, len(frame) + 1)
        return (position >= first) & (position <= last)
    complete = re.fullmatch(r"complete cases(?: of (.+))?", clause)
    if complete:
        return _complete(_columns(complete[1], roles), frame)
    present = re.fullmatch(r"(.+?) (?:is |are )?not missing", clause)
    if present:
        return _complete(_columns(present[1], roles), frame)
    return np.asarray(_truth(evaluate(clause, frame)), dtype=np.bool_)


def _columns(text: str | None, roles: Mapping[str, Sequence[str]]) -> list[str]:
    if text is None:
        return [name for names in roles.values() for name in names]
    words = [word for word in re.split(r"[,\s]+|\band\b", text) if word]
    return [name for word in words for name in roles.get(word, [word])]


def _complete(names: Sequence[str], frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    keep = np.ones(len(frame), dtype=np.bool_)
    for name in names:
        keep &= evaluate(name, frame).notna().to_numpy()
    return keep


def _pythonic(text: str) -> str:
    """Turn the few spellings of R that Python's grammar lacks into ones it has."""
    parts = re.split(r"""("[^"]*"|'[^']*')""", text)
    return "".join(part if at % 2 else _unquoted(part) for at, part in enumerate(parts)).strip()


def _unquoted(text: str) -> str:
    text = re.sub(r"(?<![<>=!])!(?!=)", " not ", text)
    text = re.sub(r"%in%", " in ", text)
    text = re.sub(r"\bc\(([^()]*)\)", r"[\1]", text)
    text = re.sub(r"(?<=[A-Za-z_])\.(?=[A-Za-z_])", "_", text)
    text = text.replace("&&", "&").replace("||", "|").replace("^", "**")
    # comparisons bind tighter than & and | in R, looser in Python
    return text.replace("&", " and ").replace("|", " or ")


def _walk(node: ast.expr, frame: pd.DataFrame) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return _name(node.id, frame)
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_walk(item, frame) for item in node.elts]
    if isinstance(node, ast.UnaryOp):
        value = _walk(node.operand, frame)
        return ~_truth(value) if isinstance(node.op, ast.Not) else -value
    if isinstance(node, ast.BoolOp):
        parts = [_truth(_walk(part, frame)) for part in node.values]
        join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        return join.reduce(parts)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _BINARY[type(node.op)](_walk(node.left, frame), _walk(node.right, frame))
    if isinstance(node, ast.Compare):
        return _compare(node, frame)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        if node.func.id not in _FUNCTIONS:
            raise DataError(f"the function {node.func.id!r} is not known in expressions")
        return _FUNCTIONS[node.func.id](*[_walk(part, frame) for part in node.args])
    raise DataError(f"{ast.unparse(node)!r} cannot stand in an expression over columns")


def _compare(node: ast.Compare, frame: pd.DataFrame) -> Any:
    left, result = _walk(node.left, frame), None
    for comparison, right_node in zip(node.ops, node.comparators, strict=True):
        right = _walk(right_node, frame)
        if isinstance(comparison, (ast.In, ast.NotIn)):
            part = pd.Series(left).isin(right).to_numpy()
            part = part if isinstance(comparison, ast.In) else ~part
        else:
            part = _truth(_COMPARE[type(comparison)](left, right))
        result = part if result is None else result & part
        left = right
    return result


def _name(name: str, frame: pd.DataFrame) -> Any:
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    for column in frame.columns:
        if str(column).replace(".", "_") == name:
            return frame[column]
    raise DataError(f"the table has no column {name!r}")


def _truth(value: Any) -> Any:
    """Booleans of a condition; missing counts as not fulfilled."""
    array = np.asarray(value)
    if array.dtype == np.bool_:
        return array
    if array.dtype == np.object_:
        return np.asarray([bool(item) if not pd.isna(item) else False for item in array.ravel()])
    return np.nan_to_num(array.astype(np.float64)) != 0.0
