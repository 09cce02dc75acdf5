"""The slide model in numpy: streamed scores, leaving tiles out, and its bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from metastra.bundle.slide_head import HEADS, Head
from metastra.bundle.slide_member import Gate, Member
from metastra.bundle.slide_model import SlideModel
from metastra.bundle.slide_tensors import AGGREGATORS
from metastra.bundle.tensors import tensor_bytes
from metastra.errors import BundleError, DataError, NotEstimable

D, H, A = 7, 4, 3
EDGES = np.array([200.0, 365.0, 730.0])
READOUTS = {
    "cox": (Head(kind="cox"), 1),
    "discrete-hazard": (Head(kind="discrete-hazard", edges_days=EDGES, primary_interval=2), 6),
    "classification": (Head(kind="classification"), 3),
}


def a_member(rng: np.random.Generator, aggregator: str, n_outputs: int) -> Member:
    if aggregator == "linear":
        return Member(
            head_weight=rng.normal(size=(D, n_outputs)), head_bias=rng.normal(size=n_outputs)
        )
    gate = Gate(
        value_weight=rng.normal(size=(H, A)),
        value_bias=rng.normal(size=A),
        gate_weight=rng.normal(size=(H, A)),
        gate_bias=rng.normal(size=A),
        weight=3.0 * rng.normal(size=A),
    )
    return Member(
        head_weight=rng.normal(size=(H, n_outputs)),
        head_bias=rng.normal(size=n_outputs),
        embed_weight=rng.normal(size=(D, H)),
        embed_bias=rng.normal(size=H),
        gate=gate if aggregator == "attention" else None,
    )


def a_model(aggregator: str = "attention", head: str = "cox", seed: int = 1) -> SlideModel:
    rng = np.random.default_rng(seed)
    readout, n_outputs = READOUTS[head]
    return SlideModel(
        aggregator=aggregator,
        readout=readout,
        centre=rng.normal(size=D),
        scale=rng.uniform(0.5, 2.0, D),
        limit=np.inf if aggregator == "linear" else 3.0,
        members=tuple(a_member(rng, aggregator, n_outputs) for _ in range(3)),
        typical_low=np.full(D, -1.0),
        typical_high=np.full(D, 1.0),
    )


def a_held_model() -> SlideModel:
    """A linear model that holds mean features inside a range, which many tiles lie outside."""
    model = a_model("linear")
    low, high = np.linspace(-1.0, -0.1, D), np.linspace(0.0, 0.4, D)
    held = (replace(member, mean_low=low, mean_high=high) for member in model.members)
    return model.with_members(tuple(held))


def some_tiles(n: int = 30, seed: int = 2) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, D)).astype(np.float32)


def by_hand(model: SlideModel, tiles: NDArray[np.float32]) -> float:
    """The formula of the model, tile by tile, with loops."""
    scores = []
    for member in model.members:
        weights, tokens = [], []
        for tile in tiles.astype(float):
            x = np.clip((tile - model.centre) / model.scale, -model.limit, model.limit)
            token = x
            if member.embed_weight is not None:
                token = np.maximum(member.embed_weight.T @ x + member.embed_bias, 0)
            weight = 1.0
            if member.gate is not None:
                g = member.gate
                value = np.tanh(g.value_weight.T @ token + g.value_bias)
                gate = 1 / (1 + np.exp(-(g.gate_weight.T @ token + g.gate_bias)))
                weight = np.exp(np.sum(g.weight * value * gate))
            weights.append(weight)
            tokens.append(token)
        pooled = sum(w * t for w, t in zip(weights, tokens, strict=True)) / sum(weights)
        if member.mean_low is not None:
            pooled = np.minimum(np.maximum(pooled, member.mean_low), member.mean_high)
        scores.append(read_by_hand(model.readout, member.head_weight.T @ pooled + member.head_bias))
    return float(np.mean(scores))


def read_by_hand(head: Head, out: NDArray[np.float64]) -> float:
    if head.kind == "cox":
        return float(out[0])
    if head.kind == "classification":
        p = np.exp(out) / np.exp(out).sum()
        return float(np.log(p[1] / (1 - p[1])))
    free, incidence = 1.0, 0.0
    for j in range(head.primary_interval):
        event, other = np.exp(out[2 * j]), np.exp(out[2 * j + 1])
        incidence += free * event / (1 + event + other)
        free *= 1 / (1 + event + other)
    return float(np.log(-np.log(1 - incidence)))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_score_is_the_formula_and_does_not_depend_on_blocks_or_order(aggregator, head):
    model, tiles = a_model(aggregator, head), some_tiles()
    whole = model.score([tiles])
    assert whole == pytest.approx(by_hand(model, tiles), abs=1e-12)
    assert model.score([tiles[:1], tiles[1:9], tiles[9:9], tiles[9:]]) == pytest.approx(
        whole, abs=1e-12
    )
    assert model.score([tiles[::-1]]) == pytest.approx(whole, abs=1e-12)
    assert model.head == head


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_leaving_a_tile_out_is_scoring_the_others(aggregator, head):
    model, tiles = a_model(aggregator, head), some_tiles(25)
    told = model.explain(tiles)
    again = [told.score - model.score([np.delete(tiles, i, axis=0)]) for i in range(25)]
    np.testing.assert_allclose(told.leave_one_out, again, atol=1e-11)
    assert told.score == pytest.approx(model.score([tiles]), abs=1e-12)
    assert told.attention.sum() == pytest.approx(1.0)
    if aggregator != "attention":
        np.testing.assert_allclose(told.attention, 1 / 25)


def test_groups_of_tiles_are_left_out_exactly_and_a_heavy_tile_loses_no_digits():
    model = a_model("attention", "discrete-hazard")
    gates = [replace(m.gate, weight=40.0 * m.gate.weight) for m in model.members]
    sharp = model.with_members(
        tuple(replace(m, gate=g) for m, g in zip(model.members, gates, strict=True))
    )
    tiles = some_tiles(40)
    told = sharp.explain(tiles)
    assert max(told.attention) > 0.3  # nearly all weight of a member on one tile
    groups = np.random.default_rng(3).integers(-1, 5, 40)
    expected = [told.score - sharp.score([tiles[groups != k]]) for k in range(5)]
    np.testing.assert_allclose(told.without(groups), expected, atol=1e-11)
    again = [told.score - sharp.score([np.delete(tiles, i, axis=0)]) for i in range(40)]
    np.testing.assert_allclose(told.leave_one_out, again, atol=1e-11)


@pytest.mark.parametrize("sharpness", [1.0, 40.0, 4000.0])
@pytest.mark.parametrize("head", HEADS)
def test_tiles_taken_away_in_an_order_are_scored_as_what_is_left(head, sharpness):
    """By scoring anew, also where all weight lay on tiles that are gone."""
    model = a_model("attention", head)
    gates = [replace(m.gate, weight=sharpness * m.gate.weight) for m in model.members]
    sharp = model.with_members(
        tuple(replace(m, gate=g) for m, g in zip(model.members, gates, strict=True))
    )
    tiles = some_tiles(40)
    told = sharp.explain(tiles)
    counts = np.array([0, 1, 2, 7, 20, 38, 39])
    for order in (np.argsort(-told.attention), np.random.default_rng(1).permutation(40)):
        expected = [told.score - sharp.score([tiles[order[k:]]]) for k in counts]
        np.testing.assert_allclose(told.along(order, counts), expected, atol=1e-11)
    with pytest.raises(DataError, match="not one of 40 tiles"):
        told.along(np.zeros(40, dtype=np.int64), counts)
    with pytest.raises(DataError, match="ascend from 0 to below 40"):
        told.along(order, np.array([0, 40]))


def test_what_leaves_no_tile_has_no_number():
    model, tiles = a_model(), some_tiles(3)
    assert np.isnan(model.explain(tiles[:1]).leave_one_out).all()
    told = model.explain(tiles).without(np.array([1, 1, 1]))
    assert told[0] == 0.0  # a group of no tile changes nothing
    assert np.isnan(told[1])
    with pytest.raises(DataError, match="one for each of 3 tiles"):
        model.explain(tiles).without(np.array([0, 1]))


def test_tiles_that_do_not_fit_are_refused():
    model = a_model()
    with pytest.raises(NotEstimable, match="no tile"):
        model.score([])
    with pytest.raises(NotEstimable, match="no tile"):
        model.explain(some_tiles(0))
    with pytest.raises(DataError, match=r"expected \(n, 7\)"):
        model.score([np.zeros((2, 8), np.float32)])
    broken = some_tiles(4)
    broken[2, 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        model.score([broken])


def test_a_mean_outside_the_development_range_is_named():
    tiles = np.zeros((4, D), np.float32)
    tiles[:, 2] = 5.0
    reading = a_model().read([tiles])
    assert reading.outside == (2,)
    assert reading.n_tiles == 4
    np.testing.assert_allclose(reading.mean, tiles.mean(axis=0))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_bytes_bring_the_same_model_back(aggregator, head):
    model, tiles = a_model(aggregator, head), some_tiles()
    data = model.to_bytes()
    again = SlideModel.from_bytes(data, D)
    assert again.to_bytes() == data
    assert again.score([tiles]) == model.score([tiles])
    assert (again.aggregator, again.head, again.limit) == (aggregator, head, model.limit)
    assert again.readout.primary_interval == model.readout.primary_interval


def tensors_of(model: SlideModel) -> dict[str, NDArray[np.float64]]:
    from safetensors.numpy import load

    return {name: np.array(values) for name, values in load(model.to_bytes()).items()}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"scale": np.zeros(D)}, "a scale is not above 0"),
        ({"scale": np.ones(D + 1)}, "has shape"),
        ({"form": np.array([1.0, 1.0, 0.0, 0.0, 3.0])}, "is not that of 'attention'"),
        ({"form": np.array([9.0, 0.0, 0.0, 0.0, 3.0])}, "is not that of 'attention'"),
        ({"form": np.array([1.0, 0.0, 7.0, 0.0, 3.0])}, "names no known head"),
        ({"form": np.array([1.0, 0.0, 2.0, 0.0, 3.0])}, "at least 2 are needed"),
        ({"form": np.array([1.0, 0.0, 0.0, 0.0, -1.0])}, "features cut at -1"),
        ({"edges_days": np.array([3.0])}, "intervals in a head of the kind cox"),
        ({"typical_low": np.full(D, 2.0)}, "a typical range is empty"),
        ({"gate_join": np.zeros((2, A))}, "has shape"),
        ({"gate_join": None}, "expected"),
        ({"code": np.zeros(1)}, "expected"),
    ],
)
def test_bytes_that_cannot_be_a_model_are_refused(change, found):
    tensors = tensors_of(a_model()) | change
    data = tensor_bytes({name: values for name, values in tensors.items() if values is not None})
    with pytest.raises(BundleError, match=found):
        SlideModel.from_bytes(data)


def test_other_bytes_and_another_encoder_are_refused():
    data = a_model().to_bytes()
    for broken in (b"", b"junk", data[:-8], data + b"\0"):
        with pytest.raises(BundleError, match=r"BU008 slide_model\.safetensors"):
            SlideModel.from_bytes(broken)
    with pytest.raises(BundleError, match="7 features, where the encoder gives 8"):
        SlideModel.from_bytes(data, 8)


def test_an_ensemble_is_the_mean_of_its_members():
    model, tiles = a_model("mean", "classification"), some_tiles()
    alone = [model.alone(k).score([tiles]) for k in range(3)]
    assert model.score([tiles]) == pytest.approx(np.mean(alone), abs=1e-12)


def test_incidences_of_a_certain_event_keep_a_score():
    head = Head(kind="discrete-hazard", edges_days=EDGES, primary_interval=3)
    sure = np.array([[800.0, 0.0] * 3, [-800.0, 0.0] * 3])
    scores = head.scores(sure)
    assert np.isfinite(scores).all()
    assert scores[0] > 3.0 > -20.0 > scores[1]


def test_means_are_held_inside_the_range_of_the_fit():
    """The score by hand; beyond the range nothing moves it; tiles are left out just as exactly."""
    model, tiles = a_held_model(), some_tiles()
    assert model.score([tiles]) == pytest.approx(by_hand(model, tiles), abs=1e-12)
    assert model.score([tiles]) != pytest.approx(by_hand(a_model("linear"), tiles), abs=1e-3)
    far, farther = tiles.copy(), tiles.copy()
    far[:, 2] += 50.0
    farther[:, 2] += 5000.0
    assert model.score([far]) == model.score([farther])
    told = model.explain(tiles)
    assert told.score == pytest.approx(model.score([tiles]), abs=1e-12)
    each = [np.delete(tiles, i, axis=0) for i in range(len(tiles))]
    without = np.array([model.score([rest]) for rest in each])
    np.testing.assert_allclose(told.leave_one_out, told.score - without, atol=1e-12)
    groups = np.arange(len(tiles)) % 4
    rest = np.array([model.score([tiles[groups != group]]) for group in range(4)])
    np.testing.assert_allclose(told.without(groups), told.score - rest, atol=1e-12)


def test_a_range_survives_the_bytes_and_a_bundle_without_one_is_read():
    held, plain = a_held_model(), a_model("linear")
    for model in (held, plain):
        again = SlideModel.from_bytes(model.to_bytes(), n_features=D)
        assert again.to_bytes() == model.to_bytes()
        assert again.score([some_tiles()]) == model.score([some_tiles()])
    assert again.members[0].mean_low is None


def test_a_range_that_is_none_is_refused():
    held = a_held_model()
    turned = held.with_members(
        tuple(replace(one, mean_low=one.mean_high + 1.0) for one in held.members)
    )
    with pytest.raises(BundleError, match="a range of mean features is empty"):
        SlideModel.from_bytes(turned.to_bytes())


def test_a_range_with_one_limit_is_no_model():
    held = a_held_model()
    half = held.with_members(tuple(replace(one, mean_high=None) for one in held.members))
    assert half.contradictions() == ["a range of mean features has one limit"]
