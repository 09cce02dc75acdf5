"""``metastra encoders``: what encoders there are and where their weights come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
        help="Engine and precision, for instance torch-bfloat16, or auto for the fastest here; by "
        "default the encoder's own.",
        show_default=False,
    ),
]
_Again = Annotated[bool, typer.Option("--again", help="Measure also where it was done before.")]
_Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Folder of the weights; by default the one of the encoder's name among your encoders.",
        show_default=False,
    ),
]
_Revision = Annotated[
    str, typer.Option("--revision", metavar="COMMIT", help="Commit of the repository, 40 digits.")
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
    _measuring(group)
    _bringing(group)


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


def _measuring(group: typer.Typer) -> None:
    @group.command(epilog="Example: metastra encoders measure uni_v1 --weights weights/uni_v1")
    @verb
    def measure(
        name: _Name, weights: Weights = None, again: _Again = False, as_json: AsJson = False
    ) -> None:
        """Let each engine encode for a second and propose the fastest that agrees with float32.

        The answer is kept for these weights, this processor and these packages.
        """
        from metastra.pipeline.encoders import measure_encoder, measure_lines

        found = measure_encoder(name, weights=weights, again=again)
        if as_json:
            print_json({**found, "research_use": RESEARCH_USE})
            return
        for line in measure_lines(found):
            result(line)
        say(RESEARCH_USE)


def _bringing(group: typer.Typer) -> None:
    @group.command(epilog="Example: metastra encoders fetch resnet50 --revision COMMIT")
    @verb
    def fetch(name: _Name, revision: _Revision, out: _Out = None, as_json: AsJson = False) -> None:
        """Download an encoder's weights from the hub at one commit; the only verb that downloads.

        A pickled file is converted as by `metastra encoders convert`.
        """
        from metastra.pipeline.encoders_weights import fetch_weights

        _told(fetch_weights(name, revision, out), as_json)

    @group.command(
        epilog="Example: metastra encoders convert pytorch_model.bin --name uni_v1 --out uni"
    )
    @verb
    def convert(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="A .bin, .pth, .pt or .ckpt.")],
        name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of the encoder.")],
        out: _Out = None,
        revision: _Revision = "",
        as_json: AsJson = False,
    ) -> None:
        """Bring a pickled weight file into safetensors, once.

        It is read in a child process, weights only, so that no code in it runs; its tensors are
        written bit by bit, checked against the encoder's network, and their digest is kept.
        """
        from metastra.pipeline.encoders_weights import convert_weights

        _told(convert_weights(file, name=name, out=out, revision=revision), as_json)


def _told(done: dict[str, Any], as_json: bool) -> None:
    from metastra.pipeline.encoders_weights import weights_lines

    if as_json:
        print_json({**done, "research_use": RESEARCH_USE})
        return
    for line in weights_lines(done):
        result(line)
    say(RESEARCH_USE)
