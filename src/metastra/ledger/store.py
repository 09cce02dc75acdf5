"""A study's ledger in memory, and how entries are linked, signed and appended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metastra.errors import ConfigError, IntegrityError, LockedError
from metastra.ledger.chain import CENTRES, LEDGER, Chain
from metastra.ledger.entry import STUDY_CHAIN, Entry, Kind, entry_time
from metastra.ledger.payloads import Payload, PayloadStore
from metastra.ledger.protocol import Protocol
from metastra.signing import load_public, sign
from metastra.storage import append_lines

if TYPE_CHECKING:
    from metastra.signing import PrivateKey

__all__ = [
    "ANCHORS",
    "PAYLOADS",
    "Author",
    "Draft",
    "Ledger",
    "file_of",
    "signing_key",
]

ANCHORS, PAYLOADS = "anchors", "payloads"


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who writes, when, and with which key.

    Parameters
    ----------
    actor : str
        A name or a role.
    moment : datetime
        Aware of its time zone.
    key : PrivateKey or None
        Signs the entries.
    """

    actor: str
    moment: datetime
    key: PrivateKey | None = None


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An entry before it has a place in its chain.

    Parameters
    ----------
    kind : Kind
        What it records.
    patient : str or None
        Pseudonym.
    facts, digests : mapping
        As `Entry`.
    content : mapping or None
        Payload that is kept open.
    sealed : tuple of (str, str) or None
        Commitment and box of a payload that is kept sealed.
    """

    kind: Kind
    patient: str | None = None
    facts: Mapping[str, str | int | bool] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    content: Mapping[str, Any] | None = None
    sealed: tuple[str, str] | None = None


class Ledger:
    """A study's ledger in memory.

    Made by `metastra.ledger.opening`; it refuses to open when a chain is broken.

    Parameters
    ----------
    folder : Path
        Of the study.
    chains : mapping of str to Chain
        As read.
    payloads : PayloadStore
        Beside them.
    """

    def __init__(self, folder: Path, chains: Mapping[str, Chain], payloads: PayloadStore) -> None:
        self.folder, self.payloads = folder, payloads
        self._chains = {name: list(chain.entries) for name, chain in chains.items()}
        self._protocol: Protocol | None = None

    @property
    def first(self) -> Entry:
        """The study's first entry."""
        return self._chains[STUDY_CHAIN][0]

    @property
    def protocol(self) -> Protocol:
        """What was frozen at the start."""
        if self._protocol is None:
            payload = self.payloads.read(self.first.commitment or "")
            if payload is None or payload.content is None:
                raise IntegrityError("the payload of the study's first entry is gone")
            self._protocol = Protocol.model_validate(payload.content["protocol"])
        return self._protocol

    def entries(self, chain: str) -> list[Entry]:
        """Give the entries of a chain.

        Parameters
        ----------
        chain : str
            ``"study"`` or a centre.

        Returns
        -------
        list of Entry
            In order; empty for a centre without any.
        """
        return list(self._chains.get(chain, ()))

    def everything(self) -> Iterator[Entry]:
        """Go through all chains, the study's own first.

        Yields
        ------
        Entry
            In the order of its chain.
        """
        for entries in self._chains.values():
            yield from entries

    def find(self, name: str) -> Entry:
        """Look an entry up.

        Parameters
        ----------
        name : str
            ``north:17``.

        Returns
        -------
        Entry
            Of that name.

        Raises
        ------
        ConfigError
            If there is none.
        """
        for entry in self.everything():
            if entry.name == name:
                return entry
        raise ConfigError(f"there is no entry {name!r}; entries are named as CENTRE:NUMBER")

    def content(self, entry: Entry) -> Mapping[str, Any] | None:
        """Read the open payload of an entry.

        Parameters
        ----------
        entry : Entry
            Of this ledger.

        Returns
        -------
        mapping or None
            None where it has none, it was deleted, or it is sealed.

        Raises
        ------
        IntegrityError
            If it is not what was committed to.
        """
        if entry.commitment is None:
            return None
        payload = self.payloads.read(entry.commitment)
        return None if payload is None else payload.content

    def heads(self) -> dict[str, tuple[int, str]]:
        """Say where each chain stands.

        Returns
        -------
        dict of str to (int, str)
            Number and hash of the last entry.
        """
        return {
            name: (entries[-1].number, entries[-1].hash)
            for name, entries in self._chains.items()
            if entries
        }

    def append(self, chain: str, drafts: Sequence[Draft], author: Author) -> list[Entry]:
        """Append entries: payloads first, then the lines, then the payloads get their names.

        Parameters
        ----------
        chain : str
            ``"study"`` or a centre.
        drafts : sequence of Draft
            In order.
        author : Author
            Who writes.

        Returns
        -------
        list of Entry
            As they stand in the chain.

        Raises
        ------
        LockedError
            If the author's time lies before the last entry's: a clock went backwards.
        ConfigError
            If the chain needs a signature with another key than the author's.
        ResourceError
            If the disk is full; then nothing was appended.
        """
        if not drafts:
            return []
        prepared = [_prepared(draft, self.payloads) for draft in drafts]
        entries = self._linked(chain, drafts, [one[0] for one in prepared], author)
        kept = {name: payload for name, payload in prepared if name is not None and payload}
        self.payloads.write_pending(kept)
        append_lines(file_of(self.folder, chain), [entry.to_line() for entry in entries])
        self._chains.setdefault(chain, []).extend(entries)
        self.payloads.settle(kept.keys())
        return entries

    def join(self, author: Author) -> Entry:
        """Write into the study's chain where the centres' chains stand.

        Parameters
        ----------
        author : Author
            Who writes.

        Returns
        -------
        Entry
            With the number and hash of each centre's last entry.
        """
        return self.append(STUDY_CHAIN, [self.joining(Kind.JOIN)], author)[0]

    def joining(self, kind: Kind) -> Draft:
        """Draft an entry that names the last entry of each centre's chain.

        Parameters
        ----------
        kind : Kind
            ``join``, or ``lock``, which joins too.

        Returns
        -------
        Draft
            For the study's own chain.
        """
        heads = {k: v for k, v in self.heads().items() if k != STUDY_CHAIN}
        return Draft(
            kind=kind,
            facts={name: number for name, (number, _) in heads.items()},
            digests={name: value for name, (_, value) in heads.items()},
        )

    def last_time(self, chain: str) -> str:
        """Give the time that the next entry of a chain may not lie before.

        Parameters
        ----------
        chain : str
            ``"study"`` or a centre.

        Returns
        -------
        str
            Of its last entry, or of the study's first.
        """
        entries = self._chains.get(chain) or self._chains[STUDY_CHAIN][:1]
        return entries[-1].time

    def _linked(
        self,
        chain: str,
        drafts: Sequence[Draft],
        commitments: Sequence[str | None],
        author: Author,
    ) -> list[Entry]:
        mine = self._chains.get(chain, [])
        previous = mine[-1].hash if mine else self.first.hash
        key = signing_key(self.protocol, chain, author)
        time = entry_time(author.moment)
        if time < self.last_time(chain):
            raise LockedError(
                f"the clock says {time}, before the last entry of {chain!r} at "
                f"{self.last_time(chain)}; nothing was written; set the clock of this machine right"
            )
        entries = []
        for number, (draft, commitment) in enumerate(
            zip(drafts, commitments, strict=True), start=len(mine) + 1
        ):
            entry = Entry(
                study=self.first.study,
                chain=chain,
                number=number,
                time=time,
                actor=author.actor,
                kind=draft.kind,
                previous=previous,
                patient=draft.patient,
                facts=draft.facts,
                digests=draft.digests,
                commitment=commitment,
                simulated=self.first.simulated,
                key=key.public.key_id if key else None,
            )
            if key is not None:
                entry = entry.with_signature(sign(key, entry.signed_bytes))
            entries.append(entry)
            previous = entry.hash
        return entries


