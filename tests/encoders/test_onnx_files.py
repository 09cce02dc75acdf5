"""ONNX files that point to other files are refused, wherever in the file they do."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from metastra.digest import digest_file
from metastra.encoders.foreign import foreign_runner
from metastra.encoders.onnx_file import given_inputs, outside_parts, read_onnx
from metastra.encoders.weights import read_weights
from metastra.errors import ConfigError

ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


def inside(name="w"):
    return numpy_helper.from_array(ROWS, name)


def outside(name="w", *, says=True):
    """A tensor whose numbers lie in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=ROWS.shape)
    tensor.external_data.add(key="location", value="weights.bin")
    if says:
        tensor.data_location = TensorProto.EXTERNAL
    return tensor


def sparse(values):
    one = onnx.SparseTensorProto(dims=[12])
    one.values.CopyFrom(values)
    one.indices.CopyFrom(numpy_helper.from_array(np.arange(12, dtype=np.int64), "at"))
    return one


def graph_of(nodes, name="g", **more):
    tiles = helper.make_tensor_value_info("tiles", TensorProto.FLOAT, ["b", 3, 32, 32])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["b", 4])
    return helper.make_graph(nodes, name, [tiles], [out], **more)


def mean_node():
    return helper.make_node("ReduceMean", ["tiles"], ["mean"], axes=[2, 3], keepdims=0)


def plain(**more):
    return graph_of([mean_node(), helper.make_node("MatMul", ["mean", "w"], ["out"])], **more)


def branch(tensor):
    constant = helper.make_node("Constant", [], ["c"], name="hidden", value=tensor)
    out = helper.make_tensor_value_info("c", TensorProto.FLOAT, [3, 4])
    return helper.make_graph([constant], "branch", [], [out])


def with_if(tensor):
    """The tensor in a branch of a branch."""
    deep = helper.make_node(
        "If", ["yes"], ["w2"], then_branch=branch(tensor), else_branch=branch(inside())
    )
    out = helper.make_tensor_value_info("w2", TensorProto.FLOAT, [3, 4])
    nested = helper.make_graph([deep], "nested", [], [out])
    yes = numpy_helper.from_array(np.array(True), "yes")
    nodes = [
        mean_node(),
        helper.make_node("If", ["yes"], ["w"], then_branch=nested, else_branch=branch(inside())),
        helper.make_node("MatMul", ["mean", "w"], ["out"]),
    ]
    return model(graph_of(nodes, initializer=[yes]))


def with_constant(**attribute):
    nodes = [
        mean_node(),
        helper.make_node("Constant", [], ["w"], name="weights", **attribute),
        helper.make_node("MatMul", ["mean", "w"], ["out"]),
    ]
    return model(graph_of(nodes))


def with_function(tensor):
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    opset = [helper.make_opsetid("", 17)]
    function = helper.make_function("own", "weights", [], ["w"], [constant], opset)
    nodes = [
        mean_node(),
        helper.make_node("weights", [], ["w"], domain="own"),
        helper.make_node("MatMul", ["mean", "w"], ["out"]),
    ]
    imports = [*opset, helper.make_opsetid("own", 1)]
    return helper.make_model(graph_of(nodes), functions=[function], opset_imports=imports)


def with_list(tensor):
    """A list of tensors at a node that nobody knows."""
    node = helper.make_node("Special", ["tiles"], ["out"], domain="own", parts=[inside(), tensor])
    return helper.make_model(graph_of([node]), opset_imports=[helper.make_opsetid("own", 1)])


def with_training(tensor):
    made = model(plain(initializer=[inside()]))
    made.training_info.add().initialization.CopyFrom(branch(tensor))
    return made


def model(graph):
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


KINDS = {
    "initializer": lambda t: model(plain(initializer=[t])),
    "sparse initializer": lambda t: model(
        plain(initializer=[inside()], sparse_initializer=[sparse(t)])
    ),
    "Constant": lambda t: with_constant(value=t),
    "sparse Constant": lambda t: with_constant(sparse_value=sparse(t)),
    "branches": with_if,
    "function": with_function,
    "list at a node": with_list,
    "training": with_training,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("says", [True, False])
def test_numbers_in_another_file_are_found_everywhere(tmp_path, kind, says):
    """Also where a tensor has a place outside and does not say that it is external."""
    path = tmp_path / "model.onnx"
    path.write_bytes(KINDS[kind](outside(says=says)).SerializeToString())
    with pytest.raises(ConfigError, match="keeps 1 tensors in another file, which no digest holds"):
        read_onnx(path)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_files_with_their_numbers_inside_are_read(tmp_path, kind):
    """Nothing is refused for where it stands."""
    path = tmp_path / "model.onnx"
    path.write_bytes(KINDS[kind](inside()).SerializeToString())
    assert list(outside_parts(read_onnx(path))) == []
    assert [one.name for one in given_inputs(read_onnx(path))] == ["tiles"]


def test_the_message_says_where():
    """The path through graph, node and attribute; several are counted."""
    (where,) = outside_parts(with_if(outside()))
    assert where == (
        "graph g › node 1 › attribute then_branch › g nested › node 0 › attribute then_branch › "
        "g branch › node hidden › attribute value › t w"
    )
    two = model(plain(initializer=[outside("w"), outside("v")]))
    assert sorted(outside_parts(two)) == ["graph g › initializer v", "graph g › initializer w"]


def test_a_compiled_program_in_another_file_is_refused():
    """ONNX Runtime's node for it."""
    node = helper.make_node("EPContext", ["tiles"], ["out"], domain="com.microsoft")
    assert list(outside_parts(model(graph_of([node])))) == ["graph g › node 0, a compiled program"]


def folder_of(tmp_path, made):
    (tmp_path / "model.onnx").write_bytes(made.SerializeToString())
    told = {
        "name": "own",
        "source": "test",
        "licence": "Apache-2.0",
        "tile_px": 32,
        "pooling": "none",
        "network": {"family": "onnx", "dimension": 4},
        "weights_sha256": digest_file(tmp_path / "model.onnx"),
    }
    (tmp_path / "config.json").write_text(json.dumps({"metastra": told}))
    return read_weights("own", tmp_path)


def test_an_encoder_of_such_a_file_is_refused(tmp_path):
    """Before any engine sees it, also where the other file is there."""
    (tmp_path / "weights.bin").write_bytes(ROWS.tobytes())
    weights = folder_of(tmp_path, with_constant(value=outside()))
    with pytest.raises(ConfigError, match=r"node weights › attribute value › t w.*weights inside"):
        foreign_runner(weights, "onnxruntime", "float32", batch=2)


def test_an_encoder_with_its_numbers_in_a_constant_is_computed(tmp_path):
    """Against the same in numpy."""
    weights = folder_of(tmp_path, with_constant(value=inside()))
    run, _ = foreign_runner(weights, "onnxruntime", "float32", batch=2)
    tiles = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), np.uint8)
    light = (tiles / 255 - np.array(weights.recipe.mean)) / np.array(weights.recipe.std)
    assert np.abs(run(tiles) - light.mean(axis=(1, 2)) @ ROWS).max() < 1e-4
