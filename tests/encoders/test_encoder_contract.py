"""The contract of encoders: kept by the embedded one, and able to catch one that breaks it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from metastra.encoders import registry
from metastra.encoders.encoder import Encoder, EncoderCard
from metastra.encoders.registry import encoder_names, get_encoder
from metastra.errors import ConfigError
from metastra.testing.encoder_contract import encoder_faults

CARD = EncoderCard(
    name="grey",
    source="test",
    revision="1",
    weights_sha256=None,
    licence="Apache-2.0",
    mpp=0.5,
    tile_px=16,
    dimension=2,
    feature_names=("mean", "sd"),
    engine="numpy",
    precision="float32",
)


class Grey:
    """An honest encoder of two numbers."""

    card = CARD

    def encode(self, tiles):
        if tiles.dtype != np.uint8 or tiles.shape[1:] != (16, 16, 3):
            raise ValueError("not for me")
        flat = tiles.reshape(len(tiles), 16 * 16 * 3).astype(np.float64)
        return np.column_stack([flat.mean(1), flat.std(1)]).astype(np.float32)


class ByBatch(Grey):
    """Looks at the other tiles of the batch, as a careless normalisation does."""

    def encode(self, tiles):
        found = super().encode(tiles)
        return found - found.mean(0) if len(tiles) else found


class NotFinite(Grey):
    def encode(self, tiles):
        found = super().encode(tiles)
        return np.log(found + (found > 1) - 1, where=found > 1, out=np.full_like(found, np.nan))


class Careless(Grey):
    def encode(self, tiles):
        return super().encode(np.asarray(tiles, np.uint8)[..., :16, :16, :3])


class Writes(Grey):
    def encode(self, tiles):
        found = super().encode(tiles)
        if len(tiles) > 1:
            tiles[0, 0, 0, 0] ^= 1
        return found


class Doubles(Grey):
    def encode(self, tiles):
        return super().encode(tiles).astype(np.float64)


class Random(Grey):
    def encode(self, tiles):
        found = super().encode(tiles)
        return found + np.random.default_rng().normal(size=found.shape).astype(np.float32)


def test_every_embedded_encoder_keeps_the_contract():
    """Finite on any tile, the same in any batch, wrong input refused."""
    for name in registry._EMBEDDED:
        encoder = get_encoder(name)

        assert isinstance(encoder, Encoder)
        assert encoder.card.name == name
        assert encoder_faults(encoder) == []


def test_an_honest_encoder_of_somebody_else_passes():
    """The contract asks for nothing that only ours has."""
    assert encoder_faults(Grey()) == []


@pytest.mark.parametrize(
    ("encoder", "said"),
    [
        (ByBatch(), "alone gave other features than in a batch"),
        (NotFinite(), "are not finite, first mean"),
        (Careless(), "four channels instead of tiles were accepted"),
        (Writes(), "the tiles were changed"),
        (Doubles(), "features are float64; expected float32"),
        (Random(), "the same batch gave other features the second time"),
    ],
)
def test_an_encoder_that_breaks_the_contract_is_caught(encoder, said):
    """Each clause can fail."""
    with np.errstate(all="ignore"):
        faults = encoder_faults(encoder)

    assert any(said in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dimension": 3}, "3 features and 2 different names in 2"),
        ({"feature_names": ("a", "a")}, "2 features and 1 different names in 2"),
        ({"mpp": 0.0}, "expected above 0"),
        ({"tile_px": 0}, "expected at least 1"),
        ({"weights_sha256": "ABC"}, "expected 64 lower-case hexadecimal digits"),
        ({"licence": ""}, "must be said"),
    ],
)
def test_an_impossible_card_is_refused(change, said):
    """A card that cannot be true raises where it is written."""
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(CARD, **change)


def test_every_field_of_the_card_is_in_its_digest():
    """Nothing that decides what the numbers mean can change behind the key of the store."""
    changed = {
        "name": "other",
        "source": "other",
        "revision": "2",
        "weights_sha256": "0" * 64,
        "licence": "MIT",
        "mpp": 0.25,
        "tile_px": 32,
        "dimension": 1,
        "feature_names": ("mean", "variance"),
        "engine": "torch",
        "precision": "bfloat16",
        "pooling": "class",
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
    }
    assert set(changed) == {field.name for field in dataclasses.fields(EncoderCard)}
    digests = {CARD.digest}
    for key, value in changed.items():
        extra = {"feature_names": ("mean",)} if key == "dimension" else {}
        if key in ("mean", "std"):
            extra = {"std" if key == "mean" else "mean": (0.25, 0.25, 0.25)}
        digests.add(dataclasses.replace(CARD, **{key: value}, **extra).digest)

    assert len(digests) == len(changed) + 1


def test_an_unknown_encoder_is_refused_with_the_nearest_name():
    """A typing error does not start an hour of work with something else."""
    with pytest.raises(ConfigError, match="did you mean 'morphology'"):
        get_encoder("morfology")


class Point:
    """An entry point as another package would bring it."""

    def __init__(self, name, made, error=None):
        self.name, self.value, self._made, self._error = name, "pkg:make", made, error

    def load(self):
        if self._error:
            raise self._error
        return lambda: self._made


def test_another_package_offers_an_encoder(monkeypatch):
    """An entry point is found by name; a broken one is named and breaks no other."""
    points = [
        Point("grey", Grey()),
        Point("broken", None, ImportError("no module named torchvision")),
        Point("nothing", object()),
        Point("renamed", Grey()),
        Point("morphology", Grey()),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)

    assert encoder_names() == ("morphology", "broken", "grey", "nothing", "renamed")
    assert get_encoder("grey").card is CARD
    assert get_encoder("morphology").card.source == "metastra, embedded"
    with pytest.raises(ConfigError, match="no module named torchvision"):
        get_encoder("broken")
    with pytest.raises(ConfigError, match="gives a object; expected an object with `card`"):
        get_encoder("nothing")
    with pytest.raises(ConfigError, match="has a card that says 'grey'"):
        get_encoder("renamed")
