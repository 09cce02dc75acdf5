"""How much of the truth a model has found: its concordance beside that of the true risk.

The outcomes of a synthetic study are drawn from stated hazards, so the true risk of each patient is
known, and no model orders the patients better, except by luck.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import DataError, NotEstimable
from metastra.evaluation.draws import FEWEST_FOR_DRAWS
from metastra.evaluation.estimate import LEVEL, Estimate
from metastra.stats.resampling import Bootstrap, bootstrap
from metastra.survival.concordance import concordance
from metastra.survival.outcome import Outcome
from metastra.synthetic.case_mix import HORIZON_MONTHS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TruthComparison", "compare_with_truth", "expected_auc"]

_Array = NDArray[np.float64]

_C = "Harrell's concordance up to the horizon; percentiles of {draws} draws of patients"
_SHARE = (
    "(C of the model - 0.5) / (C of the true risk - 0.5); percentiles of the same {draws} draws of "
    "patients"
)
_DRAWS = 1000
_FEWEST_EVENTS = 5
"""Below this many events there is no interval; below `FEWEST_FOR_DRAWS` it is said to be narrow."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TruthComparison:
    """A model beside the truth in one cohort.

    Parameters
    ----------
    cohort : str
        Whose patients.
    n, events : int
        Patients with a risk, and events of interest by the horizon.
    n_without_risk : int
        Patients whom the model gave none.
    horizon : float
        In months.
    concordances : mapping of str to Estimate
        ``c_true``, ``c_model``, ``c_clinical`` and ``recovered``, and one for each further model.
    without_noise : mapping of str to float
        The same with AUCs over all outcomes that the hazards could have drawn (`expected_auc`).
    """

    cohort: str
    n: int
    events: int
    n_without_risk: int
    horizon: float
    concordances: Mapping[str, Estimate]
    without_noise: Mapping[str, float | None]

    def to_json(self) -> dict[str, Any]:
        """Write the comparison as plain values.

        Returns
        -------
        dict
            Strict JSON.
        """
        return {
            "cohort": self.cohort,
            "n": self.n,
            "events": self.events,
            "without_risk": self.n_without_risk,
            "horizon": self.horizon,
            **{name: one.to_json() for name, one in self.concordances.items()},
            "without_noise": dict(self.without_noise),
        }


def compare_with_truth(
    truth: pd.DataFrame, predictions: pd.DataFrame, *, horizon_months: float, seed: int
) -> tuple[TruthComparison, ...]:
    """Compare a run's predictions with the true risks, cohort by cohort.

    Parameters
    ----------
    truth : pandas.DataFrame
        From `metastra.synthetic.truth.read_truth`.
    predictions : pandas.DataFrame
        A study's ``predictions.csv`` with ``time`` (months) and ``event``; ``risk`` is the model's,
        ``risk_NAME`` that of another one, ``risk_clinical`` the clinical baseline.  Without the
        latter the model itself is the clinical one.
    horizon_months : float
        The primary horizon; one of those that the truth has.
    seed : int
        Of the draws.

    Returns
    -------
    tuple of TruthComparison
        In the order of the predictions.

    Raises
    ------
    DataError
        If the truth lacks the horizon or a patient.
    """
    if horizon_months not in HORIZON_MONTHS:
        known = ", ".join(str(months) for months in HORIZON_MONTHS)
        raise DataError(f"the truth has risks by {known} months, none by {horizon_months:g}")
    table = predictions[predictions["horizon"] == horizon_months]
    column = f"risk_{horizon_months:g}"
    joined = table.merge(
        truth[["PATIENT", "cohort", column]].rename(columns={column: "true"}),
        on=["PATIENT", "cohort"],
        how="left",
        validate="one_to_one",
    )
    if (lost := int(joined["true"].isna().sum())) > 0:
        raise DataError(f"{lost} predicted patients have no true risk")
    others = [name for name in joined.columns if name.startswith("risk_") and _is_model(name)]
    names = {"true": "true", "model": "risk", "clinical": "risk"}
    names |= {name.removeprefix("risk_"): name for name in others}
    return tuple(
        _compared(str(cohort), part, names, float(horizon_months), seed)
        for cohort, part in joined.groupby("cohort", sort=False)
    )


def _is_model(column: str) -> bool:
    return column not in ("risk_score", "risk_group")


