"""The four models of a study with slides: what each rests on, and what none of them sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metastra.bundle.contract import MissingRule, Predictor
from metastra.errors import DataError, NotEstimable
from metastra.features.bag import Bag, BagFrame, BagOrigin
from metastra.survival.outcome import Outcome
from metastra.training.clinical_data import ClinicalData
from metastra.training.fold_models import FoldPrediction, predict_fold
from metastra.training.patient_bags import PatientBags
from metastra.training.risk_layer import RiskTask
from metastra.training.risk_models import fit_risk_models
from metastra.training.slide_bundle import slide_evidence
from metastra.training.slide_task import SlideTask
from metastra.units import TimeUnit

TASK = RiskTask(horizons=(12.0, 24.0), primary_horizon=24.0, time_unit=TimeUnit.MONTHS)
SLIDES = SlideTask(
    aggregator="linear",
    primary_days=TASK.days[1],
    horizons_days=tuple(TASK.days),
    seed_label="1/all",
)
N = 120


def bag(level, rng, *, d=4, n=None):
    tiles = rng.normal(size=(int(rng.integers(5, 12)) if n is None else n, d))
    tiles[:, 0] += level
    corners = np.column_stack([np.arange(len(tiles)), np.zeros(len(tiles), int)])
    origin = BagOrigin(name="x", encoder="planted")
    return Bag(
        features=tiles.astype(np.float32),
        coords=corners.astype(np.int64),
        frame=BagFrame(mpp=(0.25, 0.25)),
        origin=origin,
    )


def planted(*, seed=3, without=(), beta=1.2):
    """Patients whose hazard is of an age and a level that their tiles show."""
    rng = np.random.default_rng(seed)
    age, level = rng.normal(68.0, 9.0, N), rng.normal(size=N)
    event = rng.exponential(900.0 / np.exp(0.05 * (age - 68.0) + beta * level))
    death, censored = rng.exponential(6000.0, N), rng.uniform(800.0, 2000.0, N)
    times = np.column_stack([censored, event, death])
    data = ClinicalData(
        keys=np.array([f"p{row}" for row in range(N)]),
        cohorts=np.full(N, "north"),
        development=np.ones(N, dtype=np.bool_),
        outcome=Outcome(time=times.min(axis=1), event=times.argmin(axis=1)),
        predictors=(
            Predictor(
                name="age",
                kind="continuous",
                minimum=18.0,
                maximum=110.0,
                missing=MissingRule(rule="impute"),
            ),
        ),
        values={"age": age[:, None]},
    )
    slides = [[] if row in without else [bag(level[row], rng)] for row in range(N)]
    return data, slides, level


def parts_of(test):
    groups = np.arange(N, dtype=np.int64) % 4
    return "fold-0", ~test, test, np.where(test, -1, groups)


def predicted(data, slides, test, lost=None):
    bags = PatientBags.of_bags(slides)
    words = lost or ["" if mine else "no usable slide: none is given" for mine in slides]
    return predict_fold(data, bags, words, parts_of(test), (TASK, SLIDES, "combined"))


def test_the_layers_stand_in_their_order_on_scores_that_saw_no_own_outcome():
    """The slide layer's coefficient is of cross-fitted scores; without signal it has no weight."""
    data, slides, level = planted()
    rows = np.ones(N, dtype=np.bool_)
    groups = np.arange(N, dtype=np.int64) % 4
    models = fit_risk_models(data, PatientBags.of_bags(slides), rows, groups, TASK, SLIDES)
    assert list(models.layers) == ["clinical", "pooled", "slides", "combined"]
    assert models.slide is not None
    inner = models.slide.inner_scores
    assert np.corrcoef(inner, level)[0, 1] > 0.7
    combined = models.layers["combined"].model
    assert combined.centre.size == 2
    assert combined.centre[1] == pytest.approx(inner.mean())
    assert combined.coef[1][1] > 0.3
    noise, empty, _ = planted(beta=0.0)
    null = fit_risk_models(noise, PatientBags.of_bags(empty), rows, groups, TASK, SLIDES)
    # free it would be -0.16: a cross-fitted score of noise is turned against its own patients
    layer = null.layers["combined"]
    assert layer.model.coef[1][1] == 0.0
    assert "pointed the wrong way" in layer.penalties[0].chosen_by
    clinical = null.layers["clinical"].model
    assert layer.model.coef[1][0] == pytest.approx(clinical.coef[1][0], abs=1e-9)
    assert all(one.model.coef[1][-1] >= 0.0 for one in list(null.layers.values())[1:])


def test_patients_without_tiles_are_left_out_of_all_but_the_clinical_layer():
    """And counted; nothing is put in the place of their score."""
    data, slides, _ = planted(without=range(20))
    rows = np.ones(N, dtype=np.bool_)
    groups = np.arange(N, dtype=np.int64) % 4
    bags = PatientBags.of_bags(slides)
    models = fit_risk_models(data, bags, rows, groups, TASK, SLIDES)
    assert models.layers["clinical"].outcome.n == N
    for name in ("pooled", "slides", "combined"):
        assert models.layers[name].outcome.n == N - 20
        assert models.layers[name].n_incomplete == 20
    made = models.predict(data, bags, rows, TASK)
    assert np.isnan(made.risks["combined"][:20]).all()
    assert np.isfinite(made.risks["clinical"]).all()


