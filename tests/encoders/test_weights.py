"""Encoders with weights: folders that say what they are, engines, refusals."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from encoders.tiny_weights import TOLD, tiny_weights
from metastra.digest import digest_file
from metastra.encoders.engine_names import ENGINES
from metastra.encoders.known import known_encoders
from metastra.encoders.registry import encoder_card, get_encoder
from metastra.encoders.weights import find_weights
from metastra.errors import ConfigError, DigestMismatch, MissingExtra
from metastra.models.resnet import ResNet50
from metastra.models.tile_network import TileNetwork
from metastra.models.vit import VisionTransformer, VitShape
from metastra.testing.encoder_contract import awkward_tiles, encoder_faults
from models.test_vit import scramble
from models.torchvision_stub import load_transformers

CPU = [engine for engine in ENGINES if "cuda" not in engine]


def tiles(count=20, side=224):
    return np.random.default_rng(5).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_weights(tmp_path_factory.mktemp("weights"))


def test_a_folder_that_says_what_it_is_becomes_an_encoder(folder):
    """Its features are those of the network written out; the card says everything."""
    encoder = get_encoder("tiny", weights=folder)
    shape = VitShape(tile_px=224, **TOLD["network"])
    network = VisionTransformer(shape).eval()
    network.load_state_dict(load_file(folder / "model.safetensors"))
    given = tiles(5)
    plain = TileNetwork(network, mean=TOLD["mean"], std=TOLD["std"], pooling="class+mean")
    with torch.no_grad():
        # the engine sees batches of one size, so only the order of sums may differ
        expected = plain(torch.from_numpy(given)).numpy()

    found = encoder.encode(given)

    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    card = encoder.card
    assert card.weights_sha256 == digest_file(folder / "model.safetensors")
    assert (card.engine, card.precision, card.dimension) == ("torch", "float32", 96)
    assert (card.pooling, card.mean, card.std) == (
        "class+mean",
        tuple(TOLD["mean"]),
        tuple(TOLD["std"]),
    )
    assert encoder_card("tiny", weights=folder) == card


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param(engine, marks=() if engine.startswith("torch") else pytest.mark.slow)
        for engine in CPU
    ],
)
def test_every_engine_keeps_the_contract_and_is_close_to_the_plain_one(folder, engine):
    """Same tile, same features in any batch; cosine to float32 at least 0.999."""
    encoder = get_encoder("tiny", weights=folder, engine=engine)
    given = np.stack([*tiles(8), *awkward_tiles(224).values()])

    found = encoder.encode(given)
    expected = get_encoder("tiny", weights=folder).encode(given)

    assert encoder.card.computed_by == engine
    assert encoder_faults(encoder) == []
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    cosine = (found * expected).sum(axis=1) / lengths
    assert cosine.min() >= (0.999 if "bfloat16" in engine else 0.999999)
    if engine != "torch-float32" and "bfloat16" in engine:
        assert not np.array_equal(found, expected)


def test_engine_and_precision_are_part_of_the_cards_digest(folder):
    """Features of two engines never mix."""
    digests = {encoder_card("tiny", weights=folder, engine=engine).digest for engine in ENGINES}

    assert len(digests) == len(ENGINES)


def test_other_weights_are_another_card(folder, tmp_path):
    """The digest of the weights is part of the card."""
    other = tiny_weights(tmp_path / "other", seed=1)

    assert encoder_card("tiny", weights=other).digest != encoder_card("tiny", weights=folder).digest


def test_an_encoder_of_the_field_needs_the_weight_file_alone(tmp_path, monkeypatch):
    """The list has the rest; the usual folder is found by the encoder's name."""
    torch.manual_seed(0)
    tensors = ResNet50().state_dict() | {"fc.weight": torch.zeros(10, 2048)}
    (tmp_path / "resnet50").mkdir()
    save_file(tensors, tmp_path / "resnet50" / "model.safetensors")
    monkeypatch.setenv("METASTRA_ENCODERS", str(tmp_path))

    encoder = get_encoder("resnet50", engine="torch-bfloat16")

    assert encoder.encode(tiles(2)).shape == (2, 1024)
    assert encoder.card.licence == "BSD-3-Clause"
    assert encoder.card.revision == "not stated"


