"""What a task and its pool tell each other: signs of life, questions, and which worker this is.

A task calls `beat`; its executor gives the numbers on with `relay`, under the task's key; who wants
to know how far the tasks are listens with `hear`, around the going through of the results.  What a
task cannot do itself it asks its pool with `ask`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = [
    "WORKER",
    "answered",
    "answers",
    "ask",
    "beat",
    "hear",
    "listen",
    "relay",
    "worker_number",
]

WORKER = "METASTRA_WORKER"
"""Variable of the environment that numbers the workers of a pool."""

Listener = Callable[[int, int], None]

Hearer = Callable[[str, int, int], None]
Asker = Callable[[Any], Any]

_HEARER: ContextVar[Hearer | None] = ContextVar("metastra_relay", default=None)
_LISTENER: ContextVar[Listener | None] = ContextVar("metastra_beat", default=None)
_ASKERS: ContextVar[Mapping[str, Asker]] = ContextVar("metastra_ask", default={})  # noqa: B039


def beat(done: int = 0, total: int = 0) -> None:
    """Say that the present task is alive and how far it is.

    Outside an executor nothing happens, so a library function may call it freely.

    Parameters
    ----------
    done, total : int
        Parts of the task that are through, of how many; 0 where that is not known.

    Examples
    --------
    >>> beat(3, 10)
    """
    listener = _LISTENER.get()
    if listener is not None:
        listener(done, total)


def worker_number() -> int:
    """Say which worker of its pool this process is, for those who share work without talking.

    Returns
    -------
    int
        From 0; 0 outside a pool too.

    Examples
    --------
    >>> worker_number()
    0
    """
    return int(os.environ.get(WORKER, "0"))


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Hear the beats of the block.

    Parameters
    ----------
    listener : callable
        Gets what `beat` was given.

    Examples
    --------
    >>> heard = []
    >>> with listen(lambda done, total: heard.append((done, total))):
    ...     beat(1, 2)
    >>> heard
    [(1, 2)]
    """
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def relay(key: str, done: int, total: int) -> None:
    """Give a beat of a task on to whoever listens; for executors.

    Parameters
    ----------
    key : str
        Of the task.
    done, total : int
        As `beat` was given them.
    """
    hearer = _HEARER.get()
    if hearer is not None:
        hearer(key, done, total)


@contextmanager
def hear(hearer: Hearer) -> Iterator[None]:
    """Hear how far the tasks are that an executor runs inside the block.

    Parameters
    ----------
    hearer : callable
        Gets the key of a task and the two numbers of each of its beats.

    Examples
    --------
    >>> heard = []
    >>> with hear(lambda *told: heard.append(told)):
    ...     relay("a", 1, 2)
    >>> heard
    [('a', 1, 2)]
    """
    token = _HEARER.set(hearer)
    try:
        yield
    finally:
        _HEARER.reset(token)


def answers(subject: str) -> bool:
    """Say whether the pool of the present task answers questions about a subject.

    Parameters
    ----------
    subject : str
        A word that the pool and the task agree on.

    Returns
    -------
    bool
        False outside an executor.

    Examples
    --------
    >>> answers("weather")
    False
    """
    return subject in _ASKERS.get()


def ask(subject: str, question: Any) -> Any:
    """Ask the pool of the present task, and wait for the answer.

    Parameters
    ----------
    subject : str
        One that the pool answers.
    question : plain values
        As a task's payload.

    Returns
    -------
    plain values
        The answer.

    Raises
    ------
    LookupError
        If nobody answers that here.

    Examples
    --------
    >>> with answered({"sum": sum}):
    ...     ask("sum", [1, 2])
    3
    """
    if subject not in _ASKERS.get():
        raise LookupError(f"the pool of this task answers nothing about {subject!r}")
    return _ASKERS.get()[subject](question)


@contextmanager
def answered(askers: Mapping[str, Asker]) -> Iterator[None]:
    """Answer the questions of the block.

    Parameters
    ----------
    askers : mapping of str to callable
        By subject, from what `ask` was given to what it gives back.

    Examples
    --------
    >>> with answered({"length": len}):
    ...     ask("length", [1, 2])
    2
    """
    token = _ASKERS.set(askers)
    try:
        yield
    finally:
        _ASKERS.reset(token)
