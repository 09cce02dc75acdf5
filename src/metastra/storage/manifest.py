"""What a product was made from, and what it consists of.

`Recipe` decides whether a product has to be made again; `Manifest` is the completion record of
one that was made.  A digest names content only: neither times nor program versions enter it, so a
resumed run gives the same digests as an undisturbed one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from metastra.digest import canonical_json, digest_value
from metastra.errors import DigestMismatch, SchemaError
from metastra.storage.encode import json_bytes, parse_json
from metastra.storage.migrations import schema_version as present_version
from metastra.storage.names import clean_files, clean_name

__all__ = ["Manifest", "Origin", "Parent", "Recipe", "StoredFile", "differences", "product_key"]

_LAYOUT = 1
"""Layout of the record itself; the schema version belongs to the product's kind."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHOWN_CHARACTERS = 60


class Origin(StrEnum):
    """Where a parent lies."""

    PRODUCT = "product"
    """A product of the same run folder; its reference is the product's name."""
    FILE = "file"
    """A file of the user; its reference is the path from the run folder."""
    VALUE = "value"
    """Something that is no file here, for instance a study or a set of weights."""


@dataclass(frozen=True, kw_only=True)
class Parent:
    """One thing that a product was made from.

    Parameters
    ----------
    origin : Origin
        Where it lies.
    ref : str
        How it is found again: a product's name, a relative path, or a word for a value.  No
        study id of a patient may stand here; take a pseudonym.
    digest : str
        SHA-256 of its content, 64 hexadecimal digits.

    Raises
    ------
    ValueError
        If the digest is none.
    """

    origin: Origin
    ref: str
    digest: str

    def __post_init__(self) -> None:
        _check_digest(self.digest)


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """One file of a product.

    Parameters
    ----------
    sha256 : str
        64 hexadecimal digits.
    size : int
        In bytes.

    Raises
    ------
    ValueError
        If the digest is none or the size is negative.
    """

    sha256: str
    size: int

    def __post_init__(self) -> None:
        _check_digest(self.sha256)
        if isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < 0:
            raise ValueError(f"a file has a size of 0 bytes or more, not {self.size!r}")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What decides whether a product has to be made again.

    Parameters
    ----------
    kind : str
        The kind of product, for instance ``"split"``.
    parents : mapping of str to Parent
        By their role, for instance ``"cohort"``.
    settings : mapping
        Every setting that changes the content, as plain JSON; kept as JSON gives it back
        (tuples become lists).
    schema_version : int
        Layout of the product; the kind's present one unless an older product is read.

    Raises
    ------
    ValueError, TypeError
        If the settings are no strict JSON.

    Examples
    --------
    >>> recipe = Recipe(kind="split", settings={"folds": 5})
    >>> recipe.key == Recipe(kind="split", settings={"folds": 5}).key
    True
    """

    kind: str
    parents: Mapping[str, Parent] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    schema_version: int = 0

    def __post_init__(self) -> None:
        plain = parse_json(json_bytes(dict(self.settings)))
        object.__setattr__(self, "settings", plain)
        object.__setattr__(self, "parents", dict(sorted(self.parents.items())))
        if not self.schema_version:
            object.__setattr__(self, "schema_version", present_version(self.kind))

    @property
    def key(self) -> str:
        """SHA-256 of kind, schema version, the parents' digests and the settings."""
        return product_key(
            self.kind,
            {role: parent.digest for role, parent in self.parents.items()},
            self.settings,
            schema_version=self.schema_version,
        )


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The completion record of a product.

    Parameters
    ----------
    name : str
        The product.
    recipe : Recipe
        What it was made from.
    files : mapping of str to StoredFile
        By their name relative to the run folder.
    tools : mapping of str to str
        Versions of the programs that made it; for people, in no digest.
    created_at : str
        UTC, ISO 8601; for people, in no digest.

    Raises
    ------
    ConfigError
        If a name is refused.
    """

    name: str
    recipe: Recipe
    files: Mapping[str, StoredFile]
    tools: Mapping[str, str] = field(default_factory=dict)
    created_at: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", clean_name(self.name))
        spelled = clean_files(self.files, product=self.name)
        files = {clean: self.files[given] for given, clean in spelled.items()}
        object.__setattr__(self, "files", files)
        object.__setattr__(self, "tools", dict(self.tools))

    @property
    def digest(self) -> str:
        """SHA-256 of the content: kind, schema version and each file's name and digest.

        How it was made does not enter, so a parent that was made again with equal bytes leaves
        its children valid.
        """
        return digest_value(
            {
                "kind": self.recipe.kind,
                "schema_version": self.recipe.schema_version,
                "files": {name: file.sha256 for name, file in self.files.items()},
            }
        )

    def to_bytes(self) -> bytes:
        """Write the record as strict JSON, sealed with its own digest.

        The seal finds damage.  It is no signature: who can write the record can seal it.

        Returns
        -------
        bytes
            What `from_bytes` reads.
        """
        record: dict[str, Any] = {
            "name": self.name,
            "kind": self.recipe.kind,
            "schema_version": self.recipe.schema_version,
            "digest": self.digest,
            "key": self.recipe.key,
            "parents": {
                role: {"origin": str(parent.origin), "ref": parent.ref, "digest": parent.digest}
                for role, parent in self.recipe.parents.items()
            },
            "settings": self.recipe.settings,
            "files": {
                name: {"sha256": file.sha256, "size": file.size}
                for name, file in self.files.items()
            },
            "tools": self.tools,
            "created_at": self.created_at,
        }
        return json_bytes({"layout": _LAYOUT, "record": record, "sha256": digest_value(record)})

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str = "the record") -> Manifest:
        """Read a record; a single changed bit is found.

        Parameters
        ----------
        data : bytes
            What `to_bytes` wrote.
        where : str
            The record's name, for the message.

        Returns
        -------
        Manifest
            Equal to the one that was written.

        Raises
        ------
        SchemaError
            If a newer metastra wrote the record in a layout this one does not know.
        DigestMismatch
            If the bytes are not exactly those of a record.
        """
        damaged = f"{where} is damaged; the product has to be made again"
        try:
            document = parse_json(data)
            layout = document["layout"]
            if isinstance(layout, int) and layout > _LAYOUT:
                raise SchemaError(
                    f"{where} has record layout {layout}, this metastra knows up to {_LAYOUT}; "
                    "use the newer metastra that wrote it, or another run folder"
                )
            manifest = cls._from_record(document["record"])
            again = manifest.to_bytes()
        except SchemaError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DigestMismatch(damaged) from error
        if again != data:
            raise DigestMismatch(damaged)
        return manifest

    @classmethod
    def _from_record(cls, record: dict[str, Any]) -> Manifest:
        parents = {
            role: Parent(origin=Origin(item["origin"]), ref=item["ref"], digest=item["digest"])
            for role, item in record["parents"].items()
        }
        recipe = Recipe(
            kind=record["kind"],
            parents=parents,
            settings=record["settings"],
            schema_version=record["schema_version"],
        )
        files = {
            name: StoredFile(sha256=item["sha256"], size=item["size"])
            for name, item in record["files"].items()
        }
        return cls(
            name=record["name"],
            recipe=recipe,
            files=files,
            tools=record["tools"],
            created_at=record["created_at"],
        )


def product_key(
    kind: str,
    parents: Mapping[str, str],
    settings: Mapping[str, Any],
    *,
    schema_version: int | None = None,
) -> str:
    """Digest what decides whether a product has to be made again.

    Program versions are left out on purpose: a product is made again when its inputs or
    settings change, not because a comment in the source did.  Whoever changes a method
    states it as a setting.

    Parameters
    ----------
    kind : str
        The kind of product.
    parents : mapping of str to str
        The parents' digests by role.
    settings : mapping
        Plain JSON.
    schema_version : int, optional
        The kind's present one when omitted.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> a = product_key("split", {}, {"folds": 5})
    >>> a == product_key("split", {}, {"folds": 5}), a == product_key("split", {}, {"folds": 4})
    (True, False)
    """
    version = present_version(kind) if schema_version is None else schema_version
    return digest_value(
        {
            "kind": kind,
            "schema_version": version,
            "parents": dict(parents),
            "settings": dict(settings),
        }
    )


def differences(made: Recipe, wanted: Recipe) -> tuple[str, ...]:
    """Say in words what differs between two recipes.

    Parameters
    ----------
    made : Recipe
        Of the stored product.
    wanted : Recipe
        Of the one that is asked for.

    Returns
    -------
    tuple of str
        Empty exactly when the keys are equal.

    Examples
    --------
    >>> differences(
    ...     Recipe(kind="split", settings={"folds": 5}), Recipe(kind="split", settings={"folds": 4})
    ... )
    ("setting 'folds' was 5, is 4",)
    """
    found = []
    if made.kind != wanted.kind:
        found.append(f"the kind was {made.kind!r}, is {wanted.kind!r}")
    if made.schema_version != wanted.schema_version:
        found.append(f"the schema was {made.schema_version}, is {wanted.schema_version}")
    old = {role: parent.digest for role, parent in made.parents.items()}
    new = {role: parent.digest for role, parent in wanted.parents.items()}
    found += _changes("parent", old, new)
    found += _changes("setting", made.settings, wanted.settings)
    return tuple(found)


def _changes(what: str, old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    lines = []
    for name in sorted({*old, *new}):
        if name not in new:
            lines.append(f"{what} {name!r} is gone")
        elif name not in old:
            lines.append(f"{what} {name!r} is new")
        elif canonical_json(old[name]) != canonical_json(new[name]):
            lines.append(f"{what} {name!r} was {_short(old[name])}, is {_short(new[name])}")
    return lines


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json_bytes(value).decode().strip()
    text = " ".join(text.split())
    if _DIGEST.fullmatch(text):
        return f"{text[:12]}…"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


def _check_digest(digest: str) -> None:
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ValueError(f"a digest has 64 hexadecimal digits in lower case, not {digest!r}")
