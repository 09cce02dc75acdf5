"""Claims that a model is sold with: low risk is low enough, and treatment works by score."""

from __future__ import annotations

from typing import Any

import numpy as np

from metastra.errors import DataError, NotEstimable
from metastra.evaluation.estimate import LEVEL, Estimate, attempt
from metastra.evaluation.patients import Patients
from metastra.evaluation.risk_groups import Grouping
from metastra.survival.calibration import cloglog
from metastra.survival.horizon import events_by
from metastra.survival.interaction import group_differences, treatment_interaction
from metastra.survival.low_risk import low_risk_claim

__all__ = ["low_risk", "treatment_by_score"]


def low_risk(patients: Patients, grouping: Grouping, limit: float | None) -> dict[str, Any]:
    """Judge the claim that the lowest risk group's risk lies under a limit.

    Parameters
    ----------
    patients : Patients
        Whom.
    grouping : Grouping
        Their risk groups; with exploratory cutpoints the claim is exploratory, too.
    limit : float or None
        Risk by the last horizon, set before looking.

    Returns
    -------
    dict
        ``limit``, ``group``, ``verdict``, ``risk`` (an EST whose upper end is the one-sided bound
        that the verdict rests on), ``n_needed_without_events`` and words; only a ``reason`` where
        no limit was set.
    """
    if limit is None:
        return {"reason": "no limit was set (--low-risk-limit)"}
    lowest = grouping.group == 0
    name, horizon = grouping.names[0], patients.last_horizon
    head = {
        "limit": limit,
        "group": name,
        "horizon": horizon,
        "exploratory": grouping.exploratory,
    }
    if not lowest.any():
        return {**head, "verdict": "not estimable", "reason": "nobody is in the lowest group"}
    outcome = patients.outcome.take(lowest)
    claim = low_risk_claim(outcome, horizon, limit=limit, level=LEVEL)
    bound = claim.bound
    method = "absolute risk; one-sided upper bound, beta product confidence procedure"
    number = Estimate(
        estimate=None if bound is None else bound.risk,
        lower=None,
        upper=None if bound is None else bound.upper,
        method=method,
        n=outcome.n,
        events=events_by(outcome, horizon),
        horizon=horizon,
        reason=claim.reason if bound is None else "one-sided: there is no lower end",
    )
    return {
        **head,
        "verdict": claim.verdict.value,
        "risk": number.to_json(),
        "words": claim.reason,
        "n_needed_without_events": claim.n_needed_without_events,
    }


def treatment_by_score(
    patients: Patients, grouping: Grouping, *, randomised: bool
) -> dict[str, Any]:
    """Ask whether treatment works differently by score.

    Parameters
    ----------
    patients : Patients
        With `treatment`; patients without it are left out and counted.
    grouping : Grouping
        Their risk groups.
    randomised : bool
        Whether treatment was assigned at random: only then the words are causal.

    Returns
    -------
    dict
        ``ratio`` (an EST for one standard deviation more of score), ``p``, ``words``, ``groups``
        with absolute risks by arm, ``randomised`` and ``causal``; only a ``reason`` where no
        treatment was named.
    """
    if patients.treatment is None:
        return {"reason": "no treatment was named (--treatment)"}
    known = np.isfinite(patients.treatment)
    part = patients.take(known)
    head = {
        "randomised": randomised,
        "causal": randomised,
        "without_treatment_value": int(np.count_nonzero(~known)),
    }
    method = (
        "factor on the treatment's cause-specific hazard ratio for one standard deviation more of "
        "score; Cox model, Wald interval; likelihood-ratio test of the product"
    )
    n, events = part.n, part.outcome.n_events(1)
    words = ""
    p: float | None = None

    def make() -> Estimate:
        nonlocal words, p
        try:
            found = treatment_interaction(
                part.outcome,
                np.asarray(part.treatment),
                _score(part),
                randomised=randomised,
                level=LEVEL,
            )
        except DataError as error:
            raise NotEstimable(str(error)) from error
        words, p = found.wording.replace("one unit of score", "one SD of score"), found.test.p
        return Estimate(
            estimate=found.ratio,
            lower=found.lower,
            upper=found.upper,
            method=method,
            n=found.n,
            events=found.n_events,
        )

    ratio = attempt(make, method=method, n=n, events=events).to_json()
    return {
        **head,
        "ratio": ratio,
        "p": p,
        "words": words,
        "groups": _groups(part, grouping, known, randomised=randomised),
    }


def _score(part: Patients) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Give the score in standard deviations, a risk on its complementary log-log scale."""
    order = part.order()
    if part.score is None:
        if ((order <= 0.0) | (order >= 1.0)).any():
            raise NotEstimable("a risk is exactly 0 or 1, where its log scale has no value")
        order = cloglog(order)
    spread = float(np.std(order, ddof=1))
    if not spread > 0.0:
        raise NotEstimable("the predictions do not vary")
    return (order - float(np.mean(order))) / spread


def _groups(
    part: Patients,
    grouping: Grouping,
    known: np.ndarray[Any, np.dtype[np.bool_]],
    *,
    randomised: bool,
) -> list[dict[str, Any]]:
    """Absolute risks of both arms in each risk group."""
    group = grouping.group[known]
    horizon = part.last_horizon
    try:
        rows = group_differences(
            part.outcome,
            np.asarray(part.treatment),
            group,
            horizon=horizon,
            randomised=randomised,
            level=LEVEL,
        )
    except NotEstimable:
        return []
    method = (
        "absolute risk of the treated less that of the untreated; Aalen–Johansen or Kaplan–Meier "
        "in each arm, limits joined (Newcombe; Zou and Donner)"
    )
    found = []
    for row in rows:

        def make(row: Any = row) -> Estimate:
            if row.difference is None:
                raise NotEstimable(row.reason)
            return Estimate(
                estimate=row.difference,
                lower=row.lower,
                upper=row.upper,
                method=method,
                n=row.n_treated + row.n_untreated,
                events=row.n_events_treated + row.n_events_untreated,
                horizon=horizon,
            )

        n, events = row.n_treated + row.n_untreated, row.n_events_treated + row.n_events_untreated
        found.append(
            {
                "group": grouping.names[int(str(row.group))],
                "n_treated": row.n_treated,
                "n_untreated": row.n_untreated,
                "events_treated": row.n_events_treated,
                "events_untreated": row.n_events_untreated,
                "risk_treated": row.risk_treated,
                "risk_untreated": row.risk_untreated,
                "difference": attempt(
                    make, method=method, n=n, events=events, horizon=horizon
                ).to_json(),
            }
        )
    return found
