"""`python -m benchmarks.tiles`: features and nuclei on real tiles: how fast, and how good.

``--stages`` prints the time of each stage; ``--record`` writes the figures of both data sets into
``docs/records/``.  The data are those kept beside a checkout (``METASTRA_SHARED`` or
``../shared``).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import monuseg, polito
from benchmarks.cases import REPOSITORY
from benchmarks.machine import cpu_model, today, versions
from metastra.cells.detect import detect_nuclei, detect_nuclei_in_haematoxylin
from metastra.cells.scratch import Scratch
from metastra.encoders import (
    layout_features,
    nucleus_features,
    orientation_features,
    space_features,
    stain_features,
    texture_features,
)
from metastra.encoders.morphology import Morphology
from metastra.encoders.tile_maps import prepare
from metastra.stats.proportions import wilson_interval
from metastra.testing.nucleus_matching import NucleusAgreement

__all__ = ["data_folder", "main"]

_MPP = 0.5
_ROUNDS = 5


def data_folder() -> Path:
    """Find the tiles that are kept beside a checkout."""
    folder = Path(os.environ.get("METASTRA_SHARED", REPOSITORY.parent / "shared")) / "data"
    if not (folder / "tiles").is_dir():
        raise SystemExit(f"no tiles at {folder}; set METASTRA_SHARED to the folder of shared data")
    return folder / "tiles"


def _best_ms(call: Callable[[], object]) -> float:
    taken = []
    for _ in range(_ROUNDS):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return 1000.0 * min(taken)


def stages(folder: Path, *, quick: bool = False) -> str:
    """Measure every stage on every eighth ORION tile; CPU time, best of five, mean of the tiles."""
    paths = sorted((folder / "orion_crc_he").glob("*.png"))[:: 80 if quick else 8]
    tiles = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    encoder = Morphology(mpp=_MPP)
    encoder.encode(np.stack(tiles[:1]))
    pile = Scratch()
    laps = [[_laps(tile, pile) for _ in range(_ROUNDS)] for tile in tiles]
    rows = {
        name: np.mean([min(one[name] for one in rounds) for rounds in laps]) for name in laps[0][0]
    }
    whole = np.mean([_best_ms(lambda t=tile: encoder.encode(t[None])) for tile in tiles])
    large = np.tile(tiles[0], (5, 5, 1))[:1000, :1000]
    nuclei = _best_ms(lambda: detect_nuclei(large, _MPP))
    lines = [f"| {name} | {value:.2f} ms |" for name, value in rows.items()]
    lines.append(f"| **`morphology`, one 224 px tile** | **{whole:.1f} ms** |")
    lines.append(f"| `cells.detect`, 1000 × 1000 px at 0.5 µm | {nuclei:.0f} ms |")
    return "\n".join(["| stage | CPU time |", "| --- | --: |", *lines])


def _laps(tile: NDArray[np.uint8], pile: Scratch) -> dict[str, float]:
    """Milliseconds of each stage, in the encoder's order: later ones use what earlier ones made."""
    found: dict[str, float] = {}

    def lap(name: str, call: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = call()
        found[name] = 1000.0 * (time.process_time() - start)
        return result

    with pile.frame():
        maps = lap("stain separation", lambda: prepare(tile, _MPP, pile))
        nuclei = lap(
            "nuclei",
            lambda: detect_nuclei_in_haematoxylin(maps.haematoxylin, _MPP, scratch=pile),
        )
        lap("stain features", lambda: stain_features.measure(maps))
        lap("texture features", lambda: texture_features.measure(maps))
        lap("orientation features", lambda: orientation_features.measure(maps))
        lap("nucleus features", lambda: nucleus_features.measure(maps, nuclei))
        lap("space features", lambda: space_features.measure(maps, nuclei))
        lap("layout features", lambda: layout_features.measure(maps, nuclei))
    return found


def nuclei_text(folder: Path) -> str:
    """Measure the MoNuSeg crops."""
    crops = monuseg.measure_crops(folder / "monuseg_256")
    groups = {
        "crops on which settings were chosen": monuseg.chosen_on(crops),
        "held-out crops": monuseg.held_out(crops),
        "all crops": crops,
    }
    lines = [
        "| crops | n | F1 at 3 µm | precision | recall | count r |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, some in groups.items():
        total = sum(
            (crop.agreement for crop in some), NucleusAgreement(n_found=0, n_true=0, n_matched=0)
        )
        counts = np.array([[crop.agreement.n_found, crop.agreement.n_true] for crop in some])
        r = np.corrcoef(counts.T)[0, 1]
        lines.append(
            f"| {name} | {len(some)} | {total.f1:.3f} | {total.precision:.3f} "
            f"| {total.recall:.3f} | {r:.3f} |"
        )
    each = ["", "| crop | true | found | matched |", "|---|--:|--:|--:|"]
    for crop in crops:
        one = crop.agreement
        each.append(f"| {crop.name} | {one.n_true} | {one.n_found} | {one.n_matched} |")
    return "\n".join([*lines, *each])


def classes_text(folder: Path) -> str:
    """Choose inside the training folder of the Polito tiles, then judge the test folder once."""
    training, test = (polito.read(folder / "polito_crc_5class", s) for s in ("training", "test"))
    encoder = Morphology(mpp=polito.MPP)
    features = polito.encode_all(training, encoder)
    scored = polito.choose(training, features, encoder)
    if scored[0][0] != polito.CHOSEN:
        raise SystemExit(f"cross-validation chose {scored[0][0].name}; set CHOSEN and say why")
    judged = polito.judge(polito.CHOSEN, features, training.codes, test, encoder)
    low, high = wilson_interval(judged.n_right, judged.n)
    lines = ["| classifier | accuracy, 5 classes | AUC, AC against H |", "|---|--:|--:|"]
    lines += [f"| {one.name} | {accuracy:.3f} | {auc:.3f} |" for one, accuracy, auc in scored]
    classes = sorted(set(test.codes.tolist()))
    table = ["| true \\ predicted | " + " | ".join(classes) + " |", "|---" * 6 + "|"]
    for true in classes:
        cells = (str(judged.table.get((true, said), 0)) for said in classes)
        table.append(f"| {true} | " + " | ".join(cells) + " |")
    return (
        "Cross-validation inside the training folder, leaving out whole stainings (means of the "
        "validation tiles as they are and jittered):\n\n"
        + "\n".join(lines)
        + f"\n\nTest folder: accuracy on five classes {judged.n_right} of {judged.n} = "
        f"{judged.n_right / judged.n:.2f} (95 % Wilson {low:.2f} to {high:.2f}); AUC of "
        f"adenocarcinoma against healthy {judged.auc:.3f} on {judged.n_pair} tiles.\n\n"
        + "\n".join(table)
    )


def _record(folder: Path) -> str:
    start = time.process_time()
    nuclei, classes = nuclei_text(folder), classes_text(folder)
    spent = time.process_time() - start
    return f"""# Nuclei and tile features on real tiles, {today()}

## Nuclei: MoNuSeg crops

14 crops of 250 × 250 px at 0.25 µm per pixel (3 px black frame cut off). The ground truth is a mask
in which touching nuclei have merged; it is split by a fixed watershed (`benchmarks/monuseg.py`).
One-to-one matches of centroids within 3 µm.

{nuclei}

## Tile classes: Polito colorectal tiles

300 training and 100 test tiles of 224 px, encoded by `morphology` at {polito.MPP} µm per pixel
(assumed), the training tiles also in four jittered stainings. AC adenocarcinoma, H healthy, S
serrated, T tubular, V villous adenoma. The interval takes tiles as independent; several come from
one slide, so the true one is wider.

{classes}

## Made with

`python -m benchmarks.tiles --record`; {spent:.0f} s of CPU time. Machine: {cpu_model()}; shared
with other work, which changes no number here. {versions()}.
"""


def main(arguments: list[str]) -> None:
    """Measure and print.

    Parameters
    ----------
    arguments : list of str
        From the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tiles", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--stages", action="store_true", help="time of each stage")
    what.add_argument("--nuclei", action="store_true", help="agreement on the MoNuSeg crops")
    what.add_argument("--record", action="store_true", help="write both sets' figures")
    parser.add_argument("--quick", action="store_true", help="with --stages: a tenth of the tiles")
    options = parser.parse_args(arguments)
    if options.stages:
        print(stages(data_folder(), quick=options.quick))
    elif options.nuclei:
        print(nuclei_text(data_folder()))
    else:
        path = REPOSITORY / "docs" / "records" / f"{today()}-tiles.md"
        path.write_text(_record(data_folder()), encoding="utf-8")
        print(f"written: {path.relative_to(REPOSITORY)}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
