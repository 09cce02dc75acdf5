"""``metastra predict``: risks for new patients by a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metastra.cli.console import RESEARCH_USE, print_json, print_problems, result, say
from metastra.cli.encoders import Weights
from metastra.cli.exits import Exit, verb
from metastra.cli.options import (
    AsJson,
    ProgramDir,
    Region,
    RegionFrom,
    RegionOrigin,
    Review,
    table_format,
)
from metastra.cli.slide_options import (
    Features,
    SlideDir,
    SlideTable,
    Workers,
    limited,
    slide_source,
)

__all__ = ["register"]

_Bundle = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="A bundle, a run, or the folder of its study.")
]
_Table = Annotated[
    Path,
    typer.Argument(metavar="TABLE", help="One row per patient with the contract's predictors."),
]
_Out = Annotated[Path, typer.Option(metavar="CSV", help="Table of predictions.")]
_Id = Annotated[str, typer.Option("--id", metavar="COL", help="Column of the patients' ids.")]
_Trust = Annotated[
    list[Path] | None,
    typer.Option(
        "--trust",
        metavar="KEY",
        help="Require a signature by one of these public keys; repeat.",
        show_default=False,
    ),
]
_Decimal = Annotated[str, typer.Option(help="Decimal mark of the table: . or ,")]
_Delimiter = Annotated[
    str | None, typer.Option(help="Field separator; by default from the extension.")
]


_EPILOG = (
    "Example: metastra predict my-study/run/bundle new.csv --slide-table slides.csv "
    "--slide-dir slides --out risks.csv"
)


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(epilog=_EPILOG)
    @verb
    def predict(
        bundle: _Bundle,
        table: _Table,
        out: _Out,
        slide_table: SlideTable = None,
        slide_dir: SlideDir = None,
        features: Features = None,
        region: Region = None,
        region_origin: RegionFrom = RegionOrigin.QUPATH,
        review: Review = None,
        workers: Workers = None,
        weights: Weights = None,
        id_column: _Id = "PATIENT",
        trust: _Trust = None,
        program_dir: ProgramDir = None,
        decimal: _Decimal = ".",
        delimiter: _Delimiter = None,
        as_json: AsJson = False,
    ) -> None:
        """Predict new patients; what lies outside the bundle's contract is refused."""
        from metastra.pipeline.predict import predict_table
        from metastra.progress import automatic_progress, use_progress
        from metastra.signing import load_trusted

        written = table_format(decimal, delimiter)
        slides = slide_source(
            slide_table,
            slide_dir,
            features,
            beside=out,
            workers=workers,
            written=written,
            weights=weights,
        )
        slides = limited(slides, region, region_origin, review)
        with use_progress(automatic_progress()):
            summary = predict_table(
                bundle,
                table,
                out,
                id_column=id_column,
                written=written,
                slides=slides,
                trusted=load_trusted(trust) if trust else None,
                program_dir=program_dir,
            )
        if as_json:
            print_json({**summary.to_json(), "out": str(out), "research_use": RESEARCH_USE})
        else:
            print_problems(summary.problems)
            known = summary.n - summary.n_not_assessable
            result(f"{summary.n} patients, {known} with a risk, written to {out}")
            if summary.slides is not None:
                told = ", ".join(f"{count} {state}" for state, count in summary.slides.items())
                result(f"slides: {told or 'none'}")
            result(f"bundle {summary.bundle.digest}")
            say(RESEARCH_USE)
        if summary.n_not_assessable or (summary.slides or {}).get("failed"):
            raise typer.Exit(int(Exit.SOME_FAILED))
