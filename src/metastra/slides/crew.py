"""Some threads that share a list of work; with one, the caller does it.

Decoding gives the interpreter's lock away, so threads are enough and nothing is copied between
processes.  What is done does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self, TypeVar

__all__ = ["Crew"]

Item = TypeVar("Item")
Made = TypeVar("Made")


class Crew:
    """Threads that work through a list.

    Parameters
    ----------
    threads : int
        How many, the caller's included.

    Raises
    ------
    ValueError
        If there is not at least one.

    Examples
    --------
    >>> with Crew(2) as crew:
    ...     crew.run(abs, [-1, 2, -3])
    [1, 2, 3]
    """

    def __init__(self, threads: int = 1) -> None:
        if threads < 1:
            raise ValueError(f"a crew has at least 1 thread, not {threads}")
        self.threads = threads
        self._others = (
            ThreadPoolExecutor(threads - 1, thread_name_prefix="tiles") if threads > 1 else None
        )

    def run(self, work: Callable[[Item], Made], items: Sequence[Item]) -> list[Made]:
        """Do the same to every item; each thread takes the next one that nobody has.

        Parameters
        ----------
        work : callable
            Gets one item.
        items : sequence
            What is to be done.

        Returns
        -------
        list
            What came of each, in order.

        Raises
        ------
        Exception
            The first that `work` raised, when no thread is at work any more.
        """
        if self._others is None or len(items) < 2:
            return [work(item) for item in items]
        made: dict[int, Made] = {}
        left = iter(enumerate(items))  # a thread takes from it in one step of the interpreter

        def help_out() -> None:
            for position, item in left:
                made[position] = work(item)

        helpers = min(self.threads, len(items)) - 1
        futures = [self._others.submit(help_out) for _ in range(helpers)]
        try:
            help_out()
        finally:
            errors = _errors(futures)
        for error in errors:
            if error is not None:
                raise error
        return [made[position] for position in range(len(items))]

    def close(self) -> None:
        """Let the threads go."""
        if self._others is not None:
            self._others.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _errors(futures: Sequence[Future[None]]) -> list[BaseException | None]:
    """Say what each raised; a Ctrl-C meanwhile waits until no thread is at work any more."""
    interrupted: KeyboardInterrupt | None = None
    while True:
        try:
            errors = [future.exception() for future in futures]
        except KeyboardInterrupt as error:
            interrupted = error
            continue
        if interrupted is not None:
            raise interrupted
        return errors
