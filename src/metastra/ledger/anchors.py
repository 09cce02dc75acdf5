"""Anchors: the head of the ledger in the hands of somebody outside.

A chain shows what was changed inside it.  That its end was cut off, or that all of it was written
anew, only somebody can tell who kept an earlier head.  A receipt is that head as a small file; a
time stamp (RFC 3161) over the receipt says when it existed at the latest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metastra.digest import digest_bytes
from metastra.errors import IntegrityError, LockedError
from metastra.ledger.entry import STUDY_CHAIN, Entry, Kind, entry_time
from metastra.ledger.recording import refuse_after_lock
from metastra.ledger.state import replay
from metastra.ledger.store import ANCHORS, Author, Draft, Ledger
from metastra.storage import json_bytes, parse_json, write_bytes
from metastra.storage.failures import explained

__all__ = ["Receipt", "anchor", "lock_data", "read_receipt", "record_token"]

_SCHEMA = "metastra.receipt/1"
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """Where the chains of a study stood.

    Parameters
    ----------
    study : str
        Id of the study.
    name : str
        Of the study.
    simulated : bool
        Whether the study is.
    time : str
        When the receipt was made, by the clock of its maker.
    chains : mapping of str to (int, str)
        Number and hash of each chain's last entry.
    digest : str
        SHA-256 of the receipt's file.
    """

    study: str
    name: str
    simulated: bool
    time: str
    chains: Mapping[str, tuple[int, str]]
    digest: str

    @property
    def entry(self) -> str:
        """The last entry of the study's own chain that it holds."""
        return f"{STUDY_CHAIN}:{self.chains[STUDY_CHAIN][0]}"


def anchor(ledger: Ledger, author: Author, *, occasion: str) -> tuple[Entry, Path]:
    """Join the chains and make a receipt of the head.

    Parameters
    ----------
    ledger : Ledger
        Open for writing.
    author : Author
        Who anchors.
    occasion : str
        ``"init"``, ``"schedule"`` or ``"lock"``.

    Returns
    -------
    entry : Entry
        That records the receipt.
    path : Path
        The receipt: to be sent to somebody outside, for instance the sponsor.
    """
    if len(ledger.heads()) > 1 and ledger.entries(STUDY_CHAIN)[-1].kind is not Kind.LOCK:
        ledger.join(author)
    heads = ledger.heads()
    value = {
        "schema": _SCHEMA,
        "study": ledger.first.study,
        "name": ledger.protocol.study.name,
        "simulated": ledger.first.simulated,
        "time": entry_time(author.moment),
        "chains": {name: [number, value] for name, (number, value) in heads.items()},
        "research_use": "Research use only. Not for diagnosis or treatment.",
    }
    data = json_bytes(value)
    path = ledger.folder / ANCHORS / f"receipt-{heads[STUDY_CHAIN][0]:06d}.json"
    write_bytes(path, data)
    draft = Draft(
        kind=Kind.ANCHOR,
        facts={"entry": heads[STUDY_CHAIN][0], "as": "receipt", "occasion": occasion},
        digests={"receipt": digest_bytes(data)},
    )
    return ledger.append(STUDY_CHAIN, [draft], author)[0], path


def lock_data(ledger: Ledger, author: Author) -> Entry:
    """Close the data: what is recorded later is late, and predictions may be opened.

    Parameters
    ----------
    ledger : Ledger
        Open for writing.
    author : Author
        Who locks.

    Returns
    -------
    Entry
        That names the last entry of each chain.

    Raises
    ------
    LockedError
        If the data are locked already, or it is earlier than the protocol plans.
    """
    refuse_after_lock(replay(ledger))
    first = ledger.protocol.analysis.not_before
    if author.moment.date() < first:
        raise LockedError(
            f"the protocol plans the analysis from {first} on; it is {author.moment.date()}; the "
            "data stay open and the predictions sealed"
        )
    return ledger.append(STUDY_CHAIN, [ledger.joining(Kind.LOCK)], author)[0]


def record_token(ledger: Ledger, receipt: Receipt, token: bytes, author: Author) -> Entry:
    """Keep a time stamp over a receipt and record it.

    Parameters
    ----------
    ledger : Ledger
        Open for writing.
    receipt : Receipt
        That was stamped.
    token : bytes
        The authority's answer, looked at before.
    author : Author
        Who records.

    Returns
    -------
    Entry
        That records it.
    """
    number = receipt.chains[STUDY_CHAIN][0]
    write_bytes(ledger.folder / ANCHORS / f"receipt-{number:06d}.tsr", token)
    draft = Draft(
        kind=Kind.ANCHOR,
        facts={"entry": number, "as": "rfc3161", "occasion": "time stamp"},
        digests={"receipt": receipt.digest, "token": digest_bytes(token)},
    )
    return ledger.append(STUDY_CHAIN, [draft], author)[0]


def read_receipt(path: Path) -> Receipt:
    """Read a receipt.

    Parameters
    ----------
    path : Path
        Its file.

    Returns
    -------
    Receipt
        As it was given.

    Raises
    ------
    IntegrityError
        If it is no receipt.
    ResourceError, ConfigError
        If it cannot be read.
    """
    with explained(path):
        data = path.read_bytes()
    try:
        raw: dict[str, Any] = parse_json(data[:_MAX_BYTES])
        if raw["schema"] != _SCHEMA:
            raise IntegrityError(f"{path.name} is a receipt of another layout")
        chains = {str(k): (int(v[0]), str(v[1])) for k, v in raw["chains"].items()}
        if STUDY_CHAIN not in chains:
            raise IntegrityError(f"{path.name} does not name the head of the study")
        return Receipt(
            study=str(raw["study"]),
            name=str(raw["name"]),
            simulated=bool(raw["simulated"]),
            time=str(raw["time"]),
            chains=chains,
            digest=digest_bytes(data),
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        if isinstance(error, IntegrityError):
            raise
        raise IntegrityError(f"{path.name} is no receipt of a ledger") from error
