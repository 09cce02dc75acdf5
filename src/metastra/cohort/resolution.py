"""What the study file says about problems that its tables really have.

A resolution takes patients out of a problem and leaves a note with the reason, so that nothing is
mended silently: the report lists every resolution, and one that matches nothing is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from metastra.catalogue import problem
from metastra.errors import Problem, Severity, Where
from metastra.study.sections import Resolution

__all__ = ["Resolved", "resolve"]


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """The outcome of applying all resolutions.

    Parameters
    ----------
    problems : tuple of Problem
        What remains, with a note for each part that was resolved.
    excluded : dict of (str, str) to str
        Cohort and pseudonym of patients to leave out → reason.
    use_status : frozenset of (str, str)
        Cohort and pseudonym of patients whose status column is taken instead of their events.
    applied : tuple of (Resolution, tuple of str)
        Each resolution with the pseudonyms it was applied to.
    """

    problems: tuple[Problem, ...]
    excluded: dict[tuple[str, str], str]
    use_status: frozenset[tuple[str, str]]
    applied: tuple[tuple[Resolution, tuple[str, ...]], ...]


def resolve(
    problems: Iterable[Problem],
    resolutions: Sequence[Resolution],
    *,
    pseudonyms: Callable[[str], frozenset[str]],
    already_set: Sequence[tuple[str, ...]] = (),
) -> Resolved:
    """Apply a study's resolutions to its problems.

    Parameters
    ----------
    problems : iterable of Problem
        As found; `Problem.patients` in the order of its rows.
    resolutions : sequence of Resolution
        As the study file has them.
    pseudonyms : callable
        Study id → the pseudonyms of the patients who have it: none when no table has it, several
        where each cohort numbers its own patients (``cohorts`` then says whose is meant).
    already_set : sequence of tuple of str
        For each resolution the pseudonyms whose cells it changed before anything was checked
        (action ``set``); shorter sequences are filled up with nothing.

    Returns
    -------
    Resolved
        With one ST007 warning for each resolution that was not needed.
    """
    remaining = list(problems)
    excluded: dict[tuple[str, str], str] = {}
    use_status: set[tuple[str, str]] = set()
    applied = []
    for index, entry in enumerate(resolutions):
        wanted = frozenset().union(*map(pseudonyms, entry.patients))
        touched: list[str] = list(already_set[index]) if index < len(already_set) else []
        if entry.action == "set" and touched:
            remaining.append(_was_set(entry, tuple(touched)))
        if entry.action != "set":
            remaining, hits = _take_out(remaining, entry, wanted if entry.patients else None)
            for cohort, pseudonym in hits:
                touched.append(pseudonym)
                if entry.action == "exclude":
                    excluded.setdefault((cohort, pseudonym), entry.reason)
                elif entry.action == "use-status":
                    use_status.add((cohort, pseudonym))
        matched = bool(touched) or any(
            item.severity is Severity.NOTE and item.hint == _because(entry) for item in remaining
        )
        if not matched:
            remaining.append(_not_needed(index, entry))
        applied.append((entry, tuple(dict.fromkeys(touched))))
    return Resolved(
        problems=tuple(remaining),
        excluded=excluded,
        use_status=frozenset(use_status),
        applied=tuple(applied),
    )


def _take_out(
    problems: Sequence[Problem], entry: Resolution, wanted: frozenset[str] | None
) -> tuple[list[Problem], list[tuple[str, str]]]:
    """Split the problems that a resolution speaks of into what remains and what is resolved."""
    kept: list[Problem] = []
    hits: list[tuple[str, str]] = []
    for item in problems:
        speaks = (
            item.code == entry.code
            and item.severity is not Severity.NOTE
            and (not entry.cohorts or item.where.cohort in entry.cohorts)
        )
        if not speaks or (wanted is not None and not wanted & set(item.patients)):
            kept.append(item)
            continue
        inside = [wanted is None or name in wanted for name in item.patients]
        rest, resolved = _part(item, [not take for take in inside]), _part(item, inside)
        if rest is not None and rest.patients:
            kept.append(rest)
        note = resolved or item
        kept.append(replace(note, severity=Severity.NOTE, hint=_because(entry)))
        hits += [(item.where.cohort, name) for name in note.patients]
    return kept, hits


def _part(item: Problem, mask: Sequence[bool]) -> Problem | None:
    """Keep the patients of a problem that a mask picks, with their rows."""
    if not any(mask):
        return None
    if all(mask):
        return item
    patients = tuple(name for name, keep in zip(item.patients, mask, strict=True) if keep)
    rows = item.where.rows
    if len(rows) == len(mask):
        rows = tuple(row for row, keep in zip(rows, mask, strict=True) if keep)
    return replace(item, patients=patients, where=replace(item.where, rows=rows))


def _because(entry: Resolution) -> str:
    words = {
        "accept": "accepted",
        "exclude": "excluded",
        "use-events": "the recorded events are taken",
        "use-status": "the status column is taken",
        "set": "set",
    }
    return f"{words[entry.action]} by the study file: {entry.reason}"


def _was_set(entry: Resolution, names: tuple[str, ...]) -> Problem:
    return problem(
        entry.code,
        f"{entry.column} was set to {entry.value!r} for {len(names)} patient"
        + ("s" if len(names) > 1 else ""),
        where=Where(column=entry.column or ""),
        hint=_because(entry),
        severity=Severity.NOTE,
        patients=names,
    )


def _not_needed(index: int, entry: Resolution) -> Problem:
    return problem(
        "ST007",
        f"resolve number {index + 1} ({entry.code}, {entry.action}) matches no problem",
        where=Where(file="study.toml", column=f"resolve.{index}"),
    )
