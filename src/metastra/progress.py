"""Say how far a long step is, to the person in front of it and to nobody else.

Nothing is shown unless somebody asks with `use_progress`, so a library call stays silent.  What is
shown goes to standard error; standard output belongs to data.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, Protocol, TextIO, TypeVar

if TYPE_CHECKING:
    import rich.progress

__all__ = [
    "BarProgress",
    "Counts",
    "PlainProgress",
    "Progress",
    "Stage",
    "Task",
    "Track",
    "automatic_progress",
    "track",
    "use_progress",
]

Item = TypeVar("Item")

_LINE_EVERY_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What became of the items so far; every item is counted exactly once.

    Parameters
    ----------
    done, failed, excluded : int
        Numbers of items.
    """

    done: int = 0
    failed: int = 0
    excluded: int = 0

    @property
    def seen(self) -> int:
        """All items so far: done + failed + excluded."""
        return self.done + self.failed + self.excluded


class Stage(StrEnum):
    """Where a step is on its way."""

    BEGUN = "begun"
    """Nothing is counted yet."""
    RUNNING = "running"
    """One more item was counted."""
    ENDED = "ended"
    """The last word on this step, finished or not."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A step as a display sees it.

    Parameters
    ----------
    number : int
        Tells it from other steps that run at the same time.
    stage : Stage
        Where it is on its way.
    label : str
        What is being done, for instance ``"Reading slides"``.
    unit : str
        What the items are, in the plural.
    total : int or None
        How many items there are; None where that is not known.
    counts : Counts
        What became of them so far.
    elapsed_s : float
        Seconds since the step began.
    """

    number: int
    stage: Stage
    label: str
    unit: str
    total: int | None
    counts: Counts
    elapsed_s: float

    @property
    def remaining_s(self) -> float | None:
        """Seconds to go at the mean pace so far; None while that is not known."""
        if self.total is None or not self.counts.seen:
            return None
        return self.elapsed_s / self.counts.seen * max(self.total - self.counts.seen, 0)

    @property
    def complete(self) -> bool:
        """Whether every item was seen; True where the total is not known."""
        return self.total is None or self.counts.seen >= self.total


class Progress(Protocol):
    """A display of steps; several may run inside one another."""

    def show(self, task: Task) -> None:
        """Show a step.

        Parameters
        ----------
        task : Task
            First begun, then running once per item, at last ended.
        """


class PlainProgress:
    """Lines of text for log files: one every few seconds, and always one at the end.

    Parameters
    ----------
    stream : TextIO, optional
        Standard error when omitted.
    every_s : float
        Shortest time between two lines of a step, in seconds.

    Examples
    --------
    >>> with use_progress(PlainProgress(sys.stdout)):
    ...     for item in (steps := track("ab", label="Reading slides", unit="slides")):
    ...         if item == "b":
    ...             steps.fail()
    Reading slides: 2 of 2 slides in 0:00:00 (1 done, 1 failed)
    """

    def __init__(self, stream: TextIO | None = None, *, every_s: float = _LINE_EVERY_S) -> None:
        self._stream, self._every_s = stream, every_s
        self._last_s: dict[int, float] = {}

    def show(self, task: Task) -> None:
        """Write a line if the last one is old enough or the step has ended.

        Parameters
        ----------
        task : Task
            The step now.
        """
        if task.stage is Stage.ENDED:
            self._last_s.pop(task.number, None)
            stopped = "" if task.complete else ", stopped"
            took = f"{stopped} in {_clock_text(task.elapsed_s)}"
            self._write(f"{_so_far(task)}{took}{_all_text(task.counts)}")
            return
        last_s = self._last_s.setdefault(task.number, task.elapsed_s)
        if task.elapsed_s - last_s >= self._every_s and not task.complete:
            self._last_s[task.number] = task.elapsed_s
            left_s = task.remaining_s
            eta = "" if left_s is None else f", about {_clock_text(left_s)} left"
            self._write(f"{_so_far(task)}{_bad_text(task.counts)}{eta}")

    def _write(self, line: str) -> None:
        # A closed terminal must not end a run of many hours.
        with contextlib.suppress(OSError, ValueError):
            stream = self._stream or sys.stderr
            stream.write(f"{line}\n")
            stream.flush()


class BarProgress:
    """Bars on a terminal, drawn by rich.

    Parameters
    ----------
    stream : TextIO, optional
        Standard error when omitted.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._bars: rich.progress.Progress | None = None
        self._rows: dict[int, rich.progress.TaskID] = {}

    def show(self, task: Task) -> None:
        """Move the bar of a step; a step inside another leaves no bar behind.

        Parameters
        ----------
        task : Task
            The step now.
        """
        if self._bars is None:
            self._bars = _make_bars(self._stream or sys.stderr)
            self._bars.start()
        if task.number not in self._rows:
            self._rows[task.number] = self._bars.add_task(task.label, total=task.total, text="")
        row = self._rows[task.number]
        text = _so_far(task).removeprefix(f"{task.label}: ") + _bad_text(task.counts)
        self._bars.update(row, completed=task.counts.seen, text=text)
        if task.stage is not Stage.ENDED:
            return
        del self._rows[task.number]
        if self._rows:
            self._bars.remove_task(row)
        else:
            self._bars.stop_task(row)
            self._bars.stop()
            self._bars = None


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

    def __iter__(self) -> Iterator[Item]:
        display, begun_s = _IN_FORCE.get(), time.monotonic()
        self._show(display, Stage.BEGUN, begun_s)
        try:
            for item in self._items:
                self._fate = "done"
                yield item
                self._count()
                self._show(display, Stage.RUNNING, begun_s)
        finally:
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
    >>> with use_progress(PlainProgress(sys.stdout)):
    ...     squares = [number**2 for number in track([1, 2], label="Squaring")]
    Squaring: 2 of 2 items in 0:00:00
    """
    token = _IN_FORCE.set(progress)
    try:
        yield
    finally:
        _IN_FORCE.reset(token)


def automatic_progress() -> Progress:
    """Choose a display for this standard error.

    Returns
    -------
    Progress
        Bars on a terminal, lines of text anywhere else.

    Examples
    --------
    >>> display = automatic_progress()
    >>> hasattr(display, "show")
    True
    """
    return BarProgress() if sys.stderr.isatty() else PlainProgress()


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _so_far(task: Task) -> str:
    of = "" if task.total is None else f" of {task.total}"
    return f"{task.label}: {task.counts.seen}{of} {task.unit}"


def _bad_text(counts: Counts) -> str:
    failed = f", {counts.failed} failed" if counts.failed else ""
    return failed + (f", {counts.excluded} excluded" if counts.excluded else "")


def _all_text(counts: Counts) -> str:
    bad = _bad_text(counts)
    return f" ({counts.done} done{bad})" if bad else ""


def _make_bars(stream: TextIO) -> rich.progress.Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[text]}", markup=False),
        TimeRemainingColumn(),
        console=Console(file=stream),
    )
