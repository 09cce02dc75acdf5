"""`python -m benchmarks.slide_training`: what training a slide model costs, and torchsurv's loss.

Needs the extras ``learn`` and ``bench``; without torchsurv its row is left out and that is said.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.commands import child_environment
from metastra.features.bag import Bag, BagFrame
from metastra.features.files import write_bag
from metastra.survival.outcome import Outcome
from metastra.training.patient_bags import PatientBags
from metastra.training.slide_fit import fit_slide_model
from metastra.training.slide_task import SlideTask

_OUTER = _INNER = 5
_FEATURES, _LATENT = 243, 15
_HORIZONS = (365.0, 730.0)


def _files(folder: Path, n: int, tiles: int) -> tuple[list[list[Path]], Outcome]:
    rng = np.random.default_rng(1)
    mix = rng.normal(size=(_LATENT, _FEATURES)) / np.sqrt(_LATENT)
    level = 0.6 * rng.normal(size=(n, _LATENT))
    paths = []
    for patient in range(n):
        latent = rng.normal(size=(tiles, _LATENT)) + level[patient]
        features = latent @ mix + 0.7 * rng.normal(size=(tiles, _FEATURES))
        side = int(np.ceil(np.sqrt(tiles)))
        corners = np.array([divmod(k, side) for k in range(tiles)], dtype=np.int64) * 448
        frame = BagFrame(mpp=(0.5, 0.5), tile_side_px0=(224.0, 224.0), target_mpp=0.5, tile_px=224)
        path = folder / f"p{patient}.h5"
        bag = Bag(features=features.astype(np.float16), coords=corners, frame=frame)
        write_bag(bag, path, "trident")
        paths.append([path])
    event = rng.exponential(1000 / np.exp(level[:, 0] / 0.6))
    end = rng.uniform(400, 2500, n)
    return paths, Outcome(time=np.ceil(np.minimum(event, end)), event=event <= end)


def _fit(
    bags: PatientBags, outcome: Outcome, rows: NDArray[np.bool_], aggregator: str, head: str
) -> None:
    task = SlideTask(
        aggregator=aggregator,
        head=head,
        primary_days=_HORIZONS[-1],
        horizons_days=_HORIZONS,
        seed_label="benchmark",
    )
    fit_slide_model(bags, outcome, rows, np.arange(bags.n) % _INNER, task)


def _measure(n: int, tiles: int, outer: int, aggregator: str, head: str) -> dict[str, float]:
    """Fit in this process: `outer` folds and the whole, or the whole alone."""
    with tempfile.TemporaryDirectory() as folder:
        paths, outcome = _files(Path(folder), n, tiles)
        warm, warm_outcome = _files(Path(folder), 40, 3)
        _fit(PatientBags.of_files(warm), warm_outcome, np.ones(40, np.bool_), aggregator, head)
        paths, outcome = _files(Path(folder), n, tiles)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.process_time()
        bags = PatientBags.of_files(paths)
        fold = np.random.default_rng(2).permutation(n) % max(outer, 1)
        for k in range(outer):
            _fit(bags, outcome, fold != k, aggregator, head)
        _fit(bags, outcome, np.ones(n, np.bool_), aggregator, head)
        return {
            "cpu_s": time.process_time() - begun,
            "more_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
            "file_mb": sum(path.stat().st_size for (path,) in paths) / 1e6,
            "events": float(outcome.n_events(1)),
        }


def _torchsurv_row(n: int) -> str:
    """Loss and gradient of one member against torchsurv's, ties after Efron."""
    import torch
    from torchsurv.loss.cox import neg_partial_log_likelihood

    from metastra.models.losses import CoxLoss

    torch.set_num_threads(1)
    rng = np.random.default_rng(n)
    when, event = rng.integers(1, 900, n).astype(float), rng.random(n) < 0.4
    mine = torch.tensor(rng.normal(size=(1, n, 1)), requires_grad=True)
    theirs = mine.detach()[0].clone().requires_grad_()
    ours = CoxLoss.of(when, event, np.ones((1, n), np.bool_))
    tensors = torch.from_numpy(event), torch.from_numpy(when)

    def one() -> None:
        ours(mine).sum().backward()

    def other() -> None:
        neg_partial_log_likelihood(
            theirs, *tensors, ties_method="efron", reduction="sum"
        ).backward()

    one(), other()
    summed = mine.grad[0] * int(event.sum())
    difference = float((summed - theirs.grad).abs().max() / theirs.grad.abs().max())
    times = []
    for call in (one, other):
        rounds = []
        for _ in range(9):
            begun = time.process_time()
            call()
            rounds.append(time.process_time() - begun)
        times.append(float(np.median(rounds)))
    return (
        f"| {n} | {1e3 * times[0]:.2f} ms | {1e3 * times[1]:.2f} ms | "
        f"{times[1] / times[0]:.0f}× | {difference:.0e} |"
    )


_CASES = (
    (200, 40, _OUTER, "linear", "cox"),
    (200, 40, _OUTER, "mean", "cox"),
    (200, 40, _OUTER, "attention", "cox"),
    (200, 40, _OUTER, "attention", "discrete-hazard"),
    (200, 40, _OUTER, "attention", "classification"),
    (200, 2000, 0, "attention", "cox"),
    (1000, 100, 0, "attention", "cox"),
)


def _child(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.slide_training", *words],
        env=child_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def _tables(*, quick: bool) -> None:
    print("| model | patients | tiles of each | fits | CPU time | more memory | feature files |")
    print("| --- | --: | --: | --: | --: | --: | --: |")
    for n, tiles, outer, aggregator, head in [(40, 10, 0, "linear", "cox")] if quick else _CASES:
        found = json.loads(_child("--fit", str(n), str(tiles), str(outer), aggregator, head))
        fits = f"{outer} outer folds and the whole" if outer else "1"
        print(
            f"| {aggregator}, {head} | {n} | {tiles} | {fits} | {found['cpu_s']:.1f} s | "
            f"{found['more_mb']:.0f} MB | {found['file_mb']:.0f} MB |",
            flush=True,
        )
    if find_spec("torchsurv") is None:
        print("\ntorchsurv is not installed: no loss to compare with.")
        return
    print("\n| patients | metastra | torchsurv | ratio | difference of the gradient |")
    print("| --: | --: | --: | --: | --: |")
    for n in (300,) if quick else (300, 2000):
        print(_child("--loss", str(n)), flush=True)


def main() -> None:
    """Measure each case in a process of its own and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slide_training")
    parser.add_argument("--fit", nargs=5, help="one fit, in this process")
    parser.add_argument("--loss", type=int, metavar="N", help="one loss, in this process")
    parser.add_argument("--quick", action="store_true", help="one small fit, one small loss")
    options = parser.parse_args()
    if options.fit:
        n, tiles, outer = (int(word) for word in options.fit[:3])
        print(json.dumps(_measure(n, tiles, outer, *options.fit[3:])))
    elif options.loss:
        print(_torchsurv_row(options.loss))
    else:
        _tables(quick=options.quick)


if __name__ == "__main__":
    main()
