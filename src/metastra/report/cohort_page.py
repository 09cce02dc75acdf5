"""`CohortPage`: everything the page of a cohort says, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from metastra.cohort.flow import CohortFlow, flow_to_json
from metastra.errors import Problem, Severity
from metastra.report.curves import Curves
from metastra.report.flow_diagram import FlowDiagram
from metastra.report.fold_bars import FoldBars
from metastra.report.follow_up import FollowUpRow
from metastra.report.page_parts import (
    AppliedResolution,
    MetadataModel,
    PageSettings,
    Provenance,
    SplitSummary,
    StudyWords,
)
from metastra.report.plain import to_plain
from metastra.report.precision import PRECISION_SOURCES, Precision
from metastra.report.problem_groups import group_problems
from metastra.report.study_words import EndpointWords
from metastra.report.table_one import TableOne
from metastra.report.wording import RESEARCH_USE

__all__ = ["CohortPage"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CohortPage:
    """What was promised, who is in, who is out and why, and what the data can show.

    Parameters
    ----------
    study : StudyWords
        Name, question, horizons.
    endpoint : EndpointWords or None
        None where the study file could not be read.
    flows : tuple of CohortFlow
        One for each cohort; empty where the data were refused before.
    table : TableOne or None
        None where the data were refused.
    follow_up : tuple of FollowUpRow
        Cohorts and sites; empty for endpoints other than survival.
    curves : mapping of str to Curves
        By name: ``incidence``, ``competing``, ``follow-up``.
    splits : tuple of SplitSummary
        Stored splits.
    problems : tuple of Problem
        Refusals, warnings and notes.
    resolutions : tuple of AppliedResolution
        What the study file says about problems of its tables.
    precision : Precision or None
        What the data can show.
    metadata_model : MetadataModel or None
        How well collection foretells the outcome.
    notes : tuple of str
        Anything else that a reader should know.
    provenance : Provenance
        Digests and version.
    settings : PageSettings
        Levels and limits.
    """

    study: StudyWords
    endpoint: EndpointWords | None = None
    flows: tuple[CohortFlow, ...] = ()
    table: TableOne | None = None
    follow_up: tuple[FollowUpRow, ...] = ()
    curves: dict[str, Curves] = field(default_factory=dict)
    splits: tuple[SplitSummary, ...] = ()
    problems: tuple[Problem, ...] = ()
    resolutions: tuple[AppliedResolution, ...] = ()
    precision: Precision | None = None
    metadata_model: MetadataModel | None = None
    notes: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)
    settings: PageSettings = field(default_factory=PageSettings)

    @property
    def refused(self) -> bool:
        """Whether any problem refuses the data."""
        return any(item.severity is Severity.REFUSE for item in self.problems)

    @property
    def counts_events(self) -> bool:
        """Whether the endpoint has events that are counted over time."""
        return self.endpoint is None or self.endpoint.kind == "survival"

    def to_json(self) -> dict[str, Any]:
        """Write the page as plain values; the page prints these and computes nothing.

        Returns
        -------
        dict
            Strict JSON: what is not known is None.
        """
        return {
            "research_use_only": RESEARCH_USE,
            "study": to_plain(self.study),
            "refused": self.refused,
            "counts_events": self.counts_events,
            "endpoint": to_plain(self.endpoint),
            "flow": flow_to_json(self.flows)["cohorts"],
            "flow_explain": self.flow_diagram().explain() if self.flows else "",
            "table_one": to_plain(self.table),
            "follow_up": to_plain(self.follow_up),
            "curves": {name: _curve_json(curves) for name, curves in self.curves.items()},
            "splits": [self._split_json(split) for split in self.splits],
            "problems": to_plain(group_problems(self.problems)),
            "resolutions": [
                {**to_plain(entry), "n": len(set(entry.patients))} for entry in self.resolutions
            ],
            "precision": to_plain(self.precision),
            "precision_sources": PRECISION_SOURCES,
            "metadata_model": self._metadata_json(),
            "notes": list(self.notes),
            "provenance": to_plain(self.provenance),
            "settings": to_plain(self.settings),
        }

    def flow_diagram(self) -> FlowDiagram:
        """Lay the flow out.

        Returns
        -------
        FlowDiagram
            Of all cohorts.
        """
        return FlowDiagram(flows=self.flows, counts_events=self.counts_events)

    def _metadata_json(self) -> dict[str, Any] | None:
        if self.metadata_model is None:
            return None
        explained = self.metadata_model.forest().explain()
        return {**to_plain(self.metadata_model), "explain": explained}

    @staticmethod
    def _split_json(split: SplitSummary) -> dict[str, Any]:
        explained = FoldBars(parts=split.parts).explain() if split.parts else ""
        return {**to_plain(split), "explain": explained}


def _curve_json(curves: Curves) -> dict[str, Any]:
    """Write the numbers under a figure; every step stands in `Curves.frame`."""
    return {
        "kind": curves.kind.value,
        "event": curves.event,
        "time_unit": curves.options.time_unit.value,
        "method": curves.method,
        "explain": curves.explain(),
        "groups": [
            {
                "label": line.label,
                "n": line.n,
                "events": line.events,
                "ticks": [
                    {"time": tick, "at_risk": at_risk, "events": events}
                    | dict(zip(("estimate", "lower", "upper"), line.at(tick), strict=True))
                    for tick, at_risk, events in zip(
                        curves.ticks, line.at_risk, line.events_so_far, strict=True
                    )
                ],
            }
            for line in curves.lines
        ],
    }
