"""Networks trained across inner parts: what they find, what they never see, and the same twice."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from metastra.errors import DataError, MissingExtra, NotEstimable
from metastra.survival.outcome import Outcome
from metastra.training.patient_bags import PatientBags
from metastra.training.slide_fit import fit_slide_model
from metastra.training.slide_inputs import SlideInputs
from training.slide_cases import Patients, a_bag, a_task, patients

pytest.importorskip("torch")

QUICK = {"steps_grid": (4, 8), "embedding": 8, "attention": 4}
PAIRS = [
    ("mean", "cox"),
    ("attention", "cox"),
    ("attention", "discrete-hazard"),
    ("attention", "classification"),
]


def fitted(made: Patients, aggregator: str, head: str = "cox", **changes: object):
    task = a_task(aggregator, head, **changes)
    return fit_slide_model(made.bags(), made.outcome, made.all, made.parts, task)


def rank_correlation(one, other) -> float:
    return float(np.corrcoef(np.argsort(np.argsort(one)), np.argsort(np.argsort(other)))[0, 1])


def scores_of(fit, made: Patients) -> list[float]:
    return [fit.model.score([tiles]) for tiles in made.tiles]


@pytest.mark.slow
def test_a_signal_in_few_tiles_is_found_by_attention_and_drowned_by_the_mean():
    made, new = patients(200, kind="rare", seed=1), patients(200, kind="rare", seed=2)
    attention, linear = fitted(made, "attention"), fitted(made, "linear")
    found = rank_correlation(scores_of(attention, new), new.truth)
    drowned = rank_correlation(scores_of(linear, new), new.truth)
    assert found > drowned + 0.15
    assert found > 0.7
    # the tiles it looked at, and those that raised the score, are the planted ones
    shares, raised = [], []
    for tiles in (new.tiles[i] for i in np.flatnonzero(new.truth > 0)):
        told = attention.model.explain(tiles)
        shares.append(told.attention[:2].sum())
        raised.append(told.leave_one_out.argmax() < 2)
    assert np.mean(shares) > 0.2  # 2 of 20 tiles would have .1 by chance
    assert np.mean(raised) > 0.8  # the tile that raised the score most is a planted one


@pytest.mark.slow
@pytest.mark.parametrize(("aggregator", "head"), PAIRS)
def test_a_signal_in_all_tiles_is_found(aggregator, head):
    made, new = patients(160, effect=1.2, seed=3), patients(160, effect=1.2, seed=4)
    fit = fitted(made, aggregator, head)
    assert rank_correlation(fit.inner_scores, made.truth) > 0.5
    assert rank_correlation(scores_of(fit, new), new.truth) > 0.6
    assert fit.model.head == head
    assert max(tried.gain for tried in fit.choice.tried) > 2.0


@pytest.mark.parametrize(("aggregator", "head"), PAIRS)
def test_no_outcome_of_a_part_reaches_its_own_inner_scores(aggregator, head):
    """Not through weights, standardisation, intervals, weights of censoring, or the choice."""
    made = patients(60)
    whole = fitted(made, aggregator, head, **QUICK)
    part = 1
    mine = made.parts == part
    time, event = made.outcome.time.copy(), made.outcome.event.copy()
    time[mine] = time[mine][::-1] + 17.0
    event[mine] = (event[mine] == 0).astype(int)
    other = Patients(made.tiles, made.truth, Outcome(time=time, event=event), made.parts)
    again = fitted(other, aggregator, head, **QUICK)
    np.testing.assert_allclose(again.inner_scores[mine], whole.inner_scores[mine], atol=1e-9)
    assert (np.abs(again.inner_scores[~mine] - whole.inner_scores[~mine]) > 1e-6).all()


@pytest.mark.parametrize("head", ["cox", "discrete-hazard"])
def test_the_same_twice_and_another_with_another_label(head):
    made = patients(60)
    one, two = (fitted(made, "attention", head, **QUICK) for _ in range(2))
    assert one.model.to_bytes() == two.model.to_bytes()
    np.testing.assert_array_equal(one.inner_scores, two.inner_scores)
    other = fitted(made, "attention", head, seed_label="2/fold-0", **QUICK)
    assert other.model.to_bytes() != one.model.to_bytes()


def test_members_trained_in_small_groups_are_the_same(monkeypatch):
    from metastra.training import slide_network

    made = patients(60)
    quiet = {**QUICK, "dropout": 0.0, "shift": 0.0}
    one = fitted(made, "attention", **quiet)
    monkeypatch.setattr(slide_network, "_NUMBERS_AT_ONCE", 1)
    two = fitted(made, "attention", **quiet)
    np.testing.assert_allclose(one.inner_scores, two.inner_scores, atol=1e-5)


def test_patients_outside_the_rows_change_nothing():
    made = patients(80)
    rows = np.arange(80) < 60
    tiles = [t if r else 9.0 + 40.0 * t for t, r in zip(made.tiles, rows, strict=True)]
    event = np.where(rows, made.outcome.event, 1)
    task = a_task("attention", **QUICK)
    one = fit_slide_model(made.bags(), made.outcome, rows, made.parts, task)
    bags = PatientBags.of_bags([[a_bag(t)] for t in tiles])
    other = Outcome(time=made.outcome.time, event=event)
    two = fit_slide_model(bags, other, rows, np.where(rows, made.parts, 9), task)
    assert one.model.to_bytes() == two.model.to_bytes()


def test_few_tiles_and_many_slides_and_large_bags():
    """One tile, several slides, and more tiles than a step takes; order of slides is no matter."""
    made = patients(60, n_tiles=30)
    halves = [[a_bag(t[:11]), a_bag(t[11:])] for t in made.tiles]
    halves[3] = [a_bag(made.tiles[3][:1])]
    halves[4] = []
    task = a_task("attention", tiles_per_step=8, **QUICK)
    bags = PatientBags.of_bags(halves)
    fit = fit_slide_model(bags, made.outcome, made.all, made.parts, task)
    assert np.flatnonzero(np.isnan(fit.inner_scores)).tolist() == [4]
    whole = fit.model.score([made.tiles[0]])
    assert fit.model.score(bags.blocks(0)) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("aggregator", ["linear", "attention"])
def test_a_feature_that_is_not_finite_stops_the_fit_by_name(aggregator):
    made = patients(60)
    bags = [[a_bag(tiles, name=f"S-{i}")] for i, tiles in enumerate(made.tiles)]
    bags[7][0].features[3, 2] = np.nan
    task = a_task(aggregator, **(QUICK if aggregator == "attention" else {}))
    with pytest.raises(DataError, match="SL054 S-7: row 3, feature 2 is nan"):
        fit_slide_model(PatientBags.of_bags(bags), made.outcome, made.all, made.parts, task)


def test_bags_of_one_tile_each_and_constant_features():
    made = patients(60, n_tiles=1)
    tiles = [np.column_stack([t, np.full(1, 2.5)]) for t in made.tiles]
    bags = PatientBags.of_bags([[a_bag(t)] for t in tiles])
    for aggregator in ("attention", "mean"):
        task = a_task(aggregator, **QUICK)
        fit = fit_slide_model(bags, made.outcome, made.all, made.parts, task)
        assert np.isfinite(fit.inner_scores).all()
        assert fit.model.scale[-1] == 1.0
    same = PatientBags.of_bags([[a_bag(np.ones((2, 3)))] for _ in range(60)])
    with pytest.raises(NotEstimable, match="features of all tiles are the same"):
        fit_slide_model(same, made.outcome, made.all, made.parts, a_task("mean", **QUICK))


def test_a_part_without_an_event_is_no_obstacle():
    made = patients(80)
    event = np.where(made.parts == 2, 0, made.outcome.event)
    outcome = Outcome(time=made.outcome.time, event=event)
    for aggregator, head in PAIRS:
        task = a_task(aggregator, head, **QUICK)
        fit = fit_slide_model(made.bags(), outcome, made.all, made.parts, task)
        assert np.isfinite(fit.inner_scores).all()


def test_the_export_gives_what_was_trained():
    """Scores of the numpy model against the outputs that chose the setting."""
    from metastra.training import slide_network
    from metastra.training.slide_objective import objective_of
    from metastra.training.slide_parts import InnerParts

    made = patients(60)
    task, parts, at = a_task("attention", **QUICK), InnerParts.of(made.parts), np.arange(60)
    objective = objective_of(made.outcome, task)
    seen = []
    trained = slide_network._Trainer.train

    def listening(self, models, kept):
        seen.extend(found := trained(self, models, kept))
        return found

    patched = pytest.MonkeyPatch()
    with patched.context() as context:
        context.setattr(slide_network._Trainer, "train", listening)
        paths = slide_network.fit_network_paths(made.bags(), at, objective, parts, task)
    fit = fitted(made, "attention", **QUICK)
    for setting in (0, 1):
        model = fit.model.with_members((paths.member(2, setting),))
        scores = [model.score([tiles]) for tiles in made.tiles]
        np.testing.assert_allclose(scores, seen[2].outputs[setting][:, 0], atol=1e-5)
        assert np.mean(np.array(scores)[parts.kept(2)]) == pytest.approx(0.0, abs=1e-5)


def test_components_hold_the_features_and_look_at_no_outcome():
    made = patients(40, d=6)
    inputs = SlideInputs.of(
        made.bags(), np.arange(40), n_components=6, most_tiles=256, seed_label="x"
    )
    gram = inputs.basis.T @ inputs.basis
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-12)  # a turn, scaled
    drawn = inputs.draw("a", 5)
    assert {len(tiles) for tiles in drawn} == {5}
    np.testing.assert_array_equal(drawn[3], inputs.draw("a", 5)[3])
    assert not np.array_equal(drawn[3], inputs.draw("b", 5)[3])
    variance = np.mean(
        [(t.astype(float) ** 2).mean(axis=0) for t in inputs.draw("all", 99)], axis=0
    )
    assert variance[0] == pytest.approx(1.0, abs=1e-5)
    assert (np.diff(variance) <= 1e-9).all()


def test_without_torch_the_remedy_is_named_and_the_linear_model_works(monkeypatch):
    made = patients(60)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"pip install 'metastra\[learn\]'"):
        fitted(made, "attention", **QUICK)
    assert fitted(made, "linear").n == 60


@pytest.mark.slow
@pytest.mark.parametrize(("aggregator", "n_seeds"), [("linear", 40), ("attention", 16)])
def test_where_outcomes_are_permuted_inner_scores_predict_nothing(aggregator, n_seeds):
    """The mean of the pairs in order, within parts, over many cohorts of pure noise."""
    shares = []
    for seed in range(n_seeds):
        made = patients(60, n_tiles=5, seed=100 + seed)
        order = np.random.default_rng(seed).permutation(60)
        noise = Outcome(time=made.outcome.time[order], event=made.outcome.event[order])
        made = Patients(made.tiles, made.truth, noise, made.parts)
        scores = fitted(made, aggregator, **(QUICK if aggregator != "linear" else {})).inner_scores
        shares += [ordered_pairs(scores, noise, made.parts == part) for part in range(4)]
    shares = np.array(shares)
    error = shares.std(ddof=1) / np.sqrt(shares.size)
    assert abs(shares.mean() - 0.5) < 3.0 * error
    assert error < 0.03


def ordered_pairs(scores, outcome: Outcome, rows) -> float:
    """Harrell's C by loops."""
    right = pairs = 0.0
    at = np.flatnonzero(rows)
    for i in at[outcome.event[at] == 1]:
        for j in at[outcome.time[at] > outcome.time[i]]:
            pairs += 1
            right += (scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j])
    return right / pairs if pairs else 0.5
