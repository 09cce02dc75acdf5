"""The stages of a model: bundle, predictions, evaluation."""

from __future__ import annotations

from metastra.bundle.loading import open_bundle
from metastra.bundle.opened import Bundle
from metastra.bundle.predicting import Predicted, predict
from metastra.bundle.writing import refuse_locked
from metastra.cohort.cohort import Cohort
from metastra.pipeline.evaluation_stage import evaluation_files, evaluation_recipe
from metastra.pipeline.external_tables import external_tables
from metastra.pipeline.fold_store import remove_folds
from metastra.pipeline.model_recipes import BUNDLE_DIR, bundle_recipe, fits_slides, no_model
from metastra.pipeline.predictions_table import PredictionRows, predictions_csv
from metastra.pipeline.stages_slides import (
    slide_bundle_recipe,
    slide_bundle_stage,
    slide_predictions_recipe,
    slide_predictions_stage,
)
from metastra.pipeline.workshop import Stage, Workshop
from metastra.storage import Recipe, completeness, product_parent
from metastra.storage.records import finished_record
from metastra.training.clinical import fit_clinical
from metastra.training.clinical_bundle import clinical_bundle_files, risk_task
from metastra.training.clinical_data import ClinicalData
from metastra.training.out_of_fold import OutOfFold, penalty_groups, predict_out_of_fold

__all__ = ["MODEL_STAGES"]


def _of_tables(work: Workshop) -> bool:
    """Whether the study's model reads no slides."""
    return not fits_slides(work)


def _bundle_recipe(work: Workshop) -> Recipe:
    run_dir = work.opened.run_dir
    digests = {name: finished_record(run_dir, name).digest for name in ("cohort", "splits")}
    return bundle_recipe(work.opened.study, digests)


def _bundle_files(work: Workshop) -> dict[str, bytes]:
    run_dir, study = work.opened.run_dir, work.opened.study
    changes = completeness(run_dir, "bundle", _bundle_recipe(work)).reasons
    refuse_locked(run_dir / BUNDLE_DIR, "; ".join(changes) or "it would be fitted again")
    data, task = work.clinical, risk_task(study)
    groups = penalty_groups(work.split, None, data, work.units)
    fit = fit_clinical(data, data.development, groups, task)
    parents = {
        "study": study.digest,
        **{name: finished_record(run_dir, name).digest for name in ("cohort", "splits")},
    }
    files = clinical_bundle_files(study, data, fit, task, parents=parents)
    return {f"{BUNDLE_DIR}/{name}": content for name, content in files.items()}


def _predictions_recipe(work: Workshop) -> Recipe:
    run_dir = work.opened.run_dir
    parents = {name: product_parent(run_dir, name) for name in ("cohort", "splits", "bundle")}
    return Recipe(kind="predictions", parents=parents, settings={"layout": 1})


def _predictions_files(work: Workshop) -> dict[str, bytes]:
    cohort, data = work.cohort, work.clinical
    remove_folds(work.opened.run_dir)
    bundle = open_bundle(work.opened.run_dir / BUNDLE_DIR)
    inside = predict_out_of_fold(data, work.split, work.units, risk_task(work.opened.study))
    outside = _by_bundle(work, bundle)
    rows = _rows(bundle, cohort, data, inside, outside)
    return {"predictions.csv": predictions_csv(rows, cohort)}


def _by_bundle(work: Workshop, bundle: Bundle) -> dict[int, tuple[Predicted, int]]:
    """Predict each cohort that was not fitted on."""
    found: dict[int, tuple[Predicted, int]] = {}
    for rows, table in external_tables(work, bundle):
        made = predict(bundle, table)
        found |= {int(index): (made, place) for place, index in enumerate(rows)}
    return found


def _rows(
    bundle: Bundle,
    cohort: Cohort,
    data: ClinicalData,
    inside: OutOfFold,
    outside: dict[int, tuple[Predicted, int]],
) -> PredictionRows:
    """Put internal (out-of-fold) and external predictions into one table."""
    risks, scores = inside.risks.copy(), inside.scores.copy()
    groups, reasons = list(inside.groups), list(inside.reasons)
    folds: list[str | None] = list(inside.fold)
    notes: list[str | None] = [None] * len(cohort)
    bundles: list[str | None] = [None] * len(cohort)
    for index in range(len(cohort)):
        if index in outside:
            made, place = outside[index]
            risks[index], scores[index] = made.risks[place], made.scores[place]
            groups[index], reasons[index] = made.groups[place], made.reasons[place]
            notes[index], folds[index], bundles[index] = made.notes[place], None, bundle.digest
        elif folds[index] is None:
            reasons[index] = "stands in the test part of no fold"
    return PredictionRows(
        ids=data.keys.tolist(),
        horizons=bundle.contract.horizons,
        risks=risks,
        scores=scores,
        groups=groups,
        reasons=reasons,
        notes=notes,
        folds=folds,
        bundles=bundles,
        cohorts=data.cohorts.tolist(),
    )


MODEL_STAGES: tuple[Stage, ...] = (
    Stage(
        name="bundle",
        recipe=_bundle_recipe,
        make=_bundle_files,
        needs=("cohort", "splits"),
        skip=no_model,
        wanted=_of_tables,
    ),
    Stage(
        name="bundle",
        recipe=slide_bundle_recipe,
        make=slide_bundle_stage,
        needs=("cohort", "features", "splits"),
        skip=no_model,
        wanted=fits_slides,
    ),
    Stage(
        name="predictions",
        recipe=_predictions_recipe,
        make=_predictions_files,
        needs=("cohort", "splits", "bundle"),
        skip=no_model,
        wanted=_of_tables,
    ),
    Stage(
        name="predictions",
        recipe=slide_predictions_recipe,
        make=slide_predictions_stage,
        needs=("cohort", "features", "splits", "bundle"),
        skip=no_model,
        wanted=fits_slides,
    ),
    Stage(
        name="evaluation",
        recipe=evaluation_recipe,
        make=evaluation_files,
        needs=("bundle", "predictions"),
        skip=no_model,
    ),
)
"""In the order in which they run; a study has the stages of tables or those of slides."""
