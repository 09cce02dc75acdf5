"""``metastra doctor``: what this machine can do and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metastra.cli.console import RESEARCH_USE, print_json, result
from metastra.cli.exits import Exit, verb
from metastra.cli.options import AsJson

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(epilog="Example: metastra doctor .")
    @verb
    def doctor(
        folder: Annotated[Path, typer.Argument(help="Where the study is or will be.")] = Path(),
        as_json: AsJson = False,
    ) -> None:
        """Show what this machine can do, what is missing and the command that installs it."""
        from metastra.pipeline.doctor import State, examine

        findings = examine(folder)
        broken = any(item.state is State.PROBLEM for item in findings)
        if as_json:
            print_json(
                {
                    "ok": not broken,
                    "findings": [
                        {
                            "name": item.name,
                            "state": item.state.value,
                            "found": item.found,
                            "remedy": item.remedy or None,
                        }
                        for item in findings
                    ],
                    "research_use": RESEARCH_USE,
                }
            )
        else:
            width = max(len(item.name) for item in findings)
            for item in findings:
                result(f"{item.state.value:>8}  {item.name:<{width}}  {item.found}")
                if item.remedy:
                    result(f"{'':>8}  {'':<{width}}  → {item.remedy}")
        if broken:
            raise typer.Exit(int(Exit.CONFIG))
