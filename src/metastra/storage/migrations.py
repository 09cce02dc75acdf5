"""Old layouts stay readable: named steps from each schema version to the next.

A package that changes the JSON layout of its product registers the new version together with
the step that leads there.  Steps are pure functions; they are applied when a product is read and
never change the stored file.  A kind that registers nothing is at version 1.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from metastra.errors import SchemaError

__all__ = ["Migration", "migrate", "refuse_newer", "register_schema", "schema_version"]


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One step from a schema version to the next.

    Parameters
    ----------
    name : str
        What changed, for people.
    to_version : int
        The version that it gives; it takes the version before.
    step : callable
        From the old document to the new one.  It may change its argument, which is a copy.
    """

    name: str
    to_version: int
    step: Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class _Schema:
    version: int
    migrations: tuple[Migration, ...] = field(default=())


_SCHEMAS: dict[str, _Schema] = {}
_FIRST = _Schema(version=1)


def register_schema(kind: str, *, version: int, migrations: Sequence[Migration] = ()) -> None:
    """State the present layout of a kind of product, and how older ones lead to it.

    Called once when the package that owns the kind is imported.

    Parameters
    ----------
    kind : str
        For instance ``"evaluation"``.
    version : int
        The layout that is written now, from 1.
    migrations : sequence of Migration
        To versions 2, 3, … `version`, in this order, without a gap.

    Raises
    ------
    ValueError
        If a step is missing or out of order, or the kind is registered otherwise already.

    Examples
    --------
    >>> register_schema("table-of-the-example", version=1)
    >>> schema_version("table-of-the-example")
    1
    """
    steps = [migration.to_version for migration in migrations]
    if version < 1 or steps != list(range(2, version + 1)):
        raise ValueError(
            f"kind {kind!r} at version {version} needs migrations to the versions "
            f"{list(range(2, version + 1))}, in this order; got {steps}"
        )
    schema = _Schema(version=version, migrations=tuple(migrations))
    if _SCHEMAS.setdefault(kind, schema) != schema:
        raise ValueError(f"kind {kind!r} is registered already, with another layout")


def schema_version(kind: str) -> int:
    """Give the layout in which a kind of product is written now.

    Parameters
    ----------
    kind : str
        The kind of product.

    Returns
    -------
    int
        From 1; 1 for a kind that registered nothing.

    Examples
    --------
    >>> schema_version("a kind without a history")
    1
    """
    return _SCHEMAS.get(kind, _FIRST).version


def refuse_newer(kind: str, version: int, *, where: str) -> None:
    """Refuse a product that a newer metastra wrote.

    Parameters
    ----------
    kind : str
        The kind of product.
    version : int
        The layout it was written in.
    where : str
        The product's name, for the message.

    Raises
    ------
    SchemaError
        With both numbers, if `version` is above the known one.

    Examples
    --------
    >>> refuse_newer("table", 1, where="cohort")
    """
    known = schema_version(kind)
    if version > known:
        raise SchemaError(
            f"{where} has schema {version} of kind {kind!r}, this metastra knows up to {known}; "
            "use the newer metastra that wrote it, or another run folder"
        )


def migrate(kind: str, version: int, document: dict[str, Any]) -> dict[str, Any]:
    """Bring a document to the present layout of its kind.

    Parameters
    ----------
    kind : str
        The kind of product.
    version : int
        The layout the document was written in.
    document : dict
        The parsed JSON; left as it is.

    Returns
    -------
    dict
        A new document in the present layout.

    Raises
    ------
    SchemaError
        If the version is newer than the known one or below 1.

    Examples
    --------
    >>> migrate("a kind without a history", 1, {"n": 7})
    {'n': 7}
    """
    refuse_newer(kind, version, where="the document")
    if version < 1:
        raise SchemaError(f"schema {version} of kind {kind!r} never was; versions begin at 1")
    made = copy.deepcopy(document)
    for migration in _SCHEMAS.get(kind, _FIRST).migrations[version - 1 :]:
        made = migration.step(made)
    return made
