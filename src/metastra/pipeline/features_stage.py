"""The stage ``features``: each slide of the study to its feature file, each accounted for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metastra.encoders.choice import EncoderChoice
from metastra.errors import IntegrityError
from metastra.extraction.batch import SlideFate, extract_all
from metastra.extraction.job import SlideJob, spec_for
from metastra.extraction.slide import QUALITY_RULE
from metastra.features.store import RUN_PREFIX, FeatureStore
from metastra.pipeline.encoder_leakage import refuse_external_in_training
from metastra.pipeline.encoders_chosen import limits_for, study_card, study_choice
from metastra.pipeline.qc_review import REVIEW, review_of
from metastra.pipeline.study_slides import StudySlide, slides_parent_digest, study_slides
from metastra.pipeline.workshop import Workshop
from metastra.storage import (
    Depth,
    Recipe,
    file_parent,
    json_bytes,
    product_parent,
    read_product_json,
    value_parent,
)
from metastra.tiles.grid import TileSpec

__all__ = [
    "extract_slides",
    "features_failed",
    "features_files",
    "features_lost",
    "features_recipe_of_stage",
    "slide_jobs",
]

_INDEX = "features.json"


def features_recipe_of_stage(work: Workshop) -> Recipe:
    """State what the features are made from.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    Recipe
        Of the index; each feature file has a record of its own.

    Raises
    ------
    DigestMismatch
        If the weights are not those that the study file states, or those of the features that are
        there.
    """
    section = work.opened.study.slides
    run_dir = work.opened.run_dir
    card = study_card(work.opened.study, run_dir)
    parents = {
        "cohort": product_parent(run_dir, "cohort"),
        "slides": value_parent("slides", slides_parent_digest(work, study_slides(work))),
        "encoder": value_parent("encoder", card.digest),
    }
    if (run_dir / REVIEW).is_file():
        parents["review"] = file_parent(run_dir, run_dir / REVIEW)
    return Recipe(
        kind="features-index",
        parents=parents,
        settings={
            "target_mpp": section.target_mpp,
            "tile_px": section.tile_px,
            "quality": QUALITY_RULE,
        },
    )


def features_files(work: Workshop) -> dict[str, bytes]:
    """Make the feature files that are missing or stale, and the index of all.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    dict of str to bytes
        The index; the feature files are products of their own.

    Raises
    ------
    ConfigError
        If the tiling is not the encoder's.
    DataError
        LK008 if the encoder was trained on a slide of an external or temporal cohort.
    ResourceError, IntegrityError, KeyboardInterrupt
        As `metastra.extraction.batch.extract_all`.
    """
    slides = study_slides(work)
    by_name = extract_slides(work, slides)
    rows = [_row(slide, by_name[slide.name]) for slide in slides]
    refuse_external_in_training(work.opened.study, rows)
    states = [row["state"] for row in rows]
    counts = {state: states.count(state) for state in ("done", "excluded", "failed")}
    card = study_choice(work.opened.study, work.opened.run_dir).card()
    index = {"encoder": card.to_json(), "quality": QUALITY_RULE, "counts": counts, "slides": rows}
    return {_INDEX: json_bytes(index)}


def extract_slides(work: Workshop, slides: Sequence[StudySlide]) -> dict[str, SlideFate]:
    """Make the feature files of some slides of a study, those that are whole left alone.

    Parameters
    ----------
    work : Workshop
        The study at work.
    slides : sequence of StudySlide
        Some or all.

    Returns
    -------
    dict of str to SlideFate
        One for each, by its name.

    Raises
    ------
    ConfigError, ResourceError, IntegrityError, KeyboardInterrupt
        As `features_files`.
    """
    executor = work.careful("extract", limits_for(study_choice(work.opened.study)))
    return {fate.job.name: fate for fate in extract_all(executor, slide_jobs(work, slides))}


def slide_jobs(work: Workshop, slides: Sequence[StudySlide]) -> list[SlideJob]:
    """Say what is to be done for slides of a study.

    Parameters
    ----------
    work : Workshop
        The study at work.
    slides : sequence of StudySlide
        Some or all.

    Returns
    -------
    list of SlideJob
        In the order of the slides.

    Raises
    ------
    ConfigError
        If the tiling is not the encoder's, or its weights are not here.
    """
    decisions = review_of(None, work.opened.run_dir)
    overridden = tuple(sorted(one.slide for one in decisions if one.override))
    choice = study_choice(work.opened.study, work.opened.run_dir)
    section = work.opened.study.slides
    spec = spec_for(choice.card(), section.target_mpp, section.tile_px)
    return [_job(work, slide, choice, spec, overridden) for slide in slides]


def features_failed(work: Workshop) -> int:
    """Count the slides that failed when the stage last ran.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    int
        0 where the stage never ran.
    """
    try:
        index: Mapping[str, Any] = read_product_json(work.opened.run_dir, "features")
    except IntegrityError:
        return 0
    return int(index["counts"]["failed"])


def features_lost(work: Workshop) -> tuple[str, ...]:
    """Look whether every file that the index names is there, with its size.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    tuple of str
        How many are missing or changed; empty where none is, or there is no index.
    """
    try:
        index: Mapping[str, Any] = read_product_json(work.opened.run_dir, "features")
    except IntegrityError:
        return ()
    store = FeatureStore(work.opened.run_dir, RUN_PREFIX)
    lost = [
        row["slide"]
        for row in index["slides"]
        if "features" in row and not store.state(row["slide"], depth=Depth.SIZE)
    ]
    return (f"{len(lost)} feature files are missing or changed",) if lost else ()


def _job(
    work: Workshop,
    slide: StudySlide,
    choice: EncoderChoice,
    spec: TileSpec,
    overridden: tuple[str, ...],
) -> SlideJob:
    return SlideJob(
        path=str(slide.path),
        name=slide.name,
        shown=slide.name,
        folder=str(work.opened.run_dir),
        prefix=RUN_PREFIX,
        encoder=choice.name,
        weights=choice.weights,
        engine=choice.engine,
        target_mpp=spec.target_mpp,
        tile_px=spec.tile_px,
        mpp=slide.mpp,
        mpp_source=slide.mpp_source,
        is_features=slide.is_features,
        stain=slide.stain,
        region=None if slide.region is None else str(slide.region),
        region_origin=slide.region_origin,
        overridden=overridden,
    )


def _row(slide: StudySlide, fate: SlideFate) -> dict[str, Any]:
    row: dict[str, Any] = {
        "slide": slide.name,
        "patient": slide.patient,
        "cohort": slide.cohort,
        "state": fate.state,
    }
    outcome, failure = fate.outcome, fate.failure
    if outcome is not None:
        row |= {
            "features": Path(RUN_PREFIX, f"{outcome.name}.h5").as_posix(),
            "n_tiles": outcome.n_tiles,
            "n_grid": outcome.n_grid,
            "dropped": dict(sorted(outcome.dropped.items())),
            "excluded": outcome.excluded or None,
            "mpp": list(outcome.mpp) if outcome.mpp else None,
            "slide_digest": outcome.slide_digest,
            "digest": outcome.digest,
        }
    if failure is not None:
        row["problems"] = [item.to_json() for item in failure.problems]
    return row
