"""``metastra repeatability``: the same patients, scanned, cut or compressed again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metastra.cli.console import RESEARCH_USE, print_json, print_problems, result, say
from metastra.cli.exits import verb
from metastra.cli.options import AsJson, Decimal, Delimiter, IdColumn, OutDir, table_format

if TYPE_CHECKING:
    from metastra.pipeline.repeatability import Compared

__all__ = ["register"]

_Table = Annotated[
    Path,
    typer.Argument(metavar="PREDICTIONS", help="One row per patient and condition."),
]
_Condition = Annotated[
    str, typer.Option(metavar="COL", help="Names the scan, block, stain or compression.")
]
_Reference = Annotated[str, typer.Option(help="The condition to compare with.")]
_Risk = Annotated[str | None, typer.Option(metavar="COL", help="Risk by a horizon.")]
_Score = Annotated[
    str | None, typer.Option(metavar="COL", help="Unbounded score; higher is worse.")
]
_Cutpoint = Annotated[
    list[float] | None,
    typer.Option("--cutpoint", metavar="X", help="Of the risk groups; repeat."),
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(
        epilog="Example: metastra repeatability repeats.csv --condition scan --reference first "
        "--risk risk --cutpoint 0.1 --out repeated"
    )
    @verb
    def repeatability(
        predictions: _Table,
        condition: _Condition,
        reference: _Reference,
        out: OutDir,
        id_column: IdColumn = "PATIENT",
        risk: _Risk = None,
        risk_score: _Score = None,
        cutpoint: _Cutpoint = None,
        decimal: Decimal = ".",
        delimiter: Delimiter = None,
        as_json: AsJson = False,
    ) -> None:
        """Compare repeated predictions: ICC, limits of agreement, patients who switch groups."""
        from metastra.evaluation.repeated_reading import RepeatedRequest
        from metastra.pipeline.repeatability import compare_repeated, write_compared

        request = RepeatedRequest(
            predictions=predictions,
            condition=condition,
            reference=reference,
            id=id_column,
            risk=risk,
            risk_score=risk_score,
            cutpoints=tuple(cutpoint or ()),
            format=table_format(decimal, delimiter),
        )
        compared = compare_repeated(request)
        _tell(compared, out, write_compared(compared, out), as_json=as_json)


def _tell(compared: Compared, out: Path, files: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "out": str(out),
                "files": sorted(files),
                "problems": [item.to_json() for item in compared.problems],
                "repeatability": compared.document,
                "research_use": RESEARCH_USE,
            }
        )
        return
    print_problems(compared.problems)
    for row in compared.document["conditions"]:
        result(f"{row['condition']}: {row['n']} pairs, {row['lost']} lost")
        for name, number in (("ICC", row["icc"]), ("switch rate", row["switch_rate"])):
            if number["estimate"] is None:
                result(f"  {name:<12} not estimable: {number['reason']}")
            else:
                limits = f"{number['lower']:.3f} to {number['upper']:.3f}"
                result(f"  {name:<12} {number['estimate']:.3f} ({limits})")
    result(f"written to {out}: repeatability.json, report.html, figures/")
    say(RESEARCH_USE)
