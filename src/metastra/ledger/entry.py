"""One entry of a ledger: a line of canonical JSON that names the line before it by its hash."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from metastra.digest import canonical_json, digest_bytes
from metastra.errors import DigestMismatch, IntegrityError

__all__ = ["NOTHING", "SCHEMA", "STUDY_CHAIN", "Entry", "Kind", "entry_time", "parse_time"]

SCHEMA = 1
"""Version of the layout of a line."""
STUDY_CHAIN = "study"
"""Name of the chain that joins the centres' chains; no centre may have it."""
NOTHING = "0" * 64
"""What the first entry of a study has before it."""

_SIGNED = b"metastra.ledger.entry/1\n"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_HEX = re.compile(r"[0-9a-f]{64}")


class Kind(StrEnum):
    """What an entry records."""

    INIT = "init"
    """The study: bundle, criteria, planned number, accrual and analysis, frozen."""
    SCREEN = "screen"
    """A patient was looked at for the study."""
    ENROL = "enrol"
    """A patient takes part."""
    PREDICT = "predict"
    """The risk of a patient, sealed; or that the patient is not assessable."""
    OUTCOME = "outcome"
    """What became of a patient up to a day."""
    CORRECT = "correct"
    """Supersedes an earlier entry, which stays as it is."""
    WITHDRAW = "withdraw"
    """A patient withdrew; the payloads are deleted."""
    JOIN = "join"
    """Where the chains of the centres stand."""
    ANCHOR = "anchor"
    """The head was given to somebody outside."""
    LOCK = "lock"
    """The data are complete; predictions may be opened."""
    ANALYSE = "analyse"
    """An analysis begins."""
    REPORT = "report"
    """An analysis has ended; digests of what it wrote."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry.

    Parameters
    ----------
    study : str
        Id of the study: the commitment of its first entry's payload.
    chain : str
        ``"study"`` or the name of a centre.
    number : int
        From 1, without gaps, within the chain.
    time : str
        UTC, to the second, ``2026-01-30T09:00:00Z``.
    actor : str
        Who made it.
    kind : Kind
        What it records.
    previous : str
        Hash of the entry before it; of the study's first entry for the first of a centre.
    patient : str or None
        Pseudonym.
    facts : mapping of str to (str, int or bool)
        What may be known for ever: running numbers, whether somebody was eligible.
    digests : mapping of str to str
        SHA-256 of things outside: bundle, table, sealed payload.
    commitment : str or None
        SHA-256 of salt and payload (`metastra.ledger.payloads`).
    simulated : bool
        Whether the study is marked as simulated: its times are stated, not taken from a clock.
    key : str or None
        Id of the key it is signed with.
    signature : str or None
        Ed25519 over the hash.
    """

    study: str
    chain: str
    number: int
    time: str
    actor: str
    kind: Kind
    previous: str
    patient: str | None = None
    facts: Mapping[str, str | int | bool] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    commitment: str | None = None
    simulated: bool = False
    key: str | None = None
    signature: str | None = None

    @property
    def name(self) -> str:
        """Chain and number, as people name it: ``north:17``."""
        return f"{self.chain}:{self.number}"

    @property
    def hash(self) -> str:
        """SHA-256 of everything but the signature, as canonical JSON."""
        return digest_bytes(canonical_json(self._content()).encode())

    @property
    def signed_bytes(self) -> bytes:
        """What a signature is made over."""
        return _SIGNED + self.hash.encode()

    @property
    def at(self) -> datetime:
        """The time, aware of UTC."""
        return parse_time(self.time)

    def to_line(self) -> bytes:
        """Write the entry as its line.

        Returns
        -------
        bytes
            Canonical JSON without a newline.
        """
        content = self._content() | {"hash": self.hash, "signature": self.signature}
        return canonical_json(content).encode()

    def with_signature(self, signature: str) -> Entry:
        """Add the signature.

        Parameters
        ----------
        signature : str
            Over `signed_bytes`.

        Returns
        -------
        Entry
            With the same hash.
        """
        return replace(self, signature=signature)

    def _content(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "study": self.study,
            "chain": self.chain,
            "number": self.number,
            "time": self.time,
            "actor": self.actor,
            "kind": self.kind.value,
            "previous": self.previous,
            "patient": self.patient,
            "facts": dict(self.facts),
            "digests": dict(self.digests),
            "commitment": self.commitment,
            "simulated": self.simulated,
            "key": self.key,
        }

    @classmethod
    def from_line(cls, line: bytes) -> Entry:
        """Read a line.

        Parameters
        ----------
        line : bytes
            Without its newline.

        Returns
        -------
        Entry
            Whose own hash holds.

        Raises
        ------
        DigestMismatch
            If its hash does not hold: it was edited.
        IntegrityError
            If the line is not an entry, or not canonical.

        Examples
        --------
        >>> entry = Entry(
        ...     study="a", chain="study", number=1, time="2026-01-30T09:00:00Z", actor="x",
        ...     kind=Kind.INIT, previous=NOTHING,
        ... )
        >>> Entry.from_line(entry.to_line()) == entry
        True
        """  # fmt: skip
        try:
            raw = json.loads(line.decode())
            stated = raw.pop("hash")
            if raw.pop("schema") != SCHEMA:
                raise IntegrityError("it has another layout; a newer metastra wrote it")
            entry = cls(**(raw | {"kind": Kind(raw["kind"])}))
            entry.check_types()
            again = entry.to_line()
        except IntegrityError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise IntegrityError("it is not an entry of a ledger") from error
        if stated != entry.hash:
            raise DigestMismatch("its hash does not hold: it was changed after it was written")
        if again != line:
            raise IntegrityError("it is not in canonical form: it was written by something else")
        return entry

    def check_types(self) -> None:
        """Refuse what a line may not hold.

        Raises
        ------
        ValueError
            If a field has another type or form.
        """
        texts = (self.study, self.chain, self.actor, self.time)
        optional = (self.patient, self.commitment, self.key, self.signature)
        if not all(isinstance(value, str) and value for value in texts):
            raise ValueError("a text is missing")
        if not all(value is None or isinstance(value, str) for value in optional):
            raise ValueError("a field is no text")
        if type(self.number) is not int or self.number < 1 or not _HEX.fullmatch(self.previous):
            raise ValueError("number or previous hash are not what they must be")
        if not isinstance(self.simulated, bool) or not isinstance(self.facts, dict):
            raise ValueError("a field has another type")
        parse_time(self.time)
        if not all(isinstance(value, str) for value in self.digests.values()):
            raise ValueError("a digest is no text")
        if not all(type(value) in (str, int, bool) for value in self.facts.values()):
            raise ValueError("a fact has another type")


def entry_time(moment: datetime) -> str:
    """Write a moment as entries have it.

    Parameters
    ----------
    moment : datetime
        Aware of its time zone.

    Returns
    -------
    str
        UTC, to the second.

    Examples
    --------
    >>> entry_time(datetime(2026, 1, 30, 9, tzinfo=UTC))
    '2026-01-30T09:00:00Z'
    """
    return moment.astimezone(UTC).strftime(_TIME)


def parse_time(text: str) -> datetime:
    """Read a moment as entries have it.

    Parameters
    ----------
    text : str
        ``2026-01-30T09:00:00Z``.

    Returns
    -------
    datetime
        Aware of UTC.

    Raises
    ------
    ValueError
        If it is written in any other way.
    """
    moment = datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    if moment.strftime(_TIME) != text:
        raise ValueError(f"{text!r} is not a time as entries have it")
    return moment
