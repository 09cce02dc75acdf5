"""Read the files of a bundle once, without following a link, opening a device or trusting a size.

What is read here is what is checked and used afterwards: the bytes are held, so that nothing can
change between the check and the use.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from metastra.bundle.layout import (
    FILES_OF_KIND,
    LARGEST_JSON_BYTES,
    LARGEST_TENSOR_BYTES,
    MANIFEST,
    MOST_ENTRIES,
    SIGNATURE,
)
from metastra.bundle.manifest import Manifest, Signature, read_manifest, read_signature
from metastra.catalogue import problem
from metastra.digest import digest_bytes
from metastra.errors import BundleError, Problem, Where

__all__ = ["FolderReading", "read_folder"]

_KNOWN = frozenset({MANIFEST, SIGNATURE}).union(*FILES_OF_KIND.values())


@dataclass(frozen=True, kw_only=True)
class FolderReading:
    """What a folder holds.

    Parameters
    ----------
    files : dict of str to bytes
        The readable files of known names.
    manifest : Manifest or None
        None when it cannot be read.
    signature : Signature or None
        None when there is none, or it cannot be read.
    problems : tuple of Problem
        Everything that is wrong with files, digests and signature.
    """

    files: dict[str, bytes] = field(repr=False)
    manifest: Manifest | None
    signature: Signature | None
    problems: tuple[Problem, ...]


def read_folder(path: Path) -> FolderReading:
    """Read a bundle's folder and compare it with its manifest.

    Parameters
    ----------
    path : Path
        The folder.

    Returns
    -------
    FolderReading
        With every problem: BU001 to BU009 and BU012.  That a bundle is unsigned is no problem
        here unless its manifest says that it was locked (BU011).
    """
    problems: list[Problem] = []
    names = _entries(path, problems)
    files: dict[str, bytes] = {}
    for name in names:
        if name not in _KNOWN:
            # the name is the sender's and may be long or full of control characters
            problems.append(_at("BU002", _shown(name), "it cannot be part of a bundle"))
            continue
        data = _read(path / name, name, problems)
        if data is not None:
            files[name] = data
    if not names and problems:
        return FolderReading(files=files, manifest=None, signature=None, problems=tuple(problems))
    manifest = signature = None
    if MANIFEST not in files and not any(p.where.file == MANIFEST for p in problems):
        problems.append(_at("BU001", MANIFEST, "there is no manifest in the folder"))
    try:
        manifest = read_manifest(files[MANIFEST]) if MANIFEST in files else None
    except BundleError as error:
        problems += error.problems
    try:
        signature = read_signature(files[SIGNATURE]) if SIGNATURE in files else None
    except BundleError as error:
        problems += error.problems
    if manifest is not None:
        problems += _compare(manifest, files, problems)
        if signature is not None:
            problems += signature.problems(manifest, files[MANIFEST])
        elif manifest.locked is not None and SIGNATURE not in files:
            found = f"the manifest says that {manifest.locked.key_id} locked it"
            problems.append(_at("BU011", SIGNATURE, found))
    return FolderReading(
        files=files, manifest=manifest, signature=signature, problems=tuple(problems)
    )


def _entries(path: Path, problems: list[Problem]) -> list[str]:
    """List the folder; nothing is opened."""
    try:
        if not path.is_dir():
            found = "this is a file" if path.exists() else "there is nothing"
            raise NotADirectoryError(f"{found}; a bundle is a folder that holds {MANIFEST}")
        names: list[str] = []
        with os.scandir(path) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) > MOST_ENTRIES:
                    found = f"more than {MOST_ENTRIES} entries"
                    problems.append(_at("BU007", path.name, found))
                    return []
    except OSError as error:
        text = str(error) if isinstance(error, NotADirectoryError) else error.strerror
        problems.append(_at("BU001", path.name, str(text)))
        return []
    if not names:
        problems.append(_at("BU001", path.name, "the folder is empty"))
    return sorted(names)


def _read(path: Path, name: str, problems: list[Problem]) -> bytes | None:
    largest = LARGEST_TENSOR_BYTES if name.endswith(".safetensors") else LARGEST_JSON_BYTES
    try:
        # no link is followed, and a pipe is not waited for
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        kind = "a link" if path.is_symlink() else str(error.strerror)
        problems.append(_at("BU005", name, kind))
        return None
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        os.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(state.st_mode) else "a pipe or a device"
        problems.append(_at("BU005", name, kind))
        return None
    with os.fdopen(descriptor, "rb") as stream:
        data = stream.read(largest + 1) if state.st_size <= largest else None
    if data is None or len(data) > largest:
        problems.append(_at("BU007", name, f"{state.st_size} bytes; the limit is {largest}"))
        return None
    return data


def _compare(manifest: Manifest, files: dict[str, bytes], earlier: list[Problem]) -> list[Problem]:
    """Recompute every size and digest."""
    named = {item.where.file for item in earlier}
    problems = []
    for name, stored in sorted(manifest.files.items()):
        data = files.get(name)
        if data is None:
            if name not in named:
                problems.append(_at("BU003", name, "the manifest names it"))
        elif len(data) != stored.size:
            problems.append(_at("BU004", name, f"{len(data)} bytes, {stored.size} in the manifest"))
        elif digest_bytes(data) != stored.sha256:
            problems.append(_at("BU004", name, "another SHA-256 than in the manifest"))
    outside = set(files) - set(manifest.files) - {MANIFEST, SIGNATURE}
    problems += [_at("BU002", name, "the manifest does not name it") for name in sorted(outside)]
    return problems


def _at(code: str, name: str, found: str) -> Problem:
    return problem(code, found, where=Where(file=name))


def _shown(name: str) -> str:
    text = name.encode("utf-8", "replace").decode()
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[:80]
