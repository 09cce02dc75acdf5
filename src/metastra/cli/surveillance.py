"""``metastra surveillance``: what a policy of scans by risk group finds and costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metastra.cli import evaluate_options as options
from metastra.cli.console import RESEARCH_USE, print_json, print_problems, result, say
from metastra.cli.exits import verb
from metastra.cli.options import AsJson, Decimal, Delimiter, IdColumn, OutDir, table_format
from metastra.units import TimeUnit

if TYPE_CHECKING:
    from metastra.pipeline.surveillance import Surveyed

__all__ = ["register"]

_Table = Annotated[Path, typer.Argument(metavar="PREDICTIONS", help="One row per patient.")]
_Policies = Annotated[Path, typer.Option(metavar="TOML", help="Scans by risk group.")]
_Risk = Annotated[str, typer.Option(metavar="COL", help="Risk by the horizon.")]
_Horizon = Annotated[float, typer.Option(help="End of surveillance.")]
_Unit = Annotated[TimeUnit, typer.Option(help="Of times, horizon and scans.")]
_Cohort = Annotated[str | None, typer.Option(metavar="COL", help="Centre, for the visits.")]
_Combine = Annotated[
    list[str] | None,
    typer.Option(
        "--combine",
        metavar="COL",
        help="Finding (stage, grade, MMR, CEA class) to combine with the risk; repeat.",
    ),
]
_Cutpoint = Annotated[
    list[float] | None,
    typer.Option("--cutpoint", metavar="X", help="Locked cutpoint of the risk; repeat."),
]
_Sensitivity = Annotated[
    float, typer.Option(help="Probability that a scan finds a detectable metastasis.")
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(
        epilog="Example: metastra surveillance predictions.csv --policies policies.toml --time "
        "months --event status --risk risk --horizon 36 --time-unit months --cutpoint 0.1 "
        "--last-negative last_scan --combine stage --out surveillance"
    )
    @verb
    def surveillance(
        predictions: _Table,
        policies: _Policies,
        time: options.Time,
        event: options.Event,
        risk: _Risk,
        horizon: _Horizon,
        time_unit: _Unit,
        out: OutDir,
        outcomes: options.Outcomes = None,
        id_column: IdColumn = "PATIENT",
        last_negative: options.LastNegative = None,
        cause: options.Cause = 1,
        cohort: _Cohort = None,
        combine: _Combine = None,
        cutpoint: _Cutpoint = None,
        sensitivity: _Sensitivity = 1.0,
        bootstrap: options.Bootstrap = 500,
        seed: options.Seed = 0,
        accept: options.Accept = None,
        decimal: Decimal = ".",
        delimiter: Delimiter = None,
        as_json: AsJson = False,
    ) -> None:
        """Compare surveillance policies: scans, metastases found, delay; the combined risk."""
        from metastra.evaluation.request import Request
        from metastra.pipeline.surveillance import survey, write_surveyed

        request = Request(
            predictions=predictions,
            outcomes=outcomes,
            id=id_column,
            time=time,
            event=event,
            last_negative=last_negative,
            cohort=cohort,
            risks=(risk,),
            subgroups=tuple(combine or ()),
            cause=cause,
            horizons=(horizon,),
            time_unit=time_unit,
            accept=frozenset(accept or ()),
            format=table_format(decimal, delimiter),
        )
        surveyed = survey(
            request,
            policies,
            cutpoints=tuple(cutpoint or ()),
            sensitivity=sensitivity,
            bootstrap=bootstrap,
            seed=seed,
        )
        _tell(surveyed, out, write_surveyed(surveyed, out), as_json=as_json)


def _tell(surveyed: Surveyed, out: Path, files: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "out": str(out),
                "files": sorted(files),
                "problems": [item.to_json() for item in surveyed.problems],
                "surveillance": surveyed.document,
                "research_use": RESEARCH_USE,
            }
        )
        return
    print_problems(surveyed.problems)
    for line in _summary(surveyed.document):
        result(line)
    result(f"written to {out}: surveillance.json, report.html, figures/")
    say(RESEARCH_USE)


def _summary(document: dict[str, Any]) -> list[str]:
    unit = document["time_unit"]
    lines = [f"{document['n']} patients, {document['events']} events; per 1,000 patients:"]
    for row in document["policies"]:
        delay = row["mean_delay"]["estimate"]
        words = "nothing found" if delay is None else f"mean delay {delay:.2f} {unit}"
        scans, found = row["scans"]["estimate"], row["found"]["estimate"]
        lines.append(f"  {row['policy']}: {scans:.0f} scans, {found:.0f} metastases found, {words}")
    return lines + [f"  {text}" for text in document["warnings"]]
