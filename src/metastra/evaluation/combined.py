"""The model's risk and routine findings combined into one absolute risk, with its interval.

A combination fitted here is a *new* model on these very patients: it shows what the two together
could say, and needs a validation of its own before anybody relies on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.evaluation.estimate import LEVEL, Estimate
from metastra.evaluation.patients import Patients
from metastra.evaluation.risk_groups import Grouping
from metastra.stats.resampling import bootstrap_weights
from metastra.survival.absolute_risk import absolute_risk, fit_cause_specific_cox
from metastra.survival.calibration import cloglog
from metastra.survival.dynamic_auc import dynamic_auc
from metastra.survival.horizon import events_by
from metastra.survival.outcome import Outcome

__all__ = ["NOT_RECORDED", "combined_risk"]

NOT_RECORDED = "not recorded"
"""Label of patients whose finding is missing; a row of its own, never imputed away."""

_Array = NDArray[np.float64]
_FEWEST_PER_COEFFICIENT = 5.0
_ENOUGH_PER_COEFFICIENT = 10.0
_SMALLEST_CELL = 10
_METHOD = (
    "absolute risk from cause-specific Cox models of the complementary log-log of the model's risk "
    "and the findings (Benichou and Gail 1990), mean of the patients in the row; percentile "
    "bootstrap of patients, models refitted in each draw"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Design:
    matrix: _Array
    names: tuple[str, ...]


def combined_risk(
    patients: Patients, grouping: Grouping, *, bootstrap: int = 200, seed: int = 0
) -> dict[str, Any]:
    """Combine the risk by the last horizon with the patients' findings.

    Parameters
    ----------
    patients : Patients
        With risks, and the findings (stage, grade, MMR, CEA …) as `subgroups`.
    grouping : Grouping
        Their risk groups.
    bootstrap : int
        Draws of patients; 0 for none.
    seed : int
        Of the draws.

    Returns
    -------
    dict
        ``coefficients`` (log hazard ratios), ``rows`` (absolute risk by risk group and finding),
        ``auc`` of the model alone, apparent and corrected for optimism; or only a ``reason``.

    Notes
    -----
    Optimism: Harrell et al. 1996; the mean over the draws of the AUC in the draw less the AUC of
    the same refitted model in the patients themselves.
    """
    if not patients.subgroups:
        return {"reason": "no findings were given to combine with"}
    if patients.risks is None:
        return {"reason": "a score alone has no absolute risk to combine"}
    horizon = patients.last_horizon
    design = _design(patients)
    events = patients.outcome.n_events(1)
    per = events / design.matrix.shape[1]
    try:
        if per < _FEWEST_PER_COEFFICIENT:
            raise NotEstimable(
                f"{events} events for {design.matrix.shape[1]} coefficients; expected "
                f"{_FEWEST_PER_COEFFICIENT:g} or more for each"
            )
        models = fit_cause_specific_cox(patients.outcome, design.matrix, names=design.names)
        risk = absolute_risk(models, design.matrix, [horizon])[:, 0]
    except NotEstimable as error:
        return {"reason": error.reason}
    draws = _Draws.of(patients, design, bootstrap, seed)
    return {
        "horizon": horizon,
        "events_per_coefficient": per,
        "few_events": per < _ENOUGH_PER_COEFFICIENT,
        "coefficients": [
            {
                "name": name,
                "log_hazard_ratio": float(models[1].coef[k]),
                "std_error": float(models[1].std_error[k]),
            }
            for k, name in enumerate(design.names)
        ],
        "rows": _rows(patients, grouping, risk, draws.risks),
        "auc": _auc(patients, risk, draws.optimism),
    }


def _design(patients: Patients) -> _Design:
    """Lay out the model's risk on the scale of a hazard, and a column for each rarer label."""
    risks = patients.risks
    if risks is None:
        raise NotEstimable("a score alone has no absolute risk to combine")
    columns = [np.asarray(cloglog(np.clip(risks[:, -1], 1e-6, 1.0 - 1e-6)))]
    names = ["model's risk (complementary log-log)"]
    for finding, cells in patients.subgroups.items():
        labels = _labels(cells)
        known, counts = np.unique(labels, return_counts=True)
        reference = known[np.argmax(counts)]
        for label in known[known != reference]:
            columns.append((labels == label).astype(np.float64))
            names.append(f"{finding}: {label} (against {reference})")
    return _Design(matrix=np.column_stack(columns), names=tuple(names))


