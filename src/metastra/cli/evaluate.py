"""``metastra evaluate``: the judge alone, on anybody's predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from metastra.cli.console import (
    RESEARCH_USE,
    print_json,
    print_problems,
    result,
    say,
)
from metastra.cli.exits import verb
from metastra.cli.options import AsJson
from metastra.units import TimeUnit

if TYPE_CHECKING:
    from metastra.cohort.tables import TableFormat
    from metastra.evaluation.request import Request

__all__ = ["register"]

_Table = Annotated[
    Path,
    typer.Argument(
        metavar="PREDICTIONS",
        help="One row per patient, or one per patient and horizon (with a column `horizon`).",
    ),
]
_Outcomes = Annotated[
    Path | None,
    typer.Option(help="Table of outcomes, joined by the ids; default: PREDICTIONS itself."),
]
_Time = Annotated[str, typer.Option(metavar="COL", help="Time to the event or the end.")]
_Event = Annotated[str, typer.Option(metavar="COL", help="0 censored, 1 event, 2.. competing.")]
_Unit = Annotated[TimeUnit, typer.Option(help="Of times and horizons.")]
_Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the results.")]
_Id = Annotated[str, typer.Option("--id", metavar="COL", help="Column of the patients' ids.")]
_Entry = Annotated[str | None, typer.Option(metavar="COL", help="Delayed entry.")]
_LastNegative = Annotated[
    str | None,
    typer.Option(metavar="COL", help="Time of the last examination without the event."),
]
_Cause = Annotated[int, typer.Option(help="Code of the event of interest.")]
_Cohort = Annotated[str | None, typer.Option(metavar="COL", help="Judge each cohort, too.")]
_Bootstrap = Annotated[int, typer.Option(help="Draws of patients; 0 for none.")]
_Seed = Annotated[int, typer.Option(help="Of the draws.")]
_Decimal = Annotated[str, typer.Option(help="Decimal mark of the tables.")]
_Delimiter = Annotated[
    str | None, typer.Option(help="Field separator; by default from the extension.")
]
_Horizon = Annotated[
    list[float],
    typer.Option("--horizon", metavar="T", help="One or several, ascending, in --time-unit."),
]
_Risk = Annotated[
    list[str] | None,
    typer.Option("--risk", metavar="COL", help="Risk by each --horizon, in the same order."),
]
_Baseline = Annotated[
    list[str] | None,
    typer.Option("--baseline-risk", metavar="COL", help="Risks to improve upon, as --risk."),
]
_Score = Annotated[
    str | None, typer.Option(metavar="COL", help="Unbounded score; higher is worse.")
]
_Subgroup = Annotated[
    list[str] | None, typer.Option("--subgroup", metavar="COL", help="One or several.")
]
_Cutpoint = Annotated[
    list[float] | None,
    typer.Option(
        "--cutpoint",
        metavar="X",
        help="Locked cutpoint of the risk by the last horizon; repeat. Default: exploratory.",
    ),
]
_Threshold = Annotated[
    list[float] | None,
    typer.Option(
        "--threshold", metavar="P", help="Of the net benefit; repeat. Default: 2% to 50%."
    ),
]
_Accept = Annotated[
    list[str] | None,
    typer.Option("--accept", metavar="CODE", help="A refusal you know to be right; repeat."),
]


_NUMBERS = frozenset({"--horizon", "--cutpoint", "--threshold"})
_WORDS = frozenset({"--risk", "--baseline-risk", "--subgroup", "--accept"})


class _ManyValues(TyperCommand):
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


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(
        cls=_ManyValues,
        epilog="Example: metastra evaluate predictions.csv --outcomes clini.csv --time months "
        "--event status --risk risk --horizon 12 24 --time-unit months --out judged",
    )
    @verb
    def evaluate(
        predictions: _Table,
        time: _Time,
        event: _Event,
        horizon: _Horizon,
        time_unit: _Unit,
        out: _Out,
        outcomes: _Outcomes = None,
        id_column: _Id = "PATIENT",
        entry: _Entry = None,
        last_negative: _LastNegative = None,
        risk: _Risk = None,
        risk_score: _Score = None,
        baseline_risk: _Baseline = None,
        cause: _Cause = 1,
        cohort: _Cohort = None,
        subgroup: _Subgroup = None,
        bootstrap: _Bootstrap = 1000,
        seed: _Seed = 0,
        cutpoint: _Cutpoint = None,
        threshold: _Threshold = None,
        accept: _Accept = None,
        decimal: _Decimal = ".",
        delimiter: _Delimiter = None,
        as_json: AsJson = False,
    ) -> None:
        """Judge predictions: discrimination, calibration, utility; numbers, figures and a page."""
        request = _request(
            predictions=predictions,
            outcomes=outcomes,
            id=id_column,
            time=time,
            event=event,
            entry=entry,
            last_negative=last_negative,
            risk_score=risk_score,
            cause=cause,
            cohort=cohort,
            time_unit=time_unit,
            lists=(risk, baseline_risk, subgroup, horizon, accept),
            written=(decimal, delimiter),
        )
        _judge(request, (bootstrap, seed), cutpoint, threshold, out, as_json=as_json)


def _request(
    *,
    lists: tuple[
        list[str] | None, list[str] | None, list[str] | None, list[float], list[str] | None
    ],
    written: tuple[str, str | None],
    **columns: Any,
) -> Request:
    from metastra.evaluation.request import Request

    risk, baseline, subgroup, horizon, accept = lists
    return Request(
        risks=tuple(risk or ()),
        baseline=tuple(baseline or ()),
        subgroups=tuple(subgroup or ()),
        horizons=tuple(horizon),
        accept=frozenset(accept or ()),
        format=_format(*written),
        **columns,
    )


def _judge(
    request: Request,
    drawn: tuple[int, int],
    cutpoint: list[float] | None,
    threshold: list[float] | None,
    out: Path,
    *,
    as_json: bool,
) -> None:
    from metastra.evaluation.patients import DEFAULT_THRESHOLDS, Settings
    from metastra.pipeline.evaluate import judge, write_judged

    settings = Settings(
        bootstrap=drawn[0],
        seed=drawn[1],
        cutpoints=tuple(cutpoint or ()),
        thresholds=tuple(threshold) if threshold else DEFAULT_THRESHOLDS,
    )
    judged = judge(request, settings)
    files = write_judged(judged, out)
    document = judged.evaluation.to_json()
    if as_json:
        print_json(
            {
                "out": str(out),
                "files": sorted(files),
                "problems": [item.to_json() for item in judged.problems],
                "evaluation": document,
                "research_use": RESEARCH_USE,
            }
        )
        return
    print_problems(judged.problems)
    for line in _summary(document):
        result(line)
    result(f"written to {out}: {', '.join(f for f in files if '/' not in f)}, figures/")
    say(RESEARCH_USE)


def _format(decimal: str, delimiter: str | None) -> TableFormat:
    from metastra.cohort.tables import TableFormat
    from metastra.errors import ConfigError

    if decimal == ".":
        return TableFormat(delimiter=delimiter)
    if decimal == ",":
        return TableFormat(delimiter=delimiter, decimal=",")
    raise ConfigError(f"--decimal {decimal!r} is neither a point nor a comma")


def _summary(document: Mapping[str, Any]) -> list[str]:
    """Give the numbers a person looks for first, with their intervals."""
    last = document["calibration"][-1]
    shown = {
        "Harrell's C": document["discrimination"]["harrell"],
        "Uno's C": document["discrimination"]["uno"],
        "AUC": document["discrimination"]["auc"][-1],
        "Brier score": document["overall"]["brier"][-1],
        "IPA": document["overall"]["ipa"][-1],
        "O/E": last["oe_ratio"],
        "calibration slope": last["slope"],
    }
    competing = f"{document['competing']} competing"
    horizon = f"{document['horizons'][-1]:g} {document['time_unit']}"
    lines = [
        f"{document['n']} patients, {document['events']} events, {competing}; at {horizon}:",
    ]
    for name, number in shown.items():
        if number["estimate"] is None:
            lines.append(f"  {name:<18} not estimable: {number['reason']}")
            continue
        limits = ""
        if number["lower"] is not None:
            limits = f" ({number['lower']:.3f} to {number['upper']:.3f})"
        lines.append(f"  {name:<18} {number['estimate']:.3f}{limits}")
    issues = [check for check in document["checks"] if check["status"] == "issue"]
    lines += [f"  {check['code']}  {check['why']}" for check in issues]
    return lines
