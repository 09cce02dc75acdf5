"""The child process of a pool: takes a task, answers, takes the next.

It ends when its parent ends, however that happens: the kernel kills it (``PR_SET_PDEATHSIG``), and
an idle one sees its channel close.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from metastra.executor.calls import call, function_named
from metastra.executor.causes import failure_of, failure_to_plain
from metastra.executor.signs import answered, listen
from metastra.executor.tasks import Cause, Limits, TaskFunction
from metastra.executor.wire import Frames, pack

__all__ = ["work"]

_PR_SET_PDEATHSIG = 1
_BEAT_EVERY_S = 0.25
_READ_BYTES = 1 << 20


def work(descriptor: int, *, parent: int) -> None:
    """Serve one parent until it closes the channel.

    Parameters
    ----------
    descriptor : int
        Of the channel, inherited.
    parent : int
        Process id of the parent.
    """
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    with socket.socket(fileno=descriptor) as channel:
        messages = _messages(channel)
        orders = next(messages)
        limits = Limits(memory_bytes=orders["memory_bytes"])
        function = _prepare(channel, orders, limits)
        if function is None:
            return
        askers = {
            subject: partial(_ask, channel, messages, subject) for subject in orders["answers"]
        }
        with answered(askers):
            for task in messages:
                if not _serve(channel, function, task, limits):
                    return


def _prepare(
    channel: socket.socket, orders: Mapping[str, Any], limits: Limits
) -> TaskFunction | None:
    try:
        _limit(limits)
        function = function_named(orders["function"])
    except Exception as error:  # noqa: BLE001 - the parent has to learn why a worker cannot start
        channel.sendall(pack({"unfit": failure_to_plain(failure_of(error, limits=limits))}))
        return None
    channel.sendall(pack({"ready": True}))
    return function


def _serve(
    channel: socket.socket, function: TaskFunction, task: Mapping[str, Any], limits: Limits
) -> bool:
    """Run one task; False where the process had better be replaced."""
    channel.sendall(pack({"taken": True}))
    _forget_output()
    _reset_peak()
    sent_s = 0.0

    def send_beat(done: int, total: int) -> None:
        nonlocal sent_s
        if time.monotonic() - sent_s >= _BEAT_EVERY_S:
            sent_s = time.monotonic()
            channel.sendall(pack({"beat": [done, total]}))

    begun_s = time.monotonic()
    with listen(send_beat):
        value, failure = call(function, task["payload"], limits=limits)
    answer = {
        "value": value,
        "failure": failure_to_plain(failure) if failure else None,
        "wall_s": time.monotonic() - begun_s,
        "peak_bytes": _peak_bytes(),
    }
    channel.sendall(pack(answer))
    return failure is None or failure.cause is not Cause.MEMORY


def _ask(channel: socket.socket, messages: Iterator[Any], subject: str, question: Any) -> Any:
    channel.sendall(pack({"ask": [subject, question]}))
    return next(messages)["answer"]


def _messages(channel: socket.socket) -> Iterator[Any]:
    frames = Frames()
    while data := channel.recv(_READ_BYTES):
        yield from frames.feed(data)


def _die_with(parent: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _limit(limits: Limits) -> None:
    # A core file would hold pixels of a patient.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if limits.memory_bytes is not None:
        # a shell or a cluster that allows less is not to be overruled
        allowed = resource.getrlimit(resource.RLIMIT_AS)[1]
        most = limits.memory_bytes
        if allowed != resource.RLIM_INFINITY:
            most = min(most, allowed)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _forget_output() -> None:
    """Begin the task with an empty log: its file is standard error."""
    with contextlib.suppress(OSError):
        os.ftruncate(sys.stderr.fileno(), 0)


def _reset_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_bytes() -> int:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
