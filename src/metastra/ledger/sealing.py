"""Sealing predictions: only the holder of the custodian's private key can open them.

A box is made with a fresh X25519 key against the custodian's public key (RFC 7748), HKDF-SHA256
(RFC 5869) and ChaCha20-Poly1305 (RFC 8439).  It is bound to its context (study, centre, patient),
so a box moved to another patient does not open.  Who seals keeps nothing with which to open.
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from metastra.digest import canonical_json, digest_bytes
from metastra.errors import ConfigError, IntegrityError
from metastra.storage import parse_json, write_bytes
from metastra.storage.failures import explained

__all__ = [
    "load_custodian_private",
    "load_custodian_public",
    "make_custodian_key",
    "open_box",
    "public_text",
    "seal",
]

_INFO = b"metastra.ledger.box/1"
_KEY, _NONCE, _BLOCK = 32, 12, 512


def make_custodian_key(private: Path, public: Path) -> None:
    """Make the custodian's pair of keys.

    Parameters
    ----------
    private : Path
        PEM, readable by its owner alone; it must not lie with the study.
    public : Path
        PEM, for the protocol.

    Raises
    ------
    ConfigError
        If a file of that name is there already: a lost key cannot be made again.
    ResourceError
        If the disk is full.
    """
    taken = [path.name for path in (private, public) if os.path.lexists(path)]
    if taken:
        raise ConfigError(
            f"{' and '.join(taken)} exist already and are not overwritten; what was sealed for "
            "a key opens with that key only; choose other names"
        )
    key = X25519PrivateKey.generate()
    data = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_bytes(private, data)
    write_bytes(public, public_text(key.public_key()).encode())


def public_text(key: X25519PublicKey) -> str:
    """Write a public key as PEM text.

    Parameters
    ----------
    key : X25519PublicKey
        Of the custodian.

    Returns
    -------
    str
        PEM.
    """
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def load_custodian_public(text: str) -> X25519PublicKey:
    """Read the custodian's public key.

    Parameters
    ----------
    text : str
        PEM.

    Returns
    -------
    X25519PublicKey
        The key.

    Raises
    ------
    ConfigError
        If it is another kind of key, or none.
    """
    try:
        key = serialization.load_pem_public_key(text.encode())
    except ValueError:
        key = None
    if not isinstance(key, X25519PublicKey):
        raise ConfigError(
            "the custodian's key is not an X25519 public key in PEM; "
            "`metastra prospective keys` makes one"
        )
    return key


def load_custodian_private(path: Path) -> X25519PrivateKey:
    """Read the custodian's private key.

    Parameters
    ----------
    path : Path
        PEM without a password.

    Returns
    -------
    X25519PrivateKey
        The key.

    Raises
    ------
    ConfigError
        If the file can be read by others, or holds something else.
    """
    with explained(path):
        mode, data = path.stat().st_mode, path.read_bytes()
    if mode & 0o077:
        raise ConfigError(
            f"the custodian's key {path.name!r} can be read by others (mode "
            f"{stat.S_IMODE(mode):04o}); chmod 600 it"
        )
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, X25519PrivateKey):
        raise ConfigError(f"{path.name!r} does not hold an X25519 private key in PEM")
    return key


def seal(content: Mapping[str, Any], *, to: X25519PublicKey, context: str) -> str:
    """Seal a value.

    Parameters
    ----------
    content : mapping
        Strict JSON.
    to : X25519PublicKey
        Of the custodian.
    context : str
        What the box belongs to.

    Returns
    -------
    str
        Base64 of ephemeral public key, nonce and cipher text.

    Examples
    --------
    >>> key = X25519PrivateKey.generate()
    >>> box = seal({"risk": 0.1}, to=key.public_key(), context="north")
    >>> open_box(box, key, context="north")
    {'risk': 0.1}
    """
    ephemeral = X25519PrivateKey.generate()
    mine = ephemeral.public_key().public_bytes_raw()
    cipher = _cipher(ephemeral.exchange(to), mine, to.public_bytes_raw())
    nonce = os.urandom(_NONCE)
    inside = canonical_json(dict(content)).encode()
    # padded, so that the length of a box does not tell how many digits a risk has
    padded = inside.ljust(-(-len(inside) // _BLOCK) * _BLOCK)
    text = cipher.encrypt(nonce, padded, context.encode())
    return base64.b64encode(mine + nonce + text).decode("ascii")


def open_box(box: str, key: X25519PrivateKey, *, context: str) -> dict[str, Any]:
    """Open a box.

    Parameters
    ----------
    box : str
        What `seal` gave.
    key : X25519PrivateKey
        Of the custodian.
    context : str
        What the box belongs to.

    Returns
    -------
    dict
        The value.

    Raises
    ------
    IntegrityError
        If the key is another one, the box was changed or belongs to something else.
    """
    try:
        data = base64.b64decode(box, validate=True)
        theirs = data[:_KEY]
        nonce, text = data[_KEY : _KEY + _NONCE], data[_KEY + _NONCE :]
        shared = key.exchange(X25519PublicKey.from_public_bytes(theirs))
        cipher = _cipher(shared, theirs, key.public_key().public_bytes_raw())
        value = parse_json(cipher.decrypt(nonce, text, context.encode()))
    except (ValueError, InvalidTag) as error:
        raise IntegrityError(
            "the sealed prediction does not open: it was sealed for another custodian's key "
            f"than {digest_bytes(key.public_key().public_bytes_raw())[:16]}, changed, or moved "
            "from another patient"
        ) from error
    return dict(value)


def _cipher(shared: bytes, ephemeral: bytes, recipient: bytes) -> ChaCha20Poly1305:
    derived = HKDF(
        algorithm=hashes.SHA256(), length=32, salt=None, info=_INFO + ephemeral + recipient
    ).derive(shared)
    return ChaCha20Poly1305(derived)
