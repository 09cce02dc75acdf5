"""What each row of the table calls, on simulated follow-up in whole days."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.cases import REPOSITORY
from benchmarks.timing import Pair
from metastra.cohort.tables import read_table
from metastra.stats.resampling import bootstrap
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.brier import brier_score
from metastra.survival.concordance import concordance
from metastra.survival.cox import fit_cox
from metastra.survival.dynamic_auc import dynamic_auc
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.outcome import Outcome
from metastra.survival.panel import ValidationPanel

__all__ = ["BUILDERS", "Unavailable", "shared_folder"]

_SEED = 20260101
_HORIZON_DAYS = 730.5
_YEARLY = 0.1125
"""Hazard at a score of 0; with the censoring below about 41 % of the patients have the event."""
_DAYS_PER_YEAR = 365.25

Array = NDArray[Any]


class Unavailable(Exception):
    """What a row needs is not there; the message is the reason."""


def shared_folder() -> Path:
    """Find the folder of real data, as the tests do."""
    return Path(os.environ.get("METASTRA_SHARED", REPOSITORY.parent / "shared")).resolve()


def _follow_up(n: int, *, competing: bool = False) -> tuple[Array, Array, Array]:
    """Draw score, days and event: exponential hazards, follow-up uniform over 1 to 8 years."""
    generator = np.random.default_rng(_SEED)
    score = generator.standard_normal(n)
    event_years = generator.exponential(1.0 / (_YEARLY * np.exp(0.8 * score)))
    end_years = generator.uniform(1.0, 8.0, n)
    other_years = generator.exponential(20.0, n) if competing else np.full(n, np.inf)
    first = np.minimum(event_years, other_years)
    code = np.where(event_years <= other_years, 1, 2)
    event = np.where(first <= end_years, code, 0)
    days = np.floor(np.minimum(first, end_years) * _DAYS_PER_YEAR) + 1.0
    return score, days, event


def _concordance(n: int) -> Pair:
    from lifelines.utils import concordance_index

    score, days, event = _follow_up(n)
    return Pair(
        ours=lambda: concordance(Outcome(time=days, event=event), score, std_error=False).estimate,
        theirs=lambda: concordance_index(days, -score, event),
        difference=lambda a, b: abs(a - b),
    )


def _untied(n: int) -> Pair:
    """The same with every time its own: lifelines' tree is then as large as the cohort."""
    from lifelines.utils import concordance_index

    score, days, event = _follow_up(n)
    days = days + np.random.default_rng(_SEED).uniform(0.0, 1.0, n)
    return Pair(
        ours=lambda: concordance(Outcome(time=days, event=event), score, std_error=False).estimate,
        theirs=lambda: concordance_index(days, -score, event),
        difference=lambda a, b: abs(a - b),
    )


def _scikit_survival(n: int) -> Pair:
    from sksurv.metrics import concordance_index_censored

    score, days, event = _follow_up(n)
    happened = event == 1
    return Pair(
        ours=lambda: concordance(Outcome(time=days, event=event), score, std_error=False).estimate,
        theirs=lambda: concordance_index_censored(happened, days, score)[0],
        difference=lambda a, b: abs(a - b),
    )


def _torchsurv(n: int) -> Pair:
    import torch
    from torchsurv.metrics.cindex import ConcordanceIndex

    torch.set_num_threads(1)
    score, days, event = _follow_up(n)
    tensors = [torch.tensor(score), torch.tensor(event == 1), torch.tensor(days)]

    def theirs() -> float:
        return float(ConcordanceIndex()(*tensors))

    return Pair(
        ours=lambda: concordance(Outcome(time=days, event=event), score).estimate,
        theirs=theirs,
        difference=lambda a, b: abs(a - b),
    )


def _structured(days: Array, event: Array) -> Array:
    from sksurv.util import Surv

    return np.asarray(Surv.from_arrays(event=event == 1, time=days))


def _auc(n: int) -> Pair:
    from sksurv.metrics import cumulative_dynamic_auc

    score, days, event = _follow_up(n)
    y, grid = _structured(days, event), [365.5, 730.5, 1826.5]

    def ours() -> Array:
        outcome = Outcome(time=days, event=event)
        return np.array([dynamic_auc(outcome, score, horizon).estimate for horizon in grid])

    return Pair(
        ours=ours,
        theirs=lambda: cumulative_dynamic_auc(y, y, score, grid)[0],
        difference=lambda a, b: float(np.abs(a - b).max()),
    )


