"""The clinical model: what is learned, from whom, and when it is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metastra.bundle.columns import code_patients, table_in_memory
from metastra.bundle.contract import MissingRule, Predictor
from metastra.cohort.split import Split
from metastra.cohort.split_fold import Fold
from metastra.cohort.split_units import Units
from metastra.errors import NotEstimable
from metastra.survival.absolute_risk import absolute_risk
from metastra.survival.cox import fit_cox
from metastra.survival.outcome import Outcome
from metastra.training.clinical import fit_clinical
from metastra.training.clinical_data import ClinicalData, fitted_predictors
from metastra.training.out_of_fold import penalty_groups, predict_out_of_fold
from metastra.training.penalty import choose_penalty, standardise
from metastra.training.risk_layer import RiskTask
from metastra.units import TimeUnit

TASK = RiskTask(horizons=(1.0, 2.0), primary_horizon=2.0, time_unit=TimeUnit.YEARS)
IMPUTE = MissingRule(rule="impute")
PREDICTORS = (
    Predictor(name="age", kind="continuous", unit="years", missing=IMPUTE),
    Predictor(name="stage", kind="ordinal", scheme="AJCC-8", axis="stage", missing=IMPUTE),
    Predictor(name="side", kind="categorical", levels=("left", "right", "rectum"), missing=IMPUTE),
)


def patients(n: int = 240, seed: int = 1, **changes: object) -> ClinicalData:
    rng = np.random.default_rng(seed)
    age, stage = rng.normal(68, 10, n), rng.integers(1, 4, n).astype(float)
    side = rng.integers(0, 3, n)
    rate = 0.0004 * np.exp(0.6 * (stage - 2))
    event, other = rng.exponential(1 / rate), rng.exponential(1 / 0.0003, n)
    end = rng.uniform(500, 2000, n)
    time = np.minimum(np.minimum(event, other), end)
    code = np.where(time == event, 1, np.where(time == other, 2, 0))
    age[rng.uniform(size=n) < 0.08] = np.nan
    values: dict[str, object] = {
        "keys": np.array([f"p{i:03d}" for i in range(n)]),
        "cohorts": np.full(n, "north"),
        "development": np.ones(n, dtype=bool),
        "outcome": Outcome(time=np.ceil(time), event=code),
        "predictors": PREDICTORS,
        "values": {
            "age": age[:, None],
            "stage": stage[:, None],
            "side": np.column_stack([side == 1, side == 2]).astype(float),
        },
    }
    return ClinicalData(**(values | changes))


def folds_of(data: ClinicalData, k: int = 4) -> tuple[Split, Units]:
    parts = [data.keys[i::k].tolist() for i in range(k)]
    folds = tuple(
        Fold(
            name=f"fold-{i}",
            train=tuple(sorted(set(data.keys.tolist()) - set(part))),
            test=tuple(sorted(part)),
        )
        for i, part in enumerate(parts)
    )
    units = Units(ids=data.keys, event=data.outcome.event)
    return Split(kind="k-fold", folds=folds, groups=("PATIENT",), seed=3), units


def test_risks_are_those_of_cox_models_fitted_by_hand():
    """Standardised columns, the chosen penalties, and the absolute risk of two Cox models."""
    data = patients()
    groups = np.arange(data.keys.size) % 4
    fit = fit_clinical(data, data.development, groups, TASK)

    x = data.columns(fit.predictors)
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    models = {
        code: fit_cox(data.outcome.only(code), standard, ridge=choice.ridge, l1=choice.l1)
        for code, choice in zip((1, 2), fit.penalties, strict=True)
    }
    expected = absolute_risk(models, standard, TASK.days)
    np.testing.assert_allclose(fit.model.risks(x, TASK.days), expected, rtol=1e-12)
    np.testing.assert_allclose(
        fit.model.scores(x), models[1].linear_predictor(standard), atol=1e-12
    )


def test_the_penalty_has_the_highest_cross_validated_likelihood():
    """The stated gain is that of an independent sum over held-out parts (Verweij 1993)."""
    data = patients()
    own = data.outcome.only(1)
    x = data.columns(fitted_predictors(data, data.development))
    groups = np.arange(own.n) % 3
    chosen = choose_penalty(own, x, groups)

    def loglik(rows: np.ndarray, b: np.ndarray, z: np.ndarray) -> float:
        time, event = own.time[rows], own.event[rows]
        lp, total = z[rows] @ b, 0.0
        for t in np.unique(time[event == 1]):
            dead = (time == t) & (event == 1)
            at_risk, tied = np.exp(lp[time >= t]).sum(), np.exp(lp[dead]).sum()
            total += lp[dead].sum()
            d = int(dead.sum())
            total -= sum(np.log(at_risk - k / d * tied) for k in range(d))
        return total

    def gain(ridge: float, l1: float) -> float:
        total = 0.0
        everybody = np.ones(own.n, dtype=bool)
        for part in range(3):
            kept = groups != part
            centre, scale = standardise(x[kept])
            z = (x - centre) / scale
            share = own.take(kept).n_events() / own.n_events()
            b = fit_cox(own.take(kept), z[kept], ridge=ridge * share, l1=l1 * share).coef
            total += loglik(everybody, b, z) - loglik(kept, b, z)
            total -= loglik(everybody, 0 * b, z) - loglik(kept, 0 * b, z)
        return total

    assert chosen.gain == pytest.approx(gain(chosen.ridge, chosen.l1), abs=1e-8)
    for factor in (0.2, 5.0):
        assert gain(chosen.ridge * factor, chosen.l1 * factor) < chosen.gain + 1e-9


def test_noise_is_shrunk_and_lone_groups_get_a_fixed_penalty():
    """Where nothing helps the strongest penalty is taken and named; so is the lack of groups."""
    own = patients().outcome.only(1)
    strongest = 0
    for seed in range(12):
        noise = np.random.default_rng(seed).normal(size=(own.n, 6))
        chosen = choose_penalty(own, noise, np.arange(own.n) % 5)
        named = "no predictor helped" in chosen.why
        assert named == (chosen.gain is not None and chosen.gain <= 0.0)
        if named:
            strongest += 1
            coef = fit_cox(own, noise, ridge=chosen.ridge, l1=chosen.l1).coef
            assert np.abs(coef).max() < 0.05
    assert 0 < strongest < 12  # chance alone makes some noise look useful
    fixed = choose_penalty(own, noise, np.full(own.n, -1))
    assert fixed.gain is None
    assert "too few groups" in fixed.why


def test_few_events_are_refused_with_their_number():
    """Nine events give no model; ten do."""
    data = patients()
    event = data.outcome.event.copy()
    own = np.flatnonzero(event == 1)
    event[own[9:]] = 0
    few = replace(data, outcome=Outcome(time=data.outcome.time, event=event))
    groups = np.arange(data.keys.size) % 4
    with pytest.raises(NotEstimable, match=r"9 events among 240 patients.*at least 10"):
        fit_clinical(few, few.development, groups, TASK)
    event[own[9]] = 1
    ten = replace(data, outcome=Outcome(time=data.outcome.time, event=event))
    fit = fit_clinical(ten, ten.development, groups, TASK)
    assert fit.events_per_column == pytest.approx(10 / fit.model.centre.size)


def test_few_competing_events_have_a_baseline_alone():
    """Their hazard is not left out and not overfitted; the reason is kept."""
    data = patients()
    event = data.outcome.event.copy()
    event[np.flatnonzero(event == 2)[4:]] = 0
    few = replace(data, outcome=Outcome(time=data.outcome.time, event=event))
    fit = fit_clinical(few, few.development, np.arange(data.keys.size) % 4, TASK)
    assert not fit.model.coef[2].any()
    assert fit.model.jumps[2].sum() > 0.0
    assert "4 events are fewer than 10" in fit.penalties[1].chosen_by


def test_a_horizon_past_follow_up_is_refused():
    """The last follow-up is named."""
    late = RiskTask(horizons=(9.0,), primary_horizon=9.0, time_unit=TimeUnit.YEARS)
    data = patients()
    with pytest.raises(NotEstimable, match="horizon 9 years lies past the last follow-up at"):
        fit_clinical(data, data.development, np.arange(data.keys.size) % 4, late)


def test_a_fold_learns_nothing_from_the_patients_it_predicts():
    """Other outcomes and other values of the held-out patients leave the others' risks alone."""
    data = patients()
    split, units = folds_of(data)
    before = predict_out_of_fold(data, split, units, TASK)
    assert np.isfinite(before.risks).all()
    assert set(before.fold) == {f"fold-{i}" for i in range(4)}

    held = data.rows_of(split.folds[0].test)
    event = np.where(held, 1 - np.minimum(data.outcome.event, 1), data.outcome.event)
    other = replace(data, outcome=Outcome(time=data.outcome.time, event=event))
    after = predict_out_of_fold(other, split, units, TASK)
    np.testing.assert_array_equal(after.risks[held], before.risks[held])
    assert not np.allclose(after.risks[~held], before.risks[~held])
    assert [g for g, h in zip(after.groups, held, strict=True) if h] == [
        g for g, h in zip(before.groups, held, strict=True) if h
    ]

    values = {name: block.copy() for name, block in data.values.items()}
    one = int(np.flatnonzero(held)[0])
    values["age"][one] = 1e6
    moved = predict_out_of_fold(replace(data, values=values), split, units, TASK)
    rest = held.copy()
    rest[one] = False
    np.testing.assert_array_equal(moved.risks[rest], before.risks[rest])


