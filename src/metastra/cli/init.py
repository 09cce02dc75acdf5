"""``metastra init``: a commented study file from what lies in a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from metastra.cli.console import print_json, result, say
from metastra.cli.exits import verb
from metastra.cli.options import AsJson
from metastra.errors import ConfigError

__all__ = ["register"]

_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(epilog="Example: metastra init my-study/")
    @verb
    def init(
        folder: Annotated[Path, typer.Argument(help="Where the tables are.")],
        force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """Write a commented study.toml from the tables found; guesses are marked as guesses."""
        from metastra.pipeline.init_study import draft_study
        from metastra.storage import write_bytes

        target = folder / "study.toml"
        if os.path.lexists(target) and not force:
            raise ConfigError(f"{target} is there already; --force replaces it")
        draft = draft_study(folder)
        write_bytes(target, draft.text.encode())
        if as_json:
            print_json(
                {
                    "study_file": target.name,
                    "tables": list(draft.tables),
                    "left_out": list(draft.left_out),
                    "slides": draft.n_slides,
                    "guesses": draft.guesses,
                    "endpoint": draft.endpoint or None,
                }
            )
            return
        result(str(target))
        say(f"{len(draft.tables)} tables, {draft.n_slides} slides, {draft.guesses} guesses marked")
        say(f"endpoint guessed: {draft.endpoint or 'none was recognised; declare one'}")
        for name in draft.left_out[:_SHOWN]:
            say(f"not used: {name}")
        if len(draft.left_out) > _SHOWN:
            say(f"not used: {len(draft.left_out) - _SHOWN} more files")
        say(f"look at the guesses, then: metastra check {target}")
