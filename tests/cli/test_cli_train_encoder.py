"""`metastra train-encoder` as a person meets it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    for number in range(33):
        pixels = np.random.default_rng(number).integers(60, 240, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    return folder


@pytest.mark.slow
def test_the_command_trains_names_the_bad_tile_and_ends_with_four(metastra, tiles, tmp_path):
    words = ["train-encoder", tiles, "--tiles", "--slide-mpp", "0.5", "--tile-px", "64"]
    done = metastra(*words, "--out", tmp_path / "own", "--steps", "1", "--workers", "1", "--json")
    assert done.returncode == 4, done.stderr
    told = json.loads(done.stdout)
    assert list(told["failed"]) == ["bad.png"]
    assert told["encoder"]["name"] == "own"
    assert "Research use only" in told["research_use"]
    assert "Collecting tiles" in done.stderr
    assert "Training the encoder" in done.stderr


def test_two_lengths_are_refused(metastra, tiles, tmp_path):
    done = metastra(
        "train-encoder", tiles, "--out", tmp_path / "own", "--steps", "1", "--epochs", "1"
    )
    assert done.returncode == 2
    assert "give one of --minutes, --epochs and --steps" in done.stderr
