"""Slides that take their worker with them: tried again a few times, then set apart with the reason.

A worker can be lost for no fault of its slide (the machine ran out of memory, somebody stopped the
process), so such a slide is taken up again in the same run.  A slide that loses its worker every
time would cost every later run the same minutes; after three tries it fails at once, with the words
of the last try, until somebody asks for another.  A slide that metastra refuses needs none of this:
refusing is cheap.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metastra.executor import Cause, Executor, Failure, MadeTasks, Result, Task
from metastra.executor.causes import failure_from_plain, failure_to_plain
from metastra.executor.tasks import TaskFunction
from metastra.storage import json_bytes, parse_json, write_bytes
from metastra.version import VERSION

__all__ = ["TRIES", "Quarantine"]

TRIES = 3
"""How often a slide may lose its worker, over all runs."""

_FOLDER = ".tries"
_LOST = frozenset({Cause.MEMORY, Cause.TIME, Cause.CRASHED, Cause.KILLED, Cause.ENDED})
_INNOCENT = frozenset({Cause.KILLED, Cause.ENDED})


@dataclass(frozen=True, kw_only=True)
class Quarantine:
    """An executor that remembers which slides lost their workers.

    Parameters
    ----------
    executor : Executor
        Does the work.
    folder : Path
        Of the products; notes lie in a hidden folder inside.
    step : str
        What is done to the slides; tries are counted for each step.
    retry : bool
        Forget what was noted and try every slide again.
    tell : callable, optional
        Told which slides are in quarantine.

    Examples
    --------
    >>> import tempfile
    >>> from metastra.executor import Serial
    >>> from metastra.executor.calls import echo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     careful = Quarantine(executor=Serial(), folder=Path(folder), step="extract")
    ...     [result.value for result in careful.run(echo, [Task(key="a", payload={"x": 1})])]
    [{'x': 1}]
    """

    executor: Executor
    folder: Path
    step: str
    retry: bool = False
    tell: Callable[[str], None] | None = None

    def run(self, function: TaskFunction, tasks: Sequence[Task]) -> Iterator[Result]:
        """Run a function over tasks, those in quarantine left alone.

        Parameters
        ----------
        function : callable
            See `metastra.executor.tasks.TaskFunction`.
        tasks : sequence of Task
            With the slide as ``path`` in the payload.

        Yields
        ------
        Result
            One for each task; a slide in quarantine fails as it did the last time.

        Raises
        ------
        KeyboardInterrupt, ResourceError, ValueError
            As the executor.
        """
        waiting: dict[str, int] = {}
        for place, task in enumerate(tasks):
            note = {} if self.retry else self._note(task)
            if note.get("tries", 0) >= TRIES:
                yield self._set_apart(task, note)
            else:
                waiting[task.key] = place
        fresh = self.retry
        while waiting:
            now, waiting = waiting, {}
            part = MadeTasks(list(now.values()), tasks.__getitem__)
            for result in self.executor.run(function, part):
                tries = self._count(tasks[now[result.key]], result.failure, fresh=fresh)
                if 0 < tries < TRIES and result.failure and result.failure.cause in _INNOCENT:
                    waiting[result.key] = now[result.key]
                else:
                    yield result
            fresh = False

    def _set_apart(self, task: Task, note: dict[str, Any]) -> Result:
        failure = failure_from_plain(note["failure"])
        if self.tell is not None:
            self.tell(
                f"{task.key} is in quarantine: it lost its worker {note['tries']} times, the last "
                f"time {failure.message}; --retry-failed tries it again"
            )
        return Result(key=task.key, failure=failure)

    def _count(self, task: Task, failure: Failure | None, *, fresh: bool) -> int:
        """Note how a task ended; give how often it lost its worker so far."""
        place = self._place(task)
        if failure is None or failure.cause not in _LOST:
            with contextlib.suppress(OSError):
                place.unlink(missing_ok=True)
            return 0
        tries = 1 + (0 if fresh else int(self._note(task).get("tries", 0)))
        note = {
            "slide": _marks(task),
            "metastra": VERSION,
            "tries": tries,
            # what the process wrote last may name a path
            "failure": failure_to_plain(replace(failure, detail="")),
        }
        write_bytes(place, json_bytes(note))
        return tries

    def _note(self, task: Task) -> dict[str, Any]:
        """Read what was noted of this very slide by this version; empty where nothing was."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            note = dict(parse_json(self._place(task).read_bytes()))
            failure_from_plain(note["failure"])
            if note["slide"] == _marks(task) and note["metastra"] == VERSION:
                return {**note, "tries": int(note["tries"])}
        return {}

    def _place(self, task: Task) -> Path:
        return self.folder / _FOLDER / f"{self.step}-{task.key}.json"


def _marks(task: Task) -> list[int]:
    """Size and time of change of a slide: another file is another slide."""
    try:
        status = Path(str(task.payload["path"])).stat()
    except (OSError, ValueError, KeyError):
        return []
    return [status.st_size, status.st_mtime_ns]
