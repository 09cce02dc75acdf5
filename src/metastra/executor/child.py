"""One worker as its parent sees it: a process, a channel, and the task it has."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from typing import Any

from metastra.executor.signs import WORKER
from metastra.executor.tasks import Limits, Task
from metastra.executor.wire import Frames, pack

__all__ = ["Child"]

_READ_BYTES = 1 << 20
_TAIL_BYTES = 4096
_SEND_S = 60.0
_END_S = 5.0
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


class Child:
    """A worker process of a pool.

    Parameters
    ----------
    function : str
        Name of the function it will run.
    limits : Limits
        Of each task.
    threads : int
        How many threads numerical libraries may start in it.
    number : int
        Which of its pool it is, from 0.
    answers : collection of str
        Subjects of its questions that are answered.

    Attributes
    ----------
    task : Task or None
        What it works at.
    ready : bool
        Whether it has loaded its function.
    taken : bool
        Whether it has begun its task; a task that was only sent can be given to another.
    begun_s, sign_s : float
        When its task began and when it last gave a sign of life, on the monotonic clock.
    """

    def __init__(
        self,
        function: str,
        limits: Limits,
        *,
        threads: int,
        number: int = 0,
        answers: Collection[str] = (),
    ) -> None:
        self._limits = limits
        self._frames = Frames()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        self.channel, theirs = socket.socketpair()
        self.task: Task | None = None
        self.ready = self.taken = False
        self.begun_s = self.sign_s = time.monotonic()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this Python, our own module
                [
                    *(sys.executable, "-P", "-m", "metastra.executor"),
                    *(str(theirs.fileno()), str(os.getpid())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=(theirs.fileno(),),
                env=_environment(threads, number),
                # Ctrl-C at a terminal goes to the parent alone.
                process_group=0,
            )
        self.channel.settimeout(_SEND_S)
        with contextlib.suppress(OSError):
            orders = {"function": function, "memory_bytes": limits.memory_bytes}
            self.channel.sendall(pack({**orders, "answers": list(answers)}))

    def give(self, task: Task) -> bool:
        """Hand a task over.

        Parameters
        ----------
        task : Task
            The next one.

        Returns
        -------
        bool
            False where the process is gone; the task is then nobody's.
        """
        try:
            self.channel.sendall(pack({"payload": dict(task.payload)}))
        except OSError:
            return False
        self.task, self.taken = task, False
        self.begun_s = self.sign_s = time.monotonic()
        return True

    def answer(self, value: Any) -> None:
        """Answer the question it waits with.

        Parameters
        ----------
        value : plain values
            The answer.
        """
        # a process that is gone is noticed when its channel is read
        with contextlib.suppress(OSError):
            self.channel.sendall(pack({"answer": value}))
        self.sign_s = time.monotonic()

    def hear(self) -> Iterator[dict[str, Any] | None]:
        """Read what has come; the channel has something.

        Yields
        ------
        dict or None
            Each message; None at the end of the process.

        Raises
        ------
        ValueError
            If a message is none.
        """
        try:
            data = self.channel.recv(_READ_BYTES)
        except OSError:
            data = b""
        if not data:
            yield None
            return
        self.sign_s = time.monotonic()
        yield from self._frames.feed(data)

    def overdue(self, now_s: float) -> tuple[str, float] | None:
        """Look whether its task has used up its time.

        Parameters
        ----------
        now_s : float
            The monotonic clock.

        Returns
        -------
        (str, float) or None
            The limit that is passed, and its value in seconds.
        """
        for limit, since_s in (("wall_s", self.begun_s), ("quiet_s", self.sign_s)):
            allowed_s = getattr(self._limits, limit)
            if self.task is not None and allowed_s is not None and now_s - since_s > allowed_s:
                return limit, allowed_s
        return None

    def remaining_s(self, now_s: float) -> float | None:
        """Give the time until the next limit.

        Parameters
        ----------
        now_s : float
            The monotonic clock.

        Returns
        -------
        float or None
            Seconds, not negative; None where no limit is set or no task is at work.
        """
        if self.task is None:
            return None
        ends = []
        if self._limits.wall_s is not None:
            ends.append(self.begun_s + self._limits.wall_s)
        if self._limits.quiet_s is not None:
            ends.append(self.sign_s + self._limits.quiet_s)
        return max(0.0, min(ends) - now_s) if ends else None

    def end(self, *, kill: bool) -> int:
        """End the process and all that it started.

        Parameters
        ----------
        kill : bool
            At once; else it may end by itself first, because its channel closes.

        Returns
        -------
        int
            Its exit code; minus the signal's number where one ended it.
        """
        self.channel.close()
        if not kill:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()

    def last_words(self) -> str:
        """Give the end of what it wrote to standard output and error.

        Returns
        -------
        str
            At most a few lines.
        """
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - _TAIL_BYTES))
        return self._log.read().decode(errors="replace")

    def forget(self) -> None:
        """Close its log."""
        self._log.close()


def _environment(threads: int, number: int) -> dict[str, str]:
    ours = dict(os.environ)
    ours["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    ours.update(dict.fromkeys(_THREADS, str(threads)))
    ours[WORKER] = str(number)
    # Each further arena of malloc would take 64 MB of the address space.
    ours["MALLOC_ARENA_MAX"] = "2"
    return ours
