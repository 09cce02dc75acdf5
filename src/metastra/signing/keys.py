"""Keys as values: signing bytes, checking signatures, lists of keys that are trusted."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metastra.digest import canonical_json
from metastra.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

__all__ = [
    "PrivateKey",
    "PublicKey",
    "TrustList",
    "canonical_bytes",
    "key_id",
    "sign",
    "verify",
]

_RAW_BYTES = 32
_SIGNATURE_BYTES = 64


class PrivateKey:
    """A private key that never shows itself.

    Parameters
    ----------
    key : Ed25519PrivateKey
        Of the `cryptography` package.
    """

    __slots__ = ("_key",)

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def __repr__(self) -> str:
        return f"PrivateKey(of {self.public.key_id})"

    def __reduce__(self) -> str:
        raise TypeError("a private key is not written to disk or sent to another process")

    @property
    def public(self) -> PublicKey:
        """The public key that belongs to it."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return PublicKey(raw)

    def sign(self, data: bytes) -> bytes:
        """Sign bytes (Ed25519, RFC 8032; deterministic).

        Parameters
        ----------
        data : bytes
            Any bytes.

        Returns
        -------
        bytes
            64 bytes.
        """
        return self._key.sign(data)


@dataclass(frozen=True)
class PublicKey:
    """A public key.

    Parameters
    ----------
    raw : bytes
        The 32 bytes of RFC 8032.

    Examples
    --------
    >>> PublicKey(bytes(range(32))).key_id
    'ed25519:630dcd2966c4336691125448bbb25b4f'
    """

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != _RAW_BYTES:
            raise ConfigError(
                f"an Ed25519 public key has {_RAW_BYTES} bytes; this one has {len(self.raw)}"
            )

    def __repr__(self) -> str:
        return f"PublicKey({self.key_id})"

    @property
    def key_id(self) -> str:
        """``"ed25519:"`` and the first 128 bits of the SHA-256 of the raw key."""
        return f"ed25519:{hashlib.sha256(self.raw).hexdigest()[:32]}"

    @property
    def pem(self) -> str:
        """The key as a PEM block that ends with a line feed."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self._key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Check a signature over bytes.

        Parameters
        ----------
        data : bytes
            What was signed.
        signature : bytes
            64 bytes.

        Returns
        -------
        bool
            Whether this key signed exactly these bytes.
        """
        from cryptography.exceptions import InvalidSignature

        try:
            self._key().verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def _key(self) -> Ed25519PublicKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        return Ed25519PublicKey.from_public_bytes(self.raw)


@dataclass(frozen=True)
class TrustList:
    """Public keys whose signatures are believed.

    Parameters
    ----------
    keys : tuple of PublicKey
        Each once.
    """

    keys: tuple[PublicKey, ...] = ()

    def __iter__(self) -> Iterator[PublicKey]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, wanted: str) -> PublicKey | None:
        """Find a key by its id.

        Parameters
        ----------
        wanted : str
            As `key_id` writes it.

        Returns
        -------
        PublicKey or None
            None if it is not trusted.
        """
        return next((key for key in self.keys if key.key_id == wanted), None)


def canonical_bytes(value: object) -> bytes:
    r"""Write a value in the one form that is signed: canonical JSON in UTF-8.

    Parameters
    ----------
    value : object
        What `metastra.digest.canonical_json` takes.

    Returns
    -------
    bytes
        Without a line feed at the end.

    Raises
    ------
    ValueError, TypeError
        As `metastra.digest.canonical_json`.

    Examples
    --------
    >>> canonical_bytes({"b": 1, "a": "ä"})
    b'{"a":"\xc3\xa4","b":1}'
    """
    return canonical_json(value).encode()


def key_id(public: PublicKey) -> str:
    """Give the short name of a public key.

    Parameters
    ----------
    public : PublicKey
        Any.

    Returns
    -------
    str
        ``"ed25519:"`` and 32 hexadecimal digits.
    """
    return public.key_id


def sign(private: PrivateKey, data: bytes) -> str:
    """Sign bytes.

    Parameters
    ----------
    private : PrivateKey
        The signer's.
    data : bytes
        Any bytes.

    Returns
    -------
    str
        The 64 bytes of the signature in base64.
    """
    return base64.b64encode(private.sign(data)).decode("ascii")


def verify(public: PublicKey, data: bytes, signature: str) -> bool:
    """Check a signature.

    Parameters
    ----------
    public : PublicKey
        The signer's.
    data : bytes
        What was signed.
    signature : str
        As `sign` writes it.

    Returns
    -------
    bool
        Whether the key signed exactly these bytes; False as well for text that is no signature.

    Examples
    --------
    >>> verify(PublicKey(bytes(32)), b"", "no signature")
    False
    """
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    # one spelling only: base64 that decodes to the same bytes but is written otherwise is refused
    if len(raw) != _SIGNATURE_BYTES or base64.b64encode(raw).decode("ascii") != signature:
        return False
    return public.verify(data, raw)
