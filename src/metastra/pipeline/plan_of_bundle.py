"""The signed plan of a bundle in the words of the judge."""

from __future__ import annotations

from typing import Any

from metastra.bundle.opened import Bundle
from metastra.evaluation.plan import MEASURES, Plan
from metastra.study.study import Study

__all__ = ["evaluation_plan"]


def evaluation_plan(bundle: Bundle, study: Study) -> Plan | None:
    """Say what was declared before the lock, so that everything else is marked exploratory.

    Parameters
    ----------
    bundle : Bundle
        With its plan.
    study : Study
        Whose cohort outside development decides, where there is exactly one.

    Returns
    -------
    Plan or None
        None for a draft: nothing was promised yet.  Measures that the judge does not name stay in
        the bundle's plan and are not counted as declared numbers.
    """
    if not bundle.locked:
        return None
    plan = bundle.plan
    outside = [section.name for section in study.cohort if section.role != "development"]
    cohort = outside[0] if len(outside) == 1 else ""
    primary: dict[str, Any] = {
        "measure": plan.primary.measure,
        "horizon": plan.primary.horizon,
        "cohort": cohort,
    }
    if plan.primary.success == "lower limit above":
        primary |= {"bound": plan.primary.lower, "side": "above"}
    secondary = [
        {"measure": name, "horizon": plan.primary.horizon, "cohort": cohort}
        for name in plan.secondary
        if name in MEASURES
    ]
    return Plan.from_mapping(
        {
            "name": f"plan of {bundle.name}, version {bundle.version}",
            "primary": primary,
            "secondary": secondary,
            "cutpoints": list(plan.cutpoints),
            "thresholds": list(plan.thresholds),
        },
        digest=f"sha256:{bundle.manifest.files['plan.json'].sha256}",
    )
