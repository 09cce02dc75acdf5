"""A feature file of another program, brought into a store under the name it may have there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from metastra.extraction.digests import noted_digest
from metastra.extraction.job import SlideJob
from metastra.extraction.outcome import SlideOutcome
from metastra.features.files import read_bag
from metastra.features.hints import Hints
from metastra.features.store import KIND, FeatureStore
from metastra.features.writing import write_own
from metastra.slides.slide import require_he
from metastra.storage import Recipe, value_parent

__all__ = ["take_features"]


def take_features(job: SlideJob) -> SlideOutcome:
    """Copy a feature file into a store, every number looked at, unless it is there already.

    The copy has our layout whatever the source had, no name but the job's, and the precision of
    the source.

    Parameters
    ----------
    job : SlideJob
        Whose path is a feature file.

    Returns
    -------
    SlideOutcome
        With a scale only where the file or the job says one.

    Raises
    ------
    DataError
        SL051 to SL056 if the file cannot be used.
    SlideError
        SL015 if a table says that the slide is not H&E.
    """
    require_he(job.stain, job.shown)
    store = FeatureStore(Path(job.folder), job.prefix)
    hints = Hints(mpp=None if job.mpp is None else (job.mpp, job.mpp))
    bag = read_bag(Path(job.path), hints)
    digest = noted_digest(Path(job.path), job.name, Path(job.folder))
    recipe = Recipe(
        kind=KIND,
        parents={"file": value_parent("feature file", digest)},
        settings={"slide_mpp": job.mpp},
    )
    made = not store.state(job.name, recipe)
    if made:
        named = replace(bag, origin=replace(bag.origin, name=job.name))
        store.write(job.name, recipe, write_own(named))
    return SlideOutcome(
        name=job.name,
        made=made,
        n_tiles=len(bag),
        n_grid=len(bag),
        dropped=dict(bag.origin.dropped),
        excluded=bag.origin.excluded or ("" if len(bag) else "the feature file has no tiles"),
        digest=store.record(job.name).digest,
        slide_digest=digest,
        mpp=bag.frame.mpp or (),
        mpp_source=job.mpp_source if job.mpp is not None else "file",
    )
