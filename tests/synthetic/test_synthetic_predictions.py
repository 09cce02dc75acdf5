"""Predictions of known quality, made from the truth."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import ConfigError
from metastra.synthetic.generate import synthetic_study
from metastra.synthetic.predictions import PredictionKind, predictions_table
from metastra.synthetic.truth import read_truth


@pytest.fixture(scope="module")
def truth():
    """The truth of a study of 300 patients."""
    return read_truth(synthetic_study(n_patients=300, seed=2)["truth/truth.csv"])


def at(table, months):
    """Rows of one horizon, in the order of the truth."""
    return table[table["horizon"] == months].reset_index(drop=True)


@pytest.mark.parametrize("kind", PredictionKind)
def test_every_kind_has_the_columns_of_the_contract(truth, kind):
    """One row per patient and horizon, in the order of the patients, with the agreed columns."""
    table = predictions_table(truth, kind)

    expected = (
        "PATIENT cohort fold horizon risk risk_score bundle predicted_at modalities in_scope reason"
    )
    assert list(table.columns) == expected.split()
    assert table["PATIENT"].tolist() == np.repeat(truth["PATIENT"], 3).tolist()
    assert table["horizon"].tolist() == [12, 24, 36] * len(truth)
    scoped = table[table["in_scope"]]
    assert scoped["risk"].between(0, 1, inclusive="neither").all()
    assert np.allclose(scoped["risk_score"], np.log(-np.log(1 - scoped["risk"])))


@pytest.mark.parametrize("kind", PredictionKind)
def test_excluded_patients_have_a_reason_and_no_numbers(truth, kind):
    """Patients whom the study excludes carry the reason instead of a risk."""
    table = at(predictions_table(truth, kind), 24)
    out = ~table["in_scope"]

    assert (out == (truth["eligible"] == 0)).all()
    assert table.loc[out, ["risk", "risk_score"]].isna().all(axis=None)
    assert (table["reason"] != "").equals(out)
    assert (table["reason"] == "metastases at diagnosis").equals(truth["stage"] == "IV")


def test_the_truth_is_the_truth(truth):
    """Risks of a record by default, of onset on request."""
    record = at(predictions_table(truth), 24)
    onset = at(predictions_table(truth, risk_of="onset"), 24)
    scoped = record["in_scope"]

    assert record["risk"][scoped].equals(truth["recorded_risk_24"][scoped].rename("risk"))
    assert onset["risk"][scoped].equals(truth["risk_24"][scoped].rename("risk"))


def test_stage_alone_keeps_the_mean_of_each_stage(truth):
    """Each stage has one risk, the mean of its true risks."""
    table = at(predictions_table(truth, "stage-only"), 36)
    scoped = table["in_scope"]

    for stage in ("I", "II", "III"):
        mine = scoped & (truth["stage"] == stage)
        assert table["risk"][mine].nunique() == 1
        assert table["risk"][mine].iloc[0] == pytest.approx(truth["recorded_risk_36"][mine].mean())


def test_miscalibration_has_the_stated_factor(truth):
    """Expected over true expected is the factor, and the order of patients stays."""
    right = at(predictions_table(truth), 24)["risk"].dropna()
    wrong = at(predictions_table(truth, "miscalibrated", factor=1.4), 24)["risk"].dropna()
    below = right < 0.7

    assert below.mean() > 0.98
    assert (wrong / right)[below].to_numpy() == pytest.approx(1.4)
    assert wrong[below].rank().equals(right[below].rank())
    assert predictions_table(truth, "miscalibrated", factor=50.0)["risk"].max() == 0.999


def test_shuffling_keeps_each_cohorts_risks_and_loses_the_patients(truth):
    """Within a cohort the same risks stand beside other patients, alike at all horizons."""
    right = predictions_table(truth)
    wrong = predictions_table(truth, "shuffled", seed=3)

    for cohort in ("north", "rhine", "south"):
        for months in (12, 24, 36):
            a = at(right[right["cohort"] == cohort], months)["risk"].dropna()
            b = at(wrong[wrong["cohort"] == cohort], months)["risk"].dropna()
            assert sorted(a) == sorted(b)
            assert abs(np.corrcoef(a, b)[0, 1]) < 0.4
    assert at(wrong, 12)["risk"].rank().corr(at(wrong, 36)["risk"].rank()) > 0.99
    assert predictions_table(truth, "shuffled", seed=3).equals(wrong)
    assert not predictions_table(truth, "shuffled", seed=4).equals(wrong)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_a_factor_that_is_no_factor_is_refused(truth, factor):
    """Factors must be positive and finite."""
    with pytest.raises(ConfigError, match="factor"):
        predictions_table(truth, "miscalibrated", factor=factor)
