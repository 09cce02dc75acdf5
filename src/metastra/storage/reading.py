"""Read products: what is handed out has the recorded digest."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, BinaryIO

from metastra.digest import digest_bytes
from metastra.errors import ConfigError, SchemaError
from metastra.storage.checking import Depth, changed, check_stream, open_regular
from metastra.storage.encode import parse_json
from metastra.storage.failures import explained
from metastra.storage.manifest import Manifest
from metastra.storage.migrations import migrate
from metastra.storage.names import clean_name
from metastra.storage.records import finished_record

__all__ = ["open_product", "read_product_bytes", "read_product_json"]


def open_product(run_dir: Path, name: str, file: str | None = None) -> BinaryIO:
    """Open a file of a product after its digest was found right.

    The digest is taken through the very stream that is returned, so the file cannot be another
    one by then.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    name : str
        The product.
    file : str, optional
        Relative to the run folder; may be left out where the product has one file.

    Returns
    -------
    BinaryIO
        At its beginning; the caller closes it.

    Raises
    ------
    IntegrityError
        If the product was never finished.
    DigestMismatch
        If the record or the file is not as it was written.
    SchemaError
        If a newer metastra wrote it.
    ConfigError
        If the product has no such file, or it may not be read.
    """
    manifest = finished_record(run_dir, name)
    file = _pick(manifest, file)
    path, expected = run_dir / file, manifest.files[file]
    with contextlib.ExitStack() as undo, explained(path):
        stream = undo.enter_context(open_regular(path))
        check_stream(stream, path, expected, depth=Depth.DIGEST)
        stream.seek(0)
        undo.pop_all()
    return stream


def read_product_bytes(run_dir: Path, name: str, file: str | None = None) -> bytes:
    """Read a file of a product whole; what is returned has the recorded digest.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    name : str
        The product.
    file : str, optional
        Relative to the run folder; may be left out where the product has one file.

    Returns
    -------
    bytes
        The content.

    Raises
    ------
    IntegrityError, DigestMismatch, SchemaError, ConfigError
        As `open_product`.
    """
    return _read_verified(run_dir, finished_record(run_dir, name), file)


def read_product_json(run_dir: Path, name: str, file: str | None = None) -> dict[str, Any]:
    """Read a JSON product in the present layout of its kind.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    name : str
        The product.
    file : str, optional
        Relative to the run folder; may be left out where the product has one file.

    Returns
    -------
    dict
        The document; an older one is brought to the present layout, the file stays as it is.

    Raises
    ------
    SchemaError
        If a newer metastra wrote it, or it is no JSON object.
    IntegrityError, DigestMismatch, ConfigError
        As `open_product`.
    """
    manifest = finished_record(run_dir, name)
    data = _read_verified(run_dir, manifest, file)
    try:
        document = parse_json(data)
    except ValueError as error:
        raise SchemaError(f"product {name!r} is no strict JSON: {error}") from error
    if not isinstance(document, dict):
        raise SchemaError(f"product {name!r} holds a {type(document).__name__}, expected an object")
    return migrate(manifest.recipe.kind, manifest.recipe.schema_version, document)


def _pick(manifest: Manifest, file: str | None) -> str:
    if file is None and len(manifest.files) == 1:
        return next(iter(manifest.files))
    if file is not None:
        file = clean_name(file, what="file")
        if file in manifest.files:
            return file
    names = ", ".join(map(repr, manifest.files))
    asked = "no file was named" if file is None else f"there is no file {file!r}"
    raise ConfigError(f"product {manifest.name!r}: {asked}; it has {names}")


def _read_verified(run_dir: Path, manifest: Manifest, file: str | None) -> bytes:
    file = _pick(manifest, file)
    path, expected = run_dir / file, manifest.files[file]
    with explained(path, needed_bytes=expected.size), open_regular(path) as stream:
        # The size first: a file that grew is not read into memory.
        check_stream(stream, path, expected, depth=Depth.SIZE)
        data = stream.read()
    if digest_bytes(data) != expected.sha256:
        raise changed(path)
    return data
