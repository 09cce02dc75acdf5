"""``metastra convert``: feature files of the peers, both ways."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from metastra.cli.console import RESEARCH_USE, print_json, result, say
from metastra.cli.exits import Exit, verb
from metastra.cli.options import AsJson

__all__ = ["register"]

_Source = Annotated[
    Path,
    typer.Argument(metavar="SRC", help="A feature file, a SpatialData store, or a folder of them."),
]
_Target = Annotated[Path, typer.Argument(metavar="DST", help="A file, or a folder for a folder.")]
_To = Annotated[
    str, typer.Option("--to", metavar="LAYOUT", help="trident, stamp, clam or spatialdata.")
]
_SlideMpp = Annotated[
    float | None,
    typer.Option(metavar="MPP", help="µm per level-0 pixel of the slides, where not in the file."),
]
_TileUm = Annotated[
    float | None, typer.Option(metavar="SIDE", help="Side of a tile in µm, where not in the file.")
]
_TilePx0 = Annotated[
    float | None,
    typer.Option(metavar="SIDE", help="Side of a tile in level-0 px, where not in the file."),
]
_Encoder = Annotated[
    str, typer.Option(metavar="NAME", help="Name of the encoder, where not in the file.")
]
_Workers = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Files at a time; one a core by default.")
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(epilog="Example: metastra convert trident_job/features_uni_v2 stamp --to stamp")
    @verb
    def convert(
        source: _Source,
        target: _Target,
        to: _To,
        slide_mpp: _SlideMpp = None,
        tile_um: _TileUm = None,
        tile_px0: _TilePx0 = None,
        encoder: _Encoder = "",
        workers: _Workers = None,
        as_json: AsJson = False,
    ) -> None:
        """Convert feature files between TRIDENT, STAMP, CLAM and SpatialData.

        The layout of SRC is found out.  Nothing is assumed: what a file does not say and the
        target needs is asked for.
        """
        from metastra.features.hints import Hints
        from metastra.pipeline.convert import ConvertRequest
        from metastra.pipeline.convert import convert as run
        from metastra.progress import automatic_progress, use_progress

        request = ConvertRequest(
            source=source,
            target=target,
            layout=to,
            hints=Hints(
                mpp=None if slide_mpp is None else (slide_mpp, slide_mpp),
                tile_side_um=tile_um,
                tile_side_px0=tile_px0,
                encoder=encoder,
            ),
            workers=workers or len(os.sched_getaffinity(0)),
        )
        with use_progress(automatic_progress()):
            summary = run(request, tell=say)
        if as_json:
            print_json(summary.to_json())
        else:
            for line in summary.lines():
                result(line)
            say(RESEARCH_USE)
        if summary.n_failed:
            raise typer.Exit(int(Exit.SOME_FAILED))
