"""The completion records of a run: which products are there, and what they can be parents of."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from metastra.digest import digest_file
from metastra.errors import ConfigError, DigestMismatch, IntegrityError, SchemaError
from metastra.storage.encode import json_bytes
from metastra.storage.failures import explained
from metastra.storage.manifest import Manifest, Origin, Parent
from metastra.storage.migrations import refuse_newer
from metastra.storage.names import clean_name, record_path, records_folder
from metastra.storage.opening import Opening, read_opening

__all__ = [
    "file_parent",
    "finished_record",
    "half_written",
    "owner_of",
    "owners_of",
    "product_names",
    "product_parent",
    "read_record",
    "value_parent",
]


def read_record(run_dir: Path, name: str) -> Manifest | None:
    """Read the completion record of a product.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    name : str
        The product.

    Returns
    -------
    Manifest or None
        None if the product was never finished.

    Raises
    ------
    DigestMismatch
        If the record is damaged or belongs to another product.
    SchemaError
        If a newer metastra wrote it in a layout this one does not know.
    ConfigError
        If the name is refused or the record may not be read.

    Examples
    --------
    >>> read_record(Path("no such run"), "cohort") is None
    True
    """
    return _read_record_file(record_path(run_dir, name), clean_name(name))


def finished_record(run_dir: Path, name: str) -> Manifest:
    """Read the record of a product that has to be there.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    name : str
        The product.

    Returns
    -------
    Manifest
        Of a layout that this metastra knows; the files are not looked at.

    Raises
    ------
    IntegrityError
        If the product was never finished.
    DigestMismatch
        If the record is damaged or belongs to another product.
    SchemaError
        If a newer metastra wrote it.

    Examples
    --------
    >>> finished_record(Path("no such run"), "cohort")
    Traceback (most recent call last):
    ...
    metastra.errors.IntegrityError: product 'cohort' has no completion record in no such run: ...
    """
    manifest = read_record(run_dir, name)
    if manifest is None:
        raise IntegrityError(
            f"product {name!r} has no completion record in {run_dir}: it was never finished; "
            "run the step that makes it"
        )
    refuse_newer(manifest.recipe.kind, manifest.recipe.schema_version, where=f"product {name!r}")
    return manifest


def product_names(run_dir: Path) -> tuple[str, ...]:
    """List the products of a run that have a completion record.

    Parameters
    ----------
    run_dir : Path
        The run folder.

    Returns
    -------
    tuple of str
        Sorted; whether their files are as recorded is not looked at.

    Raises
    ------
    ConfigError
        If the records may not be listed.

    Examples
    --------
    >>> product_names(Path("no such run"))
    ()
    """
    return tuple(name for name in _recorded(run_dir) if read_opening(run_dir, name) is None)


def half_written(run_dir: Path) -> tuple[str, ...]:
    """List the products that are being written or removed, or were when a process was killed.

    Parameters
    ----------
    run_dir : Path
        The run folder.

    Returns
    -------
    tuple of str
        Sorted; for who holds the folder, all of them are left over from a kill.

    Raises
    ------
    ConfigError
        If the records may not be listed.

    Examples
    --------
    >>> half_written(Path("no such run"))
    ()
    """
    return tuple(name for name in _recorded(run_dir) if read_opening(run_dir, name) is not None)


def _recorded(run_dir: Path) -> list[str]:
    folder = records_folder(run_dir)
    with explained(folder):
        found = [path for path in folder.rglob("*.json") if not path.name.startswith(".")]
    return sorted(path.relative_to(folder).as_posix().removesuffix(".json") for path in found)


def owner_of(run_dir: Path, file: str) -> str | None:
    """Find the product that a file of the run belongs to.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    file : str
        Relative to the run folder.

    Returns
    -------
    str or None
        The product's name; None if no readable record names the file.

    Raises
    ------
    ConfigError
        If the name is refused.

    Examples
    --------
    >>> owner_of(Path("no such run"), "cohort.csv") is None
    True
    """
    return owners_of(run_dir, [file]).get(clean_name(file, what="file"))


def owners_of(run_dir: Path, files: Iterable[str]) -> dict[str, str]:
    """Find the products that some files of the run belong to, in one pass over the records.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    files : iterable of str
        Relative to the run folder.

    Returns
    -------
    dict of str to str
        From a file to its product; files that no readable record names are not in it.

    Raises
    ------
    ConfigError
        If a name is refused, or the records may not be listed.

    Examples
    --------
    >>> owners_of(Path("no such run"), ["cohort.csv"])
    {}
    """
    written = {
        name: json_bytes(name).strip() for name in (clean_name(f, what="file") for f in files)
    }
    owners: dict[str, str] = {}
    for product in _recorded(run_dir) if written else ():
        # a record is only read as one where it holds the name: there may be tens of thousands
        with contextlib.suppress(OSError, IntegrityError, SchemaError):
            data = record_path(run_dir, product).read_bytes()
            named = [name for name, needle in written.items() if needle in data]
            manifest = read_record(run_dir, product) if named else None
            if manifest is not None:
                owners |= {name: product for name in named if name in manifest.files}
    return owners


def product_parent(run_dir: Path, name: str) -> Parent:
    """Name a finished product of the same run as a parent.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    name : str
        The product.

    Returns
    -------
    Parent
        With its digest as recorded.

    Raises
    ------
    IntegrityError, DigestMismatch, SchemaError, ConfigError
        If it was never finished, or its record cannot be used.
    """
    return Parent(
        origin=Origin.PRODUCT, ref=clean_name(name), digest=finished_record(run_dir, name).digest
    )


def file_parent(run_dir: Path, path: Path) -> Parent:
    """Name a file of the user as a parent, by its way from the run folder.

    The way is stored: a file whose name holds a patient's study id is named with `value_parent`
    and a pseudonym instead.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    path : Path
        A regular file.

    Returns
    -------
    Parent
        With the digest of its bytes.

    Raises
    ------
    ConfigError
        If there is no such file or it may not be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = Path(folder) / "study.toml"
    ...     _ = study.write_bytes(b"")
    ...     file_parent(Path(folder) / "run", study).ref
    '../study.toml'
    """
    with explained(path):
        # A pipe or a device would never end.
        if not path.is_file():
            raise ConfigError(f"{path}: no such file; correct the path")
        ref = Path(os.path.relpath(path, run_dir)).as_posix()
        return Parent(origin=Origin.FILE, ref=ref, digest=digest_file(path))


def value_parent(ref: str, digest: str) -> Parent:
    """Name something as a parent that is no file here: a study, weights, a slide by pseudonym.

    Parameters
    ----------
    ref : str
        A word for it.
    digest : str
        SHA-256 of its content.

    Returns
    -------
    Parent
        Whose present state cannot be looked up from the run folder.

    Raises
    ------
    ValueError
        If the digest is none.

    Examples
    --------
    >>> str(value_parent("encoder weights", "0" * 64).origin)
    'value'
    """
    return Parent(origin=Origin.VALUE, ref=ref, digest=digest)


def _read_record_file(path: Path, name: str) -> Manifest | None:
    where = f"the record of product {name!r}"
    with explained(path):
        try:
            data = path.read_bytes() if path.is_file() else None
        except FileNotFoundError:
            data = None
    if data is None or Opening.from_bytes(data) is not None:
        return None
    manifest = Manifest.from_bytes(data, where=where)
    if manifest.name != name:
        raise DigestMismatch(f"{where} belongs to product {manifest.name!r}; make it again")
    return manifest
