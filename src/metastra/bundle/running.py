"""Run a foreign program over a table: no shell, a time limit, an empty folder, checked output."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.layout import EXTERNAL
from metastra.bundle.parts import ExternalModel
from metastra.catalogue import problem
from metastra.cohort.tables import Table, read_table, require_columns
from metastra.cohort.values import numbers
from metastra.digest import digest_file
from metastra.errors import BundleError, DataError, Problem, Where
from metastra.storage.encode import csv_bytes

__all__ = ["program_state", "run_program"]

_Array = NDArray[np.float64]
_LARGEST_TALK = 2000


def program_state(model: ExternalModel) -> tuple[list[Problem], list[Problem]]:
    """Say whether a foreign program is here, and whether it is the one that was locked.

    Parameters
    ----------
    model : ExternalModel
        Placed: with the command and the digests of its files, named in full.

    Returns
    -------
    missing : list of Problem
        BU019 for the program and each of its files that is not here.
    changed : list of Problem
        BU017 for each file that is here with another digest.
    """
    where = Where(file=EXTERNAL)
    missing, changed = [], []
    files = {item.path: item.sha256 for item in model.program_files}
    if model.command[0] not in files and shutil.which(model.command[0]) is None:
        found = f"the program {model.command[0]} is not on this machine"
        missing.append(problem("BU019", found, where=where))
    for name, digest in files.items():
        path = Path(name)
        if not path.is_file():
            missing.append(problem("BU019", f"{name} is not on this machine", where=where))
        elif digest_file(path) != digest:
            found = f"{name} has another SHA-256 than when the model was locked"
            changed.append(problem("BU017", found, where=where))
    return missing, changed


def run_program(
    model: ExternalModel, columns: Sequence[str], rows: Sequence[Sequence[str | None]]
) -> tuple[_Array, _Array | None]:
    """Run the program over some patients.

    Parameters
    ----------
    model : ExternalModel
        What to run, placed.
    columns : sequence of str
        Names of the columns that the contract lists.
    rows : sequence of sequence of str or None
        One for each patient.  The program sees the rows' numbers in place of ids.

    Returns
    -------
    risks : ndarray of shape (n, t)
        NaN where the program gave an empty cell.
    scores : ndarray of shape (n,) or None
        Where the model declares a column of scores.

    Raises
    ------
    BundleError
        BU017, if the program is not the locked one; BU019, if it is not here; BU018, if it
        fails, runs past its time or gives another table than declared.

    Notes
    -----
    The command is a list of arguments: no shell sees it.  It runs in an empty temporary folder
    with PATH and HOME (that folder) as its only variables, and is killed with all its children
    when its time is over.
    """
    missing, changed = program_state(model)
    if missing or changed:
        raise BundleError("the foreign program is refused", [*changed, *missing])
    names = [str(number) for number in range(1, len(rows) + 1)]
    with tempfile.TemporaryDirectory(prefix="metastra-external-") as folder:
        source, target = Path(folder, "input.csv"), Path(folder, "output.csv")
        lines = [[name, *row] for name, row in zip(names, rows, strict=True)]
        source.write_bytes(csv_bytes([model.id_column, *columns], lines))
        command = [
            part.replace("{input}", str(source)).replace("{output}", str(target))
            for part in model.command
        ]
        _start(command, Path(folder), model.timeout_s)
        if not target.is_file() or target.is_symlink():
            raise _failed("it ended well but wrote no output table")
        return _read_output(model, target, names)


def _start(command: list[str], folder: Path, timeout_s: float) -> None:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder)}
    talk = folder / "talk"
    with talk.open("wb") as stream:
        try:
            child = subprocess.Popen(  # noqa: S603 – the locked command of a trusted signer
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise _failed(f"it cannot be started: {error.strerror or error}") from error
        try:
            code = child.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise _failed(f"it was still running after {timeout_s:g} s and was stopped") from None
        finally:
            # its children too, also when we are interrupted
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    if code != 0:
        with talk.open("rb") as stream:
            said = stream.read(_LARGEST_TALK).decode(errors="replace").strip()
        raise _failed(f"it ended with code {code}{f': {said}' if said else ''}")


def _read_output(
    model: ExternalModel, path: Path, names: list[str]
) -> tuple[_Array, _Array | None]:
    wanted = [*model.risk_columns, *([model.score_column] if model.score_column else [])]
    try:
        table, problems = read_table(path)
        problems += [] if table is None else require_columns(table, [model.id_column, *wanted])
        if table is None or problems:
            raise DataError("", problems)
        columns = [_numbers(table, name) for name in wanted]
    except DataError as error:
        first = error.problems[0].found if error.problems else str(error)
        raise _failed(f"its output table cannot be read: {first}") from None
    given = [None if cell is None else cell.strip() for cell in table.column(model.id_column)]
    if sorted(map(str, given)) != sorted(names):
        raise _failed(f"its output table has {len(given)} rows that are not the {len(names)} given")
    order = np.argsort([int(str(name)) for name in given])
    risks = np.column_stack(columns[: len(model.risk_columns)])[order]
    with np.errstate(invalid="ignore"):
        if ((risks < 0.0) | (risks > 1.0)).any():
            raise _failed("a risk in its output table lies outside 0 to 1")
    return risks, columns[-1][order] if model.score_column else None


def _numbers(table: Table, name: str) -> _Array:
    values, problems = numbers(table, name)
    if problems:
        raise DataError("", problems)
    return values


def _failed(found: str) -> BundleError:
    return BundleError(
        "the foreign program gave no prediction",
        [problem("BU018", found, where=Where(file=EXTERNAL))],
    )
