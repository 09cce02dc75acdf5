"""`python -m benchmarks.own_encoder --record`: a self-trained encoder against `morphology`.

Trains a compact encoder by ``metastra train-encoder`` on colon tiles without their labels (Polito
training folder and GlaS), then judges it on the Polito test folder exactly as ``morphology`` is
judged there: the classifier is chosen by cross-validation inside the training folder, for each
encoder by itself.  ``--weights DIR`` takes an encoder that was trained by this command before.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import polito
from benchmarks.cases import REPOSITORY
from benchmarks.machine import cpu_model, load, today, versions
from benchmarks.tiles import data_folder
from metastra.encoders.encoder import Encoder
from metastra.encoders.morphology import Morphology
from metastra.encoders.registry import get_encoder
from metastra.pipeline.train_encoder import TrainEncoderRequest, train_encoder
from metastra.progress import automatic_progress, use_progress
from metastra.stats.proportions import wilson_interval
from metastra.training.encoder_task import EncoderTask

__all__ = ["main"]

_NAME = "own-colon"
_GLAS_MPP = 0.62
_STEPS = 700
_TILE_PX = 224


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one encoder did."""

    name: str
    dimension: int
    choice: polito.Choice
    inside: tuple[float, float]
    judged: polito.Judged
    ms_a_tile: float


def gather(folder: Path, out: Path) -> int:
    """Write the training tiles at one scale: Polito as they are, GlaS brought to it and cut.

    The test folder of Polito is not among them, nor any label.
    """
    tiles = polito.read(folder / "polito_crc_5class", "training").pixels
    for number, tile in enumerate(tiles):
        Image.fromarray(tile).save(out / f"polito-{number:04d}.png")
    scale = _GLAS_MPP / polito.MPP
    count = len(tiles)
    for path in sorted((folder / "glas_colon_glands").glob("*.png")):
        if path.stem.endswith("_mask"):
            continue
        whole = Image.open(path).convert("RGB")
        size = round(whole.width * scale), round(whole.height * scale)
        near = np.asarray(whole.resize(size, Image.Resampling.BOX))
        for y in _starts(near.shape[0]):
            for x in _starts(near.shape[1]):
                cut = near[y : y + _TILE_PX, x : x + _TILE_PX]
                Image.fromarray(cut).save(out / f"glas-{path.stem}-{x}-{y}.png")
                count += 1
    return count


