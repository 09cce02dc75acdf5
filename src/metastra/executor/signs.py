"""Signs of life that a long task gives, so that a hang is told from hard work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["beat", "listen"]

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
