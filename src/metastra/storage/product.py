"""Write a product: one file or several, complete only together with their completion record.

All files and the record are written, verified and synchronised under other names first, so a
full disk leaves the old product as it was.  Then, under a short lock:

1. an opening that names all old and new files replaces the old record: from here on the product
   is not complete;
2. every new file gets its name;
3. files that only the old product had are removed;
4. the new record replaces the opening: the product is complete.

A kill between 1 and 4 leaves an opening, never a record that describes other files; the next write
reads the opening and removes what is not its own.
"""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from metastra.errors import ConfigError, IntegrityError
from metastra.storage.atomic import Staged, Verify, discard, place, stage, write_atomically
from metastra.storage.checking import completeness
from metastra.storage.failures import explained
from metastra.storage.fileops import file_ops
from metastra.storage.locks import commit_lock
from metastra.storage.manifest import Manifest, Recipe, StoredFile
from metastra.storage.migrations import refuse_newer
from metastra.storage.names import clean_files, clean_name, record_path
from metastra.storage.opening import Opening, read_opening
from metastra.storage.part import Write
from metastra.storage.records import owners_of, read_record
from metastra.version import VERSION

__all__ = ["remove_product", "write_product"]


def write_product(
    run_dir: Path,
    name: str,
    recipe: Recipe,
    files: Mapping[str, bytes | Write],
    *,
    tools: Mapping[str, str] | None = None,
    verify: Mapping[str, Verify] | None = None,
) -> Manifest:
    """Write a product and its completion record.

    Where the same product with the same bytes is there already (a second worker was faster),
    nothing is replaced and its record is returned.

    Parameters
    ----------
    run_dir : Path
        The run folder; made where it is missing.
    name : str
        The product.  Its record becomes ``.records/<name>.json``.
    recipe : Recipe
        Kind, parents and settings.
    files : mapping of str to bytes or callable
        By name relative to the run folder: the content, or a function that writes it to a
        stream.
    tools : mapping of str to str, optional
        Versions of programs that took part, beside metastra and Python.
    verify : mapping of str to callable, optional
        Further checks on finished files, by the same names.

    Returns
    -------
    Manifest
        The record.

    Raises
    ------
    ResourceError
        If disk or memory ran out.
    ConfigError
        If a name is refused, a file belongs to another product, or the place cannot be used.
    SchemaError
        If a newer metastra wrote the product that stands there.
    DigestMismatch
        If what is read back is not what was written.
    BusyError
        If the folder of records stays locked.
    ValueError
        If a writer goes back in its file and has no `verify`, or `verify` names another file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = write_product(Path(folder), "n", Recipe(kind="number"), {"n.txt": b"7"})
    ...     print(made.files["n.txt"].size, (Path(folder) / "n.txt").read_bytes())
    1 b'7'
    """
    name = clean_name(name)
    spelled = clean_files(files, product=name)
    checks = {clean_name(file, what="file"): check for file, check in (verify or {}).items()}
    if unknown := sorted(set(checks) - set(spelled.values())):
        raise ValueError(f"verify names files that product {name!r} does not have: {unknown}")
    _refuse_to_replace_newer(run_dir, name)
    with contextlib.ExitStack() as undo:
        staged = {}
        for given, file in spelled.items():
            write = _writer(files[given])
            staged[file] = stage(run_dir / file, write, verify=checks.get(file))
            undo.callback(discard, staged[file])
        manifest = Manifest(
            name=name,
            recipe=recipe,
            files={file: StoredFile(sha256=s.sha256, size=s.size) for file, s in staged.items()},
            tools={"metastra": VERSION, "python": platform.python_version(), **(tools or {})},
            created_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        record = stage(record_path(run_dir, name), _writer(manifest.to_bytes()))
        undo.callback(discard, record)
        with commit_lock(run_dir):
            standing = _same_already(run_dir, manifest)
            if standing is not None:
                return standing
            _commit(run_dir, manifest, staged, record)
        undo.pop_all()
    return manifest


def remove_product(run_dir: Path, name: str) -> bool:
    """Remove a product: its record first, then its files.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    name : str
        The product.

    Returns
    -------
    bool
        Whether there was anything to remove.

    Raises
    ------
    ResourceError, ConfigError
        If a file cannot be removed; the product is then not complete, and calling again goes on.
    DigestMismatch
        If the record is damaged, so that its files are not known.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_product(Path(folder), "n", Recipe(kind="number"), {"n.txt": b"7"})
    ...     print(remove_product(Path(folder), "n"), (Path(folder) / "n.txt").exists())
    True False
    """
    name = clean_name(name)
    if not record_path(run_dir, name).exists():
        return False
    with commit_lock(run_dir):
        read_record(run_dir, name)
        files = _known_files(run_dir, name)
        _open(run_dir, name, files)
        _remove_files(run_dir, files)
        with explained(record_path(run_dir, name)):
            file_ops().unlink(record_path(run_dir, name))
        _sync_folder(record_path(run_dir, name).parent)
    return True


def _commit(
    run_dir: Path, manifest: Manifest, staged: Mapping[str, Staged], record: Staged
) -> None:
    known = _known_files(run_dir, manifest.name)
    _refuse_taken(run_dir, manifest, known)
    _open(run_dir, manifest.name, known | staged.keys())
    for file in staged.values():
        place(file)
    for folder in sorted({file.target.parent for file in staged.values()}):
        _sync_folder(folder)
    _remove_files(run_dir, known - staged.keys())
    place(record)
    _sync_folder(record.target.parent)


def _open(run_dir: Path, name: str, files: AbstractSet[str]) -> None:
    opening = Opening(name=name, files=tuple(sorted(files)))
    write_atomically(record_path(run_dir, name), _writer(opening.to_bytes()))


def _remove_files(run_dir: Path, files: AbstractSet[str]) -> None:
    there = [file for file in sorted(files) if os.path.lexists(run_dir / file)]
    # After a kill another product may have taken the name.
    taken = owners_of(run_dir, there)
    for path in (run_dir / file for file in there if file not in taken):
        with explained(path):
            file_ops().unlink(path)
            file_ops().sync_folder(path.parent)


def _same_already(run_dir: Path, manifest: Manifest) -> Manifest | None:
    _refuse_to_replace_newer(run_dir, manifest.name)
    with contextlib.suppress(IntegrityError):
        standing = read_record(run_dir, manifest.name)
        if (
            standing is not None
            and standing.digest == manifest.digest
            and completeness(run_dir, manifest.name, manifest.recipe)
        ):
            return standing
    return None


def _refuse_to_replace_newer(run_dir: Path, name: str) -> None:
    with contextlib.suppress(IntegrityError):
        standing = read_record(run_dir, name)
        if standing is not None:
            recipe = standing.recipe
            refuse_newer(recipe.kind, recipe.schema_version, where=f"product {name!r}")


def _refuse_taken(run_dir: Path, manifest: Manifest, known: AbstractSet[str]) -> None:
    new = [file for file in manifest.files if file not in known]
    owners = owners_of(run_dir, [file for file in new if os.path.lexists(run_dir / file)])
    for file, owner in owners.items():
        if owner != manifest.name:
            raise ConfigError(
                f"product {manifest.name!r}: the file {file!r} belongs to product {owner!r}; "
                "give one of them another name"
            )


def _known_files(run_dir: Path, name: str) -> frozenset[str]:
    """Files that the standing record or an opening names; a damaged one names none."""
    opening = read_opening(run_dir, name)
    if opening is not None:
        return frozenset(opening.files)
    with contextlib.suppress(IntegrityError):
        manifest = read_record(run_dir, name)
        if manifest is not None:
            return frozenset(manifest.files)
    return frozenset()


def _sync_folder(folder: Path) -> None:
    with explained(folder):
        file_ops().sync_folder(folder)


def _writer(content: bytes | Write) -> Write:
    if not isinstance(content, bytes):
        return content

    def write(stream: BinaryIO) -> None:
        stream.write(content)

    return write
