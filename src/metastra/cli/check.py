"""``metastra check``: everything that can be wrong, all at once, with rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metastra.cli.console import (
    RESEARCH_USE,
    print_json,
    print_problems,
    result,
    say,
)
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

    @app.command(epilog="Example: metastra check examples/orion-crc")
    @verb
    def check(
        study: StudyFile,
        key: KeyFile = None,
        table: Annotated[
            Path | None,
            typer.Option(
                "--table",
                help="Also write the problems as CSV with study ids, one row per patient and row.",
                show_default=False,
            ),
        ] = None,
        page: Annotated[
            Path | None,
            typer.Option("--page", help="Also write the cohort page (HTML).", show_default=False),
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Find everything that is wrong with a study's tables, with file and row."""
        from metastra.pipeline.opening import open_study
        from metastra.pipeline.page import write_page
        from metastra.pipeline.problems_table import write_problems_table

        opened = open_study(study, key)
        report = opened.check()
        if table is not None:
            write_problems_table(report, table)
        if page is not None:
            write_page(report, page)
        if as_json:
            print_json(
                {
                    "study": report.study.study.name,
                    "study_digest": report.study.digest,
                    "refused": report.refused,
                    "problems": [item.to_json() for item in report.problems],
                    "flow": report.flow_json(),
                    "research_use": RESEARCH_USE,
                }
            )
        else:
            print_problems(report.problems)
            result(report.summary())
            say(RESEARCH_USE)
        if report.refused:
            raise typer.Exit(int(Exit.DATA))
