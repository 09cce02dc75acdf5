"""What a task and its pool tell each other: signs of life, and which worker this is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["WORKER", "beat", "listen", "worker_number"]

WORKER = "METASTRA_WORKER"
"""Variable of the environment that numbers the workers of a pool."""

Listener = Callable[[int, int], None]

_LISTENER: ContextVar[Listener | None] = ContextVar("metastra_beat", default=None)


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
