"""The design behind a protocol: what its planned number can show."""

from __future__ import annotations

from metastra.evaluation.design_plan import DesignCalendar, DesignPlan
from metastra.ledger.protocol import Protocol

__all__ = ["design_of"]


def design_of(protocol: Protocol) -> DesignPlan:
    """Read the design out of a protocol.

    Parameters
    ----------
    protocol : Protocol
        With its assumptions, calendar and bound.

    Returns
    -------
    DesignPlan
        For `metastra.pipeline.design.plan_study`.

    Raises
    ------
    ConfigError
        If the assumptions cannot be.
    """
    assumed, plan = protocol.design, protocol.analysis
    return DesignPlan(
        n=protocol.study.planned_n,
        risk=assumed.risk,
        horizon=protocol.endpoint.horizon,
        time_unit=protocol.endpoint.time_unit,
        auc=assumed.auc,
        competing=assumed.competing,
        lost=assumed.lost,
        limits=tuple(sorted({0.6, 0.7, plan.bound})),
        calendar=DesignCalendar(
            start=protocol.accrual.first_day,
            end=protocol.accrual.last_day,
            analysis=plan.not_before,
        ),
        replicates=assumed.replicates,
        seed=plan.seed,
    )
