"""Break every step of a write, and look whether the promise still holds.

The promise is: after any failure a product is the old one or the new one, whole, or it does not
count as complete; and running the same thing again gives the bytes of a run that nothing disturbed.

The method is SQLite's (https://www.sqlite.org/testing.html, sections 3.2 and 3.3): fail the first
file operation, then the second, and so on until a run needs no operation that fails; and kill the
process at random moments.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from metastra.digest import digest_bytes, digest_file
from metastra.errors import MetastraError
from metastra.storage import Manifest, use_file_ops
from metastra.testing.faulty_ops import CountingOps, FailingOps, KillingOps

__all__ = [
    "CountingOps",
    "FailingOps",
    "FaultFound",
    "KillingOps",
    "Kills",
    "fail_at_every_step",
    "kill_at_every_step",
    "kill_at_random_moments",
    "snapshot",
]

Action = Callable[[Path], object]
"""Does a piece of work in a folder; called again it goes on where it was stopped."""
Check = Callable[[Path], object]
"""Looks at the folder right after the disturbance and raises if a promise is broken."""

_RECORDS, _LOCK = ".records", ".lock"
_PATIENCE_S = 120.0


class FaultFound(AssertionError):
    """A disturbance left something that breaks the promise."""


@dataclass(frozen=True, kw_only=True)
class Kills:
    """What random kills met.

    Parameters
    ----------
    killed : int
        Processes that were killed at work.
    finished : int
        Processes that were done before.
    """

    killed: int
    finished: int


def snapshot(folder: Path) -> dict[str, str]:
    """Digest every file of a run folder, times aside.

    Parameters
    ----------
    folder : Path
        A run folder.

    Returns
    -------
    dict of str to str
        Digests by relative path, lock files left out; completion records are digested without
        the time at which they were written.

    Raises
    ------
    DigestMismatch
        If a completion record is damaged.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "a").write_bytes(b"x")
    ...     list(snapshot(Path(folder)))
    ['a']
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name == _LOCK:
            continue
        name = path.relative_to(folder)
        if name.parts[0] == _RECORDS and name.suffix == ".json":
            record = Manifest.from_bytes(path.read_bytes(), where=str(name))
            found[name.as_posix()] = digest_bytes(replace(record, created_at="").to_bytes())
        else:
            found[name.as_posix()] = digest_file(path)
    return found


def fail_at_every_step(
    action: Action,
    folder: Path,
    *,
    prepare: Action | None = None,
    check: Check | None = None,
    error: int = errno.ENOSPC,
    persistent: bool = False,
    may_pass: frozenset[str] = frozenset(),
) -> tuple[str, ...]:
    """Fail each file operation of a piece of work in turn, then run it again undisturbed.

    Parameters
    ----------
    action : callable
        The work; called again it goes on.
    folder : Path
        An empty folder for the trials.
    prepare : callable, optional
        Brings the folder of a trial to where the work begins.
    check : callable, optional
        Called right after the failure.
    error : int
        The ``errno``.
    persistent : bool
        Whether all later operations fail too.
    may_pass : frozenset of str
        Operations whose failure the work may pass over, for instance ``"unlink"`` in tidying up.

    Returns
    -------
    tuple of str
        The operations that were failed, in their order.

    Raises
    ------
    FaultFound
        If a failure was swallowed, came out as something unexplained, or the second run gave
        other files than an undisturbed one.

    Examples
    --------
    >>> import tempfile
    >>> from metastra.storage import write_atomically
    >>> def work(run):
    ...     write_atomically(run / "a", lambda stream: stream.write(b"x") and None)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     len(fail_at_every_step(work, Path(folder)))
    7
    """
    steps, expected = _undisturbed(action, folder, prepare)
    for number, name in enumerate(steps, start=1):
        where = f"step {number} ({name}) failing with {errno.errorcode[error]}"
        trial = _prepared(folder / f"step-{number:03d}", prepare)
        with use_file_ops(FailingOps(number, error, persistent=persistent)):
            try:
                action(trial)
            except MetastraError:
                pass
            except OSError as unexplained:
                raise FaultFound(f"{where} came out unexplained: {unexplained}") from unexplained
            else:
                if name not in may_pass:
                    raise FaultFound(f"{where} was swallowed")
        _check_and_resume(action, trial, check, expected, where)
    return steps


