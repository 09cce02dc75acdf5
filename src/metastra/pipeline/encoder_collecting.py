"""The tiles of all slides that an encoder is trained on, each slide accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from metastra.digest import digest_value
from metastra.executor import Executor, Task
from metastra.extraction.batch import store_error
from metastra.pipeline.encoder_tiles import TileJob, collect_tiles, tiles_product
from metastra.progress import track

__all__ = ["Collected", "collect"]


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What became of the sources.

    Parameters
    ----------
    files : tuple of Path
        Arrays of tiles, ordered by what is in them.
    tiles_digest : str
        Of all of them.
    sources : tuple of (str, int)
        Digest of each slide or picture, and how many of its tiles are trained on.
    excluded, failed : dict of str to str
        Slides without tiles, and those that could not be read, with the reason.
    """

    files: tuple[Path, ...]
    tiles_digest: str
    sources: tuple[tuple[str, int], ...]
    excluded: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def collect(executor: Executor, jobs: Sequence[TileJob]) -> Collected:
    """Collect the tiles of all jobs; a slide that cannot be read is named, the others go on.

    Parameters
    ----------
    executor : Executor
        Where slides are read.
    jobs : sequence of TileJob
        With different names.

    Returns
    -------
    Collected
        Slides of equal content count once.

    Raises
    ------
    ResourceError, ConfigError, DigestMismatch
        If the arrays cannot be written.
    """
    by_name = {job.name: job for job in jobs}
    tasks = [Task(key=job.name, payload=job.to_plain()) for job in jobs]
    excluded: dict[str, str] = {}
    failed: dict[str, str] = {}
    arrays: dict[str, tuple[Path, list[tuple[str, int]]]] = {}
    steps = track(
        executor.run(collect_tiles, tasks),
        label="Collecting tiles",
        unit="files",
        total=len(tasks),
    )
    for result in steps:
        job, failure = by_name[result.key], result.failure
        if failure is not None:
            if (fatal := store_error(failure)) is not None:
                raise fatal
            steps.fail()
            codes = "; ".join(f"{one.code} {one.found}" for one in failure.problems)
            failed[job.shown[0]] = (codes or failure.message).replace(job.paths[0], job.shown[0])
            continue
        value = result.value
        failed |= {one["name"]: one["reason"] for one in value["failed"]}
        if value["excluded"]:
            steps.exclude()
            excluded[job.shown[0]] = value["excluded"]
        elif value["digest"]:
            _, file = tiles_product(job.name)
            found = [(str(digest), int(count)) for digest, count in value["sources"]]
            arrays.setdefault(value["digest"], (Path(job.folder) / file, found))
    ordered = sorted(arrays.items(), key=lambda item: item[1][1])
    return Collected(
        files=tuple(path for _, (path, _) in ordered),
        tiles_digest=digest_value([digest for digest, _ in ordered]),
        sources=tuple(one for _, (_, found) in ordered for one in found),
        excluded=excluded,
        failed=failed,
    )
