"""`python -m benchmarks.scheduler`: what the scheduler costs for each of thousands of tiny slides.

The slides are hard links to one file of 64 × 64 px, so the work on a slide is as small as a whole
slide's way can be: open, digest, quality, an empty feature file with its record.  They go through
`metastra.pipeline.extract.extract` with child processes, quarantine, progress, manifest and table,
and then once more when everything is there.  Each size is a process of its own.

Overhead of a slide is what the workers did not work: (elapsed × workers − work) / slides.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from benchmarks.cases import REPOSITORY
from benchmarks.commands import child_environment
from benchmarks.machine import cpu_model, load, today, versions
from metastra.executor import ProcessPool
from metastra.pipeline.extract import ExtractRequest, ExtractSummary, extract
from metastra.progress import PlainProgress, use_progress

__all__ = ["link_slides", "main"]

_SIZES = (2_000, 10_000, 20_000)
_LINKS = 10_000
"""Hard links of one file; some file systems end at 65,000."""


def link_slides(folder: Path, count: int) -> Path:
    """Make a folder of tiny slides that share their bytes.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    count : int
        How many.

    Returns
    -------
    Path
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rgb = np.full((64, 64, 3), 240, np.uint8)
    rgb[10:50, 10:50] = np.random.default_rng(0).integers(90, 200, (40, 40, 3))
    for first in range(0, count, _LINKS):
        source = folder / f"s{first:06d}.tif"
        tifffile.imwrite(
            source,
            rgb,
            tile=(64, 64),
            photometric="rgb",
            compression="deflate",
            resolution=(20_000, 20_000),
            resolutionunit="CENTIMETER",
        )
        for number in range(first + 1, min(first + _LINKS, count)):
            os.link(source, folder / f"s{number:06d}.tif")
    return folder


def _resident_mb() -> tuple[float, float]:
    """Memory of this process now and at most, in MB."""
    found = {}
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "VmHWM"):
            found[name] = int(value.split()[0]) * 1024 / 1e6
    return found["VmRSS"], found["VmHWM"]


def _once(request: ExtractRequest) -> tuple[dict[str, float], ExtractSummary]:
    cpu, begun = time.process_time(), time.perf_counter()
    with use_progress(PlainProgress(io.StringIO())):
        summary = extract(request, executor=ProcessPool(workers=request.workers))
    wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu
    work_s, slides = sum(fate.wall_s for fate in summary.fates), len(summary.fates)
    told = {
        "wall_s": wall_s,
        "work_ms": 1e3 * work_s / slides,
        "overhead_ms": 1e3 * (wall_s * request.workers - work_s) / slides,
        "parent_ms": 1e3 * cpu_s / slides,
    }
    return told, summary


def _measure(count: int, workers: int) -> dict[str, Any]:
    """Run one size in this process."""
    with tempfile.TemporaryDirectory() as name:
        slides = link_slides(Path(name, "slides"), count)
        before_mb, _ = _resident_mb()
        request = ExtractRequest(slides=(slides,), out=Path(name, "out"), workers=workers)
        first, summary = _once(request)
        assert all(fate.outcome and fate.outcome.made for fate in summary.fates)
        now_mb, peak_mb = _resident_mb()
        del summary
        again, summary = _once(request)
        assert not any(fate.outcome and fate.outcome.made for fate in summary.fates)
    memory = {"before_mb": before_mb, "after_mb": now_mb, "peak_mb": peak_mb}
    return {"slides": count, "first": first, "again": again, "load": load(), **memory}


def _child(count: int, workers: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scheduler", "--one", str(count), "-w", str(workers)],
        cwd=REPOSITORY,
        env=child_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def _table(rows: list[dict[str, Any]], heading: Callable[[str], str]) -> str:
    head = (
        "| slides | elapsed | work a slide | overhead a slide | parent's CPU a slide "
        "| parent's memory, start → end (peak) | nothing to do, elapsed | load |"
    )
    lines = [heading(head), "| --: " * 8 + "|"]
    for row in rows:
        first, again = row["first"], row["again"]
        lines.append(
            f"| {row['slides']:,} | {first['wall_s']:.0f} s | {first['work_ms']:.1f} ms "
            f"| {first['overhead_ms']:.2f} ms | {first['parent_ms']:.2f} ms "
            f"| {row['before_mb']:.0f} → {row['after_mb']:.0f} MB ({row['peak_mb']:.0f}) "
            f"| {again['wall_s']:.0f} s | {row['load']} |"
        )
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Measure and print.

    Parameters
    ----------
    arguments : list of str
        From the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scheduler", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(_SIZES))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("-w", "--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(_measure(options.one, options.workers)))
        return
    print(f"- Machine: {cpu_model()}; {today()}.\n- Versions: {versions()}.\n")
    print(_table([_child(size, options.workers) for size in options.sizes], str))


if __name__ == "__main__":
    main(sys.argv[1:])
