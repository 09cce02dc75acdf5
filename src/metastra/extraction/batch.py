"""Many slides: each in a child process, each accounted for."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from metastra.catalogue import problem
from metastra.errors import (
    ConfigError,
    DigestMismatch,
    MetastraError,
    ResourceError,
    Where,
)
from metastra.executor import Cause, Executor, Failure, Limits, MadeTasks, Result, Task, hear
from metastra.extraction.job import SlideJob
from metastra.extraction.outcome import SlideOutcome
from metastra.extraction.slide import extract_task
from metastra.extraction.tally import TileTally
from metastra.progress import track

__all__ = ["LIMITS", "SlideFate", "extract_all", "store_error"]

LIMITS = Limits(memory_bytes=4_000_000_000, quiet_s=900.0)
"""Of one slide: 4 GB of address space, and a quarter of an hour without a finished batch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SlideFate:
    """What became of one slide of a batch.

    Parameters
    ----------
    job : SlideJob
        What was to be done.
    outcome : SlideOutcome or None
        None for a failure, and for a slide that was not begun.
    failure : Failure or None
        Why there are no features.
    wall_s : float
        Seconds it took.
    peak_bytes : int
        Highest memory of its process.
    """

    job: SlideJob
    outcome: SlideOutcome | None = None
    failure: Failure | None = None
    wall_s: float = 0.0
    peak_bytes: int = 0

    @property
    def state(self) -> str:
        """``"done"``, ``"excluded"``, ``"failed"`` or ``"not begun"``."""
        if self.failure is not None:
            return "failed"
        if self.outcome is None:
            return "not begun"
        return "excluded" if self.outcome.excluded else "done"

    def each(self) -> tuple[SlideFate, ...]:
        """Tell the encoders of a pass apart.

        Returns
        -------
        tuple of SlideFate
            One for each encoder, without `also`; a failure is that of all.
        """
        if not self.job.also:
            return (self,)
        jobs = (self.job, *self.job.also)
        found: tuple[SlideOutcome | None, ...] = (None,) * len(jobs)
        if self.outcome is not None:
            found = (replace(self.outcome, also=()), *self.outcome.also)
        return tuple(
            replace(self, job=replace(job, also=()), outcome=outcome)
            for job, outcome in zip(jobs, found, strict=True)
        )


def extract_all(executor: Executor, jobs: Sequence[SlideJob]) -> Iterator[SlideFate]:
    """Extract slides; one that fails is named, the rest goes on.

    Parameters
    ----------
    executor : Executor
        Runs them.
    jobs : sequence of SlideJob
        With different keys.

    Yields
    ------
    SlideFate
        One for each slide, as they finish.

    Raises
    ------
    ResourceError, ConfigError, DigestMismatch
        If the store cannot be written to: no other slide would fare better.
    KeyboardInterrupt
        After Ctrl-C, when the slides that were at work are yielded.
    """
    by_key = {job.key: job for job in jobs}
    tasks = MadeTasks(jobs, lambda job: Task(key=job.key, payload=job.to_plain()))
    unit = "passes" if any(job.task for job in jobs) else "slides"
    steps = track(executor.run(extract_task, tasks), label="extract", unit=unit, total=len(tasks))
    tally = TileTally(slides=len(tasks), tell=steps.part)
    with hear(tally.beat):
        for result in steps:
            fate = _fate(by_key[result.key], result)
            if fate.state == "failed":
                steps.fail()
            elif fate.state == "excluded":
                steps.exclude()
            tally.finish(result.key, _tiles_made(fate.outcome))
            yield fate


def _tiles_made(outcome: SlideOutcome | None) -> int:
    """Count the tiles of a pass once, for however many encoders."""
    each = () if outcome is None else (outcome, *outcome.also)
    return max((one.n_tiles for one in each if one.made), default=0)


def _fate(job: SlideJob, result: Result) -> SlideFate:
    if result.failure is not None and (fatal := store_error(result.failure)) is not None:
        raise fatal
    failed = result.failure
    return SlideFate(
        job=job,
        outcome=None if failed else SlideOutcome.from_plain(_without_codes(result.value)),
        failure=None if failed is None else _coded(job, failed),
        wall_s=result.wall_s,
        peak_bytes=result.peak_bytes,
    )


def _without_codes(value: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what was found on the slide: it stands in its quality, and 20,000 are 50 MB."""
    others = [_without_codes(one) for one in value.get("also", ())]
    return {**value, "codes": (), "also": others}


def _coded(job: SlideJob, failure: Failure) -> Failure:
    """Give a failure a code, and the slide the name by which it may be called."""
    problems = failure.problems or (
        problem("SL058", failure.message, where=Where(file=job.shown), hint=failure.hint or None),
    )
    named = tuple(
        replace(
            item,
            where=replace(item.where, file=job.shown),
            found=_masked(job, item.found),
        )
        for item in problems
    )
    return replace(failure, message=_masked(job, failure.message), problems=named)


def _masked(job: SlideJob, text: str) -> str:
    return text.replace(job.path, job.shown).replace(job.source, job.shown)


def store_error(failure: Failure) -> MetastraError | None:
    """Tell trouble with the store, which ends the batch, from trouble with a slide.

    Parameters
    ----------
    failure : Failure
        Of one slide.

    Returns
    -------
    MetastraError or None
        What has to be raised; None where only the slide is concerned.
    """
    if failure.cause is not Cause.REFUSED:
        return None
    if failure.kind == "ResourceError" and failure.errno != errno.ENOMEM:
        return ResourceError(failure.message)
    if failure.kind == "DigestMismatch":
        return DigestMismatch(failure.message)
    if failure.kind == "ConfigError" and not failure.problems:
        return ConfigError(failure.message)
    return None
