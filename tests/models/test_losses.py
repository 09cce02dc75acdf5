"""Losses against loops over patients, with ties, delayed entry and members of their own."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from metastra.models.losses import ClassLoss, CoxLoss, HazardLoss  # noqa: E402 - after the skip
from metastra.survival.cox import fit_cox  # noqa: E402
from metastra.survival.outcome import Outcome  # noqa: E402

N = 25


def some_outcome(seed: int = 1):
    rng = np.random.default_rng(seed)
    time = rng.integers(2, 10, N).astype(float)  # many ties
    entry = np.where(rng.random(N) < 0.3, time - 1.5, 0.0)
    return time, rng.random(N) < 0.5, entry, rng


def cox_by_hand(time, event, entry, kept, eta) -> float:
    """Ten lines: Efron's partial likelihood, time by time."""
    total = 0.0
    for t in np.unique(time[event & kept]):
        tied = event & kept & (time == t)
        at_risk = kept & (time >= t) & (entry < t)
        d = tied.sum()
        for k in range(d):
            total -= np.log(np.exp(eta[at_risk]).sum() - k / d * np.exp(eta[tied]).sum())
        total += eta[tied].sum()
    return -total / (event & kept).sum()


@pytest.mark.parametrize("delayed", [False, True])
def test_cox_loss_is_the_partial_likelihood_of_each_members_own_patients(delayed):
    time, event, entry, rng = some_outcome()
    kept = np.stack([np.ones(N, bool), rng.random(N) < 0.6, rng.random(N) < 0.7])
    eta = rng.normal(size=(3, N))
    loss = CoxLoss.of(time, event, kept, entry if delayed else None)
    found = loss(torch.from_numpy(eta)[..., None])
    begins = entry if delayed else np.zeros(N)
    expected = [cox_by_hand(time, event, begins, kept[m], eta[m]) for m in range(3)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_cox_loss_and_gradient_are_those_of_the_judging_side():
    time, event, _, rng = some_outcome(2)
    x = rng.normal(size=(N, 2))
    fit = fit_cox(Outcome(time=time, event=event), x)
    coef = torch.tensor(fit.coef, requires_grad=True)
    scores = (torch.from_numpy(x) @ coef)[None, :, None]
    loss = CoxLoss.of(time, event, np.ones((1, N), bool))(scores)[0]
    loss.backward()
    assert loss.item() == pytest.approx(-fit.state.loglik / event.sum(), rel=1e-12)
    assert coef.grad.abs().max() < 1e-6  # the maximum of one is the minimum of the other


def test_cox_loss_does_not_see_other_patients_and_survives_large_scores():
    time, event, _, rng = some_outcome(3)
    kept = (np.arange(N) < 15)[None]
    eta = rng.normal(size=(1, N))
    other = np.where(kept, eta, 300.0)
    loss = CoxLoss.of(time, event, kept)
    one, two = (loss(torch.from_numpy(e)[..., None]).item() for e in (eta, other))
    assert one == pytest.approx(two, rel=1e-9)
    huge = torch.from_numpy(500.0 * eta)[..., None].requires_grad_()
    loss(huge).sum().backward()
    assert torch.isfinite(huge.grad).all()


def test_hazard_loss_is_a_sum_over_patients_and_intervals():
    rng = np.random.default_rng(4)
    target, at_risk = rng.integers(0, 3, (N, 4)), (rng.random((N, 4)) < 0.7).astype(float)
    kept = np.stack([np.ones(N), (rng.random(N) < 0.5).astype(float)])
    out = rng.normal(size=(2, N, 8))
    loss = HazardLoss(
        kept=torch.from_numpy(kept),
        target=torch.from_numpy(target),
        at_risk=torch.from_numpy(at_risk),
    )
    expected = np.zeros(2)
    for m in range(2):
        for i in range(N):
            for j in range(4):
                odds = np.concatenate([[1.0], np.exp(out[m, i, 2 * j : 2 * j + 2])])
                p = odds[target[i, j]] / odds.sum()
                expected[m] -= kept[m, i] * at_risk[i, j] * np.log(p)
        expected[m] /= kept[m].sum()
    np.testing.assert_allclose(loss(torch.from_numpy(out)).numpy(), expected, rtol=1e-12)


def test_hazards_of_the_lowest_loss_are_the_observed_ones():
    """Without features the fitted hazard of a cause is events by patients at risk."""
    rng = np.random.default_rng(5)
    target, at_risk = rng.integers(0, 3, (N, 2)), np.ones((N, 2))
    loss = HazardLoss(
        kept=torch.ones(1, N, dtype=torch.float64),
        target=torch.from_numpy(target),
        at_risk=torch.from_numpy(at_risk),
    )
    share = np.array([[np.mean(target[:, j] == code) for code in range(3)] for j in range(2)])
    logits = torch.from_numpy(np.log(share[:, 1:] / share[:, :1]).reshape(1, 1, 4))
    outputs = logits.expand(1, N, 4).clone().requires_grad_()
    loss(outputs).sum().backward()
    assert outputs.grad.sum(dim=1).abs().max() < 1e-12


def test_class_loss_is_weighted_cross_entropy():
    rng = np.random.default_rng(6)
    target, weight = rng.integers(0, 3, N), rng.random((2, N))
    out = rng.normal(size=(2, N, 3))
    loss = ClassLoss(kept=torch.from_numpy(weight), target=torch.from_numpy(target))
    shares = np.exp(out) / np.exp(out).sum(axis=2, keepdims=True)
    terms = -np.log(shares[:, np.arange(N), target])
    expected = (terms * weight).sum(axis=1) / weight.sum(axis=1)
    np.testing.assert_allclose(loss(torch.from_numpy(out)).numpy(), expected, rtol=1e-12)
