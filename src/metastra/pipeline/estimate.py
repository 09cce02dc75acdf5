"""How long slides will take and how much disk, before a run: looked at, measured, added up.

The header of every slide tells its grid.  A few slides, chosen evenly by their size, go the whole
way in a folder of their own, as many at a time as in the run: that tells which share of a grid is
kept, the seconds of each step here and now, and the bytes of each file.  Nothing is written to the
run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from metastra.errors import ConfigError
from metastra.executor import Executor, Task
from metastra.extraction.job import SlideJob
from metastra.pipeline.estimate_task import bytes_of_row, look_task, measure_task

__all__ = ["Estimate", "SlideWork", "StageEstimate", "slide_work"]

_SAMPLED = 8
_SECONDS = 1.0
_NOTE_BYTES = 220
"""Of the note of a slide's digest."""
_TAKING_S_PER_BYTE = 2e-8
"""Reading, checking and writing a feature file of another program: 50 MB a second."""


@dataclass(frozen=True, kw_only=True)
class StageEstimate:
    """What a stage will take.

    Parameters
    ----------
    stage : str
        Its name.
    slides, tiles : int
        That it works on; 0 for a stage without slides.
    seconds : float or None
        Elapsed; None where nothing is known.
    disk_bytes : int or None
        That it will leave; None where nothing is known.
    rests_on : str
        What the figures come from.
    """

    stage: str
    slides: int = 0
    tiles: int = 0
    seconds: float | None = None
    disk_bytes: int | None = None
    rests_on: str = ""

    def line(self) -> str:
        """Say it in a line.

        Returns
        -------
        str
            For a person.
        """
        parts = [f"{self.slides} slides"] if self.slides else []
        parts += [f"{self.tiles:,} tiles"] if self.tiles else []
        time_told = "time not known" if self.seconds is None else _clock(self.seconds)
        disk = "disk not known" if self.disk_bytes is None else _size(self.disk_bytes)
        return f"{', '.join([*parts, time_told, disk])}  ({self.rests_on})"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run will take.

    Parameters
    ----------
    stages : tuple of StageEstimate
        Those that would run.
    workers : int
        Slides at a time.
    unreadable : int
        Slides whose header could not be read; they are counted with nothing.
    """

    stages: tuple[StageEstimate, ...]
    workers: int
    unreadable: int = 0

    @property
    def seconds(self) -> float:
        """Elapsed time of the stages of which it is known."""
        return sum(stage.seconds or 0.0 for stage in self.stages)

    @property
    def disk_bytes(self) -> int:
        """Bytes of the stages of which they are known."""
        return sum(stage.disk_bytes or 0 for stage in self.stages)

    def lines(self) -> list[str]:
        """Say what is to be expected, a line for each stage.

        Returns
        -------
        list of str
            For a person.
        """
        if not self.stages:
            return []
        width = max(len(stage.stage) for stage in self.stages)
        lines = [f"estimate with {self.workers} slides at a time:"]
        lines += [f"  {stage.stage:<{width}}  {stage.line()}" for stage in self.stages]
        unknown = [stage.stage for stage in self.stages if stage.seconds is None]
        without = f", without {', '.join(unknown)}" if unknown else ""
        lines.append(
            f"  {'in all':<{width}}  {_clock(self.seconds)}, {_size(self.disk_bytes)}{without}"
        )
        if self.unreadable:
            lines.append(f"  {self.unreadable} slides could not be opened and are not counted")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Write the estimate as plain values.

        Returns
        -------
        dict
            Strict JSON.
        """
        return {
            "workers": self.workers,
            "seconds": round(self.seconds, 1),
            "disk_bytes": self.disk_bytes,
            "unreadable_slides": self.unreadable,
            "stages": [
                {
                    "stage": stage.stage,
                    "slides": stage.slides,
                    "tiles": stage.tiles,
                    "seconds": None if stage.seconds is None else round(stage.seconds, 1),
                    "disk_bytes": stage.disk_bytes,
                    "rests_on": stage.rests_on,
                }
                for stage in self.stages
            ],
        }


@dataclass(frozen=True, kw_only=True)
class SlideWork:
    """What slides of a batch will take, added up.

    Parameters
    ----------
    assess, make : int
        Slides to be assessed; slides whose features are to be made.
    tiles : int
        To be read and encoded.
    quality_s, features_s : float
        Seconds of work, summed over the slides.
    quality_bytes, picture_bytes, features_bytes : int
        On the disk.
    start_s : float
        Until the first worker is at work.
    unreadable : int
        Slides that could not be opened, and of those that were tried the ones that failed.
    rests_on : str
        What was measured.
    """

    assess: int
    make: int
    tiles: int
    quality_s: float
    features_s: float
    quality_bytes: int
    picture_bytes: int
    features_bytes: int
    start_s: float
    unreadable: int
    rests_on: str


