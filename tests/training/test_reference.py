"""Scores for which nothing is fitted: only the stand-in for missing values is learned, per fold."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.bundle.contract import MissingRule, Predictor
from metastra.cohort.split import Split
from metastra.cohort.split_fold import Fold
from metastra.errors import DataError
from metastra.study.sections import ReferenceScore, ValidationSection
from metastra.survival.outcome import Outcome
from metastra.training.clinical_data import ClinicalData
from metastra.training.reference import reference_scores

STAGE = Predictor(
    name="stage", kind="ordinal", levels=("I", "II", "III"), missing=MissingRule(rule="impute")
)
KEYS = tuple("abcdefgh")


def patients(values: list[float], width: int = 1) -> ClinicalData:
    """Six development patients in two folds, two outside."""
    n = len(KEYS)
    return ClinicalData(
        keys=np.array(KEYS),
        cohorts=np.array(["north"] * 6 + ["south"] * 2),
        development=np.arange(n) < 6,
        outcome=Outcome(time=np.arange(1.0, n + 1.0), event=np.ones(n)),
        predictors=(STAGE,),
        values={"stage": np.repeat(np.array(values)[:, None], width, axis=1)},
    )


def two_folds() -> Split:
    first, second = KEYS[:3], KEYS[3:6]
    return Split(
        kind="k-fold",
        groups=("PATIENT",),
        folds=(
            Fold(name="fold-0", train=second, test=first),
            Fold(name="fold-1", train=first, test=second),
        ),
        settings=ValidationSection(folds=2),
        seed=1,
    )


def test_known_values_are_the_score_and_missing_ones_the_median_of_the_training_part():
    """Each fold's stand-in comes from the other fold; outside it is everybody's in development."""
    nan = np.nan
    data = patients([0.0, nan, 2.0, 1.0, 1.0, nan, 2.0, nan])
    made = reference_scores(data, two_folds(), ReferenceScore(name="s", column="stage"))

    assert made.filled == {"fold-0": 1.0, "fold-1": 1.0, "development": 1.0}
    assert made.scores.tolist() == [0.0, 1.0, 2.0, 1.0, 1.0, 1.0, 2.0, 1.0]
    assert made.folds == ("fold-0",) * 3 + ("fold-1",) * 3 + (None, None)
    assert made.missing.tolist() == [False, True, False, False, False, True, False, True]


def test_the_test_part_is_not_looked_at():
    """Changing the known values of a fold changes no stand-in of that fold."""
    nan = np.nan
    low = patients([0.0, nan, 0.0, 1.0, 2.0, 2.0, 0.0, 0.0])
    high = patients([2.0, nan, 2.0, 1.0, 2.0, 2.0, 0.0, 0.0])
    scores = [
        reference_scores(data, two_folds(), ReferenceScore(name="s", column="stage")).scores[1]
        for data in (low, high)
    ]
    assert scores == [2.0, 2.0]


def test_where_lower_is_worse_the_order_is_turned():
    """The sign alone changes."""
    data = patients([0.0, 1.0, 2.0, 1.0, 1.0, 0.0, 2.0, 0.0])
    worse = reference_scores(data, two_folds(), ReferenceScore(name="s", column="stage"))
    better = ReferenceScore(name="s", column="stage", higher_is="better")
    assert (reference_scores(data, two_folds(), better).scores == -worse.scores).all()


def test_where_nothing_is_known_there_is_no_score():
    """No number is made up: the patients of that fold without a value stay without one."""
    nan = np.nan
    data = patients([1.0, nan, 1.0, nan, nan, nan, 1.0, nan])
    made = reference_scores(data, two_folds(), ReferenceScore(name="s", column="stage"))
    assert made.filled["fold-0"] is None
    assert np.isnan(made.scores[1])
    assert made.scores[[0, 3, 7]].tolist() == [1.0, 1.0, 1.0]


def test_a_predictor_of_several_columns_has_no_order():
    """It is refused by name."""
    with pytest.raises(DataError, match="'stage' has 2 columns"):
        reference_scores(
            patients([0.0] * 8, width=2), two_folds(), ReferenceScore(name="s", column="stage")
        )
