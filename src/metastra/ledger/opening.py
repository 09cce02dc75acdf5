"""The folder of a prospective study: chains, payloads, one lock.

::

    STUDY/
    ├── ledger.jsonl          the study's own chain, which joins the centres' chains
    ├── centres/<name>.jsonl  one chain for each centre
    ├── payloads/             what the entries are about; deleted on withdrawal
    ├── anchors/              receipts and time stamps
    └── .lock                 held by the process that writes
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from metastra.errors import ConfigError, IntegrityError, LockedError
from metastra.ledger.chain import LEDGER, read_chains
from metastra.ledger.entry import NOTHING, STUDY_CHAIN, Entry, Kind, entry_time
from metastra.ledger.payloads import Payload, PayloadStore, random_salt
from metastra.ledger.protocol import Protocol
from metastra.ledger.store import PAYLOADS, Author, Ledger, signing_key
from metastra.signing import sign
from metastra.storage import append_lines, hold, sweep_orphans
from metastra.version import VERSION

__all__ = ["create", "forget", "opened", "writing"]

_WAIT_S = 2.0


def create(
    folder: Path,
    protocol: Protocol,
    content: Mapping[str, Any],
    author: Author,
    *,
    salt: Callable[[bytes], bytes] = random_salt,
) -> Ledger:
    """Begin a ledger.

    Parameters
    ----------
    folder : Path
        Of the study; made when it is missing.
    protocol : Protocol
        To be frozen.
    content : mapping
        Payload of the first entry; with the protocol under ``"protocol"``.
    author : Author
        Who begins.
    salt : callable
        Other than random only in tests.

    Returns
    -------
    Ledger
        With one entry.

    Raises
    ------
    LockedError
        If the folder has a ledger already.
    BusyError
        If another process works there.
    """
    with hold(folder, wait_s=_WAIT_S):
        if (folder / LEDGER).exists():
            raise LockedError(f"{folder} holds a ledger already; a study begins once")
        payloads = PayloadStore(folder / PAYLOADS, salt=salt)
        payloads.settle(frozenset())
        key = signing_key(protocol, STUDY_CHAIN, author)
        commitment, value = payloads.salted(content)
        entry = Entry(
            study=commitment,
            chain=STUDY_CHAIN,
            number=1,
            time=entry_time(author.moment),
            actor=author.actor,
            kind=Kind.INIT,
            previous=NOTHING,
            digests={"protocol": protocol.digest, "bundle": protocol.bundle.digest},
            facts={"metastra": VERSION},
            commitment=commitment,
            simulated=protocol.study.simulated,
            key=key.public.key_id if key else None,
        )
        if key is not None:
            entry = entry.with_signature(sign(key, entry.signed_bytes))
        payloads.write_pending({commitment: Payload(content=content, salt=value)})
        append_lines(folder / LEDGER, [entry.to_line()])
        payloads.settle({commitment})
    return opened(folder)


def opened(folder: Path, *, salt: Callable[[bytes], bytes] = random_salt) -> Ledger:
    """Open a ledger for reading.

    Parameters
    ----------
    folder : Path
        Of the study.
    salt : callable
        Other than random only in tests.

    Returns
    -------
    Ledger
        Whose chains hold.

    Raises
    ------
    ConfigError
        If the folder has no ledger.
    IntegrityError
        If a chain is broken, with every entry that is.
    """
    if not (folder / LEDGER).exists():
        raise ConfigError(
            f"{folder} holds no ledger; `metastra prospective init` begins one from a protocol"
        )
    chains = read_chains(folder)
    broken = [str(item) for chain in chains.values() for item in chain.problems]
    if broken:
        raise IntegrityError(
            f"the ledger in {folder} is damaged ({len(broken)} problems); nothing was written\n  "
            + "\n  ".join(broken)
        )
    if not chains[STUDY_CHAIN].entries:
        raise IntegrityError(f"the ledger in {folder} has no first entry")
    return Ledger(folder, chains, PayloadStore(folder / PAYLOADS, salt=salt))


@contextlib.contextmanager
def writing(folder: Path, *, salt: Callable[[bytes], bytes] = random_salt) -> Iterator[Ledger]:
    """Open a ledger for writing, alone.

    What a killed command left behind is put right first: payloads whose entry was written get
    their names, others are removed, and deletions after a withdrawal are finished.

    Parameters
    ----------
    folder : Path
        Of the study.
    salt : callable
        Other than random only in tests.

    Yields
    ------
    Ledger
        For the block.

    Raises
    ------
    BusyError
        If another process works there.
    ConfigError, IntegrityError
        As `opened`.
    """
    if not (folder / LEDGER).exists():
        opened(folder)
    with hold(folder, wait_s=_WAIT_S):
        sweep_orphans(folder, older_than_s=0)
        ledger = opened(folder, salt=salt)
        ledger.payloads.settle({e.commitment for e in ledger.everything() if e.commitment})
        for entry in list(ledger.everything()):
            if entry.kind is Kind.WITHDRAW and entry.patient is not None:
                forget(ledger, entry.chain, entry.patient)
        yield ledger


def forget(ledger: Ledger, chain: str, patient: str) -> int:
    """Delete every payload of a patient.

    Parameters
    ----------
    ledger : Ledger
        Open for writing.
    chain : str
        Of the patient's centre.
    patient : str
        Pseudonym.

    Returns
    -------
    int
        Payloads that were there.

    Raises
    ------
    ResourceError, ConfigError
        If one cannot be deleted.
    """
    mine = [e for e in ledger.entries(chain) if e.patient == patient and e.commitment]
    return sum(ledger.payloads.delete(str(entry.commitment)) for entry in mine)