def test_a_folder_as_transformers_writes_it_needs_a_table_more(tmp_path):
    """Its config.json keeps its own keys; the class token is what transformers gives."""
    transformers = load_transformers()
    config = transformers.Dinov2Config(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=3, image_size=224, patch_size=16
    )
    theirs = scramble(transformers.Dinov2Model(config))
    theirs.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    network = {**TOLD["network"], "mlp_width": 192, "layer_scale": True}
    own = {**TOLD, "pooling": "class", "network": network}
    (tmp_path / "config.json").write_text(json.dumps({**written, "metastra": own}))
    given = tiles(3)
    mean, std = (torch.tensor(TOLD[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    seen = (torch.from_numpy(given).permute(0, 3, 1, 2).float() / 255 - mean) / std
    with torch.no_grad():
        expected = theirs(seen).last_hidden_state[:, 0].numpy()

    found = get_encoder("tiny", weights=tmp_path).encode(given)

    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_the_feed_forward_width_is_read_from_the_file(tmp_path):
    """H0-mini's list entry leaves it to the file; so does any folder that says nothing."""
    network = {key: value for key, value in TOLD["network"].items() if key != "mlp_width"}
    place = tiny_weights(tmp_path / "gated", gated=True, mlp_width=128, told={"network": network})

    assert get_encoder("tiny", weights=place).encode(tiles(1)).shape == (1, 96)


def test_weights_made_for_another_tile_size_are_resampled(tmp_path):
    """Positions of a larger tile come to ours; the tile size of the card counts."""
    place = tiny_weights(tmp_path / "large", tile_px=448, told={"tile_px": 224})

    assert get_encoder("tiny", weights=place).encode(tiles(1)).shape == (1, 96)


def test_changed_weights_are_refused(tmp_path):
    """config.json names the digest; a file that was replaced ends with exit 5."""
    place = tiny_weights(tmp_path / "pinned", told={"weights_sha256": "0" * 64})

    with pytest.raises(DigestMismatch, match="weights were changed or replaced"):
        get_encoder("tiny", weights=place)


def test_weights_of_another_shape_are_refused_by_name(tmp_path):
    """Every parameter and shape has to fit."""
    place = tiny_weights(tmp_path / "other", told={"network": {**TOLD["network"], "depth": 3}})

    with pytest.raises(ConfigError, match=r"does not fit encoder 'tiny'.*blocks\.2\.norm1"):
        get_encoder("tiny", weights=place)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pooling": "none"}, "does not go with a network of kind 'vit'"),
        ({"tile_px": 225}, "no multiple of token_px 16"),
        ({"std": [0.1, 0.0, 0.1]}, "std must be above 0"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"name": "other"}, "is of encoder 'other'; 'tiny' was asked for"),
        ({"network": {"width": 48}}, "needs token_px, width, depth and heads"),
    ],
)
def test_a_folder_that_says_something_impossible_is_refused(tmp_path, change, said):
    """With the file and what is wrong in it."""
    place = tiny_weights(tmp_path / "bad", told=change)

    with pytest.raises(ConfigError, match=said):
        get_encoder("tiny", weights=place)


