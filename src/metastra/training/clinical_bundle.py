"""From a fitted clinical model and its study to the files of a draft bundle."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from metastra.bundle.cases import linear_self_test
from metastra.bundle.contract import (
    NOT_STATED,
    Contract,
    EndpointStatement,
    IntendedUse,
    Predictor,
    SlideContract,
)
from metastra.bundle.linear import LinearModel
from metastra.bundle.parts import Coefficient, CohortFacts, Development
from metastra.bundle.plans import AnalysisPlan, ChangePlan, PrimaryMeasure
from metastra.bundle.writing import bundle_files
from metastra.errors import NotEstimable
from metastra.study.study import Study
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.training.clinical import ClinicalFit
from metastra.training.clinical_data import ClinicalData
from metastra.training.risk_layer import LayerFit, RiskTask

__all__ = [
    "clinical_bundle_files",
    "coefficients",
    "contract_of",
    "development_of",
    "plan_of",
    "risk_task",
]

_THRESHOLDS = tuple(round(0.02 * step, 2) for step in range(1, 26))
_FEW_PER_COLUMN = 10.0


def risk_task(study: Study) -> RiskTask:
    """Say what a study's models shall predict.

    Parameters
    ----------
    study : Study
        With a survival endpoint and horizons.

    Returns
    -------
    RiskTask
        The last horizon is the primary one where none is declared.
    """
    section = study.endpoint
    primary = section.primary_horizon
    return RiskTask(
        horizons=section.horizons,
        primary_horizon=section.horizons[-1] if primary is None else primary,
        time_unit=section.time_unit,
        cutpoints=section.cutpoints,
    )


def clinical_bundle_files(
    study: Study,
    data: ClinicalData,
    fit: ClinicalFit,
    task: RiskTask,
    *,
    parents: Mapping[str, str],
) -> dict[str, bytes]:
    """Make the files of the draft bundle.

    Parameters
    ----------
    study : Study
        What was promised.
    data : ClinicalData
        All patients.
    fit : ClinicalFit
        On all development patients.
    task : RiskTask
        Horizons and cut-points.
    parents : mapping of str to str
        Digests of study, cohort and splits.

    Returns
    -------
    dict of str to bytes
        The same for the same study, data and software.
    """
    contract = contract_of(study, fit, fit.predictors, task)
    return bundle_files(
        name=study.study.name,
        contract=contract,
        plan=plan_of(fit, task),
        change_plan=ChangePlan(),
        development=development_of(data, fit, task, coefficients(fit.model, fit.predictors)),
        self_test=linear_self_test(contract, fit.model),
        model=fit.model,
        parents=parents,
        seed=study.study.seed,
    )


def contract_of(
    study: Study,
    layer: LayerFit,
    predictors: tuple[Predictor, ...],
    task: RiskTask,
    slides: SlideContract | None = None,
) -> Contract:
    """Write the contract of a model.

    Parameters
    ----------
    study : Study
        What was promised.
    layer : LayerFit
        The primary risk layer.
    predictors : tuple of Predictor
        With what was learned of missing values.
    task : RiskTask
        Horizons.
    slides : SlideContract, optional
        Which slides are read.

    Returns
    -------
    Contract
        Its statements on use are open: a person makes them at the lock.
    """
    definition = study.endpoint_definition
    window = study.endpoint.synchronous_window_months
    origin = definition.origin if definition is not None else "as the table's times count"
    zero = f"{origin} + {window:g} months" if window else origin
    excluded = [criterion.reason for criterion in study.exclude]
    population = study.study.title or study.study.name
    if excluded:
        population += f"; not: {', '.join(excluded)}"
    required = [one.name for one in predictors if one.missing.rule == "refuse"]
    rule = "a missing value is replaced by the development median or most frequent level"
    if required:
        rule += f"; without {' or '.join(required)} there is no risk"
    specimen = "none: clinical predictors that are known at the time of prediction"
    if slides is not None:
        specimen = f"{' or '.join(slides.stains)} slides of the tumour, all of a patient's together"
        rule += f"; {slides.missing_rule}"
    return Contract(
        intended_use=IntendedUse(
            population=population, specimen=specimen, use=NOT_STATED, user=NOT_STATED
        ),
        endpoint=EndpointStatement(
            name=study.endpoint.name or "endpoint of the table",
            definition=definition.text if definition is not None else "as the table has it",
            time_zero=zero,
            competing=2 in layer.model.coef,
            synchronous_window_months=window,
        ),
        time_unit=task.time_unit.value,
        horizons=task.horizons,
        primary_horizon=task.primary_horizon,
        cutpoints=layer.cutpoints,
        predictors=predictors,
        slides=slides,
        missing_rule=rule,
    )


def plan_of(layer: LayerFit, task: RiskTask) -> AnalysisPlan:
    """Write the plan that a draft begins with.

    Parameters
    ----------
    layer : LayerFit
        The primary risk layer.
    task : RiskTask
        Horizons.

    Returns
    -------
    AnalysisPlan
        To be completed at the lock.
    """
    return AnalysisPlan(
        primary=PrimaryMeasure(measure="auc", horizon=task.primary_horizon),
        secondary=("oe_ratio", "slope", "ipa", "uno"),
        thresholds=_THRESHOLDS,
        cutpoints=layer.cutpoints.values if layer.cutpoints else (),
        missing_data="predictors by the locked rule of the contract; outcomes are never imputed",
        ties="equal risks count one half; events at one time after Efron",
        competing_risks=(
            "competing events are not censored: Aalen-Johansen for observed risks; in the AUC a "
            "patient with a competing event by the horizon is a control"
        ),
    )


def development_of(
    data: ClinicalData,
    layer: LayerFit,
    task: RiskTask,
    ratios: tuple[Coefficient, ...],
    *,
    slides: bool = False,
) -> Development:
    """Say on whom a risk layer was fitted.

    Parameters
    ----------
    data : ClinicalData
        All patients.
    layer : LayerFit
        The primary one.
    task : RiskTask
        Horizons.
    ratios : tuple of Coefficient
        Of its columns.
    slides : bool
        Whether patients without a usable slide were left out, too.

    Returns
    -------
    Development
        For people and model cards.
    """
    events = layer.outcome.n_events(1)
    statement = f"{layer.outcome.n} patients, {events} events for {layer.model.centre.size} columns"
    statement += f" ({layer.events_per_column:.1f} events per column)"
    if layer.events_per_column < _FEW_PER_COLUMN:
        statement += "; few events: coefficients are shrunk, and the model may still be unstable"
    if layer.n_incomplete:
        lacking = "a required predictor or a slide" if slides else "a required predictor"
        statement += f"; {layer.n_incomplete} patients without {lacking} left out"
    observed, competing, lost = _observed(layer, task)
    return Development(
        statement=statement,
        cohorts=_facts(data),
        observed_risk=observed,
        observed_competing=competing,
        lost=lost,
        events_per_column=layer.events_per_column,
        penalties=layer.penalties,
        coefficients=ratios,
    )


def _facts(data: ClinicalData) -> dict[str, CohortFacts]:
    facts = {}
    for name in dict.fromkeys(data.cohorts[data.development].tolist()):
        mine = data.outcome.take(data.cohorts == name)
        facts[str(name)] = CohortFacts(
            n=mine.n, events=mine.n_events(1), competing=mine.n_events(2)
        )
    return facts


def _observed(
    layer: LayerFit, task: RiskTask
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Estimate risks at the horizons in the fitted patients; what is not estimable is left out."""
    y = layer.outcome
    found: dict[int, dict[str, float]] = {1: {}, 2: {}}
    lost = {}
    curves = aalen_johansen(y)
    for horizon, days in zip(task.horizons, task.days, strict=True):
        lost[f"{horizon:g}"] = float(np.mean((y.event == 0) & (y.time < days)))
        for cause in (code for code in found if code in y.causes):
            try:
                risk = float(curves[cause].incidence_at(days))
            except NotEstimable:
                continue
            found[cause][f"{horizon:g}"] = risk
    return found[1], found[2], lost


