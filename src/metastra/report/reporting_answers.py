"""What the stored products answer to an item of a reporting guideline; nothing is invented."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from metastra.report.reporting_results import RESULTS
from metastra.report.reporting_words import Answer, Document, excluded_words, horizon_words
from metastra.report.wording import RESEARCH_USE, count, joined, number, plural

__all__ = ["ANSWERS"]


def _objective(document: Document) -> Answer | None:
    plan = document["plan"]
    if plan["digest"] is None:
        return None
    primary = plan["primary"]
    bound = "" if primary["bound"] is None else f", held against {primary['bound']:g}"
    text = f"Evaluation only. Primary measure declared beforehand: {primary['label']}{bound}."
    return Answer(text=text, anchor="declared")


def _data(document: Document) -> Answer:
    names = list(document["cohorts"])
    where = f" in {plural(len(names), 'cohort')}: {joined(names)}" if names else ""
    text = f"Evaluation on {plural(document['n'], 'patient')}{where}."
    digest = document["predictions_sha256"]
    more = f" Table of predictions: SHA-256 {digest}." if digest else ""
    return Answer(text=text + more, anchor="patients")


def _centres(document: Document) -> Answer | None:
    names = list(document["cohorts"])
    if not names:
        return None
    return Answer(text=f"Cohorts as named in the table: {joined(names)}.", anchor="parts")


def _excluded(document: Document) -> Answer:
    return Answer(text=excluded_words(document), anchor="patients")


def _treatment(document: Document) -> Answer | None:
    found = document["treatment"]
    if "ratio" not in found:
        return None
    how = "assigned at random" if found["randomised"] else "not assigned at random"
    text = f"Treatment was {how}; its interaction with the score was looked at."
    return Answer(text=text, anchor="treatment")


def _preparation(document: Document) -> Answer:
    made = [check for check in document["checks"] if check["code"] < "EV021"]
    issues = [check["code"] for check in made if check["status"] == "issue"]
    found = f"issues: {joined(issues)}" if issues else "no issue was found"
    text = f"The tables were held against {plural(len(made), 'coded check')}; {found}."
    return Answer(text=text, anchor="checks")


def _outcome(document: Document) -> Answer:
    how = (
        "competing events are taken into account (Aalen–Johansen)"
        if document["competing"]
        else "no competing event occurs"
    )
    return Answer(text=f"Judged at {horizon_words(document)}; {how}.", anchor="result")


def _sample_size(document: Document) -> Answer:
    check = _check(document, "EV026")
    return Answer(text=f"{check['why'][:1].upper()}{check['why'][1:]}.", anchor="checks")


def _missing(document: Document) -> Answer | None:
    adjusted = document["adjusted"]
    flow = document["flow"]
    parts = []
    if "not_assessable" in flow:
        parts.append(
            f"predictions: {count(flow['not_assessable'])} patients not assessable, with a reason, "
            "left out and counted"
        )
    if "missing" in adjusted:
        words = joined(
            [f"{row['column']} {count(row['n_missing'])}" for row in adjusted["missing"]]
        )
        parts.append(f"covariates: {words}; {adjusted.get('imputation_method', 'not imputed')}")
    text = "; ".join(parts)
    return Answer(text=f"{text[:1].upper()}{text[1:]}.", anchor="adjusted") if text else None


def _data_use(document: Document) -> Answer:
    text = f"All {plural(document['n'], 'patient')} were used for evaluation alone."
    if "note" in document["recalibration"]:
        text += " The updates shown are fitted to the same patients and marked as new models."
    return Answer(text=text, anchor="result")


def _heterogeneity_method(document: Document) -> Answer | None:
    if not document["pooled"]["measures"]:
        return None
    text = (
        "Each cohort by itself; random-effects pooling of every measure (REML, Hartung–Knapp) with "
        "a prediction interval."
    )
    return Answer(text=text, anchor="pooled")


def _measures(document: Document) -> Answer:
    text = (
        f"At {horizon_words(document)}: AUC and concordance; Brier score and IPA; O/E, slope, "
        "intercept, ICI and smooth curve; net benefit; absolute risk and hazard ratios of risk "
        "groups. The section Methods names each estimator and interval."
    )
    return Answer(text=text, anchor="methods")


def _updating_method(document: Document) -> Answer:
    if "note" not in document["recalibration"]:
        return Answer(text="The risks were judged as they are; none was updated.", anchor="result")
    text = "Ladder none, intercept, intercept and slope, refit; the rung chosen by a closed test."
    return Answer(text=text, anchor="recalibration")


def _predictions(document: Document) -> Answer:
    bundle = document["bundle"]
    text = f"Read from a table with SHA-256 {document['predictions_sha256']}"
    text += f"; all rows name the bundle {bundle}." if bundle else "; the rows name no one bundle."
    return Answer(text=text, anchor="result")


def _model(document: Document) -> Answer | None:
    bundle = document["bundle"]
    return Answer(text=f"Bundle {bundle}.", anchor="result") if bundle else None


def _fairness_method(document: Document) -> Answer | None:
    columns = list(dict.fromkeys(row["column"] for row in document["subgroups"]))
    if not columns:
        return None
    text = (
        f"Measures by {joined(columns)}, values that were not recorded as a row, differences to "
        f"the rest with intervals, nothing below {document['settings']['min_events']} events."
    )
    return Answer(text=text, anchor="fairness")


def _output(document: Document) -> Answer:
    groups = document["risk_groups"]
    cuts = joined([number(cut, 3) for cut in groups["cutpoints"]])
    how = "taken from these patients (exploratory)" if groups["exploratory"] else "fixed beforehand"
    cut = f"; cutpoints {cuts}, {how}" if cuts else ""
    return Answer(text=f"The {groups['scale']}{cut}.", anchor="groups")


def _plan(document: Document) -> Answer | None:
    plan = document["plan"]
    if plan["digest"] is None:
        return None
    name = f"“{plan['name']}”, " if plan["name"] else ""
    return Answer(text=f"Plan {name}{plan['digest']}.", anchor="declared")


def _software(document: Document) -> Answer:
    return Answer(text=f"metastra {document['software']}, Apache-2.0.", anchor="methods")


def _candidates(document: Document) -> Answer | None:
    adjusted = document["adjusted"]
    columns = adjusted.get("covariates", [])
    if not columns:
        return None
    return Answer(text=f"Beside the predictions: {joined(columns)}.", anchor="adjusted")


def _not_assessable(document: Document) -> Answer | None:
    n = document["flow"].get("not_assessable")
    if n is None:
        return None
    text = f"{plural(n, 'patient')} had no prediction, with a reason, and are counted as left out."
    return Answer(text=text, anchor="patients")


def _research_use(_document: Document) -> Answer:
    return Answer(text=RESEARCH_USE, anchor="result")


def _check(document: Document, code: str) -> Mapping[str, Any]:
    return next(check for check in document["checks"] if check["code"] == code)


ANSWERS: Mapping[str, Callable[[Document], Answer | None]] = {
    **RESULTS,
    "candidates": _candidates,
    "centres": _centres,
    "data": _data,
    "data_use": _data_use,
    "excluded": _excluded,
    "fairness_method": _fairness_method,
    "heterogeneity_method": _heterogeneity_method,
    "measures": _measures,
    "missing": _missing,
    "model": _model,
    "not_assessable": _not_assessable,
    "objective": _objective,
    "outcome": _outcome,
    "output": _output,
    "plan": _plan,
    "predictions": _predictions,
    "preparation": _preparation,
    "research_use": _research_use,
    "sample_size": _sample_size,
    "software": _software,
    "treatment": _treatment,
    "updating_method": _updating_method,
}
"""Keys of ``reporting_items.toml``."""
