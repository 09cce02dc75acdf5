"""Weights that come from elsewhere: pickles are converted, the hub is asked for one commit, and
whole files (ONNX, TorchScript) run where their digest is pinned."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from encoders.tiny_weights import NETWORK, TOLD, tiny_weights
from metastra.cli.app import app
from metastra.digest import digest_file
from metastra.encoders.registry import encoder_card, get_encoder
from metastra.errors import ConfigError, DigestMismatch
from metastra.models.resnet import ResNet50
from metastra.models.vit import VisionTransformer, VitShape
from metastra.pipeline.encoders_weights import convert_weights, fetch_weights
from metastra.testing.encoder_contract import encoder_faults

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def network(seed=0):
    torch.manual_seed(seed)
    module = VisionTransformer(VitShape(tile_px=224, **NETWORK)).eval()
    with torch.no_grad():
        for value in module.parameters():
            value.add_(torch.randn_like(value) * 0.05)
    return module


def tiles(count=5):
    return np.random.default_rng(2).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)


def folder_for(path, **told):
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"metastra": {**TOLD, **told}}))
    return path


@pytest.mark.parametrize(
    "how",
    ["nested", *(pytest.param(how, marks=pytest.mark.slow) for how in ("plain", "half", "old"))],
)
def test_a_pickle_is_converted_bit_by_bit(tmp_path, how):
    """Whatever it was nested in; precision stays; what is no tensor is named."""
    tensors = network().state_dict()
    if how == "half":
        tensors = {name: value.to(torch.bfloat16) for name, value in tensors.items()}
    content = tensors
    if how == "nested":
        prefixed = {f"module.{name}": value for name, value in tensors.items()}
        content = {"teacher": prefixed | {"epoch": 7}, "args": {"lr": 0.1}}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=how != "old")
    out = folder_for(tmp_path / "tiny")

    done = convert_weights(tmp_path / "a.pth", name="tiny", out=out, revision=COMMIT)

    written = load_file(out / "model.safetensors")
    assert set(written) == set(tensors)
    assert all(torch.equal(written[name], tensors[name]) for name in tensors)
    assert all(written[name].dtype == tensors[name].dtype for name in tensors)
    if how == "nested":
        assert (done["converted"]["nest"], done["converted"]["prefix"]) == ("teacher", "module.")
        assert done["converted"]["dropped"] == ["epoch"]
    assert done["sha256"] == digest_file(out / "model.safetensors")
    card = encoder_card("tiny", weights=out)
    assert (card.weights_sha256, card.revision) == (done["sha256"], COMMIT)
    assert get_encoder("tiny", weights=out).encode(tiles(1)).shape == (1, 96)


class Harmful:
    """A pickle that would run a command."""

    def __reduce__(self):
        import os

        return os.system, ("touch /tmp/metastra-was-here",)


def test_a_pickle_with_code_is_refused_and_nothing_runs(tmp_path):
    """Weights only: the call is never made, and no file is left."""
    from pathlib import Path

    mark = Path("/tmp/metastra-was-here")
    torch.save({"a": torch.zeros(1), "b": Harmful()}, tmp_path / "bad.bin")
    out = folder_for(tmp_path / "tiny")

    with pytest.raises(ConfigError, match="holds more than tensors"):
        convert_weights(tmp_path / "bad.bin", name="tiny", out=out)
    assert not mark.exists()
    assert not (out / "model.safetensors").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "said"),
    [([1, 2], "holds no tensors by name"), ({"x": torch.ones(2)}, "does not fit encoder 'tiny'")],
)
def test_a_file_of_something_else_is_refused(tmp_path, content, said):
    """With what it is not."""
    torch.save(content, tmp_path / "a.bin")
    with pytest.raises(ConfigError, match=said):
        convert_weights(tmp_path / "a.bin", name="tiny", out=folder_for(tmp_path / "tiny"))


@pytest.mark.slow
def test_a_file_that_is_no_pickle_is_refused(tmp_path):
    """Also one that is cut short."""
    torch.save(network().state_dict(), tmp_path / "a.bin")
    whole = (tmp_path / "a.bin").read_bytes()
    out = folder_for(tmp_path / "tiny")
    for content in (b"", b"not a pickle", whole[: len(whole) // 2]):
        (tmp_path / "a.bin").write_bytes(content)
        with pytest.raises(ConfigError, match=r"cannot be read|more than tensors"):
            convert_weights(tmp_path / "a.bin", name="tiny", out=out)
    with pytest.raises(ConfigError, match="no such file"):
        convert_weights(tmp_path / "none.bin", name="tiny", out=out)
    with pytest.raises(ConfigError, match="has to say what it is"):
        convert_weights(tmp_path / "a.bin", name="unheard", out=tmp_path / "elsewhere")


@pytest.mark.slow
def test_the_command_says_what_it_did(tmp_path):
    """For a person and as JSON."""
    torch.save(network().state_dict(), tmp_path / "a.pth")
    out = folder_for(tmp_path / "tiny")
    arguments = [
        "encoders",
        "convert",
        str(tmp_path / "a.pth"),
        "--name",
        "tiny",
        "--out",
        str(out),
    ]

    done = CliRunner().invoke(app, arguments)

    assert done.exit_code == 0, done.stderr
    for words in ("child process", "no code is run", "fits encoder 'tiny'", "sha256", "licence"):
        assert words in done.stdout
    told = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert told["sha256"] == digest_file(out / "model.safetensors")


class Hub:
    """What stands in for the hub's client: no network in tests."""

    def __init__(self, monkeypatch, folder, files, error=None):
        import huggingface_hub

        self.asked = []
        self._folder, self._files, self._error = folder, files, error
        monkeypatch.setattr(huggingface_hub, "list_repo_files", self.list_repo_files)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", self.hf_hub_download)

    def list_repo_files(self, repository, *, revision):
        self.asked.append((repository, revision))
        if self._error:
            raise self._error
        return self._files

    def hf_hub_download(self, repository, name, *, revision, local_dir):
        self.asked.append((repository, name, revision))
        local_dir.mkdir(parents=True, exist_ok=True)
        (local_dir / name).write_bytes((self._folder / name).read_bytes())
        return str(local_dir / name)


