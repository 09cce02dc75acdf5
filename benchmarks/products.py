"""`python -m benchmarks.products`: what the chip gives to a bare product of matrices.

No network can gain more from bfloat16 than its products do.  Both precisions are called in turn on
one thread, in the shapes of the linear layers of ViT-S and ViT-L; the best of the rounds is shown.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch.nn.functional import linear

from benchmarks.machine import load

__all__ = ["main"]

_SHAPES = {
    "2048 × 2048 by 2048 × 2048": (2048, 2048, 2048),
    "ViT-S, 16 tiles, first layer of a block": (16 * 197, 384, 1536),
    "ViT-L, 4 tiles, first layer of a block": (4 * 197, 1024, 4096),
}


def _rates(shape: tuple[int, int, int], rounds: int) -> tuple[float, float]:
    """Give 10⁹ operations a second of CPU time in float32 and in bfloat16."""
    rows, depth, columns = shape
    x, weight = torch.randn(rows, depth), torch.randn(columns, depth)
    pairs = [(x, weight), (x.bfloat16(), weight.bfloat16())]
    best = [float("inf")] * 2
    for number in range(rounds + 1):
        for side, pair in enumerate(pairs):
            begun = time.process_time()
            linear(*pair)
            if number:  # the first one warms up
                best[side] = min(best[side], time.process_time() - begun)
    operations = 2e-9 * rows * depth * columns
    return operations / best[0], operations / best[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.products", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds")
    rounds = 3 if parser.parse_args().quick else 12
    torch.set_num_threads(1)
    print("| bare product of matrices | float32, GFLOP/s | bfloat16, GFLOP/s | ratio | load |")
    print("| --- | --: | --: | --: | --: |")
    for name, shape in _SHAPES.items():
        plain, half = _rates(shape, rounds)
        print(f"| {name} | {plain:.0f} | {half:.0f} | {half / plain:.2f}× | {load()} |")


if __name__ == "__main__":
    main()
