"""The coded checks: what each code means, how it is found, why it matters, what to do.

The text stands in ``catalogue.toml`` beside this module; ``docs/checks.md`` is printed from it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from metastra.errors import Problem, Severity, Where

__all__ = ["Check", "all_checks", "check", "problem"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One coded check.

    Parameters
    ----------
    code : str
        Two letters for the family, three digits.
    title : str
        What was found, in a few words.
    severity : Severity
        How much it weighs unless the place says otherwise.
    found : str
        How it is found.
    why : str
        Why it matters.
    remedy : str
        What to do.
    """

    code: str
    title: str
    severity: Severity
    found: str
    why: str
    remedy: str


@cache
def all_checks() -> dict[str, Check]:
    """Every check by its code, in the order of the catalogue.

    Returns
    -------
    dict of str to Check
        Treat it as read-only.
    """
    text = resources.files("metastra").joinpath("catalogue.toml").read_text(encoding="utf-8")
    return {
        code: Check(
            code=code,
            title=entry["title"],
            severity=Severity(entry["severity"]),
            found=entry["found"],
            why=entry["why"],
            remedy=entry["do"],
        )
        for code, entry in tomllib.loads(text).items()
    }


def check(code: str) -> Check:
    """Look one check up.

    Parameters
    ----------
    code : str
        For instance ``"CO011"``.

    Returns
    -------
    Check
        Its entry.

    Raises
    ------
    KeyError
        If the catalogue has no such code.

    Examples
    --------
    >>> check("EP002").title
    'Status is missing'
    """
    return all_checks()[code]


def problem(
    code: str,
    found: str,
    *,
    where: Where | None = None,
    expected: str = "",
    hint: str | None = None,
    severity: Severity | None = None,
    patients: tuple[str, ...] = (),
) -> Problem:
    """Make a problem whose weight and remedy come from the catalogue.

    Parameters
    ----------
    code : str
        A code of the catalogue.
    found : str
        What stands there.
    where : Where, optional
        The place.
    expected : str
        What was expected instead.
    hint : str, optional
        A remedy more exact than the catalogue's.
    severity : Severity, optional
        Another weight than the catalogue's.
    patients : tuple of str
        Pseudonyms of the patients concerned.

    Returns
    -------
    Problem
        Ready to be collected.

    Examples
    --------
    >>> print(problem("CO010", "no id", where=Where(file="clini.csv", rows=(7,))))
    CO010 clini.csv, row 7: no id; Fill in the id or remove the row.
    """
    entry = check(code)
    return Problem(
        code=code,
        where=where or Where(),
        found=found,
        expected=expected,
        hint=entry.remedy if hint is None else hint,
        severity=entry.severity if severity is None else severity,
        patients=patients,
    )
