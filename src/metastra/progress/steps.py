"""What is said of a step on its way: counts, parts, time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

__all__ = ["Counts", "Parts", "Progress", "Stage", "Task"]


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
class Parts:
    """How far a step is in something finer than its items, for instance in tiles of slides.

    Parameters
    ----------
    done : float
        Parts that are through.
    total : float or None
        Of all items; None while nothing is known of it.
    unit : str
        What they are, in the plural.
    estimated : bool
        Whether the total is reckoned from the items that were begun.
    """

    done: float
    total: float | None
    unit: str
    estimated: bool = False


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
    parts : Parts or None
        How far it is in something finer, where somebody counts that.
    """

    number: int
    stage: Stage
    label: str
    unit: str
    total: int | None
    counts: Counts
    elapsed_s: float
    parts: Parts | None = None

    @property
    def remaining_s(self) -> float | None:
        """Seconds to go at the mean pace so far, of parts where these are counted.

        None while that is not known.
        """
        parts = self.parts
        if parts is not None and parts.total is not None and parts.done > 0:
            return self.elapsed_s / parts.done * max(parts.total - parts.done, 0.0)
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
