"""Predictions of one fold by all models, refitted without it, as values that can be stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.predicting import group_names
from metastra.bundle.slide_parts import ModelName
from metastra.errors import NotEstimable, SchemaError
from metastra.training.clinical_data import ClinicalData
from metastra.training.patient_bags import PatientBags
from metastra.training.risk_layer import RiskTask
from metastra.training.risk_models import RiskModels, fit_risk_models
from metastra.training.slide_task import SlideFit, SlideTask

__all__ = ["FoldPrediction", "choice_json", "chosen_json", "predict_fold"]

_Array = NDArray[np.float64]
_FORMAT = "metastra-fold-1"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FoldPrediction:
    """What models that have not seen a fold say of its k patients.

    Parameters
    ----------
    fold : str
        Its name.
    risks : mapping of str to ndarray of shape (k, t)
        By model; NaN where there is none.
    scores, slide_scores : ndarray of shape (k,)
        Of the primary model, and of the slide model.
    groups, reasons : tuple of (str or None), of length k
        By the fold's own cut-points; why a patient has no primary risk.
    chosen : mapping
        What was chosen without the fold, as plain values.
    """

    fold: str
    risks: Mapping[str, _Array]
    scores: _Array
    slide_scores: _Array
    groups: tuple[str | None, ...]
    reasons: tuple[str | None, ...]
    chosen: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self, patients: Sequence[str]) -> dict[str, Any]:
        """Write the predictions as plain values, exact to the bit.

        Parameters
        ----------
        patients : sequence of str, of length k
            Pseudonyms.

        Returns
        -------
        dict
            Strict JSON.
        """
        return {
            "format": _FORMAT,
            "fold": self.fold,
            "patients": list(patients),
            "risks": {name: [_plain(row) for row in rows] for name, rows in self.risks.items()},
            "scores": _plain(self.scores),
            "slide_scores": _plain(self.slide_scores),
            "groups": list(self.groups),
            "reasons": list(self.reasons),
            "chosen": dict(self.chosen),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], patients: Sequence[str]) -> FoldPrediction:
        """Read what `to_json` wrote.

        Parameters
        ----------
        value : mapping
            As parsed.
        patients : sequence of str, of length k
            Pseudonyms in the order that is expected.

        Returns
        -------
        FoldPrediction
            Equal to the one that was written.

        Raises
        ------
        SchemaError
            If it is of other patients, or another layout.
        """
        if value.get("format") != _FORMAT or value.get("patients") != list(patients):
            raise SchemaError(f"fold {value.get('fold')!r}: stored predictions of other patients")
        return cls(
            fold=str(value["fold"]),
            risks={name: _array(rows) for name, rows in value["risks"].items()},
            scores=_array(value["scores"]),
            slide_scores=_array(value["slide_scores"]),
            groups=tuple(value["groups"]),
            reasons=tuple(value["reasons"]),
            chosen=value["chosen"],
        )


def predict_fold(
    data: ClinicalData,
    bags: PatientBags,
    lost: Sequence[str],
    parts: tuple[str, NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]],
    tasks: tuple[RiskTask, SlideTask, ModelName],
) -> FoldPrediction:
    """Refit every model without a fold and predict the fold.

    Parameters
    ----------
    data : ClinicalData
        All n patients.
    bags : PatientBags
        Of the same patients.
    lost : sequence of str, of length n
        Why a patient has no tile; empty for those who have.
    parts : tuple
        Name of the fold; training and test rows, ndarrays of bool of shape (n,); inner parts of
        the training rows, int64 of shape (n,).
    tasks : tuple
        Of the risk layer, of the slide model (its label names the fold), and the primary model.

    Returns
    -------
    FoldPrediction
        Of the test rows, in their order.

    Notes
    -----
    Everything is learned without the fold: values for missing cells, standardisation, settings of
    the slide model, penalties, coefficients, baselines and cut-points.  A fold whose training part
    supports no model leaves its patients without a risk, with the reason.
    """
    name, train, test, groups = parts
    task, slide_task, primary = tasks
    at = np.flatnonzero(test)
    empty = np.full((at.size, len(task.horizons)), np.nan)
    reasons: list[str | None] = [None] * at.size
    try:
        models = fit_risk_models(data, bags, train, groups, task, slide_task)
    except NotEstimable as error:
        return FoldPrediction(
            fold=name,
            risks={primary: empty},
            scores=empty[:, 0],
            slide_scores=empty[:, 0],
            groups=(None,) * at.size,
            reasons=(error.reason,) * at.size,
            chosen={"not_estimable": error.reason},
        )
    made = models.predict(data, bags, test, task)
    risks: dict[str, _Array] = {model: values[at] for model, values in made.risks.items()}
    risks.setdefault(primary, empty)
    scores = made.scores[primary][at] if primary in made.scores else empty[:, 0]
    layer = models.layers.get(primary)
    for place, row in enumerate(at.tolist()):
        if np.isnan(risks[primary][place]).any():
            reasons[place] = models.without or _missing_words(data, models, lost[row], row)
    cuts = layer.cutpoints if layer is not None else None
    return FoldPrediction(
        fold=name,
        risks=risks,
        scores=scores,
        slide_scores=made.slide_scores[at],
        groups=group_names(cuts, task.horizons, risks[primary]),
        reasons=tuple(reasons),
        chosen=chosen_json(models),
    )


def _missing_words(data: ClinicalData, models: RiskModels, lost: str, row: int) -> str:
    """Say what a patient lacks, for instance a slide and a required predictor."""
    words = [lost] if lost else []
    words += [
        f"{one.name} is missing"
        for one in models.predictors
        if one.missing.rule == "refuse" and np.isnan(data.values[one.name][row]).any()
    ]
    return "; ".join(words)


def chosen_json(models: RiskModels) -> dict[str, Any]:
    """Write what was chosen in fitting as plain values.

    Parameters
    ----------
    models : RiskModels
        That were fitted.

    Returns
    -------
    dict
        Strict JSON: the settings of the slide models, the penalties of each layer.
    """
    found: dict[str, Any] = {
        "layers": {
            name: [one.model_dump(mode="json") for one in layer.penalties]
            for name, layer in models.layers.items()
        }
    }
    if models.without:
        found["no_slide_model"] = models.without
    for name, fit in (("pooled", models.pooled), ("slides", models.slide)):
        if fit is not None:
            found[name] = choice_json(fit)
    return found


def choice_json(fit: SlideFit) -> dict[str, Any]:
    """Write what was chosen in fitting a slide model as plain values.

    Parameters
    ----------
    fit : SlideFit
        That was fitted.

    Returns
    -------
    dict
        Strict JSON.
    """
    choice = fit.choice
    return {
        "aggregator": fit.model.aggregator,
        "head": fit.model.head,
        "members": len(fit.model.members),
        "patients": fit.n,
        "events": fit.events,
        "tried": [
            {"setting": one.name, "gain": one.gain if np.isfinite(one.gain) else None}
            for one in choice.tried
        ],
        "chosen": choice.chosen,
        "why": choice.why,
        "by_part": list(choice.by_part),
    }


def _plain(values: _Array) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _array(values: Any) -> _Array:
    return np.array(values, dtype=np.float64)
