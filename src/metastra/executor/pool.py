"""Run tasks in child processes, each under limits of memory and time."""

from __future__ import annotations

import contextlib
import selectors
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metastra.errors import ResourceError
from metastra.executor.calls import check_tasks, function_name
from metastra.executor.causes import died, failure_from_plain, out_of_time
from metastra.executor.child import Child
from metastra.executor.interrupt import graceful_interrupt
from metastra.executor.signs import relay
from metastra.executor.tasks import Cause, Failure, Limits, Result, Task, TaskFunction
from metastra.executor.waiting import Waiting

__all__ = ["Crew", "ProcessPool"]

_START_S = 300.0
_LONGEST_WAIT_S = 5.0
_GARBLED = "the process that read it answered with something that is no message"


@dataclass(frozen=True, kw_only=True)
class ProcessPool:
    """An executor with child processes of its own program; nothing is forked.

    A worker is used again for the next task, and replaced when it died, was stopped or ran out of
    memory.  Whatever ends this process, its workers end with it (Linux).

    Parameters
    ----------
    workers : int
        How many tasks run at a time.
    limits : Limits
        Of each task.
    threads : int
        How many threads numerical libraries may start in a worker.
    tell : callable, optional
        Told what will happen when Ctrl-C is pressed.
    on_beat : callable, optional
        Gets the key of a task and the two numbers of each `metastra.executor.beat`.
    on_ask : mapping of str to callable
        By subject, who answers the questions of tasks (`metastra.executor.ask`), one at a time.

    Raises
    ------
    ValueError
        If there is not at least one worker and one thread.

    Examples
    --------
    >>> from metastra.executor.calls import echo
    >>> pool = ProcessPool(workers=1)
    >>> [result.value for result in pool.run(echo, [Task(key="a", payload={"x": 1})])]
    [{'x': 1}]
    """

    workers: int = 1
    limits: Limits = field(default_factory=Limits)
    threads: int = 1
    tell: Callable[[str], None] | None = None
    on_beat: Callable[[str, int, int], None] | None = None
    on_ask: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.workers < 1 or self.threads < 1:
            raise ValueError(
                f"{self.workers} workers with {self.threads} threads; expected at least 1 of each"
            )

    def run(self, function: TaskFunction, tasks: Sequence[Task]) -> Iterator[Result]:
        """Run a function over tasks.

        Parameters
        ----------
        function : callable
            See `metastra.executor.tasks.TaskFunction`.
        tasks : sequence of Task
            Keys differ.

        Yields
        ------
        Result
            One for each task, as they finish.

        Raises
        ------
        KeyboardInterrupt
            After one Ctrl-C, when the tasks that ran are finished and yielded; after a second
            one, at once.
        ResourceError
            If a worker cannot even start, for instance because its memory limit is below what
            the libraries take.
        ValueError
            If two tasks have one key or the function is none of a module.
        """
        check_tasks(tasks)
        name = function_name(function)
        with contextlib.ExitStack() as undo:
            interrupt = undo.enter_context(graceful_interrupt(self.tell))
            crew = Crew(self, name, tasks)
            undo.callback(crew.dismiss)
            while crew.hire(stopping=interrupt.asked):
                yield from crew.wait()
            if interrupt.asked:
                raise KeyboardInterrupt


