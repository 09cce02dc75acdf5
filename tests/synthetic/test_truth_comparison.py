"""The model beside the truth: against brute force, the truth itself, and predictions of nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from metastra.errors import DataError
from metastra.survival.concordance import concordance
from metastra.survival.outcome import Outcome
from metastra.synthetic.generate import synthetic_study
from metastra.synthetic.truth import read_truth
from metastra.synthetic.truth_comparison import compare_with_truth, expected_auc


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    return read_truth(
        synthetic_study(n_patients=700, seed=11, detection="at-onset")["truth/truth.csv"]
    )


@pytest.fixture(scope="module")
def predicted(truth) -> pd.DataFrame:
    """What a run writes for the eligible patients, predicted by the truth itself."""
    rows = truth[truth["eligible"] == 1].reset_index(drop=True)
    window, month = 91.3125, 30.4375
    onset = rows["onset_liver_day"].fillna(np.inf).to_numpy()
    death = rows["death_day"].to_numpy()
    time = (np.minimum(onset, death) - window) / month
    table = pd.DataFrame(
        {
            "PATIENT": rows["PATIENT"],
            "cohort": rows["cohort"],
            "horizon": 24.0,
            "risk": rows["risk_24"],
            "risk_score": 0.0,
            "risk_group": "low",
            "time": np.minimum(time, 60.0),
            "event": np.where(time > 60.0, 0, np.where(onset < death, 1, 2)),
        }
    )
    table = table[table["time"] > 0].reset_index(drop=True)
    return pd.concat([table, table.assign(horizon=12.0, risk=0.5)], ignore_index=True)


def external(truth, predicted):
    found = compare_with_truth(truth, predicted, horizon_months=24.0, seed=5)
    assert [one.cohort for one in found] == ["north", "rhine", "south"]
    return found[-1]


def test_the_truth_recovers_itself(truth, predicted):
    """Every patient is counted; the share is one, in each draw too."""
    found = external(truth, predicted)
    mine = predicted[(predicted["cohort"] == "south") & (predicted["horizon"] == 24.0)]
    outcome = Outcome(time=mine["time"].to_numpy(), event=mine["event"].to_numpy())

    assert (found.n, found.n_without_risk) == (len(mine), 0)
    assert found.events == outcome.until(24.0).n_events(1)
    share = found.concordances["recovered"]
    assert (share.estimate, share.lower, share.upper) == (1.0, 1.0, 1.0)
    expected = concordance(outcome, mine["risk"].to_numpy(), tau=24.0).estimate
    assert found.concordances["c_true"].estimate == pytest.approx(expected)
    assert found.concordances["c_clinical"] == found.concordances["c_model"]
    assert found.without_noise["recovered"] == pytest.approx(1.0)


def test_a_baseline_has_its_own_column_and_noise_recovers_nothing(truth, predicted):
    """The model is noise, the baseline half the truth: each is judged by its own risks."""
    rng = np.random.default_rng(3)
    table = predicted.assign(risk=rng.uniform(size=len(predicted)))
    table["risk_clinical"] = predicted["risk"] * np.exp(rng.normal(size=len(predicted)))
    found = external(truth, table)
    c = {name: one.estimate for name, one in found.concordances.items()}

    assert c["c_true"] > c["c_clinical"] > 0.55
    assert abs(found.without_noise["recovered"]) < 0.35
    assert c["recovered"] == pytest.approx((c["c_model"] - 0.5) / (c["c_true"] - 0.5))
    limits = found.concordances["recovered"]
    assert limits.lower < limits.estimate < limits.upper


def test_patients_without_a_risk_are_left_out_and_counted(truth, predicted):
    """Nobody vanishes: the rest are judged, and an empty cohort says so."""
    south = predicted["cohort"] == "south"
    some = predicted.assign(risk=predicted["risk"].where(~south | (predicted.index % 3 > 0)))
    found = external(truth, some)
    assert found.n_without_risk == int((some["risk"].isna() & (some["horizon"] == 24)).sum()) > 0

    nobody = external(truth, predicted.assign(risk=predicted["risk"].where(~south)))
    assert nobody.n == 0
    assert nobody.concordances["recovered"].reason == "no patient of the cohort has a risk"
    assert nobody.without_noise["recovered"] is None


def test_few_events_have_no_interval_or_one_that_is_called_narrow(truth, predicted):
    """Four events give none; fifteen give one with a warning beside it."""
    at = (predicted["cohort"] == "south") & (predicted["event"] == 1) & (predicted["time"] <= 24)
    for kept, text in ((4, "too few for an interval"), (15, "likely too narrow")):
        lost = at & (at.cumsum() > kept)
        table = predicted[~lost]
        share = external(truth, table).concordances["c_model"]
        assert share.events == kept
        assert text in share.reason
        assert (share.lower is None) == (kept == 4)


def test_a_patient_or_a_horizon_without_truth_is_refused(truth, predicted):
    """Nothing is joined by guess."""
    first = predicted[predicted["cohort"] == "south"]["PATIENT"].iloc[0]
    stranger = predicted.assign(PATIENT=predicted["PATIENT"].replace(first, "S9999"))
    with pytest.raises(DataError, match="1 predicted patients have no true risk"):
        compare_with_truth(truth, stranger, horizon_months=24.0, seed=1)
    with pytest.raises(DataError, match="none by 18"):
        compare_with_truth(truth, predicted, horizon_months=18.0, seed=1)


def test_the_auc_without_noise_is_the_mean_over_drawn_outcomes():
    """Simulated outcomes of the same patients give the same number on average."""
    rng = np.random.default_rng(8)
    risk = rng.beta(1.0, 5.0, size=200)
    score = risk * np.exp(rng.normal(size=200)).round(1)
    found, pairs = 0.0, 0.0
    for _ in range(3000):
        event = rng.uniform(size=200) < risk
        won = score[event][:, None] > score[~event][None, :]
        tied = score[event][:, None] == score[~event][None, :]
        found += float((won + 0.5 * tied).sum())
        pairs += won.size

    assert expected_auc(score, risk) == pytest.approx(found / pairs, abs=0.003)
    assert expected_auc(score, np.zeros(200)) is None
