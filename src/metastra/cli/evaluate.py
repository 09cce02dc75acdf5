"""``metastra evaluate``: the judge alone, on anybody's predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from metastra.cli import evaluate_options as options
from metastra.cli.console import (
    RESEARCH_USE,
    print_json,
    print_problems,
    result,
    say,
)
from metastra.cli.exits import verb
from metastra.cli.options import AsJson, Decimal, Delimiter, IdColumn, OutDir, table_format

if TYPE_CHECKING:
    from metastra.evaluation.patients import Settings
    from metastra.evaluation.request import Request

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(
        cls=options.ManyValues,
        epilog="Example: metastra evaluate predictions.csv --outcomes clini.csv --time months "
        "--event status --risk risk --horizon 12 24 --time-unit months --out judged",
    )
    @verb
    def evaluate(
        predictions: options.Table,
        time: options.Time,
        event: options.Event,
        horizon: options.Horizon,
        time_unit: options.Unit,
        out: OutDir,
        outcomes: options.Outcomes = None,
        id_column: IdColumn = "PATIENT",
        entry: options.Entry = None,
        last_negative: options.LastNegative = None,
        risk: options.Risk = None,
        risk_score: options.Score = None,
        baseline_risk: options.Baseline = None,
        cause: options.Cause = 1,
        cohort: options.Cohort = None,
        subgroup: options.Subgroup = None,
        adjust: options.Adjust = None,
        describe: options.Describe = None,
        known_at: options.KnownAt = None,
        risk_group: options.RiskGroup = None,
        treatment: options.Treatment = None,
        randomised: options.Randomised = False,
        recalibrate: options.Recalibrate = False,
        landmark: options.Landmark = None,
        grace: options.Grace = None,
        low_risk_limit: options.LowRiskLimit = None,
        plan: options.PlanFile = None,
        cutpoint: options.Cutpoint = None,
        threshold: options.Threshold = None,
        bootstrap: options.Bootstrap = 1000,
        imputations: options.Imputations = None,
        seed: options.Seed = 0,
        pdf: options.Pdf = False,
        accept: options.Accept = None,
        decimal: Decimal = ".",
        delimiter: Delimiter = None,
        as_json: AsJson = False,
    ) -> None:
        """Judge predictions: discrimination, calibration, utility; numbers, figures and a page."""
        _run(locals())


def _run(given: dict[str, Any]) -> None:
    """Read the options as what is asked and how, judge, and show."""
    from metastra.pipeline.evaluate import judge, write_judged

    request, settings = _request(given), _settings(given)
    judged = judge(request, settings)
    out: Path = given["out"]
    files = write_judged(judged, out, pdf=given["pdf"])
    document = judged.evaluation.to_json()
    if given["as_json"]:
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


def _request(given: Mapping[str, Any]) -> Request:
    from metastra.evaluation.request import Request

    names = ("predictions", "outcomes", "time", "event", "entry", "last_negative", "risk_score")
    further = ("cause", "cohort", "time_unit", "risk_group", "treatment")
    columns = {name: given[name] for name in (*names, *further)}
    return Request(
        id=given["id_column"],
        risks=tuple(given["risk"] or ()),
        baseline=tuple(given["baseline_risk"] or ()),
        subgroups=tuple(given["subgroup"] or ()),
        adjust=tuple(given["adjust"] or ()),
        describe=tuple(given["describe"] or ()),
        known_at=tuple(given["known_at"] or ()),
        horizons=tuple(given["horizon"]),
        accept=frozenset(given["accept"] or ()),
        format=table_format(given["decimal"], given["delimiter"]),
        **columns,
    )


def _settings(given: Mapping[str, Any]) -> Settings:
    from metastra.evaluation.patients import DEFAULT_THRESHOLDS, Settings
    from metastra.evaluation.plan import read_plan

    names = ("bootstrap", "seed", "recalibrate", "grace", "low_risk_limit", "randomised")
    return Settings(
        cutpoints=tuple(given["cutpoint"] or ()),
        thresholds=tuple(given["threshold"] or ()) or DEFAULT_THRESHOLDS,
        landmarks=tuple(given["landmark"] or ()),
        imputations=given["imputations"],
        plan=None if given["plan"] is None else read_plan(given["plan"]),
        **{name: given[name] for name in names},
    )


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
    lines += _primary(document["plan"])
    issues = [check for check in document["checks"] if check["status"] == "issue"]
    lines += [f"  {check['code']}  {check['why']}" for check in issues]
    return lines


def _primary(plan: Mapping[str, Any]) -> list[str]:
    """Say first what the plan made the one number that decides."""
    if plan["digest"] is None:
        return []
    primary = plan["primary"]
    bound = "" if primary["bound"] is None else f", bound {primary['bound']:g} ({primary['side']})"
    return [f"  primary measure of the plan: {primary['label']}{bound}: {primary['verdict']}"]
