"""Tasks that the tests give to a cluster."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from metastra.executor import beat


def doubled(payload):
    """Wait until two workers are at it, so that none does all; say which process did it."""
    beat(1, 2)
    marks = Path(payload["folder"])
    (marks / f"{os.getpid()}").touch()
    until = time.monotonic() + 60
    while len(list(marks.iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.3)
    return {"x": 2 * payload["x"], "pid": os.getpid()}


def hostile(payload):
    """Crash, hang, grow or raise, as asked."""
    how = payload["how"]
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "hang":
        time.sleep(600)
    if how == "grow":
        return len(bytearray(8_000_000_000))
    if how == "raise":
        raise RuntimeError("as asked")
    return how


def marked(payload):
    """Leave a mark that the task has begun, then take a while."""
    Path(payload["folder"], f"{payload['x']}-{os.getpid()}").touch()
    time.sleep(payload["s"])
    return payload["x"]
