"""Training an encoder: the same twice, the same after a kill, and nothing without numbers."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

from metastra.errors import IntegrityError, NotEstimable
from metastra.progress import use_progress
from metastra.training import encoder_fit
from metastra.training.encoder_fit import fit_encoder
from metastra.training.encoder_pool import TilePool
from metastra.training.encoder_task import EncoderTask

torch = pytest.importorskip("torch")

STEPS = 4


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """48 tiles of 64 px in three kinds of texture."""
    rng = np.random.default_rng(0)
    tiles = rng.integers(0, 40, (48, 64, 64, 3)) + 160
    tiles[::3, ::2] -= 90
    tiles[1::3, :, ::4] -= 60
    path = tmp_path_factory.mktemp("pool") / "tiles.npy"
    np.save(path, tiles.astype(np.uint8))
    return TilePool([path])


def task(**changes):
    return EncoderTask(**{"steps": STEPS, "tiles_per_step": 8, **changes})


def fitted(pool, folder, *, tiles="digest", **changes):
    checkpoint = folder / "checkpoint.safetensors"
    return fit_encoder(pool, task(**changes), checkpoint=checkpoint, tiles_digest=tiles)


def same(one, other):
    return set(one.tensors) == set(other.tensors) and all(
        torch.equal(value, other.tensors[key]) for key, value in one.tensors.items()
    )


@pytest.fixture(scope="module")
def whole(pool, tmp_path_factory):
    """The training in one go."""
    return fitted(pool, tmp_path_factory.mktemp("whole"))


class StopAt:
    """A display that presses Ctrl-C when so many steps are done."""

    def __init__(self, steps):
        self.steps = steps

    def show(self, shown):
        if shown.label == "Training the encoder" and shown.counts.seen == self.steps:
            raise KeyboardInterrupt


def test_the_same_seed_gives_the_same_bits_and_another_does_not(pool, whole, tmp_path):
    assert whole.steps == len(whole.curve) == STEPS
    assert np.isfinite(whole.curve).all()
    assert same(whole, fitted(pool, tmp_path / "a"))
    assert not same(whole, fitted(pool, tmp_path / "b", seed=1))


def test_views_are_drawn_beside_the_computing_to_the_same_numbers(pool):
    one = [*encoder_fit._batches(pool, task(), range(3))]
    two = [*encoder_fit._batches(pool, task(workers=2), range(3))]
    for left, right in zip(one, two, strict=True):
        np.testing.assert_array_equal(left, right)
    assert one[0].shape == (16, 32, 32, 3)


def test_every_tile_is_seen_once_in_an_epoch(pool, monkeypatch):
    seen = []
    monkeypatch.setattr(
        TilePool, "tile", lambda _, n: seen.append(n) or np.zeros((64, 64, 3), "u1")
    )
    for _ in encoder_fit._batches(pool, task(), range(6)):
        pass
    assert sorted(seen) == list(range(48))
    assert seen != sorted(seen)


@pytest.mark.parametrize("stop", [1, 3])
def test_a_training_that_was_interrupted_goes_on_to_the_same_bits(pool, whole, tmp_path, stop):
    with use_progress(StopAt(stop)), pytest.raises(KeyboardInterrupt):
        fitted(pool, tmp_path)
    resumed = fitted(pool, tmp_path)
    assert resumed.resumed_at in (stop - 1, stop)
    assert resumed.resumed_at > 0 or stop == 1
    assert same(whole, resumed)
    np.testing.assert_array_equal(whole.curve, resumed.curve)


def test_a_killed_training_goes_on_from_its_last_moment(pool, whole, tmp_path, monkeypatch):
    """An error in the middle leaves what was saved before it."""
    step = encoder_fit._Trainer.step

    def failing(self, views, number, steps):
        if number == 2:
            raise MemoryError
        return step(self, views, number, steps)

    checkpoint = tmp_path / "checkpoint.safetensors"
    with monkeypatch.context() as changed:
        changed.setattr(encoder_fit._Trainer, "step", failing)
        with pytest.raises(MemoryError):
            fit_encoder(
                pool, task(), checkpoint=checkpoint, tiles_digest="digest", save_every_s=0.0
            )
    resumed = fitted(pool, tmp_path)
    assert resumed.resumed_at == 2
    assert same(whole, resumed)


@pytest.mark.slow
def test_a_process_that_is_killed_outright_goes_on_to_the_same_bits(pool, whole, tmp_path):
    """SIGKILL as soon as there is a moment; the next process takes it up."""
    checkpoint = tmp_path / "checkpoint.safetensors"
    program = (
        "from pathlib import Path\n"
        "from metastra.training.encoder_fit import fit_encoder\n"
        "from metastra.training.encoder_pool import TilePool\n"
        "from metastra.training.encoder_task import EncoderTask\n"
        f"fit_encoder(TilePool([Path({str(pool.files[0])!r})]), "
        f"EncoderTask(steps={STEPS}, tiles_per_step=8), checkpoint=Path({str(checkpoint)!r}), "
        "tiles_digest='digest', save_every_s=0.0)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    while process.poll() is None and not checkpoint.exists():
        time.sleep(0.02)
    process.kill()
    process.wait()
    resumed = fitted(pool, tmp_path)
    assert resumed.resumed_at > 0
    assert same(whole, resumed)


def test_a_checkpoint_of_other_tiles_or_settings_is_not_gone_on_with(pool, tmp_path):
    with use_progress(StopAt(2)), pytest.raises(KeyboardInterrupt):
        fitted(pool, tmp_path)
    assert fitted(pool, tmp_path, tiles="other").resumed_at == 0
    assert fitted(pool, tmp_path, seed=3).resumed_at == 0


def test_a_damaged_checkpoint_is_named(pool, tmp_path):
    with use_progress(StopAt(2)), pytest.raises(KeyboardInterrupt):
        fitted(pool, tmp_path)
    checkpoint = tmp_path / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1000])
    with pytest.raises(IntegrityError, match=r"checkpoint\.safetensors is damaged"):
        fitted(pool, tmp_path)


def test_a_loss_without_a_number_ends_the_training(pool, tmp_path):
    with pytest.raises(NotEstimable, match=r"the loss is (nan|inf) at step \d of 4"):
        fitted(pool, tmp_path, learning_rate=1e30)


def test_minutes_become_steps_that_a_resumed_training_keeps(pool, tmp_path, monkeypatch):
    monkeypatch.setattr(encoder_fit, "_step_s", lambda *_: 10.0)
    with use_progress(StopAt(2)), pytest.raises(KeyboardInterrupt):
        fitted(pool, tmp_path, steps=None, minutes=0.5)
    monkeypatch.setattr(encoder_fit, "_step_s", lambda *_: 0.1)
    assert fitted(pool, tmp_path, steps=None, minutes=0.5).steps == 3


def test_a_step_is_timed_without_a_trace(pool, whole, tmp_path):
    assert encoder_fit._step_s(pool, task()) is None
    assert encoder_fit._step_s(pool, task(steps=None, minutes=1.0)) > 0
    assert same(whole, fitted(pool, tmp_path))


def test_the_effective_rank_is_known_where_it_can_be_counted():
    rng = np.random.default_rng(0)
    line = np.outer(rng.normal(size=50), rng.normal(size=9)).astype(np.float32)
    assert encoder_fit._effective_rank(line) == pytest.approx(1.0, abs=1e-3)
    basis = np.linalg.qr(rng.normal(size=(60, 5)) - 0)[0]
    centred = np.linalg.qr(basis - basis.mean(axis=0))[0].astype(np.float32)
    assert encoder_fit._effective_rank(centred) == pytest.approx(5.0, abs=1e-3)
    assert encoder_fit._effective_rank(np.ones((5, 3), np.float32)) == 1.0


def apartness(tensors, mean, std, views):
    """How far apart two views of one tile are, over how far views of two tiles are."""
    from metastra.models.compact import CompactNetwork

    network = CompactNetwork()
    network.load_state_dict(tensors)
    pixels = torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255
    pixels = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    with torch.no_grad():
        first, second = network.eval()(pixels).double().chunk(2)
    between = torch.cdist(first, second).square()
    n = len(first)
    return float(between.diagonal().mean() / ((between.sum() - between.trace()) / (n * n - n)))


@pytest.mark.slow
def test_training_brings_views_of_a_tile_together_and_keeps_tiles_apart(pool, tmp_path):
    """Views that were never drawn in training, before and after 60 steps."""
    found = fitted(pool, tmp_path, steps=60, tiles_per_step=16)
    before = encoder_fit._Trainer.begun(pool, task()).network.state_dict()
    views = encoder_fit._batch(pool, task(seed=99, tiles_per_step=48), 0)
    trained = apartness(found.tensors, found.mean, found.std, views)
    untrained = apartness(before, found.mean, found.std, views)
    losses = found.curve @ np.array([25.0, 25.0, 1.0])
    assert losses[-10:].mean() < losses[:10].mean() - 1.0
    assert trained < 0.7 * untrained
