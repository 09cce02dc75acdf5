"""What is given to an executor and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, Self, runtime_checkable

from metastra.errors import Problem

__all__ = [
    "Adjustable",
    "Cause",
    "Executor",
    "Failure",
    "Limits",
    "Result",
    "Task",
    "TaskFunction",
    "with_limits",
]

TaskFunction = Callable[[Mapping[str, Any]], Any]
"""A function of a module (no lambda, no method) from plain values to plain values.

Plain values are None, bool, int, float, str, bytes, and lists and dicts (text keys) of them."""


class Cause(StrEnum):
    """Why a task has no value."""

    REFUSED = "refused"
    """metastra refused the item: a `MetastraError`, with its message and problems."""
    ERROR = "error"
    """An exception that nobody foresaw."""
    MEMORY = "memory"
    """It would have taken more memory than its limit."""
    TIME = "time"
    """It ran past its time, or gave no sign of life for too long."""
    CRASHED = "crashed"
    """Its process died of a signal that its own code caused (SIGSEGV, SIGABRT, SIGBUS …)."""
    KILLED = "killed"
    """Its process was killed from outside, most often because the machine ran out of memory."""
    ENDED = "ended"
    """Its process ended by itself in the middle of the task."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much one task may take.

    Parameters
    ----------
    memory_bytes : int or None
        Address space of a worker (``RLIMIT_AS``), libraries included; about 1 GB of it is taken
        by numpy, numba and OpenSlide before any pixel.  None is no limit.
    wall_s : float or None
        Seconds a task may run.
    quiet_s : float or None
        Seconds a task may run without a `beat`.

    Raises
    ------
    ValueError
        If a limit is not positive.
    """

    memory_bytes: int | None = None
    wall_s: float | None = None
    quiet_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("memory_bytes", "wall_s", "quiet_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"the limit {name} is {value!r}; expected more than 0, or None")


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One item of work.

    Parameters
    ----------
    key : str
        Names it, once in a run.
    payload : mapping of str to plain values
        The argument of the function.
    """

    key: str
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a task has no value, and what to do.

    Parameters
    ----------
    cause : Cause
        The class of cause.
    kind : str
        Name of the exception, of the signal, or of the limit.
    message : str
        What happened, in one sentence.
    hint : str
        The next step; empty where the message says it.
    problems : tuple of Problem
        Of a refusal, all of them.
    detail : str
        The last words of the process, for whoever looks closer; may name paths.
    errno : int
        Of the operating system's error that was the reason; 0 where there was none.
    """

    cause: Cause
    kind: str
    message: str
    hint: str = ""
    problems: tuple[Problem, ...] = ()
    detail: str = ""
    errno: int = 0

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What became of one task.

    Parameters
    ----------
    key : str
        Of the task.
    value : plain values
        What the function gave back; None for a failure.
    failure : Failure or None
        None for a task that went well.
    wall_s : float
        Seconds it took.
    peak_bytes : int
        Highest resident memory of its process during the task; 0 where that is not known.
    """

    key: str
    value: Any = None
    failure: Failure | None = None
    wall_s: float = 0.0
    peak_bytes: int = 0


class Executor(Protocol):
    """Whoever runs tasks: here, in processes of this machine, or on a cluster."""

    def run(self, function: TaskFunction, tasks: Sequence[Task]) -> Iterator[Result]:
        """Run a function over tasks.

        Parameters
        ----------
        function : callable
            See `TaskFunction`.
        tasks : sequence of Task
            Keys differ.

        Yields
        ------
        Result
            One for each task, as they finish; what each holds does not depend on the order.

        Raises
        ------
        KeyboardInterrupt
            After one Ctrl-C, when the tasks that ran are finished and yielded; after a second
            one, at once.
        """
        ...


@runtime_checkable
class Adjustable(Executor, Protocol):
    """An executor that holds limits and takes those of the step it is used for."""

    def limited(self, limits: Limits) -> Self:
        """Give the same executor with other limits.

        Parameters
        ----------
        limits : Limits
            Of each task.

        Returns
        -------
        Executor
            Which holds them.
        """
        ...


def with_limits(executor: Executor, limits: Limits) -> Executor:
    """Give an executor the limits of a step, where it holds any.

    Parameters
    ----------
    executor : Executor
        That of a whole run.
    limits : Limits
        Of each task of the step.

    Returns
    -------
    Executor
        As it was where it cannot hold limits, for instance `metastra.executor.Serial`.
    """
    return executor.limited(limits) if isinstance(executor, Adjustable) else executor
