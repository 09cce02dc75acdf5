"""Anchoring a prospective study: receipts, time stamps, the data lock."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from metastra.errors import MissingExtra
from metastra.ledger.anchors import anchor, lock_data, read_receipt, record_token
from metastra.ledger.entry import Entry
from metastra.ledger.opening import writing
from metastra.ledger.timestamps import ask, check_token, request_bytes
from metastra.pipeline.prospective import Writer
from metastra.storage import write_bytes

__all__ = ["anchor_study", "import_token", "lock_study"]


def anchor_study(
    folder: Path, writer: Writer, *, tsa: str = "", roots: Sequence[Path] = ()
) -> tuple[Entry, Path]:
    """Anchor the head outside.

    Parameters
    ----------
    folder : Path
        Of the study.
    writer : Writer
        Who anchors.
    tsa : str
        Address of a time-stamping authority; nothing is sent when it is empty.
    roots : sequence of Path
        Certificates (PEM) that its answer is checked against.

    Returns
    -------
    entry : Entry
        The last anchor.
    receipt : Path
        For somebody outside.
    """
    with writing(folder) as ledger:
        author = writer.author(simulated=ledger.first.simulated)
        entry, receipt = anchor(ledger, author, occasion="schedule")
    _ask_for(receipt)
    if tsa:
        data = receipt.read_bytes()
        entry = import_token(folder, receipt, ask(tsa, request_bytes(data)), writer, roots=roots)
    return entry, receipt


def import_token(
    folder: Path, receipt: Path, token: bytes, writer: Writer, *, roots: Sequence[Path] = ()
) -> Entry:
    """Keep an authority's answer about a receipt.

    Parameters
    ----------
    folder : Path
        Of the study.
    receipt : Path
        That was stamped.
    token : bytes
        The answer.
    writer : Writer
        Who records.
    roots : sequence of Path
        Certificates (PEM) that it is checked against; without any, only that it stamps the
        receipt.

    Returns
    -------
    Entry
        The anchor.

    Raises
    ------
    IntegrityError
        If it stamps something else or its signature does not hold.
    """
    check_token(token, receipt.read_bytes(), roots=roots)
    with writing(folder) as ledger:
        author = writer.author(simulated=ledger.first.simulated)
        return record_token(ledger, read_receipt(receipt), token, author)


def lock_study(folder: Path, writer: Writer) -> tuple[Entry, Path]:
    """Close the data and anchor the head.

    Parameters
    ----------
    folder : Path
        Of the study.
    writer : Writer
        Who locks.

    Returns
    -------
    entry : Entry
        The lock.
    receipt : Path
        For the sponsor.

    Raises
    ------
    LockedError
        If the data are locked already or it is too early.
    """
    with writing(folder) as ledger:
        author = writer.author(simulated=ledger.first.simulated)
        entry = lock_data(ledger, author)
        _, receipt = anchor(ledger, author, occasion="lock")
    _ask_for(receipt)
    return entry, receipt


def _ask_for(receipt: Path) -> None:
    """Write the request for an authority beside a receipt, where the extra is installed."""
    try:
        request = request_bytes(receipt.read_bytes())
    except MissingExtra:
        return
    write_bytes(receipt.with_suffix(".tsq"), request)
