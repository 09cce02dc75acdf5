"""Out-of-fold predictions of a run, stored fold by fold, so that a killed run goes on."""

from __future__ import annotations

from collections.abc import Collection
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metastra.cohort.split_fold import Fold
from metastra.pipeline.model_recipes import declared
from metastra.progress import track
from metastra.storage import (
    Recipe,
    completeness,
    json_bytes,
    product_names,
    product_parent,
    read_product_json,
    remove_product,
    write_product,
)
from metastra.training.clinical_bundle import risk_task
from metastra.training.fold_models import FoldPrediction, predict_fold
from metastra.training.out_of_fold import penalty_groups
from metastra.training.slide_bundle import slide_task
from metastra.version import VERSION

if TYPE_CHECKING:
    from metastra.pipeline.workshop import Workshop

__all__ = ["out_of_fold", "remove_folds"]

_PREFIX = "folds/"


def out_of_fold(work: Workshop) -> list[tuple[NDArray[np.int64], FoldPrediction]]:
    """Predict every fold by models that were refitted without it, stored ones taken as they are.

    Parameters
    ----------
    work : Workshop
        The study at work; its features and folds are made.

    Returns
    -------
    list of (ndarray of int64, FoldPrediction)
        Rows of the patients of each fold of the first repeat, and what was predicted.

    Raises
    ------
    DataError
        If a feature is not finite.
    """
    folds = [fold for fold in work.split.folds if fold.repeat == 0]
    remove_folds(work.opened.run_dir, {fold.name for fold in folds})
    return [_one(work, fold) for fold in track(folds, label="out-of-fold models", unit="fold")]


def remove_folds(run_dir: Path, kept: Collection[str] = ()) -> None:
    """Remove stored folds that a study does not have.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    kept : collection of str
        Names of folds that stay.
    """
    for name in product_names(run_dir):
        if name.startswith(_PREFIX) and name.removeprefix(_PREFIX) not in kept:
            remove_product(run_dir, name)


def _one(work: Workshop, fold: Fold) -> tuple[NDArray[np.int64], FoldPrediction]:
    run_dir, data = work.opened.run_dir, work.clinical
    test = data.rows_of(fold.test)
    at = np.flatnonzero(test)
    patients = [work.cohort.patients[row].pseudonym for row in at.tolist()]
    name, recipe = f"{_PREFIX}{fold.name}", _recipe(work, fold)
    if completeness(run_dir, name, recipe):
        return at, FoldPrediction.from_json(read_product_json(run_dir, name), patients)
    study = work.opened.study
    task = risk_task(study)
    train = data.rows_of(fold.fitted_on) & data.development & ~test
    made = predict_fold(
        data,
        work.bags.bags,
        work.bags.lost,
        (fold.name, train, test, penalty_groups(work.split, fold, data, work.units)),
        (task, slide_task(study, task, fold.name), study.primary_model),
    )
    stored: dict[str, Any] = made.to_json(patients)
    write_product(run_dir, name, recipe, {f"{name}.json": json_bytes(stored)})
    return at, FoldPrediction.from_json(stored, patients)


def _recipe(work: Workshop, fold: Fold) -> Recipe:
    run_dir = work.opened.run_dir
    parents = {name: product_parent(run_dir, name) for name in ("cohort", "splits", "features")}
    # a run that goes on after an upgrade must not mix models of two versions
    software = {"metastra": VERSION, "torch": _torch_version()}
    settings: dict[str, Any] = {
        "fold": fold.name,
        "layout": 3,
        "seed": work.opened.study.study.seed,
        "software": software,
    }
    return Recipe(kind="fold", parents=parents, settings=settings | declared(work.opened.study))


def _torch_version() -> str | None:
    """Read the version without importing it; None where it is not installed."""
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None
