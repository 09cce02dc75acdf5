"""The design of a study as stored values: each number with its method and its source."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from metastra.evaluation.design import Count, Design, DesignMeasure, design_study
from metastra.evaluation.design_plan import DesignPlan
from metastra.evaluation.design_words import cannot_show
from metastra.storage.encode import json_bytes
from metastra.storage.whole import write_bytes
from metastra.version import VERSION

__all__ = ["DESIGN_FILE", "design_document", "plan_study"]

DESIGN_FILE = "design.json"

_RESEARCH_USE = "Research use only. Not for diagnosis or treatment."
_RILEY = "Riley et al., Stat Med 2021;40:4230-4251"
_SIMULATED = (
    "simulated studies: risks of a perfectly calibrated model (complementary log-log normal), "
    "constant cause-specific hazards, losses independent of risk"
)
_ESTIMATORS = {
    "auc": (
        "IPCW cumulative/dynamic AUC, controls free of the event; interval on the logit scale",
        "Blanche et al., Stat Med 2013;32:5381-5397",
    ),
    "oe_ratio": (
        "Aalen-Johansen risk over mean predicted risk; interval on the log scale",
        "van Geloven et al., BMJ 2022;377:e069249",
    ),
    "slope": (
        "pseudo-observations on the complementary log-log of the risk; sandwich interval",
        "van Geloven et al., BMJ 2022;377:e069249",
    ),
    "ipa": (
        "one minus Brier score over that of the marginal risk; influence functions",
        "Kattan and Gerds, Diagn Progn Res 2018;2:7",
    ),
}
_CRITERIA = {
    "oe_ratio": "criterion (i): width of the 95 % interval of O/E around 1",
    "slope": "criterion (ii): width of the 95 % interval of the logistic slope around 1",
    "auc": "criterion (iii): width of the 95 % interval of the C-statistic",
    "net_benefit": "criterion (iv): width of the 95 % interval of the standardised net benefit",
}


def plan_study(plan: DesignPlan, *, folder: Path | None = None) -> tuple[Design, dict[str, Any]]:
    """Find out what a planned study can show, and keep it.

    Parameters
    ----------
    plan : DesignPlan
        What is planned.
    folder : Path, optional
        Where ``design.json`` is written; nowhere when left out.

    Returns
    -------
    design : Design
        The result.
    document : dict
        The same as it is stored.

    Raises
    ------
    ConfigError
        When the plan cannot be, or the folder cannot be written to.
    ResourceError
        When the disk is full.
    """
    design = design_study(plan)
    document = design_document(design)
    if folder is not None:
        write_bytes(folder / DESIGN_FILE, json_bytes(document))
    return design, document


def design_document(design: Design) -> dict[str, Any]:
    """Write a design as plain values.

    Parameters
    ----------
    design : Design
        Of a study.

    Returns
    -------
    dict
        Strict JSON; null stands beside its reason.
    """
    plan = design.plan
    return {
        "schema": "metastra.design/1",
        "metastra": VERSION,
        "research_use": _RESEARCH_USE,
        "assumed": _assumed(plan),
        "model": {
            "calibrated": True,
            "cloglog_mean": design.risks.location,
            "cloglog_sd": design.risks.spread,
            "ipa": design.risks.ipa,
            "cox_snell_r2": design.risks.cox_snell,
        },
        "simulation": {"method": _SIMULATED, "replicates": plan.replicates, "seed": plan.seed},
        "patients": {
            "method": _SIMULATED,
            "range": "5 % and 95 % quantile",
            "entered": _count(design.entered),
            "events_by_horizon": _count(design.events),
            "competing_by_horizon": _count(design.competing),
            "at_risk_at_horizon": _count(design.at_risk),
        },
        "measures": {item.name: _measure(item) for item in design.measures},
        "chance_auc_above": {
            "method": f"share of {_SIMULATED} with the lower 95 % limit above the limit",
            "source": _ESTIMATORS["auc"][1],
            "limits": [
                {"limit": item.limit, "chance": item.chance, "monte_carlo_error": item.error}
                for item in design.chances
            ],
        },
        "added_value": _added_value(design),
        "hazard_ratio": {
            "method": "smallest hazard ratio with 80 % power at a two-sided 5 %",
            "source": "Schoenfeld, Biometrics 1983;39:499-503",
            "high_risk_share": plan.high_risk_share,
            "events": design.events.mean,
            "value": design.hazard_ratio,
            "events_low": design.events.lower,
            "value_at_events_low": design.hazard_ratio_few,
            "reason": None if design.hazard_ratio_few else "fewer than 5 events are possible",
        },
        "sample_size": _sample_size(design),
        "calendar": _calendar(design),
        "cannot_show": list(cannot_show(design)),
    }


def _assumed(plan: DesignPlan) -> dict[str, Any]:
    calendar = plan.calendar
    values = asdict(plan) | {"time_unit": str(plan.time_unit), "limits": list(plan.limits)}
    values["calendar"] = calendar and {
        "accrual_start": calendar.start.isoformat(),
        "accrual_end": calendar.end.isoformat(),
        "analysis": calendar.analysis_day(plan.horizon_days).isoformat(),
    }
    return values | {"horizon_days": float(plan.horizon_days)}


def _count(count: Count) -> dict[str, float]:
    return {"mean": count.mean, "lower": count.lower, "upper": count.upper}


def _measure(item: DesignMeasure) -> dict[str, Any]:
    method, source = _ESTIMATORS[item.name]
    return {
        "true": item.true,
        "range_95": item.range and list(item.range),
        "expected_interval_95": item.interval and list(item.interval),
        "coverage": item.coverage,
        "closed_form_interval_95": item.closed_form and list(item.closed_form),
        "closed_form_source": _RILEY if item.closed_form else None,
        "not_estimable": item.failed,
        "reason": item.reason or None,
        "method": method,
        "source": source,
    }


def _added_value(design: Design) -> dict[str, Any]:
    gain = design.added_value
    common = {
        "method": "share of simulated studies with a two-sided p-value below 0.05 for a higher "
        "AUC, from the joint influence function; the clinical model is nested in the model",
        "source": "Blanche et al., Stat Med 2013;32:5381-5397",
    }
    if gain is None:
        return common | {"power": None, "reason": "no clinical model was stated"}
    return common | {
        "baseline_auc": gain.baseline_auc,
        "true_gain": gain.true_gain,
        "range_95": gain.range and list(gain.range),
        "power": gain.power,
        "monte_carlo_error": gain.error,
        "reason": None,
    }


def _sample_size(design: Design) -> dict[str, Any]:
    validation = [
        {
            "measure": item.measure,
            "criterion": _CRITERIA[item.measure],
            "width": item.width,
            "threshold": item.threshold,
            "n": item.n,
            "events": item.events,
            "source": _RILEY,
        }
        for item in design.needed
    ]
    found = design.development
    development = None
    if found is not None:
        development = {
            "parameters": design.plan.parameters,
            "r2_cox_snell": design.risks.cox_snell,
            "max_r2": found.max_r2,
            "n_shrinkage": found.n_shrinkage,
            "n_optimism": found.n_optimism,
            "n_overall_risk": found.n_overall_risk,
            "n": found.n,
            "method": "shrinkage 0.9, optimism 0.05, margin of the mean risk 0.05; the R2 that a "
            "model of the stated AUC has for the status at the horizon",
            "source": "Riley et al., Stat Med 2019;38:1276-1296",
        }
    return {"validation": validation, "development": development}


def _calendar(design: Design) -> dict[str, Any] | None:
    if not design.dates:
        return None
    return {
        "method": f"{_SIMULATED}; patients enter evenly over the accrual",
        "range": "5 % and 95 % quantile",
        "dates": [
            {
                "date": item.day.isoformat(),
                "planned": item.planned,
                "entered": _count(item.entered),
                "events_by_horizon": _count(item.events),
                "at_risk_at_horizon": _count(item.at_risk),
            }
            for item in design.dates
        ],
    }
