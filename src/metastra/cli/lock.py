"""``metastra lock``: state, seal and sign a model, once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metastra.cli.console import RESEARCH_USE, print_json, print_problems, result, say
from metastra.cli.exits import verb
from metastra.cli.options import AsJson
from metastra.errors import ConfigError

if TYPE_CHECKING:
    from metastra.pipeline.lock import LockSummary, Prepared

__all__ = ["register"]

_Run = Annotated[
    Path | None,
    typer.Argument(
        metavar="RUN", help="A run, the folder of its study, or a draft.", show_default=False
    ),
]
_Key = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="KEY",
        help="The signer's private key (PEM, mode 0600).",
        show_default=False,
    ),
]
_Plan = Annotated[
    list[Path] | None,
    typer.Option(
        "--plan",
        metavar="FILE",
        help="TOML or JSON with [intended_use], [plan] and [change_plan]; repeat.",
        show_default=False,
    ),
]
_Replaces = Annotated[
    Path | None,
    typer.Option(metavar="BUNDLE", help="The version that this one follows.", show_default=False),
]
_Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="A new folder; by default the run's own.", show_default=False),
]
_External = Annotated[
    Path | None,
    typer.Option(
        "--external",
        metavar="FILE",
        help="TOML that describes a model that is not ours; needs --out.",
        show_default=False,
    ),
]
_NewKey = Annotated[
    Path | None,
    typer.Option(
        "--new-key", metavar="FILE", help="Make a key pair and do nothing else.", show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(epilog="Example: metastra lock my-study --key sponsor.pem --plan plan.toml")
    @verb
    def lock(
        run: _Run = None,
        key: _Key = None,
        plan: _Plan = None,
        replaces: _Replaces = None,
        external: _External = None,
        out: _Out = None,
        new_key: _NewKey = None,
        as_json: AsJson = False,
    ) -> None:
        """Lock a model: fill in its statements, show what can be shown, seal and sign it."""
        if new_key is not None:
            _make_key(new_key, alone=run is None and key is None, as_json=as_json)
            return
        if key is None:
            raise ConfigError(
                "--key KEY is missing: the private key that signs; `metastra lock --new-key FILE` "
                "makes one"
            )
        if (run is None) == (external is None):
            raise ConfigError("name what is locked: a RUN, or --external FILE")
        _lock(run, key, (plan or [], replaces, external, out), as_json=as_json)


def _make_key(path: Path, *, alone: bool, as_json: bool) -> None:
    from metastra.signing import generate_key, public_path

    if not alone:
        raise ConfigError("--new-key makes a key and does nothing else; lock with a second command")
    public = generate_key(path)
    if as_json:
        print_json(
            {
                "private_key": str(path),
                "public_key": str(public_path(path)),
                "key_id": public.key_id,
            }
        )
        return
    result(f"private key {path}: keep it to yourself, and a copy where it cannot be lost")
    result(f"public key  {public_path(path)}: give it to everybody who verifies")
    result(f"key id      {public.key_id}: say it by another way than the file's")


def _lock(
    run: Path | None,
    key: Path,
    chosen: tuple[list[Path], Path | None, Path | None, Path | None],
    *,
    as_json: bool,
) -> None:
    from metastra.pipeline.lock import lock_external, lock_prepared, prepare_lock
    from metastra.signing import load_private

    plans, replaces, external, out = chosen
    private = load_private(key)
    if external is not None:
        if out is None:
            raise ConfigError("--external needs --out DIR: the folder of the new bundle")
        with lock_external(external, plans=plans, replaces=replaces) as prepared:
            _show(prepared, as_json=as_json)
            summary = lock_prepared(prepared, private, out=out)
    elif run is not None:
        prepared = prepare_lock(run, plans=plans, replaces=replaces)
        _show(prepared, as_json=as_json)
        summary = lock_prepared(prepared, private, out=out)
    if as_json:
        print_json({**summary.to_json(), "research_use": RESEARCH_USE})
    else:
        _tell(summary)


def _show(prepared: Prepared, *, as_json: bool) -> None:
    """Show what the planned study can show, before anything is signed."""
    from metastra.cli.design import design_lines

    if as_json:
        return
    result("what the planned study can show")
    result(f"  ({prepared.design_why})")
    if prepared.design is not None:
        result("")
        result("\n".join(design_lines(prepared.design)))
    result("")


def _tell(summary: LockSummary) -> None:
    bundle = summary.bundle
    print_problems(summary.open_statements)
    result(f"locked  {summary.folder}")
    result(f"bundle  {bundle.digest}")
    result(f"model   {bundle.name}, version {bundle.version}, kind {bundle.kind}")
    result(f"signer  {bundle.key_id}")
    if summary.stale:
        result("the run's predictions still name the draft: `metastra run` renews them")
    say(RESEARCH_USE)
