"""The cross-fitted slide model: referees of the linear one, honesty of inner scores, bad days."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.survival.cox import fit_cox
from metastra.survival.outcome import Outcome
from metastra.training.patient_bags import PatientBags
from metastra.training.slide_fit import fit_slide_model
from metastra.training.slide_linear import fit_linear_paths
from metastra.training.slide_objective import CoxObjective
from metastra.training.slide_parts import InnerParts
from training.slide_cases import a_bag, a_task, patients


def with_outcome_changed(outcome: Outcome, where: np.ndarray) -> Outcome:
    """Events become censored, the others events, at other times."""
    time, event = outcome.time.copy(), outcome.event.copy()
    time[where] = np.random.default_rng(5).permutation(time[where]) + 11.0
    event[where] = (event[where] == 0).astype(int)
    return Outcome(time=time, event=event)


def test_the_linear_paths_are_ridge_cox_models():
    """Against `fit_cox` of the standardised means, which knows no principal components."""
    made = patients()
    means = np.array([tiles.mean(axis=0, dtype=float) for tiles in made.tiles])
    parts = InnerParts.of(made.parts)
    paths = fit_linear_paths(means, made.outcome, parts)
    x = (means - means.mean(axis=0)) / means.std(axis=0)
    largest = np.linalg.eigvalsh(x.T @ x / len(x))[-1]
    own = made.outcome.only(1)
    for model, setting, ridge in ((0, 0, 10.0), (3, 7, 0.003), (7, 7, 0.003)):
        kept = parts.kept(model)
        inside = own.take(kept)
        fit = fit_cox(inside, x[kept], ridge=float(ridge * largest * inside.n_events()))
        np.testing.assert_allclose(paths.coef[model, setting], fit.coef, atol=1e-6)
        scores = x @ paths.coef[model, setting] + paths.bias[model, setting]
        assert scores[kept].mean() == pytest.approx(0.0, abs=1e-10)


def test_lifelines_agrees_with_a_linear_member():
    lifelines = pytest.importorskip("lifelines")
    import pandas as pd

    made = patients(d=4)
    means = np.array([tiles.mean(axis=0, dtype=float) for tiles in made.tiles])
    parts = InnerParts.of(made.parts)
    paths = fit_linear_paths(means, made.outcome, parts)
    kept = parts.kept(0)
    x = (means - means.mean(axis=0)) / means.std(axis=0)
    largest = np.linalg.eigvalsh(x.T @ x / len(x))[-1]
    own = made.outcome.only(1)
    frame = pd.DataFrame(x[kept]).assign(time=own.time[kept], event=own.event[kept])
    events = int(own.event[kept].sum())
    # lifelines divides the likelihood by the number of patients, and standardises by itself
    scale = x[kept].std(axis=0, ddof=1)
    penalty = 3e-3 * largest * events / kept.sum()
    fitter = lifelines.CoxPHFitter(penalizer=np.full(4, penalty) / scale**2)
    fitter.fit(frame, "time", "event")
    np.testing.assert_allclose(paths.coef[0, 7], fitter.params_.to_numpy(), rtol=1e-3, atol=1e-4)


def test_the_gain_is_a_partial_likelihood_by_brute_force():
    rng = np.random.default_rng(4)
    n = 30
    y = Outcome(time=rng.integers(1, 9, n), event=rng.integers(0, 3, n))
    score, held = rng.normal(size=n), np.arange(n) < 8

    def loglik(rows: np.ndarray, eta: np.ndarray) -> float:
        total = 0.0
        for time in np.unique(y.time[rows & (y.event == 1)]):
            tied = rows & (y.event == 1) & (y.time == time)
            at_risk = np.exp(eta[rows & (y.time >= time)]).sum()
            together = np.exp(eta[tied]).sum()
            total += eta[tied].sum()
            total -= sum(np.log(at_risk - k / tied.sum() * together) for k in range(tied.sum()))
        return total

    everybody = np.ones(n, dtype=bool)
    zero = np.zeros(n)
    expected = loglik(everybody, score) - loglik(~held, score)
    expected -= loglik(everybody, zero) - loglik(~held, zero)
    found = CoxObjective(outcome=y).gain(score[:, None], ~held, held)
    assert found == pytest.approx(expected, abs=1e-9)


def test_inner_scores_are_of_the_member_that_has_not_seen_the_part():
    made = patients()
    fit = fit_slide_model(made.bags(), made.outcome, made.all, made.parts, a_task())
    assert np.isfinite(fit.inner_scores).all()
    assert np.corrcoef(fit.inner_scores, made.truth)[0, 1] > 0.5
    for part in range(4):
        if fit.choice.by_part[part] == fit.choice.chosen:
            i = int(np.flatnonzero(made.parts == part)[0])
            own = fit.model.alone(part).score([made.tiles[i]])
            assert fit.inner_scores[i] == own
    assert (fit.n, fit.events) == (120, made.outcome.n_events(1))
    assert len(fit.choice.tried) == 8
    assert "highest likelihood" in fit.choice.why


def test_no_outcome_of_a_part_reaches_its_own_inner_scores():
    """Not through fitting and not through the choice of the penalty, to the last bit."""
    made = patients()
    whole = fit_slide_model(made.bags(), made.outcome, made.all, made.parts, a_task())
    for part in range(4):
        mine = made.parts == part
        other = with_outcome_changed(made.outcome, mine)
        again = fit_slide_model(made.bags(), other, made.all, made.parts, a_task())
        np.testing.assert_array_equal(again.inner_scores[mine], whole.inner_scores[mine])
        assert (again.inner_scores[~mine] != whole.inner_scores[~mine]).all()


def test_patients_outside_the_rows_change_nothing():
    made = patients()
    rows = made.parts < 3
    groups = np.arange(made.n) % 5
    first = fit_slide_model(made.bags(), made.outcome, rows, groups, a_task())
    tiles = [t if r else t * 50.0 + 9.0 for t, r in zip(made.tiles, rows, strict=True)]
    bags = PatientBags.of_bags([[a_bag(t)] for t in tiles])
    other = with_outcome_changed(made.outcome, ~rows)
    second = fit_slide_model(bags, other, rows, np.where(rows, groups, 77), a_task())
    assert first.model.to_bytes() == second.model.to_bytes()
    np.testing.assert_array_equal(first.inner_scores, second.inner_scores)
    assert np.isnan(first.inner_scores[~rows]).all()


def test_patients_of_no_part_are_fitted_on_and_have_no_inner_score():
    made = patients()
    groups = np.where(np.arange(made.n) < 20, -1, made.parts)
    fit = fit_slide_model(made.bags(), made.outcome, made.all, groups, a_task())
    assert np.isnan(fit.inner_scores[:20]).all()
    assert np.isfinite(fit.inner_scores[20:]).all()
    assert fit.n == made.n


def test_a_patient_without_tiles_is_counted_and_one_tile_is_enough():
    made = patients()
    bags = [[a_bag(tiles)] for tiles in made.tiles]
    bags[0], bags[1] = [], [a_bag(made.tiles[1][:0])]
    bags[2] = [a_bag(made.tiles[2][:1])]
    fit = fit_slide_model(PatientBags.of_bags(bags), made.outcome, made.all, made.parts, a_task())
    assert np.isnan(fit.inner_scores[:2]).all()
    assert np.isfinite(fit.inner_scores[2:]).all()
    assert (fit.n, fit.n_without_tiles) == (118, 2)


def test_what_carries_no_model_is_said():
    made = patients()
    bags = made.bags()
    few = Outcome(time=made.outcome.time, event=np.arange(made.n) < 9)
    with pytest.raises(NotEstimable, match="9 events among 120 patients with tiles; at least 10"):
        fit_slide_model(bags, few, made.all, made.parts, a_task())
    with pytest.raises(NotEstimable, match="2 inner parts among the patients"):
        fit_slide_model(bags, made.outcome, made.all, made.parts % 2, a_task())
    far = a_task(horizons_days=(730.0, 9999.0))
    with pytest.raises(NotEstimable, match="horizon at 9999 days lies past the last follow-up"):
        fit_slide_model(bags, made.outcome, made.all, made.parts, far)
    one_part = Outcome(
        time=made.outcome.time, event=np.where(made.parts == 0, made.outcome.event, 0)
    )
    with pytest.raises(NotEstimable, match=r"without inner parts \(0,\) no event is left"):
        fit_slide_model(bags, one_part, made.all, made.parts, a_task())
    same = PatientBags.of_bags([[a_bag(np.ones((3, 4)))] for _ in range(made.n)])
    with pytest.raises(NotEstimable, match="the same for all patients"):
        fit_slide_model(same, made.outcome, made.all, made.parts, a_task())
    with pytest.raises(DataError, match=r"rows \(7,\) do not fit the bags of 120 patients"):
        fit_slide_model(bags, made.outcome, made.all[:7], made.parts, a_task())


def test_a_part_without_an_event_and_a_constant_feature_are_no_obstacle():
    made = patients()
    event = np.where(made.parts == 2, 0, made.outcome.event)
    tiles = [np.column_stack([t, np.full(len(t), 3.5)]) for t in made.tiles]
    bags = PatientBags.of_bags([[a_bag(t)] for t in tiles])
    outcome = Outcome(time=made.outcome.time, event=event)
    fit = fit_slide_model(bags, outcome, made.all, made.parts, a_task())
    assert np.isfinite(fit.inner_scores).all()
    assert fit.model.scale[-1] == 1.0
    assert fit.model.members[0].head_weight[-1, 0] == pytest.approx(0.0, abs=1e-12)


def test_a_task_that_contradicts_itself_is_refused_with_every_reason():
    with pytest.raises(ConfigError) as caught:
        a_task(
            head="discrete-hazard",
            primary_days=5.0,
            steps_grid=(20, 10),
            dropout=1.0,
            tiles_per_step=0,
        )
    text = str(caught.value)
    for part in (
        "goes with the head 'cox'",
        "not among",
        "steps_grid",
        "dropout",
        "tiles_per_step",
    ):
        assert part in text


def test_many_parts_are_joined_to_five_of_like_size():
    groups = np.repeat(np.arange(9), [30, 9, 8, 7, 6, 5, 4, 3, 2])
    parts = InnerParts.of(groups)
    assert parts.n_parts == 5
    assert len(parts.left_out) == 5 + 10
    sizes = np.bincount(parts.label)
    assert sizes.max() == 30
    assert sizes.min() >= 10
    for name in range(9):
        assert np.unique(parts.label[groups == name]).size == 1
    for part in range(5):
        assert sorted(other for _, other in parts.judged_by(part)) == [
            k for k in range(5) if k != part
        ]
        assert all(part in parts.left_out[model] for model, _ in parts.judged_by(part))


def test_a_feature_that_hardly_varies_in_the_fit_does_not_carry_a_score_away():
    """In another hospital it varies a thousand times as much; that was never seen."""
    made = patients()
    still = 11
    for tiles in made.tiles:
        tiles[:, still] *= 1e-3
    fit = fit_slide_model(made.bags(), made.outcome, made.all, made.parts, a_task())
    means = np.array([tiles.mean(axis=0, dtype=float) for tiles in made.tiles])
    typical = made.tiles[0]
    for side in (-1.0, 1.0):
        moved = typical.copy()
        moved[:, still] += side * 10.0
        edge = typical.copy()
        edge[:, still] += (means[:, still].max if side > 0 else means[:, still].min)() - edge[
            :, still
        ].mean(dtype=float)
        assert fit.model.score([moved]) == pytest.approx(fit.model.score([edge]), abs=1e-4)
    spread = np.std(fit.inner_scores)
    assert abs(fit.model.score([moved]) - fit.model.score([typical])) < 2.0 * spread
    unheld = fit.model.with_members(
        tuple(replace(one, mean_low=None, mean_high=None) for one in fit.model.members)
    )
    assert abs(unheld.score([moved]) - unheld.score([typical])) > 20.0 * spread


def test_patients_of_the_fit_are_inside_its_range():
    made = patients()
    fit = fit_slide_model(made.bags(), made.outcome, made.all, made.parts, a_task())
    unheld = fit.model.with_members(
        tuple(replace(one, mean_low=None, mean_high=None) for one in fit.model.members)
    )
    for tiles in made.tiles:
        assert fit.model.score([tiles]) == pytest.approx(unheld.score([tiles]), abs=1e-12)
