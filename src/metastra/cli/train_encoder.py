"""``metastra train-encoder``: a compact tile encoder from a cohort's own tiles, without labels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from metastra.cli.console import RESEARCH_USE, print_json, result, say
from metastra.cli.exits import Exit, verb
from metastra.cli.options import AsJson, KeyFile

__all__ = ["register"]

_Sources = Annotated[
    list[Path],
    typer.Argument(
        metavar="STUDY|SLIDE...",
        help="One study, of which only development is seen; or slides; or, with --tiles, tiles. "
        "A folder stands for the files in it.",
    ),
]
_Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the weights.")]
_Minutes = Annotated[
    float | None,
    typer.Option(metavar="M", help="Train about so long here; 60 where nothing is said."),
]
_Epochs = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Instead: see every tile so often.")
]
_Steps = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Instead: make so many steps.")
]
_Seed = Annotated[int, typer.Option(min=0, help="Of the first weights, the tiles and their views.")]
_Name = Annotated[
    str, typer.Option(metavar="NAME", help="Of the encoder; the folder's name by default.")
]
_TargetMpp = Annotated[
    float | None,
    typer.Option(metavar="MPP", help="µm per pixel of the tiles; the study's own, else 0.5."),
]
_TilePx = Annotated[
    int | None,
    typer.Option(metavar="N", help="Side of a tile in pixels; the study's own, else 224."),
]
_SlideMpp = Annotated[
    float | None,
    typer.Option(metavar="MPP", help="µm per pixel of these files, where they do not say."),
]
_Tiles = Annotated[
    bool,
    typer.Option("--tiles", help="The files are tiles: taken whole, without quality control."),
]
_Most = Annotated[
    int, typer.Option("--most-tiles", min=32, metavar="N", help="Tiles to train on, at most.")
]
_Fold = Annotated[
    str | None,
    typer.Option(metavar="FOLD", help="Of a study: see only the training part of this fold."),
]
_Workers = Annotated[int | None, typer.Option(min=1, metavar="N", help="Cores; all by default.")]
_Wait = Annotated[
    float,
    typer.Option(min=0, metavar="SECONDS", help="Wait so long for another run in the folder."),
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(
        "train-encoder", epilog="Example: metastra train-encoder my-study --out own --minutes 600"
    )
    @verb
    def train_encoder(
        sources: _Sources,
        out: _Out,
        minutes: _Minutes = None,
        epochs: _Epochs = None,
        steps: _Steps = None,
        seed: _Seed = 0,
        name: _Name = "",
        target_mpp: _TargetMpp = None,
        tile_px: _TilePx = None,
        slide_mpp: _SlideMpp = None,
        tiles: _Tiles = False,
        most_tiles: _Most = 20_000,
        fold: _Fold = None,
        key: KeyFile = None,
        workers: _Workers = None,
        wait: _Wait = 0.0,
        as_json: AsJson = False,
    ) -> None:
        """Train a compact tile encoder on a cohort's own tiles; no label is read.

        The same command goes on after a crash or Ctrl-C.
        """
        from metastra.pipeline.train_encoder import TrainEncoderRequest
        from metastra.pipeline.train_encoder import train_encoder as run
        from metastra.progress import automatic_progress, use_progress
        from metastra.training.encoder_task import EncoderTask

        if minutes is None and epochs is None and steps is None:
            minutes = 60.0
        request = TrainEncoderRequest(
            paths=tuple(sources),
            out=out,
            task=EncoderTask(
                minutes=minutes,
                epochs=epochs,
                steps=steps,
                seed=seed,
                workers=workers or len(os.sched_getaffinity(0)),
            ),
            name=name,
            target_mpp=target_mpp,
            tile_px=tile_px,
            mpp=slide_mpp,
            pictures=tiles,
            most_tiles=most_tiles,
            key=key,
            fold=fold,
            wait_s=wait,
        )
        with use_progress(automatic_progress()):
            summary = run(request, tell=say)
        if as_json:
            print_json(summary.to_json())
        else:
            for line in summary.lines():
                result(line)
            say(RESEARCH_USE)
        if summary.collected.failed:
            raise typer.Exit(int(Exit.SOME_FAILED))
