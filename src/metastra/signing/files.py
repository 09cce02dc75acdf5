"""Key files: made once, read with care, never overwritten."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from metastra.errors import ConfigError
from metastra.signing.keys import PrivateKey, PublicKey, TrustList

__all__ = ["generate_key", "load_private", "load_public", "load_trusted", "public_path"]

_LARGEST_BYTES = 1 << 20
_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s.*?-----END \1-----", re.DOTALL)
_MAKE_ONE = "make one with `metastra lock --new-key FILE`"


def public_path(path: Path) -> Path:
    """Name the public key's file that stands beside a private key's file.

    Parameters
    ----------
    path : Path
        Of the private key.

    Returns
    -------
    Path
        The same name with ``.pub`` behind it.

    Examples
    --------
    >>> public_path(Path("sponsor.pem")).name
    'sponsor.pem.pub'
    """
    return path.with_name(path.name + ".pub")


def generate_key(path: Path) -> PublicKey:
    """Make a key pair: the private key at `path` (mode 0600), the public key beside it.

    Parameters
    ----------
    path : Path
        Of the private key; nothing may be there yet, nor at ``path.pub``.

    Returns
    -------
    PublicKey
        The public half.

    Raises
    ------
    ConfigError
        If a file has one of the names already (a key is never overwritten), or the place cannot
        be written to.

    Examples
    --------
    >>> import tempfile
    >>> from metastra.signing import sign, verify
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "sponsor.pem")
    ...     public = generate_key(path)
    ...     signature = sign(load_private(path), b"text")
    >>> verify(public, b"text", signature), verify(public, b"test", signature)
    (True, False)
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    for taken in (path, public_path(path)):
        if os.path.lexists(taken):
            raise ConfigError(f"{taken} exists; a key is never overwritten, choose another name")
    key = Ed25519PrivateKey.generate()
    private = PrivateKey(key)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(path, pem, mode=0o600)
        try:
            _write_new(public_path(path), private.public.pem.encode(), mode=0o644)
        except OSError:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(f"no key can be written to {path}: {error.strerror or error}") from error
    return private.public


def load_private(path: Path) -> PrivateKey:
    """Read a private key.

    Parameters
    ----------
    path : Path
        PEM, readable by its owner alone.

    Returns
    -------
    PrivateKey
        The key.

    Raises
    ------
    ConfigError
        If there is no such file, others may read it, or it holds no unencrypted Ed25519 key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _read(path, private=True)
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError:
        raise ConfigError(
            f"{path}: the key is encrypted with a passphrase, which is not supported; write it "
            "without one (`openssl pkey -in OLD -out NEW`) to a file that only you can read"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        public = b"PUBLIC KEY" in data
        found = "a public key" if public else "no private key in PEM form"
        raise ConfigError(f"{path}: found {found}; expected an Ed25519 one, {_MAKE_ONE}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: the key is not of the kind Ed25519; {_MAKE_ONE}")
    return PrivateKey(key)


def load_public(source: Path | str) -> PublicKey:
    """Read a public key.

    Parameters
    ----------
    source : Path or str
        A file with one PEM block, or that block as text (it starts with ``-----BEGIN``).

    Returns
    -------
    PublicKey
        The key.

    Raises
    ------
    ConfigError
        If there is no such file, or it does not hold exactly one Ed25519 public key.
    """
    keys, where = _read_publics(source)
    if len(keys) != 1:
        raise ConfigError(f"{where}: found {len(keys)} public keys; expected one")
    return keys[0]


def load_trusted(sources: Iterable[Path | str]) -> TrustList:
    """Read the keys that are trusted.

    Parameters
    ----------
    sources : iterable of Path or str
        Files or texts with one or more PEM blocks each; what stands between the blocks (names,
        dates) is for people.

    Returns
    -------
    TrustList
        Each key once, in the order given.

    Raises
    ------
    ConfigError
        If a source holds no public key, or something else than Ed25519 public keys.
    """
    keys: dict[bytes, PublicKey] = {}
    for source in sources:
        found, where = _read_publics(source)
        if not found:
            raise ConfigError(f"{where}: found no public key in PEM form; {_MAKE_ONE}")
        keys.update({key.raw: key for key in found})
    return TrustList(tuple(keys.values()))


def _read_publics(source: Path | str) -> tuple[list[PublicKey], str]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_public_key,
    )

    if isinstance(source, str) and "-----BEGIN" in source:
        text, where = source, "the text of the key"
    else:
        path = Path(source)
        text, where = _read(path, private=False).decode("ascii", errors="replace"), str(path)
    keys = []
    for block in _PEM_BLOCK.finditer(text):
        if "PRIVATE" in block.group(1):
            raise ConfigError(
                f"{where}: this is a private key; give the public one (its name ends in .pub) and "
                "keep the private one to yourself"
            )
        try:
            key = load_pem_public_key(block.group(0).encode("ascii", errors="replace"))
        except (ValueError, UnsupportedAlgorithm):
            raise ConfigError(f"{where}: a PEM block in it is no public key") from None
        if not isinstance(key, Ed25519PublicKey):
            raise ConfigError(f"{where}: the key is not of the kind Ed25519; {_MAKE_ONE}")
        keys.append(PublicKey(key.public_bytes(Encoding.Raw, PublicFormat.Raw)))
    return keys, where


def _read(path: Path, *, private: bool) -> bytes:
    try:
        # O_NONBLOCK: opening a pipe without a writer would otherwise wait for ever
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        state = os.fstat(descriptor)
    except OSError as error:
        what = "private" if private else "public"
        raise ConfigError(
            f"the {what} key {path} cannot be read: {error.strerror or error}; correct the path, "
            f"or {_MAKE_ONE}"
        ) from error
    if not stat.S_ISREG(state.st_mode):
        os.close(descriptor)
        raise ConfigError(f"{path} is not a file; name a key file")
    with os.fdopen(descriptor, "rb") as stream:
        if private and state.st_mode & 0o077:
            raise ConfigError(
                f"the private key {path} can be read by others (mode "
                f"{stat.S_IMODE(state.st_mode):04o}); chmod 600 it"
            )
        return stream.read(_LARGEST_BYTES)


def _write_new(path: Path, data: bytes, *, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
