"""Handlers of pooling over cohorts and over imputations."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metastra.stats.imputation import pool_rubin
from metastra.stats.meta_analysis import pool_random_effects
from metastra.survival.concordance import concordance
from metastra.testing.reference.data import Case, Handler

__all__ = ["HANDLERS"]


def _meta(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    estimates, errors = _cohorts(case, frame) if case.data else _given(case)
    pooled = pool_random_effects(estimates, errors, scale="logit")
    return {
        "k": pooled.k,
        "estimates": estimates,
        "ses": errors,
        "tau2": pooled.tau2,
        "i2": pooled.i2,
        "q": pooled.q,
        "q_p": pooled.q_p,
        "pooled_logit": pooled.scaled_estimate,
        "se_logit_hk": pooled.std_error,
        "se_logit_wald": pooled.std_error_wald,
        "pooled": pooled.estimate,
        "lower_hk": pooled.lower,
        "upper_hk": pooled.upper,
        "pi_lower_metafor": pooled.prediction_lower_km1,
        "pi_upper_metafor": pooled.prediction_upper_km1,
        "pi_lower_t_km2": pooled.prediction_lower,
        "pi_upper_t_km2": pooled.prediction_upper,
    }


def _given(case: Case) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Numbers the case itself gives, which are inputs and not results."""
    source = case.args if "estimates" in case.args else case.expected
    return np.asarray(source["estimates"], float), np.asarray(source["ses"], float)


def _cohorts(case: Case, frame: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Concordance in each cohort, in the order in which the case lists them.

    The order of the cohorts is a factor's in R and not in the table; it does not touch the pooled
    numbers, so cohorts are laid beside the expected list by the rank of their estimates.
    """
    frame = case.complete(frame, "time", "event", "score", "cohort")
    label = case.series(frame, "cohort").astype(str)
    results = []
    for name in sorted(label.unique()):
        part = frame.loc[label == name]
        results.append(concordance(case.outcome(part), case.numbers(part, "score")))
    estimates = np.array([result.estimate for result in results])
    errors = np.array([result.std_error for result in results])
    listed = np.asarray(case.expected.get("estimates", []), dtype=np.float64)
    if listed.size != estimates.size:
        return estimates, errors
    order = np.empty(listed.size, dtype=np.int64)
    order[np.argsort(listed, kind="stable")] = np.argsort(estimates, kind="stable")
    return estimates[order], errors[order]


def _rubin(case: Case, _frame: pd.DataFrame) -> dict[str, object]:
    estimates, errors = _given(case)
    n, parameters = (int(_number(case, name)) for name in ("n", "k"))
    pooled = pool_rubin(estimates, errors, n=n, n_parameters=parameters)
    return {
        "estimates": estimates,
        "ses": errors,
        "n": n,
        "k": parameters,
        "pooled": pooled.estimate,
        "within": pooled.within,
        "between": pooled.between,
        "total": pooled.total,
        "df": pooled.df,
        "fmi": pooled.fraction_missing,
        "riv": pooled.relative_increase,
    }


def _number(case: Case, name: str) -> float:
    return float(case.args[name] if name in case.args else case.expected[name])


HANDLERS: dict[str, Handler] = {
    "random_effects_meta_c": _meta,
    "rubin_pooling": _rubin,
}
