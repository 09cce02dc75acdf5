"""Words for events and sites in table cells, with several sites in one cell."""

from __future__ import annotations

import re

from metastra.study.vocabulary import Site, Vocabulary, WordNotKnown

__all__ = ["read_sites", "unknown_word"]

_SEPARATOR = re.compile("[,;]")


def read_sites(cell: str | None, words: Vocabulary) -> tuple[tuple[Site, ...], list[WordNotKnown]]:
    """Read the sites that one cell names.

    Parameters
    ----------
    cell : str or None
        One site, or several separated by commas or semicolons; None when missing.
    words : Vocabulary
        The study's.

    Returns
    -------
    sites : tuple of Site
        Each once, in the order of the cell; ``Site.UNKNOWN`` alone when nothing is recorded.
    unknown : list of WordNotKnown
        Words that are neither of the vocabulary nor declared.

    Notes
    -----
    A cell that is a known word as a whole is not split ("peritoneum, omentum, abdomen").

    Examples
    --------
    >>> words = Vocabulary(types={}, sites={"LN": "distant-nodes"})
    >>> read_sites("Liver, LN; Lvng", words)
    ((<Site.LIVER: 'liver'>, <Site.DISTANT_NODES: 'distant-nodes'>), [WordNotKnown('Lvng')])
    """
    if cell is None or not cell.strip():
        return (Site.UNKNOWN,), []
    try:
        return (words.site(cell),), []
    except WordNotKnown as whole:
        parts = [part.strip() for part in _SEPARATOR.split(cell) if part.strip()]
        if parts == [cell.strip()]:
            return (Site.UNKNOWN,), [whole]
    sites: list[Site] = []
    unknown: list[WordNotKnown] = []
    for part in parts:
        try:
            sites.append(words.site(part))
        except WordNotKnown as error:
            unknown.append(error)
    return tuple(dict.fromkeys(sites)) or (Site.UNKNOWN,), unknown


def unknown_word(error: WordNotKnown, kind: str) -> tuple[str, str]:
    """Say that a word is not known.

    Parameters
    ----------
    error : WordNotKnown
        The word, and the nearest known one.
    kind : {"type", "site"}
        What it should have been.

    Returns
    -------
    headline : str
        What was found.
    hint : str
        What to do about it.
    """
    headline = f"{error.word.strip()!r} is no known {kind} of event"
    if kind == "site":
        headline = f"{error.word.strip()!r} is no known site"
    near = f"The nearest known word is {error.nearest!r}. " if error.nearest else ""
    return headline, f"{near}Correct it, or map it in [events.{kind}s]."