def _prepared(draft: Draft, payloads: PayloadStore) -> tuple[str | None, Payload | None]:
    if draft.sealed is not None:
        commitment, box = draft.sealed
        return commitment, Payload(box=box)
    if draft.content is None:
        return None, None
    commitment, value = payloads.salted(draft.content)
    return commitment, Payload(content=draft.content, salt=value)


def signing_key(protocol: Protocol, chain: str, author: Author) -> PrivateKey | None:
    """Hold the author's key against the one that the protocol names for a chain.

    Parameters
    ----------
    protocol : Protocol
        Of the study.
    chain : str
        ``"study"`` or a centre.
    author : Author
        Who writes.

    Returns
    -------
    PrivateKey or None
        With which the entry is signed.

    Raises
    ------
    ConfigError
        If the protocol needs another key than the author's.
    """
    pem = protocol.key_of(chain)
    if not pem:
        return author.key
    needed = load_public(pem).key_id
    if author.key is None:
        raise ConfigError(
            f"entries of {chain!r} are signed with the key {needed}; name it with --sign-key"
        )
    if author.key.public.key_id != needed:
        raise ConfigError(
            f"entries of {chain!r} are signed with the key {needed}, not with "
            f"{author.key.public.key_id}; name the right one with --sign-key"
        )
    return author.key


def file_of(folder: Path, chain: str) -> Path:
    """Name the file of a chain.

    Parameters
    ----------
    folder : Path
        Of the study.
    chain : str
        ``"study"`` or a centre.

    Returns
    -------
    Path
        There or not.
    """
    return folder / LEDGER if chain == STUDY_CHAIN else folder / CENTRES / f"{chain}.jsonl"
