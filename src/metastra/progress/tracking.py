"""Items on their way through a step, and who is shown how far it is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sized
from contextvars import ContextVar
from typing import Generic, TypeVar

from metastra.progress.steps import Counts, Parts, Progress, Stage, Task

__all__ = ["Track", "track", "use_progress"]

Item = TypeVar("Item")


class Track(Generic[Item]):
    """Items on their way through a step; made by `track`.

    Parameters
    ----------
    items : iterable
        Gone through once.
    label, unit : str
        As for `track`.
    total : int or None
        As for `track`.
    """

    def __init__(self, items: Iterable[Item], *, label: str, unit: str, total: int | None) -> None:
        self._items, self._label, self._unit, self._total = items, label, unit, total
        self._fate = "done"
        self._counts = Counts()
        self._parts: Parts | None = None
        self._begun_s: float | None = None

    @property
    def counts(self) -> Counts:
        """What became of the items that are through."""
        return self._counts

    def fail(self) -> None:
        """Count the present item as failed instead of done."""
        self._fate = "failed"

    def exclude(self) -> None:
        """Count the present item as excluded instead of done."""
        self._fate = "excluded"

    def part(self, parts: Parts) -> None:
        """Say how far the step is in something finer than its items, and show it.

        Parameters
        ----------
        parts : Parts
            The count so far; the time left is reckoned from it.
        """
        self._parts = parts
        if self._begun_s is not None:
            self._show(_IN_FORCE.get(), Stage.RUNNING, self._begun_s)

    def __iter__(self) -> Iterator[Item]:
        display, begun_s = _IN_FORCE.get(), time.monotonic()
        self._begun_s = begun_s
        self._show(display, Stage.BEGUN, begun_s)
        try:
            for item in self._items:
                self._fate = "done"
                yield item
                self._count()
                self._show(display, Stage.RUNNING, begun_s)
        finally:
            self._begun_s = None
            self._show(display, Stage.ENDED, begun_s)

    def _count(self) -> None:
        now = self._counts
        self._counts = Counts(
            done=now.done + (self._fate == "done"),
            failed=now.failed + (self._fate == "failed"),
            excluded=now.excluded + (self._fate == "excluded"),
        )

    def _show(self, display: Progress | None, stage: Stage, begun_s: float) -> None:
        if display is not None:
            task = Task(
                number=id(self),
                stage=stage,
                label=self._label,
                unit=self._unit,
                total=self._total,
                counts=self._counts,
                elapsed_s=time.monotonic() - begun_s,
                parts=self._parts,
            )
            display.show(task)


_IN_FORCE: ContextVar[Progress | None] = ContextVar("metastra_progress", default=None)


def track(
    items: Iterable[Item], *, label: str, total: int | None = None, unit: str = "items"
) -> Track[Item]:
    """Go through items and show how far it is, if anybody asked for it.

    Parameters
    ----------
    items : iterable
        Gone through once.
    label : str
        What is being done.
    total : int, optional
        How many items there are; taken from `items` where that has a length.
    unit : str
        What the items are, in the plural.

    Returns
    -------
    Track
        Give it to ``for``; inside the loop, ``fail()`` and ``exclude()`` tell what became of the
        present item.

    Examples
    --------
    >>> steps = track([1, 2, 3], label="Halving")
    >>> for number in steps:
    ...     if number % 2:
    ...         steps.exclude()
    >>> steps.counts
    Counts(done=1, failed=0, excluded=2)
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    return Track(items, label=label, unit=unit, total=total)


@contextlib.contextmanager
def use_progress(progress: Progress | None) -> Iterator[None]:
    """Show progress inside the block, in this context only.

    Parameters
    ----------
    progress : Progress or None
        A display; None is silence.

    Examples
    --------
    >>> import sys
    >>> from metastra.progress import PlainProgress
    >>> with use_progress(PlainProgress(sys.stdout)):
    ...     squares = [number**2 for number in track([1, 2], label="Squaring")]
    Squaring: 2 of 2 items in 0:00:00
    """
    token = _IN_FORCE.set(progress)
    try:
        yield
    finally:
        _IN_FORCE.reset(token)
