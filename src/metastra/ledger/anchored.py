"""Holding receipts and time stamps against a ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from metastra.catalogue import problem
from metastra.errors import IntegrityError, MetastraError, MissingExtra, Problem, Where
from metastra.ledger.anchors import Receipt, read_receipt
from metastra.ledger.entry import STUDY_CHAIN, Kind, entry_time
from metastra.ledger.store import ANCHORS, Ledger
from metastra.ledger.timestamps import Stamp, check_token

__all__ = ["Anchored", "hold_receipts"]

_TOLERANCE = timedelta(minutes=10)
"""By how much the clock of a machine may be off against that of an authority."""


@dataclass(frozen=True, kw_only=True)
class Anchored:
    """A receipt that was held against the ledger.

    Parameters
    ----------
    file : str
        Its name.
    outside : bool
        Whether it came from outside the study's folder, or bears a time stamp under a trusted
        certificate.
    chains : mapping of str to int
        The last entry of each chain that it holds.
    time : str
        Of the receipt.
    stamp : str or None
        Of the authority.
    broken : bool
        Whether the ledger is not the one that it holds.
    """

    file: str
    outside: bool
    chains: Mapping[str, int]
    time: str
    stamp: str | None
    broken: bool

    def to_json(self) -> dict[str, Any]:
        """Write it as plain values.

        Returns
        -------
        dict
            Strict JSON.
        """
        return {
            "file": self.file,
            "outside": self.outside,
            "entry": f"{STUDY_CHAIN}:{self.chains.get(STUDY_CHAIN, 0)}",
            "chains": dict(self.chains),
            "time": self.time,
            "stamp": self.stamp,
            "holds": not self.broken,
        }


def hold_receipts(
    ledger: Ledger, receipts: Sequence[Path], roots: Sequence[Path]
) -> tuple[list[Anchored], list[Problem]]:
    """Hold all receipts against a ledger.

    Parameters
    ----------
    ledger : Ledger
        Whose chains were read.
    receipts : sequence of Path
        Kept outside; a time stamp lies beside each with the suffix ``.tsr``, where it has one.
    roots : sequence of Path
        Certificates that are trusted.

    Returns
    -------
    anchors : list of Anchored
        The study's own copies too.
    problems : list of Problem
        ``PR110`` and ``PR119``.
    """
    anchors: list[Anchored] = []
    problems: list[Problem] = []
    own = sorted((ledger.folder / ANCHORS).glob("receipt-*.json"))
    home = ledger.folder.resolve()
    # a copy in the study's own folder proves nothing, however it is named
    given = [(path, not path.resolve().is_relative_to(home)) for path in receipts]
    for path, outside in (*((p, False) for p in own), *given):
        where = Where(file=path.name)
        try:
            receipt = read_receipt(path)
        except MetastraError as error:
            problems.append(problem("PR110", str(error), where=where))
            continue
        found = [problem("PR110", text, where=where) for text in _against(ledger, receipt)]
        stamp, more = _stamp(ledger, receipt, path, roots)
        problems += found + more
        anchors.append(
            Anchored(
                file=path.name,
                outside=outside or (stamp is not None and stamp.trusted),
                chains={name: number for name, (number, _) in receipt.chains.items()},
                time=receipt.time,
                stamp=None if stamp is None else entry_time(stamp.time),
                broken=bool(found or more),
            )
        )
    return anchors, problems + _lost_copies(ledger, own)


def _against(ledger: Ledger, receipt: Receipt) -> list[str]:
    first = ledger.entries(STUDY_CHAIN)[:1]
    if not first or receipt.study != first[0].study:
        return [f"the receipt is of another study ({receipt.study[:12]}…)"]
    wrong = []
    for name, (number, value) in receipt.chains.items():
        there = {entry.number: entry for entry in ledger.entries(name)}
        if number not in there:
            wrong.append(
                f"entry {name}:{number}, which the receipt of {receipt.time} holds, is gone: the "
                "end of the chain was cut off"
            )
        elif there[number].hash != value:
            wrong.append(
                f"entry {name}:{number} is not the one that the receipt of {receipt.time} holds: "
                "the chain was written anew"
            )
    return wrong


def _stamp(
    ledger: Ledger, receipt: Receipt, path: Path, roots: Sequence[Path]
) -> tuple[Stamp | None, list[Problem]]:
    token = path.with_suffix(".tsr")
    if not token.is_file():
        return None, []
    where = Where(file=token.name)
    try:
        stamp = check_token(token.read_bytes(), path.read_bytes(), roots=roots)
    except IntegrityError as error:
        return None, [problem("PR110", f"the time stamp does not hold: {error}", where=where)]
    except MissingExtra as error:
        return None, [problem("PR120", str(error), where=where)]
    if ledger.first.simulated:
        return stamp, []
    return stamp, [problem("PR119", text, where=where) for text in _times(ledger, receipt, stamp)]


def _times(ledger: Ledger, receipt: Receipt, stamp: Stamp) -> list[str]:
    """Find entries whose time cannot be, given when the authority saw the receipt."""
    latest, seen = stamp.time + _TOLERANCE, entry_time(stamp.time)
    covered = [
        entry
        for name, (number, _) in receipt.chains.items()
        for entry in ledger.entries(name)
        if entry.number <= number
    ]
    recording = [
        entry
        for entry in ledger.entries(STUDY_CHAIN)
        if entry.kind is Kind.ANCHOR
        and entry.facts.get("as") == "rfc3161"
        and entry.digests.get("receipt") == receipt.digest
    ]
    wrong = [
        f"entry {entry.name} is dated {entry.time}, but existed by {seen}"
        for entry in covered
        if entry.at > latest
    ]
    return wrong + [
        f"entry {entry.name} is dated {entry.time}, before its stamp of {seen}"
        for entry in recording
        if entry.at < stamp.time - _TOLERANCE
    ]


def _lost_copies(ledger: Ledger, own: Sequence[Path]) -> list[Problem]:
    """Note receipts that entries speak of and that are not in the study's folder."""
    there = {path.name for path in own}
    problems = []
    for entry in ledger.entries(STUDY_CHAIN):
        if entry.kind is Kind.ANCHOR and entry.facts.get("as") == "receipt":
            name = f"receipt-{int(entry.facts.get('entry', 0)):06d}.json"
            if name not in there:
                text = f"the copy of the receipt of entry {entry.name} is not in the folder"
                problems.append(problem("PR120", text, where=Where(file=name)))
    return problems
