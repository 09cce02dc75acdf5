"""A patient's traces in the products of a run: files that are his, rows that are his."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from metastra.cohort.split import Fold, Split, SplitChange
from metastra.errors import IntegrityError, SchemaError
from metastra.features.store import RUN_PREFIX
from metastra.pipeline.locked_bundle import is_locked
from metastra.storage import (
    Recipe,
    csv_bytes,
    csv_rows,
    half_written,
    parse_json,
    product_names,
    read_product_bytes,
    read_product_json,
    read_record,
    remove_product,
    sweep_orphans,
    write_product,
)

__all__ = ["Removed", "Traces", "traces_of"]

_HOLD_EVERYBODY = (
    *("report", "truth", "reference", "explanation", "evaluation"),
    *("features", "qc", "cohort"),
)
"""Products of many patients that a run makes anew from what is there; the index comes late, for
it says which slides are whose."""
_TABLE = "predictions.csv"
_FOLDS = "splits.json"
_SLIDE = re.compile(r"S-[a-z0-9]{10}$")
_REFUSED_PAGE = "report/refused.html"


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What was done to the products of a run.

    Parameters
    ----------
    deleted : tuple of str
        Products and notes that are gone.
    rewritten : tuple of str
        Products that lack the patient's rows now and are otherwise as they were.
    """

    deleted: tuple[str, ...] = field(default_factory=tuple)
    rewritten: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class Traces:
    """Under which names and digests a run holds some patients.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    keys : frozenset of str
        Their ids as folds and predictions have them.
    slides : frozenset of str
        Their slides, by pseudonym.
    digests : frozenset of str
        Of the content of their slides.
    shared : frozenset of str
        Those of `digests` that slides of other patients have, too.
    others : frozenset of str
        Slides of everybody else, by pseudonym.
    """

    run_dir: Path
    keys: frozenset[str]
    slides: frozenset[str]
    digests: frozenset[str]
    shared: frozenset[str]
    others: frozenset[str]

    def stored_split(self) -> Split | None:
        """Read the folds.

        Returns
        -------
        Split or None
            None where there are none.

        Raises
        ------
        IntegrityError
            If they are not what their record says.
        """
        if "splits" in half_written(self.run_dir):
            # one file, which a kill leaves whole: the old or the new; nobody is drawn anew for it
            with contextlib.suppress(FileNotFoundError, SchemaError):
                return Split.from_json((self.run_dir / _FOLDS).read_bytes())
            return None
        if read_record(self.run_dir, "splits") is None:
            return None
        return Split.from_json(read_product_bytes(self.run_dir, "splits"))

    def remove(self) -> Removed:
        """Remove the patients from every product; the caller holds the run folder.

        Returns
        -------
        Removed
            Empty where nothing was there.

        Raises
        ------
        ResourceError, ConfigError
            If something cannot be removed; calling again goes on.
        IntegrityError
            If the folds are damaged, after all else is removed.
        """
        deleted = [*self._of_slides(), *self._of_nobody(), *self._notes(), *self._half_written()]
        standing = product_names(self.run_dir)
        folds = [name for name in standing if name.startswith("folds/")]
        for name in folds:
            remove_product(self.run_dir, name)
        if folds:
            deleted.append(f"{len(folds)} models of folds")
        whole = [
            name
            for name in _HOLD_EVERYBODY
            if name in standing and remove_product(self.run_dir, name)
        ]
        deleted += [f"{name}, whole: a run makes it of those who are left" for name in whole]
        (self.run_dir / _REFUSED_PAGE).unlink(missing_ok=True)
        rewritten = [words for words in (self._predictions(), self._folds()) if words]
        return Removed(deleted=tuple(deleted), rewritten=tuple(rewritten))

    def _of_slides(self) -> list[str]:
        names = [RUN_PREFIX + slide for slide in sorted(self.slides)]
        content = tuple(f"quality/{one[:24]}-" for one in self.digests - self.shared)
        names += [name for name in product_names(self.run_dir) if name.startswith(content)]
        return [name for name in names if remove_product(self.run_dir, name)]

    def _of_nobody(self) -> list[str]:
        """Remove what an earlier slide, or earlier content of one, left: it may be of anybody."""
        theirs = {_noted(self.run_dir, slide)[:24] for slide in self.others} - {""}
        theirs |= {one[:24] for one in self.shared}
        removed = 0
        for name in product_names(self.run_dir):
            if name.startswith(RUN_PREFIX):
                owned = name.removeprefix(RUN_PREFIX) in self.others
            elif name.startswith("quality/"):
                owned = name.removeprefix("quality/")[:24] in theirs
            else:
                continue
            removed += not owned and remove_product(self.run_dir, name)
        return [f"{removed} products of slides that nobody has now"] if removed else []

    def _notes(self) -> list[str]:
        folders = (self.run_dir / ".digests", self.run_dir / ".tries")
        notes = sorted(path for folder in folders for path in folder.glob("*.json"))
        named = [(path, _SLIDE.search(path.stem)) for path in notes]
        found = [path for path, slide in named if slide and slide.group() not in self.others]
        for path in found:
            path.unlink()
        return [f"note {path.relative_to(self.run_dir)}" for path in found]

    def _half_written(self) -> list[str]:
        """Remove what a killed process left: it belongs to nobody yet and may hold anybody."""
        sweep_orphans(self.run_dir, older_than_s=0)
        locked = ("bundle",) if is_locked(self.run_dir) else ()
        # folds that are half written are kept, see `stored_split`
        kept = {*locked, "splits"}
        names = [name for name in half_written(self.run_dir) if name not in kept]
        return [f"{name}, half written" for name in names if remove_product(self.run_dir, name)]

    def _remove_open(self, name: str) -> bool:
        return name in half_written(self.run_dir) and remove_product(self.run_dir, name)

    def _folds(self) -> str:
        split, record = self.stored_split(), read_record(self.run_dir, "splits")
        if split is None:
            # what is half written and no split can be of no use
            return "splits, half written" if self._remove_open("splits") else ""
        # half-written folds get the recipe of nothing, so that the next run brings them up to date
        recipe = Recipe(kind="splits") if record is None else record.recipe
        told = {name for change in split.history for name in (*change.added, *change.removed)}
        gone = {*split.patients, *split.missing} & self.keys
        if not gone and not told and record is not None:
            return ""
        # the history counts who left and names nobody: a pseudonym there would be a trace
        history = tuple(replace(change, added=(), removed=()) for change in split.history)
        if gone:
            change = SplitChange(
                what="updated", previous=split.digest, n_added=0, n_removed=len(gone)
            )
            history = (*history, change)
        left = replace(
            split,
            folds=tuple(_without(fold, self.keys) for fold in split.folds),
            missing=tuple(one for one in split.missing if one not in self.keys),
            history=history,
        )
        files: dict[str, bytes] = {_FOLDS: left.to_json().encode()}
        write_product(self.run_dir, "splits", recipe, files)
        return "splits: everybody else stays in his fold"

    def _predictions(self) -> str:
        record = read_record(self.run_dir, "predictions")
        if record is None:
            return ""
        try:
            files = {
                name: read_product_bytes(self.run_dir, "predictions", name) for name in record.files
            }
        except IntegrityError:
            remove_product(self.run_dir, "predictions")
            return "predictions: damaged, so they are gone; a run makes them"
        header, rows = csv_rows(files[_TABLE])
        at = header.index("PATIENT")
        left = [row for row in rows if row[at] not in self.keys]
        if len(left) == len(rows):
            return ""
        files[_TABLE] = csv_bytes(header, left)
        write_product(self.run_dir, "predictions", record.recipe, files)
        return f"predictions: {len(rows) - len(left)} rows are gone"


