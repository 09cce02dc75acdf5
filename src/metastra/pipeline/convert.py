"""``convert``: feature files from one program's layout to another's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metastra.catalogue import problem
from metastra.errors import ConfigError, DataError, Problem, Where
from metastra.executor import Executor, Failure, Limits, ProcessPool, Task
from metastra.features.files import ENDINGS, read_bag, write_bag
from metastra.features.hints import Hints
from metastra.features.spatialdata_store import is_store
from metastra.progress import track

__all__ = ["ConvertRequest", "ConvertSummary", "convert", "convert_task"]

LIMITS = Limits(memory_bytes=16_000_000_000, wall_s=3600.0)
_READ = (".h5", ".hdf5", ".pt")


@dataclass(frozen=True, kw_only=True)
class ConvertRequest:
    """What is to be converted.

    Parameters
    ----------
    source : Path
        A feature file, a SpatialData store, or a folder with some of them in it.
    target : Path
        A file where the source is one and this is no folder; else a folder.
    layout : {"trident", "stamp", "clam", "spatialdata"}
        Whose readers shall open the result.
    hints : Hints
        What the files may leave out.
    workers : int
        Files at a time.
    """

    source: Path
    target: Path
    layout: str
    hints: Hints
    workers: int = 1


@dataclass(frozen=True, kw_only=True)
class ConvertSummary:
    """What became of the files.

    Parameters
    ----------
    layout : str
        The layout that was written.
    files : tuple of dict
        For each: source, target, layout it had, n_tiles, dimension; or its problems.
    """

    layout: str
    files: tuple[dict[str, Any], ...]

    @property
    def n_failed(self) -> int:
        """Files that were not converted."""
        return sum("problems" in item for item in self.files)

    def lines(self) -> list[str]:
        """Say what was done, a line for each file.

        Returns
        -------
        list of str
            For a person.
        """
        lines = []
        for item in self.files:
            if "problems" in item:
                told = "; ".join(
                    f"{each['code']} {each['found']}"
                    + (f" → {each['hint']}" if each["hint"] else "")
                    for each in item["problems"]
                )
                lines.append(f"{item['source']}  failed  {told}")
            else:
                lines.append(
                    f"{item['source']}  {item['from']} → {self.layout}  "
                    f"{item['n_tiles']} tiles × {item['dimension']}  {item['target']}"
                )
        done = len(self.files) - self.n_failed
        failed = f", {self.n_failed} failed" if self.n_failed else ""
        lines.append(f"{len(self.files)} files: {done} converted{failed}")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Write the summary as plain values.

        Returns
        -------
        dict
            Strict JSON.
        """
        return {
            "to": self.layout,
            "files": list(self.files),
            "research_use": "Research use only. Not for diagnosis or treatment.",
        }


def convert(
    request: ConvertRequest,
    *,
    executor: Executor | None = None,
    tell: Callable[[str], None] | None = None,
) -> ConvertSummary:
    """Convert feature files; each is read in a child process and read back before it counts.

    Parameters
    ----------
    request : ConvertRequest
        What is to be converted.
    executor : Executor, optional
        Where files are worked on; child processes of this machine by default.
    tell : callable, optional
        Told what happens at Ctrl-C.

    Returns
    -------
    ConvertSummary
        With every file.

    Raises
    ------
    ConfigError
        If there is nothing to convert, the layout is none, or a file would replace itself.
    DataError
        If the one file that was named cannot be converted.
    """
    if request.layout not in ENDINGS:
        raise ConfigError(
            f"--to {request.layout!r} is no layout that is written; choose from "
            f"{', '.join(ENDINGS)}"
        )
    pairs = dict(_pairs(request))
    if not pairs:
        raise ConfigError(f"{request.source}: there is no feature file in it")
    tasks = [
        Task(key=str(source), payload=_payload(request, source, target))
        for source, target in pairs.items()
    ]
    runner = executor or ProcessPool(workers=request.workers, limits=LIMITS, tell=tell)
    steps = track(runner.run(convert_task, tasks), label="convert", unit="files", total=len(tasks))
    found: dict[str, dict[str, Any]] = {}
    for result in steps:
        found[result.key] = {} if result.value is None else result.value
        if result.failure is None:
            continue
        steps.fail()
        problems = result.failure.problems or (_problem(Path(result.key), result.failure),)
        if pairs.keys() == {request.source}:
            raise DataError("nothing was converted", problems)
        found[result.key]["problems"] = [item.to_json() for item in problems]
    files = [
        {"source": str(source), "target": str(target), **found[str(source)]}
        for source, target in pairs.items()
    ]
    return ConvertSummary(layout=request.layout, files=tuple(files))


def convert_task(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Convert one file, as the task of an executor.

    Parameters
    ----------
    payload : mapping
        source, target, layout, and the hints.

    Returns
    -------
    dict
        The layout it had, tiles and features.
    """
    hints = Hints(
        mpp=None if payload["mpp"] is None else tuple(payload["mpp"]),
        tile_side_um=payload["tile_side_um"],
        tile_side_px0=payload["tile_side_px0"],
        encoder=payload["encoder"],
    )
    bag = read_bag(Path(payload["source"]), hints)
    write_bag(bag, Path(payload["target"]), payload["layout"])
    return {"from": bag.layout, "n_tiles": len(bag), "dimension": bag.dimension}


def _payload(request: ConvertRequest, source: Path, target: Path) -> dict[str, Any]:
    hints = request.hints
    return {
        "source": str(source),
        "target": str(target),
        "layout": request.layout,
        "mpp": None if hints.mpp is None else list(hints.mpp),
        "tile_side_um": hints.tile_side_um,
        "tile_side_px0": hints.tile_side_px0,
        "encoder": hints.encoder,
    }


def _pairs(request: ConvertRequest) -> Iterator[tuple[Path, Path]]:
    """Pair each source with its target."""
    source, target, ending = request.source, request.target, ENDINGS[request.layout]
    if not source.is_dir() or is_store(source):
        inside = target.is_dir() and not is_store(target)
        pairs = [(source, target / f"{source.stem}{ending}" if inside else target)]
    else:
        pairs = [
            (path, target / path.relative_to(source).with_suffix(ending))
            for path in _feature_files(source)
        ]
    taken: dict[Path, Path] = {}
    for path, made in pairs:
        if made.exists() and made.samefile(path):
            raise ConfigError(f"{path} would replace itself; choose another target")
        if made in taken:
            raise ConfigError(f"{taken[made]} and {path} would both become {made}; rename one")
        taken[made] = path
        yield path, made


def _feature_files(folder: Path) -> Iterator[Path]:
    for inside, folders, files in os.walk(folder):
        here = Path(inside)
        stores = [name for name in folders if is_store(here / name)]
        folders[:] = sorted(
            name for name in folders if name not in stores and not name.startswith(".")
        )
        names = [name for name in files if Path(name).suffix.lower() in _READ]
        yield from (here / name for name in sorted([*stores, *names]) if name[0] != ".")


def _problem(path: Path, failure: Failure) -> Problem:
    return problem("SL051", failure.message, where=Where(file=path.name), hint=failure.hint or None)
