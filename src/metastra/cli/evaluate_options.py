"""Options of ``metastra evaluate``, and how several values of one option are written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from metastra.units import TimeUnit

__all__ = [
    "Accept",
    "Adjust",
    "Baseline",
    "Bootstrap",
    "Cause",
    "Cohort",
    "Cutpoint",
    "Describe",
    "Entry",
    "Event",
    "Grace",
    "Horizon",
    "Imputations",
    "KnownAt",
    "Landmark",
    "LastNegative",
    "LowRiskLimit",
    "ManyValues",
    "Outcomes",
    "Pdf",
    "PlanFile",
    "Randomised",
    "Recalibrate",
    "Risk",
    "RiskGroup",
    "Score",
    "Seed",
    "Subgroup",
    "Table",
    "Threshold",
    "Time",
    "Treatment",
    "Unit",
]

Table = Annotated[
    Path,
    typer.Argument(
        metavar="PREDICTIONS",
        help="One row per patient, or one per patient and horizon (with a column `horizon`).",
    ),
]
Outcomes = Annotated[
    Path | None,
    typer.Option(help="Table of outcomes, joined by the ids; default: PREDICTIONS itself."),
]
Time = Annotated[str, typer.Option(metavar="COL", help="Time to the event or the end.")]
Event = Annotated[str, typer.Option(metavar="COL", help="0 censored, 1 event, 2.. competing.")]
Unit = Annotated[TimeUnit, typer.Option(help="Of times and horizons.")]
Entry = Annotated[str | None, typer.Option(metavar="COL", help="Delayed entry.")]
LastNegative = Annotated[
    str | None,
    typer.Option(metavar="COL", help="Time of the last examination without the event."),
]
Cause = Annotated[int, typer.Option(help="Code of the event of interest.")]
Cohort = Annotated[str | None, typer.Option(metavar="COL", help="Judge each cohort, too.")]
Bootstrap = Annotated[int, typer.Option(help="Draws of patients; 0 for none.")]
Seed = Annotated[int, typer.Option(help="Of the draws.")]
Horizon = Annotated[
    list[float],
    typer.Option("--horizon", metavar="T", help="One or several, ascending, in --time-unit."),
]
Risk = Annotated[
    list[str] | None,
    typer.Option("--risk", metavar="COL", help="Risk by each --horizon, in the same order."),
]
Baseline = Annotated[
    list[str] | None,
    typer.Option("--baseline-risk", metavar="COL", help="Risks to improve upon, as --risk."),
]
Score = Annotated[str | None, typer.Option(metavar="COL", help="Unbounded score; higher is worse.")]
Subgroup = Annotated[
    list[str] | None, typer.Option("--subgroup", metavar="COL", help="One or several.")
]
Cutpoint = Annotated[
    list[float] | None,
    typer.Option(
        "--cutpoint",
        metavar="X",
        help="Locked cutpoint of the risk by the last horizon; repeat. Default: exploratory.",
    ),
]
Threshold = Annotated[
    list[float] | None,
    typer.Option(
        "--threshold", metavar="P", help="Of the net benefit; repeat. Default: 2% to 50%."
    ),
]
Accept = Annotated[
    list[str] | None,
    typer.Option("--accept", metavar="CODE", help="A refusal you know to be right; repeat."),
]


Adjust = Annotated[
    list[str] | None,
    typer.Option(
        "--adjust",
        metavar="COL",
        help="Covariates beside the predictions, such as stage; COL:category or COL:number.",
    ),
]
KnownAt = Annotated[
    list[str] | None,
    typer.Option(
        "--known-at",
        metavar="COL=TIME_COL",
        help="When a column of --adjust, --subgroup or --treatment became known, on the clock of "
        "--time, empty if never reached: later than the start is refused (EV016); repeat.",
    ),
]
Describe = Annotated[
    list[str] | None,
    typer.Option("--describe", metavar="COL", help="Further columns of table 1; as --adjust."),
]
RiskGroup = Annotated[
    str | None,
    typer.Option(
        metavar="COL",
        help="Group (low, high; low, intermediate, high) that each patient's own model assigned; "
        "with --cutpoint, which then are those of the locked model.",
    ),
]
Treatment = Annotated[
    str | None, typer.Option(metavar="COL", help="Treatment (1 or yes) × score interaction.")
]
Randomised = Annotated[
    bool,
    typer.Option("--randomised", help="Treatment was assigned at random: words may be causal."),
]
Recalibrate = Annotated[
    bool, typer.Option("--recalibrate", help="Fit updates and choose one by a closed test.")
]
Landmark = Annotated[
    list[float] | None,
    typer.Option(
        "--landmark", metavar="T", help="Judge again those at risk at T, clock from there; repeat."
    ),
]
Grace = Annotated[
    float | None,
    typer.Option(metavar="T", help="A scan so late still counts; with --last-negative."),
]
LowRiskLimit = Annotated[
    float | None,
    typer.Option(metavar="P", help="Risk the lowest group's upper bound must stay under."),
]
Imputations = Annotated[
    int | None,
    typer.Option(metavar="M", help="Of missing covariates; default: percent of gaps, 5 to 50."),
]
PlanFile = Annotated[
    Path | None,
    typer.Option("--plan", metavar="FILE", help="What was declared before looking: TOML or JSON."),
]
Pdf = Annotated[
    bool, typer.Option("--pdf", help="Also report.pdf, from the same page (extra: pdf).")
]

_NUMBERS = frozenset({"--horizon", "--cutpoint", "--threshold", "--landmark"})
_WORDS = frozenset(
    {"--risk", "--baseline-risk", "--subgroup", "--accept", "--adjust", "--describe", "--known-at"}
)


class ManyValues(TyperCommand):
    """Takes ``--horizon 12 24`` as ``--horizon 12 --horizon 24``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat an option for each of its values, then parse as usual."""
        return super().parse_args(ctx, _repeated(args))


def _repeated(args: list[str]) -> list[str]:
    """Spell several values of one option out.

    Words are only taken where PREDICTIONS stands first, so that it is never taken for a column.
    """
    words = bool(args) and not args[0].startswith("-")
    expanded: list[str] = []
    option, given = "", False
    for text in args:
        if text.startswith("--"):
            option, given = text, "=" in text
        elif option and given:
            if (option in _NUMBERS and _is_number(text)) or (option in _WORDS and words):
                expanded.append(option)
        else:
            given = True
        expanded.append(text)
    return expanded


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