def kill_at_every_step(
    action: Action,
    folder: Path,
    *,
    prepare: Action | None = None,
    check: Check | None = None,
) -> tuple[str, ...]:
    """Kill a forked process before each file operation in turn, then run the work again.

    Parameters
    ----------
    action : callable
        The work; called again it goes on.
    folder : Path
        An empty folder for the trials.
    prepare : callable, optional
        Brings the folder of a trial to where the work begins.
    check : callable, optional
        Called right after the kill.

    Returns
    -------
    tuple of str
        The operations before which a process was killed, in their order.

    Raises
    ------
    FaultFound
        If a process was not killed where it should have been, or the second run gave other files
        than an undisturbed one.
    RuntimeError
        If this process has threads, which a fork would not copy.
    """
    if threading.active_count() > 1:
        raise RuntimeError("kill_at_every_step forks; call it from a process without threads")
    steps, expected = _undisturbed(action, folder, prepare)
    for number, name in enumerate(steps, start=1):
        where = f"kill before step {number} ({name})"
        trial = _prepared(folder / f"step-{number:03d}", prepare)
        child = os.fork()
        if not child:
            # Whatever happens here must end the child, not go on in the caller's code.
            try:
                with use_file_ops(KillingOps(number)):
                    action(trial)
            finally:
                os._exit(3)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            raise FaultFound(f"{where} did not come: the process ended with status {status}")
        _check_and_resume(action, trial, check, expected, where)
    return steps


def kill_at_random_moments(
    command: Callable[[Path], Sequence[str]],
    folder: Path,
    *,
    n: int,
    seed: int,
    check: Callable[[Path, tuple[str, ...]], object],
) -> Kills:
    """Start a command again and again, and kill it with signal 9 at random moments.

    The command writes one line to standard output when its work begins; from then on the moment
    is drawn uniformly from the time that the work takes when nothing disturbs it.

    Parameters
    ----------
    command : callable
        From the folder of a trial to the command line.
    folder : Path
        An empty folder for the trials; one folder per trial inside.
    n : int
        How many processes to kill.  One that finishes before its moment is checked like the others
        and does not count; after three times as many trials the driver gives up.
    seed : int
        Of the moments.
    check : callable
        Called after each trial with its folder and the lines that the command wrote after the
        first one, for instance the products that it said were finished.

    Returns
    -------
    Kills
        How many processes were killed and how many were done before.

    Raises
    ------
    FaultFound
        If the command fails by itself.
    """
    window_s = _time_command(command(_prepared(folder / "undisturbed", None)))
    moments = random.Random(seed)  # noqa: S311
    killed = 0
    trials = 0
    while killed < n and trials < 3 * n:
        trial = _prepared(folder / f"trial-{trials:04d}", None)
        returncode, lines = _run_and_kill(command(trial), moments.uniform(0.0, window_s))
        if returncode not in (0, -signal.SIGKILL):
            raise FaultFound(f"the command ended with {returncode} by itself in {trial}")
        killed += returncode != 0
        check(trial, lines)
        trials += 1
    return Kills(killed=killed, finished=trials - killed)


def _undisturbed(
    action: Action, folder: Path, prepare: Action | None
) -> tuple[tuple[str, ...], dict[str, str]]:
    trial = _prepared(folder / "undisturbed", prepare)
    with use_file_ops(CountingOps()) as ops:
        action(trial)
    return tuple(ops.steps), snapshot(trial)


def _prepared(trial: Path, prepare: Action | None) -> Path:
    trial.mkdir(parents=True)
    if prepare is not None:
        prepare(trial)
    return trial


def _check_and_resume(
    action: Action, trial: Path, check: Check | None, expected: dict[str, str], where: str
) -> None:
    if check is not None:
        check(trial)
    action(trial)
    found = snapshot(trial)
    if found != expected:
        names = sorted(
            name for name in {*found, *expected} if found.get(name) != expected.get(name)
        )
        raise FaultFound(f"{where}: the second run differs from an undisturbed one in {names}")


def _time_command(arguments: Sequence[str]) -> float:
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:  # noqa: S603
        _wait_for_line(process)
        begun = time.monotonic()
        process.communicate(timeout=_PATIENCE_S)
        if process.returncode:
            raise FaultFound(f"the undisturbed command ended with {process.returncode}")
        return time.monotonic() - begun


def _run_and_kill(arguments: Sequence[str], delay_s: float) -> tuple[int, tuple[str, ...]]:
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:  # noqa: S603
        _wait_for_line(process)
        time.sleep(delay_s)
        process.kill()
        rest, _ = process.communicate(timeout=_PATIENCE_S)
        # A line that the kill cut off was not said.
        lines = rest.decode().split("\n")[:-1]
        return process.returncode, tuple(lines)


def _wait_for_line(process: subprocess.Popen[bytes]) -> None:
    if process.stdout is None or not process.stdout.readline():
        raise FaultFound("the command ended before its work began")
