"""The stages of the clinical model: bundle, predictions, evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from metastra.bundle.columns import table_in_memory
from metastra.bundle.loading import open_bundle
from metastra.bundle.opened import Bundle
from metastra.bundle.predicting import Predicted, predict
from metastra.bundle.writing import refuse_locked
from metastra.cohort.cohort import Cohort
from metastra.errors import DataError, NotEstimable
from metastra.evaluation.patients import Settings
from metastra.evaluation.request import Request
from metastra.pipeline.evaluate import evaluation_pages, judge
from metastra.pipeline.plan_of_bundle import evaluation_plan
from metastra.pipeline.predictions_table import PredictionRows, predictions_csv
from metastra.pipeline.workshop import Stage, Workshop
from metastra.storage import Origin, Parent, Recipe, completeness, json_bytes, product_parent
from metastra.storage.records import finished_record
from metastra.training.clinical import fit_clinical
from metastra.training.clinical_bundle import clinical_bundle_files, clinical_task
from metastra.training.clinical_data import ClinicalData
from metastra.training.out_of_fold import OutOfFold, penalty_groups, predict_out_of_fold
from metastra.version import VERSION

__all__ = ["BUNDLE_DIR", "MODEL_STAGES", "bundle_recipe"]

BUNDLE_DIR = "bundle"
"""Folder of the bundle in a run."""

_BOOTSTRAP = 1000


def _no_model(work: Workshop) -> str:
    """Say why the study has no clinical model; empty where it has one."""
    study = work.opened.study
    if not study.clinical:
        return "the study declares no predictors under [clinical]"
    if study.endpoint.kind != "survival":
        return f"models are fitted for survival endpoints; this one is {study.endpoint.kind}"
    if not study.endpoint.horizons:
        return "the study declares no horizons"
    return ""


def bundle_recipe(digests: Mapping[str, str]) -> Recipe:
    """Say what the bundle is made from.

    Parameters
    ----------
    digests : mapping of str to str
        Of the products ``cohort`` and ``splits``.

    Returns
    -------
    Recipe
        Of the stage ``bundle``.
    """
    return Recipe(
        kind="bundle",
        parents={
            name: Parent(origin=Origin.PRODUCT, ref=name, digest=digest)
            for name, digest in digests.items()
        },
        settings={"model": "clinical", "layout": 1},
    )


def _bundle_recipe(work: Workshop) -> Recipe:
    run_dir = work.opened.run_dir
    return bundle_recipe(
        {name: finished_record(run_dir, name).digest for name in ("cohort", "splits")}
    )


def _bundle_files(work: Workshop) -> dict[str, bytes]:
    run_dir, study = work.opened.run_dir, work.opened.study
    changes = completeness(run_dir, "bundle", _bundle_recipe(work)).reasons
    refuse_locked(run_dir / BUNDLE_DIR, "; ".join(changes) or "it would be fitted again")
    data, task = work.clinical, clinical_task(study)
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
    bundle = open_bundle(work.opened.run_dir / BUNDLE_DIR)
    inside = predict_out_of_fold(data, work.split, work.units, clinical_task(work.opened.study))
    outside = _by_bundle(bundle, cohort, data)
    rows = _rows(bundle, cohort, data, inside, outside)
    return {"predictions.csv": predictions_csv(rows, cohort)}


def _by_bundle(
    bundle: Bundle, cohort: Cohort, data: ClinicalData
) -> dict[int, tuple[Predicted, int]]:
    """Predict each cohort that was not fitted on, in its own decimal mark."""
    names = [predictor.name for predictor in bundle.contract.predictors]
    found: dict[int, tuple[Predicted, int]] = {}
    for section in cohort.study.cohort:
        at = np.flatnonzero((cohort.cohort_names == section.name) & ~data.development)
        if not at.size:
            continue
        table = table_in_memory(
            [cohort.patients[index].values for index in at],
            names,
            name=section.clini_table,
            decimal=section.clini_format.decimal,
        )
        made = predict(bundle, table)
        found |= {int(index): (made, place) for place, index in enumerate(at)}
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


def _evaluation_recipe(work: Workshop) -> Recipe:
    run_dir = work.opened.run_dir
    return Recipe(
        kind="evaluation",
        parents={name: product_parent(run_dir, name) for name in ("bundle", "predictions")},
        settings={
            "bootstrap": _BOOTSTRAP,
            "seed": work.opened.study.study.seed,
            "metastra": VERSION,
        },
    )


def _evaluation_files(work: Workshop) -> dict[str, bytes]:
    run_dir, study = work.opened.run_dir, work.opened.study
    bundle = open_bundle(run_dir / BUNDLE_DIR)
    cuts = bundle.contract.cutpoints
    request = Request(
        predictions=run_dir / "predictions.csv",
        time="time",
        event="event",
        entry=None if work.cohort.entry_days is None else "entry",
        cohort="cohort",
        risks=("risk",),
        risk_score="risk_score",
        horizons=bundle.contract.horizons,
        time_unit=study.endpoint.time_unit,
    )
    settings = Settings(
        plan=evaluation_plan(bundle, study),
        bootstrap=_BOOTSTRAP,
        seed=study.study.seed,
        cutpoints=cuts.values if cuts else (),
        cutpoint_horizon=cuts.horizon if cuts else None,
    )
    try:
        judged = judge(request, settings).evaluation
    except DataError as error:
        said = "; ".join(one.found for one in error.problems) or str(error)
        raise NotEstimable(f"the predictions cannot be judged: {said}") from error
    evaluation = replace(judged, document=_told_apart(judged.to_json(), work, bundle))
    pages = {f"report/{name}": data for name, data in evaluation_pages(evaluation).items()}
    return {"evaluation.json": json_bytes(evaluation.to_json())} | pages


def _told_apart(document: dict[str, Any], work: Workshop, bundle: Bundle) -> dict[str, Any]:
    """Say of each cohort by which model its patients were predicted."""
    roles = {section.name: section.role for section in work.opened.study.cohort}
    kinds = {}
    for name, part in document["cohorts"].items():
        outside = roles[name] != "development"
        part["bundle"] = bundle.digest if outside else None
        if not outside:
            part["bundle_reason"] = (
                "predicted by models that were fitted without the patient's fold"
            )
        kinds[name] = f"{roles[name]}: bundle" if outside else "internal: out of fold"
    return {**document, "validation": kinds, "locked": bundle.locked}


MODEL_STAGES: tuple[Stage, ...] = (
    Stage(
        name="bundle",
        recipe=_bundle_recipe,
        make=_bundle_files,
        needs=("cohort", "splits"),
        skip=_no_model,
    ),
    Stage(
        name="predictions",
        recipe=_predictions_recipe,
        make=_predictions_files,
        needs=("cohort", "splits", "bundle"),
        skip=_no_model,
    ),
    Stage(
        name="evaluation",
        recipe=_evaluation_recipe,
        make=_evaluation_files,
        needs=("bundle", "predictions"),
        skip=_no_model,
    ),
)
"""In the order in which they run."""
