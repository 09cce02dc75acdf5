"""Verifying a ledger: everything that is wrong with it, and how far an anchor reaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from metastra.catalogue import problem
from metastra.digest import digest_bytes
from metastra.errors import ConfigError, IntegrityError, Problem, Severity, Where
from metastra.ledger.anchored import Anchored, hold_receipts
from metastra.ledger.chain import LEDGER, Chain, read_chains
from metastra.ledger.entry import STUDY_CHAIN, Entry, Kind
from metastra.ledger.payloads import PayloadStore
from metastra.ledger.protocol import Protocol
from metastra.ledger.reported import ReportSignature, hold_report
from metastra.ledger.state import StudyState, replay
from metastra.ledger.store import PAYLOADS, Ledger
from metastra.signing import TrustList, load_public, verify

__all__ = ["LIMITS", "Verification", "verify_ledger"]

_NO_TAIL = "Without an anchor kept outside, nobody can tell that entries at the end were cut off."
_NO_REWRITE = (
    "Without an anchor kept outside, nobody can tell that somebody who holds the keys wrote the "
    "whole ledger anew."
)
_NO_WORLD = (
    "The ledger holds what was entered. That a patient was left out before the screening, that a "
    "scan was read wrongly, or that a risk was read before it was sealed leaves no trace in it."
)
_NO_TIME = (
    "Times come from the clock of the machine that writes. Only a time stamp of an authority "
    "shows that an entry existed by a certain time."
)
_NO_LINK = "Pseudonyms differ between centres: a patient of two centres is not recognised."
LIMITS = (_NO_TAIL, _NO_REWRITE, _NO_WORLD, _NO_TIME, _NO_LINK)
"""What no verification can show."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was found.

    Parameters
    ----------
    study, name : str
        Id and name of the study; empty where they cannot be read.
    simulated : bool
        Whether the study says that it is.
    chains : dict of str to dict
        ``entries``, ``head`` and ``anchored``: the last entry that a receipt from outside, or a
        trusted time stamp, holds; 0 for none.
    anchors : tuple of Anchored
        Receipts that were looked at.
    problems : tuple of Problem
        Refusals, warnings and notes.
    signature : ReportSignature or None
        Of the report that was looked at.
    """

    study: str
    name: str
    simulated: bool
    chains: dict[str, dict[str, Any]]
    anchors: tuple[Anchored, ...]
    problems: tuple[Problem, ...]
    signature: ReportSignature | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing is refused."""
        return not any(one.severity is Severity.REFUSE for one in self.problems)

    def to_json(self) -> dict[str, Any]:
        """Write it as plain values.

        Returns
        -------
        dict
            Strict JSON, with what cannot be detected under ``limits``.
        """
        return {
            "holds": self.holds,
            "study": self.study or None,
            "name": self.name or None,
            "simulated": self.simulated,
            "chains": self.chains,
            "anchors": [one.to_json() for one in self.anchors],
            "report": self.signature.to_json() if self.signature else None,
            "problems": [one.to_json() for one in self.problems],
            "limits": list(LIMITS),
        }


