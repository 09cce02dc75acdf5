"""The analysis plan and the change plan: what is promised before anybody looks at the outcomes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from metastra.bundle.contract import NOT_STATED, Positive, Probability, Words
from metastra.bundle.layout import Part

__all__ = [
    "AnalysisPlan",
    "ChangePlan",
    "DesignAssumptions",
    "InterimLook",
    "PrimaryMeasure",
]

Share = Annotated[float, Field(ge=0, lt=1)]


class PrimaryMeasure(Part):
    """The one measure that decides, and what counts as success."""

    measure: Literal["auc", "uno", "harrell", "oe_ratio", "slope", "ipa"] = "auc"
    horizon: Positive
    level: Probability = 0.95
    success: Literal["lower limit above", "interval inside", "not stated"] = "not stated"
    lower: float | None = None
    """Bound that the interval's lower limit must exceed."""
    upper: float | None = None
    """With ``interval inside``: bound that its upper limit must not reach."""


class InterimLook(Part):
    """One look before the end, with the error that it spends."""

    at_events: Annotated[int, Field(gt=0)]
    alpha_spent: Probability
    """Two-sided type-I error spent up to and including this look."""


class DesignAssumptions(Part):
    """What the design table before the lock rests on."""

    risk: Probability
    """Probability of the event by the primary horizon."""
    auc: Annotated[float, Field(gt=0.5, lt=1)]
    competing: Share = 0.0
    lost: Share = 0.0
    baseline_auc: Annotated[float, Field(gt=0.5, lt=1)] | None = None
    source: Words


class AnalysisPlan(Part):
    """``plan.json``."""

    format: Literal["metastra-plan-1"] = "metastra-plan-1"
    version: Annotated[int, Field(ge=1)] = 1
    primary: PrimaryMeasure
    secondary: tuple[Words, ...] = ()
    populations: tuple[Words, ...] = ("every patient with a prediction and a known outcome",)
    thresholds: tuple[Probability, ...] = ()
    """Of the net benefit."""
    cutpoints: tuple[Probability, ...] = ()
    subgroups: tuple[Words, ...] = ()
    """Columns that are looked at, declared beforehand."""
    minimum_events: Annotated[int, Field(ge=1)] = 10
    """Subgroups with fewer are counted, not estimated."""
    missing_data: Words
    ties: Words
    competing_risks: Words
    multiplicity: Words = "one primary measure; everything else is descriptive, without tests"
    interim_looks: tuple[InterimLook, ...] = ()
    """Empty: nobody looks before the end."""
    spending: Words = "none: there is no interim look"
    planned_n: Annotated[int, Field(ge=1)] | None = None
    planned_events: Annotated[int, Field(ge=1)] | None = None
    analysis_time: Words = NOT_STATED
    """When the one analysis is made."""
    design: DesignAssumptions | None = None
    bootstrap: Annotated[int, Field(ge=0)] = 1000
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def open_statements(self) -> tuple[str, ...]:
        """Names of the statements that nobody made."""
        found = [] if self.primary.success != NOT_STATED else ["primary.success"]
        found += [name for name in ("planned_n", "planned_events") if getattr(self, name) is None]
        return (*found, *(["analysis_time"] if self.analysis_time == NOT_STATED else []))

    def contradictions(self) -> list[str]:
        """Compare the parts of the plan with each other.

        Returns
        -------
        list of str
            What does not fit; empty for a sound plan.
        """
        found = []
        primary = self.primary
        if primary.success != NOT_STATED and primary.lower is None:
            found.append("primary.success needs primary.lower")
        if (primary.success == "interval inside") != (primary.upper is not None):
            found.append("primary.upper belongs to success = 'interval inside'")
        looks = [(look.at_events, look.alpha_spent) for look in self.interim_looks]
        if looks != sorted(looks) or len({events for events, _ in looks}) != len(looks):
            found.append("the interim looks do not ascend in events and spent error")
        if looks and self.spending.startswith("none"):
            found.append("interim looks without a spending function")
        if looks and looks[-1][1] >= 1.0 - primary.level:
            found.append("the interim looks spend the whole error before the end")
        return found


class ChangePlan(Part):
    """``change_plan.json``: a predetermined change control plan (FDA 2024)."""

    format: Literal["metastra-change-plan-1"] = "metastra-change-plan-1"
    may_change: tuple[Words, ...] = ()
    """Empty: nothing may change without a new bundle and new data."""
    test: Words = "a new bundle is validated on patients that none of its versions has seen"
    acceptance: tuple[Words, ...] = ()
    """Bounds that the changed model must keep."""
    rollback: Words = "the last verified version stays in use; a new one never replaces it silently"
