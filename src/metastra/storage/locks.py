"""Locks that the kernel frees, so that no dead process ever keeps a run busy.

A lock is an optimisation and a courtesy, not what keeps products whole: two processes that make
the same product do double work and leave the same bytes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metastra.errors import BusyError
from metastra.storage.atomic import make_folders
from metastra.storage.encode import json_bytes, parse_json
from metastra.storage.failures import explained
from metastra.storage.fileops import file_ops
from metastra.storage.names import records_folder

__all__ = ["commit_lock", "hold"]

_LOCK = ".lock"
_TAKEN = frozenset({errno.EWOULDBLOCK, errno.EACCES})
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.001, 0.05
_COMMIT_WAIT_S = 120.0


class _Lock:
    """One open lock file; compared by identity, since descriptors are numbers used again."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor


_OPEN: set[_Lock] = set()


@contextlib.contextmanager
def hold(run_dir: Path, *, wait_s: float = 0.0, shared: bool = False) -> Iterator[None]:
    """Hold a run folder, so that a second process does not do the same work.

    Freed at the end of the block, and by the kernel when the process ends in any way.  Child
    processes do not inherit it.

    Parameters
    ----------
    run_dir : Path
        The run folder; made where it is missing.
    wait_s : float
        How long to wait for another holder, in seconds.
    shared : bool
        Hold it together with others who share it, and against everybody who does not: for workers
        that each make products of their own.

    Raises
    ------
    BusyError
        If another process still holds it; the message names its process id and machine.
    ResourceError, ConfigError
        If the lock file cannot be opened.

    Warns
    -----
    RuntimeWarning
        If the file system has no locks; the block then runs without one.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, hold(Path(folder)):
    ...     try:
    ...         with hold(Path(folder)):
    ...             pass
    ...     except BusyError as error:
    ...         "this very process" in str(error)
    True
    """
    make_folders(run_dir)
    path = run_dir / _LOCK
    with _locked(path, wait_s=wait_s, shared=shared) as descriptor:
        holder = {
            "pid": os.getpid(),
            "host": os.uname().nodename,
            "since": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        # Only a note for people: a full disk must not keep the run from going on.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json_bytes(holder), 0)
        yield


@contextlib.contextmanager
def commit_lock(run_dir: Path) -> Iterator[None]:
    """Hold the records of a run for the moment in which a product gets its names.

    Parameters
    ----------
    run_dir : Path
        The run folder; its folder of records exists.

    Raises
    ------
    BusyError
        If another process has held it for two minutes (it is stopped or its disk hangs).
    ResourceError, ConfigError
        If the lock file cannot be opened.

    Warns
    -----
    RuntimeWarning
        If the file system has no locks.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_folders(Path(folder) / ".records")
    ...     with commit_lock(Path(folder)):
    ...         pass
    """
    with _locked(records_folder(run_dir) / _LOCK, wait_s=_COMMIT_WAIT_S):
        yield


@contextlib.contextmanager
def _locked(path: Path, *, wait_s: float, shared: bool = False) -> Iterator[int]:
    with explained(path):
        lock = _Lock(file_ops().open_lock(path))
    _OPEN.add(lock)
    try:
        _acquire(lock.descriptor, path, wait_s, shared=shared)
        yield lock.descriptor
    finally:
        # A forked child that leaves the block holds nothing and must not free the parent's.
        if lock in _OPEN:
            _OPEN.discard(lock)
            # Said outright: closing alone would leave it to a child that was forked meanwhile.
            with contextlib.suppress(OSError):
                fcntl.flock(lock.descriptor, fcntl.LOCK_UN)
            os.close(lock.descriptor)


def _acquire(descriptor: int, path: Path, wait_s: float, *, shared: bool) -> None:
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    deadline = time.monotonic() + wait_s
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                warnings.warn(
                    f"the file system of {path.parent} has no locks; "
                    "see to it that only one metastra works there",
                    RuntimeWarning,
                    stacklevel=6,
                )
                return
            if error.errno not in _TAKEN:
                with explained(path):
                    raise
        else:
            return
        if time.monotonic() >= deadline:
            raise BusyError(_busy_text(path, wait_s))
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _busy_text(path: Path, wait_s: float) -> str:
    folder = path.parent
    holder: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, TypeError):
        holder = dict(parse_json(path.read_bytes()))
    pid, host = holder.get("pid"), holder.get("host")
    if pid == os.getpid() and host == os.uname().nodename:
        who = "this very process"
    elif pid is None:
        who = "another process"
    else:
        who = f"process {pid} on {host} since {holder.get('since')}"
    waited = f" (waited {wait_s:g} s)" if wait_s else ""
    return (
        f"{folder} is in use by {who}{waited}; wait for it or stop it. "
        "The lock frees itself when that process ends; there is no file to delete"
    )


def _forget_in_child() -> None:
    """Close the locks of the parent: a forked worker must not keep them when the parent dies."""
    for lock in _OPEN:
        os.close(lock.descriptor)
    _OPEN.clear()


os.register_at_fork(after_in_child=_forget_in_child)