def test_penalties_are_chosen_on_the_other_stored_folds():
    """The parts are the other folds' test parts; inner folds come first; two cohorts are drawn."""
    data = patients()
    split, units = folds_of(data)
    label = penalty_groups(split, split.folds[0], data, units)
    held = data.rows_of(split.folds[0].test)
    assert (label[held] == -1).all()
    for number, fold in enumerate(split.folds[1:]):
        assert (label[data.rows_of(fold.test)] == number).all()
    inner = tuple(Fold(name=f"i{k}", train=(), test=split.folds[0].train[k::3]) for k in range(3))
    nested = replace(split, folds=(replace(split.folds[0], inner=inner), *split.folds[1:]))
    label = penalty_groups(nested, nested.folds[0], data, units)
    assert sorted(set(label.tolist())) == [-1, 0, 1, 2]
    assert (label[data.rows_of(inner[1].test)] == 1).all()
    two, units = folds_of(data, k=2)
    label = penalty_groups(two, two.folds[0], data, units)
    assert set(label[data.rows_of(two.folds[1].test)].tolist()) == set(range(5))
    assert (penalty_groups(two, None, data, units) >= 0).all()


def test_a_fold_without_a_model_leaves_its_patients_with_the_reason():
    """They are counted, not dropped."""
    data = patients()
    split, units = folds_of(data)
    lone = replace(split.folds[0], train=split.folds[0].train[:20])
    made = predict_out_of_fold(data, replace(split, folds=(lone, *split.folds[1:])), units, TASK)
    held = data.rows_of(lone.test)
    assert np.isnan(made.risks[held]).all()
    assert all("no model" in str(made.reasons[i]) for i in np.flatnonzero(held))
    assert np.isfinite(made.risks[~held]).all()


