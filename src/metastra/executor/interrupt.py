"""Ctrl-C once: finish what runs and stop; twice: stop now."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupt", "graceful_interrupt"]


class Interrupt:
    """Whether somebody pressed Ctrl-C.

    Parameters
    ----------
    tell : callable or None
        Told once what will happen now.
    """

    def __init__(self, tell: Callable[[str], None] | None) -> None:
        self._tell = tell
        self.asked = False

    def press(self, _number: int, _frame: FrameType | None) -> None:
        """Take a signal: the first is noted, the second raises.

        Raises
        ------
        KeyboardInterrupt
            At the second one.
        """
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if self._tell is not None:
            self._tell("stopping: what runs is finished first; Ctrl-C again stops at once")


@contextmanager
def graceful_interrupt(tell: Callable[[str], None] | None = None) -> Iterator[Interrupt]:
    """Take Ctrl-C gracefully inside the block.

    Only the main thread of a program gets signals; in another thread, or where the program has a
    handler of its own, nothing is changed.

    Parameters
    ----------
    tell : callable, optional
        Told what will happen when Ctrl-C is pressed for the first time.

    Yields
    ------
    Interrupt
        To be asked between tasks.

    Examples
    --------
    >>> with graceful_interrupt() as interrupt:
    ...     interrupt.asked
    False
    """
    interrupt = Interrupt(tell)
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not ours:
        yield interrupt
        return
    signal.signal(signal.SIGINT, interrupt.press)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
