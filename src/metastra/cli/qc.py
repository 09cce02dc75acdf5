"""``metastra qc``: how good slides are to look at, before anything is learned from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metastra.cli.console import RESEARCH_USE, print_json, result, say
from metastra.cli.exits import Exit, verb
from metastra.cli.options import AsJson, OutDir, Region, RegionFrom, RegionOrigin, Review

__all__ = ["register"]


_Slides = Annotated[
    list[Path],
    typer.Argument(metavar="SLIDE…", help="Slides; a folder stands for the files in it."),
]
_Mpp = Annotated[
    float | None,
    typer.Option(
        "--slide-mpp",
        metavar="MPP",
        help="Microns per pixel of these slides, where the files do not say it.",
        show_default=False,
    ),
]
_Workers = Annotated[int, typer.Option(min=1, help="Slides at a time, each in its own process.")]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(epilog="Example: metastra qc slides/a.svs slides/b.ndpi --out quality --workers 4")
    @verb
    def qc(
        slides: _Slides,
        out: OutDir,
        slide_mpp: _Mpp = None,
        region: Region = None,
        region_origin: RegionFrom = RegionOrigin.QUPATH,
        review: Review = None,
        workers: _Workers = 1,
        as_json: AsJson = False,
    ) -> None:
        """Measure tissue, blur, pen, folds, bubbles, fading and fill; a table and a sheet."""
        from metastra.pipeline.qc import QcRequest, run_qc
        from metastra.progress import automatic_progress, use_progress

        request = QcRequest(
            slides=tuple(slides),
            out=out,
            mpp=slide_mpp,
            region=region,
            region_origin=region_origin.value,
            review=review,
            workers=workers,
        )
        with use_progress(automatic_progress()):
            summary = run_qc(request, tell=say)
        if as_json:
            print_json({**summary.to_json(), "research_use": RESEARCH_USE})
        else:
            for line in summary.lines():
                result(line)
            say(RESEARCH_USE)
        if summary.failed:
            raise typer.Exit(int(Exit.SOME_FAILED))
