"""Handlers of the measures of discrimination and accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metastra.survival.auc_parts import Controls
from metastra.survival.brier import brier_score, delta_brier, integrated_brier
from metastra.survival.concordance import ConcordanceMethod, concordance, delta_concordance
from metastra.survival.dynamic_auc import delta_auc, dynamic_auc
from metastra.survival.intervals import normal_quantile
from metastra.survival.outcome import Outcome
from metastra.survival.paired import PairedDifference
from metastra.survival.royston import royston_d
from metastra.testing.reference.data import Case, Handler
from metastra.testing.reference.timeroc import timeroc_std_error

__all__ = ["HANDLERS"]


def _tau(case: Case) -> float | None:
    values = case.values("tau")
    return values[0] if values else None


def _concordance(method: ConcordanceMethod) -> Handler:
    def handle(case: Case, frame: pd.DataFrame) -> dict[str, object]:
        frame = case.complete(frame, "time", "event", "status", "score", "cluster", "strata")
        result = concordance(
            case.outcome(frame),
            case.numbers(frame, "score"),
            method=method,
            tau=_tau(case),
            strata=_labels(case, frame, "strata"),
            cluster=_labels(case, frame, "cluster"),
        )
        return {
            "c": result.estimate,
            "se": result.std_error,
            "concordant": result.concordant,
            "discordant": result.discordant,
            "tied_x": result.tied_score,
            "tied_y": result.tied_time,
            "tied_xy": result.tied_both,
            "tau": result.tau,
        }

    return handle


def _labels(case: Case, frame: pd.DataFrame, role: str) -> NDArray[Any] | None:
    names = case.names(role)
    return frame[names].astype(str).agg("/".join, axis=1).to_numpy() if names else None


def _delta_concordance(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    frame = case.complete(frame, "time", "event", "status", "score0", "score1")
    difference = delta_concordance(
        case.outcome(frame), case.numbers(frame, "score0"), case.numbers(frame, "score1")
    )
    lower, upper = difference.interval()
    return {
        "c0": difference.reference,
        "c1": difference.candidate,
        "delta": difference.estimate,
        "se": difference.std_error,
        "lower": lower,
        "upper": upper,
        "p": difference.p_value(),
    }


def _royston(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    frame = case.complete(frame, "time", "event", "status", "score")
    result = royston_d(case.outcome(frame), case.numbers(frame, "score"))
    return {"D": result.estimate, "se": result.std_error, "R2D": result.explained_variation}


def _timeroc(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    frame = case.complete(frame, "time", "event", "status", "score")
    outcome, score = case.outcome(frame), case.numbers(frame, "score")
    times = case.values("times")
    result: dict[str, object] = {"times": times}
    for definition in Controls:
        estimates = [
            dynamic_auc(outcome, score, time, controls=definition).estimate for time in times
        ]
        errors = [timeroc_std_error(outcome, score, time, definition) for time in times]
        suffix = {
            Controls.EVENT_FREE: "controls_event_free",
            Controls.FREE_OF_CAUSE: "controls_free_of_cause1",
        }[definition]
        result[f"auc_{suffix}"], result[f"se_{suffix}"] = estimates, errors
        result["auc"], result["se"] = estimates, errors
    return result


def _score(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    frame = case.complete(frame, "time", "event", "status", "risk", "base")
    outcome, times = case.outcome(frame), case.values("times")
    model = case.matrix(frame, "risk")
    result: dict[str, object] = {"times": times, "model": _accuracy(outcome, model, times)}
    columns = list(zip(times, model.T, strict=True))
    result["null_brier"] = [brier_score(outcome, risk, time).null for time, risk in columns]
    if case.names("base"):
        base = case.matrix(frame, "base")
        result["base"] = _accuracy(outcome, base, times)
        paired = list(zip(times, base.T, model.T, strict=True))
        result["delta_auc"] = _contrast([delta_auc(outcome, b, m, t) for t, b, m in paired])
        result["delta_brier"] = _contrast([delta_brier(outcome, b, m, t) for t, b, m in paired])
    return result


def _accuracy(
    outcome: Outcome, risks: NDArray[np.float64], times: list[float]
) -> dict[str, list[float | None]]:
    aucs = [dynamic_auc(outcome, risk, time) for time, risk in zip(times, risks.T, strict=True)]
    briers = [brier_score(outcome, risk, time) for time, risk in zip(times, risks.T, strict=True)]
    # riskRegression takes the limits of the AUC on its own scale; ours are on the logit
    z = normal_quantile(0.95)
    return {
        "auc": [auc.estimate for auc in aucs],
        "auc_se": [auc.std_error for auc in aucs],
        "auc_lower": [max(auc.estimate - z * auc.std_error, 0.0) for auc in aucs],
        "auc_upper": [min(auc.estimate + z * auc.std_error, 1.0) for auc in aucs],
        "brier": [brier.estimate for brier in briers],
        "brier_se": [brier.std_error for brier in briers],
        "brier_lower": [brier.interval()[0] for brier in briers],
        "brier_upper": [brier.interval()[1] for brier in briers],
        "ipa": [brier.ipa for brier in briers],
    }


def _contrast(differences: list[PairedDifference]) -> dict[str, list[float]]:
    return {
        "est": [difference.estimate for difference in differences],
        "se": [difference.std_error for difference in differences],
        "lower": [difference.interval()[0] for difference in differences],
        "upper": [difference.interval()[1] for difference in differences],
        "p": [difference.p_value() for difference in differences],
    }


def _integrated_brier(case: Case, frame: pd.DataFrame) -> dict[str, object]:
    frame = case.complete(frame, "time", "event", "status", "risk")
    times = case.values("times")
    result = integrated_brier(case.outcome(frame), case.matrix(frame, "risk"), times)
    return {
        "times": times,
        "brier": [score.estimate for score in result.scores],
        "ibs": result.estimate,
        "ibs_null": result.null,
        "ipa_integrated": result.ipa,
    }


HANDLERS: dict[str, Handler] = {
    "concordance_harrell": _concordance(ConcordanceMethod.HARRELL),
    "concordance_harrell_cluster": _concordance(ConcordanceMethod.HARRELL),
    "concordance_uno": _concordance(ConcordanceMethod.UNO),
    "concordance_uno_strict": _concordance(ConcordanceMethod.UNO_STRICT),
    "concordance_competing_risks": _concordance(ConcordanceMethod.WOLBERS),
    "delta_concordance": _delta_concordance,
    "royston_d": _royston,
    "auc_cumulative_dynamic": _timeroc,
    "auc_cumulative_dynamic_competing": _timeroc,
    "auc_brier_ipa": _score,
    "auc_brier_ipa_competing": _score,
    "integrated_brier": _integrated_brier,
    "integrated_brier_competing": _integrated_brier,
}