class Crew:
    """The workers of one run and the tasks that wait.

    Parameters
    ----------
    pool : ProcessPool
        How many workers, and their limits.
    function : str
        Name of the function they run.
    tasks : sequence of Task
        The first ones.
    """

    def __init__(self, pool: ProcessPool, function: str, tasks: Sequence[Task] = ()) -> None:
        self._pool, self._function, self._waiting = pool, function, Waiting(tasks)
        self._children: set[Child] = set()
        self._selector = selectors.DefaultSelector()

    def add(self, task: Task) -> None:
        """Put one more task at the end of those that wait.

        Parameters
        ----------
        task : Task
            Whose key no other task of the crew has.
        """
        self._waiting.add(task)

    def hire(self, *, stopping: bool = False) -> bool:
        """Give the idle something to do.

        Parameters
        ----------
        stopping : bool
            Whether what has not begun is given up.

        Returns
        -------
        bool
            False when nothing runs and nothing is left.
        """
        if stopping:
            self._waiting.clear()
        for child in [item for item in self._children if item.ready and item.task is None]:
            if not self._waiting:
                break
            task = self._waiting.take()
            if not child.give(task):
                self._waiting.put_back(task)
                self._lose(child)
        busy = sum(child.task is not None for child in self._children)
        starting = sum(not child.ready for child in self._children)
        wanted = min(self._pool.workers - busy, len(self._waiting))
        for _ in range(wanted - starting):
            child = Child(
                self._function,
                self._pool.limits,
                threads=self._pool.threads,
                number=len(self._children),
                answers=tuple(self._pool.on_ask),
            )
            self._children.add(child)
            self._selector.register(child.channel, selectors.EVENT_READ, child)
        return bool(self._waiting or busy)

    def wait(self) -> Iterator[Result]:
        """Wait until something comes or a limit passes.

        Yields
        ------
        Result
            What is finished.

        Raises
        ------
        ResourceError
            If a worker cannot even start.
        """
        for key, _ in self._selector.select(self._patience_s()):
            yield from self._hear(key.data)
        now_s = time.monotonic()
        for child in list(self._children):
            late = child.overdue(now_s)
            if late is not None:
                yield self._result(child, out_of_time(*late))
                self._lose(child)
            elif not child.ready and now_s - child.begun_s > _START_S:
                raise self._unfit(f"it did not start within {_START_S:g} s")

    def dismiss(self) -> None:
        """End all workers: the idle may go, the busy are killed."""
        for child in list(self._children):
            self._lose(child, kill=child.task is not None or not child.ready)
        self._selector.close()

    def _patience_s(self) -> float:
        now_s = time.monotonic()
        ends = [child.remaining_s(now_s) for child in self._children]
        return min([end for end in ends if end is not None] + [_LONGEST_WAIT_S])

    def _hear(self, child: Child) -> Iterator[Result]:
        try:
            for message in child.hear():
                if message is None:
                    yield from self._bury(child)
                else:
                    yield from self._take(child, message)
        except (ValueError, KeyError, TypeError) as error:
            if child.task is not None:
                yield self._result(
                    child,
                    Failure(
                        cause=Cause.CRASHED,
                        kind="garbled",
                        message=_GARBLED,
                        hint="the file is damaged or hostile; leave it out",
                        detail=str(error),
                    ),
                )
            self._lose(child)

    def _take(self, child: Child, message: dict[str, Any]) -> Iterator[Result]:
        if "ready" in message:
            child.ready = True
        elif "taken" in message:
            child.taken = True
        elif "unfit" in message:
            raise self._unfit(str(failure_from_plain(message["unfit"])))
        elif "ask" in message:
            subject, question = message["ask"]
            child.answer(_answer(self._pool.on_ask[subject], question))
        elif "beat" in message:
            if child.task is not None:
                done, total = message["beat"]
                relay(child.task.key, int(done), int(total))
                if self._pool.on_beat is not None:
                    self._pool.on_beat(child.task.key, int(done), int(total))
        elif child.task is not None:
            failure = message["failure"]
            result = Result(
                key=child.task.key,
                value=message["value"],
                failure=failure_from_plain(failure) if failure else None,
                wall_s=float(message["wall_s"]),
                peak_bytes=int(message["peak_bytes"]),
            )
            child.task = None
            yield result

    def _bury(self, child: Child) -> Iterator[Result]:
        """Take leave of a process that ended by itself."""
        self._forget(child)
        code = child.end(kill=False)
        words = child.last_words()
        child.forget()
        if child.task is not None and not child.taken:
            self._waiting.put_back(child.task)
        elif child.task is not None:
            yield self._result(child, died(code, limits=self._pool.limits, last_words=words))
        elif not child.ready:
            raise self._unfit(str(died(code, limits=self._pool.limits)) + f"\n{words.strip()}")

    def _result(self, child: Child, failure: Failure) -> Result:
        task = child.task
        child.task = None
        return Result(
            key=task.key if task else "",
            failure=failure,
            wall_s=time.monotonic() - child.begun_s,
        )

    def _lose(self, child: Child, *, kill: bool = True) -> None:
        self._forget(child)
        child.end(kill=kill)
        child.forget()

    def _forget(self, child: Child) -> None:
        self._children.discard(child)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(child.channel)

    def _unfit(self, why: str) -> ResourceError:
        return ResourceError(f"a worker process cannot start: {why}")


def _answer(asker: Callable[[Any], Any], question: Any) -> Any:
    try:
        return asker(question)
    except (ValueError, KeyError, TypeError) as error:
        # a fault of ours, not of the slide, whose messages may be garbled
        raise RuntimeError(f"a question of a task could not be answered: {error}") from error
