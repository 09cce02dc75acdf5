"""``metastra extract``: slides to verified feature files."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metastra.cli.cluster import RayAddress, cluster
from metastra.cli.console import RESEARCH_USE, print_json, result, say
from metastra.cli.exits import Exit, verb
from metastra.cli.options import (
    AsJson,
    Region,
    RegionFrom,
    RegionOrigin,
    RetryFailed,
    Review,
    ShardOf,
)

if TYPE_CHECKING:
    from metastra.pipeline.extract import ExtractRequest

__all__ = ["register"]

_Slides = Annotated[
    list[Path],
    typer.Argument(metavar="SLIDE...", help="Slides; a folder stands for the files in it."),
]
_Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the feature files.")]
_Encoder = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="What turns a tile into features, morphology by default; give it again for more "
        "encoders, which then see each tile once and have a folder each.",
        show_default=False,
    ),
]
_Weights = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DIR",
        help="Folder of the encoder's weights; by default the one of its name among your encoders. "
        "Of several encoders once for each that takes weights, in their order, or NAME=DIR.",
        show_default=False,
    ),
]
_Engine = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ENGINE",
        help="Engine and precision, for instance torch-bfloat16, or auto for the fastest here; by "
        "default the encoder's own. Of several encoders as --weights.",
        show_default=False,
    ),
]
_TargetMpp = Annotated[
    float | None,
    typer.Option(metavar="MPP", help="µm per pixel of the tiles; the encoder's own by default."),
]
_TilePx = Annotated[
    int | None, typer.Option(metavar="N", help="Side of a tile; the encoder's own by default.")
]
_SlideMpp = Annotated[
    float | None,
    typer.Option(metavar="MPP", help="µm per pixel of these slides, where the files do not say."),
]
_Workers = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Slides at a time; one a core by default.")
]
_MemoryGb = Annotated[
    float | None,
    typer.Option(
        min=0.5,
        metavar="GB",
        help="Address space that one slide may take; what the encoder needs by default.",
    ),
]
_Wait = Annotated[
    float,
    typer.Option(min=0, metavar="SECONDS", help="Wait so long for another run in the folder."),
]

_DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Say how long it will take and how much disk; change nothing."),
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(epilog="Example: metastra extract slides/*.svs --out features --workers 4")
    @verb
    def extract(
        slides: _Slides,
        out: _Out,
        encoder: _Encoder = None,
        weights: _Weights = None,
        engine: _Engine = None,
        target_mpp: _TargetMpp = None,
        tile_px: _TilePx = None,
        slide_mpp: _SlideMpp = None,
        region: Region = None,
        region_origin: RegionFrom = RegionOrigin.QUPATH,
        review: Review = None,
        workers: _Workers = None,
        memory_gb: _MemoryGb = None,
        wait: _Wait = 0.0,
        shard: ShardOf = None,
        ray: RayAddress = None,
        retry_failed: RetryFailed = False,
        dry_run: _DryRun = False,
        as_json: AsJson = False,
    ) -> None:
        """Turn slides into feature files that metastra, TRIDENT and Patho-Bench read.

        What is finished is left alone, so the same command goes on after a crash or Ctrl-C.
        """
        from metastra.errors import ConfigError
        from metastra.extraction.shard import Shard
        from metastra.pipeline.extract import ExtractRequest
        from metastra.pipeline.several_encoders import deal_choices

        first, *others = deal_choices(encoder or ["morphology"], weights or (), engine or ())
        request = ExtractRequest(
            slides=tuple(slides),
            out=out,
            encoder=first.name,
            weights=first.folder,
            engine=first.engine,
            also=tuple(others),
            target_mpp=target_mpp,
            tile_px=tile_px,
            slide_mpp=slide_mpp,
            region=region,
            region_origin=region_origin.value,
            review=review,
            workers=workers or len(os.sched_getaffinity(0)),
            memory_bytes=None if memory_gb is None else int(memory_gb * 1e9),
            wait_s=wait,
            shard=None if shard is None else Shard.parse(shard),
            retry_failed=retry_failed,
        )
        if ray is not None and (dry_run or request.shard is not None):
            raise ConfigError("--ray goes with neither --shard nor --dry-run")
        if dry_run:
            _foretell(request, as_json=as_json)
        else:
            _carry_out(request, ray, workers, as_json=as_json)


def _foretell(request: ExtractRequest, *, as_json: bool) -> None:
    """Say what an extraction will take."""
    from metastra.pipeline.estimate_run import estimate_extraction

    estimate = estimate_extraction(request, tell=say)
    if as_json:
        print_json(estimate.to_json())
    else:
        for line in estimate.lines():
            result(line)
        say(RESEARCH_USE)


def _carry_out(
    request: ExtractRequest, ray: str | None, workers: int | None, *, as_json: bool
) -> None:
    """Extract here or on a cluster, and say what became of the slides."""
    from metastra.pipeline.extract import extract
    from metastra.progress import automatic_progress, use_progress

    if ray is not None:
        # other machines start in other folders
        request = replace(
            request,
            slides=tuple(path.absolute() for path in request.slides),
            out=request.out.absolute(),
            region=None if request.region is None else request.region.absolute(),
        )
    with use_progress(automatic_progress()), cluster(ray, request.out, workers) as executor:
        summary = extract(request, executor=executor, tell=say)
    if as_json:
        print_json({**summary.to_json(), "pace": summary.pace()})
    else:
        for line in summary.lines():
            result(line)
        say(RESEARCH_USE)
    if summary.counts["failed"]:
        raise typer.Exit(int(Exit.SOME_FAILED))
