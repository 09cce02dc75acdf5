"""Names of products and files: which are taken, and where the record of a product lies."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from metastra.errors import ConfigError

__all__ = ["clean_files", "clean_name", "record_path", "records_folder"]

_RECORDS = ".records"
_RECORD = ".json"
_LONGEST_PART_BYTES = 240
"""File systems end at 255 bytes; the rest is room for the record's ending."""


def clean_name(name: str, *, what: str = "product") -> str:
    """Give a name its one spelling, or refuse it.

    A name is a relative path with forward slashes.  It is brought to Unicode NFC, because the
    same word typed on two systems may differ in bytes.

    Parameters
    ----------
    name : str
        As the caller or a table spells it.
    what : str
        What carries the name, for the message: ``"product"`` or ``"file"``.

    Returns
    -------
    str
        The name in NFC.

    Raises
    ------
    ConfigError
        If it is empty, absolute, leaves its folder, begins with a dot, is too long, or holds
        control characters, backslashes or text that is no UTF-8; for a product also if a part
        ends like a record.

    Examples
    --------
    >>> clean_name("features/Mu\u0308ller 7.h5", what="file")
    'features/Müller 7.h5'
    """
    clean = unicodedata.normalize("NFC", name)
    reason = _reason_against(clean, is_product=what == "product")
    if reason:
        raise ConfigError(f"{what} name {name!r}: {reason}; choose another name")
    return clean


def clean_files(names: Iterable[str], *, product: str) -> dict[str, str]:
    """Give the files of one product their spelling, and refuse two that would be one.

    Parameters
    ----------
    names : iterable of str
        Relative to the run folder.
    product : str
        The product, for the message.

    Returns
    -------
    dict of str to str
        From the given to the clean name, sorted by the clean one.

    Raises
    ------
    ConfigError
        If there is none, one is refused by `clean_name`, two differ only by case or Unicode
        form (they would be one file on many disks), or one is the folder of another.

    Examples
    --------
    >>> clean_files(["b.csv", "a.csv"], product="table")
    {'a.csv': 'a.csv', 'b.csv': 'b.csv'}
    """
    cleaned = {name: clean_name(name, what="file") for name in names}
    if not cleaned:
        raise ConfigError(f"product {product!r} has no files; a product has at least one")
    folded: dict[str, str] = {}
    for given, name in cleaned.items():
        if name.casefold() in folded:
            raise ConfigError(
                f"product {product!r}: the files {folded[name.casefold()]!r} and {given!r} would "
                "be one file on disks that do not tell case or Unicode forms apart; rename one"
            )
        folded[name.casefold()] = given
    for name, given in folded.items():
        for parent in PurePosixPath(name).parents:
            if str(parent) in folded:
                raise ConfigError(
                    f"product {product!r}: {folded[str(parent)]!r} is a file and the folder of "
                    f"{given!r}; rename one"
                )
    return dict(sorted(cleaned.items(), key=lambda pair: pair[1]))


def records_folder(run_dir: Path) -> Path:
    """Give the folder of the completion records of a run.

    Parameters
    ----------
    run_dir : Path
        The run folder.

    Returns
    -------
    Path
        It may not exist yet.

    Examples
    --------
    >>> records_folder(Path("run")).as_posix()
    'run/.records'
    """
    return run_dir / _RECORDS


def record_path(run_dir: Path, name: str) -> Path:
    """Give the place of a product's completion record.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    name : str
        The product.

    Returns
    -------
    Path
        It may not exist yet.

    Raises
    ------
    ConfigError
        If the name is refused.

    Examples
    --------
    >>> record_path(Path("run"), "features/s1").as_posix()
    'run/.records/features/s1.json'
    """
    path = records_folder(run_dir) / clean_name(name)
    return path.with_name(path.name + _RECORD)


def _reason_against(name: str, *, is_product: bool) -> str:
    try:
        os.fsencode(name).decode("utf-8")
    except UnicodeError:
        return "it is not valid Unicode text"
    if "\\" in name or any(unicodedata.category(letter) == "Cc" for letter in name):
        return "backslashes and control characters are not allowed"
    for part in name.split("/"):
        if part in ("", ".", ".."):
            return "it must be relative, without empty parts, '.' and '..'"
        if part.startswith("."):
            return "names that begin with a dot are metastra's own"
        if len(part.encode()) > _LONGEST_PART_BYTES:
            return f"a part of it is longer than {_LONGEST_PART_BYTES} bytes"
        if is_product and part.endswith(_RECORD):
            return f"'{_RECORD}' is the ending of records"
    return ""
