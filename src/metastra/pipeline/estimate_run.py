"""What a run of a study or an extraction will take, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from metastra.encoders.choice import EncoderChoice
from metastra.errors import IntegrityError, MetastraError
from metastra.executor import Executor
from metastra.extraction.job import SlideJob
from metastra.pipeline.encoders_chosen import limits_for, study_choice
from metastra.pipeline.estimate import Estimate, SlideWork, StageEstimate, slide_work
from metastra.pipeline.extract import ExtractRequest, planned
from metastra.pipeline.features_stage import slide_jobs
from metastra.pipeline.run_record import past_runs
from metastra.pipeline.run_summary import StageResult
from metastra.pipeline.study_slides import has_slides, study_slides
from metastra.pipeline.workshop import Workshop
from metastra.storage import read_record

__all__ = ["estimate_extraction", "estimate_study"]

_SLIDES = ("qc", "features")
_SHEET = 4 / 3
"""Pictures in the contact sheet are text in base64."""
_TABLES_PER_SLIDE = 1_500
"""Bytes of the rows of a slide in the tables, the sheet and the index."""

_DEMO: dict[str, tuple[float, float, int, int]] = {
    # seconds and bytes, each fixed and for a patient, of the demo on two cores
    "cohort": (0.3, 0.0005, 10_000, 150),
    "splits": (0.0, 0.0001, 500, 21),
    "bundle": (0.7, 0.006, 275_000, 25),
    "predictions": (0.5, 0.004, 15_000, 750),
    "evaluation": (2.6, 0.011, 1_700_000, 600),
    "explanation": (7.5, 0.002, 4_900_000, 0),
    "truth": (0.3, 0.002, 9_000, 0),
    "report": (1.9, 0.001, 1_900_000, 450),
}
_NETWORKS = frozenset({"bundle", "predictions"})


def estimate_extraction(
    request: ExtractRequest,
    *,
    executor: Executor | None = None,
    tell: Callable[[str], None] | None = None,
) -> Estimate:
    """Say what an extraction will take.

    Parameters
    ----------
    request : ExtractRequest
        What is to be extracted.
    executor : Executor, optional
        Runs what touches slides; child processes of this machine by default.
    tell : callable, optional
        As for `metastra.pipeline.extract.extract`.

    Returns
    -------
    Estimate
        A stage for each encoder, as if each read the slides by itself: several that share a pass
        take a little less.  A slide that ``metastra qc`` has not assessed in the folder is assessed
        in the first.

    Raises
    ------
    DataError, ConfigError, ResourceError
        As `metastra.pipeline.extract.extract`.
    """
    jobs = planned(request, tell)[2]
    pool = request.pool(executor, None)
    by_choice: dict[EncoderChoice, list[SlideJob]] = {}
    for job in (one for first in jobs for one in (first, *first.also)):
        by_choice.setdefault(job.choice, []).append(replace(job, also=()))
    stages, unreadable = [], 0
    for number, (choice, each) in enumerate(by_choice.items()):
        work = slide_work(pool, each, workers=request.workers)
        seconds = work.features_s + (work.quality_s if number == 0 else 0.0)
        stages.append(
            StageEstimate(
                stage=f"extract {choice.name}",
                slides=work.make,
                tiles=work.tiles,
                seconds=seconds / request.workers + (work.start_s if work.make else 0.0),
                disk_bytes=work.features_bytes,
                rests_on=work.rests_on if work.make else "everything is there",
            )
        )
        unreadable = max(unreadable, work.unreadable)
    return Estimate(stages=tuple(stages), workers=request.workers, unreadable=unreadable)


def estimate_study(work: Workshop, results: Sequence[StageResult]) -> Estimate | None:
    """Say what the stages that would run will take.

    Parameters
    ----------
    work : Workshop
        The study at work.
    results : sequence of StageResult
        Of the dry run.

    Returns
    -------
    Estimate or None
        None where nothing would run or the data are refused.
    """
    names = [item.stage for item in results if item.done == "would run"]
    if not names or work.report.cohort is None:
        return None
    slides: SlideWork | None = None
    lacking = ""
    if set(names) & set(_SLIDES) and has_slides(work):
        try:
            jobs = slide_jobs(work, study_slides(work))
            limits = limits_for(study_choice(work.opened.study))
            pool = work.pool(limits)
            slides = slide_work(pool, jobs, workers=work.workers)
        except MetastraError as error:
            # a dry run tells what would run also where the weights are not here yet
            lacking = str(error).partition("\n")[0]
    stages = []
    for name in names:
        if name not in _SLIDES:
            stages.append(_other(work, name))
        elif slides is None:
            stages.append(StageEstimate(stage=name, rests_on=lacking or "no slides"))
        else:
            stages.append(_quality(slides, work) if name == "qc" else _features(slides, work))
    unreadable = 0 if slides is None else slides.unreadable
    return Estimate(stages=tuple(stages), workers=work.workers, unreadable=unreadable)


def _quality(slides: SlideWork, work: Workshop) -> StageEstimate:
    tables = slides.assess * _TABLES_PER_SLIDE + _SHEET * slides.picture_bytes
    return StageEstimate(
        stage="qc",
        slides=slides.assess,
        seconds=slides.start_s + slides.quality_s / work.workers,
        disk_bytes=round(slides.quality_bytes + tables),
        rests_on=slides.rests_on,
    )


def _features(slides: SlideWork, work: Workshop) -> StageEstimate:
    return StageEstimate(
        stage="features",
        slides=slides.make,
        tiles=slides.tiles,
        seconds=slides.start_s + slides.features_s / work.workers,
        disk_bytes=slides.features_bytes + slides.make * _TABLES_PER_SLIDE // 3,
        rests_on=slides.rests_on,
    )


def _other(work: Workshop, name: str) -> StageEstimate:
    """Take an earlier run of this study, else the demo, by the number of patients."""
    patients, run_dir = len(work.cohort), work.opened.run_dir
    for past in reversed(past_runs(run_dir)):
        if _made(past, name) and past.get("patients"):
            ratio = patients / past["patients"]
            return StageEstimate(
                stage=name,
                seconds=past["stage_seconds"][name] * ratio,
                disk_bytes=_bytes_of(run_dir, name, ratio),
                rests_on=f"the run of {past['began_at']}",
            )
    if name not in _DEMO:
        return StageEstimate(stage=name, rests_on="no earlier run of this study")
    fixed_s, each_s, fixed, each = _DEMO[name]
    seconds: float | None = fixed_s + each_s * patients
    rests_on = f"the demo on two cores, by {patients} patients"
    if name in _NETWORKS and work.opened.study.model.aggregator != "linear":
        seconds, rests_on = None, "networks are trained: not known before a first run"
    return StageEstimate(
        stage=name, seconds=seconds, disk_bytes=fixed + each * patients, rests_on=rests_on
    )


def _made(past: dict[str, Any], name: str) -> bool:
    stages = past.get("stages", [])
    return name in past.get("stage_seconds", {}) and any(
        stage["stage"] == name and stage["done"] == "made" for stage in stages
    )


def _bytes_of(run_dir: Path, name: str, ratio: float) -> int | None:
    try:
        record = read_record(run_dir, name)
    except IntegrityError:
        return None
    if record is None:
        return None
    return round(ratio * sum(file.size for file in record.files.values()))
