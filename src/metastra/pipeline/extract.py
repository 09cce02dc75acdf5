"""``extract``: loose slides to a folder of feature files, with a summary and a manifest."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from metastra.encoders.choice import EncoderChoice
from metastra.errors import ConfigError
from metastra.executor import Executor, ProcessPool
from metastra.extraction.batch import SlideFate, extract_all
from metastra.extraction.job import SlideJob, spec_for
from metastra.extraction.naming import name_slides
from metastra.extraction.quarantine import Quarantine
from metastra.extraction.shard import Shard
from metastra.pipeline.encoders_chosen import limits_for, settled
from metastra.pipeline.extract_summary import ExtractSummary, leave_manifest
from metastra.pipeline.qc_review import not_met, review_of
from metastra.pipeline.slide_regions import regions_of
from metastra.slides.folders import folders_not_entered, slide_files
from metastra.slides.resolution import require_mpp
from metastra.storage import hold, sweep_orphans
from metastra.tiles.grid import TileSpec
from metastra.tissue.geojson import RegionOrigin

__all__ = ["ExtractRequest", "extract"]

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

    def pool(self, tell: Callable[[str], None] | None) -> ProcessPool:
        """Make the executor.

        Parameters
        ----------
        tell : callable or None
            Told what happens at Ctrl-C.

        Returns
        -------
        ProcessPool
            With the limits of this request.
        """
        limits = limits_for(self.choice)
        if self.memory_bytes is not None:
            limits = replace(limits, memory_bytes=self.memory_bytes)
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
    require_mpp(request.slide_mpp)
    if tell is not None and (note := folders_not_entered(request.slides)):
        tell(note)
    request = replace(request, engine=settled(request.choice, tell=tell).engine)
    card = request.choice.card()
    spec = spec_for(card, request.target_mpp, request.tile_px)
    jobs = _jobs(request, spec)
    fates: dict[str, SlideFate] = {}

    def summary() -> ExtractSummary:
        ordered = tuple(fates.get(job.name, SlideFate(job=job)) for job in jobs)
        return ExtractSummary(
            out=request.out, card=card, spec=spec, fates=ordered, shard=request.shard
        )

    executor = Quarantine(
        executor=executor or request.pool(tell),
        folder=request.out,
        step="extract",
        retry=request.retry_failed,
        tell=tell,
    )
    with hold(request.out, wait_s=request.wait_s, shared=request.shard is not None):
        sweep_orphans(request.out, older_than_s=0 if request.shard is None else _ORPHAN_AGE_S)
        with contextlib.ExitStack() as last:
            last.callback(lambda: leave_manifest(summary()))
            for fate in extract_all(executor, jobs):
                fates[fate.job.name] = fate
    digests = [fate.outcome.slide_digest for fate in fates.values() if fate.outcome is not None]
    unknown = not_met(review_of(request.review, request.out), digests)
    if tell is not None and unknown:
        tell(unknown)
    return summary()


def _jobs(request: ExtractRequest, spec: TileSpec) -> list[SlideJob]:
    named = name_slides(slide_files(request.slides))
    decisions = review_of(request.review, request.out)
    overridden = tuple(sorted(one.slide for one in decisions if one.override))
    if not named:
        raise ConfigError("no slide was named; give slides, or folders with slides in them")
    if request.shard is not None:
        named = dict(request.shard.part(sorted(named.items())))
    regions = regions_of(request.region, {name: f"{name}.geojson" for name in named})
    return [
        SlideJob(
            path=str(path),
            name=name,
            folder=str(request.out),
            encoder=request.choice.name,
            weights=request.choice.weights,
            engine=request.choice.engine,
            target_mpp=spec.target_mpp,
            tile_px=spec.tile_px,
            mpp=request.slide_mpp,
            region=regions.get(name),
            region_origin=request.region_origin,
            overridden=overridden,
            readers=max(1, len(os.sched_getaffinity(0)) // request.workers),
        )
        for name, path in named.items()
    ]
