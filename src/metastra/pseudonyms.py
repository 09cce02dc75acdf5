"""Keyed pseudonyms: the only names of patients and slides that leave the tables.

A pseudonym is the start of an HMAC-SHA256 under a secret key that stays at the site.  Without the
key nobody can test whether a known id is behind a pseudonym; a plain hash would allow that, because
ids are short and guessable.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import stat
import time
import unicodedata
from pathlib import Path

from metastra.errors import ConfigError

__all__ = ["Pseudonyms", "SecretKey", "load_or_create_key"]

_KEY_BYTES = 32
_LETTERS = 10
"""Fifty bits: among a million ids two pseudonyms coincide with probability 0.0004."""
_WAIT_SECONDS = 2.0


class SecretKey:
    """A key of 32 bytes that never shows itself.

    Parameters
    ----------
    value : bytes
        The key.

    Raises
    ------
    ConfigError
        If it has another length.

    Examples
    --------
    >>> SecretKey(bytes(32))
    SecretKey(…)
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        if len(value) != _KEY_BYTES:
            raise ConfigError(f"a pseudonym key has {_KEY_BYTES} bytes; this one has {len(value)}")
        self._value = bytes(value)

    def __repr__(self) -> str:
        return "SecretKey(…)"

    def __reduce__(self) -> str:
        raise TypeError("a secret key is not written to disk or sent to another process")

    def sign(self, message: bytes) -> bytes:
        """Compute the HMAC-SHA256 of a message (RFC 2104).

        Parameters
        ----------
        message : bytes
            Any bytes.

        Returns
        -------
        bytes
            32 bytes.

        Examples
        --------
        >>> SecretKey(bytes(32)).sign(b"").hex()[:8]
        'b613679a'
        """
        return hmac.new(self._value, message, hashlib.sha256).digest()


class Pseudonyms:
    """Pseudonyms under one key.

    Parameters
    ----------
    key : SecretKey
        The site's key.

    Examples
    --------
    >>> names = Pseudonyms(SecretKey(bytes(32)))
    >>> names.patient("TCGA-A6-2670") == names.patient(" TCGA-A6-2670 ")
    True
    >>> names.patient("TCGA-A6-2670")[:2], names.slide("TCGA-A6-2670")[:2]
    ('P-', 'S-')
    """

    __slots__ = ("_key",)

    def __init__(self, key: SecretKey) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "Pseudonyms(…)"

    def patient(self, patient_id: str) -> str:
        """Name a patient.

        Parameters
        ----------
        patient_id : str
            The study id; Unicode form and white space around it make no difference.

        Returns
        -------
        str
            ``"P-"`` and ten letters or digits.

        Examples
        --------
        >>> Pseudonyms(SecretKey(bytes(32))).patient("007")
        'P-m4bdmz7efb'
        """
        return f"P-{self._code('patient', patient_id)}"

    def slide(self, slide_id: str) -> str:
        """Name a slide; unrelated to the pseudonym of a patient with the same id.

        Parameters
        ----------
        slide_id : str
            The slide's id or file name.

        Returns
        -------
        str
            ``"S-"`` and ten letters or digits.

        Examples
        --------
        >>> len(Pseudonyms(SecretKey(bytes(32))).slide("007.svs"))
        12
        """
        return f"S-{self._code('slide', slide_id)}"

    def _code(self, kind: str, text: str) -> str:
        normal = unicodedata.normalize("NFC", text).strip()
        # surrogateescape: file names that are no UTF-8 have pseudonyms, too
        signed = self._key.sign(f"{kind}\0{normal}".encode(errors="surrogateescape"))
        return base64.b32encode(signed).decode("ascii").casefold()[:_LETTERS]


def load_or_create_key(path: Path | str) -> SecretKey:
    """Read the site's key, or make one where there is none.

    Parameters
    ----------
    path : Path or str
        The key file: 64 hexadecimal digits.  A new one is readable by its owner only, and so is
        its folder where that is new.

    Returns
    -------
    SecretKey
        The key.

    Raises
    ------
    ConfigError
        If the file can be read by others, does not hold a key, or cannot be read or made.

    Notes
    -----
    Of several processes that start at once, one makes the key and the others read it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "key")
    ...     names = Pseudonyms(load_or_create_key(path))
    ...     again = Pseudonyms(load_or_create_key(path))
    >>> names.patient("007") == again.patient("007")
    True
    """
    path = Path(path)
    try:
        return _load(path) if os.path.lexists(path) else _create_once(path)
    except ConfigError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"the pseudonym key {path.name!r} can be neither read nor made: {reason}; "
            "name a place for it with --key"
        ) from error


def _create_once(path: Path) -> SecretKey:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _create(path)
    except FileExistsError:
        return _load(path)


def _create(path: Path) -> SecretKey:
    value = secrets.token_bytes(_KEY_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(value.hex() + "\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return SecretKey(value)


def _load(path: Path) -> SecretKey:
    deadline = time.monotonic() + _WAIT_SECONDS
    text = _read(path)
    # an empty file is a key that another process is about to write
    while not text and time.monotonic() < deadline:
        time.sleep(0.02)
        text = _read(path)
    try:
        value = bytes.fromhex(text.strip())
    except ValueError:
        value = b""
    if len(value) != _KEY_BYTES:
        raise ConfigError(
            f"{path.name!r} does not hold a pseudonym key; expected {2 * _KEY_BYTES} hexadecimal "
            "digits; restore it from a copy, or name another with --key (pseudonyms will differ)"
        )
    return SecretKey(value)


def _read(path: Path) -> str:
    # O_NONBLOCK: opening a pipe without a writer would otherwise wait for ever
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise ConfigError(f"{path.name!r} is not a file; name a key file with --key")
        if state.st_mode & 0o077:
            raise ConfigError(
                f"the pseudonym key {path.name!r} can be read by others (mode "
                f"{stat.S_IMODE(state.st_mode):04o}); chmod 600 it"
            )
        return stream.read(4 * _KEY_BYTES).decode("ascii", errors="replace")
