"""The one-second measurement of engines: once, kept, and only engines that agree are proposed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from encoders.tiny_weights import tiny_weights
from metastra.cli.app import app
from metastra.encoders.choice import EncoderChoice
from metastra.encoders.loading import load_encoder
from metastra.encoders.measuring import (
    Measured,
    kept_measurements,
    measure_engines,
    proposed,
)
from metastra.encoders.network_encoder import NetworkEncoder
from metastra.encoders.weights import read_weights
from metastra.errors import ConfigError
from metastra.pipeline.encoders_chosen import settled


@pytest.fixture
def weights(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return read_weights("tiny", tiny_weights(tmp_path / "tiny"))


def two_engines(weights, word):
    """Real ones, so that a test does not compile all of them."""
    if not word.startswith("torch-"):
        raise ConfigError("not in this test")
    return load_encoder(weights, word)


def test_engines_are_measured_once_and_the_answer_is_kept(weights):
    """The second time nothing is computed; an engine that fails is named, not proposed."""
    assert kept_measurements(weights) == ()

    found = measure_engines(weights, two_engines, seconds=0.05)

    by_name = {one.engine: one for one in found}
    assert by_name["torch-float32"].cosine == pytest.approx(1.0, abs=1e-6)
    assert by_name["torch-bfloat16"].agrees
    assert by_name["torch-bfloat16"].tiles_per_s > 0
    assert "not in this test" in by_name["openvino-bfloat16"].reason
    assert kept_measurements(weights) == found
    assert proposed(found).startswith("torch-")


def test_other_weights_are_measured_by_themselves(weights, tmp_path):
    """What is kept belongs to the weights it was measured with."""
    measure_engines(weights, two_engines, seconds=0.01)
    other = read_weights("tiny", tiny_weights(tmp_path / "other", seed=4))

    assert kept_measurements(weights)
    assert kept_measurements(other) == ()


def test_an_engine_that_computes_something_else_is_never_proposed(weights):
    """However fast it is."""

    def make(weights, word):
        encoder = two_engines(weights, word)
        if word == "torch-bfloat16":
            flipped = np.float32([1, -1] * 48)
            return NetworkEncoder(encoder.card, lambda tiles: encoder.encode(tiles) * flipped)
        return encoder

    found = measure_engines(weights, make, seconds=0.01)

    assert not {one.engine: one for one in found}["torch-bfloat16"].agrees
    assert proposed(found) == "torch-float32"


def test_without_any_measurement_the_plain_engine_is_proposed():
    """And a failing one never."""
    bad = Measured(engine="openvino-bfloat16", tiles_per_s=0.0, cosine=None, reason="broken")

    assert proposed([]) == proposed([bad]) == "torch-float32"


def test_auto_becomes_an_engine_before_any_slide_is_read(weights):
    """The measured one; that of the features that are there; none for an encoder without."""
    measure_engines(weights, two_engines, seconds=0.01)
    choice = EncoderChoice(name="tiny", weights=str(weights.folder), engine="auto")
    told = []

    done = settled(choice, tell=told.append)

    assert done.engine == proposed(kept_measurements(weights))
    assert "tiles/s measured here" in told[0]
    before = {"name": "tiny", "engine": "openvino", "precision": "bfloat16"}
    assert settled(choice, before=before).engine == "openvino-bfloat16"
    assert settled(EncoderChoice(name="morphology", engine="auto")).engine == ""
    fixed = EncoderChoice(name="tiny", engine="torch-bfloat16")
    assert settled(fixed, before=before) == fixed


def test_the_command_says_what_was_measured(weights):
    """From what is kept: one line an engine and the proposal."""
    measure_engines(weights, two_engines, seconds=0.01)

    done = CliRunner().invoke(
        app, ["encoders", "measure", "tiny", "--weights", str(weights.folder), "--json"]
    )

    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["measured_now"] is False
    assert told["proposed"] == proposed(kept_measurements(weights))
    plain = CliRunner().invoke(app, ["encoders", "measure", "tiny", "--weights", weights.folder])
    assert "measured before; proposed: --engine torch-" in plain.stdout
    assert CliRunner().invoke(app, ["encoders", "measure", "morphology"]).exit_code == 2