def coefficients(
    model: LinearModel, predictors: tuple[Predictor, ...], score: str = ""
) -> tuple[Coefficient, ...]:
    """Give hazard ratios for one unit of each column, for people.

    Parameters
    ----------
    model : LinearModel
        A risk layer.
    predictors : tuple of Predictor
        Of its first columns.
    score : str
        Name of its last column where that is a score; its unit is a standard deviation.

    Returns
    -------
    tuple of Coefficient
        In the order of the columns.
    """
    names = [(column, _unit(one, column)) for one in predictors for column in one.columns]
    names += [(score, "1 standard deviation in development")] if score else []
    rows = []
    for index, (column, unit) in enumerate(names):
        one = 1.0 if column == score else float(model.scale[index])
        ratio = {cause: float(np.exp(coef[index] / one)) for cause, coef in model.coef.items()}
        rows.append(
            Coefficient(
                column=column,
                unit=unit,
                hazard_ratio_event=ratio[1],
                hazard_ratio_competing=ratio.get(2),
            )
        )
    return tuple(rows)


def _unit(predictor: Predictor, column: str) -> str:
    if column.endswith(" missing") and predictor.missing.indicator:
        return "missing against known"
    if predictor.kind == "categorical":
        return f"against {predictor.levels[0]}"
    if predictor.kind == "binary":
        return " against ".join(reversed(predictor.levels)) or "yes against no"
    if predictor.kind == "ordinal":
        return "one level"
    unit = predictor.unit or "unit"
    return f"1 of ln(1 + value in {unit})" if predictor.transform == "log1p" else f"1 {unit}"
