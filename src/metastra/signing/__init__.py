"""Ed25519 signatures: key files, key ids and lists of keys that are trusted.

A signature is made over plain bytes, with nothing put before or behind them, so that other people's
software can check it: ``openssl pkeyutl -verify -rawin`` takes the same file, key and signature
(RFC 8032).  Whoever signs puts the purpose inside what is signed (the manifests and entries of
metastra start with their schema), so that a signature for one thing never holds for another.

Key files are PEM: PKCS #8 for the private key (readable by its owner alone, without passphrase),
SubjectPublicKeyInfo for the public key beside it.
"""

from __future__ import annotations

from metastra.signing.files import (
    generate_key,
    load_private,
    load_public,
    load_trusted,
    public_path,
)
from metastra.signing.keys import (
    PrivateKey,
    PublicKey,
    TrustList,
    canonical_bytes,
    key_id,
    sign,
    verify,
)

__all__ = [
    "PrivateKey",
    "PublicKey",
    "TrustList",
    "canonical_bytes",
    "generate_key",
    "key_id",
    "load_private",
    "load_public",
    "load_trusted",
    "public_path",
    "sign",
    "verify",
]
