"""``metastra explain``: which tiles of a slide raised or lowered a bundle's risk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from metastra.cli.console import RESEARCH_USE, print_json, result, say
from metastra.cli.encoders import Weights
from metastra.cli.exits import Exit, verb
from metastra.cli.options import AsJson, OutDir

__all__ = ["register"]

_Bundle = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="A bundle, a run, or the folder of its study.")
]
_Slides = Annotated[
    list[Path],
    typer.Argument(
        metavar="SLIDE...", help="Slides or feature files; a folder stands for the files in it."
    ),
]
_SlideMpp = Annotated[
    float | None,
    typer.Option(metavar="MPP", help="µm per pixel of these slides, where the files do not say."),
]
_Together = Annotated[
    bool,
    typer.Option("--together", help="The slides are of one patient and make one score."),
]
_Workers = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Slides at a time; one a core by default.")
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(epilog="Example: metastra explain my-study/run/bundle a.svs --out explained")
    @verb
    def explain(
        bundle: _Bundle,
        slides: _Slides,
        out: OutDir,
        slide_mpp: _SlideMpp = None,
        together: _Together = False,
        workers: _Workers = None,
        weights: Weights = None,
        as_json: AsJson = False,
    ) -> None:
        """Map what each tile does to the risk by leaving it out, and test the map.

        Each slide gets a folder: risk_map.png, tiles with their features in words, map.geojson
        for QuPath, and explanation.json with the test by tile flipping.
        """
        from metastra.pipeline.explain import ExplainRequest
        from metastra.pipeline.explain import explain as run
        from metastra.progress import automatic_progress, use_progress

        request = ExplainRequest(
            bundle=bundle,
            slides=tuple(slides),
            out=out,
            slide_mpp=slide_mpp,
            together=together,
            workers=workers or len(os.sched_getaffinity(0)),
            weights=weights,
        )
        with use_progress(automatic_progress()):
            summary = run(request, tell=say)
        if as_json:
            print_json({**summary.to_json(), "out": str(out), "research_use": RESEARCH_USE})
        else:
            for line in summary.lines():
                result(line)
            say(RESEARCH_USE)
        if summary.failed:
            raise typer.Exit(int(Exit.SOME_FAILED))
