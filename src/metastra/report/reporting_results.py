"""What an evaluation answers to the items on results: numbers with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from metastra.report.reporting_words import (
    Answer,
    Document,
    estimate_words,
    excluded_words,
    last_words,
)
from metastra.report.wording import count, interval, joined, number, plural

__all__ = ["RESULTS"]


def _numbers(document: Document) -> Answer:
    competing = document["competing"]
    more = f" and {plural(competing, 'competing event')}" if competing else ""
    parts = "; ".join(
        f"{name}: {count(part['n'])} patients, {count(part['events'])} events"
        for name, part in document["cohorts"].items()
    )
    text = (
        f"{plural(document['n'], 'patient')} with {plural(document['events'], 'event')} of "
        f"interest{more}, {count(document['discrimination']['auc'][-1]['events'])} of them by "
        f"{last_words(document)}."
    )
    return Answer(text=f"{text} {parts}." if parts else text, anchor="patients")


def _heterogeneity(document: Document) -> Answer | None:
    rows = [row for row in document["pooled"]["measures"] if row["i2"] is not None]
    chosen = [row for row in rows if row["measure"] in ("auc", "oe_ratio")]
    chosen = [row for row in chosen if row["horizon"] == document["horizons"][-1]]
    if not chosen:
        return None
    names = {"auc": "AUC", "oe_ratio": "O/E"}
    text = "; ".join(
        f"{names[row['measure']]} {estimate_words(row)}, new cohort "
        f"{interval(row['prediction']['lower'], row['prediction']['upper'], 2)}, "
        f"I² {number(row['i2'], 0)}%"
        for row in chosen
    )
    return Answer(text=f"Pooled over {count(chosen[0]['k'])} cohorts: {text}.", anchor="pooled")


def _updating(document: Document) -> Answer:
    rows = document["recalibration"].get("horizons", [])
    known = [row for row in rows if row["chosen"]]
    if not known:
        return Answer(text="No update was fitted.", anchor="result")
    text = joined([f"{row['chosen']} by {row['horizon']:g}" for row in known])
    return Answer(text=f"The closed test chooses: {text}.", anchor="recalibration")


def _flow(document: Document) -> Answer:
    part = document["characteristics"]["parts"][0]
    median = part["median_follow_up"]
    follow = "not reached" if median is None else f"{number(median)} {document['time_unit']}"
    excluded = excluded_words(document)
    return Answer(text=f"{excluded} Median follow-up {follow}.", anchor="patients")


def _follow_up(document: Document) -> Answer:
    part = document["characteristics"]["parts"][0]
    median = part["median_follow_up"]
    follow = "not reached" if median is None else f"{number(median)} {document['time_unit']}"
    return Answer(text=f"Median follow-up (reverse Kaplan–Meier) {follow}.", anchor="patients")


def _table_one(document: Document) -> Answer | None:
    columns = list(dict.fromkeys(row["column"] for row in document["characteristics"]["rows"]))
    if not columns:
        return None
    return Answer(text=f"Described by {joined(columns)}, missing as a row.", anchor="patients")


def _performance(document: Document) -> Answer:
    row = document["calibration"][-1]
    text = (
        f"By {last_words(document)}: AUC {estimate_words(document['discrimination']['auc'][-1])}, "
        f"O/E {estimate_words(row['oe_ratio'])}, slope {estimate_words(row['slope'])}, "
        f"IPA {estimate_words(document['overall']['ipa'][-1])}."
    )
    n = len(document["subgroups"])
    more = f" {plural(n, 'subgroup')} beside it." if n else " No subgroup was named."
    return Answer(text=text + more, anchor="result")


def _discrimination(document: Document) -> Answer:
    found = document["discrimination"]
    text = f"By {last_words(document)}: AUC {estimate_words(found['auc'][-1])}; Harrell's C "
    return Answer(text=f"{text}{estimate_words(found['harrell'])}.", anchor="discrimination")


def _calibration(document: Document) -> Answer:
    row = document["calibration"][-1]
    text = ", ".join(
        f"{label} {estimate_words(row[key])}"
        for label, key in (("O/E", "oe_ratio"), ("slope", "slope"), ("intercept", "intercept"))
    )
    return Answer(text=f"By {last_words(document)}: {text}.", anchor="calibration")


def _accuracy(document: Document) -> Answer:
    found = document["overall"]
    brier, ipa = (estimate_words(found[key][-1], 3) for key in ("brier", "ipa"))
    text = f"Brier score {brier}, IPA {ipa}"
    return Answer(text=f"By {last_words(document)}: {text}; decision curve.", anchor="utility")


def _subgroups(document: Document) -> Answer | None:
    rows = [row for row in document["subgroups"] if row["auc"]["estimate"] is not None]
    if not document["subgroups"]:
        return None
    withheld = len(document["subgroups"]) - len(rows)
    parts = [
        f"{row['column']} {row['label'] or 'not recorded'}: AUC {estimate_words(row['auc'])}"
        for row in rows[:6]
    ]
    text = "; ".join(parts)
    more = f" {plural(withheld, 'level')} with too few events." if withheld else ""
    return Answer(text=f"{text}.{more}" if text else more.strip(), anchor="subgroups")


def _relation(document: Document) -> Answer | None:
    columns = [row["column"] for row in document["characteristics"]["relation"]]
    if not columns:
        return None
    text = f"Share of the highest group or rank correlation for {joined(columns)}."
    return Answer(text=text, anchor="patients")


def _univariable(document: Document) -> Answer | None:
    rows: Sequence[Mapping[str, Any]] = document["adjusted"].get("univariable", [])
    row = rows[0] if rows else None
    if row is None:
        ratios = document["risk_groups"]["hazard_ratios"]
        if not ratios:
            return None
        text = f"{ratios[-1]['contrast']}: hazard ratio {estimate_words(ratios[-1])}"
        return Answer(text=f"{text[:1].upper()}{text[1:]}.", anchor="groups")
    text = f"{row['term']}: hazard ratio {estimate_words(row)}; the covariates beside it"
    return Answer(text=f"{text[:1].upper()}{text[1:]}.", anchor="adjusted")


def _multivariable(document: Document) -> Answer | None:
    rows = document["adjusted"].get("multivariable", [])
    if not rows:
        return None
    columns = joined(document["adjusted"]["covariates"])
    text = f"{rows[0]['term']}: hazard ratio {estimate_words(rows[0])}, adjusted for {columns}"
    return Answer(text=f"{text[:1].upper()}{text[1:]}.", anchor="adjusted")


def _further(document: Document) -> Answer | None:
    done = []
    if document["adjusted"].get("proportional_hazards"):
        done.append("proportional hazards")
    if document["landmark"]:
        done.append("landmark analyses")
    if document["sensitivity"]["dating"]["rows"]:
        done.append("dating of events")
    if document["pooled"]["measures"]:
        done.append("cohorts against each other")
    return Answer(text=f"Looked at: {joined(done)}.", anchor="result") if done else None


def _issues(document: Document) -> Answer | None:
    issues = [check for check in document["checks"] if check["status"] == "issue"]
    if not issues:
        return None
    text = "; ".join(f"{check['code']}: {check['why']}" for check in issues)
    return Answer(text=f"What the checks found: {text}.", anchor="checks")


RESULTS: Mapping[str, Callable[[Document], Answer | None]] = {
    "accuracy": _accuracy,
    "calibration": _calibration,
    "discrimination": _discrimination,
    "flow": _flow,
    "follow_up": _follow_up,
    "further": _further,
    "heterogeneity": _heterogeneity,
    "issues": _issues,
    "multivariable": _multivariable,
    "numbers": _numbers,
    "performance": _performance,
    "relation": _relation,
    "subgroups": _subgroups,
    "table_one": _table_one,
    "univariable": _univariable,
    "updating": _updating,
}
"""Keys of ``reporting_items.toml``, as far as they ask for results."""
