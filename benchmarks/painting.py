"""`python -m benchmarks.painting`: CPU seconds per mm² and peak memory of painted slides."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.commands import child_environment
from metastra.synthetic.painting.composition import Composition, Surroundings
from metastra.synthetic.painting.scanners import SCANNERS
from metastra.synthetic.painting.scene import Recipe, make_scene
from metastra.synthetic.painting.slide_file import paint_slide

_ROUNDS = 2
_COMPOSITION = Composition()
_AROUND = Surroundings(mucosa=0.1, muscle=0.08, fat=0.06)


def _recipe(mm2: float, label: str) -> Recipe:
    side = (mm2 * 1e6) ** 0.5
    return Recipe(
        width_um=round(side * 1.15),
        height_um=round(side / 1.15),
        composition=_COMPOSITION,
        surroundings=_AROUND,
        label=label,
    )


def _measure(name: str, mm2: float) -> dict[str, float]:
    """Paint in this process; the first slide compiles or loads what is compiled."""
    scanner = SCANNERS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tiff"
        paint_slide(path, _recipe(0.25, "warm"), scanner)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        rounds, scenes = [], []
        for k in range(_ROUNDS):
            recipe = _recipe(mm2, f"round-{k}")
            begun = time.process_time()
            paint_slide(path, recipe, scanner)
            rounds.append(time.process_time() - begun)
            begun = time.process_time()
            make_scene(replace(recipe, label=f"scene-{k}"))
            scenes.append(time.process_time() - begun)
        area = recipe.width_um * recipe.height_um / 1e6
        return {
            "s_per_mm2": min(rounds) / area,
            "scene_s_per_mm2": min(scenes) / area,
            "more_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
            "file_mb_per_mm2": path.stat().st_size / 1e6 / area,
        }


def main() -> None:
    """Print the table, each row from a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.painting", description=__doc__)
    parser.add_argument("--paint", nargs=2, help="scanner and mm², in this process")
    parser.add_argument("--quick", action="store_true", help="one small slide")
    options = parser.parse_args()
    if options.paint:
        print(json.dumps(_measure(options.paint[0], float(options.paint[1]))))
        return
    columns = ("scanner", "µm/px", "slide, mm²", "CPU s per mm²", "of it the scene")
    print(f"| {' | '.join(columns)} | memory above start, MB | file, MB per mm² |")
    print("|---|---|---|---|---|---|---|")
    whole = [*((name, 2.0) for name in list(SCANNERS)[:4]), ("Aurora S60", 12.0)]
    for name, mm2 in [("Pelican 2", 0.25)] if options.quick else whole:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.painting", "--paint", name, str(mm2)],
            env=child_environment(),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        row = json.loads(done.stdout.splitlines()[-1])
        print(
            f"| {name} | {SCANNERS[name].mpp:g} | {mm2:g} | {row['s_per_mm2']:.2f} | "
            f"{row['scene_s_per_mm2']:.2f} | {row['more_mb']:.0f} | {row['file_mb_per_mm2']:.1f} |"
        )


if __name__ == "__main__":
    main()
