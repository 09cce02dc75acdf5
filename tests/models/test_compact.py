"""The compact network and its loss, against arithmetic done by hand."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from metastra.models.compact import COMPACT_DIMENSION, CompactNetwork, Expander  # noqa: E402
from metastra.models.vicreg import WEIGHTS, vicreg  # noqa: E402


def by_hand(left, right):
    """Equations 1 to 6 of the paper, number by number."""
    n, d = left.shape
    invariance = sum((left[i, j] - right[i, j]) ** 2 for i in range(n) for j in range(d)) / (n * d)
    variance = covariance = 0.0
    for view in (left, right):
        for j in range(d):
            spread = np.sqrt(np.var(view[:, j], ddof=1) + 1e-4)
            variance += max(0.0, 1.0 - spread) / d / 2
            for k in range(d):
                if j != k:
                    covariance += np.cov(view[:, j], view[:, k], ddof=1)[0, 1] ** 2 / d
    return invariance, variance, covariance


def test_the_loss_is_that_of_the_paper():
    rng = np.random.default_rng(4)
    left, right = rng.normal(0, 0.6, (7, 5)), rng.normal(0.2, 0.9, (7, 5))
    terms = vicreg(torch.from_numpy(left), torch.from_numpy(right))
    expected = by_hand(left, right)
    found = [terms.invariance.item(), terms.variance.item(), terms.covariance.item()]
    assert found == pytest.approx(expected, rel=1e-9)
    assert terms.total.item() == pytest.approx(float(np.dot(WEIGHTS, expected)), rel=1e-9)


def test_a_collapsed_embedding_costs_and_a_perfect_one_does_not():
    same = torch.ones(8, 4, dtype=torch.float64)
    collapsed = vicreg(same, same)
    assert collapsed.invariance.item() == 0.0
    assert collapsed.variance.item() == pytest.approx(1.0 - 0.01)
    # Hadamard columns: uncorrelated, spread above 1
    signs = torch.tensor([[1, 1, 1], [-1, 1, -1], [1, -1, -1], [-1, -1, 1]], dtype=torch.float64)
    perfect = vicreg(signs, signs)
    assert perfect.total.item() == pytest.approx(0.0, abs=1e-12)


def test_the_gradient_is_that_of_the_loss():
    generator = torch.Generator().manual_seed(0)
    left, right = (
        torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
        for _ in range(2)
    )
    assert torch.autograd.gradcheck(lambda a, b: vicreg(a, b).total, (left, right))


def test_the_network_is_small_and_a_tile_is_the_same_in_any_company():
    torch.manual_seed(0)
    network = CompactNetwork().eval()
    assert 1e6 < sum(weight.numel() for weight in network.parameters()) < 3e6
    tiles = torch.randn(5, 3, 96, 96)
    with torch.no_grad():
        whole, alone = network(tiles), network(tiles[3:4])
    assert whole.shape == (5, COMPACT_DIMENSION)
    assert torch.allclose(whole[3:4], alone, rtol=1e-4, atol=1e-5)


def test_the_means_are_those_of_the_last_two_stages():
    """Features, taken apart: each stage halves the picture, the last two are averaged."""
    torch.manual_seed(1)
    network = CompactNetwork().eval()
    tile = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        maps, sides = network.stem(tile), []
        for stage in network.stages:
            before, maps = maps, stage(maps)
            sides.append(maps.shape[-1])
        features = network(tile)[0]
    assert sides == [16, 8, 4, 2]
    assert torch.allclose(features[:192], before_last(network, tile)[0].mean(dim=(1, 2)))
    assert torch.allclose(features[192:], maps[0].mean(dim=(1, 2)))
    assert before.shape[1] == 192


def before_last(network, tile):
    with torch.no_grad():
        maps = network.stem(tile)
        for stage in list(network.stages)[:-1]:
            maps = stage(maps)
    return maps


def test_the_expander_is_not_part_of_the_network():
    assert not set(Expander(4).state_dict()) & set(CompactNetwork().state_dict())
