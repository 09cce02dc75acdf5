"""`python -m benchmarks.one_patient BUNDLE`: one patient, slide and table to risk and risk map.

What a person at a laptop does: ``metastra explain`` reads the slide, encodes its tiles and draws
the risk map; ``metastra predict`` joins those features with the row of the table.  Each is a
process of its own, start included.  The slide is the real CMU-1 region, mirrored to each of the
given sides.  With two sides or more, the cost of a tile is the slope between the first and the
last, and a slide of 100,000² px is reckoned from it.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from benchmarks.commands import Cost, child_environment, run_child
from benchmarks.machine import cpu_model, load, today, versions

__all__ = ["main"]

_SIDES = (2_000, 6_000)
_SCALES = (0.25, 0.5)
_TILE_UM = 112.0
_FULL_PX = 100_000
_ROW = {
    "PATIENT": "P1",
    "age": "67.5",
    "sex": "F",
    "stage": "IIIB",
    "grade": "G2",
    "MMR": "pMMR",
    "location": "left",
    "CEA": "6.8",
}


def _write_slide(path: Path, source: Path, side: int) -> None:
    """Mirror the real region to a square, with smaller levels as a scanner writes them."""
    from metastra.slides.opening import open_slide

    with open_slide(source) as slide:
        tissue = slide.read_region(0, 0, 0, 2220, 2967)
    twice = np.concatenate([tissue, tissue[:, ::-1]], axis=1)
    twice = np.concatenate([twice, twice[::-1]], axis=0)
    repeats = (-(-side // twice.shape[0]), -(-side // twice.shape[1]), 1)
    level = np.tile(twice, repeats)[:side, :side]
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        micrometres = 0.5
        for number in range(4):
            file.write(
                level,
                tile=(256, 256),
                compression="jpeg",
                compressionargs={"level": 80},
                photometric="ycbcr",
                subsampling=(2, 2),
                resolution=(1e4 / micrometres, 1e4 / micrometres),
                resolutionunit="CENTIMETER",
                subfiletype=int(number > 0),
                metadata=None,
            )
            level, micrometres = level[::2, ::2], micrometres * 2


def _table(path: Path, row: dict[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, row.keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerow(row)
    return path


def _patient(bundle: Path, source: Path, side: int, folder: Path) -> dict[str, Any]:
    """Go all the way for one slide."""
    folder.mkdir()
    slide = folder / "P1.tif"
    _write_slide(slide, source, side)
    out = folder / "explained"
    explain = run_child(
        ["-m", "metastra", "explain", str(bundle), str(slide), "--out", str(out), "--workers", "1"]
    )
    clinical = _table(folder / "new.csv", _ROW)
    slides = _table(folder / "slides.csv", {"PATIENT": "P1", "FILENAME": "P1.h5", "STAIN": "H&E"})
    predict = run_child(
        [
            *("-m", "metastra", "predict", str(bundle), str(clinical)),
            *("--slide-table", str(slides), "--slide-dir", str(out / "features")),
            *("--out", str(folder / "risks.csv")),
        ]
    )
    with (folder / "risks.csv").open(encoding="utf-8") as stream:
        risk = next(csv.DictReader(stream))
    return {
        "side": side,
        "slide_mb": slide.stat().st_size / 1e6,
        "tiles": int(risk["n_tiles"]),
        "explain": explain,
        "predict": predict,
        "exit": (explain.exit_code, predict.exit_code),
    }


def _line(one: dict[str, Any]) -> str:
    explain, predict = one["explain"], one["predict"]
    peak = max(explain.peak_mib, predict.peak_mib)
    return (
        f"| {one['side']:,}² | {one['tiles']:,} | {explain.cpu_s:.1f} s | {explain.wall_s:.1f} s "
        f"| {predict.cpu_s:.1f} s | {predict.wall_s:.1f} s | {peak:.0f} MiB |"
    )


def _reckoned(small: dict[str, Any], large: dict[str, Any]) -> list[str]:
    """A full slide from the slope between two sides."""

    def cpu_s(one: dict[str, Any]) -> float:
        costs: tuple[Cost, Cost] = (one["explain"], one["predict"])
        return sum(cost.cpu_s for cost in costs)

    per_tile = (cpu_s(large) - cpu_s(small)) / (large["tiles"] - small["tiles"])
    fixed = cpu_s(small) - per_tile * small["tiles"]
    lines = [f"CPU: {fixed:.1f} s + {1e3 * per_tile:.2f} ms a tile\n"]
    for scale in _SCALES:
        grid = int(_FULL_PX * scale / _TILE_UM) ** 2
        for share in (0.3, 1.0):
            tiles = round(grid * share)
            minutes = (fixed + per_tile * tiles) / 60
            lines.append(
                f"- {_FULL_PX:,}² px at {scale:g} µm, {share:.0%} tissue: {tiles:,} tiles, "
                f"{minutes:.1f} CPU minutes"
            )
    return lines


def main(arguments: list[str]) -> None:
    """Measure and print.

    Parameters
    ----------
    arguments : list of str
        From the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.one_patient", description=__doc__)
    parser.add_argument("bundle", type=Path, help="of a finished demo")
    parser.add_argument("--sides", type=int, nargs="+", default=list(_SIDES))
    options = parser.parse_args(arguments)
    shared = Path(child_environment()["METASTRA_SHARED"])
    source = shared / "data" / "wsi" / "CMU-1-Small-Region.svs"
    print(f"- Machine: {cpu_model()}; {today()}; load {load()} at the start.")
    print(f"- Versions: {versions()}.\n")
    print("| slide, px | tiles | explain, CPU | elapsed | predict, CPU | elapsed | peak memory |")
    print("| --: " * 7 + "|")
    found = []
    with tempfile.TemporaryDirectory() as name:
        for side in options.sides:
            found.append(_patient(options.bundle, source, side, Path(name, str(side))))
            print(_line(found[-1]), flush=True)
    if len(found) > 1:
        print("\n" + "\n".join(_reckoned(found[0], found[-1])))
    print(f"\nLoad {load()} at the end.")


if __name__ == "__main__":
    main(sys.argv[1:])
