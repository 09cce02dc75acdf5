"""What a critical reader would ask of the result, each question under its code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from metastra.errors import Problem
from metastra.evaluation.patients import Patients
from metastra.survival.horizon import events_by
from metastra.survival.risk_set import n_at_risk

__all__ = ["CHECKS", "INPUT_CHECKS", "input_checks", "result_checks"]

INPUT_CHECKS = tuple(f"EV{number:03d}" for number in range(1, 17))
"""Codes of the catalogue that every table is held against while it is read, in order."""

CHECKS = (*(f"EV{number:03d}" for number in range(21, 30)), "EV040")
"""Codes of the catalogue that every result is held against, in order."""

_ENOUGH_EVENTS = 100
"""Collins et al. 2016, Statistics in Medicine 35:214: fewer give imprecise validations."""
_FEW_AT_RISK = 10
_MOST_LOST = 0.5
_WIDE_SLOPE = 2.0
"""An interval so wide holds too alike and too extreme at once: 0.5 and 2.5, say."""
_FAR_SLOPES = 1.5
"""Factor between the two slopes that right risks passed in 9% of cohorts with 16 events."""


def input_checks(
    problems: Iterable[Problem],
    *,
    risks: bool,
    score: bool,
    joined: bool,
    is_long: bool,
    covariates: bool = False,
    timed: bool = False,
) -> list[dict[str, str]]:
    """Say what the tables were held against; whoever gets here was not refused.

    Parameters
    ----------
    problems : iterable of Problem
        Warnings that were found.
    risks, score : bool
        Whether risks and whether a score were given.
    joined : bool
        Whether the outcomes stand in a table of their own.
    is_long : bool
        Whether the predictions have a row for each horizon.
    covariates : bool
        Whether columns to adjust for or to describe were named.
    timed : bool
        Whether the time at which a column became known was named.

    Returns
    -------
    list of dict
        ``code``, ``status`` and ``why``, in the order of the catalogue.

    Examples
    --------
    >>> checks = input_checks([], risks=False, score=True, joined=False, is_long=False)
    >>> checks[0]["code"], checks[0]["status"], checks[0]["why"]
    ('EV001', 'not_applicable', 'no risk was given')
    """
    found = {one.code: one for one in problems}
    no_risk = "" if risks else "no risk was given"
    no_score = "" if score else "no risk score was given"
    one_table = "" if joined else "the outcomes stand beside the predictions"
    wide = "" if is_long else "the table has one row for each patient"
    needs = {"EV001": no_risk, "EV002": no_risk, "EV003": no_score, "EV004": no_risk}
    needs |= {"EV014": "" if covariates else "no covariates were named"}
    needs |= {"EV016": "" if timed else "no time at which a column became known (--known-at)"}
    needs |= {"EV007": wide, "EV008": wide, "EV009": one_table, "EV010": one_table}
    checks = []
    for code in INPUT_CHECKS:
        if code in found:
            checks.append({"code": code, "status": "issue", "why": found[code].found})
        elif needs.get(code):
            checks.append({"code": code, "status": "not_applicable", "why": needs[code]})
        else:
            checks.append(
                {"code": code, "status": "passed", "why": "nothing of the kind was found"}
            )
    return checks


def result_checks(patients: Patients, document: dict[str, Any]) -> list[dict[str, str]]:
    """Hold a result against the checks.

    Parameters
    ----------
    patients : Patients
        Who was judged.
    document : dict
        The numbers, as in ``evaluation.json``.

    Returns
    -------
    list of dict
        ``code``, ``status`` (passed, issue or not_applicable) and ``why``.
    """
    last = document["calibration"][-1]
    auc = document["discrimination"]["auc"][-1]
    answers = {
        "EV021": _chance(auc),
        "EV022": _reversed(auc),
        "EV023": _holds_one(last["oe_ratio"], "O/E"),
        "EV024": _holds_one(last["slope"], "the calibration slope"),
        "EV025": _better_than_nothing(document["overall"]["ipa"][-1]),
        "EV026": _enough_events(patients),
        "EV027": _follow_up(patients),
        "EV028": _cutpoints(document),
        "EV029": _one_model(patients, document),
        "EV040": _steady(last["slope"], last["slope_hazard"]),
    }
    return [{"code": code, "status": answers[code][0], "why": answers[code][1]} for code in CHECKS]


_Answer = tuple[str, str]


def _absent(number: dict[str, Any]) -> _Answer | None:
    if number["estimate"] is None or number["lower"] is None:
        return "not_applicable", number.get("reason", "there is no interval")
    return None


def _words(number: dict[str, Any]) -> str:
    return f"{number['estimate']:.3f} ({number['lower']:.3f} to {number['upper']:.3f})"


def _chance(auc: dict[str, Any]) -> _Answer:
    if absent := _absent(auc):
        return absent
    status = "issue" if auc["lower"] <= 0.5 <= auc["upper"] else "passed"
    return status, f"the AUC at the last horizon is {_words(auc)}; chance gives 0.5"


def _reversed(auc: dict[str, Any]) -> _Answer:
    if absent := _absent(auc):
        return absent
    status = "issue" if auc["upper"] < 0.5 else "passed"
    return (
        status,
        f"the AUC at the last horizon is {_words(auc)}; reversed predictions lie below 0.5",
    )


def _holds_one(number: dict[str, Any], what: str) -> _Answer:
    if absent := _absent(number):
        return absent
    status = "passed" if number["lower"] <= 1.0 <= number["upper"] else "issue"
    return status, f"{what} at the last horizon is {_words(number)}; 1 is right"


def _steady(slope: dict[str, Any], second: dict[str, Any]) -> _Answer:
    """Ask whether the slope says anything: its width, and the other slope of the same risks."""
    if absent := _absent(slope):
        return absent
    said = f"the calibration slope is {_words(slope)} with {slope['events']} events"
    wide = slope["upper"] - slope["lower"] > _WIDE_SLOPE
    if wide:
        said += f"; its interval is more than {_WIDE_SLOPE:g} wide"
    far = False
    if second["estimate"] is not None and second["lower"] is not None:
        said += f"; a proportional-hazards model of the same risks has {_words(second)}"
        low, high = sorted((slope["estimate"], second["estimate"]))
        far = low <= 0.0 < high or (low > 0.0 and high / low > _FAR_SLOPES)
    return "issue" if wide or far else "passed", said


def _better_than_nothing(ipa: dict[str, Any]) -> _Answer:
    if absent := _absent(ipa):
        return absent
    status = "passed" if ipa["estimate"] > 0.0 else "issue"
    return status, f"the IPA at the last horizon is {_words(ipa)}; the marginal risk alone has 0"


def _enough_events(patients: Patients) -> _Answer:
    events = events_by(patients.outcome, patients.last_horizon)
    status = "passed" if events >= _ENOUGH_EVENTS else "issue"
    return status, f"{events} events by the last horizon; {_ENOUGH_EVENTS} are advised"


def _follow_up(patients: Patients) -> _Answer:
    y, horizon = patients.outcome, patients.last_horizon
    left = int(n_at_risk(y, horizon))
    lost = int(((y.event == 0) & (y.time < horizon)).sum())
    status = "issue" if left < _FEW_AT_RISK or lost > _MOST_LOST * y.n else "passed"
    return status, (
        f"{left} patients are at risk at the last horizon; {lost} of {y.n} were censored before it"
    )


def _cutpoints(document: dict[str, Any]) -> _Answer:
    if document["risk_groups"]["exploratory"]:
        return "issue", "the cutpoints are thirds of these patients, not fixed beforehand"
    if document["risk_groups"]["assigned"]:
        return "passed", "each patient's own model assigned the group, by cutpoints of its own"
    return "passed", "the cutpoints were given"


def _one_model(patients: Patients, document: dict[str, Any]) -> _Answer:
    if document["bundle"] is not None:
        return "passed", "all predictions name one bundle"
    if patients.folds > 1:
        return "issue", (
            f"the predictions come from {patients.folds} folds, thus from as many models; pooled "
            "ranks compare patients across models"
        )
    return "not_applicable", "the predictions name no bundle and at most one fold"
