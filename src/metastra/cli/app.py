"""The list of verbs."""

from __future__ import annotations

from typing import Annotated

import typer

from metastra.cli import (
    check,
    convert,
    demo,
    design,
    doctor,
    encoders,
    endpoints,
    evaluate,
    explain,
    extract,
    init,
    lock,
    predict,
    prospective,
    qc,
    repeatability,
    run,
    slide_vectors,
    surveillance,
    train_encoder,
    verify,
    why,
    withdraw,
)
from metastra.version import VERSION

__all__ = ["app"]

app = typer.Typer(
    name="metastra",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From routine hospital data to a locked, validated, explained model of metastasis risk. "
    "Research use only: not for diagnosis or treatment.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"metastra {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


for _module in (
    init,
    check,
    run,
    lock,
    verify,
    predict,
    explain,
    why,
    withdraw,
    extract,
    train_encoder,
    slide_vectors,
    convert,
    qc,
    evaluate,
    prospective,
    repeatability,
    surveillance,
    design,
    endpoints,
    demo,
    doctor,
    encoders,
):
    _module.register(app)
