"""New patients: the contract decides what is read, filled in, warned about or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bundle.hand_made import make_contract, make_files, make_model
from metastra.bundle.cases import made_up_rows
from metastra.bundle.columns import table_in_memory
from metastra.bundle.contract import Cutpoints
from metastra.bundle.loading import open_bundle
from metastra.bundle.predicting import group_names, predict
from metastra.bundle.writing import write_bundle
from metastra.errors import DataError, NotEstimable, Severity

COLUMNS = ["age", "stage", "MMR", "CEA", "location"]
MIDDLE = {"age": "70", "stage": "II", "MMR": "pMMR", "CEA": "4", "location": "left"}


def table(*changes: dict[str, str | None], columns: list[str] | None = None):
    return table_in_memory([{**MIDDLE, **change} for change in changes], columns or COLUMNS)


@pytest.fixture
def draft(tmp_path: Path):
    write_bundle(tmp_path / "draft", make_files())
    return open_bundle(tmp_path / "draft")


def test_a_risk_is_what_can_be_worked_out_by_hand(draft):
    """Product limit of two hazards: the sum over times of S(t-) times the jump, by a loop."""
    made = predict(draft, table({"stage": "III", "CEA": "12.5", "location": "right"}))
    model = make_model()
    x = np.array([70.0, 3.0, 0.0, 0.0, np.log(13.5), 0.0, 1.0, 0.0])
    z = (x - model.centre) / model.scale
    relative = {cause: float(np.exp(z @ coef)) for cause, coef in model.coef.items()}
    for column, horizon in enumerate((365.25, 730.5)):
        alive, risk = 1.0, 0.0
        for time, one, two in zip(model.times_days, model.jumps[1], model.jumps[2], strict=True):
            if time > horizon:
                break
            risk += alive * one * relative[1]
            alive *= 1.0 - one * relative[1] - two * relative[2]
        assert made.risks[0, column] == pytest.approx(risk, abs=1e-12)
    assert made.scores[0] == pytest.approx(z @ model.coef[1])
    assert made.groups == ("high" if made.risks[0, 1] >= 0.25 else "intermediate",)


def test_missing_values_follow_the_locked_rule(draft):
    """The stored value goes in with its indicator and a note; a required one gives no risk."""
    made = predict(draft, table({"CEA": None}, {"CEA": "4"}, {"age": None}, {"stage": None}, {}))
    model = make_model()
    # CEA missing: the median 4 and the indicator
    assert made.scores[0] - made.scores[1] == pytest.approx(model.coef[1][5] / model.scale[5])
    assert made.notes[0] == "CEA missing: median 4"
    assert np.isnan(made.risks[2]).all()
    assert made.reasons[2] == "age is missing"
    assert made.n_not_assessable == 1
    # stage has no indicator: the same risk as with the median
    assert made.scores[3] == pytest.approx(made.scores[4])
    codes = {one.code: one.where.rows for one in made.problems}
    assert codes["BU020"] in {(2,), (5,)}
    assert codes["BU021"] == (4,)


def test_values_outside_the_validated_range_are_warned_about_first(draft):
    """They get a risk, and the note says what is outside and of what."""
    made = predict(draft, table({"age": "93"}, {}))
    assert np.isfinite(made.risks).all()
    assert made.notes == ("outside the validated range: age 93 (40 to 88 years)", "")
    warning = next(one for one in made.problems if one.code == "BU022")
    assert warning.severity is Severity.WARN
    assert warning.where.rows == (2,)


def test_what_lies_outside_the_contract_is_refused_all_at_once(draft):
    """Impossible values, unknown words and text for numbers, each with its rows; nothing else."""
    wrong = table(
        {"age": "140"}, {"location": "rigth"}, {"CEA": "3,5"}, {"stage": "VII"}, {"CEA": "-1"}, {}
    )
    with pytest.raises(DataError) as caught:
        predict(draft, wrong)
    found = {(one.code, one.where.rows) for one in caught.value.problems}
    assert {("CO036", (2,)), ("CO037", (3,)), ("CO031", (4,)), ("CO037", (5,))} <= found
    assert ("CO036", (6,)) in found
    assert all(one.severity is Severity.REFUSE for one in caught.value.problems)


def test_a_missing_column_is_refused_with_the_nearest(draft):
    """No column, no risk."""
    with pytest.raises(DataError, match=r"CO007 .*'CEA'.*nearest is 'cea'"):
        predict(draft, table_in_memory([{**MIDDLE, "cea": "4"}], [*COLUMNS[:3], "cea", "location"]))


def test_one_patient_alone_gets_the_risk_that_he_gets_in_company(draft):
    """Nothing is learned from the table that is predicted: neither ranges nor codings."""
    rows = made_up_rows(make_contract().predictors)
    rows = [row for row in rows if row["age"] is not None]
    together = predict(draft, table_in_memory(rows, COLUMNS))
    for index, row in enumerate(rows):
        alone = predict(draft, table_in_memory([row], COLUMNS))
        np.testing.assert_allclose(alone.risks[0], together.risks[index], rtol=0, atol=1e-12)


def test_a_draft_is_predicted_with_a_warning_and_a_locked_bundle_without(draft, locked: Path):
    """Predictions of a draft prove nothing, and that is said."""
    assert "BU023" in {one.code for one in predict(draft, table({})).problems}
    sealed = predict(open_bundle(locked), table({}))
    assert "BU023" not in {one.code for one in sealed.problems}
    np.testing.assert_array_equal(sealed.risks, predict(draft, table({})).risks)


def test_nothing_is_predicted_past_the_follow_up(draft):
    """The model refuses horizons of which it knows nothing."""
    model = replace(make_model(), last_time_days=700.0)
    with pytest.raises(NotEstimable, match="follow-up ends at 700"):
        model.risks(np.zeros((1, 8)), [730.5])


def test_a_patient_at_a_cutpoint_belongs_to_the_higher_group():
    """As everywhere in the judge; without a risk there is no group."""
    cuts = Cutpoints(horizon=2.0, values=(0.1,), names=("low", "high"), source="x")
    risks = np.array([[0.0, 0.1], [0.0, 0.0999], [np.nan, np.nan]])
    assert group_names(cuts, (1.0, 2.0), risks) == ("high", "low", None)
    assert group_names(None, (1.0,), risks) == (None, None, None)
