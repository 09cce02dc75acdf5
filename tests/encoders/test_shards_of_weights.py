"""Weights in several safetensors files: the index decides, and nothing may be missing or more."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from encoders.tiny_weights import tiny_weights
from metastra.encoders.building import build_network
from metastra.encoders.choice import EncoderChoice
from metastra.encoders.registry import encoder_card, get_encoder
from metastra.encoders.weights import find_weights
from metastra.errors import ConfigError, DigestMismatch
from metastra.pipeline.encoders_chosen import limits_for

INDEX = "model.safetensors.index.json"
NAMES = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]


def cut(folder):
    """Deal the tensors of a folder out to three files, the index in another order."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    keys = sorted(tensors)
    where = {key: NAMES[number % 3] for number, key in enumerate(keys)}
    for name in NAMES:
        save_file({key: tensors[key] for key in keys if where[key] == name}, folder / name)
    write_index(folder, dict(reversed(where.items())))
    return where


def write_index(folder, where):
    told = {"metadata": {"total_size": 1}, "weight_map": where}
    (folder / INDEX).write_text(json.dumps(told))


@pytest.fixture
def whole(tmp_path):
    return tiny_weights(tmp_path / "whole")


@pytest.fixture
def folder(tmp_path):
    return tiny_weights(tmp_path / "cut")


def test_shards_are_the_network_that_one_file_is(whole, folder):
    """To the bit; the digest is that of all bytes in the order of the names."""
    cut(folder)
    weights = find_weights("tiny", folder)
    tiles = np.random.default_rng(4).integers(0, 256, (3, 224, 224, 3), np.uint8)

    assert [file.name for file in weights.files] == NAMES
    together = b"".join((folder / name).read_bytes() for name in NAMES)
    assert weights.sha256 == hashlib.sha256(together).hexdigest()
    assert weights.n_bytes == len(together)
    card = encoder_card("tiny", weights=folder)
    assert card.weights_sha256 == weights.sha256
    found = get_encoder("tiny", weights=folder).encode(tiles)
    assert np.array_equal(found, get_encoder("tiny", weights=whole).encode(tiles))
    on_gpu = EncoderChoice(name="tiny", weights=str(folder), engine="torch-cuda-float16")
    assert limits_for(on_gpu).memory_bytes is None
    limits = limits_for(EncoderChoice(name="tiny", weights=str(folder)))
    assert limits.memory_bytes == 12_000_000_000 + 5 * len(together)


def test_the_digest_is_stated_and_changes_with_any_file(folder):
    """As that of a single file."""
    where = cut(folder)
    before = find_weights("tiny", folder).sha256
    write_index(folder, where)
    assert find_weights("tiny", folder).sha256 == before
    config = json.loads((folder / "config.json").read_text())
    config["metastra"]["weights_sha256"] = before
    (folder / "config.json").write_text(json.dumps(config))
    assert find_weights("tiny", folder).sha256 == before
    last = load_file(folder / NAMES[2])
    save_file({key: value + 1 for key, value in last.items()}, folder / NAMES[2])
    with pytest.raises(DigestMismatch, match="the weights were changed or replaced"):
        find_weights("tiny", folder)


def test_files_that_are_missing_are_named_all(folder):
    """Before anything is read."""
    cut(folder)
    for name in NAMES[1:]:
        (folder / name).unlink()
    with pytest.raises(ConfigError, match=f"lacks 2 of 3 weight files .*: {NAMES[1]}, {NAMES[2]}"):
        find_weights("tiny", folder)


def test_tensors_that_are_missing_or_more_are_named(folder):
    """The file, the index and the names."""
    where = cut(folder)
    moved = next(key for key in where if where[key] == NAMES[0])
    write_index(folder, {**where, moved: NAMES[1]})
    with pytest.raises(ConfigError) as caught:
        build_network(find_weights("tiny", folder))
    assert f"1 tensors are there that {INDEX} does not place there ({moved})" in str(caught.value)
    write_index(folder, {**where, "head.weight": NAMES[0]})
    with pytest.raises(ConfigError) as caught:
        build_network(find_weights("tiny", folder))
    told = f"{NAMES[0]}: 1 tensors that {INDEX} places there are missing (head.weight)"
    assert told in str(caught.value)


def test_a_tensor_that_stands_nowhere_is_missed_by_the_network(folder):
    """The index is short of it, and so is its file."""
    where = cut(folder)
    lost = next(key for key in where if where[key] == NAMES[0])
    kept = {key: value for key, value in load_file(folder / NAMES[0]).items() if key != lost}
    save_file(kept, folder / NAMES[0])
    write_index(folder, {key: name for key, name in where.items() if key != lost})
    with pytest.raises(ConfigError, match=rf"does not fit encoder 'tiny': .*Missing key.*{lost}"):
        build_network(find_weights("tiny", folder))


@pytest.mark.parametrize(
    ("index", "told"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "has no weight_map"),
        ('{"weight_map": {}}', "has no weight_map"),
        ('{"weight_map": {"a": "../b.safetensors"}}', "'../b.safetensors'; expected the name"),
        ('{"weight_map": {"a": "/b.safetensors"}}', "expected the name of a .safetensors file"),
        ('{"weight_map": {"a": "b.bin"}}', "expected the name of a .safetensors file"),
        ('{"weight_map": {"a": 3}}', "is said to be in 3"),
    ],
)
def test_an_index_that_cannot_be_used(folder, index, told):
    """No file outside the folder is looked at, and no pickle."""
    cut(folder)
    (folder / INDEX).write_text(index)
    with pytest.raises(ConfigError, match=told):
        find_weights("tiny", folder)


def test_one_file_and_an_index_are_one_too_many(folder):
    """Nothing is chosen."""
    write_index(folder, {"a": NAMES[0]})
    with pytest.raises(ConfigError, match=r"which of them are the weights\? Take one away"):
        find_weights("tiny", folder)


def test_a_damaged_file_is_named(folder):
    """Not the index."""
    cut(folder)
    (folder / NAMES[1]).write_bytes(b"damaged")
    with pytest.raises(ConfigError, match=rf"{NAMES[1]} cannot be read as safetensors"):
        build_network(find_weights("tiny", folder))