def test_a_fold_is_blind_to_its_own_outcomes_and_tiles():
    """Whatever happens to the fold's patients, models and the others' predictions stay."""
    data, slides, _ = planted()
    test = np.arange(N) % 3 == 0
    whole = predicted(data, slides, test)
    rng = np.random.default_rng(8)
    time, event = data.outcome.time.copy(), data.outcome.event.copy()
    time[test], event[test] = 30.0, 1
    blind = predicted(replace(data, outcome=Outcome(time=time, event=event)), slides, test)
    for name, risks in whole.risks.items():
        np.testing.assert_array_equal(risks, blind.risks[name])
    assert whole.chosen == blind.chosen
    first = int(np.flatnonzero(test)[0])
    moved = [[bag(9.0, rng)] if row == first else mine for row, mine in enumerate(slides)]
    other = predicted(data, moved, test)
    assert other.chosen == whole.chosen
    np.testing.assert_array_equal(other.risks["combined"][1:], whole.risks["combined"][1:])
    assert (other.risks["combined"][0] > whole.risks["combined"][0]).all()


def test_a_fold_without_enough_events_keeps_its_patients_with_the_reason():
    """No slide model: the clinical risk is there, the primary is not; no model: neither is."""
    data, slides, _ = planted()
    test = np.arange(N) % 3 == 0
    events = np.flatnonzero((data.outcome.event == 1) & ~test)
    bare = [[] if row in set(events[8:].tolist()) else mine for row, mine in enumerate(slides)]
    made = predicted(data, bare, test)
    assert np.isfinite(made.risks["clinical"]).all()
    assert np.isnan(made.risks["combined"]).all()
    assert all("8 events among" in str(reason) for reason in made.reasons)
    assert "no_slide_model" in made.chosen

    event = data.outcome.event.copy()
    event[events[4:]] = 0
    few = replace(data, outcome=Outcome(time=data.outcome.time, event=event))
    none = predicted(few, slides, test)
    assert list(none.risks) == ["combined"]
    assert all("4 events among" in str(reason) for reason in none.reasons)
    assert none.chosen == {"not_estimable": none.reasons[0]}


def test_without_clinical_predictors_there_are_the_models_of_slides_alone():
    """And where those cannot be fitted there is nothing to fall back on."""
    data, slides, _ = planted()
    bare = replace(data, predictors=(), values={})
    rows = np.ones(N, dtype=np.bool_)
    groups = np.arange(N, dtype=np.int64) % 4
    models = fit_risk_models(bare, PatientBags.of_bags(slides), rows, groups, TASK, SLIDES)
    assert list(models.layers) == ["pooled", "slides"]
    with pytest.raises(NotEstimable, match="0 events"):
        fit_risk_models(bare, PatientBags.of_bags([[]] * N), rows, groups, TASK, SLIDES)
    with pytest.raises(NotEstimable, match="at least 3"):
        fit_risk_models(bare, PatientBags.of_bags(slides), rows, groups % 2, TASK, SLIDES)


def test_a_stored_fold_is_read_back_to_the_bit_and_only_for_its_own_patients():
    """Missing numbers, too; predictions of other patients are never taken for these."""
    data, slides, _ = planted(without=(0, 3))
    test = np.arange(N) % 3 == 0
    made = predicted(data, slides, test)
    names = [f"P-{row}" for row in np.flatnonzero(test)]
    again = FoldPrediction.from_json(made.to_json(names), names)
    for name, risks in made.risks.items():
        np.testing.assert_array_equal(again.risks[name], risks)
    np.testing.assert_array_equal(again.scores, made.scores)
    assert (again.groups, again.reasons) == (made.groups, made.reasons)
    assert again.reasons[0] == "no usable slide: none is given"
    with pytest.raises(DataError, match="other patients"):
        FoldPrediction.from_json(made.to_json(names), names[::-1])


def test_evidence_of_one_kind_and_of_several():
    """Scales and scanners are gathered; a slide of another dimension is named."""
    rng = np.random.default_rng(1)
    slides = [("a", bag(0.0, rng)), ("b", bag(0.0, rng))]
    found = slide_evidence(slides, ["S2", "", "S1"], None)
    assert found.scanners == ("S1", "S2")
    assert found.mpps == (0.25, 0.25)
    assert found.card is None
    with pytest.raises(DataError, match="SL059 c: 5 features a tile"):
        slide_evidence([*slides, ("c", bag(0.0, rng, d=5))], [], None)
    with pytest.raises(NotEstimable, match="no development patient has a usable slide"):
        slide_evidence([], [], None)


@pytest.mark.slow
def test_bags_of_one_tile_and_a_constant_feature_are_no_trouble():
    """One tile a patient is a bag; a feature without spread says nothing and divides nothing."""
    data, _, level = planted()
    rng = np.random.default_rng(4)
    slides = []
    for row in range(N):
        one = bag(level[row], rng, n=1)
        one.features[:, 3] = 7.0
        slides.append([one])
    test = np.arange(N) % 3 == 0
    for aggregator in ("linear", "attention"):
        task = replace(SLIDES, aggregator=aggregator, steps_grid=(2, 4))
        words = [""] * N
        bags = PatientBags.of_bags(slides)
        made = predict_fold(data, bags, words, parts_of(test), (TASK, task, "combined"))
        assert np.isfinite(made.risks["combined"]).all()
        assert np.isfinite(made.slide_scores).all()
