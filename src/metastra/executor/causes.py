"""From an exception or the end of a process to a failure that a person can act on."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

from metastra.errors import MetastraError, Problem, Severity, Where
from metastra.executor.tasks import Cause, Failure, Limits

__all__ = ["died", "failure_from_plain", "failure_of", "failure_to_plain", "out_of_time"]

_KILLED_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT})
_SHOWN_CHARACTERS = 2000


def failure_of(error: BaseException, *, limits: Limits, place: str = "") -> Failure:
    """Describe an exception that ended a task.

    Parameters
    ----------
    error : BaseException
        What was raised.
    limits : Limits
        Those of the task.
    place : str
        File and line, for an error that nobody foresaw.

    Returns
    -------
    Failure
        Of cause REFUSED, MEMORY or ERROR.

    Examples
    --------
    >>> failure_of(MemoryError(), limits=Limits(memory_bytes=2_000_000_000)).message
    'it needs more memory than its limit of 2.0 GB'
    """
    kind = type(error).__name__
    number = getattr(error, "errno", 0) or 0
    if isinstance(error, MetastraError):
        problems = tuple(getattr(error, "problems", ()))
        return Failure(
            cause=Cause.REFUSED, kind=kind, message=str(error), problems=problems, errno=number
        )
    if isinstance(error, MemoryError):
        limit = limits.memory_bytes
        told = (
            "than this machine has" if limit is None else f"than its limit of {_gigabytes(limit)}"
        )
        return Failure(
            cause=Cause.MEMORY,
            kind=kind,
            message=f"it needs more memory {told}",
            hint="use fewer workers or a machine with more memory, or leave the item out",
        )
    words = " ".join(str(error).split())[:_SHOWN_CHARACTERS]
    return Failure(
        cause=Cause.ERROR,
        kind=kind,
        message=f"{kind}: {words}" if words else kind,
        hint=f"unexpected{f' at {place}' if place else ''}; please report it with this message",
        errno=number,
    )


def died(code: int, *, limits: Limits, last_words: str = "") -> Failure:
    """Describe a process that ended in the middle of a task.

    Parameters
    ----------
    code : int
        Its exit code; minus the signal's number where a signal ended it.
    limits : Limits
        Those of the task.
    last_words : str
        The end of what it wrote to standard error.

    Returns
    -------
    Failure
        Of cause CRASHED, KILLED or ENDED.

    Examples
    --------
    >>> died(-11, limits=Limits()).message
    'the process that read it crashed (signal 11, SIGSEGV)'
    """
    detail = last_words.strip()[-_SHOWN_CHARACTERS:]
    if code >= 0:
        return Failure(
            cause=Cause.ENDED,
            kind=f"exit {code}",
            message=f"the process that read it ended by itself (exit code {code})",
            hint="the file may be damaged; open it in another program or leave the item out",
            detail=detail,
        )
    number = -code
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    what = f"(signal {number}, {name})"
    if number in _KILLED_FROM_OUTSIDE:
        return Failure(
            cause=Cause.KILLED,
            kind=name,
            message=f"the process that read it was killed from outside {what}",
            hint="most often the machine ran out of memory: use fewer workers, then run again",
            detail=detail,
        )
    limit = limits.memory_bytes
    room = f" or needs more than its memory limit of {_gigabytes(limit)}" if limit else ""
    return Failure(
        cause=Cause.CRASHED,
        kind=name,
        message=f"the process that read it crashed {what}",
        hint=f"the file is damaged, trips a fault of its decoder{room}; leave the item out or "
        "convert the file",
        detail=detail,
    )


def out_of_time(kind: str, seconds: float) -> Failure:
    """Describe a task that was stopped because of its time.

    Parameters
    ----------
    kind : {"wall_s", "quiet_s"}
        The limit.
    seconds : float
        Its value.

    Returns
    -------
    Failure
        Of cause TIME.

    Examples
    --------
    >>> out_of_time("quiet_s", 60).message
    'it hangs: no sign of life for 60 s'
    """
    quiet = kind == "quiet_s"
    return Failure(
        cause=Cause.TIME,
        kind=kind,
        message=f"it hangs: no sign of life for {seconds:g} s"
        if quiet
        else f"it ran longer than its limit of {seconds:g} s",
        hint="the file or its disk may be damaged; copy it to a local disk and try it alone, or "
        "leave the item out",
    )


def failure_to_plain(failure: Failure) -> dict[str, Any]:
    """Write a failure as plain values.

    Parameters
    ----------
    failure : Failure
        Any.

    Returns
    -------
    dict
        What `failure_from_plain` reads.
    """
    return {
        "cause": failure.cause.value,
        "kind": failure.kind,
        "message": failure.message,
        "hint": failure.hint,
        "problems": [item.to_json() for item in failure.problems],
        "detail": failure.detail,
        "errno": failure.errno,
    }


def failure_from_plain(values: Mapping[str, Any]) -> Failure:
    """Read a failure.

    Parameters
    ----------
    values : mapping
        What `failure_to_plain` wrote.

    Returns
    -------
    Failure
        Equal to the one that was written.

    Examples
    --------
    >>> failure = died(-6, limits=Limits())
    >>> failure_from_plain(failure_to_plain(failure)) == failure
    True
    """
    return Failure(
        cause=Cause(values["cause"]),
        kind=str(values["kind"]),
        message=str(values["message"]),
        hint=str(values["hint"]),
        problems=tuple(_problem(item) for item in values["problems"]),
        detail=str(values["detail"]),
        errno=int(values["errno"]),
    )


def _problem(item: Mapping[str, Any]) -> Problem:
    return Problem(
        code=str(item["code"]),
        where=Where(
            file=item["file"] or "",
            rows=tuple(item["rows"]),
            column=item["column"] or "",
            cohort=item["cohort"] or "",
        ),
        found=str(item["found"]),
        expected=item["expected"] or "",
        hint=item["hint"] or "",
        severity=Severity(item["severity"]),
        patients=tuple(item["patients"]),
    )


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB"
