"""Train a compact tile encoder on tiles alone: no label, no outcome, no patient's data.

The method is VICReg (Bardes et al. 2022): it needs neither large batches nor a second network, so
that a CPU serves.  Of the methods compared on pathology by Kang et al. 2023 (CVPR, "Benchmarking
self-supervised learning on diverse pathology datasets") its nearest relative, Barlow Twins, is
among the best; their advice on views (stain, turns, little zoom) is followed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.progress import track
from metastra.training.encoder_checkpoint import Moment, read_moment, write_moment
from metastra.training.encoder_pool import TilePool
from metastra.training.encoder_task import EncoderTask
from metastra.training.encoder_views import view_pair

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.optim import Optimizer

__all__ = ["FittedEncoder", "fit_encoder"]

_SAVE_EVERY_S = 60.0
_TIMED_STEPS = 3
_JUDGED_TILES = 256
_ENCODED_AT_ONCE = 32
_ORDER, _VIEWS = 0, 1


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedEncoder:
    """A trained encoder.

    Parameters
    ----------
    tensors : dict of str to tensor
        Weights by name, as `metastra.models.compact.CompactNetwork` loads them.
    mean, std : tuple of float
        By which tiles are normalised.
    steps : int
        Steps that were made.
    spent_s : float
        Seconds of training, over all goes at it.
    resumed_at : int
        Step at which this process took it up; 0 for a training in one go.
    curve : ndarray of float64, shape (steps, 3)
        Invariance, variance and covariance of each step.
    dimension : int
        Numbers a tile.
    effective_rank : float
        How many directions the features of the tiles use: the exponential of the entropy of their
        principal components' shares of variance.  Near 1 the training has collapsed.
    """

    tensors: dict[str, torch.Tensor]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    steps: int
    spent_s: float
    resumed_at: int
    curve: NDArray[np.float64]
    dimension: int
    effective_rank: float


def fit_encoder(
    pool: TilePool,
    task: EncoderTask,
    *,
    checkpoint: Path,
    tiles_digest: str,
    save_every_s: float = _SAVE_EVERY_S,
) -> FittedEncoder:
    """Train an encoder, or go on where a kill left it.

    Parameters
    ----------
    pool : TilePool
        Tiles; a batch of them is in memory.
    task : EncoderTask
        How long and from which seed.
    checkpoint : Path
        The file of moments; written every minute and at Ctrl-C.
    tiles_digest : str
        Of the tiles; a checkpoint of other tiles is not gone on with.
    save_every_s : float
        Seconds between two moments.

    Returns
    -------
    FittedEncoder
        The same bits for the same tiles, steps, seed, number of cores and machine, in one go or in
        several.

    Raises
    ------
    NotEstimable
        If the loss is no longer finite; nothing is written then.
    IntegrityError
        If tiles or checkpoint are damaged.
    KeyboardInterrupt
        After Ctrl-C, when the moment is written.
    """
    with _cores(task.workers):
        trainer = _Trainer.begun(pool, task)
        plan = task.plan(tiles_digest)
        moment = read_moment(checkpoint, plan, trainer.modules, trainer.optimiser)
        if moment is None:
            steps = task.steps_for(len(pool), step_s=_step_s(pool, task))
            moment = Moment(plan=plan, step=0, steps=steps, spent_s=0.0, curve=np.empty((0, 3)))
        resumed_at = moment.step
        moment = _train(trainer, moment, checkpoint, save_every_s)
        return trainer.fitted(moment, resumed_at)


def _train(trainer: _Trainer, moment: Moment, checkpoint: Path, save_every_s: float) -> Moment:
    """Make the steps that are left, leaving moments behind."""
    curve = [*moment.curve.tolist()]
    begun = saved = time.monotonic()

    def now() -> Moment:
        return Moment(
            plan=moment.plan,
            step=len(curve),
            steps=moment.steps,
            spent_s=moment.spent_s + time.monotonic() - begun,
            curve=np.array(curve).reshape(-1, 3),
        )

    batches = _batches(trainer.pool, trainer.task, range(moment.step, moment.steps))
    left = moment.steps - moment.step
    whole = True
    try:
        for batch in track(batches, label="Training the encoder", unit="steps", total=left):
            whole = False
            curve.append(trainer.step(batch, len(curve), moment.steps))
            whole = True
            if time.monotonic() - saved >= save_every_s:
                write_moment(checkpoint, now(), trainer.modules, trainer.optimiser)
                saved = time.monotonic()
    except KeyboardInterrupt:
        # in the middle of a step weights and averages do not belong together
        if whole:
            write_moment(checkpoint, now(), trainer.modules, trainer.optimiser)
        raise
    return now()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Trainer:
    """Network, expander and optimiser, and the tiles they work on."""

    pool: TilePool
    task: EncoderTask
    network: nn.Module
    expander: nn.Module
    optimiser: Optimizer
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @classmethod
    def begun(cls, pool: TilePool, task: EncoderTask) -> _Trainer:
        import torch

        from metastra.models.compact import COMPACT_DIMENSION, CompactNetwork, Expander

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(task.seed)
            network, expander = CompactNetwork(), Expander(COMPACT_DIMENSION)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        weights = [*network.parameters(), *expander.parameters()]
        # norms and biases are not shrunk
        groups: list[dict[str, Any]] = [
            {"params": [w for w in weights if w.ndim > 1], "weight_decay": task.weight_decay},
            {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
        ]
        mean, std = pool.channels()
        return cls(
            pool=pool,
            task=task,
            network=network,
            expander=expander,
            optimiser=torch.optim.AdamW(groups, lr=task.learning_rate),
            mean=mean,
            std=std,
        )

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What is trained."""
        return {"network": self.network, "expander": self.expander}

    def step(self, views: NDArray[np.uint8], step: int, steps: int) -> list[float]:
        """Make one step and give the parts of its loss."""
        import torch

        from metastra.models.vicreg import vicreg

        for group in self.optimiser.param_groups:
            group["lr"] = self.task.rate(step, steps)
        embedded = self.expander(self.network(self._normalised(views)))
        left, right = embedded.chunk(2)
        terms = vicreg(left, right)
        total = terms.total
        if not bool(torch.isfinite(total)):
            raise NotEstimable(
                f"the loss is {total.item()} at step {step + 1} of {steps}; the encoder is not "
                "written: begin again in another folder with another --seed"
            )
        self.optimiser.zero_grad()
        torch.autograd.backward(total)
        self.optimiser.step()
        return [part.item() for part in (terms.invariance, terms.variance, terms.covariance)]

    def _normalised(self, tiles: NDArray[np.uint8]) -> torch.Tensor:
        import torch

        pixels = torch.from_numpy(tiles).permute(0, 3, 1, 2).float().div(255)
        centre, scale = (torch.tensor(v).view(1, 3, 1, 1) for v in (self.mean, self.std))
        return pixels.sub(centre).div(scale).contiguous(memory_format=torch.channels_last)

    def fitted(self, moment: Moment, resumed_at: int) -> FittedEncoder:
        """Take what was trained, and look how many directions its features use."""
        import torch

        self.network.eval()
        tiles = self.pool.tiles(_JUDGED_TILES)
        with torch.no_grad():
            features = torch.cat(
                [
                    self.network(self._normalised(tiles[at : at + _ENCODED_AT_ONCE]))
                    for at in range(0, len(tiles), _ENCODED_AT_ONCE)
                ]
            ).numpy()
        if not np.isfinite(features).all():
            raise NotEstimable("features of the training tiles are not finite; nothing is written")
        return FittedEncoder(
            tensors={key: value.contiguous() for key, value in self.network.state_dict().items()},
            mean=self.mean,
            std=self.std,
            steps=moment.steps,
            spent_s=moment.spent_s,
            resumed_at=resumed_at,
            curve=moment.curve,
            dimension=features.shape[1],
            effective_rank=_effective_rank(features),
        )


