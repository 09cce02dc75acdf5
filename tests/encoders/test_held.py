"""An encoder held by another process gives the features it gives here, through any executor."""

from __future__ import annotations

import numpy as np
import pytest

from encoders.tiny_weights import tiny_weights
from extraction.small_slides import write_slide
from metastra.digest import digest_file
from metastra.encoders.choice import EncoderChoice
from metastra.encoders.held import HeldEncoder, encode_asked, is_held
from metastra.errors import ConfigError
from metastra.executor import Limits, ProcessPool
from metastra.executor.calls import call
from metastra.executor.causes import failure_to_plain
from metastra.executor.signs import answered
from metastra.pipeline.extract import ExtractRequest, extract

ENGINE = "torch-float32"


def answer(question):
    """As a holder on a cluster answers."""
    value, failure = call(encode_asked, question, limits=Limits())
    return {"value": value, "failure": failure and failure_to_plain(failure)}


@pytest.fixture
def choice(tmp_path):
    return EncoderChoice(name="tiny", weights=str(tiny_weights(tmp_path / "tiny")), engine=ENGINE)


def test_features_are_those_of_the_encoder(choice):
    """Bit for bit, for any number of tiles; other tiles are refused before they travel."""
    encoder, held = choice.make(), HeldEncoder(choice)
    side = held.card.tile_px
    tiles = np.random.default_rng(1).integers(0, 256, (21, side, side, 3), dtype=np.uint8)
    assert held.card == encoder.card
    assert not is_held(choice)
    with answered({ENGINE: answer}):
        assert is_held(choice)
        assert not is_held(EncoderChoice(name="morphology"))
        for part in (tiles, tiles[:1], tiles[:0]):
            assert (held.encode(part) == encoder.encode(part)).all()
        with pytest.raises(ValueError, match="expected uint8"):
            held.encode(tiles[:, :4])


def test_what_the_holder_cannot_do_is_said_once_and_stops_the_run(choice):
    """No other slide would fare better."""

    def without_gpu(_question):
        _, failure = call(refuse, {}, limits=Limits())
        return {"value": None, "failure": failure_to_plain(failure)}

    held = HeldEncoder(choice)
    side = held.card.tile_px
    with (
        answered({ENGINE: without_gpu}),
        pytest.raises(ConfigError, match=r"where the encoder is held: .*no GPU is here"),
    ):
        held.encode(np.zeros((1, side, side, 3), np.uint8))


def refuse(_payload):
    raise ConfigError("no GPU is here")


@pytest.mark.slow
def test_child_processes_read_and_the_parent_encodes(choice, tmp_path):
    """The files are the same to the byte as where each child encodes itself."""
    slides = [write_slide(tmp_path / f"s{n}.tif", side=460 + 40 * n) for n in range(2)]
    asked = []

    def noted(question):
        asked.append(len(question["tiles"]))
        return answer(question)

    limits = Limits(memory_bytes=6_000_000_000)
    for out, on_ask in (("own", {}), ("held", {ENGINE: noted})):
        request = ExtractRequest(
            slides=tuple(slides),
            out=tmp_path / out,
            encoder=choice.name,
            weights=choice.folder,
            engine=ENGINE,
        )
        executor = ProcessPool(limits=limits, on_ask=on_ask)
        assert extract(request, executor=executor).counts["done"] == 2
    assert asked
    for path in (tmp_path / "own").glob("*.h5"):
        assert digest_file(path) == digest_file(tmp_path / "held" / path.name)
