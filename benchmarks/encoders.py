"""Engines of encoders side by side: tiles a CPU-second, against torch in float32.

``OMP_NUM_THREADS=1 python -m benchmarks.encoders --only vit-s --engine torch-bfloat16`` prints one
pair; ``--wall`` with more threads measures elapsed time instead.  Weights are random, shapes are
true, tiles are 224 px of the real slide ``CMU-1-Small-Region.svs``.  The engine and torch in
float32 are called in turn; the best and the median of the rounds are shown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from benchmarks.machine import load
from metastra.encoders.building import build_network
from metastra.encoders.engine_names import ENGINES, engine_parts
from metastra.encoders.engines import make_runner
from metastra.encoders.network_encoder import Runner
from metastra.encoders.recipe import EncoderRecipe
from metastra.encoders.weights import Weights
from metastra.models.resnet import ResNet50
from metastra.models.vit import VisionTransformer, VitShape
from metastra.slides.opening import open_slide
from metastra.tiles.grid import TileSpec, make_grid
from metastra.tiles.reading import read_tiles

SIDE_PX = 224
PLAIN = "torch-float32"
ASKED = {
    ("vit-s", "torch-bfloat16"): "2.5×",
    ("vit-l", "torch-bfloat16"): "3×",
    ("vit-s", "openvino-bfloat16"): "3.5×",
    ("vit-l", "openvino-bfloat16"): "3.5×",
}
"""The least ratios that were set before measuring."""


@dataclass(frozen=True)
class Net:
    """A network that is measured."""

    name: str
    batch: int
    network: dict[str, object] = field(default_factory=dict)

    @property
    def pooling(self) -> str:
        return "class" if self.network.get("family", "vit") == "vit" else "none"


NETS = {
    "vit-s": Net(
        "ViT-S/16",
        16,
        {"token_px": 16, "width": 384, "depth": 12, "heads": 6, "mlp_width": 1536},
    ),
    "resnet50": Net("ResNet-50, third stage", 16, {"family": "resnet50"}),
    "vit-l": Net(
        "ViT-L/16 (UNI)",
        4,
        {
            "token_px": 16,
            "width": 1024,
            "depth": 24,
            "heads": 16,
            "mlp_width": 4096,
            "layer_scale": True,
        },
    ),
}


@dataclass(frozen=True)
class Row:
    """What an engine did."""

    engine: str
    best: float
    median: float
    cosine: float


def weights_of(net: Net, folder: Path) -> Weights:
    """Random weights of a true shape, as a file."""
    torch.manual_seed(0)
    if net.pooling == "none":
        module: torch.nn.Module = ResNet50()
    else:
        module = VisionTransformer(VitShape(tile_px=SIDE_PX, **net.network))
        with torch.no_grad():
            for value in module.parameters():
                if value.dim() > 1:
                    value.copy_(torch.randn_like(value) * 0.02)
    file = folder / "model.safetensors"
    save_file(module.state_dict(), file)
    recipe = EncoderRecipe.model_validate(
        {
            "name": "measured",
            "source": "random",
            "licence": "none",
            "pooling": net.pooling,
            "network": net.network,
        }
    )
    return Weights(folder=folder, recipe=recipe, file=file, sha256="0" * 64)


def real_tiles(count: int) -> NDArray[np.uint8]:
    """Tiles from the middle of the real slide."""
    shared = Path(os.environ.get("METASTRA_SHARED", "../shared"))
    with open_slide(shared / "data/wsi/CMU-1-Small-Region.svs") as slide:
        grid = make_grid(slide.info, TileSpec(target_mpp=0.5, tile_px=SIDE_PX))
        chosen = np.zeros(len(grid), bool)
        chosen[np.linspace(0, len(grid) - 1, count).astype(int)] = True
        return np.concatenate([tiles for _, tiles in read_tiles(slide, grid.take(chosen), count)])


def measure(net: Net, engines: list[str], rounds: int, clock: Callable[[], float]) -> list[Row]:
    """Give tiles a second and the cosine to float32, for every engine."""
    tiles = real_tiles(net.batch)
    runners: dict[str, Runner] = {}
    with tempfile.TemporaryDirectory() as folder:
        weights = weights_of(net, Path(folder))
        for word in engines:
            engine, precision = engine_parts(word)
            runners[word] = make_runner(
                build_network(weights), engine, precision, batch=net.batch, tile_px=SIDE_PX
            )
    plain = runners[PLAIN](tiles)
    seconds = {word: list[float]() for word in engines}
    cosines = {word: cosine(run(tiles), plain) for word, run in runners.items()}
    for _ in range(rounds):
        for word, run in runners.items():
            begun = clock()
            run(tiles)
            seconds[word].append(clock() - begun)
    return [
        Row(
            word,
            net.batch / min(seconds[word]),
            net.batch / statistics.median(seconds[word]),
            cosines[word],
        )
        for word in engines
    ]


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The smallest cosine of a tile's features between two engines."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / lengths).min())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoders", description=__doc__)
    parser.add_argument("--only", choices=sorted(NETS), required=True)
    parser.add_argument("--engine", choices=[one for one in ENGINES if one != PLAIN], required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--wall", action="store_true", help="elapsed time instead of CPU time")
    parser.add_argument("--quick", action="store_true", help="one round")
    options = parser.parse_args()
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    torch.set_num_threads(threads)
    clock = time.perf_counter if options.wall else time.process_time
    print("| network | engine | tiles/s, best | median | float32, best | ratio | asked ", end="")
    print("| cosine | load |")
    print("| --- | --- | --: | --: | --: | --: | --: | --: | --: |")
    rounds = 1 if options.quick else options.rounds
    plain, row = measure(NETS[options.only], [PLAIN, options.engine], rounds, clock)
    asked = ASKED.get((options.only, options.engine), "")
    print(
        f"| {NETS[options.only].name} | {row.engine} | {row.best:.2f} | {row.median:.2f} "
        f"| {plain.best:.2f} | {row.best / plain.best:.2f}× | {asked} | {row.cosine:.5f} "
        f"| {load()} |"
    )


if __name__ == "__main__":
    main()
