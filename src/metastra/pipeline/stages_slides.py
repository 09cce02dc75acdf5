"""Bundle and predictions of a study whose model reads slides."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.loading import open_bundle
from metastra.bundle.opened import Bundle
from metastra.bundle.predicting import Predicted, predict
from metastra.bundle.slide_parts import MODELS
from metastra.bundle.slide_reading import read_patients
from metastra.bundle.writing import refuse_locked
from metastra.errors import IntegrityError, NotEstimable
from metastra.pipeline.external_tables import external_tables
from metastra.pipeline.fold_store import out_of_fold
from metastra.pipeline.model_recipes import BUNDLE_DIR, bundle_recipe, fits_slides, no_model
from metastra.pipeline.predictions_table import PredictionRows, predictions_csv
from metastra.pipeline.workshop import Workshop
from metastra.storage import Recipe, completeness, json_bytes, product_parent, read_record
from metastra.storage.records import finished_record
from metastra.training.clinical_bundle import risk_task
from metastra.training.fold_models import FoldPrediction
from metastra.training.out_of_fold import penalty_groups
from metastra.training.risk_models import fit_risk_models
from metastra.training.slide_bundle import slide_bundle_files, slide_task
from metastra.training.slide_network import require_torch

__all__ = [
    "DECISIONS",
    "require_learner",
    "slide_bundle_recipe",
    "slide_bundle_stage",
    "slide_predictions_recipe",
    "slide_predictions_stage",
]

DECISIONS = "models.json"
"""What was chosen in every fold and for the bundle; part of the product ``predictions``."""

_PARENTS = ("cohort", "features", "splits")


def require_learner(work: Workshop, chosen: Collection[str]) -> None:
    """Ask for torch before hours are spent on slides, where a run will train networks.

    Parameters
    ----------
    work : Workshop
        The study at work.
    chosen : collection of str
        Stages that may run.

    Raises
    ------
    MissingExtra
        With the command that installs it.
    """
    trains = fits_slides(work) and not no_model(work)
    first = read_record(work.opened.run_dir, "bundle") is None
    if trains and first and "bundle" in chosen and work.opened.study.model.aggregator != "linear":
        require_torch()


def slide_bundle_recipe(work: Workshop) -> Recipe:
    """Say what the bundle is made from.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    Recipe
        With cohort, features and splits as parents.
    """
    run_dir = work.opened.run_dir
    digests = {name: finished_record(run_dir, name).digest for name in _PARENTS}
    return bundle_recipe(work.opened.study, digests)


def slide_bundle_stage(work: Workshop) -> dict[str, bytes]:
    """Fit all models on the development patients.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    dict of str to bytes
        The files of the bundle.

    Raises
    ------
    NotEstimable
        Where the primary model cannot be fitted.
    DataError
        If the features are of several encoders, or one is not finite.
    LockedError
        If a locked bundle would be changed.
    """
    run_dir, study, data = work.opened.run_dir, work.opened.study, work.clinical
    changes = completeness(run_dir, "bundle", slide_bundle_recipe(work)).reasons
    refuse_locked(run_dir / BUNDLE_DIR, "; ".join(changes) or "it would be fitted again")
    evidence = work.bags.evidence(np.flatnonzero(data.development).tolist())
    task = risk_task(study)
    models = fit_risk_models(
        data,
        work.bags.bags,
        data.development,
        penalty_groups(work.split, None, data, work.units),
        task,
        slide_task(study, task, "all"),
    )
    if models.without:
        raise NotEstimable(
            f'{models.without}; primary = "clinical" under [model] asks for the clinical model'
        )
    parents = {name: finished_record(run_dir, name).digest for name in _PARENTS}
    files = slide_bundle_files(
        study,
        data,
        work.bags.bags,
        work.bags.lost,
        models,
        evidence,
        task,
        parents={"study": study.digest, **parents},
    )
    return {f"{BUNDLE_DIR}/{name}": content for name, content in files.items()}


def slide_predictions_recipe(work: Workshop) -> Recipe:
    """Say what the predictions are made from.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    Recipe
        With cohort, features, splits and bundle as parents.
    """
    run_dir = work.opened.run_dir
    parents = {name: product_parent(run_dir, name) for name in (*_PARENTS, "bundle")}
    return Recipe(kind="predictions", parents=parents, settings={"layout": 2})


def slide_predictions_stage(work: Workshop) -> dict[str, bytes]:
    """Predict development patients out of fold, all others by the bundle.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    dict of str to bytes
        ``predictions.csv`` with the risks of every model, and ``models.json``.

    Raises
    ------
    IntegrityError
        If the bundle is not the one that would be fitted now: folds and bundle are judged as one
        model.
    """
    run_dir = work.opened.run_dir
    if stale := completeness(run_dir, "bundle", slide_bundle_recipe(work)).reasons:
        raise IntegrityError(
            f"stage predictions is made from bundle, which is out of date: {'; '.join(stale)}; "
            "run without --only"
        )
    bundle = open_bundle(run_dir / BUNDLE_DIR)
    table = _Table(work, bundle)
    folds = out_of_fold(work)
    for rows, made in folds:
        table.inside(rows, made)
    for rows, external in external_tables(work, bundle):
        readings = read_patients(bundle, [work.bags.slides[row] for row in rows.tolist()])
        table.outside(rows, predict(bundle, external, slides=readings))
    return {
        "predictions.csv": predictions_csv(table.rows(), work.cohort),
        DECISIONS: json_bytes(_decided(work, bundle, table, [made for _, made in folds])),
    }


class _Table:
    """The predictions of all patients, filled fold by fold and cohort by cohort."""

    def __init__(self, work: Workshop, bundle: Bundle) -> None:
        n, horizons = len(work.cohort), bundle.contract.horizons
        clinical = bool(bundle.contract.predictors)
        self.work, self.bundle = work, bundle
        self.models: dict[str, NDArray[np.float64]] = {
            name: np.full((n, len(horizons)), np.nan)
            for name in (MODELS if clinical else MODELS[1:3])
        }
        self.scores, self.slide_scores = np.full(n, np.nan), np.full(n, np.nan)
        self.n_tiles = work.bags.bags.counts.copy()
        self.groups: list[str | None] = [None] * n
        self.reasons: list[str | None] = ["stands in the test part of no fold"] * n
        self.notes: list[str | None] = [None] * n
        self.folds: list[str | None] = [None] * n
        self.bundles: list[str | None] = [None] * n

    def inside(self, rows: NDArray[np.int64], made: FoldPrediction) -> None:
        """Take a fold."""
        for name, values in self.models.items():
            if name in made.risks:
                values[rows] = made.risks[name]
        self.scores[rows], self.slide_scores[rows] = made.scores, made.slide_scores
        for place, row in enumerate(rows.tolist()):
            self.groups[row], self.reasons[row] = made.groups[place], made.reasons[place]
            self.folds[row] = made.fold
            lost = self.work.bags.slides[row].lost
            if lost and made.reasons[place] is None:
                self.notes[row] = f"{len(lost)} slides not used: {'; '.join(lost)}"

    def outside(self, rows: NDArray[np.int64], made: Predicted) -> None:
        """Take a cohort that was predicted by the bundle."""
        for name, values in self.models.items():
            values[rows] = made.models[name]
        self.scores[rows] = made.scores
        if made.readings is not None:
            self.slide_scores[rows] = made.readings.slide_scores
            self.n_tiles[rows] = made.readings.n_tiles
        for place, row in enumerate(rows.tolist()):
            self.groups[row], self.reasons[row] = made.groups[place], made.reasons[place]
            self.notes[row], self.folds[row] = made.notes[place], None
            self.bundles[row] = self.bundle.digest

    def rows(self) -> PredictionRows:
        """Give the table."""
        primary = self.work.opened.study.primary_model
        data = self.work.clinical
        return PredictionRows(
            ids=data.keys.tolist(),
            horizons=self.bundle.contract.horizons,
            risks=self.models[primary],
            scores=self.scores,
            groups=self.groups,
            reasons=self.reasons,
            notes=self.notes,
            folds=self.folds,
            bundles=self.bundles,
            cohorts=data.cohorts.tolist(),
            modalities="clinical+slides" if primary == "combined" else "slides",
            models=self.models,
            slide_scores=self.slide_scores,
            n_tiles=self.n_tiles,
        )


def _decided(
    work: Workshop, bundle: Bundle, table: _Table, folds: list[FoldPrediction]
) -> dict[str, Any]:
    """Say what was chosen and who has no slide score, in pseudonyms."""
    slides = bundle.contract.slides
    development = bundle.development.model_dump(mode="json")
    without = [
        {"patient": patient.pseudonym, "cohort": patient.cohort, "reason": table.reasons[row]}
        for row, patient in enumerate(work.cohort.patients)
        if np.isnan(table.slide_scores[row])
    ]
    return {
        "primary": work.opened.study.primary_model,
        "models": list(table.models),
        "encoder": slides and slides.encoder,
        "encoder_digest": slides and slides.encoder_digest,
        "engine": slides and slides.engine,
        "precision": slides and slides.precision,
        "bundle": {
            "slides": development.get("slides"),
            "penalties": development["penalties"],
        },
        "folds": {made.fold: dict(made.chosen) for made in folds},
        "without_slide_score": without,
    }
