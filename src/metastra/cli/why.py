"""``metastra why``: what a product was made from, and why it is stale."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metastra.cli.console import print_json, result
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

    @app.command(epilog="Example: metastra why my-study/run/splits.json")
    @verb
    def why(
        product: Annotated[Path, typer.Argument(help="A file of a run folder.")],
        as_json: AsJson = False,
    ) -> None:
        """Say what a product was made from, whether it is whole and why it is stale."""
        from metastra.pipeline.why import explain_product

        explained = explain_product(product)
        if as_json:
            print_json(explained.to_json())
        else:
            result(explained.text())
        if explained.explanation.damage:
            raise typer.Exit(int(Exit.INTEGRITY))
