"""What an item of a reporting guideline is answered with, and how numbers stand in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from metastra.report.wording import count, interval, joined, number, plural

__all__ = ["Answer", "Document", "estimate_words", "excluded_words", "horizon_words", "last_words"]

Document = Mapping[str, Any]
"""The content of ``evaluation.json``."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What stands in the products.

    Parameters
    ----------
    text : str
        One or two sentences; every number is one of ``evaluation.json``.
    anchor : str
        The section of ``report.html`` that has it.
    """

    text: str
    anchor: str


def estimate_words(row: Mapping[str, Any], decimals: int = 2) -> str:
    """Write a number with its interval.

    Parameters
    ----------
    row : mapping
        An EST.
    decimals : int
        Digits after the point.

    Returns
    -------
    str
        Or why there is none.
    """
    if row["estimate"] is None:
        return f"not estimable ({row['reason']})"
    limits = interval(row["lower"], row["upper"], decimals)
    return number(row["estimate"], decimals) + (f" ({limits})" if limits else "")


def last_words(document: Document) -> str:
    """Name the last horizon.

    Parameters
    ----------
    document : mapping
        Of an evaluation.

    Returns
    -------
    str
        With its unit.
    """
    return f"{document['horizons'][-1]:g} {document['time_unit']}"


def horizon_words(document: Document) -> str:
    """Name all horizons.

    Parameters
    ----------
    document : mapping
        Of an evaluation.

    Returns
    -------
    str
        With their unit.
    """
    return f"{joined([f'{h:g}' for h in document['horizons']])} {document['time_unit']}"


def excluded_words(document: Document) -> str:
    """Say who was judged and who was left out.

    Parameters
    ----------
    document : mapping
        Of an evaluation.

    Returns
    -------
    str
        One sentence.
    """
    flow = document["flow"]
    if "predicted" not in flow:
        return f"{plural(flow['judged'], 'patient')} judged."
    head = f"Of {plural(flow['predicted'], 'predicted patient')} {count(flow['judged'])} are judged"
    words = {"without_outcome": "without an outcome", "not_assessable": "not assessable"}
    left = [f"{count(flow[key])} {text}" for key, text in words.items() if key in flow]
    return f"{head}; left out: {joined(left)}." if left else f"{head}."
