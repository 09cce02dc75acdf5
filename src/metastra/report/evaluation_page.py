"""Writing an `Evaluation` as one HTML file that opens offline and runs nothing.

The page prints the values of ``evaluation.json`` and computes none of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metastra.catalogue import all_checks
from metastra.evaluation.evaluate import Evaluation
from metastra.report.evaluation_drawing import FEW_FOR_A_CURVE
from metastra.report.pages import render_page
from metastra.report.reporting import AUTHORS, reporting, reporting_summary
from metastra.report.shown import ShownFigure, inline_figures

__all__ = ["render_evaluation_page", "render_reporting_page"]

_CALIBRATION = {
    "observed": "Observed risk",
    "expected": "Expected risk",
    "oe_ratio": "O/E",
    "slope": "Calibration slope",
    "slope_hazard": "Calibration slope of a proportional-hazards model",
    "intercept": "Calibration intercept",
    "ici": "ICI",
    "e50": "E50",
    "e90": "E90",
}

_MEASURES = {
    "harrell": "Harrell's concordance",
    "uno": "Uno's concordance",
    "auc": "AUC",
    "brier": "Brier score",
    "integrated_brier": "Integrated Brier score",
    "ipa": "IPA",
    **_CALIBRATION,
}

_EVERY = 5
"""Of the thresholds of the decision curve, every fifth is printed; all stand in the JSON."""


def render_evaluation_page(evaluation: Evaluation, figures: Mapping[str, ShownFigure]) -> str:
    """Write a validation as HTML text.

    Parameters
    ----------
    evaluation : Evaluation
        The numbers.
    figures : mapping of str to ShownFigure
        Drawn by `metastra.report.evaluation_figures`.

    Returns
    -------
    str
        A whole document; equal evaluations give equal text.
    """
    document = evaluation.to_json()
    return render_page(
        "evaluation.html",
        result=document,
        titles={code: check.title for code, check in all_checks().items()},
        utility=_printed_utility(document),
        methods=_methods(document),
        intervals=_intervals(document),
        measures=_MEASURES,
        few_for_a_curve=FEW_FOR_A_CURVE,
        reasons=_reasons(document),
        reporting=reporting_summary(reporting(document)),
        figures=inline_figures(figures),
    )


def render_reporting_page(document: Mapping[str, Any], *, report: str = "report.html") -> str:
    """Write the reporting guidelines and the model card as HTML text.

    Parameters
    ----------
    document : mapping
        The content of ``evaluation.json``.
    report : str
        Name of the file beside it that has the sections.

    Returns
    -------
    str
        A whole document that links to them.
    """
    filled = reporting(document)
    return render_page(
        "reporting.html",
        result=document,
        lists=filled,
        summary=reporting_summary(filled),
        authors=AUTHORS,
        report=report,
    )


def _printed_utility(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Choose the rows of the table: all of a few thresholds, every fifth of many."""
    thresholds = list(document["settings"]["thresholds"])
    if len(thresholds) > 2 * _EVERY:
        thresholds = thresholds[_EVERY - 1 :: _EVERY]
    return [row for row in document["utility"] if row["threshold"] in thresholds]


def _reasons(document: Mapping[str, Any]) -> list[str]:
    """List once each reason for which a number at a horizon, or its interval, is missing."""
    numbers = [*document["discrimination"]["auc"], *document["overall"]["brier"]]
    numbers += document["overall"]["ipa"]
    numbers += [row[key] for row in document["calibration"] for key in _CALIBRATION]
    words = (
        number["reason"].removeprefix("no interval: ") for number in numbers if "reason" in number
    )
    return list(dict.fromkeys(words))


def _intervals(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the numbers that were drawn: the interval that is shown, and that of the draws."""
    found: list[tuple[str, Mapping[str, Any]]] = [
        ("Harrell's concordance", document["discrimination"]["harrell"]),
        ("Uno's concordance", document["discrimination"]["uno"]),
        *(("AUC", row) for row in document["discrimination"]["auc"]),
        *(("Brier score", row) for row in document["overall"]["brier"]),
        *(("IPA", row) for row in document["overall"]["ipa"]),
        ("Integrated Brier score", document["overall"]["integrated_brier"]),
    ]
    for key, label in _CALIBRATION.items():
        found += [(label, row[key]) for row in document["calibration"]]
    for group in document["risk_groups"]["groups"]:
        found.append((f"Risk of the group “{group['name']}”", group["risk_at_horizon"]))
    return [{"label": label, "number": number} for label, number in found if "bootstrap" in number]


def _methods(document: Mapping[str, Any]) -> list[str]:
    """List each method of a number once, in the order in which the numbers stand."""
    found: dict[str, None] = {}

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if "method" in value and value.get("estimate") is not None:
                found.setdefault(str(value["method"]))
            for part in value.values():
                walk(part)
        elif isinstance(value, list):
            for part in value:
                walk(part)

    walk({key: document[key] for key in ("discrimination", "overall", "calibration")})
    walk({key: document[key] for key in ("utility", "risk_groups", "added_value", "subgroups")})
    walk({key: document[key] for key in ("pooled", "adjusted", "landmark", "low_risk")})
    walk({key: document[key] for key in ("treatment", "immortal_time", "sensitivity")})
    return list(found)
