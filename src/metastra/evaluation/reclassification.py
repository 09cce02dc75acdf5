"""Who changes the risk group when the model takes the place of the baseline risk.

The table is shown because reviewers ask for it.  Its summary, the net reclassification improvement,
is no evidence that a model is better: it is positive for useless markers when the models are
miscalibrated, and it rewards no risk for being right (Pepe et al. 2015; Hilden and Gerds 2014).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.evaluation.estimate import LEVEL, Estimate, attempt
from metastra.evaluation.patients import Patients, Settings
from metastra.survival.auc_parts import Controls, is_control
from metastra.survival.calibration import observed_risk
from metastra.survival.horizon import HorizonView, std_error, view_at
from metastra.survival.intervals import t_quantile
from metastra.survival.outcome import Outcome

__all__ = ["CAVEAT", "reclassification"]

CAVEAT = (
    "Net reclassification is no evidence of added value: it can be positive for a useless marker "
    "when a model is miscalibrated, and it is no proper score (Hilden and Gerds 2014; Pepe et al. "
    "2015). Read the differences in AUC, Brier score and net benefit instead."
)
_METHOD = (
    "category net reclassification among {whom}, inverse probability of censoring weights; "
    "influence function, Student's t on the events less one"
)
_SMALLEST_CELL = 10
_Groups = NDArray[np.int64]


def reclassification(patients: Patients, settings: Settings) -> dict[str, Any]:
    """Cross the groups of both risks at the same fixed cutpoints.

    Parameters
    ----------
    patients : Patients
        With risks and baseline risks; groups are cut at the last horizon.
    settings : Settings
        With cutpoints fixed beforehand, draws and seed.

    Returns
    -------
    dict
        ``table`` (n and observed risk by baseline and model group), ``events`` and
        ``non_events`` (net shares that move the right way), ``caveat``; or only a ``reason``.
    """
    risks, baseline = patients.risks, patients.baseline
    if risks is None or baseline is None:
        return {"reason": "a risk and a baseline risk are needed"}
    if not settings.cutpoints:
        return {"reason": "no cutpoint was fixed beforehand (--cutpoint)"}
    cuts = np.asarray(settings.cutpoints)
    before: _Groups = np.searchsorted(cuts, baseline[:, -1], side="right").astype(np.int64)
    after: _Groups = np.searchsorted(cuts, risks[:, -1], side="right").astype(np.int64)
    horizon = patients.last_horizon
    try:
        view = view_at(patients.outcome, horizon)
    except NotEstimable as error:
        return {"reason": error.reason}
    direction = np.sign(after - before).astype(np.float64)
    others = is_control(view, Controls.FREE_OF_CAUSE)
    return {
        "horizon": horizon,
        "cutpoints": [float(cut) for cut in cuts],
        "table": _table(patients.outcome, before, after, horizon, cuts.size + 1),
        "moved_up": int(np.count_nonzero(direction > 0.0)),
        "moved_down": int(np.count_nonzero(direction < 0.0)),
        "caveat": CAVEAT,
        "events": _net(view, direction, view.case, "patients with the event").to_json(),
        "non_events": _net(view, -direction, others, "the others").to_json(),
    }


def _net(
    view: HorizonView, direction: NDArray[np.float64], among: NDArray[np.bool_], whom: str
) -> Estimate:
    """Weighted mean of the right moves (1) less the wrong ones (-1) among some patients."""
    method = _METHOD.format(whom=whom)

    def make() -> Estimate:
        everybody = float(np.sum(view.weight * among))
        if everybody == 0.0:
            raise NotEstimable(f"nobody is known to be among {whom}")
        value = float(np.sum(view.weight * among * direction)) / everybody
        terms = view.weight * among * (direction - value)
        influence = view.n * (terms + view.weight_influence(terms)) / everybody
        half = t_quantile(LEVEL, view.n_cases - 1.0) * std_error(influence)
        return Estimate(
            estimate=value,
            lower=max(value - half, -1.0),
            upper=min(value + half, 1.0),
            method=method,
            n=view.n,
            events=view.n_cases,
            horizon=view.horizon,
        )

    return attempt(make, method=method, n=view.n, events=view.n_cases, horizon=view.horizon)


def _table(
    outcome: Outcome, before: _Groups, after: _Groups, horizon: float, k: int
) -> list[dict[str, Any]]:
    rows = []
    for old in range(k):
        for new in range(k):
            mine = (before == old) & (after == new)
            n, risk = int(mine.sum()), None
            if n >= _SMALLEST_CELL and float(outcome.time[mine].max()) >= horizon:
                risk = observed_risk(outcome.take(mine), horizon)[0]
            rows.append({"baseline_group": old, "model_group": new, "n": n, "observed": risk})
    return rows
