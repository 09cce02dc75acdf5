"""The stages of a study: what each is made from, and how it is made."""

from __future__ import annotations

from typing import Any

from metastra.cohort.withdrawn import withdrawn_path
from metastra.pipeline.explain_stage import EXPLANATION_STAGE
from metastra.pipeline.features_stage import (
    features_failed,
    features_files,
    features_lost,
    features_recipe_of_stage,
)
from metastra.pipeline.opening import key_digest
from metastra.pipeline.qc_stage import has_slides_to_assess, qc_failed, qc_files, qc_recipe
from metastra.pipeline.reference_stage import REFERENCE_STAGE
from metastra.pipeline.report_stage import SHOWN_PRODUCTS, report_files, report_recipe
from metastra.pipeline.stages_model import MODEL_STAGES
from metastra.pipeline.study_slides import has_slides
from metastra.pipeline.truth_stage import TRUTH_STAGE
from metastra.pipeline.workshop import Stage, Workshop
from metastra.storage import (
    Parent,
    Recipe,
    csv_bytes,
    file_parent,
    json_bytes,
    product_parent,
    value_parent,
)
from metastra.study.paths import resolve_path

__all__ = ["STAGES"]


def _cohort_recipe(work: Workshop) -> Recipe:
    study, run_dir = work.opened.study, work.opened.run_dir
    parents: dict[str, Parent] = {
        "study": value_parent("study", study.digest),
        # pseudonyms stand in the cohort: another key makes another cohort
        "pseudonyms": value_parent("pseudonym key", key_digest(work.opened.pseudonyms)),
    }
    for section, kind, path in study.tables():
        parents[f"{section.name}/{kind}"] = file_parent(run_dir, resolve_path(study, path))
    withdrawn = withdrawn_path(study)
    if withdrawn is not None and withdrawn.exists():
        parents["withdrawn"] = file_parent(run_dir, withdrawn)
    return Recipe(kind="cohort", parents=parents)


def _cohort_files(work: Workshop) -> dict[str, bytes]:
    frame = work.cohort.frame()
    rows = [
        [None if value != value else _plain(value) for value in row]
        for row in frame.itertuples(index=False, name=None)
    ]
    return {
        "cohort.csv": csv_bytes(list(frame.columns), rows),
        "flow.json": json_bytes(work.report.flow_json()),
        "check.json": json_bytes({"problems": [item.to_json() for item in work.report.problems]}),
    }


def _plain(value: Any) -> Any:
    """Turn numpy scalars into Python's."""
    return value.item() if hasattr(value, "item") else value


def _splits_recipe(work: Workshop) -> Recipe:
    study = work.opened.study
    return Recipe(
        kind="splits",
        parents={"cohort": product_parent(work.opened.run_dir, "cohort")},
        settings={"seed": study.study.seed, **study.validation.model_dump(mode="json")},
    )


def _splits_files(work: Workshop) -> dict[str, bytes]:
    return {"splits.json": work.split.to_json().encode()}


STAGES: tuple[Stage, ...] = (
    Stage(name="cohort", recipe=_cohort_recipe, make=_cohort_files),
    Stage(
        name="qc",
        recipe=qc_recipe,
        make=qc_files,
        needs=("cohort",),
        wanted=has_slides_to_assess,
        failed=qc_failed,
    ),
    Stage(
        name="features",
        recipe=features_recipe_of_stage,
        make=features_files,
        needs=("cohort",),
        wanted=has_slides,
        failed=features_failed,
        lost=features_lost,
    ),
    Stage(name="splits", recipe=_splits_recipe, make=_splits_files, needs=("cohort",)),
    *MODEL_STAGES,
    EXPLANATION_STAGE,
    REFERENCE_STAGE,
    TRUTH_STAGE,
    Stage(
        name="report",
        recipe=report_recipe,
        make=report_files,
        needs=("cohort", "splits"),
        uses=SHOWN_PRODUCTS,
    ),
)
"""In the order in which they run."""
