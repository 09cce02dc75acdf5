"""The verbs of a prospective study that do not record patients: anchors, lock, analysis, proof."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from metastra.cli.console import RESEARCH_USE, print_json, print_problems, result, say
from metastra.cli.exits import Exit, verb
from metastra.cli.options import AsJson
from metastra.cli.prospective_options import (
    Actor,
    At,
    CustodianKey,
    Roots,
    SignKey,
    StudyFolder,
)

__all__ = ["add_verbs"]

_Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the report.")]
_Look = Annotated[
    int | None,
    typer.Option(help="Take the planned interim look of this number.", show_default=False),
]
_Tsa = Annotated[
    str, typer.Option(metavar="URL", help="Ask this authority for a time stamp (RFC 3161).")
]
_Stamp = Annotated[
    Path | None,
    typer.Option(metavar="TSR", help="An authority's answer about --receipt.", show_default=False),
]
_Stamped = Annotated[
    Path | None,
    typer.Option("--receipt", help="The receipt that was stamped.", show_default=False),
]
_Receipts = Annotated[
    list[Path] | None,
    typer.Option("--receipt", help="A receipt that was kept outside; repeat."),
]
_Report = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Hold a report against the ledger.", show_default=False),
]
_Trust = Annotated[
    list[Path] | None,
    typer.Option("--trust", help="Public key (PEM) that may sign the report; repeat."),
]
_WIDTH = 88


def add_verbs(group: typer.Typer) -> None:
    """Add the verbs.

    Parameters
    ----------
    group : typer.Typer
        ``metastra prospective``.
    """
    group.command(epilog="Example: metastra prospective anchor STUDY --actor sponsor")(anchor)
    group.command(
        "lock-data", epilog="Example: metastra prospective lock-data STUDY --actor custodian"
    )(lock_data)
    group.command(
        epilog="Example: metastra prospective analyse STUDY --out report "
        "--custodian-key custodian.pem --sign-key sponsor.pem"
    )(analyse)
    group.command(epilog="Example: metastra prospective status STUDY")(status)
    group.command("verify", epilog="Example: metastra prospective verify STUDY --receipt r.json")(
        verify_study
    )


@verb
def anchor(
    study: StudyFolder,
    tsa: _Tsa = "",
    timestamp: _Stamp = None,
    receipt: _Stamped = None,
    tsa_root: Roots = None,
    actor: Actor = "",
    sign_key: SignKey = None,
    at: At = "",
    as_json: AsJson = False,
) -> None:
    """Give the head outside: a receipt for the sponsor, a time stamp where one is asked for."""
    from metastra.errors import ConfigError
    from metastra.pipeline.prospective import Writer
    from metastra.pipeline.prospective_anchoring import anchor_study, import_token

    writer = Writer(actor=actor, sign_key=sign_key, at=at)
    roots = tuple(tsa_root or ())
    if (timestamp is None) != (receipt is None):
        raise ConfigError("--timestamp and --receipt go together")
    if timestamp is not None and receipt is not None:
        entry = import_token(study, receipt, timestamp.read_bytes(), writer, roots=roots)
        made = receipt
    else:
        entry, made = anchor_study(study, writer, tsa=tsa, roots=roots)
    _tell_anchor(entry.name, made, as_json=as_json)


@verb
def lock_data(
    study: StudyFolder,
    actor: Actor = "",
    sign_key: SignKey = None,
    at: At = "",
    as_json: AsJson = False,
) -> None:
    """Close the data: later outcomes are late, and the predictions may be opened."""
    from metastra.pipeline.prospective import Writer
    from metastra.pipeline.prospective_anchoring import lock_study

    entry, receipt = lock_study(study, Writer(actor=actor, sign_key=sign_key, at=at))
    _tell_anchor(entry.name, receipt, as_json=as_json)


@verb
def analyse(
    study: StudyFolder,
    out: _Out,
    custodian_key: CustodianKey,
    look: _Look = None,
    actor: Actor = "",
    sign_key: SignKey = None,
    at: At = "",
    as_json: AsJson = False,
) -> None:
    """Open the predictions and analyse: once, when the plan says so; --look for a planned look."""
    from metastra.pipeline.prospective import Writer
    from metastra.pipeline.prospective_analysis import analyse_study, look_at_study

    writer = Writer(actor=actor, sign_key=sign_key, at=at)
    if look is None:
        done = analyse_study(study, out, custodian_key, writer)
    else:
        done = look_at_study(study, out, custodian_key, writer, look=look)
    if as_json:
        print_json(
            {
                "out": str(out),
                "files": sorted(done.files),
                "entry": done.entry.name,
                "receipt": str(done.receipt),
                "analysis": done.document,
                "research_use": RESEARCH_USE,
            }
        )
        return
    for line in _primary_lines(done.document):
        result(line)
    shown = [name for name in sorted(done.files) if "/" not in name]
    result(f"written to {out}: {', '.join(shown)}")
    result(f"recorded as {done.entry.name}; send to the sponsor: {done.receipt}")
    say(RESEARCH_USE)


@verb
def status(study: StudyFolder, at: At = "", as_json: AsJson = False) -> None:
    """Say where the study stands, without opening anything."""
    from metastra.pipeline.prospective_status import study_status

    found = study_status(study, at=at)
    if as_json:
        print_json({**found, "research_use": RESEARCH_USE})
        return
    simulated = " (SIMULATED)" if found["simulated"] else ""
    result(f"{found['name']}{simulated}: {found['enrolled']} of {found['planned_n']} enrolled")
    heads = ("screened", "enrolled", "predicted", "not assessable", "with outcome", "withdrawn")
    result(f"{'centre':<12}" + "".join(f"{head:>16}" for head in heads))
    for centre in found["centres"]:
        keys = [head.replace(" ", "_") for head in heads]
        result(f"{centre['name']:<12}" + "".join(f"{centre[key]:>16}" for key in keys))
    for line in found["due"]:
        result(f"due: {line}")


@verb
def verify_study(
    study: StudyFolder,
    receipt: _Receipts = None,
    tsa_root: Roots = None,
    report: _Report = None,
    trust: _Trust = None,
    at: At = "",
    as_json: AsJson = False,
) -> None:
    """Look at every entry, payload, signature and anchor; exit 5 when anything was changed."""
    from metastra.pipeline.prospective_status import verified
    from metastra.signing import load_trusted

    found = verified(
        study,
        receipts=tuple(receipt or ()),
        roots=tuple(tsa_root or ()),
        report=report,
        trusted=load_trusted(trust) if trust else None,
        at=at,
    )
    document = found.to_json()
    if as_json:
        print_json({**document, "research_use": RESEARCH_USE})
    else:
        print_problems(found.problems)
        for line in _verified_lines(document):
            result(line)
    if not found.holds:
        raise typer.Exit(int(Exit.INTEGRITY))


def _verified_lines(document: Mapping[str, Any]) -> list[str]:
    simulated = " SIMULATED study" if document["simulated"] else " study"
    holds = "holds" if document["holds"] else "DOES NOT HOLD"
    lines = [f"the ledger of the{simulated} {document['name'] or '(unreadable)'} {holds}"]
    for name, chain in document["chains"].items():
        anchored = chain["anchored"]
        reach = (
            f"anchored outside up to {name}:{anchored}" if anchored else "no anchor from outside"
        )
        lines.append(f"  {name:<12}{chain['entries']:>6} entries, {reach}")
    for item in document["anchors"]:
        where = "from outside" if item["outside"] else "the study's own copy"
        stamp = f", stamped {item['stamp']}" if item["stamp"] else ""
        sound = "" if item["holds"] else ", DOES NOT HOLD"
        lines.append(f"  {item['file']} of {item['time']} ({where}){stamp}{sound}")
    if document["report"]:
        compared = document["report"]["compared"]
        equal = f"which is {compared}" if compared else "not compared with any key"
        lines.append(f"  report signed by {document['report']['key']}, {equal}")
    lines.append("what this cannot show")
    for text in document["limits"]:
        lines += textwrap.wrap(text, _WIDTH, initial_indent="  - ", subsequent_indent="    ")
    return lines


def _primary_lines(document: Mapping[str, Any]) -> list[str]:
    primary = document["primary"]
    lines = ["SIMULATED study"] if document["simulated"] else []
    if primary["estimate"] is None:
        return [*lines, f"the primary quantity is not estimable: {primary['reason']}"]
    limits = ""
    interval = primary.get("interval")
    if interval is not None and interval["lower"] is not None:
        limits = f" ({interval['lower']:.3f} to {interval['upper']:.3f})"
    lines.append(
        f"AUC at {primary['horizon']:g}: {primary['estimate']:.3f}{limits}, {primary['events']} "
        f"events in {primary['n']} patients"
    )
    bound = "none left" if primary["z_bound"] is None else f"{primary['z_bound']:.2f}"
    shown = "shown" if primary["reached"] else "not shown"
    lines.append(
        f"above {primary['bound']:g}: {shown} (one-sided p {primary['p_value']:.4f}, "
        f"z {primary['z']:.2f}, bound {bound})"
    )
    for name, number in document.get("declared", {}).items():
        value = "not estimable" if number["estimate"] is None else f"{number['estimate']:.3f}"
        lines.append(f"  declared: {name:<10}{value}")
    return lines


def _tell_anchor(entry: str, receipt: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"entry": entry, "receipt": str(receipt), "research_use": RESEARCH_USE})
        return
    result(f"recorded as {entry}")
    result(f"send to the sponsor: {receipt}")
