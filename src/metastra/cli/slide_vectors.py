"""``metastra slide-vectors``: one row of numbers a slide, from its feature file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from metastra.cli.console import RESEARCH_USE, print_json, result, say
from metastra.cli.exits import Exit, verb
from metastra.cli.options import AsJson

__all__ = ["register"]


class _Pool(StrEnum):
    MEAN = "mean"
    PROTOTYPES = "prototypes"
    NETWORK = "network"


_Features = Annotated[
    list[Path],
    typer.Argument(
        metavar="STUDY|FEATURES...",
        help="Feature files, folders of them, or one study whose features are made.",
    ),
]
_Out = Annotated[Path, typer.Option(metavar="FILE", help="The table: .csv or .h5.")]
_PoolBy = Annotated[
    _Pool,
    typer.Option(help="Mean of the tiles, shares and residuals about prototypes, or network."),
]
_Prototypes = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the prototypes.", show_default=False),
]
_Learn = Annotated[
    int | None,
    typer.Option(
        min=2,
        metavar="K",
        help="Learn K prototypes first; of a study from development alone.",
        show_default=False,
    ),
]
_Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The network as ONNX or TorchScript, its card beside it.",
        show_default=False,
    ),
]
_Seed = Annotated[int, typer.Option(min=0, help="Of what is learned.")]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command("slide-vectors", epilog="Example: metastra slide-vectors features --out means.csv")
    @verb
    def slide_vectors(
        features: _Features,
        out: _Out,
        pool: _PoolBy = _Pool.MEAN,
        prototypes: _Prototypes = None,
        learn: _Learn = None,
        seed: _Seed = 0,
        weights: _Weights = None,
        as_json: AsJson = False,
    ) -> None:
        """Pool the tiles of each slide to one row, for tables and other software."""
        from metastra.pipeline.slide_vectors import VectorsRequest
        from metastra.pipeline.slide_vectors import slide_vectors as run
        from metastra.progress import automatic_progress, use_progress

        request = VectorsRequest(
            paths=tuple(features),
            out=out,
            pool=pool.value,
            prototypes=prototypes,
            learn=learn,
            seed=seed,
            weights=weights,
        )
        with use_progress(automatic_progress()):
            summary = run(request)
        if as_json:
            print_json(summary.to_json())
        else:
            for line in summary.lines():
                result(line)
            say(RESEARCH_USE)
        if summary.failed:
            raise typer.Exit(int(Exit.SOME_FAILED))
