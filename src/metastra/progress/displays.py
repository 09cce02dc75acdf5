"""The displays: bars on a terminal, lines of text anywhere else."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, TextIO

from metastra.progress.steps import Counts, Parts, Progress, Stage, Task

if TYPE_CHECKING:
    import rich.progress

__all__ = ["BarProgress", "PlainProgress", "automatic_progress"]

_LINE_EVERY_S = 5.0


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
    >>> from metastra.progress import track, use_progress
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
        done: float = task.counts.seen
        total: float | None = task.total
        if task.parts is not None and task.parts.total:
            done, total = task.parts.done, task.parts.total
        self._bars.update(row, completed=done, total=total, text=text)
        if task.stage is not Stage.ENDED:
            return
        del self._rows[task.number]
        if self._rows:
            self._bars.remove_task(row)
        else:
            self._bars.stop_task(row)
            self._bars.stop()
            self._bars = None


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
    return f"{task.label}: {task.counts.seen}{of} {task.unit}{_parts_text(task.parts)}"


def _parts_text(parts: Parts | None) -> str:
    if parts is None or not (parts.done or parts.total):
        return ""
    about = "about " if parts.estimated else ""
    of = "" if parts.total is None else f" of {about}{parts.total:,.0f}"
    return f", {parts.done:,.0f}{of} {parts.unit}"


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
