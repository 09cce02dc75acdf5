"""How far the risks would have to be updated here: chosen by a closed test, for a new model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.digest import digest_value
from metastra.errors import NotEstimable
from metastra.evaluation.covariates import design_of
from metastra.evaluation.draws import FEWEST_FOR_DRAWS
from metastra.evaluation.estimate import LEVEL, Estimate, attempt
from metastra.evaluation.measures import NO_RISK
from metastra.evaluation.patients import Patients
from metastra.stats.closed_testing import UpdateComparison, close_comparisons
from metastra.survival.brier import brier_score
from metastra.survival.calibration import observed_expected, weak_calibration
from metastra.survival.horizon import events_by
from metastra.survival.recalibration import Recalibration, fit_recalibration

__all__ = ["NEW_MODEL", "recalibration"]

NEW_MODEL = (
    "The updated risks are those of a new model, fitted to these very patients. It has its own "
    "digest and has not been validated: the numbers below are exploratory and too favourable."
)
_TEST_LEVEL = 0.05
_FORMULA = "risk = 1 - exp(-exp(a + b log(-log(1 - given risk))))"


def recalibration(patients: Patients, *, predictions_sha256: str = "") -> dict[str, Any]:
    """Fit the ladder of updates at each horizon and choose a rung by a closed test.

    Parameters
    ----------
    patients : Patients
        With risks; their `covariates`, where none is missing, make the refit.
    predictions_sha256 : str
        Of the table whose risks are updated; goes into the new model's digest.

    Returns
    -------
    dict
        ``note``, ``formula`` and ``horizons``: for each the ``chosen`` update, the ``tests`` that
        led to it, and every rung with its coefficients, its digest and its apparent measures.
    """
    head = {"exploratory": True, "new_model": True, "note": NEW_MODEL, "formula": _FORMULA}
    if patients.risks is None:
        return {**head, "horizons": [], "reason": NO_RISK}
    rows = [_at(patients, k, predictions_sha256) for k in range(len(patients.horizons))]
    return {**head, "horizons": rows}


def _at(patients: Patients, position: int, digest: str) -> dict[str, Any]:
    if patients.risks is None:
        raise NotEstimable(NO_RISK)
    horizon, risk = patients.horizons[position], patients.risks[:, position]
    head: dict[str, Any] = {"horizon": horizon, "level": _TEST_LEVEL}
    names, matrix, absent = _covariates(patients)
    events = events_by(patients.outcome, horizon)
    try:
        if events < FEWEST_FOR_DRAWS:
            raise NotEstimable(
                f"{events} events, fewer than {FEWEST_FOR_DRAWS}: no update is chosen"
            )
        fit = fit_recalibration(
            patients.outcome, risk, horizon, covariates=matrix, names=names or None
        )
    except NotEstimable as error:
        return {**head, "chosen": None, "tests": [], "rungs": [], "reason": error.reason}
    comparisons = [
        UpdateComparison(step=test.rung, chi2=test.chi2, df=test.df, p_value=test.p_value)
        for test in fit.tests
    ]
    closed = close_comparisons(comparisons, fullest=fit.rungs[-1], level=_TEST_LEVEL)
    return {
        **head,
        "chosen": closed.chosen,
        "tests": [
            {"rung": one.step, "chi2": one.chi2, "df": one.df, "p": one.p_value}
            for one in closed.comparisons
        ],
        "rungs": [_rung(patients, fit, rung, risk, matrix, digest) for rung in fit.rungs],
        "refit": absent or f"with {', '.join(names)}",
    }


def _covariates(patients: Patients) -> tuple[tuple[str, ...], NDArray[np.float64] | None, str]:
    """Give the covariates of the refit, or say why there is none."""
    if not patients.covariates:
        return (), None, "not fitted: no covariates were named (--adjust)"
    if any(one.n_missing for one in patients.covariates):
        return (), None, "not fitted: covariates have missing values"
    try:
        design = design_of(patients.covariates)
    except NotEstimable as error:
        return (), None, f"not fitted: {error.reason}"
    return design.names, design.matrix, ""


def _rung(
    patients: Patients,
    fit: Recalibration,
    rung: str,
    risk: NDArray[np.float64],
    matrix: NDArray[np.float64] | None,
    digest: str,
) -> dict[str, Any]:
    updated = fit.updated(rung, risk, matrix)
    names = ("intercept", "slope", *fit.names)
    coefficients = [
        {"name": name, **_coefficient(fit, one.estimate, one.interval(LEVEL)).to_json()}
        for name, one in zip(names, fit.coefficients[rung], strict=False)
    ]
    recipe = {
        "parent": digest,
        "horizon": fit.horizon,
        "rung": rung,
        "coefficients": {one["name"]: one["estimate"] for one in coefficients},
    }
    name = digest_value(recipe)
    return {
        "rung": rung,
        "model": None if rung == "none" else f"sha256:{name}",
        "coefficients": coefficients,
        **_apparent(patients, updated, fit.horizon),
    }


def _coefficient(fit: Recalibration, value: float, limits: tuple[float, float]) -> Estimate:
    return Estimate(
        estimate=value,
        lower=limits[0],
        upper=limits[1],
        method="coefficient of the update, sandwich standard error",
        n=fit.n,
        events=fit.events,
        horizon=fit.horizon,
    )


def _apparent(
    patients: Patients, risk: NDArray[np.float64], horizon: float
) -> dict[str, dict[str, Any]]:
    """Measure the updated risks on the patients they were fitted to; no intervals on purpose."""
    outcome = patients.outcome
    clipped = np.clip(risk, 1e-12, 1.0 - 1e-12)
    makers = {
        "oe_ratio": lambda: observed_expected(outcome, clipped, horizon).ratio,
        "slope": lambda: weak_calibration(outcome, clipped, horizon).slope.estimate,
        "brier": lambda: brier_score(outcome, clipped, horizon).estimate,
        "ipa": lambda: brier_score(outcome, clipped, horizon).ipa,
    }
    events = events_by(outcome, horizon)
    found = {}
    for key, make in makers.items():
        method = f"{key} of the updated risks on the patients they were fitted to (apparent)"

        def number(make: Any = make, method: str = method) -> Estimate:
            return Estimate(
                estimate=make(),
                lower=None,
                upper=None,
                method=method,
                n=patients.n,
                events=events,
                horizon=horizon,
                reason="no interval: apparent numbers are too favourable",
            )

        found[key] = attempt(
            number, method=method, n=patients.n, events=events, horizon=horizon
        ).to_json()
    return found
