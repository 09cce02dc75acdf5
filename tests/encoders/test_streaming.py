"""Streams: a device computes while tiles are read; the numbers are those of `encode`."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from encoders.tiny_weights import tiny_weights
from metastra.encoders.building import build_network
from metastra.encoders.encoder import EncoderCard
from metastra.encoders.gpu import GpuRunner, TurnTaking, make_gpu_runner
from metastra.encoders.network_encoder import NetworkEncoder
from metastra.encoders.registry import encoder_card, get_encoder
from metastra.encoders.streaming import PlainStream, StreamingEncoder, feature_stream
from metastra.encoders.weights import find_weights
from metastra.extraction import tile_pass as passes
from metastra.extraction.batch import SlideFate
from metastra.extraction.job import SlideJob
from metastra.extraction.outcome import SlideOutcome
from metastra.extraction.tile_pass import Clock, tile_pass
from metastra.pipeline.extract_summary import ExtractSummary
from metastra.slides.opening import open_slide
from metastra.tiles.grid import TileSpec, make_grid
from slides.jpeg_slides import jpeg_pyramid
from slides.slide_makers import picture

CARD = EncoderCard(
    name="light",
    source="test",
    revision="1",
    weights_sha256=None,
    licence="Apache-2.0",
    mpp=0.5,
    tile_px=50,
    dimension=3,
    feature_names=(),
    engine="torch-cuda",
    precision="float16",
)


def light(tiles):
    """Mean of each channel."""
    return tiles.astype(np.float64).mean(axis=(1, 2)).astype(np.float32)


class Later(TurnTaking):
    """A device that computes nothing before it is waited for, and says when it is asked."""

    def __init__(self, log):
        super().__init__(None, "cpu")
        self.log, self.started = log, 0

    def _start(self, batch, turn):
        self.log.append(f"start {self.started}")
        self.started += 1
        # the buffer is what a device would copy from: a copy now, the computing later
        return self.started - 1, self._buffer(batch.shape, turn).copy_(torch.from_numpy(batch))

    def _finished(self, handle):
        number, buffer = handle
        self.log.append(f"finish {number}")
        self.busy_s += 1.0
        return light(buffer.numpy())


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory):
    return jpeg_pyramid(tmp_path_factory.mktemp("slide") / "a.tif", picture(460, 700))


def encoded(path, encoders, folder, batch, clock=None):
    with open_slide(path) as slide:
        grid = make_grid(slide.info, TileSpec(0.5, 50))
        how = {"folder": folder, "batch": batch, "readers": 2, "clock": clock or Clock()}
        with tile_pass(slide, grid, encoders, **how) as blocks:
            return [np.concatenate(list(one)) for one in blocks]


def on_device(log, batch=16):
    return NetworkEncoder(CARD, GpuRunner(Later(log), batch), batch=batch)


def test_the_next_batches_are_read_while_the_device_computes(slide_path, tmp_path, monkeypatch):
    """126 tiles in batches of 16: a batch is waited for when the one after the next was read."""
    log, clock = [], Clock()
    true = passes.read_tiles

    def reading(*arguments, **how):
        for number, found in enumerate(true(*arguments, **how)):
            log.append(f"read {number}")
            yield found

    monkeypatch.setattr(passes, "read_tiles", reading)
    (found,) = encoded(slide_path, [on_device(log)], tmp_path, 16, clock)

    expected = ["read 0", "start 0", "read 1", "start 1"]
    for number in range(2, 8):
        expected += [f"read {number}", f"finish {number - 2}", f"start {number}"]
    assert log == [*expected, "finish 6", "finish 7"]
    assert found.shape == (126, 3)
    assert clock.seconds["busy"] == 8.0


@pytest.mark.parametrize("batch", [16, 7, 40, 200])
def test_streams_of_several_encoders_give_what_encode_gives(slide_path, tmp_path, batch):
    """Memory of a batch is used again while others are under way; no tile is lost or mixed."""
    plain = SimpleNamespace(card=CARD, encode=light)
    found = encoded(slide_path, [on_device([]), plain, on_device([], 9)], tmp_path, batch)
    (alone,) = encoded(slide_path, [plain], tmp_path, 16)

    assert len(np.unique(alone, axis=0)) > 100
    for one in found:
        assert np.array_equal(one, alone)


def test_what_an_abandoned_pass_left_under_way_is_not_given_to_the_next(slide_path, tmp_path):
    """A slide that breaks off, then another with the same encoder."""
    encoder = on_device([])
    tiles = np.zeros((20, 50, 50, 3), np.uint8)
    assert encoder.stream().push(tiles) == []
    found = encoded(slide_path, [encoder], tmp_path, 16)[0]
    assert found.shape == (126, 3)
    assert found.min() > 0


def test_turns_on_a_cpu_device_give_the_numbers_of_the_network(tmp_path):
    """The path of a GPU but for the device; busy is the time of the network."""
    folder = tiny_weights(tmp_path / "tiny")
    runner = make_gpu_runner(
        build_network(find_weights("tiny", folder)), torch.float32, device="cpu", batch=4
    )
    encoder = NetworkEncoder(encoder_card("tiny", weights=folder), runner, batch=4)
    tiles = np.random.default_rng(3).integers(0, 256, (11, 224, 224, 3), np.uint8)
    stream = encoder.stream()
    blocks = [*stream.push(tiles[:6]), *stream.push(tiles[6:]), *stream.finish()]

    assert np.array_equal(np.concatenate(blocks), encoder.encode(tiles))
    assert stream.busy_s > 0
    assert stream.finish() == []
    other = encoder.stream()
    assert other.busy_s == 0
    expected = get_encoder("tiny", weights=folder).encode(tiles)
    assert np.abs(np.concatenate(blocks) - expected).max() <= 1e-5 * np.abs(expected).max()


def test_an_encoder_without_a_device_computes_at_once():
    """Also one of another package, which has no stream."""
    found = NetworkEncoder(CARD, light, batch=4)
    assert isinstance(found, StreamingEncoder)
    assert isinstance(found.stream(), PlainStream)
    stream = feature_stream(SimpleNamespace(card=CARD, encode=light))
    tiles = np.full((2, 50, 50, 3), 7, np.uint8)
    assert np.array_equal(stream.push(tiles)[0], light(tiles))
    assert stream.finish() == []


def test_wrong_numbers_and_wrong_tiles_are_refused():
    """As `encode` does."""
    encoder = NetworkEncoder(
        EncoderCard(**{**vars(CARD), "dimension": 4}), GpuRunner(Later([]), 2), batch=2
    )
    with pytest.raises(ValueError, match="expected uint8"):
        encoder.stream().push(np.zeros((1, 9, 9, 3), np.uint8))
    stream = encoder.stream()
    stream.push(np.zeros((2, 50, 50, 3), np.uint8))
    with pytest.raises(ValueError, match=r"gave \(2, 3\); its card says \(2, 4\)"):
        stream.finish()


@pytest.mark.parametrize(
    ("clocks", "idle"),
    [
        ([{"waiting": 1.0, "encoding": 3.0, "busy": 3.0}], 0.25),
        ([{"waiting": 3.0, "encoding": 1.0, "busy": 4.0}], 0.0),
        (
            [
                {"waiting": 1.0, "encoding": 1.0, "busy": 1.0},
                {"waiting": 0.0, "encoding": 6.0, "busy": 6.0},
            ],
            0.125,
        ),
        ([{}], 0.0),
    ],
)
def test_the_idle_share_is_that_of_the_encoder(tmp_path, clocks, idle):
    """A device that computes while tiles are waited for is not idle."""
    fates = []
    for number, seconds in enumerate(clocks):
        job = SlideJob(path="a", name=f"a{number}", folder="b", encoder="light")
        outcome = SlideOutcome(
            name=job.name,
            made=bool(seconds),
            n_tiles=80,
            n_grid=80,
            dropped={},
            excluded="",
            digest="",
            slide_digest="",
            mpp=(0.5, 0.5),
            mpp_source="file",
            seconds=seconds,
        )
        fates.append(SlideFate(job=job, outcome=outcome, wall_s=10.0, peak_bytes=5_000_000))
    summary = ExtractSummary(out=tmp_path, card=CARD, spec=TileSpec(0.5, 50), fates=tuple(fates))

    assert summary.idle == pytest.approx(idle)
    told = "\n".join(summary.lines())
    made = bool(clocks[0])
    assert (f"the encoder was idle {idle:.0%} of its time, waiting for tiles" in told) == made
    assert summary.pace() == (
        {
            "tiles": 80 * len(clocks),
            "tiles_per_s_and_worker": 8.0,
            "encoder_idle_share": pytest.approx(idle),
            "peak_bytes": 5_000_000,
        }
        if made
        else {}
    )
