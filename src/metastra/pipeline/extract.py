"""``extract``: loose slides to a folder of feature files, with a summary and a manifest."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metastra.encoders.choice import EncoderChoice
from metastra.encoders.encoder import EncoderCard
from metastra.errors import ConfigError
from metastra.executor import Executor, ProcessPool, with_limits
from metastra.extraction.batch import extract_all
from metastra.extraction.fates import Fates
from metastra.extraction.job import SlideJob, spec_for
from metastra.extraction.naming import name_slides
from metastra.extraction.quarantine import Quarantine
from metastra.extraction.shard import Shard
from metastra.pipeline.encoders_chosen import limits_for, settled
from metastra.pipeline.extract_record import spent
from metastra.pipeline.extract_summary import ExtractSummary, leave_manifest
from metastra.pipeline.qc_review import not_met, review_of
from metastra.pipeline.run_record import run_kept
from metastra.pipeline.several_encoders import TileGroup, passes_told, tile_groups
from metastra.pipeline.slide_regions import regions_of
from metastra.slides.folders import folders_not_entered, slide_files
from metastra.slides.resolution import require_mpp
from metastra.storage import hold, sweep_orphans
from metastra.tiles.grid import TileSpec
from metastra.tissue.geojson import RegionOrigin

__all__ = ["ExtractRequest", "extract", "planned"]

_ORPHAN_AGE_S = 3600.0
"""Of a half file beside which other workers may be at work."""


@dataclass(frozen=True, kw_only=True)
class ExtractRequest:
    """What is to be extracted, and where to.

    Parameters
    ----------
    slides : tuple of Path
        Slides; a folder stands for the files in it.
    out : Path
        Folder of the feature files.
    encoder : str
        Name of the encoder.
    weights, engine : Path or None, str
        Folder of its weights, engine and precision; its own where they are not given.
    also : tuple of EncoderChoice
        More encoders; each one's files then lie in a folder of its name.
    target_mpp, tile_px : float or None, int or None
        Of the tiles; the encoder's own where None.
    slide_mpp : float or None
        Micrometres per level-0 pixel of all these slides, where the files do not say or are wrong.
    region : Path or None
        A GeoJSON file for the one slide, or a folder with a ``.geojson`` named as each slide.
    region_origin : {"qupath", "level0"}
        See `metastra.tissue.geojson.read_region_file`.
    review : Path or None
        A reviewer's decisions, as `metastra qc` reads them; ``qc_review.csv`` in `out` where that
        exists.
    workers : int
        Slides at a time.
    memory_bytes : int or None
        Address space of each worker; what the encoder needs where None.
    wait_s : float
        How long to wait for another process that works in `out`.
    shard : Shard or None
        The share of the slides that is done here, beside others that do theirs; all where None.
    retry_failed : bool
        Try slides again that lost their worker too often.
    """

    slides: tuple[Path, ...]
    out: Path
    encoder: str = "morphology"
    weights: Path | None = None
    engine: str = ""
    also: tuple[EncoderChoice, ...] = ()
    target_mpp: float | None = None
    tile_px: int | None = None
    slide_mpp: float | None = None
    region: Path | None = None
    region_origin: RegionOrigin = "qupath"
    review: Path | None = None
    workers: int = 1
    memory_bytes: int | None = None
    wait_s: float = 0.0
    shard: Shard | None = None
    retry_failed: bool = False

    @property
    def choice(self) -> EncoderChoice:
        """The encoder with its weights and engine."""
        folder = "" if self.weights is None else str(self.weights.absolute())
        return EncoderChoice(name=self.encoder, weights=folder, engine=self.engine)

    @property
    def choices(self) -> tuple[EncoderChoice, ...]:
        """All encoders."""
        return (self.choice, *self.also)

    def told(self) -> dict[str, Any]:
        """Say what was asked for.

        Returns
        -------
        dict
            Plain values, without paths.
        """
        plain = ("target_mpp", "tile_px", "slide_mpp", "workers", "memory_bytes", "retry_failed")
        return {
            "encoders": [{"name": one.name, "engine": one.engine} for one in self.choices],
            **{name: getattr(self, name) for name in plain},
            "regions": self.region is not None,
            "shard": None if self.shard is None else str(self.shard),
        }

    def pool(self, given: Executor | None, tell: Callable[[str], None] | None) -> Executor:
        """Make the executor.

        Parameters
        ----------
        given : Executor or None
            Taken where there is one; child processes of this machine otherwise.
        tell : callable or None
            Told what happens at Ctrl-C.

        Returns
        -------
        Executor
            With the limits of this request.
        """
        limits = limits_for(*self.choices)
        if self.memory_bytes is not None:
            limits = replace(limits, memory_bytes=self.memory_bytes)
        if given is not None:
            return with_limits(given, limits)
        return ProcessPool(workers=self.workers, limits=limits, tell=tell)


def extract(
    request: ExtractRequest,
    *,
    executor: Executor | None = None,
    tell: Callable[[str], None] | None = None,
) -> ExtractSummary:
    """Make the feature files of slides, those that are there and whole left alone.

    Parameters
    ----------
    request : ExtractRequest
        What is to be extracted.
    executor : Executor, optional
        Where slides are worked on; child processes of this machine by default.
    tell : callable, optional
        Told which folders are not entered, which slides of the review were not met, and what
        happens at Ctrl-C.

    Returns
    -------
    ExtractSummary
        With every slide: done, excluded or failed.

    Raises
    ------
    DataError
        SL057 if several slides would share a feature file; QC025 for all slides without a region
        where a folder of regions is given; QC040 and QC042 to QC044 for a review.
    ConfigError
        If an option contradicts another, or there is no slide.
    BusyError
        If another process works in the folder.
    ResourceError, IntegrityError
        If the folder cannot be written to, or its disk is not reliable.
    KeyboardInterrupt
        After Ctrl-C, when the slides at work are finished and the summary is written.
    """
    cards, specs, jobs = planned(request, tell)
    fates = Fates(jobs)
    (card, spec), *others = zip(cards, specs, strict=True)
    summary = ExtractSummary(
        out=request.out,
        card=card,
        spec=spec,
        others=tuple(others),
        fates=fates,
        shard=request.shard,
    )
    executor = Quarantine(
        executor=request.pool(executor, tell),
        folder=request.out,
        step="extract",
        retry=request.retry_failed,
        tell=tell,
    )
    with (
        hold(request.out, wait_s=request.wait_s, shared=request.shard is not None),
        run_kept(request.out, "extract", request.told()) as log,
    ):
        sweep_orphans(request.out, older_than_s=0 if request.shard is None else _ORPHAN_AGE_S)
        with contextlib.ExitStack() as last:
            last.callback(leave_manifest, summary)
            for fate in extract_all(executor, jobs):
                fates.add(fate)
        log.found |= spent(summary)
        log.said = summary.lines()
    digests = [fate.outcome.slide_digest for fate in fates if fate.outcome is not None]
    unknown = not_met(review_of(request.review, request.out), digests)
    if tell is not None and unknown:
        tell(unknown)
    return summary


def planned(
    request: ExtractRequest, tell: Callable[[str], None] | None = None
) -> tuple[list[EncoderCard], list[TileSpec], list[SlideJob]]:
    """Say what there is to be done.

    Parameters
    ----------
    request : ExtractRequest
        What is to be extracted.
    tell : callable, optional
        As for `extract`.

    Returns
    -------
    cards, specs : list of EncoderCard, list of TileSpec
        Of each encoder.
    jobs : list of SlideJob
        A pass over a slide each.

    Raises
    ------
    DataError, ConfigError
        As `extract`.
    """
    require_mpp(request.slide_mpp)
    if tell is not None and (note := folders_not_entered(request.slides)):
        tell(note)
    choices = [settled(one, tell=tell) for one in request.choices]
    cards = [one.card() for one in choices]
    specs = [spec_for(card, request.target_mpp, request.tile_px) for card in cards]
    groups = tile_groups(list(zip(choices, specs, strict=True)))
    if tell is not None and request.also:
        tell(passes_told(groups))
    return cards, specs, _jobs(request, groups)


def _jobs(request: ExtractRequest, groups: Sequence[TileGroup]) -> list[SlideJob]:
    named = name_slides(slide_files(request.slides))
    decisions = review_of(request.review, request.out)
    overridden = tuple(sorted(one.slide for one in decisions if one.override))
    if not named:
        raise ConfigError("no slide was named; give slides, or folders with slides in them")
    if request.shard is not None:
        named = dict(request.shard.part(sorted(named.items())))
    regions = regions_of(request.region, {name: f"{name}.geojson" for name in named})

    folder = str(request.out)

    def job(name: str, group: TileGroup, choice: EncoderChoice) -> SlideJob:
        return SlideJob(
            path=str(named[name]),
            name=name,
            folder=folder,
            prefix=f"{choice.name}/" if request.also else "",
            encoder=choice.name,
            weights=choice.weights,
            engine=choice.engine,
            target_mpp=group.spec.target_mpp,
            tile_px=group.spec.tile_px,
            mpp=request.slide_mpp,
            region=regions.get(name),
            region_origin=request.region_origin,
            overridden=overridden,
            readers=max(1, len(os.sched_getaffinity(0)) // request.workers),
        )

    jobs = []
    for name in named:
        for group in groups:
            first, *also = (job(name, group, choice) for choice in group.choices)
            task = f"{group.label}-{name}" if len(groups) > 1 else ""
            jobs.append(replace(first, also=tuple(also), task=task))
    return jobs
