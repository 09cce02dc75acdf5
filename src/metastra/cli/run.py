"""``metastra run``: all stages of a study, stale ones only."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from metastra.cli.console import RESEARCH_USE, print_json, result, say
from metastra.cli.exits import Exit, verb
from metastra.cli.options import AsJson, KeyFile, StudyFile

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(epilog="Example: metastra run my-study --dry-run")
    @verb
    def run(
        study: StudyFile,
        only: Annotated[
            str | None,
            typer.Option("--only", help="One stage, for instance evaluation.", show_default=False),
        ] = None,
        dry_run: Annotated[
            bool,
            typer.Option(
                "--dry-run", help="Say what would run, why, and what is refused; change nothing."
            ),
        ] = False,
        redraw: Annotated[
            bool, typer.Option("--redraw", help="Draw the folds again, which a run never does.")
        ] = False,
        workers: Annotated[
            int | None,
            typer.Option(min=1, metavar="N", help="Slides at a time; one a core by default."),
        ] = None,
        key: KeyFile = None,
        as_json: AsJson = False,
    ) -> None:
        """Run the stages of a study that are missing or stale, and leave the rest alone."""
        from metastra.pipeline.opening import open_study
        from metastra.pipeline.run import run_study
        from metastra.progress import automatic_progress, use_progress

        with use_progress(automatic_progress()):
            summary = run_study(
                open_study(study, key),
                only=only,
                dry_run=dry_run,
                redraw=redraw,
                workers=workers or len(os.sched_getaffinity(0)),
                tell=say,
            )
        if as_json:
            print_json(summary.to_json())
        else:
            for line in summary.lines():
                result(line)
            say(RESEARCH_USE)
        if summary.refused:
            raise typer.Exit(int(Exit.INTEGRITY))
        if summary.n_failed:
            raise typer.Exit(int(Exit.SOME_FAILED))