def traces_of(
    run_dir: Path,
    patients: Collection[tuple[str, str]],
    *,
    keys: frozenset[str],
    listed: frozenset[str],
    others: frozenset[str],
) -> Traces:
    """Find out what a run holds of some patients.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    patients : collection of (str, str)
        Cohort and pseudonym.
    keys : frozenset of str
        Their ids as folds and predictions have them.
    listed : frozenset of str
        Their slides that the tables list now, by pseudonym; those of the index come to them.
    others : frozenset of str
        Slides that the tables list now for everybody else.

    Returns
    -------
    Traces
        A damaged index tells nothing; the tables then say which slides are theirs.
    """
    rows: list[Mapping[str, Any]] = []
    with contextlib.suppress(IntegrityError):
        rows = read_product_json(run_dir, "features")["slides"]
    theirs = {row["slide"]: row for row in rows if (row["cohort"], row["patient"]) in patients}
    slides = listed | set(theirs)
    noted = {_noted(run_dir, slide) for slide in slides}
    digests = (noted | {row.get("slide_digest", "") for row in theirs.values()}) - {""}
    content = {row.get("slide_digest", "") for row in rows if row["slide"] in others}
    content |= {_noted(run_dir, slide) for slide in others}
    return Traces(
        run_dir=run_dir,
        keys=keys,
        slides=frozenset(slides),
        digests=frozenset(digests),
        shared=frozenset(digests & content),
        others=others - slides,
    )


def ids_of_run(run_dir: Path) -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
    """Read whom the products of a run hold, also where no table lists them any more.

    Parameters
    ----------
    run_dir : Path
        The run folder.

    Returns
    -------
    ids : frozenset of str
        Of the folds, the predictions and the cohort, as they have them.
    cohorts : frozenset of (str, str)
        Cohort and pseudonym of the cohort's rows.  Files that cannot be read tell nothing.
    """
    ids: set[str] = set()
    cohorts: set[tuple[str, str]] = set()
    with contextlib.suppress(OSError, SchemaError):
        split = Split.from_json((run_dir / _FOLDS).read_bytes())
        ids |= {*split.patients, *split.missing}
    for name in (_TABLE, "cohort.csv"):
        with contextlib.suppress(OSError, ValueError):
            header, rows = csv_rows((run_dir / name).read_bytes())
            ids |= {row[header.index("PATIENT")] for row in rows}
            if "pseudonym" in header:
                at = header.index("cohort"), header.index("pseudonym")
                cohorts |= {(row[at[0]], row[at[1]]) for row in rows}
    return frozenset(ids), frozenset(cohorts)


def _without(fold: Fold, gone: frozenset[str]) -> Fold:
    train, tune, test = (
        tuple(one for one in part if one not in gone) for part in (fold.train, fold.tune, fold.test)
    )
    inner = tuple(_without(one, gone) for one in fold.inner)
    return replace(fold, train=train, tune=tune, test=test, inner=inner)


def _noted(run_dir: Path, slide: str) -> str:
    """Read a slide's digest from its note; empty where there is none."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return str(parse_json((run_dir / ".digests" / f"{slide}.json").read_bytes())["digest"])
    return ""
