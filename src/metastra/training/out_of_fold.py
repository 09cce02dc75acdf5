"""Predictions of development patients by models that have not seen them: everything is refitted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.predicting import group_names
from metastra.cohort.split import Split
from metastra.cohort.split_fold import Fold
from metastra.cohort.split_kinds import draw_k_folds
from metastra.cohort.split_units import Units
from metastra.errors import DataError, NotEstimable
from metastra.progress import track
from metastra.training.clinical import ClinicalFit, fit_clinical
from metastra.training.clinical_data import ClinicalData
from metastra.training.risk_layer import RiskTask

__all__ = ["OutOfFold", "penalty_groups", "predict_out_of_fold"]

_Array = NDArray[np.float64]
_DRAWN_PARTS = 5
_LEAST_PARTS = 3


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OutOfFold:
    """Out-of-fold predictions of n patients; NaN and a reason for those who have none.

    Parameters
    ----------
    fold : tuple of str or None, of length n
        Fold whose model predicted the patient; None for patients of no test part.
    risks : ndarray of shape (n, t)
        By the horizons of the task.
    scores : ndarray of shape (n,)
        Higher is worse.
    groups : tuple of str or None, of length n
        By the fold's own cut-points.
    reasons : tuple of str or None, of length n
        Why a patient who stands in a fold has no risk.
    """

    fold: tuple[str | None, ...]
    risks: _Array
    scores: _Array
    groups: tuple[str | None, ...]
    reasons: tuple[str | None, ...]


def penalty_groups(
    split: Split, fold: Fold | None, data: ClinicalData, units: Units
) -> NDArray[np.int64]:
    """Give the parts for the cross-validation of a penalty.

    Parameters
    ----------
    split : Split
        The stored folds.
    fold : Fold, optional
        The fold whose training part is fitted on; None for all development patients.
    data : ClinicalData
        All patients.
    units : Units
        The same patients as the split sees them.

    Returns
    -------
    ndarray of shape (n,), int64
        The fold's inner folds where they are stored; otherwise the test parts of the *other*
        stored folds of the same repeat, which hold the declared groupings; where these are fewer
        than three, five parts that are drawn by the same groupings and the split's seed, or four or
        three where a cohort has no more hospitals.  -1 for patients of no part, and for all when
        fewer than three can be drawn.
    """
    train = data.development if fold is None else data.rows_of(fold.fitted_on)
    if fold is not None and fold.inner:
        tests = [inner.test for inner in fold.inner]
    else:
        repeat = 0 if fold is None else fold.repeat
        tests = [one.test for one in split.folds if one.repeat == repeat and one is not fold]
    label = _labelled(data, train, tests)
    if np.unique(label[label >= 0]).size >= _LEAST_PARTS:
        return label
    name = "all" if fold is None else fold.name
    for parts in range(_DRAWN_PARTS, _LEAST_PARTS - 1, -1):
        try:
            drawn = draw_k_folds(
                units.take(train),
                split.groups,
                parts,
                f"{split.seed}/{name}/penalty",
                prefix="part-",
            )
        except DataError:
            continue
        return _labelled(data, train, [one.test for one in drawn])
    return np.full(data.keys.size, -1, dtype=np.int64)


def _labelled(
    data: ClinicalData, train: NDArray[np.bool_], tests: list[tuple[str, ...]]
) -> NDArray[np.int64]:
    label = np.full(data.keys.size, -1, dtype=np.int64)
    for number, test in enumerate(tests):
        label[data.rows_of(test) & train & (label < 0)] = number
    return label


def predict_out_of_fold(
    data: ClinicalData, split: Split, units: Units, task: RiskTask
) -> OutOfFold:
    """Refit the whole model without each fold and predict the fold.

    Parameters
    ----------
    data : ClinicalData
        All patients.
    split : Split
        The stored folds; of several repeats the first is used.
    units : Units
        The same patients as the split sees them.
    task : RiskTask
        Horizons and cut-points.

    Returns
    -------
    OutOfFold
        Of all patients; only test parts are filled.

    Notes
    -----
    Values for missing cells, standardisation, penalty, coefficients, baselines and cut-points are
    learned without the fold.  A fold whose training part supports no model leaves its patients
    without a risk, with the reason.
    """
    n = data.keys.size
    fold_of: list[str | None] = [None] * n
    reasons: list[str | None] = [None] * n
    groups: list[str | None] = [None] * n
    risks, scores = np.full((n, len(task.horizons)), np.nan), np.full(n, np.nan)
    folds = [fold for fold in split.folds if fold.repeat == 0]
    for fold in track(folds, label="out-of-fold models", unit="fold"):
        test = data.rows_of(fold.test)
        train = data.rows_of(fold.fitted_on) & data.development & ~test
        for row in np.flatnonzero(test):
            fold_of[row] = fold.name
        try:
            fit = fit_clinical(data, train, penalty_groups(split, fold, data, units), task)
        except NotEstimable as error:
            for row in np.flatnonzero(test):
                reasons[row] = error.reason
            continue
        columns = data.columns(fit.predictors)
        able = test & np.isfinite(columns).all(axis=1)
        for row in np.flatnonzero(test & ~able):
            reasons[row] = missing_reason(data, fit, int(row))
        risks[able] = fit.model.risks(columns[able], task.days)
        scores[able] = fit.model.scores(columns[able])
        named = group_names(fit.cutpoints, task.horizons, risks[able])
        for row, name in zip(np.flatnonzero(able), named, strict=True):
            groups[row] = name
    return OutOfFold(
        fold=tuple(fold_of),
        risks=risks,
        scores=scores,
        groups=tuple(groups),
        reasons=tuple(reasons),
    )


def missing_reason(data: ClinicalData, fit: ClinicalFit, row: int) -> str:
    """Say which required predictors a patient lacks.

    Parameters
    ----------
    data : ClinicalData
        All patients.
    fit : ClinicalFit
        Whose rules hold.
    row : int
        The patient.

    Returns
    -------
    str
        For instance ``"CEA is missing"``.
    """
    lacking = [
        one.name
        for one in fit.predictors
        if one.missing.rule == "refuse" and np.isnan(data.values[one.name][row]).any()
    ]
    return "; ".join(f"{name} is missing" for name in lacking)