def test_weights_are_fetched_at_one_commit(tmp_path, monkeypatch):
    """Revision and digest are written beside them, and the card bears both."""
    source = tmp_path / "hub"
    source.mkdir()
    save_file(ResNet50().state_dict(), source / "model.safetensors")
    hub = Hub(monkeypatch, source, ["README.md", "config.json", "model.safetensors"])

    done = fetch_weights("resnet50", COMMIT, tmp_path / "out")

    assert hub.asked == [
        ("timm/resnet50.tv_in1k", COMMIT),
        ("timm/resnet50.tv_in1k", "model.safetensors", COMMIT),
    ]
    card = encoder_card("resnet50", weights=tmp_path / "out")
    assert card.revision == COMMIT
    assert card.weights_sha256 == done["sha256"] == digest_file(source / "model.safetensors")
    (tmp_path / "out/model.safetensors").write_bytes(b"replaced")
    with pytest.raises(DigestMismatch):
        encoder_card("resnet50", weights=tmp_path / "out")


def test_weights_in_several_files_are_fetched_by_their_index(tmp_path, monkeypatch):
    """All files that it names, at the same commit, and none else."""
    source = tmp_path / "hub"
    source.mkdir()
    tensors = ResNet50().state_dict()
    where = {key: f"part-{number % 2}.safetensors" for number, key in enumerate(sorted(tensors))}
    for name in ("part-0.safetensors", "part-1.safetensors"):
        save_file({key: tensors[key] for key in tensors if where[key] == name}, source / name)
    index = "model.safetensors.index.json"
    (source / index).write_text(json.dumps({"weight_map": where}))
    hub = Hub(monkeypatch, source, ["other.safetensors", index, *sorted(set(where.values()))])

    done = fetch_weights("resnet50", COMMIT, tmp_path / "out")

    assert [one[1] for one in hub.asked[1:]] == [index, "part-0.safetensors", "part-1.safetensors"]
    assert encoder_card("resnet50", weights=tmp_path / "out").weights_sha256 == done["sha256"]


def test_a_pickle_of_the_hub_is_converted(tmp_path, monkeypatch):
    """And said."""
    source = tmp_path / "hub"
    source.mkdir()
    torch.save(ResNet50().state_dict(), source / "pytorch_model.bin")
    Hub(monkeypatch, source, ["pytorch_model.bin"])
    monkeypatch.setenv("METASTRA_ENCODERS", str(tmp_path / "home"))

    done = CliRunner().invoke(app, ["encoders", "fetch", "resnet50", "--revision", COMMIT])

    assert done.exit_code == 0, done.stderr
    assert "child process" in done.stdout
    assert get_encoder("resnet50").card.revision == COMMIT


def test_a_branch_is_no_revision(tmp_path, monkeypatch):
    """Nothing is asked of the hub."""
    hub = Hub(monkeypatch, tmp_path, [])
    for revision in ("main", "v1.0", COMMIT[:12]):
        with pytest.raises(ConfigError, match="is no commit; expected 40 hexadecimal digits"):
            fetch_weights("uni_v1", revision, tmp_path / "out")
    assert hub.asked == []