def _starts(length: int) -> list[int]:
    count = -(-length // _TILE_PX)
    return [round(one) for one in np.linspace(0, length - _TILE_PX, count)] if count > 1 else [0]


def train(folder: Path, out: Path, tiles: Path) -> None:
    """Train as the command does."""
    gather(folder, tiles)
    request = TrainEncoderRequest(
        paths=(tiles,),
        out=out,
        task=EncoderTask(steps=_STEPS, seed=0, workers=1),
        name=_NAME,
        target_mpp=polito.MPP,
        tile_px=_TILE_PX,
        mpp=polito.MPP,
        pictures=True,
    )
    with use_progress(automatic_progress()):
        train_encoder(request)


def compare(folder: Path, encoder: Encoder) -> Result:
    """Choose a classifier inside the training folder, then judge the test folder once."""
    source = folder / "polito_crc_5class"
    training, test = (polito.read(source, split) for split in ("training", "test"))
    features = polito.encode_all(training, encoder)
    scored = polito.choose(training, features, encoder)
    choice, accuracy, auc = scored[0]
    begun = time.process_time()
    encoder.encode(test.pixels)
    spent = time.process_time() - begun
    return Result(
        name=encoder.card.name,
        dimension=encoder.card.dimension,
        choice=choice,
        inside=(accuracy, auc),
        judged=polito.judge(choice, features, training.codes, test, encoder),
        ms_a_tile=1000.0 * spent / len(test.pixels),
    )


def table(results: list[Result]) -> str:
    """Write one row for each encoder, and the tables of true and predicted classes."""
    head = (
        "encoder",
        "features",
        "classifier chosen inside training",
        "inside training: accuracy, AUC",
        "test: right of 100 (95 % Wilson)",
        "test: AUC, AC against H",
        "CPU a tile",
    )
    lines = [f"| {' | '.join(head)} |", "|---|--:|---|--:|--:|--:|--:|"]
    for one in results:
        judged = one.judged
        low, high = wilson_interval(judged.n_right, judged.n)
        lines.append(
            f"| `{one.name}` | {one.dimension} | {one.choice.name} | {one.inside[0]:.3f}, "
            f"{one.inside[1]:.3f} | {judged.n_right} ({low:.2f} to {high:.2f}) "
            f"| {judged.auc:.3f} | {one.ms_a_tile:.0f} ms |"
        )
    for one in results:
        classes = sorted({true for true, _ in one.judged.table})
        lines += ["", f"`{one.name}`:", ""]
        lines += ["| true \\ predicted | " + " | ".join(classes) + " |", "|---" * 6 + "|"]
        for true in classes:
            cells = (str(one.judged.table.get((true, said), 0)) for said in classes)
            lines.append(f"| {true} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdict(own: Result, named: Result) -> str:
    """Say plainly which is better, and whether the test tiles can tell."""
    mine, other = own.judged.n_right, named.judged.n_right
    word = "worse than" if mine < other else "better than" if mine > other else "no better than"
    pairs = [wilson_interval(one.judged.n_right, one.judged.n) for one in (own, named)]
    apart = pairs[0][1] < pairs[1][0] or pairs[1][1] < pairs[0][0]
    told = "do not overlap" if apart else "overlap"
    return (
        f"On five classes the self-trained encoder is **{word} `morphology`**: {mine} against "
        f"{other} of {own.judged.n}; the intervals {told}."
    )


def report(results: list[Result], training: dict[str, Any], sha256: str) -> str:
    """Write the page."""
    own, named = results
    loss, settings = training["loss"], training["settings"]
    return f"""# A self-trained compact encoder on the Polito tiles, {today()}

{verdict(own, named)}

{table(results)}

## What was trained

`metastra train-encoder`, {settings["method"]}, seed {settings["seed"]}: {training["steps"]} steps
of {settings["tiles_per_step"]} tiles in two views, {training["minutes"]:.0f} minutes by the clock
on one core. {training["tiles"]["n"]} colon tiles of {_TILE_PX} px at
{polito.MPP} µm per pixel: the 300 of the Polito training folder and
{training["tiles"]["n"] - 300} cut from the 23 GlaS pictures (0.62 µm per pixel, brought to 1.2; two
pieces of 222 px are refused as smaller than a tile). No label was read, and no tile of the test
folder. Digest of the weights: `{sha256[:16]}`. Loss {loss["first"]:.2f} to {loss["last"]:.2f}
(first and last tenth); the features use {training["effective_rank"]:.0f} of {own.dimension}
directions.

Both encoders are judged by the same protocol (`benchmarks/polito.py`): a support vector machine
whose scaling, C and γ are chosen by cross-validation inside the training folder, leaving out whole
stainings, and one look at the test folder, which is of another staining. In that cross-validation
the self-trained encoder has seen the pixels of the tiles left out, though not their labels; on the
test folder it has not. The intervals take tiles as independent; several come from one slide, so the
true ones are wider. ORION and NCT tiles were not used: at 1.2 µm per pixel they are smaller than a
tile.

## Made with

`python -m benchmarks.own_encoder --record`. Machine: {cpu_model()}; load {load()}. {versions()}.
"""


def main(arguments: list[str]) -> None:
    """Train, compare and write.

    Parameters
    ----------
    arguments : list of str
        From the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own_encoder", description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the page into docs/records")
    parser.add_argument("--weights", type=Path, help="an encoder that was trained before")
    options = parser.parse_args(arguments)
    folder = data_folder()
    with tempfile.TemporaryDirectory() as scratch:
        weights = options.weights
        if weights is None:
            weights, tiles = Path(scratch, _NAME), Path(scratch, "tiles")
            tiles.mkdir()
            train(folder, weights, tiles)
        training = json.loads((weights / "training.json").read_text(encoding="utf-8"))
        encoders: list[Encoder] = [get_encoder(_NAME, weights=weights), Morphology(mpp=polito.MPP)]
        sha256 = encoders[0].card.weights_sha256 or ""
        page = report([compare(folder, encoder) for encoder in encoders], training, sha256)
    if not options.record:
        print(page)
        return
    path = REPOSITORY / "docs" / "records" / f"{today()}-own-encoder.md"
    path.write_text(page, encoding="utf-8")
    print(f"written: {path.relative_to(REPOSITORY)}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
