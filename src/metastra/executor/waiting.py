"""Tasks that wait: made when they are handed out, so that thousands of them take no memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar, overload

from metastra.executor.tasks import Task

__all__ = ["MadeTasks", "Waiting"]

_Item = TypeVar("_Item")


class MadeTasks(Sequence[Task], Generic[_Item]):
    """A list of tasks of which only what they are made from is kept.

    Parameters
    ----------
    items : sequence
        What each task is made from.
    make : callable
        Makes the task of an item; the same one each time.

    Examples
    --------
    >>> tasks = MadeTasks(["a", "b"], lambda name: Task(key=name))
    >>> len(tasks), tasks[1].key, [task.key for task in tasks]
    (2, 'b', ['a', 'b'])
    """

    def __init__(self, items: Sequence[_Item], make: Callable[[_Item], Task]) -> None:
        self._items, self._make = items, make

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, at: int) -> Task: ...

    @overload
    def __getitem__(self, at: slice) -> MadeTasks[_Item]: ...

    def __getitem__(self, at: int | slice) -> Task | MadeTasks[_Item]:
        if isinstance(at, slice):
            return MadeTasks(self._items[at], self._make)
        return self._make(self._items[at])

    def __iter__(self) -> Iterator[Task]:
        return map(self._make, self._items)


class Waiting:
    """A queue of tasks that takes each from its list when it is wanted.

    Parameters
    ----------
    tasks : sequence of Task
        The first ones.

    Examples
    --------
    >>> waiting = Waiting([Task(key="a"), Task(key="b")])
    >>> task = waiting.take()
    >>> waiting.put_back(task)
    >>> len(waiting), waiting.take().key
    (2, 'a')
    """

    def __init__(self, tasks: Sequence[Task] = ()) -> None:
        self._returned: deque[Task] = deque()
        self._listed, self._left = iter(tasks), len(tasks)
        self._added: deque[Task] = deque()

    def __len__(self) -> int:
        return len(self._returned) + self._left + len(self._added)

    def take(self) -> Task:
        """Give the next task.

        Returns
        -------
        Task
            No longer in the queue.

        Raises
        ------
        IndexError
            If none waits.
        """
        if self._returned:
            return self._returned.popleft()
        if self._left:
            self._left -= 1
            return next(self._listed)
        return self._added.popleft()

    def put_back(self, task: Task) -> None:
        """Make a task that was taken the next one again.

        Parameters
        ----------
        task : Task
            That nobody has begun.
        """
        self._returned.appendleft(task)

    def add(self, task: Task) -> None:
        """Put one more task at the end.

        Parameters
        ----------
        task : Task
            Whose key no other has.
        """
        self._added.append(task)

    def clear(self) -> None:
        """Give up all that wait."""
        self._returned.clear()
        self._listed, self._left = iter(()), 0
        self._added.clear()
