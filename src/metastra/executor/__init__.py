"""Run tasks where they can do no harm: a task that dies, hangs or grows is one named failure.

`ProcessPool` gives each task to a child process of its own program, under limits of memory and
time; `Serial` runs them here, for small work and for a debugger.  Both keep the `Executor`
protocol, so a cluster can take their place.

A task is a function of a module and plain values, and gives plain values back.  They travel as
JSON and bytes, never as pickles: a decoder that a hostile slide has taken over can send numbers to
the parent, but no code.

Importing this package loads nothing but the standard library.
"""

from __future__ import annotations

from metastra.executor.pool import ProcessPool
from metastra.executor.serial import Serial
from metastra.executor.signs import answers, ask, beat, hear, relay, worker_number
from metastra.executor.tasks import (
    Cause,
    Executor,
    Failure,
    Limits,
    Result,
    Task,
    TaskFunction,
    with_limits,
)
from metastra.executor.waiting import MadeTasks

__all__ = [
    "Cause",
    "Executor",
    "Failure",
    "Limits",
    "MadeTasks",
    "ProcessPool",
    "Result",
    "Serial",
    "Task",
    "TaskFunction",
    "answers",
    "ask",
    "beat",
    "hear",
    "relay",
    "with_limits",
    "worker_number",
]
