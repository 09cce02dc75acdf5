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
            int, typer.Option("--patients", min=60, max=100_000, help="In all cohorts together.")
        ] = 600,
        seed: Annotated[int, typer.Option("--seed", min=0, help="Of the synthetic truth.")] = 1,
        as_json: AsJson = False,
    ) -> None:
        """Make a synthetic study, check it, run it and say where the report is."""
        from metastra.pipeline.demo import run_demo

        done = run_demo(folder, patients=patients, seed=seed)
        if as_json:
            print_json(done.to_json())
            return
        for line in done.lines():
            result(line)
        say(RESEARCH_USE)
