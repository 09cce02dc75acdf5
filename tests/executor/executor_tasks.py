"""Tasks that go well and tasks that do what a bad decoder does."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from metastra.catalogue import problem
from metastra.errors import DataError, Where
from metastra.executor import beat

LOADED_BY = os.getpid()


def work(payload):
    """Do what the payload names."""
    what = payload.get("do", "add")
    return DEEDS[what](payload)


def add(payload):
    return {"sum": payload["a"] + payload["b"], "pid": os.getpid()}


def slow(payload):
    time.sleep(payload["seconds"])
    return {"pid": os.getpid()}


def note(payload):
    """Leave a mark at the start and at the end, so that a test sees who finished."""
    folder = Path(payload["folder"])
    (folder / f"{payload['name']}.begun").write_text(str(os.getpid()))
    time.sleep(payload["seconds"])
    (folder / f"{payload['name']}.done").write_text("")
    return


def hang(_payload):
    while True:
        time.sleep(1000)


def hang_in_c(_payload):
    """A native loop that keeps Python's lock, as a decoder may."""
    ctypes.PyDLL(None).sleep(1000)


def live_long(payload):
    for number in range(payload["beats"]):
        time.sleep(0.1)
        beat(number + 1, payload["beats"])
    return "alive"


def eat(_payload):
    held = []
    while True:
        held.append(np.zeros(50_000_000 // 8))


def segv(_payload):
    ctypes.string_at(0)


def abort(_payload):
    os.abort()


def leave(_payload):
    os._exit(3)


def leave_politely(_payload):
    sys.exit(3)


def killed(_payload):
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(_payload):
    raise DataError(
        "this slide is refused",
        [problem("CO010", "no id", where=Where(file="a.csv", rows=(7, 9), column="PATIENT"))],
    )


def stumble(_payload):
    raise RuntimeError("tile 7 is bad")


def no_space(_payload):
    raise OSError(28, "No space left on device")


def odd(_payload):
    return {"array": np.zeros(3)}


def blob(payload):
    return {"bytes": b"\xff\x00" * payload["n"], "nested": [None, True, 1.5, "µ", [b""]]}


def talk(_payload):
    print("nobody should see this")
    os.write(1, b"nor this\n")
    os.write(2, b"nor that\n")


def garble(_payload):
    """Write rubbish into the channel, as a decoder that was taken over could."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 – no object is made for each
        if int(name) > 2:
            with contextlib.suppress(OSError):
                os.write(int(name), b"\xff" * 64)
    time.sleep(60)


def child_of_its_own(payload):
    """Start a process and hang: the process must go too."""
    import subprocess

    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    Path(payload["note"]).write_text(str(process.pid))
    time.sleep(1000)


def settings(_payload):
    import resource

    return {
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "threads": os.environ["OMP_NUM_THREADS"],
        "loaded_by": LOADED_BY,
        "pid": os.getpid(),
    }


DEEDS = {
    function.__name__: function
    for function in (
        add,
        slow,
        note,
        hang,
        hang_in_c,
        live_long,
        eat,
        segv,
        abort,
        leave,
        leave_politely,
        killed,
        refuse,
        stumble,
        no_space,
        odd,
        blob,
        talk,
        garble,
        child_of_its_own,
        settings,
    )
}
