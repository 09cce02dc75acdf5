"""Predictions of known quality, in the columns of ``predictions.csv``."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from metastra.errors import ConfigError
from metastra.synthetic.case_mix import HORIZON_MONTHS
from metastra.synthetic.draws import Draws

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PredictionKind", "RiskOf", "predictions_table"]


class PredictionKind(StrEnum):
    """How the predictions relate to the truth."""

    TRUTH = "truth"
    """The true risk itself: nothing can do better."""
    STAGE_ONLY = "stage-only"
    """The mean true risk of the patient's stage: calibrated, with less discrimination."""
    MISCALIBRATED = "miscalibrated"
    """The true risk times a factor: the same order of patients, wrong level."""
    SHUFFLED = "shuffled"
    """The true risks of other patients of the same cohort: right on average, no discrimination."""


class RiskOf(StrEnum):
    """Of what the predictions are the risk."""

    RECORD = "record"
    """That a metastasis is recorded: what the study's tables can show."""
    ONSET = "onset"
    """That a metastasis begins: what the tables show only under perfect surveillance."""


_COLUMNS = (
    "PATIENT", "cohort", "fold", "horizon", "risk", "risk_score", "bundle", "predicted_at",
    "modalities", "in_scope", "reason",
)  # fmt: skip
_LARGEST = 0.999


def predictions_table(
    truth: pd.DataFrame,
    kind: PredictionKind | str = PredictionKind.TRUTH,
    *,
    risk_of: RiskOf | str = RiskOf.RECORD,
    factor: float = 1.5,
    seed: int = 0,
) -> pd.DataFrame:
    """Make a table of predictions from the truth.

    Parameters
    ----------
    truth : pandas.DataFrame
        From `metastra.synthetic.truth.read_truth`.
    kind : PredictionKind or str
        How good the predictions are.
    risk_of : RiskOf or str
        Of what they are the risk.
    factor : float
        For ``"miscalibrated"``: predicted over true risk; above 1 is too high.  Risks are cut off
        at 0.999.
    seed : int
        For ``"shuffled"``.

    Returns
    -------
    pandas.DataFrame
        One row for each patient and horizon (in months after the synchronous window), with the
        columns PATIENT, cohort, fold, horizon, risk, risk_score, bundle, predicted_at, modalities,
        in_scope and reason.  ``risk_score`` is log(-log(1 - risk)).  Nothing was fitted, so
        ``fold`` is 0 throughout and ``bundle`` is empty; ``predicted_at`` is the day of surgery.
        Patients whom the study excludes have a reason instead of numbers.

    Raises
    ------
    ConfigError
        If the factor is not positive.

    Examples
    --------
    >>> from metastra.synthetic.generate import synthetic_study
    >>> from metastra.synthetic.truth import read_truth
    >>> truth = read_truth(synthetic_study(n_patients=40, seed=1)["truth/truth.csv"])
    >>> table = predictions_table(truth, "stage-only")
    >>> len(table), sorted(table["horizon"].unique().tolist())
    (120, [12, 24, 36])
    """
    import pandas as pd

    kind, risk_of = PredictionKind(kind), RiskOf(risk_of)
    if not (np.isfinite(factor) and factor > 0):
        raise ConfigError(f"the factor {factor} must be a positive number")
    prefix = "risk" if risk_of is RiskOf.ONSET else "recorded_risk"
    names = [f"{prefix}_{months}" for months in HORIZON_MONTHS]
    in_scope = truth["eligible"].to_numpy() == 1
    risks = truth.loc[in_scope, names].reset_index(drop=True)
    groups = truth.loc[in_scope, ["cohort", "stage"]].reset_index(drop=True)
    if kind is PredictionKind.STAGE_ONLY:
        risks = risks.groupby(groups["stage"]).transform("mean")
    elif kind is PredictionKind.MISCALIBRATED:
        risks = (risks * factor).clip(upper=_LARGEST)
    elif kind is PredictionKind.SHUFFLED:
        risks = _shuffled(risks, groups["cohort"], seed)
    treated = np.where(truth["stage"] == "IV", "metastases at diagnosis", "neoadjuvant treatment")
    tables = []
    for months, name in zip(HORIZON_MONTHS, names, strict=True):
        risk = np.full(len(truth), np.nan)
        risk[in_scope] = risks[name].to_numpy()
        table = {
            "PATIENT": truth["PATIENT"],
            "cohort": truth["cohort"],
            "fold": 0,
            "horizon": months,
            "risk": risk,
            "risk_score": np.log(-np.log1p(-risk)),
            "bundle": "",
            "predicted_at": truth["surgery_date"],
            "modalities": "truth",
            "in_scope": in_scope,
            "reason": np.where(in_scope, "", treated),
        }
        tables.append(pd.DataFrame(table, columns=list(_COLUMNS)))
    long = pd.concat(tables, keys=range(len(tables)), names=["horizon_number", "row"])
    return long.sort_index(level=["row", "horizon_number"]).reset_index(drop=True)


def _shuffled(risks: pd.DataFrame, cohort: pd.Series[str], seed: int) -> pd.DataFrame:
    """Permute patients within their cohort, the same way at every horizon."""
    order = np.arange(len(risks))
    for name in sorted(cohort.unique()):
        mine = np.flatnonzero((cohort == name).to_numpy())
        keys = Draws(seed=seed, label="shuffled").uniform(str(name), mine.size)
        order[mine] = mine[np.argsort(keys, kind="stable")]
    return risks.iloc[order].reset_index(drop=True)
