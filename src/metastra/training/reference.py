"""Scores for which nothing is fitted: a predictor's coded value, as it is.

Tumour stage alone orders patients well.  A model that is to be worth its cost must do better on the
same patients, so the score stands beside it, and no coefficient is learned for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.cohort.split import Split
from metastra.errors import DataError
from metastra.study.sections import ReferenceScore
from metastra.training.clinical_data import ClinicalData

__all__ = ["ReferenceScores", "reference_scores"]

_Array = NDArray[np.float64]

ALL_DEVELOPMENT = "development"
"""Key of the value that stands for missing ones outside the development cohorts."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ReferenceScores:
    """An unfitted score of n patients.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Higher is worse; NaN for development patients of no test part.
    folds : tuple of str or None, of length n
        In whose test part the patient stands; None outside the development cohorts.
    filled : mapping of str to float or None
        Fold → coded value that stood for missing ones there, before the sign; None where nothing
        was known.
    missing : ndarray of shape (n,), bool
        Whose value was put in.
    """

    scores: _Array
    folds: tuple[str | None, ...]
    filled: Mapping[str, float | None]
    missing: NDArray[np.bool_]


def reference_scores(
    data: ClinicalData, split: Split, reference: ReferenceScore
) -> ReferenceScores:
    """Take a predictor's coded value as the score of each patient.

    Parameters
    ----------
    data : ClinicalData
        All patients.
    split : Split
        The stored folds; of several repeats the first is used.
    reference : ReferenceScore
        Which predictor, and what a higher value means.

    Returns
    -------
    ReferenceScores
        A missing value is replaced by the median of the patients that a model of the fold may be
        fitted on, outside the development cohorts by the median of all development patients.
        Nothing else is learned.

    Raises
    ------
    DataError
        If the predictor has more than one column.

    Notes
    -----
    The median of an even number of values may lie between two levels; it then ranks between them.
    """
    values = data.values[reference.column]
    if values.shape[1] != 1:
        raise DataError(f"{reference.column!r} has {values.shape[1]} columns and no single order")
    column = values[:, 0]
    missing = np.isnan(column)
    sign = 1.0 if reference.higher_is == "worse" else -1.0
    scores = np.full(column.size, np.nan)
    folds: list[str | None] = [None] * column.size
    filled: dict[str, float | None] = {}

    def put(rows: NDArray[np.bool_], known: _Array, name: str) -> None:
        known = known[~np.isnan(known)]
        stand_in = float(np.median(known)) if known.size else float("nan")
        filled[name] = stand_in if known.size else None
        scores[rows] = sign * np.where(missing[rows], stand_in, column[rows])

    for fold in (one for one in split.folds if one.repeat == 0):
        test = data.rows_of(fold.test)
        train = data.rows_of(fold.fitted_on) & data.development & ~test
        put(test, column[train], fold.name)
        for row in np.flatnonzero(test):
            folds[row] = fold.name
    if not data.development.all():
        put(~data.development, column[data.development], ALL_DEVELOPMENT)
    return ReferenceScores(scores=scores, folds=tuple(folds), filled=filled, missing=missing)