def slide_work(executor: Executor, jobs: Sequence[SlideJob], *, workers: int) -> SlideWork:
    """Look at all slides, measure a few, and add up.

    Parameters
    ----------
    executor : Executor
        Runs what touches slides.
    jobs : sequence of SlideJob
        With different names.
    workers : int
        Slides at a time.

    Returns
    -------
    SlideWork
        Of the slides whose features are not there.

    Raises
    ------
    ConfigError
        If none of the slides that were tried could be worked on.
    """
    begun_s = time.monotonic()
    results = list(executor.run(look_task, [_task(job, job.to_plain()) for job in jobs]))
    looking_s = sum(result.wall_s for result in results) / workers
    start_s = max(0.0, time.monotonic() - begun_s - looking_s)
    looked = {result.key: result.value for result in results if result.failure is None}
    todo = [job for job in jobs if job.name in looked and not looked[job.name]["stands"]]
    own = [job for job in todo if not job.is_features]
    own.sort(key=lambda job: (looked[job.name]["grid"], job.name))
    chosen = [own[(2 * k + 1) * len(own) // (2 * _SAMPLED)] for k in range(_SAMPLED)] if own else []
    sample = {job.name: job for job in chosen}.values()
    tasks = [_task(job, {"job": job.to_plain(), "seconds": _SECONDS}) for job in sample]
    tried = list(executor.run(measure_task, tasks))
    measured = [one.value for one in tried if one.failure is None]
    failed = [f"{one.key}: {one.failure}" for one in tried if one.failure is not None]
    if failed and not measured:
        raise ConfigError(
            f"nothing can be estimated: none of the {len(failed)} slides that were tried could be "
            f"worked on; {failed[0]}"
        )
    unreadable = len(results) - len(looked) + len(failed)
    return _added(jobs, looked, todo, measured, start_s, unreadable)


def _task(job: SlideJob, payload: dict[str, Any]) -> Task:
    return Task(key=job.name, payload={"path": job.path, **payload})


def _added(
    jobs: Sequence[SlideJob],
    looked: dict[str, dict[str, Any]],
    todo: Sequence[SlideJob],
    measured: Sequence[dict[str, Any]],
    start_s: float,
    unreadable: int,
) -> SlideWork:
    """Add up: what is known slide by slide, what is not by the sample's means and ratios."""
    own = [looked[job.name] for job in todo if not job.is_features]
    taken = [looked[job.name] for job in todo if job.is_features]
    unknown = [one for one in own if one["tiles"] is None]
    share = _ratio(measured, lambda one: one["tiles"], lambda one: one["grid"])
    tiles = sum(one["tiles"] or 0 for one in own) + share * sum(one["grid"] for one in unknown)
    tile_s = _ratio(
        measured,
        lambda one: sum(one["seconds"].get(step, 0.0) for step in ("waiting", "encoding")),
        lambda one: one["timed_tiles"],
    )
    mean = {
        step: _mean([one["seconds"].get(step, 0.0) for one in measured])
        for step in ("quality", "keeping quality", "writing")
    }
    row = bytes_of_row(todo[0].choice.card().dimension) if todo else 0
    files = len(own) * _mean([one["file_bytes"] + _NOTE_BYTES for one in measured])
    copied = sum(one["bytes"] for one in taken)
    seconds = len(own) * mean["writing"] + tiles * tile_s + copied * _TAKING_S_PER_BYTE
    return SlideWork(
        assess=len(unknown),
        make=len(todo),
        tiles=round(tiles) + sum(one["tiles"] for one in taken),
        quality_s=len(unknown) * (mean["quality"] + mean["keeping quality"]),
        features_s=seconds,
        quality_bytes=round(len(unknown) * _mean([one["quality_bytes"] for one in measured])),
        picture_bytes=round(len(unknown) * _mean([one["picture_bytes"] for one in measured])),
        features_bytes=round(tiles * row + files + copied),
        start_s=start_s,
        unreadable=unreadable,
        rests_on=_told(len(jobs), measured, share, tile_s) if own else "the sizes of the files",
    )


def _told(n: int, measured: Sequence[dict[str, Any]], share: float, tile_s: float) -> str:
    timed = sum(one["timed_tiles"] for one in measured)
    return (
        f"headers of {n} slides; {len(measured)} measured here: {share:.0%} of the grid kept, "
        f"{1e3 * tile_s:.1f} ms a tile over {timed} tiles"
    )


def _ratio(measured: Sequence[dict[str, Any]], above: Any, below: Any) -> float:
    under = sum(below(one) for one in measured)
    return sum(above(one) for one in measured) / under if under else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _size(n_bytes: int) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes / 1e3:.0f} kB"
