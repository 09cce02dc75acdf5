"""From a fitted clinical model and its study to the files of a draft bundle."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from metastra.bundle.cases import linear_self_test
from metastra.bundle.contract import NOT_STATED, Contract, EndpointStatement, IntendedUse, Predictor
from metastra.bundle.parts import Coefficient, CohortFacts, Development
from metastra.bundle.plans import AnalysisPlan, ChangePlan, PrimaryMeasure
from metastra.bundle.writing import bundle_files
from metastra.errors import NotEstimable
from metastra.study.study import Study
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.training.clinical import ClinicalFit, ClinicalTask
from metastra.training.clinical_data import ClinicalData

__all__ = ["clinical_bundle_files", "clinical_task"]

_THRESHOLDS = tuple(round(0.02 * step, 2) for step in range(1, 26))
_FEW_PER_COLUMN = 10.0


def clinical_task(study: Study) -> ClinicalTask:
    """Say what a study's clinical model shall predict.

    Parameters
    ----------
    study : Study
        With a survival endpoint and horizons.

    Returns
    -------
    ClinicalTask
        The last horizon is the primary one where none is declared.
    """
    section = study.endpoint
    primary = section.primary_horizon
    return ClinicalTask(
        horizons=section.horizons,
        primary_horizon=section.horizons[-1] if primary is None else primary,
        time_unit=section.time_unit,
        cutpoints=section.cutpoints,
    )


def clinical_bundle_files(
    study: Study,
    data: ClinicalData,
    fit: ClinicalFit,
    task: ClinicalTask,
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
    task : ClinicalTask
        Horizons and cut-points.
    parents : mapping of str to str
        Digests of study, cohort and splits.

    Returns
    -------
    dict of str to bytes
        The same for the same study, data and software.
    """
    contract = _contract(study, fit, task)
    return bundle_files(
        name=study.study.name,
        contract=contract,
        plan=_plan(fit, task),
        change_plan=ChangePlan(),
        development=_development(data, fit, task),
        self_test=linear_self_test(contract, fit.model),
        model=fit.model,
        parents=parents,
        seed=study.study.seed,
    )


def _contract(study: Study, fit: ClinicalFit, task: ClinicalTask) -> Contract:
    definition = study.endpoint_definition
    window = study.endpoint.synchronous_window_months
    origin = definition.origin if definition is not None else "as the table's times count"
    zero = f"{origin} + {window:g} months" if window else origin
    excluded = [criterion.reason for criterion in study.exclude]
    population = study.study.title or study.study.name
    if excluded:
        population += f"; not: {', '.join(excluded)}"
    required = [one.name for one in fit.predictors if one.missing.rule == "refuse"]
    rule = "a missing value is replaced by the development median or most frequent level"
    if required:
        rule += f"; without {' or '.join(required)} there is no risk"
    return Contract(
        intended_use=IntendedUse(
            population=population,
            specimen="none: clinical predictors that are known at the time of prediction",
            use=NOT_STATED,
            user=NOT_STATED,
        ),
        endpoint=EndpointStatement(
            name=study.endpoint.name or "endpoint of the table",
            definition=definition.text if definition is not None else "as the table has it",
            time_zero=zero,
            competing=2 in fit.model.coef,
            synchronous_window_months=window,
        ),
        time_unit=task.time_unit.value,
        horizons=task.horizons,
        primary_horizon=task.primary_horizon,
        cutpoints=fit.cutpoints,
        predictors=fit.predictors,
        missing_rule=rule,
    )


def _plan(fit: ClinicalFit, task: ClinicalTask) -> AnalysisPlan:
    return AnalysisPlan(
        primary=PrimaryMeasure(measure="auc", horizon=task.primary_horizon),
        secondary=("oe_ratio", "slope", "ipa", "uno"),
        thresholds=_THRESHOLDS,
        cutpoints=fit.cutpoints.values if fit.cutpoints else (),
        missing_data="predictors by the locked rule of the contract; outcomes are never imputed",
        ties="equal risks count one half; events at one time after Efron",
        competing_risks=(
            "competing events are not censored: Aalen-Johansen for observed risks; in the AUC a "
            "patient with a competing event by the horizon is a control"
        ),
    )


def _development(data: ClinicalData, fit: ClinicalFit, task: ClinicalTask) -> Development:
    events = fit.outcome.n_events(1)
    statement = f"{fit.outcome.n} patients, {events} events for {fit.model.centre.size} columns"
    statement += f" ({fit.events_per_column:.1f} events per column)"
    if fit.events_per_column < _FEW_PER_COLUMN:
        statement += "; few events: coefficients are shrunk, and the model may still be unstable"
    if fit.n_without_required:
        statement += f"; {fit.n_without_required} patients without a required predictor left out"
    observed, competing, lost = _observed(fit, task)
    return Development(
        statement=statement,
        cohorts=_facts(data),
        observed_risk=observed,
        observed_competing=competing,
        lost=lost,
        events_per_column=fit.events_per_column,
        penalties=fit.penalties,
        coefficients=_coefficients(fit),
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
    fit: ClinicalFit, task: ClinicalTask
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Estimate risks at the horizons in the fitted patients; what is not estimable is left out."""
    y = fit.outcome
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


def _coefficients(fit: ClinicalFit) -> tuple[Coefficient, ...]:
    """Hazard ratios for one unit of each column, for people."""
    names = [(one, column) for one in fit.predictors for column in one.columns]
    rows = []
    for index, (predictor, column) in enumerate(names):
        ratio = {
            cause: float(np.exp(coef[index] / fit.model.scale[index]))
            for cause, coef in fit.model.coef.items()
        }
        rows.append(
            Coefficient(
                column=column,
                unit=_unit(predictor, column),
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
