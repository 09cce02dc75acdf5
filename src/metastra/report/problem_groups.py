"""Problems as a reader wants them: by weight, then by code, with what the catalogue says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from metastra.catalogue import all_checks
from metastra.errors import Problem, Severity

__all__ = ["CodeGroup", "SeverityGroup", "group_problems"]


@dataclass(frozen=True, kw_only=True)
class CodeGroup:
    """All problems of one code.

    Parameters
    ----------
    code : str
        Of the catalogue.
    title, why : str
        What the catalogue says; empty for a code that it does not have.
    n : int
        How many problems.
    problems : tuple of Problem
        In the order in which they were found.
    """

    code: str
    title: str
    why: str
    n: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True, kw_only=True)
class SeverityGroup:
    """All problems of one weight.

    Parameters
    ----------
    severity : Severity
        Their weight.
    n : int
        How many problems.
    codes : tuple of CodeGroup
        By code.
    """

    severity: Severity
    n: int
    codes: tuple[CodeGroup, ...]


def group_problems(problems: Iterable[Problem]) -> tuple[SeverityGroup, ...]:
    """Sort problems by weight and code.

    Parameters
    ----------
    problems : iterable of Problem
        As found.

    Returns
    -------
    tuple of SeverityGroup
        Refusals first, then warnings, then notes; all three, also where one is empty.

    Examples
    --------
    >>> from metastra.catalogue import problem
    >>> [(group.severity.value, group.n) for group in group_problems([problem("CO010", "no id")])]
    [('refuse', 1), ('warn', 0), ('note', 0)]
    """
    found = tuple(problems)
    groups = []
    for severity in Severity:
        inside = [item for item in found if item.severity is severity]
        codes = []
        for code in sorted({item.code for item in inside}):
            entry = all_checks().get(code)
            same = tuple(item for item in inside if item.code == code)
            codes.append(
                CodeGroup(
                    code=code,
                    title=entry.title if entry else "",
                    why=entry.why if entry else "",
                    n=len(same),
                    problems=same,
                )
            )
        groups.append(SeverityGroup(severity=severity, n=len(inside), codes=tuple(codes)))
    return tuple(groups)
