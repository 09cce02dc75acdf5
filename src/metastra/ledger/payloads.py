"""Payloads: what an entry is about, kept beside the ledger so that it can be deleted.

The entry holds the commitment SHA-256(salt ‖ canonical JSON), with 32 random bytes of salt that
are kept with the payload.  Who has the payload can show that it is the one that was committed to;
once it is deleted, the commitment says nothing about it, because the salt went with it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from metastra.digest import canonical_json, digest_bytes
from metastra.errors import IntegrityError
from metastra.storage import Write, file_ops, json_bytes, parse_json
from metastra.storage.atomic import place, stage
from metastra.storage.failures import explained

__all__ = ["SALT_BYTES", "Payload", "PayloadStore", "commit", "random_salt"]

SALT_BYTES = 32
_SUFFIX, _PENDING = ".json", ".pending"


def random_salt(_payload: bytes) -> bytes:
    """Draw a salt.

    Parameters
    ----------
    _payload : bytes
        For what; a random salt does not depend on it.

    Returns
    -------
    bytes
        32 bytes from the operating system.
    """
    return secrets.token_bytes(SALT_BYTES)


def commit(payload: Mapping[str, Any], salt: bytes) -> str:
    """Commit to a payload.

    Parameters
    ----------
    payload : mapping
        Strict JSON.
    salt : bytes
        32 bytes.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    ValueError
        If the salt has another length.

    Examples
    --------
    >>> commit({"age": 61}, bytes(32))[:8]
    '6bad16fe'
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes; this one has {len(salt)}")
    return digest_bytes(salt + canonical_json(dict(payload)).encode())


@dataclass(frozen=True, kw_only=True)
class Payload:
    """A payload as it is kept: open with its salt, or sealed in a box that holds both.

    Parameters
    ----------
    content : mapping or None
        Open.
    salt : bytes or None
        Of an open payload.
    box : str or None
        Sealed (`metastra.ledger.sealing`).
    """

    content: Mapping[str, Any] | None = None
    salt: bytes | None = None
    box: str | None = None

    def to_bytes(self) -> bytes:
        """Write it as its file.

        Returns
        -------
        bytes
            JSON.
        """
        if self.box is not None:
            return json_bytes({"sealed": self.box})
        return json_bytes({"payload": dict(self.content or {}), "salt": (self.salt or b"").hex()})

    @classmethod
    def from_bytes(cls, data: bytes) -> Payload:
        """Read its file.

        Parameters
        ----------
        data : bytes
            JSON.

        Returns
        -------
        Payload
            Open or sealed.

        Raises
        ------
        IntegrityError
            If it is something else.
        """
        try:
            raw = parse_json(data)
            if set(raw) == {"sealed"} and isinstance(raw["sealed"], str):
                return cls(box=raw["sealed"])
            if set(raw) == {"payload", "salt"} and isinstance(raw["payload"], dict):
                return cls(content=raw["payload"], salt=bytes.fromhex(raw["salt"]))
        except (ValueError, TypeError, RecursionError) as error:
            raise IntegrityError("it is not a payload") from error
        raise IntegrityError("it is not a payload")


class PayloadStore:
    """The payloads of a study, one file for each, named by its commitment.

    A payload is written as pending, then its entry is appended, then it gets its name.  So a
    command that is killed leaves at worst a pending payload without an entry, which the next one
    removes; a payload that has its name is only ever deleted on withdrawal.

    Parameters
    ----------
    folder : Path
        Where they lie.
    salt : callable
        Gives salts; other than random only in tests.
    """

    def __init__(self, folder: Path, *, salt: Callable[[bytes], bytes] = random_salt) -> None:
        self.folder, self._salt = folder, salt

    def path(self, commitment: str) -> Path:
        """Name the file of a payload.

        Parameters
        ----------
        commitment : str
            Of the entry.

        Returns
        -------
        Path
            There or not.
        """
        return self.folder / f"{commitment}{_SUFFIX}"

    def salted(self, content: Mapping[str, Any]) -> tuple[str, bytes]:
        """Draw a salt and commit.

        Parameters
        ----------
        content : mapping
            Strict JSON.

        Returns
        -------
        commitment : str
            For the entry.
        salt : bytes
            To be kept with the payload.
        """
        salt = self._salt(canonical_json(dict(content)).encode())
        return commit(content, salt), salt

    def write_pending(self, payloads: Mapping[str, Payload]) -> None:
        """Write payloads whose entries do not exist yet.

        Parameters
        ----------
        payloads : mapping of str to Payload
            By commitment.

        Raises
        ------
        ResourceError, ConfigError
            If one cannot be written; what is left behind is removed by the next command.
        """
        for commitment, payload in payloads.items():
            place(stage(self._pending(commitment), _writer(payload.to_bytes())))
        if payloads:
            with explained(self.folder):
                file_ops().sync_folder(self.folder)

    def settle(self, referenced: AbstractSet[str]) -> None:
        """Give pending payloads their names, and remove those without an entry.

        Parameters
        ----------
        referenced : set of str
            Commitments of all entries.

        Raises
        ------
        ResourceError, ConfigError
            If a file cannot be renamed or removed; the next call goes on.
        """
        pending = self._names(_PENDING)
        for commitment in sorted(pending):
            path = self._pending(commitment)
            with explained(path):
                if commitment in referenced:
                    file_ops().replace(path, self.path(commitment))
                else:
                    file_ops().unlink(path)
        if pending:
            with explained(self.folder):
                file_ops().sync_folder(self.folder)

    def read(self, commitment: str) -> Payload | None:
        """Find a payload.

        Parameters
        ----------
        commitment : str
            Of its entry.

        Returns
        -------
        Payload or None
            None where there is no file.

        Raises
        ------
        IntegrityError
            If an open payload is not the one that was committed to, or the file is no payload.
        """
        path = self.path(commitment)
        with explained(path):
            if not path.exists():
                path = self._pending(commitment)
            if not path.exists():
                return None
            data = path.read_bytes()
        payload = Payload.from_bytes(data)
        if payload.content is not None and (
            payload.salt is None
            or len(payload.salt) != SALT_BYTES
            or commit(payload.content, payload.salt) != commitment
        ):
            raise IntegrityError("it is not the payload that was committed to")
        return payload

    def delete(self, commitment: str) -> bool:
        """Delete a payload for good.

        Parameters
        ----------
        commitment : str
            Of its entry.

        Returns
        -------
        bool
            Whether it was there.

        Raises
        ------
        ResourceError, ConfigError
            If it cannot be deleted.
        """
        there = [p for p in (self.path(commitment), self._pending(commitment)) if p.exists()]
        for path in there:
            with explained(path):
                file_ops().unlink(path)
        if there:
            with explained(self.folder):
                file_ops().sync_folder(self.folder)
        return bool(there)

    def names(self) -> set[str]:
        """List the commitments that have a payload.

        Returns
        -------
        set of str
            Empty where there is no folder.
        """
        return self._names(_SUFFIX)

    def pending(self) -> set[str]:
        """List the commitments whose payload is pending.

        Returns
        -------
        set of str
            Empty when no command is at work and none was killed.
        """
        return self._names(_PENDING)

    def _pending(self, commitment: str) -> Path:
        return self.folder / f"{commitment}{_PENDING}"

    def _names(self, suffix: str) -> set[str]:
        with explained(self.folder):
            if not self.folder.is_dir():
                return set()
            return {path.stem for path in self.folder.iterdir() if path.suffix == suffix}


def _writer(data: bytes) -> Write:
    def write(stream: BinaryIO) -> None:
        stream.write(data)

    return write
