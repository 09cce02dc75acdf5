"""``metastra prospective``: a locked model on patients to come, with nothing to bend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metastra.cli import prospective_end
from metastra.cli.console import RESEARCH_USE, print_json, print_problems, result, say
from metastra.cli.exits import verb
from metastra.cli.options import AsJson
from metastra.cli.prospective_options import (
    Actor,
    At,
    Centre,
    PatientKey,
    SignKey,
    StudyFolder,
    TableFile,
)
from metastra.cli.slide_options import Features, SlideDir, SlideTable, slide_source

if TYPE_CHECKING:
    from metastra.ledger.table_rows import Recorded
    from metastra.pipeline.prospective import Writer

__all__ = ["register"]

_Protocol = Annotated[Path, typer.Argument(metavar="PROTOCOL", help="protocol.toml.")]
_Bundle = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the locked bundle.", show_default=False),
]
_Private = Annotated[Path, typer.Argument(metavar="OUT", help="File of the private key.")]
_Signing = Annotated[bool, typer.Option("--signing", help="Ed25519 keys, for signatures.")]
_Trust = Annotated[
    list[Path] | None,
    typer.Option(
        "--trust",
        help="Public key of a signer whose foreign program may be started; repeat.",
    ),
]
_Entry = Annotated[str, typer.Option(metavar="CENTRE:NUMBER", help="The entry to supersede.")]
_Set = Annotated[
    list[str],
    typer.Option("--set", metavar="COLUMN=VALUE", help="New value; repeat. Empty for none."),
]
_Reason = Annotated[str, typer.Option(help="Why.")]
_Patient = Annotated[str, typer.Option(metavar="ID", help="The centre's id of the patient.")]

_group = typer.Typer(
    name="prospective",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Judge a locked model on patients to come: frozen plan, sealed predictions, one analysis.",
)


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """
    app.add_typer(_group)


@_group.command(epilog="Example: metastra prospective keys custodian.pem")
@verb
def keys(out: _Private, signing: _Signing = False, as_json: AsJson = False) -> None:
    """Make a pair of keys, OUT and OUT.pub: for the custodian, or with --signing for signatures."""
    from metastra.ledger.sealing import make_custodian_key
    from metastra.signing import generate_key

    public = out.with_name(out.name + ".pub")
    if signing:
        generate_key(out)
    else:
        make_custodian_key(out, public)
    if as_json:
        print_json({"private": str(out), "public": str(public), "research_use": RESEARCH_USE})
        return
    if signing:
        result(f"private key  {out}  (signs entries and reports)")
        result(f"public key   {public}  (name it in the protocol, give it to readers)")
        return
    result(f"private key  {out}  (keep it away from clinicians and outcome assessors)")
    result(f"public key   {public}  (name it in the protocol under [seal])")
    say("without the private key no prediction can be opened: keep a second copy")


@_group.command(
    epilog="Example: metastra prospective init STUDY protocol.toml --bundle bundle --actor sponsor"
)
@verb
def init(
    study: StudyFolder,
    protocol: _Protocol,
    bundle: _Bundle = None,
    actor: Actor = "",
    sign_key: SignKey = None,
    at: At = "",
    as_json: AsJson = False,
) -> None:
    """Freeze bundle, criteria, planned number and analysis before the first patient."""
    from metastra.cli.design import design_lines
    from metastra.pipeline.design import design_document
    from metastra.pipeline.prospective import begin_study

    begun = begin_study(study, protocol, bundle, _writer(actor, sign_key, at))
    if as_json:
        print_json(
            {
                "study": begun.entry.study,
                "name": begun.protocol.study.name,
                "simulated": begun.entry.simulated,
                "bundle": begun.protocol.bundle.digest,
                "protocol": begun.entry.digests["protocol"],
                "receipt": str(begun.receipt),
                "design": design_document(begun.design),
                "research_use": RESEARCH_USE,
            }
        )
        return
    result("\n".join(design_lines(begun.design)))
    result("")
    simulated = ", marked as SIMULATED" if begun.entry.simulated else ""
    result(f"frozen: {begun.protocol.study.name}{simulated}")
    result(f"bundle {begun.protocol.bundle.digest}")
    result(f"send to the sponsor: {begun.receipt}")


def _table_verb(name: str, example: str, purpose: str, what: str) -> None:
    """Add a verb that records a table of one centre as it is."""

    @_group.command(
        name,
        help=purpose,
        epilog=f"Example: metastra prospective {name} STUDY {example}",
    )
    @verb
    def record(
        study: StudyFolder,
        table: TableFile,
        centre: Centre,
        key: PatientKey = None,
        actor: Actor = "",
        sign_key: SignKey = None,
        at: At = "",
        as_json: AsJson = False,
    ) -> None:
        from metastra.ledger import recording
        from metastra.pipeline.prospective import centre_source, record_table

        ways = {
            "screen": recording.screen,
            "enrol": recording.enrol,
            "outcome": recording.record_outcomes,
        }
        source = centre_source(study, table, centre, key)
        done = record_table(study, source, ways[name], _writer(actor, sign_key, at))
        counts = {}
        if name == "screen":
            counts["eligible"] = sum(bool(entry.facts["eligible"]) for entry in done.entries)
        _tell(done, what, as_json=as_json, **counts)


