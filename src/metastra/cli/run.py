"""``metastra run``: all stages of a study, stale ones only."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Annotated

import typer

from metastra.cli.cluster import RayAddress, cluster
from metastra.cli.console import RESEARCH_USE, print_json, result, say
from metastra.cli.exits import Exit, verb
from metastra.cli.options import AsJson, KeyFile, RetryFailed, ShardOf, StudyFile

if TYPE_CHECKING:
    from metastra.pipeline.run_shard import ShardSummary
    from metastra.pipeline.run_summary import RunSummary

__all__ = ["register"]

_Only = Annotated[
    str | None,
    typer.Option("--only", help="One stage, for instance evaluation.", show_default=False),
]
_DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Say what would run, why, and what is refused; change nothing."),
]
_Redraw = Annotated[
    bool, typer.Option("--redraw", help="Draw the folds again, which a run never does.")
]
_Workers = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Slides at a time; one a core by default."),
]


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
        only: _Only = None,
        dry_run: _DryRun = False,
        redraw: _Redraw = False,
        workers: _Workers = None,
        shard: ShardOf = None,
        ray: RayAddress = None,
        retry_failed: RetryFailed = False,
        key: KeyFile = None,
        as_json: AsJson = False,
    ) -> None:
        """Run the stages of a study that are missing or stale, and leave the rest alone.

        With --shard only quality and features of a share of the slides, for clusters.
        """
        from metastra.errors import ConfigError
        from metastra.extraction.shard import Shard
        from metastra.pipeline.opening import open_study
        from metastra.pipeline.run import run_study
        from metastra.pipeline.run_shard import run_shard
        from metastra.progress import automatic_progress, use_progress

        share = None if shard is None else Shard.parse(shard)
        if share is not None and (only or dry_run or redraw):
            raise ConfigError("--shard goes with neither --only nor --dry-run nor --redraw")
        if ray is not None and (share is not None or dry_run):
            raise ConfigError("--ray goes with neither --shard nor --dry-run")
        many = workers or len(os.sched_getaffinity(0))
        summary: RunSummary | ShardSummary
        with contextlib.ExitStack() as inside:
            inside.enter_context(use_progress(automatic_progress()))
            # other machines start in other folders
            opened = open_study(study if ray is None else study.absolute(), key)
            executor = inside.enter_context(cluster(ray, opened.run_dir, workers))
            if share is None:
                summary = run_study(
                    opened,
                    only=only,
                    dry_run=dry_run,
                    redraw=redraw,
                    workers=many,
                    executor=executor,
                    retry_failed=retry_failed,
                    tell=say,
                )
            else:
                summary = run_shard(
                    opened, share, workers=many, retry_failed=retry_failed, tell=say
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
