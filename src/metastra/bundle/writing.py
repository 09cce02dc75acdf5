"""Put a bundle together, sign it, write it; a locked one is never written over."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from metastra.bundle.contract import Contract
from metastra.bundle.layout import (
    CHANGE_PLAN,
    COMPANIONS,
    CONTRACT,
    DEVELOPMENT,
    ENCODER,
    EXTERNAL,
    FILES_OF_KIND,
    MANIFEST,
    MODEL,
    PLAN,
    POOLED_MODEL,
    SELFTEST,
    SIGNATURE,
    SLIDE_MODEL,
    part_bytes,
)
from metastra.bundle.linear import LinearModel
from metastra.bundle.manifest import Manifest, Seal, Signature, StoredPart
from metastra.bundle.parts import Development, ExternalModel, SelfTest
from metastra.bundle.plans import AnalysisPlan, ChangePlan
from metastra.bundle.slide_parts import SlideParts, companion_bytes
from metastra.digest import digest_bytes
from metastra.errors import ConfigError, LockedError
from metastra.signing import PrivateKey
from metastra.storage.whole import write_bytes
from metastra.version import VERSION

__all__ = ["bundle_files", "refuse_locked", "signed_files", "write_bundle"]


def bundle_files(
    *,
    name: str,
    contract: Contract,
    plan: AnalysisPlan,
    change_plan: ChangePlan,
    development: Development,
    self_test: SelfTest,
    model: LinearModel | ExternalModel,
    parents: Mapping[str, str],
    slides: SlideParts | None = None,
    seed: int | None = None,
    version: int = 1,
    replaces: str | None = None,
) -> dict[str, bytes]:
    """Make the files of a draft.

    Parameters
    ----------
    name : str
        Of the study or model.
    contract, plan, change_plan, development, self_test : Part
        Its statements.
    model : LinearModel or ExternalModel
        Decides the kind.
    parents : mapping of str to str
        Digests of what it was made from.
    slides : SlideParts, optional
        What reads slides; makes the bundle one of kind ``slides``.
    seed : int, optional
        Of the study.
    version : int
        From 1.
    replaces : str, optional
        Digest of the version before.

    Returns
    -------
    dict of str to bytes
        By name; the same for the same arguments.
    """
    kind: Literal["linear", "external", "slides"] = "linear"
    files = {
        CONTRACT: part_bytes(contract),
        PLAN: part_bytes(plan),
        CHANGE_PLAN: part_bytes(change_plan),
        DEVELOPMENT: part_bytes(development),
        SELFTEST: part_bytes(self_test),
    }
    if isinstance(model, LinearModel):
        files[MODEL] = model.to_bytes()
    else:
        kind = "external"
        files[EXTERNAL] = part_bytes(model)
    if slides is not None:
        kind = "slides"
        files[SLIDE_MODEL] = slides.model.to_bytes()
        files[POOLED_MODEL] = slides.pooled.to_bytes()
        files[COMPANIONS] = companion_bytes(slides.companions)
        files[ENCODER] = part_bytes(slides.encoder)
    manifest = Manifest(
        kind=kind,
        name=name,
        version=version,
        replaces=replaces,
        files=_stored(files),
        parents=dict(parents),
        made_with={"metastra": VERSION, "python": platform.python_version()},
        seed=seed,
    )
    return {**files, MANIFEST: part_bytes(manifest)}


def signed_files(
    files: Mapping[str, bytes], manifest: Manifest, private: PrivateKey, *, locked_at: str
) -> dict[str, bytes]:
    """Seal and sign the files of a draft.

    Parameters
    ----------
    files : mapping of str to bytes
        All but manifest and signature are taken from it.
    manifest : Manifest
        Of the draft; sizes and digests are computed anew.
    private : PrivateKey
        The signer's.
    locked_at : str
        UTC, ``YYYY-MM-DDTHH:MM:SSZ``, by the signer's clock.

    Returns
    -------
    dict of str to bytes
        The whole locked bundle.
    """
    kept = {name: files[name] for name in sorted(FILES_OF_KIND[manifest.kind])}
    seal = Seal(key_id=private.public.key_id, locked_at=locked_at)
    sealed = manifest.model_copy(update={"files": _stored(kept), "locked": seal})
    signature = Signature.over(sealed, private)
    return {**kept, MANIFEST: part_bytes(sealed), SIGNATURE: part_bytes(signature)}


def refuse_locked(folder: Path, what: str) -> None:
    """Refuse to go on where a locked bundle stands.

    Parameters
    ----------
    folder : Path
        Of the bundle.
    what : str
        What would change it, as half a sentence.

    Raises
    ------
    LockedError
        If there is a signature.
    """
    if (folder / SIGNATURE).exists() or (folder / SIGNATURE).is_symlink():
        raise LockedError(
            f"{folder}: the bundle is locked and would be changed: {what}; copy the folder away "
            "and remove it here to make a new one, which gets a higher version with --replaces"
        )


def write_bundle(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a bundle to a folder of its own, its manifest last.

    Parameters
    ----------
    folder : Path
        Made when it is missing; nothing may be in it.
    files : mapping of str to bytes
        The bundle.

    Raises
    ------
    LockedError
        If a locked bundle is there.
    ConfigError
        If something else is there, or it cannot be written.
    ResourceError
        If the disk is full.
    """
    refuse_locked(folder, "another would be written over it")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is not empty; name a new folder for the bundle")
    for name in sorted(files, key=lambda name: (name == MANIFEST, name)):
        write_bytes(folder / name, files[name])


def _stored(files: Mapping[str, bytes]) -> dict[str, StoredPart]:
    return {
        name: StoredPart(sha256=digest_bytes(data), size=len(data)) for name, data in files.items()
    }
