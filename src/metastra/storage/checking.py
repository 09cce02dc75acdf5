"""Whether a product is complete: its record, its recipe and its files.

That a file exists never means that it is finished.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from metastra.errors import DigestMismatch
from metastra.storage.failures import explained
from metastra.storage.manifest import Manifest, Recipe, StoredFile, differences
from metastra.storage.migrations import refuse_newer
from metastra.storage.records import read_record

__all__ = [
    "Completeness",
    "Depth",
    "changed",
    "check_stream",
    "completeness",
    "is_complete",
    "open_regular",
]

_AGAIN = "the product has to be made again"


class Depth(StrEnum):
    """How closely files are looked at before they count as complete."""

    SIZE = "size"
    """Each file is there with its size; for a quick look over many large files."""
    DIGEST = "digest"
    """Each file's bytes have the recorded digest."""


@dataclass(frozen=True, kw_only=True)
class Completeness:
    """Whether a product is complete, and why not.

    Parameters
    ----------
    reasons : tuple of str
        Why it has to be made (again); empty for a complete product.
    manifest : Manifest or None
        The record that was read, so that nobody has to read it again; None where there is none.
    """

    reasons: tuple[str, ...] = ()
    manifest: Manifest | None = field(default=None, repr=False, compare=False)

    @property
    def complete(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons

    def __bool__(self) -> bool:
        return self.complete


def completeness(
    run_dir: Path, name: str, recipe: Recipe | None = None, *, depth: Depth = Depth.DIGEST
) -> Completeness:
    """Look whether a product is complete, and made as it is wanted.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    name : str
        The product.
    recipe : Recipe, optional
        What it should be made from; without it only its files are looked at.
    depth : Depth
        How closely.

    Returns
    -------
    Completeness
        True in a condition exactly when the product need not be made; else with all reasons.

    Raises
    ------
    SchemaError
        If a newer metastra wrote it: it is neither used nor made again over it.
    ConfigError
        If the name is refused or something may not be read.

    Examples
    --------
    >>> completeness(Path("no such run"), "cohort").reasons
    ('it was never finished',)
    """
    try:
        manifest = read_record(run_dir, name)
    except DigestMismatch as error:
        return Completeness(reasons=(str(error),))
    if manifest is None:
        return Completeness(reasons=("it was never finished",))
    made = manifest.recipe
    refuse_newer(made.kind, made.schema_version, where=f"product {name!r}")
    reasons = list(differences(made, recipe)) if recipe is not None else []
    for file, expected in manifest.files.items():
        try:
            _check_file(run_dir / file, expected, depth=depth)
        except DigestMismatch as error:
            reasons.append(str(error))
    return Completeness(reasons=tuple(reasons), manifest=manifest)


def is_complete(
    run_dir: Path, name: str, recipe: Recipe | None = None, *, depth: Depth = Depth.DIGEST
) -> bool:
    """Whether a product is complete; `completeness` also says why not.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    name : str
        The product.
    recipe : Recipe, optional
        What it should be made from.
    depth : Depth
        How closely its files are looked at.

    Returns
    -------
    bool
        True exactly when it need not be made.

    Raises
    ------
    SchemaError, ConfigError
        As `completeness`.

    Examples
    --------
    >>> is_complete(Path("no such run"), "cohort")
    False
    """
    return bool(completeness(run_dir, name, recipe, depth=depth))


def open_regular(path: Path) -> io.BufferedReader:
    """Open a regular file; a pipe or a device in its place is refused without waiting for it.

    Parameters
    ----------
    path : Path
        A file of a product.

    Returns
    -------
    io.BufferedReader
        Open for reading; the caller closes it.

    Raises
    ------
    DigestMismatch
        If nothing is there, or no regular file.
    OSError
        If it may not be read.

    Examples
    --------
    >>> open_regular(Path("/dev/null"))
    Traceback (most recent call last):
    ...
    metastra.errors.DigestMismatch: /dev/null: this is no regular file; ...
    """
    try:
        stream: io.BufferedReader = io.BufferedReader(io.FileIO(path, "r", opener=_open_at_once))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise DigestMismatch(f"{path}: the file is missing; {_AGAIN}") from error
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise DigestMismatch(f"{path}: this is no regular file; {_AGAIN}")
    return stream


def check_stream(
    stream: io.BufferedReader, path: Path, expected: StoredFile, *, depth: Depth
) -> None:
    """Compare an open file with what its record says.

    Parameters
    ----------
    stream : io.BufferedReader
        At its beginning.
    path : Path
        For the message.
    expected : StoredFile
        Size and digest.
    depth : Depth
        Whether the bytes are digested too; the stream is at its end then.

    Raises
    ------
    DigestMismatch
        If they differ.

    Examples
    --------
    >>> with open_regular(Path(__file__)) as stream:
    ...     check_stream(stream, Path("a"), StoredFile(sha256="0" * 64, size=0), depth=Depth.SIZE)
    Traceback (most recent call last):
    ...
    metastra.errors.DigestMismatch: a: ... bytes, recorded 0; the product has to be made again
    """
    size = os.fstat(stream.fileno()).st_size
    if size != expected.size:
        raise DigestMismatch(f"{path}: {size} bytes, recorded {expected.size}; {_AGAIN}")
    if depth is Depth.DIGEST and hashlib.file_digest(stream, "sha256").hexdigest() != (
        expected.sha256
    ):
        raise changed(path)


def changed(path: Path) -> DigestMismatch:
    """Make the error for a file whose bytes are not those that were finished.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    DigestMismatch
        To be raised.

    Examples
    --------
    >>> print(changed(Path("a.csv")))
    a.csv: another digest than recorded, it was changed after it was finished; the product has ...
    """
    return DigestMismatch(
        f"{path}: another digest than recorded, it was changed after it was finished; {_AGAIN}"
    )


def _check_file(path: Path, expected: StoredFile, *, depth: Depth) -> None:
    with explained(path), open_regular(path) as stream:
        check_stream(stream, path, expected, depth=depth)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
