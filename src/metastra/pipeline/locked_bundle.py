"""What a run would do to a locked bundle, found out without writing anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from metastra.bundle.layout import SIGNATURE
from metastra.bundle.writing import refuse_locked
from metastra.digest import digest_bytes
from metastra.errors import LockedError
from metastra.pipeline.model_recipes import BUNDLE_DIR, bundle_recipe
from metastra.pipeline.workshop import Stage, Workshop
from metastra.storage import Manifest, Recipe, StoredFile, completeness
from metastra.storage.records import finished_record

__all__ = ["is_locked", "locked_refusal", "refusal_words"]


def is_locked(run_dir: Path) -> bool:
    """Say whether the run's bundle is signed.

    Parameters
    ----------
    run_dir : Path
        The run folder.

    Returns
    -------
    bool
        True where there is a signature, sound or not.
    """
    path = run_dir / BUNDLE_DIR / SIGNATURE
    return path.exists() or path.is_symlink()


def refusal_words(run_dir: Path, what: str) -> str:
    """Give the words with which a run refuses to change its bundle.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    what : str
        What would change the bundle, as half a sentence.

    Returns
    -------
    str
        Empty where the bundle is not locked.
    """
    try:
        refuse_locked(run_dir / BUNDLE_DIR, what)
    except LockedError as error:
        return str(error)
    return ""


def locked_refusal(work: Workshop, stages: Mapping[str, Stage], stale: Collection[str]) -> str:
    """Say why a run would stop at a locked bundle.

    What the bundle is made from is made in memory where it is stale: equal bytes leave the bundle
    as it is, and only others would change it.  Features are not made: where slides would be read
    again, the run is said to stop.

    Parameters
    ----------
    work : Workshop
        The study at work.
    stages : mapping of str to Stage
        By name, with those that the bundle is made from.
    stale : collection of str
        Stages that would run.

    Returns
    -------
    str
        The words of the refusal; empty where the bundle would stay.

    Raises
    ------
    DataError, ConfigError, IntegrityError
        As the run itself would stop before the bundle.
    """
    run_dir = work.opened.run_dir
    parents: dict[str, str] = {}
    for name in stages["bundle"].needs:
        if name == "features":
            reasons = _features_reasons(work, stages[name], parents)
            if reasons:
                what = f"the features would be made again ({'; '.join(reasons)})"
                return refusal_words(run_dir, what)
            parents[name] = finished_record(run_dir, name).digest
        elif name in stale:
            parents[name] = _digest_of(name, stages[name].make(work))
        else:
            parents[name] = finished_record(run_dir, name).digest
    reasons = completeness(run_dir, "bundle", bundle_recipe(work.opened.study, parents)).reasons
    return refusal_words(run_dir, "; ".join(reasons)) if reasons else ""


def _features_reasons(work: Workshop, stage: Stage, parents: Mapping[str, str]) -> tuple[str, ...]:
    """Say why slides would be read again; nothing is extracted to find out more."""
    wanted = stage.recipe(work)
    cohort = replace(wanted.parents["cohort"], digest=parents["cohort"])
    recipe = replace(wanted, parents={**wanted.parents, "cohort": cohort})
    run_dir = work.opened.run_dir
    return completeness(run_dir, stage.name, recipe).reasons or stage.lost(work)


def _digest_of(name: str, files: Mapping[str, bytes]) -> str:
    stored = {
        file: StoredFile(sha256=digest_bytes(data), size=len(data)) for file, data in files.items()
    }
    return Manifest(name=name, recipe=Recipe(kind=name), files=stored).digest