def _compared(
    cohort: str, part: pd.DataFrame, names: Mapping[str, str], horizon: float, seed: int
) -> TruthComparison:
    scores = {name: part[column].to_numpy(np.float64) for name, column in names.items()}
    known = np.all([np.isfinite(one) for one in scores.values()], axis=0)
    scores = {name: one[known] for name, one in scores.items()}
    n, events = int(known.sum()), 0
    estimates: dict[str, Estimate] = {}
    noiseless: dict[str, float | None] = dict.fromkeys(scores)
    if n:
        outcome = Outcome(
            time=part["time"].to_numpy(np.float64)[known], event=part["event"].to_numpy()[known]
        )
        events = outcome.until(horizon).n_events(1)
        estimates = _estimates(outcome, scores, horizon, seed)
        noiseless = {name: expected_auc(one, scores["true"]) for name, one in scores.items()}
    else:
        reason = "no patient of the cohort has a risk"
        estimates = {name: _none(_C, 0, 0, horizon, reason) for name in _keys(scores)}
    top, found = noiseless["true"], noiseless["model"]
    share = None if top is None or found is None or top <= 0.5 else (found - 0.5) / (top - 0.5)
    return TruthComparison(
        cohort=cohort,
        n=n,
        events=events,
        n_without_risk=int((~known).sum()),
        horizon=horizon,
        concordances=estimates,
        without_noise={f"auc_{name}": value for name, value in noiseless.items()}
        | {"recovered": share},
    )


def _keys(scores: Mapping[str, _Array]) -> list[str]:
    return [*(f"c_{name}" for name in scores), "recovered"]


def _estimates(
    outcome: Outcome, scores: Mapping[str, _Array], horizon: float, seed: int
) -> dict[str, Estimate]:
    """Compute all concordances on one set of draws, so that the share is paired."""
    columns = list(scores.values())

    def statistic(weights: _Array) -> _Array:
        found = [
            concordance(outcome, one, tau=horizon, weights=weights, std_error=False).estimate
            for one in columns
        ]
        above = found[0] - 0.5
        return np.array([*found, (found[1] - 0.5) / above if above > 0.0 else np.nan])

    events = outcome.until(horizon).n_events(1)
    reason = None
    sample: Bootstrap | None = None
    try:
        if events >= _FEWEST_EVENTS:
            sample = bootstrap(statistic, outcome.n, replicates=_DRAWS, seed=seed)
            centre = sample.estimate
        else:
            centre = statistic(np.ones(outcome.n))
            reason = f"{events} events are too few for an interval; {_FEWEST_EVENTS} are needed"
        if _FEWEST_EVENTS <= events < FEWEST_FOR_DRAWS:
            reason = f"an interval from {events} events by draws is likely too narrow"
    except NotEstimable as error:
        return {name: _none(_C, outcome.n, events, horizon, error.reason) for name in _keys(scores)}
    return {
        name: _estimate(
            float(centre[position]),
            _limits(sample, position),
            method=_SHARE if name == "recovered" else _C,
            basis=(outcome.n, events, horizon),
            reason=reason,
        )
        for position, name in enumerate(_keys(scores))
    }


def _limits(sample: Bootstrap | None, position: int) -> tuple[float | None, float | None]:
    if sample is None:
        return None, None
    try:
        return sample.percentile(position, level=LEVEL)
    except NotEstimable:
        return None, None


def _estimate(
    centre: float,
    limits: tuple[float | None, float | None],
    *,
    method: str,
    basis: tuple[int, int, float],
    reason: str | None,
) -> Estimate:
    n, events, horizon = basis
    if not np.isfinite(centre):
        return _none(
            method, n, events, horizon, "the truth itself orders no better than chance here"
        )
    return Estimate(
        estimate=centre,
        lower=limits[0],
        upper=limits[1],
        method=method.format(draws=_DRAWS),
        n=n,
        events=events,
        horizon=horizon,
        reason=reason,
    )


def _none(method: str, n: int, events: int, horizon: float, reason: str) -> Estimate:
    return Estimate(
        estimate=None,
        lower=None,
        upper=None,
        method=method.format(draws=_DRAWS),
        n=n,
        events=events,
        horizon=horizon,
        reason=reason,
    )


def expected_auc(score: _Array, risk: _Array) -> float | None:
    """Compute the AUC of a score over all outcomes that could have been drawn.

    Parameters
    ----------
    score : ndarray of shape (n,)
        Higher is worse.
    risk : ndarray of shape (n,)
        True probability of the event of each patient.

    Returns
    -------
    float or None
        The chance that of two patients, one with and one without the event, the first has the
        higher score (ties count one half); None where no such pair is possible.  No outcome is
        drawn, so only the patients themselves are chance.

    Examples
    --------
    >>> import numpy as np
    >>> risk = np.array([0.1, 0.2, 0.4])
    >>> round(expected_auc(risk, risk), 4), round(expected_auc(-risk, risk), 4)
    (0.7679, 0.2321)
    """
    won = score[:, None] > score[None, :]
    tied = score[:, None] == score[None, :]
    weight = risk[:, None] * (1.0 - risk[None, :])
    np.fill_diagonal(weight, 0.0)
    total = float(weight.sum())
    return float(((won + 0.5 * tied) * weight).sum()) / total if total > 0.0 else None
