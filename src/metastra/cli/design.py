"""``metastra design``: what a study of this size can show, before its first patient."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metastra.cli.console import RESEARCH_USE, print_json, result, say
from metastra.cli.exits import verb
from metastra.cli.options import AsJson
from metastra.errors import ConfigError
from metastra.units import TimeUnit

if TYPE_CHECKING:
    from metastra.evaluation.design import Count, Design
    from metastra.evaluation.design_plan import DesignCalendar, DesignPlan

__all__ = ["design_lines", "register"]

_DAY = ["%Y-%m-%d"]
_WIDTH = 88

_N = Annotated[int, typer.Option("--n", help="Patients.")]
_Risk = Annotated[float, typer.Option(help="Mean probability of the event by the horizon.")]
_Horizon = Annotated[float, typer.Option(help="In --time-unit.")]
_Unit = Annotated[TimeUnit, typer.Option(help="Of the horizon.")]
_Auc = Annotated[float, typer.Option(help="True AUC of the model at the horizon.")]
_Competing = Annotated[float, typer.Option(help="Probability of a competing event by the horizon.")]
_Lost = Annotated[float, typer.Option(help="Share lost to follow-up by the horizon.")]
_Baseline = Annotated[
    float | None, typer.Option(help="True AUC of a clinical model to improve upon.")
]
_Share = Annotated[float, typer.Option(help="Share of patients called high-risk.")]
_Limit = Annotated[
    list[float] | None,
    typer.Option("--limit", help="That the AUC should exceed; repeat. Default: .6 .65 .7 .75."),
]
_Parameters = Annotated[
    int | None, typer.Option(help="Candidate parameters, for the size of a development study.")
]
_Start = Annotated[datetime | None, typer.Option(formats=_DAY, help="First day of accrual.")]
_End = Annotated[datetime | None, typer.Option(formats=_DAY, help="Last day of accrual.")]
_Analysis = Annotated[
    datetime | None,
    typer.Option(formats=_DAY, help="Default: when all have passed the horizon."),
]
_Replicates = Annotated[int, typer.Option(help="Simulated studies.")]
_Seed = Annotated[int, typer.Option(help="Of the simulation.")]
_Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder for design.json.", show_default=False)
]
_NAMES = {"auc": "AUC", "oe_ratio": "O/E", "slope": "slope", "ipa": "IPA"}
_NEEDED = {
    "oe_ratio": "O/E",
    "auc": "AUC",
    "slope": "calibration slope",
    "net_benefit": "standardised net benefit",
}


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(epilog="Example: metastra design --n 160 --risk 0.12 --horizon 24 --auc 0.80")
    @verb
    def design(
        n: _N,
        risk: _Risk,
        horizon: _Horizon,
        auc: _Auc,
        time_unit: _Unit = TimeUnit.MONTHS,
        competing: _Competing = 0.0,
        lost: _Lost = 0.0,
        baseline_auc: _Baseline = None,
        high_risk_share: _Share = 0.3,
        limits: _Limit = None,
        parameters: _Parameters = None,
        accrual_start: _Start = None,
        accrual_end: _End = None,
        analysis_date: _Analysis = None,
        replicates: _Replicates = 1000,
        seed: _Seed = 2026,
        out: _Out = None,
        as_json: AsJson = False,
    ) -> None:
        """Show what a validation study of this size can show, and what it cannot."""
        from metastra.evaluation.design_plan import DesignPlan
        from metastra.pipeline.design import DESIGN_FILE, plan_study

        plan = DesignPlan(
            n=n,
            risk=risk,
            horizon=horizon,
            time_unit=time_unit,
            auc=auc,
            competing=competing,
            lost=lost,
            baseline_auc=baseline_auc,
            high_risk_share=high_risk_share,
            parameters=parameters,
            limits=tuple(limits) if limits else DesignPlan.limits,
            calendar=_calendar(accrual_start, accrual_end, analysis_date),
            replicates=replicates,
            seed=seed,
        )
        found, document = plan_study(plan, folder=out)
        if as_json:
            print_json(document)
        else:
            result("\n".join(design_lines(found)))
        if out is not None:
            say(f"written: {out / DESIGN_FILE}")


def design_lines(design: Design) -> Iterator[str]:
    """Lay a design out for a person.

    Parameters
    ----------
    design : Design
        Of a study.

    Yields
    ------
    str
        Lines of text.
    """
    from metastra.evaluation.design_words import cannot_show

    yield from _assumptions(design.plan)
    yield ""
    yield f"events by the horizon    {_count(design.events)}"
    yield f"competing events         {_count(design.competing)}"
    yield f"at risk at the horizon   {_count(design.at_risk)}"
    yield ""
    yield from _measures(design)
    yield ""
    yield from _tests(design)
    yield ""
    yield "patients needed (Riley et al. 2021; no loss to follow-up)"
    for item in design.needed:
        at = "" if item.threshold is None else f" at threshold {item.threshold:g}"
        what = f"{_NEEDED[item.measure]}{at}, interval {item.width:g} wide"
        yield f"  {what:<63}{item.n:>6} ({item.events:.0f} events)"
    if design.development is not None:
        size = design.development
        yield (
            f"to develop a model with {design.plan.parameters} parameters (Riley et al. 2019): "
            f"{size.n} patients"
        )
        yield (
            f"  shrinkage {size.n_shrinkage}, optimism {size.n_optimism}, "
            f"mean risk {size.n_overall_risk}"
        )
    yield from _dates(design)
    yield ""
    yield "what this study cannot show"
    for sentence in cannot_show(design):
        yield textwrap.fill(
            sentence,
            _WIDTH,
            initial_indent="  - ",
            subsequent_indent="    ",
            break_on_hyphens=False,
        )
    yield ""
    yield RESEARCH_USE


def _assumptions(plan: DesignPlan) -> Iterator[str]:
    yield (
        f"{plan.n} patients, {plan.risk:.1%} with the event by {plan.horizon:g} {plan.time_unit}, "
        f"true AUC {plan.auc:.2f}"
    )
    yield (
        f"{plan.competing:.1%} competing events, {plan.lost:.1%} lost; {plan.replicates} simulated "
        f"studies of a perfectly calibrated model, seed {plan.seed}"
    )


def _measures(design: Design) -> Iterator[str]:
    heads = ("95 % of studies", "expected 95 % CI")
    yield f"{'measure':<9}{'true':>6}{heads[0]:>19}{heads[1]:>19}{'holds truth':>13}"
    for item in design.measures:
        if item.range is None or item.interval is None or item.coverage is None:
            yield f"{_NAMES[item.name]:<9}{item.true:>6.2f}  {item.reason}"
            continue
        spread, interval = (f"{a:.2f} to {b:.2f}" for a, b in (item.range, item.interval))
        failed = f"  ({item.failed} not estimable)" if item.failed else ""
        yield (
            f"{_NAMES[item.name]:<9}{item.true:>6.2f}{spread:>19}{interval:>19}"
            f"{item.coverage:>13.0%}{failed}"
        )


def _tests(design: Design) -> Iterator[str]:
    for item in design.chances:
        yield (
            f"chance that the lower limit of the AUC exceeds {item.limit:<5g} {item.chance:.0%} "
            f"(± {196 * item.error:.0f})"
        )
    gain = design.added_value
    if gain is not None:
        yield (
            f"power for a gain of {gain.true_gain:.2f} over a clinical AUC of "
            f"{gain.baseline_auc:.2f}: {gain.power:.0%} (± {196 * gain.error:.0f})"
        )
    if design.hazard_ratio is not None:
        yield (
            f"smallest hazard ratio of the high-risk {design.plan.high_risk_share:.0%} with 80 % "
            f"power: {design.hazard_ratio:.1f} (Schoenfeld)"
        )


def _dates(design: Design) -> Iterator[str]:
    if not design.dates:
        return
    yield ""
    yield f"{'analysis on':<14}{'entered':>9}{'events by horizon':>23}{'at risk at horizon':>23}"
    for item in design.dates:
        planned = "  planned" if item.planned else ""
        yield (
            f"{item.day!s:<14}{item.entered.mean:>9.0f}{_count(item.events):>23}"
            f"{_count(item.at_risk):>23}{planned}"
        )


def _count(count: Count) -> str:
    return f"{count.mean:.0f} ({count.lower:.0f} to {count.upper:.0f})"


def _calendar(
    start: datetime | None, end: datetime | None, analysis: datetime | None
) -> DesignCalendar | None:
    from metastra.evaluation.design_plan import DesignCalendar

    if start is None and end is None and analysis is None:
        return None
    if start is None or end is None:
        raise ConfigError("a calendar needs both --accrual-start and --accrual-end")
    return DesignCalendar(
        start=start.date(), end=end.date(), analysis=analysis.date() if analysis else None
    )
