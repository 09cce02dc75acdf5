"""Members side by side against one written plainly; padding; numpy and torch agree."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402 - after the skip

from metastra.bundle.slide_head import Head  # noqa: E402
from metastra.bundle.slide_member import Gate, Member  # noqa: E402
from metastra.bundle.slide_model import SlideModel  # noqa: E402
from metastra.models.bags import PaddedBags  # noqa: E402
from metastra.models.descent import descend, same_on_every_run  # noqa: E402
from metastra.models.members import Dropped, Members  # noqa: E402

M, C, H, A, OUT = 3, 5, 4, 2, 2


def some_members(attention: int = A, *, seed: int = 1) -> Members:
    members = Members(
        M,
        C,
        embedding=H,
        attention=attention,
        start=torch.zeros(M, OUT),
        n_effects=OUT,
        seeds=tuple(range(seed, seed + M)),
    )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in members.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
    return members


def some_bags(sizes: tuple[int, ...] = (4, 1, 7)) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.normal(size=(k, C)).astype(np.float32) for k in sizes]


class Plain(nn.Module):
    """One gated attention network for one bag, as in the paper."""

    def __init__(self, members: Members, k: int) -> None:
        super().__init__()
        self.of = {name: tensor[k] for name, tensor in members.state_dict().items()}

    def forward(self, bag: torch.Tensor) -> torch.Tensor:
        w = self.of
        tokens = torch.relu(bag @ w["embed_weight"] + w["embed_bias"])
        if "gate_join" in w:
            value = torch.tanh(tokens @ w["value_weight"] + w["value_bias"])
            gate = torch.sigmoid(tokens @ w["gate_weight"] + w["gate_bias"])
            share = torch.softmax((value * gate) @ w["gate_join"], dim=0)
        else:
            share = torch.full((len(bag),), 1.0 / len(bag))
        return (share @ tokens) @ w["head_weight"] + w["head_bias"]


@pytest.mark.parametrize("attention", [A, 0])
def test_members_side_by_side_are_single_networks_bag_by_bag(attention):
    members, bags = some_members(attention), some_bags()
    together = members(PaddedBags.of(bags))
    for k in range(M):
        plain = Plain(members, k)
        for p, bag in enumerate(bags):
            alone = plain(torch.from_numpy(bag))
            torch.testing.assert_close(together[k, p], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("attention", [A, 0])
@pytest.mark.parametrize("rubbish", [1e6, float("nan"), float("inf")])
def test_padding_has_no_influence_on_outputs_or_gradients(attention, rubbish):
    members, padded = some_members(attention), PaddedBags.of(some_bags())
    spoilt = PaddedBags(
        tiles=padded.tiles.masked_fill(~padded.mask[:, :, None], rubbish), mask=padded.mask
    )
    found = []
    for bags in (padded, spoilt):
        members.zero_grad()
        outputs = members(bags, Dropped(torch.Generator().manual_seed(3), dropout=0.2, shift=0.5))
        outputs.square().sum().backward()
        found.append((outputs.detach(), [p.grad.clone() for p in members.parameters()]))
    assert torch.equal(found[0][0], found[1][0])
    for one, other in zip(found[0][1], found[1][1], strict=True):
        assert torch.equal(one, other)


def test_longer_padding_changes_nothing():
    members, bags = some_members(), some_bags()
    short = members(PaddedBags.of(bags))
    longer = members(PaddedBags.of([*bags, some_bags((40,))[0]]))
    torch.testing.assert_close(short, longer[:, :3], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("attention", [A, 0])
def test_the_numpy_model_gives_what_torch_gives(attention):
    """In double precision to 1e-12; the weights of a float32 training are exact in float64."""
    members, bags = some_members(attention).double(), some_bags()
    w = {name: tensor.numpy() for name, tensor in members.state_dict().items()}
    exported = []
    for k in range(M):
        gate = None
        if attention:
            gate = Gate(
                value_weight=w["value_weight"][k],
                value_bias=w["value_bias"][k],
                gate_weight=w["gate_weight"][k],
                gate_bias=w["gate_bias"][k],
                weight=w["gate_join"][k],
            )
        exported.append(
            Member(
                head_weight=w["head_weight"][k],
                head_bias=w["head_bias"][k],
                embed_weight=w["embed_weight"][k],
                embed_bias=w["embed_bias"][k],
                gate=gate,
            )
        )
    model = SlideModel(
        aggregator="attention" if attention else "mean",
        readout=Head(kind="classification"),
        centre=np.zeros(C),
        scale=np.ones(C),
        limit=1e9,
        members=tuple(exported),
        typical_low=np.full(C, -9.0),
        typical_high=np.full(C, 9.0),
    )
    padded = PaddedBags.of(bags)
    outputs = members(PaddedBags(tiles=padded.tiles.double(), mask=padded.mask))
    odds = (outputs[..., 1] - outputs[..., 0]).mean(dim=0).detach().numpy()
    for p, bag in enumerate(bags):
        assert model.score([bag]) == pytest.approx(odds[p], abs=1e-12)


def test_before_the_first_step_all_patients_score_the_same_and_all_tiles_weigh_the_same():
    start = torch.tensor([[0.5, -1.0, 0.25, 2.0]])
    members = Members(1, C, embedding=H, attention=A, start=start, n_effects=2, seeds=(1,))
    padded = PaddedBags.of(some_bags())
    outputs = members(padded)
    assert torch.equal(outputs, start[:, None, :].expand(1, 3, 4))
    shares = members.weights(members.tokens(padded.tiles), padded.mask)
    torch.testing.assert_close(shares[0].sum(dim=1), torch.ones(3))
    torch.testing.assert_close(shares[0, 0, :4], torch.full((4,), 0.25))


def test_one_effect_of_each_cause_in_all_intervals():
    members = Members(
        1, C, embedding=H, attention=0, start=torch.zeros(1, 6), n_effects=2, seeds=(1,)
    )
    with torch.no_grad():
        members.head_weight.normal_(generator=torch.Generator().manual_seed(1))
    outputs = members(PaddedBags.of(some_bags()))[0]
    torch.testing.assert_close(outputs[:, :2], outputs[:, 2:4])
    torch.testing.assert_close(outputs[:, :2], outputs[:, 4:])
    assert (outputs[:, 0] != outputs[:, 1]).any()  # a bag may have tokens of 0 only


def test_a_member_is_trained_as_if_it_were_alone():
    """Its weights after training do not depend on who is trained beside it."""
    bags = PaddedBags.of(some_bags((4, 6, 3, 5)))
    wanted = torch.tensor([1.0, -1.0, 0.5, 0.0])

    def trained(seeds: tuple[int, ...], target: torch.Tensor) -> Members:
        members = Members(
            len(seeds), C, embedding=H, attention=A,
            start=torch.zeros(len(seeds), 1), n_effects=1, seeds=seeds,
        )  # fmt: skip

        def loss(outputs: torch.Tensor) -> torch.Tensor:
            return (outputs[..., 0] - target).square().mean(dim=1)

        def again():
            while True:
                yield bags

        quiet = Dropped(torch.Generator().manual_seed(1), dropout=0.0, shift=0.0)
        with same_on_every_run():
            stops = list(
                descend(
                    members, loss, again(), quiet,
                    stops=(3, 12), learning_rate=0.05, weight_decay=0.1,
                )
            )  # fmt: skip
        assert stops == [3, 12]
        return members

    alone = trained((7,), wanted[None])
    beside = trained((7, 8), torch.stack([wanted, -3.0 * wanted]))
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(value[0], beside.state_dict()[name][0], atol=1e-6, rtol=1e-5)
    moved = alone.head_weight.abs().max()
    assert moved > 0.05


def test_noise_is_the_patients_and_not_the_tiles():
    noise = Dropped(torch.Generator().manual_seed(1), dropout=0.0, shift=1.0)
    moved = noise.tiles(torch.zeros(4, 9, C))
    assert torch.equal(moved, moved[:, :1].expand_as(moved))
    assert moved[:, 0].std() > 0.3
    half = Dropped(torch.Generator().manual_seed(1), dropout=0.5, shift=0.0)
    left = half.pooled(torch.ones(2, 2000, 1))
    assert set(left.unique().tolist()) == {0.0, 2.0}
    assert left.mean().item() == pytest.approx(1.0, abs=0.1)


def test_settings_of_torch_are_as_before():
    threads = torch.get_num_threads()
    with same_on_every_run():
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_empty_bag_is_refused():
    with pytest.raises(ValueError, match="each with at least one tile"):
        PaddedBags.of([np.zeros((0, C), np.float32)])
    with pytest.raises(ValueError, match="a batch needs patients"):
        PaddedBags.of([])