def _labels(cells: NDArray[np.object_]) -> NDArray[np.str_]:
    return np.array([NOT_RECORDED if cell is None else str(cell) for cell in cells])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Draws:
    """Risks of the patients themselves under refitted models, and the optimism of each."""

    risks: _Array
    optimism: _Array

    @classmethod
    def of(cls, patients: Patients, design: _Design, bootstrap: int, seed: int) -> _Draws:
        horizon, outcome = patients.last_horizon, patients.outcome
        risks, optimism = [], []
        weights = (
            bootstrap_weights(patients.n, replicates=bootstrap, seed=seed) if bootstrap else ()
        )
        for one in weights:
            index = np.repeat(np.arange(patients.n), one.astype(np.int64))
            try:
                drawn = outcome.take(index)
                models = fit_cause_specific_cox(drawn, design.matrix[index])
                everyone = absolute_risk(models, design.matrix, [horizon])[:, 0]
                inside = dynamic_auc(drawn, everyone[index], horizon).estimate
                outside = dynamic_auc(outcome, everyone, horizon).estimate
            except NotEstimable:
                continue
            risks.append(everyone)
            optimism.append(inside - outside)
        shape = (len(risks), patients.n)
        return cls(risks=np.array(risks).reshape(shape), optimism=np.array(optimism))


def _rows(
    patients: Patients, grouping: Grouping, risk: _Array, drawn: _Array
) -> list[dict[str, Any]]:
    """One row for each risk group and label of each finding with enough patients."""
    risks = patients.risks
    rows = []
    for finding, cells in patients.subgroups.items():
        labels = _labels(cells)
        for label in np.unique(labels):
            for number, group in enumerate(grouping.names):
                mine = (labels == label) & (grouping.group == number)
                n = int(mine.sum())
                if n < _SMALLEST_CELL or risks is None:
                    continue
                part = patients.outcome.take(mine)
                rows.append(
                    {
                        "finding": finding,
                        "label": str(label),
                        "group": group,
                        "model": float(risks[mine, -1].mean()),
                        "combined": _mean(risk[mine], drawn[:, mine], part, patients).to_json(),
                    }
                )
    return rows


def _mean(risk: _Array, drawn: _Array, part: Outcome, patients: Patients) -> Estimate:
    lower = upper = reason = None
    if drawn.shape[0]:
        tail = 0.5 * (1.0 - LEVEL)
        lower, upper = (float(v) for v in np.quantile(drawn.mean(axis=1), [tail, 1.0 - tail]))
    else:
        reason = "no bootstrap was asked for, or no draw could be fitted"
    return Estimate(
        estimate=float(risk.mean()),
        lower=lower,
        upper=upper,
        method=_METHOD,
        n=part.n,
        events=events_by(part, patients.last_horizon),
        horizon=patients.last_horizon,
        reason=reason,
    )


def _auc(patients: Patients, risk: _Array, optimism: _Array) -> Mapping[str, float | None]:
    horizon, risks = patients.last_horizon, patients.risks
    apparent = dynamic_auc(patients.outcome, risk, horizon).estimate
    alone = None
    if risks is not None:
        alone = dynamic_auc(patients.outcome, risks[:, -1], horizon).estimate
    corrected = apparent - float(optimism.mean()) if optimism.size else None
    return {"model": alone, "apparent": apparent, "corrected": corrected}