def verify_ledger(
    folder: Path,
    *,
    receipts: Sequence[Path] = (),
    roots: Sequence[Path] = (),
    report: Path | None = None,
    trusted: TrustList | None = None,
    now: datetime | None = None,
) -> Verification:
    """Verify a ledger.

    Parameters
    ----------
    folder : Path
        Of the study.
    receipts : sequence of Path
        Receipts that were kept outside.
    roots : sequence of Path
        Certificates (PEM) of time-stamping authorities that are trusted.
    report : Path, optional
        Folder of a report, to be held against the digests in the ledger; its signature is checked.
    trusted : TrustList, optional
        Keys that may sign the report, besides the study's own.
    now : datetime, optional
        For the age of the last anchor; it is not looked at when left out.

    Returns
    -------
    Verification
        With every problem.

    Raises
    ------
    ConfigError
        If the folder has no ledger.
    """
    if not (folder / LEDGER).exists():
        raise ConfigError(f"{folder} holds no ledger")
    chains = read_chains(folder)
    problems = [one for chain in chains.values() for one in chain.problems]
    problems += [one for chain in chains.values() for one in _unfinished(chain)]
    ledger = Ledger(folder, chains, PayloadStore(folder / PAYLOADS))
    protocol, found = _protocol(ledger, chains)
    problems += found
    problems += _joins(ledger, chains)
    problems += _payloads(ledger)
    if protocol is not None:
        problems += _strangers(protocol, chains)
        problems += _signatures(protocol, chains)
        state = replay(ledger)
        problems += [
            problem(
                code, f"entry {entry.name} {wrong}", where=chains[entry.chain].where(entry.number)
            )
            for entry, code, wrong in state.misplaced
        ]
        problems += _begun(state)
        problems += _overdue(ledger, protocol, now)
    anchors, found = hold_receipts(ledger, receipts, roots)
    problems += found
    signature = None
    if report is not None:
        signature, found = hold_report(ledger, protocol, report, trusted or TrustList())
        problems += found
    first = ledger.entries(STUDY_CHAIN)[:1]
    return Verification(
        study=first[0].study if first else "",
        name=protocol.study.name if protocol else "",
        simulated=bool(first and first[0].simulated),
        chains=_summary(chains, anchors),
        anchors=tuple(anchors),
        problems=tuple(problems),
        signature=signature,
    )


def _summary(chains: dict[str, Chain], anchors: Sequence[Anchored]) -> dict[str, dict[str, Any]]:
    good = [one for one in anchors if one.outside and not one.broken]
    return {
        name: {
            "entries": len(chain.entries),
            "head": chain.head if chain.entries else None,
            "anchored": max((one.chains.get(name, 0) for one in good), default=0),
        }
        for name, chain in chains.items()
    }


def _unfinished(chain: Chain) -> Iterator[Problem]:
    if chain.remainder:
        text = (
            f"{len(chain.remainder)} bytes behind the last entry of {chain.name!r}: an append that "
            "was cut off; they count for nothing"
        )
        yield problem("PR116", text, where=Where(file=chain.file))


def _protocol(ledger: Ledger, chains: dict[str, Chain]) -> tuple[Protocol | None, list[Problem]]:
    where = chains[STUDY_CHAIN].where(1)
    if not chains[STUDY_CHAIN].entries or ledger.first.kind is not Kind.INIT:
        return None, [problem("PR106", "the ledger has no first entry", where=where)]
    try:
        protocol = ledger.protocol
    except (IntegrityError, ValueError, KeyError, TypeError) as error:
        text = f"the frozen protocol cannot be read: {str(error).splitlines()[0]}"
        return None, [problem("PR107", text, where=where)]
    if protocol.digest != ledger.first.digests.get("protocol"):
        return protocol, [problem("PR108", "the protocol is not the frozen one", where=where)]
    return protocol, []


def _strangers(protocol: Protocol, chains: dict[str, Chain]) -> Iterator[Problem]:
    known = {STUDY_CHAIN, *(centre.name for centre in protocol.centre)}
    for name in sorted(set(chains) - known):
        text = f"the protocol has no centre {name!r}"
        yield problem("PR106", text, where=Where(file=chains[name].file))


def _signatures(protocol: Protocol, chains: dict[str, Chain]) -> Iterator[Problem]:
    for chain in chains.values():
        known = chain.name == STUDY_CHAIN or chain.name in {c.name for c in protocol.centre}
        pem = protocol.key_of(chain.name) if known else ""
        if not pem:
            continue
        public = load_public(pem)
        for entry in chain.entries:
            sound = (
                entry.key == public.key_id
                and entry.signature is not None
                and verify(public, entry.signed_bytes, entry.signature)
            )
            if not sound:
                what = "is not signed" if entry.signature is None else "is signed wrongly"
                text = f"entry {entry.name} {what}; the protocol names the key {public.key_id}"
                yield problem("PR109", text, where=chain.where(entry.number))


