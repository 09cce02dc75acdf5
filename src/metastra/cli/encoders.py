"""``metastra encoders``: what encoders there are and where their weights come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metastra.cli.console import RESEARCH_USE, print_json, result, say
from metastra.cli.exits import verb
from metastra.cli.options import AsJson

__all__ = ["Engine", "Weights", "register"]

Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="DIR",
        help="Folder of the encoder's weights; by default the one of its name among your encoders.",
        show_default=False,
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="ENGINE",
        help="Engine and precision, for instance torch-bfloat16; by default the encoder's own.",
        show_default=False,
    ),
]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the encoder.")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """
    group = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Encoders: which there are, what each is, and how its weights come here.",
    )
    app.add_typer(group, name="encoders")
    _looking(group)


def _looking(group: typer.Typer) -> None:
    @group.command("list", epilog="Example: metastra encoders list")
    @verb
    def list_(as_json: AsJson = False) -> None:
        """List the encoders that have a name here, the ready ones first."""
        from metastra.pipeline.encoders import list_encoders, list_lines

        rows = list_encoders()
        if as_json:
            print_json({"encoders": rows, "research_use": RESEARCH_USE})
            return
        for line in list_lines(rows):
            result(line)
        say(RESEARCH_USE)

    @group.command(epilog="Example: metastra encoders show uni_v1")
    @verb
    def show(
        name: _Name, weights: Weights = None, engine: Engine = "", as_json: AsJson = False
    ) -> None:
        """Show an encoder's card, or the steps that bring its weights here."""
        from metastra.pipeline.encoders import show_encoder, show_lines

        shown = show_encoder(name, weights=weights, engine=engine)
        if as_json:
            print_json({**shown, "research_use": RESEARCH_USE})
            return
        for line in show_lines(shown):
            result(line)
        say(RESEARCH_USE)
