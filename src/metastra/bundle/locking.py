"""Lock a bundle: fill in what was promised, seal it, sign it."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from metastra.bundle.contract import Contract, IntendedUse
from metastra.bundle.layout import CHANGE_PLAN, CONTRACT, PLAN, Part, part_bytes
from metastra.bundle.opened import Bundle
from metastra.bundle.plans import AnalysisPlan, ChangePlan
from metastra.bundle.writing import signed_files
from metastra.catalogue import problem
from metastra.errors import ConfigError, LockedError, Problem, Where
from metastra.signing import PrivateKey
from metastra.storage.encode import parse_json

__all__ = ["Locking", "Statements", "lock_bundle", "read_statements"]

_P = TypeVar("_P", bound=Part)
_SECTIONS: Mapping[str, type[Part]] = {
    "intended_use": IntendedUse,
    "plan": AnalysisPlan,
    "change_plan": ChangePlan,
}


@dataclass(frozen=True, kw_only=True)
class Statements:
    """What a person states before the lock; it goes over what is in the draft.

    Parameters
    ----------
    intended_use, plan, change_plan : mapping
        By key; tables inside are merged key by key.
    """

    intended_use: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    change_plan: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Locking:
    """A bundle as it will be locked.

    Parameters
    ----------
    contract, plan, change_plan : Part
        With the statements filled in.
    open_statements : tuple of Problem
        BU024 for each statement that nobody made.
    """

    bundle: Bundle = field(repr=False)
    contract: Contract
    plan: AnalysisPlan
    change_plan: ChangePlan
    open_statements: tuple[Problem, ...]
    replaces: Bundle | None = field(default=None, repr=False)

    def files(
        self, draft: Mapping[str, bytes], private: PrivateKey, *, locked_at: str | None = None
    ) -> dict[str, bytes]:
        """Sign it.

        Parameters
        ----------
        draft : mapping of str to bytes
            The files of the draft.
        private : PrivateKey
            The signer's.
        locked_at : str, optional
            UTC; now when left out.

        Returns
        -------
        dict of str to bytes
            The whole locked bundle.
        """
        filled = {
            CONTRACT: part_bytes(self.contract),
            PLAN: part_bytes(self.plan),
            CHANGE_PLAN: part_bytes(self.change_plan),
        }
        manifest = self.bundle.manifest
        if self.replaces is not None:
            before = {"version": self.replaces.version + 1, "replaces": self.replaces.digest}
            manifest = manifest.model_copy(update=before)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return signed_files({**draft, **filled}, manifest, private, locked_at=locked_at or now)


def read_statements(paths: Iterable[Path]) -> Statements:
    """Read statements from files.

    Parameters
    ----------
    paths : iterable of Path
        TOML or JSON with the tables ``[intended_use]``, ``[plan]`` and ``[change_plan]``; a later
        file goes over an earlier one.

    Returns
    -------
    Statements
        Merged.

    Raises
    ------
    ConfigError
        If a file cannot be read, or names a table or key that is not known.
    """
    merged: dict[str, dict[str, Any]] = {name: {} for name in _SECTIONS}
    for path in paths:
        for section, content in _read_file(path).items():
            if section not in _SECTIONS or not isinstance(content, dict):
                known = ", ".join(f"[{name}]" for name in _SECTIONS)
                raise ConfigError(f"{path.name}: {section!r} is no table of it; there are {known}")
            _refuse_unknown(path, section, content)
            merged[section] = _over(merged[section], content)
    return Statements(**merged)


def lock_bundle(
    bundle: Bundle, statements: Statements | None = None, *, replaces: Bundle | None = None
) -> Locking:
    """Fill the statements into a draft.

    Parameters
    ----------
    bundle : Bundle
        A draft.
    statements : Statements, optional
        What a person states.
    replaces : Bundle, optional
        The version before, whose number the new one follows.

    Returns
    -------
    Locking
        Ready to be signed.

    Raises
    ------
    LockedError
        If the bundle is locked already.
    ConfigError
        If a statement has another kind than it must, statements contradict each other, or
        `replaces` is another model.
    """
    if bundle.locked:
        raise LockedError(
            f"{bundle.path}: the bundle was locked by {bundle.key_id} already; a locked bundle is "
            "never changed, a changed one is a new bundle with a higher version"
        )
    if replaces is not None and replaces.name != bundle.name:
        raise ConfigError(f"{bundle.name!r} cannot replace {replaces.name!r}: another model")
    said = statements or Statements()
    use = _filled(bundle.contract.intended_use, said.intended_use, "intended_use")
    plan = _filled(bundle.plan, said.plan, "plan")
    cuts = bundle.contract.cutpoints.values if bundle.contract.cutpoints else ()
    if plan.cutpoints != cuts:
        raise ConfigError(
            f"[plan] cutpoints are {list(plan.cutpoints)}, the model's {list(cuts)}; cut-points "
            "are fixed with the model: set [endpoint] cutpoints in the study file and run again"
        )
    if plan.primary.horizon not in bundle.contract.horizons:
        raise ConfigError(f"[plan] primary.horizon {plan.primary.horizon:g} is none of the model's")
    if found := plan.contradictions():
        raise ConfigError(f"[plan] {'; '.join(found)}")
    return Locking(
        bundle=bundle,
        contract=bundle.contract.model_copy(update={"intended_use": use}),
        plan=plan,
        change_plan=_filled(bundle.change_plan, said.change_plan, "change_plan"),
        open_statements=(
            *(_open(CONTRACT, f"intended_use.{name}") for name in use.open_statements),
            *(_open(PLAN, name) for name in plan.open_statements),
        ),
        replaces=replaces,
    )


def _open(file: str, name: str) -> Problem:
    return problem("BU024", f"{name} is not stated", where=Where(file=file))


def _read_file(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}; name a TOML or JSON file") from error
    try:
        value = parse_json(data) if path.suffix == ".json" else tomllib.loads(data.decode())
    except ValueError as error:
        raise ConfigError(f"{path.name}: {error}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{path.name}: expected tables, found a {type(value).__name__}")
    return value


def _refuse_unknown(path: Path, section: str, content: Mapping[str, Any]) -> None:
    known = [name for name in _SECTIONS[section].model_fields if name != "format"]
    for name in content:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise ConfigError(f"{path.name}: [{section}] has no key {name!r}; {hint}")


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        inside = merged.get(name)
        both = isinstance(value, dict) and isinstance(inside, dict)
        merged[name] = _over(inside, value) if both and inside is not None else value
    return merged


def _filled(part: _P, content: Mapping[str, Any], section: str) -> _P:
    merged = _over(part.model_dump(mode="json"), content)
    try:
        return type(part).model_validate_json(json.dumps(merged), strict=True)
    except (ValidationError, TypeError) as error:
        if isinstance(error, TypeError):
            raise ConfigError(f"[{section}] holds a date or another value JSON lacks") from None
        words = [
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:10]
        ]
        raise ConfigError(f"[{section}] {'; '.join(words)}") from None
