"""Exit codes, and the one place where an error becomes one.

0 ok · 1 internal error · 2 usage or configuration · 3 data refused · 4 finished, some items
failed · 5 integrity · 6 busy · 7 out of disk or memory · 130 interrupted
"""

from __future__ import annotations

import errno
import functools
import os
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import typer

from metastra.cli.console import print_json, say
from metastra.errors import (
    BusyError,
    ConfigError,
    DataError,
    IntegrityError,
    MetastraError,
    MissingExtra,
    NotEstimable,
    ResourceError,
)

__all__ = ["Exit", "exit_of", "run_app", "verb"]

P = ParamSpec("P")
R = TypeVar("R")

_UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]
"""Typer exports only this heir of its error for wrong usage."""
_OUT_OF_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EFBIG}


class Exit(IntEnum):
    """What a command's exit code says."""

    OK = 0
    INTERNAL = 1
    CONFIG = 2
    DATA = 3
    SOME_FAILED = 4
    INTEGRITY = 5
    BUSY = 6
    RESOURCE = 7
    INTERRUPTED = 130


def exit_of(error: BaseException) -> Exit:
    """Choose the exit code for an error.

    Parameters
    ----------
    error : BaseException
        What ended the command.

    Returns
    -------
    Exit
        Its code; `Exit.INTERNAL` for anything that nobody foresaw.
    """
    table: tuple[tuple[type[BaseException], Exit], ...] = (
        (KeyboardInterrupt, Exit.INTERRUPTED),
        (ResourceError, Exit.RESOURCE),
        (MemoryError, Exit.RESOURCE),
        (IntegrityError, Exit.INTEGRITY),
        (BusyError, Exit.BUSY),
        (ConfigError, Exit.CONFIG),
        (MissingExtra, Exit.CONFIG),
        (DataError, Exit.DATA),
        (NotEstimable, Exit.DATA),
    )
    for kind, code in table:
        if isinstance(error, kind):
            return code
    if isinstance(error, OSError) and error.errno in _OUT_OF_SPACE:
        return Exit.RESOURCE
    if isinstance(error, OSError):
        return Exit.CONFIG
    return Exit.INTERNAL


def verb(function: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors of a command into its exit code and one clear message.

    Parameters
    ----------
    function : callable
        The command; if it has a parameter ``as_json``, errors are written as JSON when it is set.

    Returns
    -------
    callable
        With the same signature.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (typer.Exit, typer.Abort):
            raise
        except (Exception, KeyboardInterrupt) as error:
            if os.environ.get("METASTRA_DEBUG"):
                raise
            code = exit_of(error)
            _tell(error, code, as_json=bool(kwargs.get("as_json")))
            raise typer.Exit(int(code)) from None

    return run


def run_app(app: Callable[..., Any]) -> int:
    """Run the command line, so that wrong usage too is one JSON object with ``--json``.

    Parameters
    ----------
    app : callable
        The Typer app.

    Returns
    -------
    int
        The exit code.
    """
    try:
        code = app(standalone_mode=False)
    except _UsageError as error:
        if "--json" in sys.argv[1:]:
            _tell(ConfigError(error.format_message()), Exit.CONFIG, as_json=True)
        else:
            error.show()
        return int(Exit.CONFIG)
    except typer.Abort:
        return int(Exit.INTERRUPTED)
    return code if isinstance(code, int) else int(Exit.OK)


def _place(error: BaseException) -> str:
    """Say in which line of metastra an error arose."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "metastra" in Path(frame.filename).parts
    ]
    return f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def _tell(error: BaseException, code: Exit, *, as_json: bool) -> None:
    message = str(error)
    match error:
        case KeyboardInterrupt():
            message = "interrupted; what was finished is kept, run the same command to go on"
        case MetastraError():
            pass
        case OSError():
            message = f"{error.strerror or error}" + (
                f": {error.filename}" if error.filename else ""
            )
        case MemoryError():
            message = "out of memory"
        case _:
            # its own words may name a patient, so they are shown only on request
            message = (
                f"internal error ({type(error).__name__}{_place(error)}); "
                "METASTRA_DEBUG=1 shows all of it; please report it"
            )
    if as_json:
        problems = [item.to_json() for item in getattr(error, "problems", ())]
        first = message.splitlines()[0] if message else type(error).__name__
        print_json(
            {"error": first, "kind": type(error).__name__, "exit": int(code), "problems": problems}
        )
    else:
        say(f"metastra: {message}")
    sys.stdout.flush()
