"""Run tasks here, one after another: for small work, for tests and for a debugger."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from metastra.executor.calls import call, check_tasks, function_name
from metastra.executor.interrupt import graceful_interrupt
from metastra.executor.signs import listen, relay
from metastra.executor.tasks import Limits, Result, Task, TaskFunction

__all__ = ["Serial"]


@dataclass(frozen=True, kw_only=True)
class Serial:
    """An executor without processes.

    It cannot hold limits and does not survive a crash of a decoder; an exception is a failure as
    in a pool, and values are checked to be plain in the same way.

    Parameters
    ----------
    tell : callable, optional
        Told what will happen when Ctrl-C is pressed.

    Examples
    --------
    >>> from metastra.executor.calls import echo
    >>> [result.value for result in Serial().run(echo, [Task(key="a", payload={"x": 1})])]
    [{'x': 1}]
    """

    tell: Callable[[str], None] | None = None

    def run(self, function: TaskFunction, tasks: Sequence[Task]) -> Iterator[Result]:
        """Run a function over tasks, in their order.

        Parameters
        ----------
        function : callable
            See `metastra.executor.tasks.TaskFunction`.
        tasks : sequence of Task
            Keys differ.

        Yields
        ------
        Result
            One for each task.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C, when the present task is finished.
        ValueError
            If two tasks have one key or the function is none of a module.
        """
        check_tasks(tasks)
        function_name(function)
        with graceful_interrupt(self.tell) as interrupt:
            for task in tasks:
                if interrupt.asked:
                    raise KeyboardInterrupt
                begun_s = time.monotonic()
                with listen(partial(relay, task.key)):
                    value, failure = call(function, task.payload, limits=Limits())
                yield Result(
                    key=task.key,
                    value=value,
                    failure=failure,
                    wall_s=time.monotonic() - begun_s,
                )
            if interrupt.asked:
                raise KeyboardInterrupt
