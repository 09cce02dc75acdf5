"""Study ids that stand inside quoted cells of a message become pseudonyms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from metastra.cohort.identifiers import normalise_id
from metastra.errors import Problem

__all__ = ["mask_ids"]

_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_WORD = re.compile(r"[^\s,;:()\[\]/|]+")


def mask_ids(problems: Iterable[Problem], names: Mapping[str, str]) -> tuple[Problem, ...]:
    """Replace study ids in what messages quote from cells.

    Parameters
    ----------
    problems : iterable of Problem
        As found; file names and columns are left alone.
    names : mapping of str to str
        Study id in normal form → pseudonym, of all cohorts.

    Returns
    -------
    tuple of Problem
        In the same order.

    Notes
    -----
    A cell may hold an id where none is expected: a remark such as "see P05", or a column map that
    names the wrong column.  Only quoted text is looked at: numbers that metastra itself writes can
    coincide with numeric ids.

    Examples
    --------
    >>> from metastra.catalogue import problem
    >>> one = problem("EP012", "'see P05' is no known site; 5 rows")
    >>> mask_ids([one], {"P05": "P-abc", "5": "P-def"})[0].found
    "'see P-abc' is no known site; 5 rows"
    """

    def word(match: re.Match[str]) -> str:
        return names.get(normalise_id(match[0]), match[0])

    def quoted(match: re.Match[str]) -> str:
        mark = match[0][0]
        inner = match[0][1:-1]
        whole = names.get(normalise_id(inner))
        return f"{mark}{whole if whole is not None else _WORD.sub(word, inner)}{mark}"

    def mask(text: str) -> str:
        return _QUOTED.sub(quoted, text)

    return tuple(
        replace(item, found=mask(item.found), expected=mask(item.expected), hint=mask(item.hint))
        for item in problems
    )