def test_a_required_predictor_that_is_missing_gives_no_risk():
    """The patient is left out of the fit and has a reason in place of a risk."""
    required = PREDICTORS[0].model_copy(update={"missing": MissingRule(rule="refuse")})
    data = patients(predictors=(required, *PREDICTORS[1:]))
    lacking = np.isnan(data.values["age"][:, 0])
    fit = fit_clinical(data, data.development, np.arange(data.keys.size) % 4, TASK)
    assert fit.n_incomplete == lacking.sum() > 0
    split, units = folds_of(data)
    made = predict_out_of_fold(data, split, units, TASK)
    assert np.isnan(made.risks[lacking]).all()
    assert {made.reasons[i] for i in np.flatnonzero(lacking)} == {"age is missing"}


def test_the_locked_rules_give_new_patients_the_same_columns():
    """A table of words coded by the contract equals the columns that the model was fitted on."""
    data = patients()
    predictors = fitted_predictors(data, data.development)
    assert predictors[0].missing.indicator
    words = {0.0: "left", 1.0: "right", 2.0: "rectum"}
    rows = []
    for i in range(data.keys.size):
        age, side = data.values["age"][i, 0], data.values["side"][i] @ [1.0, 2.0]
        rows.append(
            {
                "age": None if np.isnan(age) else repr(float(age)),
                "stage": ("I", "II", "III")[int(data.values["stage"][i, 0]) - 1],
                "side": words[float(side)],
            }
        )
    table = table_in_memory(rows, ["age", "stage", "side"])
    coded = code_patients(predictors, table)
    np.testing.assert_array_equal(coded.columns, data.columns(predictors))
    assert predictors[1].missing.meaning == "the development median, stage II"


def test_three_hospitals_give_three_inner_parts():
    """Five parts cannot be drawn from three hospitals, and two hospitals are too few for any."""
    data = patients()
    sites = np.array([("a", "b", "c")[i % 3] for i in range(data.keys.size)])
    split, _ = folds_of(data, k=2)
    split = replace(split, groups=("PATIENT", "site"))
    for names, parts in (("abc", {0, 1, 2}), ("aba", {-1})):
        site = np.array([names["abc".index(one)] for one in sites])
        units = Units(ids=data.keys, event=data.outcome.event, groups={"site": site})
        label = penalty_groups(split, None, data, units)
        assert set(label.tolist()) == parts
        for one in set(site.tolist()):
            assert np.unique(label[site == one]).size == 1
