"""What became of each slide of a batch, kept as a line of text for each: a few hundred bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any, overload

from metastra.executor.causes import failure_from_plain, failure_to_plain
from metastra.extraction.batch import SlideFate
from metastra.extraction.job import SlideJob
from metastra.extraction.outcome import SlideOutcome

__all__ = ["Fates"]

_NAMES = tuple(item.name for item in fields(SlideOutcome) if item.name != "also")


class Fates(Sequence[SlideFate]):
    """The fates of a batch in the order of its jobs; each is put together when it is asked for.

    Parameters
    ----------
    jobs : sequence of SlideJob
        With different keys; a job without a fate was not begun.

    Examples
    --------
    >>> fates = Fates([SlideJob(path="a.svs", name="a", folder="out", encoder="morphology")])
    >>> fates[0].state
    'not begun'
    >>> fates.add(SlideFate(job=fates[0].job, wall_s=1.5))
    >>> [fate.wall_s for fate in fates]
    [1.5]
    """

    def __init__(self, jobs: Sequence[SlideJob]) -> None:
        self._jobs = jobs
        self._places = {job.key: place for place, job in enumerate(jobs)}
        self._lines: list[bytes | None] = [None] * len(jobs)

    def add(self, fate: SlideFate) -> None:
        """Keep what became of a slide.

        Parameters
        ----------
        fate : SlideFate
            Of one of the jobs.

        Raises
        ------
        KeyError
            If it is of none of them.
        """
        outcome, failure = fate.outcome, fate.failure
        kept = [
            None if outcome is None else _values(outcome),
            None if failure is None else failure_to_plain(failure),
            fate.wall_s,
            fate.peak_bytes,
        ]
        line = json.dumps(kept, separators=(",", ":"))
        self._lines[self._places[fate.job.key]] = line.encode("ascii")

    def __len__(self) -> int:
        return len(self._jobs)

    @overload
    def __getitem__(self, at: int) -> SlideFate: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[SlideFate, ...]: ...

    def __getitem__(self, at: int | slice) -> SlideFate | tuple[SlideFate, ...]:
        if isinstance(at, slice):
            return tuple(map(_read, self._jobs[at], self._lines[at]))
        return _read(self._jobs[at], self._lines[at])

    def __iter__(self) -> Iterator[SlideFate]:
        return map(_read, self._jobs, self._lines)


def _read(job: SlideJob, line: bytes | None) -> SlideFate:
    if line is None:
        return SlideFate(job=job)
    outcome, failure, wall_s, peak_bytes = json.loads(line)
    return SlideFate(
        job=job,
        outcome=outcome and SlideOutcome.from_plain(_plain(outcome)),
        failure=failure and failure_from_plain(failure),
        wall_s=wall_s,
        peak_bytes=peak_bytes,
    )


def _values(outcome: SlideOutcome) -> list[Any]:
    """List the values of an outcome, those of the other encoders last."""
    return [*(getattr(outcome, name) for name in _NAMES), [_values(one) for one in outcome.also]]


def _plain(values: list[Any]) -> dict[str, Any]:
    """Name the values again."""
    *own, also = values
    return {**dict(zip(_NAMES, own, strict=True)), "also": [_plain(one) for one in also]}
