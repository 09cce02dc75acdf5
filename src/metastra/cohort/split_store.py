"""A stored split is kept: it follows the cohort's changes and is never redrawn by itself.

Pure functions from split to split; reading and writing is the caller's.  A split that moved with
every patient who is added would let results be compared that were measured on different folds,
and would invite drawing until a result pleases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.split import Split, SplitChange
from metastra.cohort.split_balance import place_remaining
from metastra.cohort.split_check import raise_refused
from metastra.cohort.split_draw import draw_split, outer_split
from metastra.cohort.split_fold import Fold
from metastra.cohort.split_groups import component_keys, components
from metastra.cohort.split_kinds import component_counts
from metastra.cohort.split_units import Pseudonymise, Units, pseudonyms_of
from metastra.errors import ConfigError, DataError, Problem
from metastra.study.sections import ValidationSection

__all__ = ["redrawn_split", "stored_split"]

_SHOWN = 8
"""Pseudonyms that a message names; the rest is counted."""


def stored_split(
    stored: Split | None,
    units: Units,
    settings: ValidationSection,
    *,
    seed: int,
    folder: Path | None = None,
    pseudonymise: Pseudonymise | None = None,
) -> Split:
    """Give the split of a study: the stored one where there is one.

    With the patients, settings and seed that it was made with, the stored split comes back as it
    is.  Patients who left the cohort drop out of the folds.  A new patient goes to the fold of
    his group if one of its patients has a fold, else (k-fold) where his group disturbs the
    balance least; by cohort, day or fold file for the other kinds, where nothing is drawn.
    Nobody else moves.  The change is written to the split's history.

    Parameters
    ----------
    stored : Split or None
        None draws.
    units : Units
        All patients of the study as they are now.
    settings : ValidationSection
        What the study declares now.
    seed : int
        The study's seed.
    folder : Path, optional
        That a relative path of fold files starts from.
    pseudonymise : callable, optional
        Without it messages and history count patients and name none.

    Returns
    -------
    Split
        `stored` itself when nothing changed.

    Raises
    ------
    ConfigError
        If settings or seed are others than those of the stored split.
    LeakageError
        If a new or corrected patient ties groups that stand in different folds (SP002).
    DataError
        If a patient would change sides, or a fold has lost its events (SP003).

    Examples
    --------
    >>> settings = ValidationSection(folds=2)
    >>> units = Units(ids=["a", "b", "c", "d"], event=[1, 1, 1, 1])
    >>> first = stored_split(None, units, settings, seed=1)
    >>> stored_split(first, units, settings, seed=1) is first
    True
    >>> later = Units(ids=["b", "c", "d", "e", "f"], event=[1, 1, 1, 1, 1])
    >>> change = stored_split(first, later, settings, seed=1).history[0]
    >>> change.n_added, change.n_removed
    (2, 1)
    """
    if stored is None:
        return draw_split(units, settings, seed=seed, folder=folder, pseudonymise=pseudonymise)
    changed = _changed_terms(stored, settings, seed)
    if changed:
        raise ConfigError(
            f"the stored split was made with {'; '.join(changed)}; a stored split is not redrawn "
            "by itself: put the setting back, or draw anew with --redraw"
        )
    extension = _Extension(groups=stored.groups, seed=seed, pseudonymise=pseudonymise)
    if stored.kind == "k-fold":
        outer = replace(stored, folds=extension.outer(stored.folds, units))
    else:
        outer = outer_split(units, settings, seed=seed, folder=folder)
        _nobody_moves(stored.folds, outer.folds, pseudonymise)
        for old, new in zip(stored.folds, outer.folds, strict=True):
            if _from_file(stored, new):
                _nobody_moves(old.inner, new.inner, pseudonymise)
    folds = tuple(
        new
        if not old.inner or _from_file(stored, new)
        else replace(new, inner=extension.extend(old.inner, units.only(new.train), new))
        for old, new in zip(stored.folds, outer.folds, strict=True)
    )
    raise_refused(extension.problems, "the stored split no longer fits the cohort")
    updated = replace(outer, folds=folds, history=stored.history)
    raise_refused(
        updated.check(units, pseudonymise=pseudonymise),
        "the stored split no longer fits the cohort; --redraw draws another",
    )
    if _same_folds(updated, stored):
        return stored
    return _with_change(updated, stored, "updated", pseudonymise)


def redrawn_split(
    stored: Split | None,
    units: Units,
    settings: ValidationSection,
    *,
    seed: int,
    folder: Path | None = None,
    pseudonymise: Pseudonymise | None = None,
) -> Split:
    """Draw the split anew; only ever done when a user asks for it.

    Parameters
    ----------
    stored : Split or None
        Whose history goes on.
    units, settings, seed, folder, pseudonymise
        As in `stored_split`.

    Returns
    -------
    Split
        `stored` itself when the draw gives the same.

    Raises
    ------
    ConfigError, DataError
        As `metastra.cohort.split_draw.draw_split`.

    Examples
    --------
    >>> settings = ValidationSection(folds=2)
    >>> units = Units(ids=["a", "b", "c", "d"], event=[1, 1, 1, 1])
    >>> first = redrawn_split(None, units, settings, seed=1)
    >>> redrawn_split(first, units, settings, seed=1) is first
    True
    """
    fresh = draw_split(units, settings, seed=seed, folder=folder, pseudonymise=pseudonymise)
    if stored is None:
        return fresh
    if _same_folds(fresh, stored) and not _changed_terms(stored, settings, seed):
        return stored
    fresh = replace(fresh, history=stored.history)
    return _with_change(fresh, stored, "redrawn", pseudonymise)


@dataclass(kw_only=True)
class _Extension:
    """Brings folds up to date with a pool of patients and collects what stands against it."""

    groups: tuple[str, ...]
    seed: int
    pseudonymise: Pseudonymise | None
    problems: list[Problem] = field(default_factory=list)

    def outer(self, folds: tuple[Fold, ...], units: Units) -> tuple[Fold, ...]:
        """Extend each repeat of a k-fold split."""
        development = units.take(units.development)
        result: tuple[Fold, ...] = ()
        for repeat in dict.fromkeys(fold.repeat for fold in folds):
            mine = tuple(fold for fold in folds if fold.repeat == repeat)
            result += self.extend(mine, development, None)
        return result

    def extend(self, folds: tuple[Fold, ...], pool: Units, within: Fold | None) -> tuple[Fold, ...]:
        """Share the pool out over the folds: known patients where they were."""
        home = {i: k for k, fold in enumerate(folds) for i in fold.test}
        label = components(pool, self.groups)
        ids = pool.ids.tolist()
        known: dict[int, set[int]] = {}
        for i, g in zip(ids, label.tolist(), strict=True):
            known.setdefault(g, set()).update({home[i]} if i in home else ())
        torn = [g for g, places in known.items() if len(places) > 1]
        if torn:
            self._torn(pool, np.isin(label, torn), set(home), within or folds[0])
            return folds
        place = np.array([next(iter(known[g]), -1) for g in range(len(known))], dtype=np.int64)
        seed = f"{self.seed}/{folds[0].name}/added"
        counts, keys = component_counts(pool, label), component_keys(pool, label)
        place = place_remaining(counts, place, keys, len(folds), seed)
        where = dict(zip(ids, place[label].tolist(), strict=True))
        everybody = sorted(ids)
        return tuple(
            replace(
                fold,
                train=tuple(i for i in everybody if where[i] != k),
                test=tuple(i for i in everybody if where[i] == k),
            )
            for k, fold in enumerate(folds)
        )

    def _torn(self, pool: Units, tied: NDArray[np.bool_], known: set[str], fold: Fold) -> None:
        members = pool.ids[tied].tolist()
        new = [i for i in members if i not in known]
        who = f"new patients ({len(new)})" if new else f"corrected values ({len(members)} patients)"
        groups = " and ".join(repr(name) for name in self.groups[1:]) or "PATIENT"
        self.problems.append(
            problem(
                "SP002",
                f"{who} tie groups by {groups} that stand in different folds from {fold.name} on",
                hint="Correct or exclude them, or have the folds drawn anew with --redraw.",
                patients=pseudonyms_of(tuple(sorted(new or members)), self.pseudonymise),
            )
        )


def _same_folds(a: Split, b: Split) -> bool:
    """Whether two splits say the same of every patient, however their source is spelled."""
    return a.folds == b.folds and a.missing == b.missing


def _changed_terms(stored: Split, settings: ValidationSection, seed: int) -> list[str]:
    """Name the settings that are others now than when the split was made."""
    now = {"seed": seed, **settings.model_dump(mode="json")}
    kept = stored.settings
    then = {"seed": stored.seed, **(kept.model_dump(mode="json") if kept else {})}
    return [
        f"{name} = {value!r}, now {now[name]!r}"
        for name, value in then.items()
        # Fold files may lie elsewhere; whether they say the same is compared by patient.
        if now[name] != value and not (name == "fold_files" and value and now[name])
    ]


def _from_file(split: Split, fold: Fold) -> bool:
    """Whether a freshly read fold brought inner folds along, which are then not ours to extend."""
    return split.kind == "published" and bool(fold.inner)


def _nobody_moves(
    before: Sequence[Fold], after: Sequence[Fold], pseudonymise: Pseudonymise | None
) -> None:
    names = [fold.name for fold in before]
    if names != [fold.name for fold in after]:
        raise DataError(
            f"the stored split has the folds {', '.join(names)}, now they would be "
            f"{', '.join(fold.name for fold in after)}; put the cohorts or fold files back, or "
            "draw anew with --redraw"
        )
    moved: set[str] = set()
    for old, new in zip(before, after, strict=True):
        was = {i: part for part, ids in _parts(old) for i in ids}
        moved |= {i for part, ids in _parts(new) for i in ids if was.get(i, part) != part}
    if moved:
        shown = ", ".join(pseudonyms_of(tuple(sorted(moved)), pseudonymise)[:_SHOWN])
        raise DataError(
            f"{len(moved)} of the patients in the stored split would change sides{shown and ': '}"
            f"{shown}; their cohort, date or fold file changed: correct it, or draw anew with "
            "--redraw"
        )


def _parts(fold: Fold) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return (("train", fold.train), ("tune", fold.tune), ("test", fold.test))


def _with_change(
    after: Split,
    before: Split,
    what: Literal["updated", "redrawn"],
    pseudonymise: Pseudonymise | None,
) -> Split:
    added = tuple(sorted(after.patients - before.patients))
    removed = tuple(sorted(before.patients - after.patients))
    change = SplitChange(
        what=what,
        previous=before.digest,
        n_added=len(added),
        n_removed=len(removed),
        added=pseudonyms_of(added, pseudonymise),
        removed=pseudonyms_of(removed, pseudonymise),
    )
    return replace(after, history=(*before.history, change))