_table_verb(
    "screen",
    "screened.csv --centre north --actor nurse",
    "Record who was looked at for the study: PATIENT, DATE, the columns of the criteria.",
    "screened",
)
_table_verb(
    "enrol",
    "enrolled.csv --centre north --actor nurse",
    "Enrol screened, eligible patients: PATIENT, DATE (the clock starts there).",
    "enrolled",
)


@_group.command(
    epilog="Example: metastra prospective predict STUDY risks.csv --centre north --actor reader"
)
@verb
def predict(
    study: StudyFolder,
    table: TableFile,
    centre: Centre,
    bundle: _Bundle = None,
    slide_table: SlideTable = None,
    slide_dir: SlideDir = None,
    features: Features = None,
    trust: _Trust = None,
    key: PatientKey = None,
    actor: Actor = "",
    sign_key: SignKey = None,
    at: At = "",
    as_json: AsJson = False,
) -> None:
    """Seal predictions: computed by --bundle, or a foreign system's PATIENT, risk, bundle."""
    from metastra.pipeline.prospective import centre_source, predict_patients

    source = centre_source(study, table, centre, key)
    writer = _writer(actor, sign_key, at)
    slides = slide_source(slide_table, slide_dir, features, beside=table)
    done = predict_patients(
        study, source, bundle, writer, trusted=tuple(trust or ()), slides=slides
    )
    assessable = sum(bool(entry.facts["assessable"]) for entry in done.entries)
    _tell(done, "predicted and sealed", as_json=as_json, assessable=assessable)


_table_verb(
    "outcome",
    "seen.csv --centre north --actor assessor",
    "Record outcomes: PATIENT, DATE, EVENT, LAST_NEGATIVE; none is refused for what it says.",
    "outcomes recorded",
)


@_group.command(
    epilog="Example: metastra prospective correct STUDY --entry north:17 --set EVENT=1 "
    '--set DATE=2027-03-04 --reason "date of the scan, not of the letter"'
)
@verb
def correct(
    study: StudyFolder,
    entry: _Entry,
    changes: _Set,
    reason: _Reason,
    actor: Actor = "",
    sign_key: SignKey = None,
    at: At = "",
    as_json: AsJson = False,
) -> None:
    """Supersede a screening, an enrolment or an outcome; the earlier entry stays."""
    from metastra.errors import ConfigError
    from metastra.ledger.changing import correct as record
    from metastra.ledger.opening import writing

    wrong = [text for text in changes if "=" not in text]
    if wrong:
        raise ConfigError(f"--set {wrong[0]!r} has no value; expected COLUMN=VALUE")
    values = dict(text.split("=", 1) for text in changes)
    with writing(study) as ledger:
        author = _writer(actor, sign_key, at).author(simulated=ledger.first.simulated)
        made = record(ledger, entry, values, reason, author)
    if as_json:
        print_json({"entry": made.name, "corrects": entry, "research_use": RESEARCH_USE})
        return
    result(f"{made.name} supersedes {entry}; both stay in the ledger")


@_group.command(
    epilog="Example: metastra prospective withdraw STUDY --centre north --patient N-007"
)
@verb
def withdraw(
    study: StudyFolder,
    centre: Centre,
    patient: _Patient,
    key: PatientKey = None,
    actor: Actor = "",
    sign_key: SignKey = None,
    at: At = "",
    as_json: AsJson = False,
) -> None:
    """Delete a patient's payloads; the withdrawal is counted, the commitments stay."""
    from metastra.ledger.changing import withdraw as record
    from metastra.ledger.opening import writing
    from metastra.pipeline.prospective import pseudonym

    name = pseudonym(study, centre, key, patient)
    with writing(study) as ledger:
        author = _writer(actor, sign_key, at).author(simulated=ledger.first.simulated)
        made, deleted = record(ledger, centre, name, author)
    if as_json:
        print_json(
            {
                "entry": made.name,
                "patient": name,
                "payloads_deleted": deleted,
                "research_use": RESEARCH_USE,
            }
        )
        return
    result(f"{made.name}: {name} has withdrawn; {deleted} payloads deleted")
    say("copies and backups of the study's folder have to lose them, too")


prospective_end.add_verbs(_group)


def _writer(actor: str, sign_key: Path | None, at: str) -> Writer:
    from metastra.pipeline.prospective import Writer

    return Writer(actor=actor, sign_key=sign_key, at=at)


def _tell(done: Recorded, what: str, *, as_json: bool, **counts: int) -> None:
    entries: list[dict[str, Any]] = [
        {"entry": entry.name, "patient": entry.patient, **entry.facts} for entry in done.entries
    ]
    if as_json:
        print_json(
            {
                "recorded": len(entries),
                "unchanged": done.unchanged,
                **counts,
                "entries": entries,
                "problems": [item.to_json() for item in done.problems],
                "research_use": RESEARCH_USE,
            }
        )
        return
    print_problems(done.problems)
    more = "".join(f", {number} {name}" for name, number in counts.items())
    result(f"{len(entries)} {what}{more}; {done.unchanged} rows were recorded before")
    if entries:
        result(f"entries {entries[0]['entry']} to {entries[-1]['entry']}")
