"""Hazard ratios of the predictions beside stage, grade or other declared covariates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.evaluation.covariates import Covariate, design_of
from metastra.evaluation.estimate import LEVEL, Estimate, attempt
from metastra.evaluation.patients import Patients, Settings
from metastra.evaluation.risk_groups import Grouping, marker
from metastra.stats.chained import IncompleteColumn, imputations_needed, impute_chained
from metastra.stats.imputation import pool_rubin
from metastra.survival.cox import CoxModel, fit_cox, likelihood_ratio_test
from metastra.survival.nelson_aalen import nelson_aalen
from metastra.survival.outcome import Outcome
from metastra.survival.zph import proportional_hazards_test

__all__ = ["adjusted", "completed"]

_Array = NDArray[np.float64]
_FEW_PER_PARAMETER = 10
_COX = "cause-specific hazard ratio, Cox model (Efron)"


@dataclass(frozen=True, kw_only=True, eq=False)
class _Model:
    """One model: names, whose columns they are, and a matrix for each completed data set."""

    names: tuple[str, ...]
    owners: tuple[str, ...]
    matrices: tuple[_Array, ...]

    def of(self, owner: str) -> _Model:
        """Keep the columns of one covariate."""
        keep = [k for k, one in enumerate(self.owners) if one == owner]
        return _Model(
            names=tuple(self.names[k] for k in keep),
            owners=(owner,) * len(keep),
            matrices=tuple(matrix[:, keep] for matrix in self.matrices),
        )


def adjusted(patients: Patients, settings: Settings, grouping: Grouping) -> dict[str, Any]:
    """Set the predictions beside the covariates.

    Parameters
    ----------
    patients : Patients
        With `covariates`; missing values are imputed where there are any.
    settings : Settings
        With the seed, and the number of imputations where it was said.
    grouping : Grouping
        Risk groups of the same patients.

    Returns
    -------
    dict
        ``univariable`` and ``multivariable`` hazard ratios of the predictions and of every
        covariate, ``groups`` (risk groups, adjusted), ``complete_case`` where values were imputed,
        ``likelihood_ratio_p`` of adding the predictions, ``proportional_hazards``, ``missing`` and
        ``left_out`` (columns that are the same in everybody);
        only a ``reason`` where no covariates were named.

    Notes
    -----
    REMARK (McShane et al. 2005; Altman et al. 2012) asks for all of them, significant or not.
    """
    if not patients.covariates:
        return {"reason": "no covariates were named (--adjust)"}
    missing = [
        {"column": one.name, "n_missing": one.n_missing, "share": one.n_missing / patients.n}
        for one in patients.covariates
    ]
    constant = [one for one in patients.covariates if _is_constant(one)]
    patients = replace(
        patients, covariates=tuple(one for one in patients.covariates if one not in constant)
    )
    found: dict[str, Any] = {
        "covariates": [one.name for one in patients.covariates],
        "left_out": [
            {"column": one.name, "reason": "the same in all patients with a value"}
            for one in constant
        ],
        "missing": missing,
    }
    outcome = patients.outcome.only(1)
    try:
        if not patients.covariates:
            named = ", ".join(one.name for one in constant)
            raise NotEstimable(f"every covariate is the same in all patients with a value: {named}")
        sets, words = completed(patients, settings)
        main = _model(sets, [_marker(patients)])
    except NotEstimable as error:
        return {**found, "imputations": 0, "reason": error.reason}
    found["imputations"] = len(sets) if len(sets) > 1 else 0
    found["imputation_method"] = words
    found["univariable"] = [
        row for owner in dict.fromkeys(main.owners) for row in _fitted(outcome, main.of(owner))
    ]
    found["multivariable"] = _fitted(outcome, main)
    found["groups"] = _groups(outcome, sets, grouping)
    events = outcome.n_events(1)
    few = events < _FEW_PER_PARAMETER * len(main.names)
    found["warning"] = (
        f"{events} events for {len(main.names)} coefficients: fewer than {_FEW_PER_PARAMETER} each"
        if few
        else None
    )
    whole = np.all([~np.isnan(one.values) for one in patients.covariates], axis=0)
    part = patients.take(whole)
    found["complete_case"] = _complete_case(part) if len(sets) > 1 else None
    found["likelihood_ratio_p"] = _likelihood_ratio(part).to_json()
    found["proportional_hazards"] = _proportional(part)
    return found


def _is_constant(one: Covariate) -> bool:
    """Whether a column has values and all are the same: no model can take it."""
    known = one.values[~np.isnan(one.values)]
    return bool(known.size and np.ptp(known) == 0.0)


def completed(patients: Patients, settings: Settings) -> tuple[list[tuple[Covariate, ...]], str]:
    """Complete the covariates: once where nothing is missing, m times where something is.

    Parameters
    ----------
    patients : Patients
        With `covariates`.
    settings : Settings
        Seed and, where it was said, the number of imputations.

    Returns
    -------
    sets : list of tuple of Covariate
        One for each imputation.
    words : str
        How, for the methods.

    Raises
    ------
    NotEstimable
        When a covariate has too few values to be imputed, or the predictions do not vary.
    """
    covariates = patients.covariates
    if not any(one.n_missing for one in covariates):
        return [covariates], "no value is missing"
    columns = [IncompleteColumn(values=one.values, n_levels=len(one.levels)) for one in covariates]
    m = settings.imputations or imputations_needed(columns)
    outcome = patients.outcome
    hazard = nelson_aalen(outcome.only(1)).hazard_at(outcome.time)
    known = [(outcome.event == 1).astype(np.float64), hazard, marker(patients)[1]]
    if patients.competing:
        known.append((outcome.event == 2).astype(np.float64))
    draws = impute_chained(columns, np.column_stack(known), m=m, seed=settings.seed)
    sets = [
        tuple(
            replace(one, values=values, base=one.reference if one.levels else None)
            for one, values in zip(covariates, draw, strict=True)
        )
        for draw in draws
    ]
    words = (
        f"{m} imputations by chained equations (predictive mean matching, multinomial logistic), "
        "with event, Nelson–Aalen hazard, predictions and all covariates; Rubin's rules with "
        "Barnard–Rubin degrees of freedom on the log scale"
    )
    return sets, words


_Columns = tuple[tuple[str, ...], _Array]


def _marker(patients: Patients) -> _Columns:
    name, values = marker(patients)
    return (name,), values[:, None]


def _model(sets: Sequence[tuple[Covariate, ...]], ahead: Sequence[_Columns]) -> _Model:
    """Join the columns ahead with the covariates of each completed data set."""
    designs = [design_of(covariates) for covariates in sets]
    first = tuple(name for part in ahead for name in part[0])
    matrices = [np.column_stack([*(part[1] for part in ahead), one.matrix]) for one in designs]
    return _Model(
        names=(*first, *designs[0].names),
        owners=(*first, *designs[0].owners),
        matrices=tuple(matrices),
    )


def _fitted(outcome: Outcome, model: _Model) -> list[dict[str, Any]]:
    """Hazard ratio of every term, pooled where there are several data sets."""
    n, events = outcome.n, outcome.n_events(1)
    m = len(model.matrices)
    tail = "Wald interval on the log scale" if m == 1 else f"Rubin's rules over {m} imputations"
    method = f"{_COX}; {tail}"
    fits: list[CoxModel] | NotEstimable
    try:
        fits = [fit_cox(outcome, matrix, names=model.names) for matrix in model.matrices]
    except NotEstimable as error:
        fits = error

    def make(position: int) -> Callable[[], Estimate]:
        def one() -> Estimate:
            if isinstance(fits, NotEstimable):
                raise fits
            estimate, lower, upper = _pooled(fits, position)
            return Estimate(
                estimate=estimate, lower=lower, upper=upper, method=method, n=n, events=events
            )

        return one

    return [
        {"term": name, **attempt(make(k), method=method, n=n, events=events).to_json()}
        for k, name in enumerate(model.names)
    ]


def _pooled(fits: Sequence[CoxModel], position: int) -> tuple[float, float, float]:
    if len(fits) == 1:
        lower, upper = fits[0].hazard_ratio_interval(LEVEL)
        return float(fits[0].hazard_ratio[position]), float(lower[position]), float(upper[position])
    joined = pool_rubin(
        [float(fit.coef[position]) for fit in fits],
        [float(fit.std_error[position]) for fit in fits],
        n=fits[0].n_events,
        n_parameters=len(fits[0].coef),
    )
    limits = joined.interval(LEVEL)
    return float(np.exp(joined.estimate)), float(np.exp(limits[0])), float(np.exp(limits[1]))


def _groups(
    outcome: Outcome, sets: Sequence[tuple[Covariate, ...]], grouping: Grouping
) -> list[dict[str, Any]]:
    """Risk groups against the lowest one, adjusted for the covariates."""
    lowest = int(grouping.group.min())
    present = [g for g in range(len(grouping.names)) if g != lowest and (grouping.group == g).any()]
    if not present:
        return []
    labels = tuple(f"{grouping.names[g]} against {grouping.names[lowest]}" for g in present)
    dummies = np.column_stack([grouping.group == g for g in present]).astype(np.float64)
    model = _model(sets, [(labels, dummies)])
    rows = _fitted(outcome, model)[: len(labels)]
    return [{"contrast": row.pop("term"), **row} for row in rows]


def _complete_case(part: Patients) -> dict[str, Any]:
    """Fit the same model on the patients with every value."""
    outcome = part.outcome.only(1)
    head = {"n": part.n, "events": outcome.n_events(1)}
    try:
        model = _model([part.covariates], [_marker(part)])
    except NotEstimable as error:
        return {**head, "multivariable": [], "reason": error.reason}
    return {**head, "multivariable": _fitted(outcome, model)}


def _likelihood_ratio(part: Patients) -> Estimate:
    method = "likelihood-ratio test of adding the predictions to the covariates (complete cases)"
    outcome = part.outcome.only(1)

    def make() -> Estimate:
        design = design_of(part.covariates)
        names, column = _marker(part)
        small = fit_cox(outcome, design.matrix, names=design.names)
        both = np.column_stack([design.matrix, column])
        large = fit_cox(outcome, both, names=[*design.names, *names])
        return Estimate(
            estimate=likelihood_ratio_test(small, large).p,
            lower=None,
            upper=None,
            method=method,
            n=outcome.n,
            events=large.n_events,
        )

    return attempt(make, method=method, n=part.n, events=outcome.n_events(1))


def _proportional(part: Patients) -> list[dict[str, Any]]:
    """Grambsch and Therneau's test of every term and of all, on the complete cases."""
    outcome = part.outcome.only(1)
    n, events = part.n, outcome.n_events(1)
    method = "score test of proportional hazards (Grambsch–Therneau, Kaplan–Meier transform)"
    try:
        model = _model([part.covariates], [_marker(part)])
        fit = fit_cox(outcome, model.matrices[0], names=model.names)
        test = proportional_hazards_test(fit)
    except NotEstimable as error:
        failure = error

        def refuse() -> Estimate:
            raise failure

        number = attempt(refuse, method=method, n=n, events=events)
        return [{"term": "all terms", **number.to_json()}]

    def value(p: float) -> Callable[[], Estimate]:
        return lambda: Estimate(
            estimate=p, lower=None, upper=None, method=method, n=n, events=events
        )

    tests = [*zip(test.names, test.tests, strict=True), ("all terms", test.overall)]
    return [
        {"term": name, **attempt(value(one.p), method=method, n=n, events=events).to_json()}
        for name, one in tests
    ]
