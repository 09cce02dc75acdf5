"""`python -m benchmarks.large_slide`: one slide of 100,000 x 100,000 px through the real commands.

The slide is made by `benchmarks.large_file`: tissue of real pixels, tiled JPEG, smaller levels, a
file of some megabytes since tiles share their bytes.  ``metastra extract --dry-run``, ``metastra
qc`` and ``metastra extract`` with ``morphology`` and one worker run as a person starts them, each
in a folder of its own, so that each does all of its work.  Memory and address space of the parent
and of its worker are the kernel's high-water marks, looked at every 50 ms.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cases import REPOSITORY
from benchmarks.commands import child_environment
from benchmarks.large_file import DOWNS, MPP, large_slide
from benchmarks.machine import cpu_model, load, today, versions

__all__ = ["main"]

_SIDES = (10_000, 40_000, 100_000)
_LOOK_EVERY_S = 0.05
_STEPS = ("digest", "quality", "waiting", "encoding", "writing")


@dataclass
class _Seen:
    """What a command took, as far as it was looked at."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    said: dict[str, Any] = field(default_factory=dict)
    peaks: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Resident memory and address space (bytes) of the parent and of its worker."""

    def mb(self, who: str) -> str:
        resident, space = self.peaks.get(who, (0, 0))
        return f"{resident / 1e6:.0f} MB of {space / 1e6:,.0f}"


def _run(arguments: Sequence[str]) -> _Seen:
    """Run ``metastra`` and look at it and at its worker while it does."""
    begun_s, before_s = time.perf_counter(), _children_s()
    seen = _Seen()
    with subprocess.Popen(
        [sys.executable, "-m", "metastra", *arguments, "--json"],
        cwd=REPOSITORY,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        while child.poll() is None:
            _look(seen, "parent", child.pid)
            for worker in _workers(child.pid):
                _look(seen, "worker", worker)
            time.sleep(_LOOK_EVERY_S)
        if child.returncode:
            raise SystemExit(f"metastra {' '.join(arguments)}: exit {child.returncode}")
        assert child.stdout is not None
        seen.said = json.load(child.stdout)
    seen.wall_s, seen.cpu_s = time.perf_counter() - begun_s, _children_s() - before_s
    return seen


def _children_s() -> float:
    """CPU time of all children that have ended, theirs included."""
    import resource

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _workers(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _look(seen: _Seen, who: str, pid: int) -> None:
    """Read the high-water marks of a process; one that has just ended says nothing."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return
    marks = dict(line.split(":", 1) for line in lines if line.startswith(("VmHWM", "VmPeak")))
    if len(marks) == 2:
        found = (1024 * int(marks[name].split()[0]) for name in ("VmHWM", "VmPeak"))
        before = seen.peaks.get(who, (0, 0))
        resident, space = (max(pair) for pair in zip(before, found, strict=True))
        seen.peaks[who] = (resident, space)


def _measure(slide: Path, folder: Path) -> list[str]:
    """Run the three commands on one slide; say what they took."""
    one = ("--workers", "1")
    dry = _run(["extract", str(slide), "--out", str(folder / "dry"), *one, "--dry-run"])
    quality = _run(["qc", str(slide), "--out", str(folder / "qc"), *one])
    features = _run(["extract", str(slide), "--out", str(folder / "features"), *one])
    (log,) = (folder / "features" / "runs").glob("*.json")
    record = json.loads(log.read_text())
    (row,) = features.said["slides"]
    (stage,) = dry.said["stages"]
    size = (folder / "features" / row["features"]).stat().st_size
    steps = ", ".join(f"{step} {record['step_seconds'].get(step, 0.0):.1f}" for step in _STEPS)
    kept = (
        f"- {row['n_grid']:,} tiles in the grid, {row['n_tiles']:,} kept; dropped "
        f"{row['dropped']}; feature file {size / 1e6:.2f} MB."
    )
    told = (
        f"; expected {stage['tiles']:,} tiles ({stage['tiles'] / row['n_tiles']:.2f}), "
        f"{stage['seconds']:.1f} s ({stage['seconds'] / features.wall_s:.2f}), "
        f"{stage['disk_bytes'] / 1e6:.2f} MB ({stage['disk_bytes'] / size:.2f})."
    )
    return [
        kept,
        _line("qc", quality) + ".",
        _line("extract", features) + f"; seconds of the worker: {steps}.",
        _line("extract --dry-run", dry) + told,
    ]


def _line(name: str, seen: _Seen) -> str:
    return (
        f"- `{name}`: {seen.wall_s:.1f} s, CPU {seen.cpu_s:.1f} s; resident of address space, at "
        f"most: worker {seen.mb('worker')} MB, parent {seen.mb('parent')} MB"
    )


def main(arguments: list[str]) -> None:
    """Measure and print.

    Parameters
    ----------
    arguments : list of str
        From the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_slide", description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=list(_SIDES), help="of level 0, px")
    parser.add_argument("--share", type=float, default=0.3, help="of the slide that is tissue")
    options = parser.parse_args(arguments)
    source = Path(child_environment()["METASTRA_SHARED"], "data/wsi/CMU-1-Small-Region.svs")
    print(f"- Machine: {cpu_model()}; {today()}; load {load()} at the start.")
    print(f"- Versions: {versions()}.")
    print(f"- {MPP} µm per pixel, levels at 1/{', 1/'.join(map(str, DOWNS[1:]))}.")
    for side in options.sides:
        with tempfile.TemporaryDirectory() as name:
            folder, begun_s = Path(name), time.perf_counter()
            slide = large_slide(folder / "slide.tif", source, side, options.share)
            made_s, size = time.perf_counter() - begun_s, slide.stat().st_size
            print(f"\n{side:,}² px: {size / 1e6:.1f} MB, made in {made_s:.1f} s\n", flush=True)
            print("\n".join(_measure(slide, folder)), flush=True)
            print(f"- Load {load()}.", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