def test_a_gated_or_unreachable_hub_is_explained(tmp_path, monkeypatch):
    """Page, consent and login; no traceback of a client."""
    Hub(monkeypatch, tmp_path, [], error=OSError("401 Client Error"))
    with pytest.raises(ConfigError, match=r"401.*gated: log in at \S+Virchow2.*hf auth login"):
        fetch_weights("virchow2", COMMIT, tmp_path / "out")
    Hub(monkeypatch, tmp_path, ["a.bin", "b.bin"])
    with pytest.raises(ConfigError, match=r"other weight files: a\.bin, b\.bin"):
        fetch_weights("virchow2", COMMIT, tmp_path / "out")
    with pytest.raises(ConfigError, match="lie in a data set among other files"):
        fetch_weights("ctranspath", COMMIT, tmp_path / "out")
    with pytest.raises(ConfigError, match="has no repository in the list"):
        fetch_weights("musk", COMMIT, tmp_path / "out")


class Pooled(torch.nn.Module):
    """A network that gives one row a tile, as an exported file does."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, pixels):
        return self.inner(pixels)[:, 0]


def whole_file(folder, kind, dimension=48, **told):
    """Save a pooled network as one file, and say what it is."""
    from metastra.encoders.engines import quiet

    pooled, example = Pooled(network()).eval(), torch.zeros(16, 3, 224, 224)
    folder.mkdir(parents=True)
    name = {"onnx": "model.onnx", "torchscript": "model.pt"}[kind]
    with quiet(), torch.inference_mode():
        if kind == "onnx":
            torch.onnx.export(
                pooled, (example,), str(folder / name), external_data=False, verbose=False
            )
        else:
            torch.jit.save(torch.jit.trace(pooled, example), str(folder / name))
    own = {
        **TOLD,
        "pooling": "none",
        "network": {"family": kind, "dimension": dimension},
        "weights_sha256": digest_file(folder / name),
        **told,
    }
    (folder / "config.json").write_text(json.dumps({"metastra": own}))
    return folder


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    tiny_weights(folder, told={"pooling": "class"})
    save_file(network().state_dict(), folder / "model.safetensors")
    return get_encoder("tiny", weights=folder).encode(tiles())


@pytest.mark.parametrize(
    ("kind", "engine", "within"),
    [
        pytest.param("onnx", "", 1e-4, marks=pytest.mark.slow),
        pytest.param("onnx", "openvino-float32", 1e-4, marks=pytest.mark.slow),
        pytest.param("onnx", "openvino-bfloat16", 0.05, marks=pytest.mark.slow),
        ("torchscript", "", 1e-4),
    ],
)
def test_a_whole_file_encodes_as_the_network_it_was_made_from(
    tmp_path, expected, kind, engine, within
):
    """Normalised as its card says; the contract holds; the digest is on the card."""
    folder = whole_file(tmp_path / kind, kind)

    encoder = get_encoder("tiny", weights=folder, engine=engine)

    found = encoder.encode(tiles())
    assert np.abs(found - expected).max() <= within * np.abs(expected).max()
    assert encoder_faults(encoder) == []
    told = json.loads((folder / "config.json").read_text())["metastra"]
    assert encoder.card.weights_sha256 == told["weights_sha256"]


def test_a_whole_file_must_be_pinned_and_runs_on_its_engines_alone(tmp_path):
    """A program without a digest is not loaded, nor one whose digest is another."""
    folder = whole_file(tmp_path / "a", "torchscript")
    told = json.loads((folder / "config.json").read_text())["metastra"]
    with pytest.raises(ConfigError, match="does not run a file of kind 'torchscript'"):
        get_encoder("tiny", weights=folder, engine="openvino-float32")
    for change, raised in (("", ConfigError), ("0" * 64, DigestMismatch)):
        own = json.dumps({"metastra": {**told, "weights_sha256": change}})
        (folder / "config.json").write_text(own)
        with pytest.raises(raised):
            get_encoder("tiny", weights=folder)
    (folder / "model.pt").write_bytes(b"nothing")
    own = {**told, "weights_sha256": digest_file(folder / "model.pt")}
    (folder / "config.json").write_text(json.dumps({"metastra": own}))
    with pytest.raises(ConfigError, match="cannot be loaded as TorchScript"):
        get_encoder("tiny", weights=folder)


@pytest.mark.slow
def test_an_onnx_file_of_another_kind_is_refused(tmp_path):
    """Tiles of another size, another dimension, no ONNX at all."""
    folder = whole_file(tmp_path / "a", "onnx", dimension=49)
    with pytest.raises(ValueError, match="its card says"):
        get_encoder("tiny", weights=folder).encode(tiles())
    told = json.loads((folder / "config.json").read_text())["metastra"]
    (folder / "config.json").write_text(json.dumps({"metastra": {**told, "tile_px": 256}}))
    with pytest.raises(ConfigError, match=r"expected \(b, 3, 256, 256\)"):
        get_encoder("tiny", weights=folder)
    (folder / "model.onnx").write_bytes(b"nothing")
    own = {**told, "weights_sha256": digest_file(folder / "model.onnx")}
    (folder / "config.json").write_text(json.dumps({"metastra": own}))
    with pytest.raises(ConfigError, match="cannot be read as ONNX"):
        get_encoder("tiny", weights=folder)