def _effective_rank(features: NDArray[np.float32]) -> float:
    """Roy and Vetterli 2007 ("The effective rank"), of the centred features' variances."""
    centred = features.astype(np.float64) - features.mean(axis=0)
    shares = np.linalg.svd(centred, compute_uv=False) ** 2
    if not shares.sum() > 0:
        return 1.0
    shares = shares[shares > 0] / shares.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _step_s(pool: TilePool, task: EncoderTask) -> float | None:
    """Time a few steps of a trainer that is thrown away; None where time does not matter."""
    if task.minutes is None:
        return None
    trial, taken = _Trainer.begun(pool, task), []
    for number in range(_TIMED_STEPS + 1):
        begun = time.monotonic()
        trial.step(_batch(pool, task, number), number, _TIMED_STEPS + 1)
        taken.append(time.monotonic() - begun)
    # the first step also sets things up
    return float(np.median(taken[1:]))


def _batches(pool: TilePool, task: EncoderTask, steps: range) -> Iterator[NDArray[np.uint8]]:
    """Draw the views of each step; with several cores those of the next are drawn meanwhile."""
    if task.workers == 1:
        for step in steps:
            yield _batch(pool, task, step)
        return
    with ThreadPoolExecutor(max_workers=1) as beside:
        coming = [beside.submit(_batch, pool, task, step) for step in steps[:1]]
        for step in steps:
            views = coming.pop().result()
            if step + 1 in steps:
                coming.append(beside.submit(_batch, pool, task, step + 1))
            yield views


def _batch(pool: TilePool, task: EncoderTask, step: int) -> NDArray[np.uint8]:
    """First views of a step's tiles, then second views: (2 b, s // 2, s // 2, 3)."""
    size = task.batch(len(pool))
    per_epoch = len(pool) // size
    epoch, at = divmod(step, per_epoch)
    order = np.random.default_rng((task.seed, _ORDER, epoch)).permutation(len(pool))
    chosen = order[at * size : (at + 1) * size].tolist()
    pairs = [
        view_pair(pool.tile(number), seed=(task.seed, _VIEWS, step, position))
        for position, number in enumerate(chosen)
    ]
    return np.stack([pair[0] for pair in pairs] + [pair[1] for pair in pairs])


@contextmanager
def _cores(workers: int) -> Iterator[None]:
    """Deterministic kernels on a number of cores, then as before."""
    import torch

    from metastra.models.descent import same_on_every_run

    with same_on_every_run():
        torch.set_num_threads(workers)
        yield