def test_a_folder_without_a_card_is_refused(tmp_path):
    """Nothing is guessed from shapes."""
    place = tiny_weights(tmp_path / "mute")
    (place / "config.json").write_text(json.dumps({"architecture": "vit_tiny"}))

    with pytest.raises(ConfigError, match="has no table 'metastra' that says what it is"):
        get_encoder("tiny", weights=place)
    (place / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read as JSON"):
        get_encoder("tiny", weights=place)


def test_a_pickle_is_not_read_but_the_command_that_converts_it_is_said(tmp_path):
    """A .bin may hold code."""
    (tmp_path / "pytorch_model.bin").write_bytes(b"anything")

    with pytest.raises(ConfigError, match=r"metastra encoders convert \S+pytorch_model.bin"):
        get_encoder("uni_v1", weights=tmp_path)


def test_missing_weights_are_explained_step_by_step(tmp_path, monkeypatch):
    """Gated models: page, licence, log-in, token, folder; nothing is downloaded."""
    monkeypatch.setenv("METASTRA_ENCODERS", str(tmp_path))

    with pytest.raises(ConfigError) as raised:
        get_encoder("virchow2")

    said = str(raised.value)
    for step in (
        "https://huggingface.co/paige-ai/Virchow2",
        "CC-BY-NC-ND-4.0",
        "hf auth login",
        "metastra encoders fetch virchow2 --revision COMMIT",
        str(tmp_path / "virchow2"),
        "--weights",
    ):
        assert step in said


def test_an_encoder_that_cannot_be_built_says_why():
    """And what to do instead."""
    with pytest.raises(ConfigError, match=r"cannot be built here: .* Extract with TRIDENT"):
        get_encoder("conch_v15")


def test_weights_or_engines_for_an_encoder_without_are_refused(folder):
    """A setting that has no effect is a mistake."""
    with pytest.raises(ConfigError, match="takes no weights"):
        get_encoder("morphology", weights=folder)
    with pytest.raises(ConfigError, match="runs on numba-float32 alone"):
        get_encoder("morphology", engine="torch-float32")
    with pytest.raises(ConfigError, match="no engine is named 'cuda'; expected one of"):
        get_encoder("tiny", weights=folder, engine="cuda")


def test_an_engine_that_is_not_installed_is_named_with_its_command(folder, monkeypatch):
    """Before any weights are read."""
    monkeypatch.setattr("metastra.encoders.engine_names.find_spec", lambda name: None)

    with pytest.raises(MissingExtra, match=r"metastra\[learn\]"):
        get_encoder("tiny", weights=folder, engine="openvino-bfloat16")


def test_a_gpu_engine_without_a_gpu_is_refused(folder):
    """Not done on the CPU instead."""
    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    with pytest.raises(ConfigError, match="needs an NVIDIA GPU"):
        get_encoder("tiny", weights=folder, engine="torch-cuda-float16")


def test_batches_take_turns_on_a_device(folder):
    """The path of a GPU on a CPU device: order kept, memory of two buffers, same numbers."""
    from metastra.encoders.building import build_network
    from metastra.encoders.gpu import TurnTaking, make_gpu_runner

    given = tiles(10)
    weights = find_weights("tiny", folder)
    run = make_gpu_runner(build_network(weights), torch.float32, device="cpu", batch=2)
    expected = get_encoder("tiny", weights=folder).encode(given)

    found = run(given)

    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    turns = TurnTaking(build_network(weights), "cpu")
    alone = list(turns.encode_all(given[i : i + 2] for i in range(0, 10, 2)))
    assert len(alone) == 5
    assert len(turns._buffers) == 2
    assert np.abs(np.concatenate(alone) - expected).max() <= 1e-5 * np.abs(expected).max()


def test_looking_at_a_card_loads_no_torch(folder):
    """`encoders list` and the check of a study stay fast."""
    import subprocess

    code = (
        "import sys; from pathlib import Path\n"
        "from metastra.encoders.registry import encoder_card\n"
        f"encoder_card('tiny', weights=Path({str(folder)!r}))\n"
        "assert 'torch' not in sys.modules and 'huggingface_hub' not in sys.modules\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_entry_of_the_list_is_whole():
    """A recipe, a page and steps, or a reason."""
    for name, known in known_encoders().items():
        if known.unsupported:
            assert known.recipe is None
            continue
        assert known.recipe.name == name
        assert known.recipe.dimension > 0
        assert known.page == known.recipe.source
        if known.recipe.network.family == "vit" and known.recipe.network.mlp_width:
            given = known.recipe.network.model_dump(exclude={"family", "dimension"})
            VitShape(tile_px=known.recipe.tile_px, **given)
