"""``metastra demo``: a synthetic study whose truth is known, run whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metastra.cli.console import RESEARCH_USE, print_json, result, say
from metastra.cli.exits import verb
from metastra.cli.options import AsJson

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(epilog="Example: metastra demo demo")
    @verb
    def demo(
        folder: Annotated[Path, typer.Argument(help="Where the study is made.")],
        patients: Annotated[
            int | None,
            typer.Option(
                "--patients",
                min=60,
                max=100_000,
                help="In all cohorts together; 440 with slides, 600 without.",
                show_default=False,
            ),
        ] = None,
        seed: Annotated[int, typer.Option("--seed", min=0, help="Of the synthetic truth.")] = 1,
        slides: Annotated[
            bool,
            typer.Option(
                "--slides/--no-slides",
                help="Paint an H&E slide for each patient, or make tables only (seconds).",
            ),
        ] = True,
        slide_mm2: Annotated[
            float,
            typer.Option("--slide-mm2", min=0.25, max=60.0, help="Area of a painted slide, mm²."),
        ] = 0.35,
        leak: Annotated[
            list[str] | None,
            typer.Option(
                "--leak",
                help="Plant a leak for the check to find, for instance metastasis-slides; may be "
                "given several times.",
                show_default=False,
            ),
        ] = None,
        workers: Annotated[
            int, typer.Option("--workers", min=1, help="How many slides are worked on at a time.")
        ] = 2,
        as_json: AsJson = False,
    ) -> None:
        """Make a synthetic study with painted slides, check it, run it, compare it with the truth.

        It can be stopped at any time; the same command goes on where it was.
        """
        from metastra.pipeline.demo import run_demo

        done = run_demo(
            folder,
            patients=patients,
            seed=seed,
            slide_mm2=slide_mm2 if slides else None,
            leaks=leak or (),
            workers=workers,
        )
        if as_json:
            print_json(done.to_json())
            return
        for line in done.lines():
            result(line)
        say(RESEARCH_USE)
