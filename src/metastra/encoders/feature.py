"""What a named feature is, and how a group of them is declared."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Feature"]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One number that is measured in a tile.

    Parameters
    ----------
    name : str
        Self-explaining, lower case, with the unit at the end; ``_share`` is a fraction from 0 to 1
        and ``_ratio``, ``_index`` and ``_correlation`` have no unit.
    group : str
        Chapter of the table in the docs.
    definition : str
        How it is measured, in one sentence.
    source : str
        Paper or textbook where the measure comes from; empty where it is plain counting.
    """

    name: str
    group: str
    definition: str
    source: str = ""
