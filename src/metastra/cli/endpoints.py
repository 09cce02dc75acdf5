"""``metastra endpoints``: the dictionary of endpoints, in words."""

from __future__ import annotations

from typing import Annotated

import typer

from metastra.cli.console import print_json, result
from metastra.cli.exits import verb
from metastra.cli.options import AsJson
from metastra.errors import ConfigError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(epilog="Example: metastra endpoints metachronous-liver-metastasis")
    @verb
    def endpoints(
        name: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Show the endpoints that a study file may name, with their definitions."""
        from metastra.study.endpoints import ENDPOINTS, nearest_endpoint

        if name is not None and name not in ENDPOINTS:
            near = nearest_endpoint(name)
            hint = f"; did you mean {near}?" if near else ""
            raise ConfigError(f"{name!r} is not in the dictionary of endpoints{hint}")
        chosen = list(ENDPOINTS.values()) if name is None else [ENDPOINTS[name]]
        if as_json:
            print_json(
                {
                    "endpoints": [
                        {
                            "name": item.name,
                            "title": item.title,
                            "abbreviation": item.abbreviation or None,
                            "text": item.text,
                        }
                        for item in chosen
                    ]
                }
            )
            return
        for item in chosen:
            short = f" ({item.abbreviation})" if item.abbreviation else ""
            result(f"{item.name}\n    {item.title}{short}. {item.text}\n")
