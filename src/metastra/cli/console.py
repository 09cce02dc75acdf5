"""Two voices: talk goes to stderr, results go to stdout; with ``--json`` one object and no more."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from metastra.errors import Problem, Severity

__all__ = [
    "RESEARCH_USE",
    "close_stdout",
    "print_json",
    "print_problems",
    "result",
    "say",
]

RESEARCH_USE = "Research use only. Not for diagnosis or treatment."

_MARK = {Severity.REFUSE: "refused", Severity.WARN: "warning", Severity.NOTE: "note"}


def say(text: str = "") -> None:
    """Talk to the person at the terminal.

    Parameters
    ----------
    text : str
        Goes to stderr, so that a pipe sees only results.
    """
    encoding = sys.stderr.encoding or "utf-8"
    print(text.encode(encoding, errors="replace").decode(encoding), file=sys.stderr)


def result(text: str) -> None:
    """Write a result that a person or a pipe reads.

    Parameters
    ----------
    text : str
        Goes to stdout.
    """
    _write(text)


def print_json(value: Mapping[str, Any]) -> None:
    """Write the one JSON object of a ``--json`` call.

    Parameters
    ----------
    value : mapping
        Strict JSON: no NaN.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        # another code page, or a file name that is not UTF-8: JSON's escapes hold both
        text = json.dumps(value, indent=2, allow_nan=False)
    _write(text)


def close_stdout() -> None:
    """Write out what is still held back; a reader who went away (``| head``) is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()


def _write(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    try:
        print(text.encode(encoding, errors="replace").decode(encoding))
    except BrokenPipeError:
        _forget_stdout()


def _forget_stdout() -> None:
    """Send the rest nowhere, so that the exit code still says how the work went."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_problems(problems: Iterable[Problem], *, notes: bool = True) -> None:
    """List problems for a person: refusals first.

    Parameters
    ----------
    problems : iterable of Problem
        All of them.
    notes : bool
        Whether notes are listed too.
    """
    order = [Severity.REFUSE, Severity.WARN, *([Severity.NOTE] if notes else [])]
    listed = list(problems)
    for severity in order:
        for problem in (item for item in listed if item.severity is severity):
            cohort = f"[{problem.where.cohort}] " if problem.where.cohort else ""
            result(f"{_MARK[severity]:>8}  {problem.code}  {cohort}{problem.where}")
            result(f"          {problem.found}")
            if problem.expected:
                result(f"          expected {problem.expected}")
            if problem.patients:
                shown = ", ".join(problem.patients[:6])
                more = len(problem.patients) - 6
                result(f"          patients {shown}{f' and {more} more' if more > 0 else ''}")
            if problem.hint:
                result(f"          → {problem.hint}")
