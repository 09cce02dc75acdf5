"""``metastra verify``: recompute everything that a bundle promises about itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metastra.cli.console import RESEARCH_USE, print_json, print_problems, result, say
from metastra.cli.exits import Exit, verb
from metastra.cli.options import AsJson, ProgramDir

if TYPE_CHECKING:
    from metastra.bundle.verifying import Verdict

__all__ = ["register"]

_Bundle = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="A bundle, a run, or the folder of its study.")
]
_Trust = Annotated[
    list[Path] | None,
    typer.Option(
        "--trust",
        metavar="KEY",
        help="A public key (.pub) whose signature is believed; repeat.",
        show_default=False,
    ),
]
_Unsigned = Annotated[
    bool, typer.Option("--allow-unsigned", help="Let a draft pass, with a warning.")
]
_AtLeast = Annotated[
    int | None,
    typer.Option(metavar="N", help="Lowest version that is accepted.", show_default=False),
]
_History = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Remembers what was accepted; an older version is then refused.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(epilog="Example: metastra verify my-study/run/bundle --trust sponsor.pem.pub")
    @verb
    def verify(
        bundle: _Bundle,
        trust: _Trust = None,
        allow_unsigned: _Unsigned = False,
        at_least: _AtLeast = None,
        history: _History = None,
        program_dir: ProgramDir = None,
        as_json: AsJson = False,
    ) -> None:
        """Verify a bundle: every digest, the signature, the numeric self-test; exit 5 if not."""
        from metastra.bundle.history import SeenVersions
        from metastra.bundle.verifying import verify_bundle
        from metastra.pipeline.predict import bundle_folder
        from metastra.signing import load_trusted

        seen = None if history is None else SeenVersions(path=history)
        verdict = verify_bundle(
            bundle_folder(bundle),
            trusted=load_trusted(trust) if trust else None,
            allow_unsigned=allow_unsigned,
            at_least=at_least,
            seen=seen,
            program_dir=program_dir,
        )
        if seen is not None and verdict.sound:
            seen.accept(verdict.require())
        if as_json:
            print_json({**verdict.to_json(), "research_use": RESEARCH_USE})
        else:
            _tell(verdict)
        if not verdict.sound:
            raise typer.Exit(int(Exit.INTEGRITY))


def _tell(verdict: Verdict) -> None:
    print_problems(verdict.problems)
    known = verdict.bundle
    if verdict.digest is not None:
        result(f"bundle     {verdict.digest}")
    if known is not None:
        result(f"model      {known.name}, version {known.version}, kind {known.kind}")
        result(f"files      {len(verdict.files)} digests as in the manifest")
    result(f"signer     {verdict.signer}")
    why = f": {verdict.self_test_why}" if verdict.self_test_why else ""
    result(f"self-test  {verdict.self_test}{why}")
    if verdict.container is not None:
        result(f"container digest: {verdict.container}")
    result("holds" if verdict.sound else "does not hold")
    say(RESEARCH_USE)
