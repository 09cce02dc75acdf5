"""The manifest of a bundle and its signature."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from metastra.bundle.contract import Words
from metastra.bundle.layout import (
    FILES_OF_KIND,
    MANIFEST,
    SIGNATURE,
    Part,
    canonical_json_value,
    part_bytes,
    read_part,
)
from metastra.catalogue import problem
from metastra.digest import digest_bytes
from metastra.errors import BundleError, Problem, Where
from metastra.signing import PrivateKey, load_public, sign, verify

__all__ = ["Manifest", "Seal", "Signature", "StoredPart", "read_manifest", "read_signature"]

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
KeyId = Annotated[str, StringConstraints(pattern=r"^ed25519:[0-9a-f]{32}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]

_FORMAT = re.compile(r"metastra-bundle-([0-9]{1,6})")
_NEWEST_FORMAT = 1


class StoredPart(Part):
    """Size and digest of one file."""

    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class Seal(Part):
    """Who locked a bundle, and when by the signer's clock."""

    key_id: KeyId
    locked_at: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]


class Manifest(Part):
    """``bundle.json``."""

    format: Literal["metastra-bundle-1"] = "metastra-bundle-1"
    kind: Literal["linear", "external", "slides"]
    name: Name
    """Of the study or the model; versions are counted within it."""
    version: Annotated[int, Field(ge=1)] = 1
    """Grows with every change."""
    replaces: Digest | None = None
    """Digest of the version before."""
    files: dict[str, StoredPart]
    parents: dict[str, str]
    """Digests of what it was made from: study, cohort, splits."""
    made_with: dict[str, str]
    """Versions of the software."""
    seed: Annotated[int, Field(ge=0)] | None = None
    """Of the study: folds and resampling."""
    locked: Seal | None = None
    note: Words = "Research use only. Not for diagnosis or treatment."

    @property
    def digest(self) -> str:
        """``"sha256:…"`` over the manifest's bytes, and so over the whole bundle."""
        return f"sha256:{digest_bytes(part_bytes(self))}"


class Signature(Part):
    """``signature.json``: an Ed25519 signature over the bytes of ``bundle.json``."""

    format: Literal["metastra-signature-1"] = "metastra-signature-1"
    algorithm: Literal["Ed25519"] = "Ed25519"
    signed: Literal["bundle.json"] = "bundle.json"
    key_id: KeyId
    public_key: str
    signature: str

    @classmethod
    def over(cls, manifest: Manifest, private: PrivateKey) -> Signature:
        """Sign a manifest.

        Parameters
        ----------
        manifest : Manifest
            Locked with the same key.
        private : PrivateKey
            The signer's.

        Returns
        -------
        Signature
            Over the bytes that `part_bytes` gives.
        """
        return cls(
            key_id=private.public.key_id,
            public_key=private.public.pem,
            signature=sign(private, part_bytes(manifest)),
        )

    def problems(self, manifest: Manifest, data: bytes) -> list[Problem]:
        """Check that the signature holds.

        Parameters
        ----------
        manifest : Manifest
            As parsed.
        data : bytes
            The bytes of ``bundle.json``.

        Returns
        -------
        list of Problem
            BU012; empty when it holds.
        """
        try:
            public = load_public(self.public_key)
        except ValueError:
            return [_unsound("the public key in it is none")]
        if public.pem != self.public_key or public.key_id != self.key_id:
            return [_unsound("key and key id do not belong together")]
        if manifest.locked is None:
            return [_unsound("it stands beside a manifest that is not locked")]
        if manifest.locked.key_id != self.key_id:
            other = manifest.locked.key_id
            return [_unsound(f"signed by {self.key_id}, but the manifest was locked by {other}")]
        if not verify(public, data, self.signature):
            return [_unsound("it does not belong to this bundle.json")]
        return []


def _unsound(found: str) -> Problem:
    return problem("BU012", found, where=Where(file=SIGNATURE))


def read_manifest(data: bytes) -> Manifest:
    """Read a manifest and hold it against its layout and its kind's list of files.

    Parameters
    ----------
    data : bytes
        Of ``bundle.json``.

    Returns
    -------
    Manifest
        Sound in itself.

    Raises
    ------
    BundleError
        BU006 for names that cannot be part of a bundle, BU008 another layout, BU009 a newer one.
    """
    value = canonical_json_value(MANIFEST, data)
    if isinstance(value, Mapping):
        form = _FORMAT.fullmatch(str(value.get("format")))
        if form is not None and int(form[1]) > _NEWEST_FORMAT:
            found = f"format {value['format']}; this version reads metastra-bundle-{_NEWEST_FORMAT}"
            newer = problem("BU009", found, where=Where(file=MANIFEST))
            raise BundleError("the bundle cannot be read", [newer])
    manifest = read_part(Manifest, MANIFEST, data)
    known = FILES_OF_KIND[manifest.kind]
    where = Where(file=MANIFEST)
    problems = [
        problem("BU006", f"it names {name!r}", where=where, expected=", ".join(sorted(known)))
        for name in sorted(set(manifest.files) - known)
    ]
    problems += [
        problem(
            "BU003", f"the manifest of kind {manifest.kind} does not name it", where=Where(file=n)
        )
        for n in sorted(known - set(manifest.files))
    ]
    if problems:
        raise BundleError("the bundle cannot be read", problems)
    return manifest


def read_signature(data: bytes) -> Signature:
    """Read a signature.

    Parameters
    ----------
    data : bytes
        Of ``signature.json``.

    Returns
    -------
    Signature
        Not yet checked.

    Raises
    ------
    BundleError
        BU008, if it has another layout.
    """
    return read_part(Signature, SIGNATURE, data)
