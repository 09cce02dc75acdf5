"""The flow diagram: how many patients there were, who was left out and why, who is analysed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["CohortFlow", "FlowStep", "Leaving", "flow_of", "flow_to_json"]


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """Why one patient is not analysed.

    Parameters
    ----------
    pseudonym : str
        The patient.
    reason : str
        In words, as the flow diagram prints it.
    stage : {"withdrawn", "criterion", "resolution", "endpoint", "overlap", "slides"}
        What removed the patient.
    order : int
        Place of the reason in the diagram.
    """

    pseudonym: str
    reason: str
    stage: str
    order: int


@dataclass(frozen=True, kw_only=True)
class FlowStep:
    """One box beside the diagram.

    Parameters
    ----------
    reason : str
        Why patients left.
    stage : str
        What removed them.
    n : int
        How many.
    """

    reason: str
    stage: str
    n: int


@dataclass(frozen=True, kw_only=True)
class CohortFlow:
    """The diagram of one cohort; inputs = analysed + left out, always.

    Parameters
    ----------
    cohort : str
        Its name.
    role : str
        Development, external or temporal.
    n_listed : int
        Patients in the clinical table.
    steps : tuple of FlowStep
        In the order in which they were applied.
    n_analysed : int
        Patients with an endpoint.
    n_events : int
        Events of interest among them, whatever their time.
    n_competing : int
        Competing events among them.
    n_slides_listed : int
        Slides in the slide table.
    n_slides_used : int
        Slides of analysed patients that the study's rule selects.
    """

    cohort: str
    role: str
    n_listed: int
    steps: tuple[FlowStep, ...]
    n_analysed: int
    n_events: int = 0
    n_competing: int = 0
    n_slides_listed: int = 0
    n_slides_used: int = 0


def flow_of(
    *,
    cohort: str,
    role: str,
    n_listed: int,
    leavings: Sequence[Leaving],
    n_events: int = 0,
    n_competing: int = 0,
    n_slides_listed: int = 0,
    n_slides_used: int = 0,
) -> CohortFlow:
    """Count the reasons for leaving.

    Parameters
    ----------
    cohort, role : str
        Of the cohort.
    n_listed : int
        Patients in the clinical table.
    leavings : sequence of Leaving
        At most one for each patient: the first reason counts.
    n_events, n_competing : int
        Among those who stay.
    n_slides_listed, n_slides_used : int
        Slides before and after the study's rule.

    Returns
    -------
    CohortFlow
        Whose numbers add up.

    Raises
    ------
    ValueError
        If a patient left twice, or more left than there were.
    """
    twice = [name for name, n in Counter(item.pseudonym for item in leavings).items() if n > 1]
    if twice:
        raise ValueError(f"{len(twice)} patients left the flow twice, for instance {twice[0]}")
    if len(leavings) > n_listed:
        raise ValueError(f"{len(leavings)} patients left a cohort of {n_listed}")
    counted = Counter((item.order, item.stage, item.reason) for item in leavings)
    steps = tuple(
        FlowStep(reason=reason, stage=stage, n=counted[order, stage, reason])
        for order, stage, reason in sorted(counted)
    )
    return CohortFlow(
        cohort=cohort,
        role=role,
        n_listed=n_listed,
        steps=steps,
        n_analysed=n_listed - len(leavings),
        n_events=n_events,
        n_competing=n_competing,
        n_slides_listed=n_slides_listed,
        n_slides_used=n_slides_used,
    )


def flow_to_json(flows: Sequence[CohortFlow]) -> dict[str, Any]:
    """Write the diagram as plain values for ``flow.json``.

    Parameters
    ----------
    flows : sequence of CohortFlow
        One for each cohort.

    Returns
    -------
    dict
        Strict JSON: ``{"cohorts": [...]}``.
    """
    return {
        "cohorts": [
            {
                "cohort": flow.cohort,
                "role": flow.role,
                "patients_listed": flow.n_listed,
                "excluded": [
                    {"reason": step.reason, "stage": step.stage, "patients": step.n}
                    for step in flow.steps
                ],
                "patients_analysed": flow.n_analysed,
                "events": flow.n_events,
                "competing_events": flow.n_competing,
                "slides_listed": flow.n_slides_listed,
                "slides_used": flow.n_slides_used,
            }
            for flow in flows
        ]
    }