def _joins(ledger: Ledger, chains: dict[str, Chain]) -> Iterator[Problem]:
    """Hold what the study's chain says about the centres' chains against them."""
    for entry in ledger.entries(STUDY_CHAIN):
        if entry.kind not in (Kind.JOIN, Kind.LOCK):
            continue
        for name, digest in entry.digests.items():
            number = int(entry.facts.get(name, 0))
            there = {e.number: e for e in ledger.entries(name)}
            if number in there and there[number].hash == digest:
                continue
            what = "is another one" if number in there else "is gone"
            text = f"entry {name}:{number} {what}: entry {entry.name} names it by its hash"
            file = chains[name].file if name in chains else LEDGER
            yield problem("PR111", text, where=Where(file=file, rows=(number,)))


def _payloads(ledger: Ledger) -> Iterator[Problem]:
    gone = {
        (entry.chain, entry.patient): entry
        for entry in ledger.everything()
        if entry.kind is Kind.WITHDRAW
    }
    for entry in ledger.everything():
        if entry.commitment is None:
            continue
        withdrawn = gone.get((entry.chain, entry.patient))
        found = _payload(ledger, entry, withdrawn=withdrawn)
        if found is not None:
            code, text = found
            where = Where(file=f"{PAYLOADS}/{entry.commitment}.json")
            yield problem(code, f"entry {entry.name}: {text}", where=where)
    pending = ledger.payloads.pending() - {e.commitment for e in ledger.everything()}
    if pending:
        text = f"{len(pending)} payloads of a command that was stopped before it wrote its entries"
        yield problem("PR117", text, where=Where(file=PAYLOADS))
    known = {entry.commitment for entry in ledger.everything()}
    stray = sorted(ledger.payloads.names() - known)
    if stray:
        text = f"{len(stray)} payloads belong to no entry, the first is {stray[0][:16]}…"
        yield problem("PR117", text, where=Where(file=PAYLOADS))


def _payload(ledger: Ledger, entry: Entry, *, withdrawn: Entry | None) -> tuple[str, str] | None:
    try:
        payload = ledger.payloads.read(str(entry.commitment))
    except IntegrityError as error:
        return "PR108", f"its payload does not hold: {error}"
    if withdrawn is not None:
        if payload is None:
            return None
        return "PR114", f"its payload is there although {withdrawn.name} withdraws the patient"
    if payload is None:
        return "PR107", "its payload is gone and nobody withdrew"
    sealed = entry.digests.get("sealed")
    if (payload.box is None) != (sealed is None):
        return "PR108", "its payload is open where it must be sealed, or the reverse"
    if payload.box is not None and digest_bytes(payload.box.encode()) != sealed:
        return "PR108", "its sealed payload is another one"
    return None


def _overdue(ledger: Ledger, protocol: Protocol, now: datetime | None) -> Iterator[Problem]:
    if now is None or any(e.kind is Kind.REPORT for e in ledger.entries(STUDY_CHAIN)):
        return
    last = [e for e in ledger.entries(STUDY_CHAIN) if e.kind is Kind.ANCHOR] or [ledger.first]
    age = now - last[-1].at
    if age > timedelta(days=protocol.anchors.every_days):
        text = (
            f"the last anchor ({last[-1].name}) is {age.days} days old; the protocol says every "
            f"{protocol.anchors.every_days} days"
        )
        yield problem("PR115", text, where=Where(file=LEDGER, rows=(last[-1].number,)))


def _begun(state: StudyState) -> Iterator[Problem]:
    """Name every analysis that was begun and not reported, and every one that was begun again."""
    for entry in state.analyses:
        look = entry.facts.get("look")
        what = "the final analysis" if look == "final" else f"interim look {look}"
        where = Where(file=LEDGER, rows=(entry.number,))
        if state.report_of(entry) is None:
            text = f"entry {entry.name} begins {what}, and no report follows"
            yield problem("PR121", text, where=where)
        attempt = int(entry.facts.get("attempt", 1))
        if attempt > 1:
            text = f"entry {entry.name} begins {what} for the {attempt}. time"
            yield problem("PR122", text, where=where)
