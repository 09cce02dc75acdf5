"""Walk a product back to what it was made from, and say whether that still stands."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from metastra.digest import digest_file
from metastra.errors import ConfigError, IntegrityError, SchemaError
from metastra.storage.checking import Depth, completeness
from metastra.storage.failures import explained
from metastra.storage.manifest import Manifest, Origin, Parent
from metastra.storage.records import finished_record, owner_of, product_names, read_record

__all__ = ["Explanation", "ParentNow", "State", "ancestry", "explain"]


class State(StrEnum):
    """How a parent stands now, compared with the time when it was used."""

    SAME = "same"
    """It is there with the recorded digest."""
    CHANGED = "changed"
    """It is there with another digest: the product is stale."""
    MISSING = "missing"
    """It is not there, or was never finished."""
    DAMAGED = "damaged"
    """Its record names the right digest or cannot be read, but its files are not as recorded."""
    NOT_HERE = "not here"
    """It is no file of the run and cannot be looked up from here."""


@dataclass(frozen=True, kw_only=True)
class ParentNow:
    """One parent, then and now.

    Parameters
    ----------
    role : str
        What it was used as.
    parent : Parent
        As recorded.
    current_digest : str or None
        Its digest now; None where there is none to be had.
    state : State
        The comparison.
    """

    role: str
    parent: Parent
    current_digest: str | None
    state: State


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a product is as it is, and whether it still stands.

    Parameters
    ----------
    name, kind, digest : str
        Of the product.
    schema_version : int
        Layout in which it was written.
    settings : mapping
        It was made with.
    tools : mapping of str to str
        Versions of the programs that made it.
    created_at : str
        UTC, ISO 8601.
    parents : tuple of ParentNow
        By role.
    damage : tuple of str
        Why it is not complete; empty for a complete product.
    stale : tuple of str
        Which parents are no longer what it was made from.
    """

    name: str
    kind: str
    digest: str
    schema_version: int
    settings: Mapping[str, Any]
    tools: Mapping[str, str]
    created_at: str
    parents: tuple[ParentNow, ...]
    damage: tuple[str, ...]
    stale: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether its files are all as recorded."""
        return not self.damage


def explain(run_dir: Path, product: str, *, depth: Depth = Depth.DIGEST) -> Explanation:
    """Explain a product of a run.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    product : str
        A product's name, or a file of it relative to the run folder.
    depth : Depth
        How closely the files of the product and of its parents are looked at.

    Returns
    -------
    Explanation
        What it was made from, and how that stands now.

    Raises
    ------
    ConfigError
        If there is no such product; the nearest names are given.
    DigestMismatch
        If its record is damaged.
    SchemaError
        If a newer metastra wrote it.

    Examples
    --------
    >>> import tempfile
    >>> from metastra.storage import Recipe, file_parent, write_product
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run, study = Path(folder) / "run", Path(folder) / "study.toml"
    ...     _ = study.write_bytes(b"seed = 1")
    ...     recipe = Recipe(kind="table", parents={"study": file_parent(run, study)})
    ...     _ = write_product(run, "cohort", recipe, {"cohort.csv": b"patient"})
    ...     _ = study.write_bytes(b"seed = 2")
    ...     explain(run, "cohort.csv").stale
    ('study (../study.toml) has changed: was 1d932908a5a1…, is 63cce9b67e26…',)
    """
    name = _resolve(run_dir, product)
    manifest = finished_record(run_dir, name)
    parents = tuple(
        _look(run_dir, role, parent, depth) for role, parent in manifest.recipe.parents.items()
    )
    return Explanation(
        name=name,
        kind=manifest.recipe.kind,
        digest=manifest.digest,
        schema_version=manifest.recipe.schema_version,
        settings=manifest.recipe.settings,
        tools=manifest.tools,
        created_at=manifest.created_at,
        parents=parents,
        damage=completeness(run_dir, name, depth=depth).reasons,
        stale=tuple(_stale_text(parent) for parent in parents if _is_stale(parent)),
    )


def ancestry(
    run_dir: Path, product: str, *, depth: Depth = Depth.DIGEST
) -> tuple[Explanation, ...]:
    """Explain a product and everything of the run that it goes back to.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    product : str
        A product's name, or a file of it relative to the run folder.
    depth : Depth
        How closely files are looked at.

    Returns
    -------
    tuple of Explanation
        The product first, each parent once and after its first child; parents that are missing
        or cannot be read are told by their children only.

    Raises
    ------
    ConfigError, DigestMismatch, SchemaError
        As `explain`, for the product itself.

    Examples
    --------
    >>> import tempfile
    >>> from metastra.storage import Recipe, product_parent, write_product
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = Path(folder)
    ...     _ = write_product(run, "a", Recipe(kind="n"), {"a.txt": b"1"})
    ...     recipe = Recipe(kind="n", parents={"first": product_parent(run, "a")})
    ...     _ = write_product(run, "b", recipe, {"b.txt": b"2"})
    ...     [each.name for each in ancestry(run, "b")]
    ['b', 'a']
    """
    found = {(first := explain(run_dir, product, depth=depth)).name: first}
    waiting = [first]
    while waiting:
        for now in waiting.pop(0).parents:
            reachable = now.parent.origin is Origin.PRODUCT and now.current_digest is not None
            if reachable and now.parent.ref not in found:
                found[now.parent.ref] = explain(run_dir, now.parent.ref, depth=depth)
                waiting.append(found[now.parent.ref])
    return tuple(found.values())


def _resolve(run_dir: Path, product: str) -> str:
    names = product_names(run_dir)
    if product in names:
        return product
    owner = owner_of(run_dir, product)
    if owner is not None:
        return owner
    near = difflib.get_close_matches(product, names, n=3) or list(names[:8])
    listed = f"did you mean {', '.join(near)}?" if near else "nothing is finished there yet"
    raise ConfigError(f"{run_dir} has no finished product {product!r}; {listed}")


def _look(run_dir: Path, role: str, parent: Parent, depth: Depth) -> ParentNow:
    if parent.origin is Origin.PRODUCT:
        current, sound = _look_at_product(run_dir, parent.ref, depth)
    elif parent.origin is Origin.FILE:
        current, sound = _look_at_file(run_dir / parent.ref), True
    else:
        return ParentNow(role=role, parent=parent, current_digest=None, state=State.NOT_HERE)
    if not sound:
        state = State.DAMAGED
    elif current is None:
        state = State.MISSING
    else:
        state = State.SAME if current == parent.digest else State.CHANGED
    return ParentNow(role=role, parent=parent, current_digest=current, state=state)


def _look_at_product(run_dir: Path, name: str, depth: Depth) -> tuple[str | None, bool]:
    """Give the digest that the record names, and whether record and files are sound."""
    manifest: Manifest | None
    try:
        manifest = read_record(run_dir, name)
        if manifest is None:
            return None, True
        return manifest.digest, bool(completeness(run_dir, name, depth=depth))
    except (IntegrityError, SchemaError):
        return None, False


def _look_at_file(path: Path) -> str | None:
    with explained(path):
        return digest_file(path) if path.is_file() else None


def _is_stale(now: ParentNow) -> bool:
    return now.state not in (State.SAME, State.NOT_HERE)


def _stale_text(now: ParentNow) -> str:
    what = f"{now.role} ({now.parent.ref})"
    if now.state is State.MISSING or now.current_digest is None:
        return f"{what} is {now.state}"
    if now.state is State.DAMAGED:
        return f"{what} is damaged: its files are not as its record says"
    return f"{what} has changed: was {now.parent.digest[:12]}…, is {now.current_digest[:12]}…"
