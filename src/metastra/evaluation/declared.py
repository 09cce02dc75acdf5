"""The result held against its plan: the declared numbers first, deviations named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from metastra.errors import ConfigError
from metastra.evaluation.covariates import ColumnSpec
from metastra.evaluation.patients import DEFAULT_THRESHOLDS, Settings
from metastra.evaluation.plan import MEASURES, Declared, Plan
from metastra.evaluation.request import Request

__all__ = ["declared", "with_plan"]

_NO_PLAN = "no plan was given (--plan): no analysis can be called pre-declared"
_EST = ("estimate", "lower", "upper", "level", "method", "n", "events", "horizon")
_CALIBRATION = frozenset({"oe_ratio", "slope", "slope_hazard", "intercept", "ici", "e50", "e90"})


def with_plan(request: Request, settings: Settings, plan: Plan) -> tuple[Request, Settings]:
    """Let the plan fill in what the command line left open.

    Parameters
    ----------
    request : Request
        Columns; subgroups and covariates of the plan are added.
    settings : Settings
        Cutpoints, thresholds, landmarks and the low-risk limit are taken over where none was
        given; what was given and differs stays, and is a deviation.
    plan : Plan
        What was declared.

    Returns
    -------
    request, settings
        Filled in.

    Raises
    ------
    ConfigError
        When a declared horizon is not among the horizons.
    """
    asked = {one.horizon for one in (plan.primary, *plan.secondary) if one.horizon is not None}
    absent = sorted(asked - set(request.horizons))
    if absent:
        words = ", ".join(f"{h:g}" for h in absent)
        raise ConfigError(f"the plan declares the horizon {words}; add --horizon {words}")
    names = {ColumnSpec.parse(text).name for text in request.adjust}
    more = tuple(text for text in plan.adjust if ColumnSpec.parse(text).name not in names)
    filled = replace(
        request,
        subgroups=tuple(dict.fromkeys((*request.subgroups, *plan.subgroups))),
        adjust=(*request.adjust, *more),
    )
    default = settings.thresholds == DEFAULT_THRESHOLDS
    chosen = replace(
        settings,
        plan=plan,
        cutpoints=settings.cutpoints or plan.cutpoints,
        thresholds=plan.thresholds if default and plan.thresholds else settings.thresholds,
        landmarks=settings.landmarks or plan.landmarks,
        low_risk_limit=(
            plan.low_risk_limit if settings.low_risk_limit is None else settings.low_risk_limit
        ),
        recalibrate=settings.recalibrate or plan.recalibrate,
    )
    return filled, chosen


def declared(document: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Take the declared numbers out of a result and say what became of them.

    Parameters
    ----------
    document : mapping
        Every number.
    settings : Settings
        With the plan, or without one.

    Returns
    -------
    dict
        ``primary`` and ``secondary`` (``measure``, ``label``, ``bound``, ``side``, ``verdict``
        and an EST), ``sections`` (which analyses were declared), ``deviations``; without a plan
        only ``sections``, all exploratory, and the ``reason``.
    """
    plan = settings.plan
    if plan is None:
        sections = _sections(document, settings)
        return {"name": None, "digest": None, "reason": _NO_PLAN, "sections": sections}
    return {
        "name": plan.name or None,
        "digest": plan.digest,
        "primary": _item(document, plan.primary),
        "secondary": [_item(document, one) for one in plan.secondary],
        "sections": _sections(document, settings),
        "deviations": _deviations(document, settings, plan),
    }


def _item(document: Mapping[str, Any], item: Declared) -> dict[str, Any]:
    number = _number(document, item)
    return {
        "measure": item.measure,
        "label": MEASURES[item.measure],
        "cohort": item.cohort or None,
        "bound": item.bound,
        "side": item.side if item.bound is not None else None,
        "verdict": _verdict(number, item),
        **number,
    }


def _verdict(number: Mapping[str, Any], item: Declared) -> str:
    if item.bound is None:
        return "reported"
    lower, upper = number["lower"], number["upper"]
    if number["estimate"] is None:
        return "not estimable"
    if item.side == "holds":
        known = lower is not None and upper is not None
        return ("met" if lower <= item.bound <= upper else "not met") if known else "not estimable"
    end = lower if item.side == "above" else upper
    if end is None:
        return "not estimable"
    reached = end > item.bound if item.side == "above" else end < item.bound
    return "met" if reached else "not met"


def _number(document: Mapping[str, Any], item: Declared) -> dict[str, Any]:
    part: Mapping[str, Any] = document
    if item.cohort:
        part = document["cohorts"].get(item.cohort, {})
        if not part:
            return _absent(f"there is no cohort {item.cohort}")
    try:
        found = _found(part, item)
    except (KeyError, IndexError):
        found = None
    return found or _absent("it was not computed")


