"""The clinical model: a risk layer of the declared predictors.

Everything is learned inside the patients that it is fitted on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.contract import Predictor
from metastra.training.clinical_data import ClinicalData, fitted_predictors
from metastra.training.risk_layer import FEWEST_EVENTS, LayerFit, RiskTask, fit_layer

__all__ = ["FEWEST_EVENTS", "ClinicalFit", "fit_clinical"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ClinicalFit(LayerFit):
    """A fitted clinical model with everything that was learned.

    Parameters
    ----------
    predictors : tuple of Predictor
        With the rules for missing values.
    """

    predictors: tuple[Predictor, ...]


def fit_clinical(
    data: ClinicalData, rows: NDArray[np.bool_], groups: NDArray[np.int64], task: RiskTask
) -> ClinicalFit:
    """Fit the clinical model on some patients; the others are not looked at.

    Parameters
    ----------
    data : ClinicalData
        All patients.
    rows : ndarray of shape (n,), bool
        The patients to fit on.
    groups : ndarray of shape (n,), int64
        Parts for the cross-validation of the penalty, -1 for none; only `rows` matter.
    task : RiskTask
        Horizons and cut-points.

    Returns
    -------
    ClinicalFit
        Values for missing cells, standardisation, penalty, coefficients, baselines and cut-points
        are all learned from `rows`.

    Raises
    ------
    NotEstimable
        With fewer than ten events of interest, or a horizon past the follow-up.
    """
    predictors = fitted_predictors(data, rows)
    layer = fit_layer(data.columns(predictors), data.outcome, rows, groups, task)
    return ClinicalFit(
        model=layer.model,
        cutpoints=layer.cutpoints,
        penalties=layer.penalties,
        outcome=layer.outcome,
        n_incomplete=layer.n_incomplete,
        predictors=predictors,
    )