def _brier(n: int) -> Pair:
    from sksurv.metrics import brier_score as theirs_brier

    score, days, event = _follow_up(n)
    y = _structured(days, event)
    risk = 1.0 - np.exp(-_YEARLY * np.exp(0.8 * score) * _HORIZON_DAYS / _DAYS_PER_YEAR)
    survival = (1.0 - risk)[:, None]
    return Pair(
        ours=lambda: brier_score(Outcome(time=days, event=event), risk, _HORIZON_DAYS).estimate,
        theirs=lambda: theirs_brier(y, y, survival, [_HORIZON_DAYS])[1][0],
        difference=lambda a, b: abs(a - b),
    )


def _panel(n: int) -> Pair:
    score, days, event = _follow_up(n, competing=True)
    risk = 1.0 - np.exp(-_YEARLY * np.exp(0.8 * score) * _HORIZON_DAYS / _DAYS_PER_YEAR)

    def run() -> Array:
        panel = ValidationPanel(Outcome(time=days, event=event), score, risk, [_HORIZON_DAYS])
        return bootstrap(panel, n, replicates=1000, seed=_SEED).replicates

    return Pair(ours=run)


def _kaplan_meier(n: int) -> Pair:
    from lifelines import KaplanMeierFitter

    _, days, event = _follow_up(n)
    grid = [365.0, 730.0, 1826.0]
    return Pair(
        ours=lambda: kaplan_meier(Outcome(time=days, event=event), interval="log-log"),
        theirs=lambda: KaplanMeierFitter().fit(days, event),
        difference=lambda a, b: np.abs(
            a.survival_at(np.array(grid)) - b.survival_function_at_times(grid).to_numpy()
        ).max(),
    )


def _aalen_johansen(n: int) -> Pair:
    from lifelines import AalenJohansenFitter

    _, days, event = _follow_up(n, competing=True)

    def theirs() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it announces that it moves tied times apart
            return AalenJohansenFitter(seed=_SEED).fit(days, event, event_of_interest=1)

    def difference(mine: Any, other: Any) -> float:
        curve = other.cumulative_density_.iloc[:, 0]
        # the horizon lies between two whole days, so tied times it moved apart stay on their side
        before = curve.index.searchsorted(_HORIZON_DAYS, side="right") - 1
        return abs(float(mine[1].incidence_at(_HORIZON_DAYS)) - float(curve.iloc[before]))

    return Pair(
        ours=lambda: aalen_johansen(Outcome(time=days, event=event), causes=(1,)),
        theirs=theirs,
        difference=difference,
    )


def _cox(n: int) -> Pair:
    from lifelines import CoxPHFitter

    generator = np.random.default_rng(_SEED)
    covariates = generator.standard_normal((n, 20))
    linear = covariates @ np.linspace(-0.4, 0.4, 20)
    event_years = generator.exponential(1.0 / (_YEARLY * np.exp(linear)))
    end_years = generator.uniform(1.0, 8.0, n)
    days = np.floor(np.minimum(event_years, end_years) * _DAYS_PER_YEAR) + 1.0
    event = (event_years <= end_years).astype(np.int64)
    frame = pd.DataFrame(covariates, columns=[f"x{k}" for k in range(20)])
    frame = frame.assign(days=days, event=event)
    return Pair(
        ours=lambda: fit_cox(Outcome(time=days, event=event), covariates),
        theirs=lambda: CoxPHFitter().fit(frame, "days", "event"),
        difference=lambda a, b: np.abs(a.coef - b.params_.to_numpy()).max(),
    )


def _table(n: int) -> Pair:
    path = shared_folder() / "data" / "genomics" / "msk_met_mutations.csv.gz"
    if not path.is_file():
        raise Unavailable("no shared data; set METASTRA_SHARED to their folder")

    def ours() -> Any:
        table, problems = read_table(path)
        if table is None:
            raise Unavailable(f"the table was refused: {problems}")
        return table

    def difference(mine: Any, other: Any) -> float:
        if len(other) != n or len(mine.rows) != n:
            raise Unavailable(f"the table has {len(mine.rows)} and {len(other)} rows, not {n}")
        return float(sum(_cells_apart(mine.column(name), other[name]) for name in mine.columns))

    return Pair(ours=ours, theirs=lambda: pd.read_csv(path, dtype=str), difference=difference)


def _cells_apart(mine: Array, other: pd.Series[str]) -> int:
    """Count cells that differ; what both take as missing is equal."""
    missing = pd.isna(mine) & other.isna().to_numpy()
    return int(np.count_nonzero((mine != other.to_numpy(dtype=object)) & ~missing))


BUILDERS: dict[str, Callable[[int], Pair]] = {
    "concordance": _concordance,
    "concordance-untied": _untied,
    "concordance-sksurv": _scikit_survival,
    "concordance-torchsurv": _torchsurv,
    "auc": _auc,
    "brier": _brier,
    "panel": _panel,
    "kaplan-meier": _kaplan_meier,
    "aalen-johansen": _aalen_johansen,
    "cox": _cox,
    "table": _table,
}