def _found(part: Mapping[str, Any], item: Declared) -> dict[str, Any] | None:
    key = item.measure
    horizon = part["horizons"][-1] if item.horizon is None else item.horizon
    if key in ("harrell", "uno"):
        return _est(part["discrimination"][key])
    rows: Sequence[Mapping[str, Any]]
    if key in ("auc", "brier", "ipa"):
        rows = part["discrimination" if key == "auc" else "overall"][key]
        return next((_est(row) for row in rows if row["horizon"] == horizon), None)
    if key in _CALIBRATION:
        rows = part["calibration"]
        return next((_est(row[key]) for row in rows if row["horizon"] == horizon), None)
    if key in ("sensitivity", "specificity", "ppv", "npv"):
        return _est(part["risk_groups"]["classification"][-1][key])
    if key == "hazard_ratio":
        return _highest_to_lowest(part, part["risk_groups"]["hazard_ratios"])
    if key == "adjusted_hazard_ratio":
        return _highest_to_lowest(part, part["adjusted"]["groups"])
    if key == "low_risk":
        return _est(part["low_risk"]["risk"])
    rows = part["pooled"]["measures"]
    wanted = key.removeprefix("pooled_")
    return next(
        (_est(row) for row in rows if (row["measure"], row["horizon"]) == (wanted, horizon)), None
    )


def _highest_to_lowest(
    part: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """Find the contrast by its name: a group without a patient has none."""
    names = [group["name"] for group in part["risk_groups"]["groups"]]
    wanted = f"{names[-1]} against {names[0]}"
    return next((_est(row) for row in rows if row["contrast"] == wanted), None)


def _est(row: Mapping[str, Any]) -> dict[str, Any]:
    keys = (*_EST, "reason") if "reason" in row else _EST
    return {key: row[key] for key in keys}


def _absent(reason: str) -> dict[str, Any]:
    return {**dict.fromkeys(_EST), "level": 0.95, "method": "", "n": 0, "events": 0,
            "reason": reason}  # fmt: skip


def _sections(document: Mapping[str, Any], settings: Settings) -> dict[str, str]:
    """Say of each analysis whether it was declared."""
    plan = settings.plan
    named = set() if plan is None else {one.measure for one in (plan.primary, *plan.secondary)}
    column = {row["column"] for row in document["subgroups"]}
    found = {
        "groups": bool(plan and plan.cutpoints)
        and tuple(document["risk_groups"]["cutpoints"]) == (plan.cutpoints if plan else ()),
        "discrimination": bool(named & {"auc", "harrell", "uno"}),
        "overall": bool(named & {"brier", "ipa"}),
        "calibration": bool(named & _CALIBRATION),
        "utility": bool(plan and plan.thresholds == settings.thresholds),
        "classification": bool(named & {"sensitivity", "specificity", "ppv", "npv"}),
        "adjusted": bool(plan and plan.adjust),
        "pooled": bool(named & {"pooled_auc", "pooled_oe_ratio"}),
        "landmark": bool(plan and plan.landmarks and plan.landmarks == settings.landmarks),
        "low_risk": bool(
            plan
            and plan.low_risk_limit is not None
            and plan.low_risk_limit == settings.low_risk_limit
        ),
        # the numbers of a recalibration are of the patients it was fitted to, planned or not
        "recalibration": False,
    }
    found |= {
        f"subgroups: {name}": bool(plan and name in plan.subgroups) for name in sorted(column)
    }
    return {key: "pre-declared" if value else "exploratory" for key, value in found.items()}


def _deviations(document: Mapping[str, Any], settings: Settings, plan: Plan) -> list[str]:
    found = []
    pairs = (
        ("cutpoints", plan.cutpoints, settings.cutpoints),
        ("thresholds", plan.thresholds, settings.thresholds),
        ("landmarks", plan.landmarks, settings.landmarks),
    )
    for name, planned, used in pairs:
        if planned and planned != used:
            words = [", ".join(f"{v:g}" for v in values) for values in (planned, used)]
            found.append(f"{name}: {words[0]} declared, {words[1]} used")
    if plan.low_risk_limit is not None and plan.low_risk_limit != settings.low_risk_limit:
        found.append(
            f"low-risk limit: {plan.low_risk_limit:g} declared, {settings.low_risk_limit:g} used"
        )
    found += [
        f"{MEASURES[one.measure]}: declared and not estimable"
        for one in (plan.primary, *plan.secondary)
        if _number(document, one)["estimate"] is None
    ]
    return found
