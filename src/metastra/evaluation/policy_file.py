"""Surveillance policies out of a TOML file; everything wrong with it is said at once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from metastra.errors import ConfigError, Problem, Where
from metastra.evaluation.surveillance import Policy

__all__ = ["read_policies"]

_KEYS = ("name", "scans", "groups")


def read_policies(path: Path, groups: tuple[str, ...]) -> tuple[Policy, ...]:
    """Read the policies of a file.

    Parameters
    ----------
    path : Path
        With one ``[[policy]]`` for each: ``name``, and either ``scans`` (the same for everybody)
        or ``groups`` (scans by risk group).
    groups : tuple of str
        Names of the risk groups, from the lowest to the highest.

    Returns
    -------
    tuple of Policy
        In the order of the file; the first is what the others are compared with.

    Raises
    ------
    ConfigError
        With every fault of the file.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path.name} is not valid TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name} is not UTF-8 text") from error
    problems = [_unknown(key, ("policy",), path) for key in content if key != "policy"]
    entries = content.get("policy", [])
    if not isinstance(entries, list) or not entries:
        problems.append(_problem(path, "there is no policy", "one or more [[policy]] tables"))
        entries = []
    policies: list[Policy] = []
    for number, entry in enumerate(entries, start=1):
        policy, found = _policy(entry, number, groups, path)
        problems += found
        policies += [] if policy is None else [policy]
    names = [policy.name for policy in policies]
    if len(set(names)) < len(names):
        problems.append(_problem(path, "two policies have one name", "a name of its own for each"))
    if problems:
        raise ConfigError("the policies cannot be used", problems)
    return tuple(policies)


def _policy(
    entry: object, number: int, groups: tuple[str, ...], path: Path
) -> tuple[Policy | None, list[Problem]]:
    if not isinstance(entry, Mapping):
        return None, [_problem(path, f"policy {number} is no table", "[[policy]]")]
    problems = [_unknown(key, _KEYS, path) for key in entry if key not in _KEYS]
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip():
        problems.append(_problem(path, f"policy {number} has no name", 'name = "…"'))
        name = f"policy {number}"
    if ("scans" in entry) == ("groups" in entry):
        found = f"policy {name!r} has {'both' if 'scans' in entry else 'neither'}"
        problems.append(_problem(path, found, "either scans = […] or [policy.groups]"))
        return None, problems
    schedules = {"all": entry["scans"]} if "scans" in entry else entry["groups"]
    if not isinstance(schedules, Mapping):
        problems.append(_problem(path, f"groups of {name!r} is no table", "[policy.groups]"))
        return None, problems
    if "groups" in entry:
        problems += _group_names(name, tuple(schedules), groups, path)
    scans: dict[str, tuple[float, ...]] = {}
    for group, times in schedules.items():
        if not isinstance(times, list) or not all(
            isinstance(time, int | float) and not isinstance(time, bool) for time in times
        ):
            found = f"scans of {name!r}, {group!r}: {times!r}"
            problems.append(_problem(path, found, "a list of times, for instance [6, 12, 24]"))
            continue
        scans[str(group)] = tuple(float(time) for time in times)
    if problems:
        return None, problems
    try:
        return Policy(name=name, scans=scans), []
    except ConfigError as error:
        return None, [_problem(path, str(error), "times that ascend")]


def _group_names(
    name: str, given: tuple[str, ...], groups: tuple[str, ...], path: Path
) -> list[Problem]:
    problems = [
        _problem(path, f"policy {name!r} has no scans for group {group!r}", "each group once")
        for group in groups
        if group not in given
    ]
    known = ", ".join(groups)
    problems += [
        _problem(path, f"policy {name!r} names a group {group!r}", f"one of {known}")
        for group in given
        if group not in groups
    ]
    return problems


def _unknown(key: str, known: tuple[str, ...], path: Path) -> Problem:
    near = get_close_matches(key, known, n=1)
    expected = f"{near[0]!r}?" if near else f"one of {', '.join(known)}"
    return _problem(path, f"unknown key {key!r}", expected)


def _problem(path: Path, found: str, expected: str) -> Problem:
    return Problem(code="ST002", where=Where(file=path.name), found=found, expected=expected)
