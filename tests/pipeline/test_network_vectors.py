"""`slide-vectors --pool network`: a small attention pooling against its closed form."""

from __future__ import annotations

import csv
import io
import json
import re
import warnings

import h5py
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from features.bags import FRAME, ORIGIN, make_bag, store
from metastra.digest import digest_file
from metastra.encoders.slide_card import read_slide_card
from metastra.encoders.slide_network import load_slide_network
from metastra.errors import ConfigError, DataError, DigestMismatch
from metastra.features.bag import BagFrame, BagOrigin
from metastra.features.files import read_bag
from metastra.features.writing import write_own
from metastra.pipeline.slide_vectors import VectorsRequest, slide_vectors

D = 6
RNG = np.random.default_rng(5)
V, W = RNG.normal(0, 0.05, (D, 4)).astype(np.float32), RNG.normal(size=(4, 1)).astype(np.float32)
U = np.array([[3e-4], [-2e-4]], np.float32)
CARD = {
    "name": "attentive",
    "source": "a test",
    "licence": "Apache-2.0",
    "encoder": "morphology",
    "mpp": 0.5,
    "tile_px": 224,
    "features": D,
    "dimension": D,
}


def closed_form(bag, places=None):
    """softmax(tanh(x V) w + p u) over tiles, times x; in double precision."""
    rows = np.asarray(bag.features[:], np.float64)
    scores = np.tanh(rows @ V) @ W
    if places is not None:
        scores = scores + places @ U
    weight = np.exp(scores - scores.max())
    return (weight / weight.sum() * rows).sum(axis=0)


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.v, self.w = (
            torch.nn.Parameter(torch.from_numpy(V)),
            torch.nn.Parameter(torch.from_numpy(W)),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        weight = torch.softmax(torch.tanh(features @ self.v) @ self.w, dim=0)
        return (weight * features).sum(dim=0)


class PlacedAttention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.v, self.w = (
            torch.nn.Parameter(torch.from_numpy(V)),
            torch.nn.Parameter(torch.from_numpy(W)),
        )
        self.u = torch.nn.Parameter(torch.from_numpy(U))

    def forward(self, features: torch.Tensor, coords: torch.Tensor) -> torch.Tensor:
        scores = torch.tanh(features @ self.v) @ self.w + coords.to(torch.float32) @ self.u
        return (torch.softmax(scores, dim=0) * features).sum(dim=0)


class Broken(torch.nn.Module):
    def __init__(self, how: str):
        super().__init__()
        self.how = how

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if self.how == "long":
            return torch.cat([features.mean(dim=0), features.mean(dim=0)])
        if self.how == "nan":
            return features.mean(dim=0) / 0.0 * 0.0
        if self.how == "raise":
            raise ValueError("too many tiles")
        return features @ features


def torchscript(folder, module, **card):
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "network.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(module), str(file))
    told = {**CARD, "sha256": digest_file(file), **card}
    (folder / "network.json").write_text(json.dumps(told))
    return file


def onnx_file(folder, *, coords=None, outside=False, **card):
    """The same, written node by node; gives (1, k)."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "network.onnx"
    nodes = [
        helper.make_node("MatMul", ["features", "v"], ["a"]),
        helper.make_node("Tanh", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w"], ["c0" if coords else "c"]),
        helper.make_node("Softmax", ["c"], ["weight"], axis=0),
        helper.make_node("Transpose", ["weight"], ["across"], perm=[1, 0]),
        helper.make_node("MatMul", ["across", "features"], ["row"]),
    ]
    given = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", D])]
    if coords:
        kind = TensorProto.INT64 if coords == "px0" else TensorProto.FLOAT
        given.insert(0, helper.make_tensor_value_info("coords", kind, ["n", 2]))
        placed = [
            helper.make_node("Cast", ["coords"], ["places"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["places", "u"], ["c1"]),
            helper.make_node("Add", ["c0", "c1"], ["c"]),
        ]
        nodes[3:3] = placed
        card = {"inputs": ["features", "coords"], "coords": coords, **card}
    weights = [numpy_helper.from_array(one, name) for one, name in ((V, "v"), (W, "w"), (U, "u"))]
    if outside:
        weights[0].external_data.add(key="location", value="v.bin")
        weights[0].data_location = TensorProto.EXTERNAL
    row = helper.make_tensor_value_info("row", TensorProto.FLOAT, [1, D])
    graph = helper.make_graph(nodes, "attention", given, [row], initializer=weights)
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    file.write_bytes(model.SerializeToString())
    lines = [f"{key} = {json.dumps(value)}" for key, value in {**CARD, **card}.items()]
    (folder / "network.toml").write_text("\n".join(lines))
    return file


@pytest.fixture
def features(tmp_path):
    """Three slides of different sizes, one without a tile."""
    folder = tmp_path / "features"
    folder.mkdir()
    for number, n in enumerate((40, 1, 300)):
        store(folder / f"s{number}.h5", write_own(make_bag(n, D, seed=number)))
    store(folder / "s3.h5", write_own(make_bag(0, D)))
    return folder


def pooled(features, file, out):
    return slide_vectors(VectorsRequest(paths=(features,), out=out, pool="network", weights=file))


def test_a_program_gives_the_closed_form(features, tmp_path):
    """Every slide, of any number of tiles; the table says by what file the rows were made."""
    file = torchscript(tmp_path / "net", Attention())
    summary = pooled(features, file, tmp_path / "rows.h5")
    with h5py.File(tmp_path / "rows.h5") as table:
        rows, about = table["features"][:], dict(table.attrs)
        names = table["names"].asstr()[:].tolist()
    for number in range(3):
        expected = closed_form(read_bag(features / f"s{number}.h5"))
        assert np.abs(rows[number] - expected).max() < 1e-4 * np.abs(expected).max()
    assert names == [f"v{n:04d}" for n in range(1, D + 1)]
    assert (about["pool"], about["network"]) == ("network", "attentive")
    assert about["network_sha256"] == digest_file(file) == summary.network["sha256"]
    assert summary.to_json()["network"]["licence"] == "Apache-2.0"
    assert summary.excluded == ("s3",)
    assert summary.most_bytes == 4 * 300 * D
    assert "network attentive (sha256 " in "\n".join(summary.lines())


@pytest.mark.parametrize("coords", ["", "px0", "um"])
def test_an_onnx_file_gives_the_closed_form(features, tmp_path, coords):
    """Also with coordinates, in either unit, whatever the order of its inputs."""
    file = onnx_file(tmp_path / "net", coords=coords)
    pooled(features, file, tmp_path / "rows.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "rows.csv").read_text())))
    for row in rows:
        bag = read_bag(features / f"{row['SLIDE']}.h5")
        scale = {"": None, "px0": (1.0, 1.0), "um": FRAME.mpp}[coords]
        expected = closed_form(bag, None if scale is None else bag.coords * scale)
        found = [float(row[f"v{n:04d}"]) for n in range(1, D + 1)]
        assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()
    assert len(rows) == 3


def test_a_program_with_coordinates_gets_level_0_pixels(features, tmp_path):
    """The upper left corners, in the order of the tiles."""
    module = PlacedAttention()
    file = torchscript(tmp_path / "net", module, inputs=["features", "coords"], coords="px0")
    bag = read_bag(features / "s2.h5")
    found = load_slide_network(file).vector(bag)
    expected = closed_form(bag, bag.coords)
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()
    assert np.abs(found - closed_form(bag)).max() > 1e-2 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"encoder": "uni_v1"}, "encoder morphology"),
        ({"encoder_digest": "e" * 64}, "encoder_digest cccc"),
        ({"mpp": 0.25}, "µm per pixel 0.5"),
        ({"tile_px": 256}, "tile_px 224"),
        ({"features": 7}, "features a tile 6"),
    ],
)
def test_features_of_something_else_are_refused(features, tmp_path, change, told):
    """SL060 for each slide with what it says; nothing is written."""
    file = torchscript(tmp_path / "net", Attention(), **change)
    with pytest.raises(DataError, match="no slide can be pooled") as caught:
        pooled(features, file, tmp_path / "rows.h5")
    assert str(caught.value).count(f"SL060 {told}") == 3
    assert not (tmp_path / "rows.h5").exists()


@pytest.mark.parametrize(
    ("bag", "coords", "told"),
    [
        (make_bag(4, D, origin=BagOrigin(name="a")), "", "encoder not said"),
        (
            make_bag(4, D, frame=BagFrame(mpp=(0.5, 0.5)), origin=ORIGIN),
            "",
            "tile_px not said, µm per pixel not said",
        ),
        (
            make_bag(4, D, frame=BagFrame(target_mpp=0.5, tile_px=224)),
            "um",
            "µm per level-0 pixel not said",
        ),
    ],
)
def test_what_a_feature_file_does_not_say_is_not_guessed(tmp_path, bag, coords, told):
    """Encoder, scale and tile size have to be known."""
    network = load_slide_network(onnx_file(tmp_path / "net", coords=coords))
    with pytest.raises(DataError) as caught:
        network.vector(bag)
    assert (caught.value.problems[0].code, caught.value.problems[0].found) == ("SL060", told)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("long", r"attentive gives \(12,\)"),
        ("nan", "numbers that are not finite"),
        ("raise", "too many tiles"),
        ("fails", "attentive fails: .*size mismatch|attentive fails: .*shapes cannot"),
    ],
)
def test_a_network_that_gives_no_row_fails_the_slide(features, tmp_path, how, told):
    """SL061, with what it said."""
    network = load_slide_network(torchscript(tmp_path / "net", Broken(how)))
    with pytest.raises(DataError) as caught:
        network.vector(read_bag(features / "s0.h5"))
    (found,) = caught.value.problems
    assert found.code == "SL061"
    assert re.search(told, found.found), found.found


def test_an_onnx_file_that_stops_fails_the_slide(features, tmp_path):
    """Its card promises other features than it takes."""
    network = load_slide_network(onnx_file(tmp_path / "net", features=5))
    with pytest.raises(DataError) as caught:
        network.vector(make_bag(4, 5))
    assert caught.value.problems[0].code == "SL061"


def test_a_file_that_cannot_be_trusted_is_refused(tmp_path):
    """Not pinned, exchanged, of another kind, or with numbers elsewhere."""
    file = torchscript(tmp_path / "a", Attention(), sha256="")
    with pytest.raises(ConfigError, match="is a program: its card must pin it by sha256"):
        load_slide_network(file)
    with pytest.raises(DigestMismatch, match="the card beside it names eeee"):
        load_slide_network(torchscript(tmp_path / "b", Attention(), sha256="e" * 64))
    (tmp_path / "c.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match="weights alone are no network"):
        load_slide_network(tmp_path / "c.safetensors")
    with pytest.raises(ConfigError, match="keeps 1 tensors in another file"):
        load_slide_network(onnx_file(tmp_path / "d", outside=True))
    other = onnx_file(tmp_path / "e")
    with (tmp_path / "e/network.toml").open("a") as card:
        card.write('\ninputs = ["features", "coords"]\ncoords = "um"\n')
    with pytest.raises(ConfigError, match="takes features; its card says features, coords"):
        load_slide_network(other)
    (tmp_path / "f").mkdir()
    broken = tmp_path / "f/network.pt"
    broken.write_bytes(b"no program")
    (tmp_path / "f/network.json").write_text(json.dumps({**CARD, "sha256": digest_file(broken)}))
    with pytest.raises(ConfigError, match="cannot be loaded as TorchScript"):
        load_slide_network(broken)
    with pytest.raises(ConfigError, match="is no file"):
        load_slide_network(tmp_path / "none.pt")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"licence": "", "mpp": 0}, r"licence: .*; mpp: "),
        ({"inputs": ["coords"], "coords": "um"}, "as a whole: .*inputs are"),
        ({"coords": "px0"}, "coords says"),
        ({"colour": "red"}, "colour: Extra inputs"),
    ],
)
def test_a_card_that_says_nothing_useful_is_refused(tmp_path, change, told):
    """All fields at once."""
    (tmp_path / "n.json").write_text(json.dumps({**CARD, **change}))
    with pytest.raises(ConfigError, match=told):
        read_slide_card(tmp_path / "n.pt")


def test_a_card_has_to_be_there_once(tmp_path):
    """As JSON or as TOML."""
    with pytest.raises(ConfigError, match=r"has 0 cards beside it; expected one, n\.json or"):
        read_slide_card(tmp_path / "n.onnx")
    for ending in ("json", "toml"):
        (tmp_path / f"n.{ending}").write_text("{")
    with pytest.raises(ConfigError, match="has 2 cards"):
        read_slide_card(tmp_path / "n.onnx")
    (tmp_path / "n.json").unlink()
    with pytest.raises(ConfigError, match=r"n\.toml cannot be read"):
        read_slide_card(tmp_path / "n.onnx")


def test_options_that_do_not_go_together(tmp_path):
    """Weights belong to a network and a network to weights."""
    for more in ({"pool": "network"}, {"pool": "mean", "weights": tmp_path}):
        with pytest.raises(ConfigError, match="--pool network needs --weights FILE"):
            VectorsRequest(paths=(tmp_path,), out=tmp_path / "a.csv", **more)
    with pytest.raises(ConfigError, match="belong to --pool prototypes"):
        VectorsRequest(paths=(), out=tmp_path / "a.csv", pool="network", weights=tmp_path, learn=3)


def test_the_program_was_written_as_it_is_read(tmp_path):
    """The file of these tests is a valid ONNX."""
    onnx.checker.check_model(str(onnx_file(tmp_path / "net", coords="um")))
