"""The four models of a study with slides: clinical, pooled, slides, combined; baseline first.

A slide model turns tiles into one score; a risk layer turns clinical columns and a score into
absolute risks.  The layer is fitted on scores of patients by members that have not seen them
(cross-fitted stacking: Wolpert 1992; Breiman 1996), so that it cannot take optimism for signal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.contract import Predictor
from metastra.bundle.slide_parts import MODELS, ModelName, model_inputs
from metastra.errors import NotEstimable
from metastra.progress import track
from metastra.training.clinical_data import ClinicalData, fitted_predictors
from metastra.training.patient_bags import PatientBags
from metastra.training.risk_layer import LayerFit, RiskTask, fit_layer
from metastra.training.slide_fit import fit_slide_model
from metastra.training.slide_task import SlideFit, SlideTask

__all__ = ["ModelRisks", "RiskModels", "fit_risk_models"]

_Array = NDArray[np.float64]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ModelRisks:
    """What the models say of n patients.

    Parameters
    ----------
    risks : mapping of str to ndarray of shape (n, t)
        By model; NaN where a model has nothing to go by.
    scores : mapping of str to ndarray of shape (n,)
        Higher is worse.
    slide_scores, pooled_scores : ndarray of shape (n,)
        NaN for patients without a tile.
    """

    risks: Mapping[ModelName, _Array]
    scores: Mapping[ModelName, _Array]
    slide_scores: _Array
    pooled_scores: _Array


@dataclass(frozen=True, kw_only=True, eq=False)
class RiskModels:
    """The models that were fitted on some patients.

    Parameters
    ----------
    predictors : tuple of Predictor
        Clinical ones, with the rules for missing values; empty where none are declared.
    layers : mapping of str to LayerFit
        Risk layers in the order of `metastra.bundle.slide_parts.MODELS`.
    slide, pooled : SlideFit or None
        Both None where no slide model could be fitted.
    without : str
        Why there is none.
    """

    predictors: tuple[Predictor, ...]
    layers: Mapping[ModelName, LayerFit]
    slide: SlideFit | None = None
    pooled: SlideFit | None = None
    without: str = ""

    def predict(
        self, data: ClinicalData, bags: PatientBags, rows: _Mask, task: RiskTask
    ) -> ModelRisks:
        """Predict some patients.

        Parameters
        ----------
        data : ClinicalData
            All n patients.
        bags : PatientBags
            Of the same patients.
        rows : ndarray of shape (n,), bool
            Whom; the others get NaN.
        task : RiskTask
            Horizons.

        Returns
        -------
        ModelRisks
            Of all n patients.
        """
        n = data.keys.size
        slide, pooled = np.full(n, np.nan), np.full(n, np.nan)
        if self.slide is not None and self.pooled is not None:
            for patient in np.flatnonzero(rows & (bags.counts > 0)).tolist():
                slide[patient] = self.slide.model.score(bags.blocks(patient))
                pooled[patient] = self.pooled.model.score(bags.blocks(patient))
        clinical = data.columns(self.predictors)
        risks: dict[ModelName, _Array] = {}
        scores: dict[ModelName, _Array] = {}
        for name, layer in self.layers.items():
            columns = model_inputs(name, clinical, slide, pooled)
            able = rows & np.isfinite(columns).all(axis=1)
            risks[name] = np.full((n, len(task.horizons)), np.nan)
            scores[name] = np.full(n, np.nan)
            if able.any():
                risks[name][able] = layer.model.risks(columns[able], task.days)
                scores[name][able] = layer.model.scores(columns[able])
        return ModelRisks(risks=risks, scores=scores, slide_scores=slide, pooled_scores=pooled)


def fit_risk_models(
    data: ClinicalData,
    bags: PatientBags,
    rows: _Mask,
    groups: NDArray[np.int64],
    task: RiskTask,
    slide_task: SlideTask,
) -> RiskModels:
    """Fit all models on some patients; the others are not looked at.

    Parameters
    ----------
    data : ClinicalData
        All n patients.
    bags : PatientBags
        Of the same patients.
    rows : ndarray of shape (n,), bool
        The patients to fit on.
    groups : ndarray of shape (n,), int64
        Inner parts, -1 for none: of the cross-fitting and of the choice of penalties.
    task : RiskTask
        Horizons and cut-points.
    slide_task : SlideTask
        Of the slide model; its pooled companion is linear and of the same patients.

    Returns
    -------
    RiskModels
        Without predictors there is no clinical and no combined model; where the slides support no
        model there is the clinical one alone, and why.

    Raises
    ------
    NotEstimable
        When no model can be fitted.
    """
    predictors = fitted_predictors(data, rows)
    clinical = data.columns(predictors)
    none = np.full(data.keys.size, np.nan)
    layers: dict[ModelName, LayerFit] = {}
    if predictors:
        inputs = model_inputs("clinical", clinical, none, none)
        layers["clinical"] = fit_layer(inputs, data.outcome, rows, groups, task)
    fits: dict[str, SlideFit] = {}
    linear = replace(slide_task, aggregator="linear", head="cox")
    steps = {"pooled": linear, "slides": slide_task}
    try:
        for name in track(steps, label="slide models", unit="model"):
            same = name == "slides" and slide_task == linear
            fits[name] = (
                fits["pooled"]
                if same
                else fit_slide_model(bags, data.outcome, rows, groups, steps[name])
            )
        pooled, slide = fits["pooled"], fits["slides"]
        for name in MODELS[1:] if predictors else MODELS[1:3]:
            inputs = model_inputs(name, clinical, slide.inner_scores, pooled.inner_scores)
            last = inputs.shape[1] - 1
            layers[name] = fit_layer(inputs, data.outcome, rows, groups, task, score=last)
    except NotEstimable as error:
        if not predictors:
            raise
        return RiskModels(
            predictors=predictors,
            layers={"clinical": layers["clinical"]},
            without=error.reason,
        )
    return RiskModels(predictors=predictors, layers=layers, slide=slide, pooled=pooled)
