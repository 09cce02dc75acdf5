"""Reporting guidelines and a model card, filled from an evaluation or left to the authors."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from metastra.report.reporting_answers import ANSWERS

__all__ = ["AUTHORS", "LISTS", "reporting", "reporting_summary"]

LISTS = ("tripod_ai", "remark", "model_card")
"""In the order of the page."""

AUTHORS = "to be written by the authors"
"""Stands where no stored product has the answer."""


@cache
def _items() -> Mapping[str, Any]:
    text = resources.files("metastra.report").joinpath("reporting_items.toml").read_text("utf-8")
    return tomllib.loads(text)


def reporting(document: Mapping[str, Any]) -> dict[str, Any]:
    """Go through TRIPOD+AI, REMARK and the model card item by item.

    Parameters
    ----------
    document : mapping
        The content of ``evaluation.json``.

    Returns
    -------
    dict
        For each of `LISTS` its ``name`` and ``items``: ``item``, ``section``, ``words`` (the item
        in our own words), ``status`` ("filled", "part" or "authors"), ``answer`` and ``anchor``
        (a section of ``report.html``); the answer of the authors' items is None.

    Notes
    -----
    TRIPOD+AI: Collins et al. 2024, BMJ 385:e078378; REMARK: McShane et al. 2005, Altman et al.
    2012; model cards: Mitchell et al. 2019.
    """
    source = _items()
    return {
        key: {
            "name": source["lists"][key],
            "items": [_item(document, row) for row in source[key]],
        }
        for key in LISTS
    }


def _item(document: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    found = ANSWERS[row["answer"]](document) if "answer" in row else None
    status = "authors" if found is None else "part" if row.get("part") else "filled"
    return {
        "item": row["item"],
        "section": row["section"],
        "words": row["words"],
        "status": status,
        "answer": None if found is None else found.text,
        "anchor": None if found is None else found.anchor,
    }


def reporting_summary(filled: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Count the items of each list by where their answer stands.

    Parameters
    ----------
    filled : mapping
        What `reporting` gave.

    Returns
    -------
    list of dict
        ``name``, ``n``, ``filled``, ``part``, ``authors``.
    """
    rows = []
    for key in LISTS:
        status = [item["status"] for item in filled[key]["items"]]
        counts = {name: status.count(name) for name in ("filled", "part", "authors")}
        rows.append({"name": filled[key]["name"], "n": len(status), **counts})
    return rows
