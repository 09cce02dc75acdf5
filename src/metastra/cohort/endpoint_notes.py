"""What a reader must know of a finished endpoint: who is not at risk, what was never coded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from metastra.catalogue import problem
from metastra.cohort.endpoint_built import BuiltEndpoint, NotIncluded
from metastra.errors import Problem, Severity, Where
from metastra.study.sections import EndpointSection

__all__ = ["never_competing", "not_at_risk_notes"]

_NOT_AT_RISK = (
    NotIncluded.EVENT_BEFORE,
    NotIncluded.COMPETING_BEFORE,
    NotIncluded.DEATH_BEFORE,
    NotIncluded.LOST_BEFORE,
    NotIncluded.EVENT_BEFORE_ENTRY,
)


def not_at_risk_notes(built: BuiltEndpoint, where: Where) -> list[Problem]:
    """Name the patients who are not at risk at time zero.

    Parameters
    ----------
    built : BuiltEndpoint
        Of one cohort.
    where : Where
        File and cohort of the clinical table.

    Returns
    -------
    list of Problem
        Notes: EP018 for each reason, EP006 for follow-up of no length that the study excludes.
    """
    notes = []
    for reason in (*_NOT_AT_RISK, NotIncluded.DAY_ZERO):
        at = [index for index, other in enumerate(built.not_included) if other is reason]
        if at:
            found = f"{len(at)} of {len(built)} patients: {built.sentences[reason]}"
            place = replace(where, rows=tuple(int(built.rows[index]) for index in at))
            code = "EP006" if reason is NotIncluded.DAY_ZERO else "EP018"
            notes.append(
                problem(
                    code,
                    found,
                    where=place,
                    severity=Severity.NOTE,
                    hint="They are counted in the flow diagram.",
                    patients=tuple(built.names[index] for index in at),
                )
            )
    return notes


def never_competing(
    built: BuiltEndpoint, settings: EndpointSection, where: Where, *, column: str = ""
) -> list[Problem]:
    """Look for an endpoint with competing events of which the data hold none.

    Parameters
    ----------
    built : BuiltEndpoint
        Of one cohort.
    settings : EndpointSection
        ``no_competing_events`` silences the warning.
    where : Where
        File and cohort of the clinical table.
    column : str
        The status column, where there is one.

    Returns
    -------
    list of Problem
        The warning EP011, or nothing.
    """
    definition = built.definition
    if definition is None or not definition.competing or settings.no_competing_events:
        return []
    included = int(np.count_nonzero(built.included))
    if built.n_competing or not included:
        return []
    found = f"none of {included} patients has a competing event of {definition.name}"
    return [problem("EP011", found, where=replace(where, column=column))]
