"""`python -m benchmarks.estimates DEMO`: what a dry run expects of a demo, beside what came.

The demo is finished.  Its study is copied without its run, a dry run estimates it, and the estimate
stands beside the bytes that the finished run left and, where that run has a manifest, its seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import cpu_model, load, today
from metastra.pipeline.opening import open_study
from metastra.pipeline.run import run_study
from metastra.pipeline.run_record import past_runs

__all__ = ["left_by", "main"]

_BESIDE = {"qc": ("quality",), "features": ("features", ".digests")}
_PATIENTS = {"bundle": ("folds",)}


def left_by(run_dir: Path) -> dict[str, int]:
    """Add up what each stage left, products of single slides and all records included.

    Parameters
    ----------
    run_dir : Path
        Of a finished run.

    Returns
    -------
    dict of str to int
        Bytes by stage.
    """
    found: dict[str, int] = {}
    for path in sorted((run_dir / ".records").glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))["record"]
        size = path.stat().st_size + sum(file["size"] for file in record["files"].values())
        for folder in (*_BESIDE.get(path.stem, ()), *_PATIENTS.get(path.stem, ())):
            size += _below(run_dir / folder) + _below(run_dir / ".records" / folder)
        found[path.stem] = size
    return found


def _below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main(arguments: list[str]) -> None:
    """Compare and print.

    Parameters
    ----------
    arguments : list of str
        From the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimates", description=__doc__)
    parser.add_argument("demo", type=Path, help="folder of a finished demo")
    options = parser.parse_args(arguments)
    run_dir = options.demo / "run"
    past = [one for one in past_runs(run_dir) if one["command"] == "run"]
    took = past[0]["stage_seconds"] if past else {}
    before = load()
    with tempfile.TemporaryDirectory() as name:
        study = Path(name, "study")
        shutil.copytree(options.demo, study, ignore=shutil.ignore_patterns("run", "truth"))
        workers = len(os.sched_getaffinity(0))
        estimate = run_study(open_study(study), dry_run=True, workers=workers).estimate
    if estimate is None:
        raise SystemExit("the dry run gave no estimate")
    left = left_by(run_dir)
    print(f"- Machine: {cpu_model()}; {today()}; load {before} before, {load()} after.\n")
    print("| stage | MB expected | MB left | ratio | s expected | s taken |")
    print("| --- " + "| --: " * 5 + "|")
    for stage in estimate.stages:
        there = left.get(stage.stage, 0)
        ratio = f"{(stage.disk_bytes or 0) / there:.2f}" if there else "–"
        seconds = "–" if stage.seconds is None else f"{stage.seconds:.0f}"
        print(
            f"| {stage.stage} | {(stage.disk_bytes or 0) / 1e6:.2f} | {there / 1e6:.2f} | {ratio} "
            f"| {seconds} | {took.get(stage.stage, 0):.0f} |"
        )
    whole = sum(left.values())
    print(
        f"| **in all** | {estimate.disk_bytes / 1e6:.1f} | {whole / 1e6:.1f} "
        f"| {estimate.disk_bytes / whole:.2f} | {estimate.seconds:.0f} | {sum(took.values()):.0f} |"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
