"""Checks that need the whole result: cohorts against each other, subgroups, plan, covariates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metastra.evaluation.pooling import FEW_COHORTS, FEWEST_COHORTS

__all__ = ["WHOLE_CHECKS", "whole_checks"]

WHOLE_CHECKS = tuple(f"EV{number:03d}" for number in range(30, 40))
"""Codes of the catalogue that every whole result is held against, in order."""

_Answer = tuple[str, str]
_MUCH_HETEROGENEITY = 50.0
_LEVEL = 0.05
_FOLLOW_UP_RATIO = 1.5
_MUCH_MISSING = 0.05


def whole_checks(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """Hold a whole result against the checks.

    Parameters
    ----------
    document : mapping
        Every number.

    Returns
    -------
    list of dict
        ``code``, ``status`` (passed, issue or not_applicable) and ``why``.
    """
    answers = {
        "EV030": _plan(document["plan"]),
        "EV031": _cohorts(document["pooled"]),
        "EV032": _heterogeneity(document["pooled"]),
        "EV033": _follow_up(document["characteristics"]["parts"]),
        "EV034": _withheld(document["subgroups"], document["settings"]["min_events"]),
        "EV035": _differs(document["subgroups"]),
        "EV036": _missing(document["adjusted"]),
        "EV037": _proportional(document["adjusted"]),
        "EV038": _updating(document["recalibration"]),
        "EV039": _empty(document["risk_groups"]),
    }
    return [
        {"code": code, "status": answers[code][0], "why": answers[code][1]} for code in WHOLE_CHECKS
    ]


def _plan(plan: Mapping[str, Any]) -> _Answer:
    if plan["digest"] is None:
        return "issue", plan["reason"]
    if plan["deviations"]:
        return "issue", "; ".join(plan["deviations"])
    return "passed", "everything that was declared was done as declared"


def _cohorts(pooled: Mapping[str, Any]) -> _Answer:
    if not pooled["measures"]:
        return "not_applicable", pooled["reason"]
    k = max(row["k"] for row in pooled["measures"])
    if k < FEWEST_COHORTS:
        return "issue", f"{k} cohorts have a number: nothing is pooled below {FEWEST_COHORTS}"
    status = "issue" if k < FEW_COHORTS else "passed"
    return status, f"{k} cohorts are pooled; {FEW_COHORTS} are the least to be relied on"


def _heterogeneity(pooled: Mapping[str, Any]) -> _Answer:
    known = [row for row in pooled["measures"] if row["i2"] is not None]
    if not known:
        return "not_applicable", "no measure was pooled"
    much = [
        f"{row['measure']}{'' if row['horizon'] is None else ' by ' + format(row['horizon'], 'g')} "
        f"(I² {row['i2']:.0f}%)"
        for row in known
        if row["i2"] > _MUCH_HETEROGENEITY
    ]
    if much:
        return "issue", f"more than half of the variance lies between cohorts: {', '.join(much)}"
    return "passed", f"I² is {_MUCH_HETEROGENEITY:.0f}% or less in every measure"


def _follow_up(parts: list[dict[str, Any]]) -> _Answer:
    medians = [one["median_follow_up"] for one in parts[1:]]
    known = [value for value in medians if value]
    if len(known) < 2:
        return "not_applicable", "fewer than two cohorts have a median follow-up"
    low, high = min(known), max(known)
    status = "issue" if high > _FOLLOW_UP_RATIO * low else "passed"
    return status, f"the median follow-up of the cohorts goes from {low:.3g} to {high:.3g}"


def _withheld(subgroups: list[dict[str, Any]], fewest: int) -> _Answer:
    if not subgroups:
        return "not_applicable", "no subgroup was named"
    names = [_name(part) for part in subgroups if part["events"] < fewest]
    if names:
        return "issue", f"too few events to judge {', '.join(names)}"
    return "passed", f"every subgroup has {fewest} events or more"


def _differs(subgroups: list[dict[str, Any]]) -> _Answer:
    if not subgroups:
        return "not_applicable", "no subgroup was named"
    found = []
    for part in subgroups:
        numbers = {"AUC": part["auc_difference"], "O/E": part["differences"]["oe_ratio"]}
        for key in ("sensitivity", "specificity"):
            numbers[key] = part["differences"][key]
        for label, number in numbers.items():
            null = 1.0 if label == "O/E" else 0.0
            if number["lower"] is not None and not number["lower"] <= null <= number["upper"]:
                found.append(f"{label} in {_name(part)}")
    if found:
        return "issue", f"the difference to the rest is beyond chance: {_list(found)}"
    return "passed", "every interval of a difference to the rest holds no difference"


def _name(part: Mapping[str, Any]) -> str:
    return f"{part['column']}: {part['label'] or 'not recorded'}"


def _list(found: list[str]) -> str:
    more = f" and {len(found) - 8} more" if len(found) > 8 else ""
    return ", ".join(found[:8]) + more


def _missing(adjusted: Mapping[str, Any]) -> _Answer:
    if "missing" not in adjusted:
        return "not_applicable", adjusted["reason"]
    worst = max(adjusted["missing"], key=lambda row: float(row["share"]))
    status = "issue" if worst["share"] > _MUCH_MISSING else "passed"
    return status, f"{worst['column']} is missing in {worst['n_missing']} patients, the most of all"


def _proportional(adjusted: Mapping[str, Any]) -> _Answer:
    rows = adjusted.get("proportional_hazards", [])
    known = [row for row in rows if row["estimate"] is not None]
    if not known:
        return "not_applicable", adjusted.get("reason", "the test could not be made")
    p = known[-1]["estimate"]
    status = "issue" if p < _LEVEL else "passed"
    return status, f"the test of proportional hazards over all terms has p = {p:.3g}"


def _updating(recalibration: Mapping[str, Any]) -> _Answer:
    if "horizons" not in recalibration:
        return "not_applicable", recalibration["reason"]
    chosen = [(row["horizon"], row["chosen"]) for row in recalibration["horizons"] if row["chosen"]]
    if not chosen:
        return "not_applicable", "no update could be chosen"
    words = ", ".join(f"{name} by {horizon:g}" for horizon, name in chosen)
    status = "passed" if all(name == "none" for _, name in chosen) else "issue"
    return status, f"the closed test chooses: {words}"


def _empty(found: Mapping[str, Any]) -> _Answer:
    names = [str(group["name"]) for group in found["groups"] if group["n"] == 0]
    if names:
        cuts = ", ".join(f"{cut:g}" for cut in found["cutpoints"])
        return "issue", f"nobody is in {_list(names)} (cutpoints {cuts} on the {found['scale']})"
    return "passed", "every risk group has patients"
