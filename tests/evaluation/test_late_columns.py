"""The immortal-time guard: what became known later is refused, or set apart and shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metastra.errors import ConfigError, DataError
from metastra.evaluation.evaluate import evaluate
from metastra.evaluation.patients import Patients, Settings
from metastra.evaluation.reading import read_patients
from metastra.evaluation.request import Request
from metastra.report.evaluation_figures import evaluation_figures
from metastra.report.evaluation_page import render_evaluation_page
from metastra.survival.immortal_time import compare_immortal_time
from metastra.units import TimeUnit


def study(folder: Path, n: int = 200) -> Path:
    """A state without any influence: reached at a random time, if still under observation."""
    rng = np.random.default_rng(4)
    risk = rng.uniform(0.1, 0.8, n)
    time = np.maximum(rng.exponential(20.0 / risk), 0.1)
    event = (time < 60.0).astype(int)
    time = np.minimum(time, 60.0)
    reached = rng.exponential(30.0, n)
    state = reached < time
    table = pd.DataFrame(
        {
            "PATIENT": [f"p{i}" for i in range(n)],
            "months": time,
            "status": event,
            "risk": risk,
            "relapse": np.where(state, "yes", "no"),
            "relapse_months": np.where(state, reached, np.nan),
            "grade": rng.integers(1, 4, n),
            "grade_months": -1.0,
        }
    )
    path = folder / "table.csv"
    table.to_csv(path, index=False)
    return path


def ask(path: Path, **more: object) -> Request:
    given = {
        "predictions": path,
        "time": "months",
        "event": "status",
        "risks": ("risk",),
        "horizons": (36.0,),
        "time_unit": TimeUnit.MONTHS,
        "adjust": ("grade", "relapse"),
        "known_at": ("relapse=relapse_months", "grade=grade_months"),
    }
    return Request(**(given | more))


def test_a_state_reached_later_is_refused_with_its_rows(tmp_path: Path) -> None:
    """EV016 names the patients who reached it, and says why; the baseline column is no problem."""
    path = study(tmp_path)
    table = pd.read_csv(path)

    with pytest.raises(DataError) as refused:
        read_patients(ask(path))

    (only,) = refused.value.problems
    assert only.code == "EV016"
    assert only.where.column == "relapse_months"
    rows = np.flatnonzero(table["relapse"] == "yes") + 2
    assert list(only.where.rows) == rows.tolist()
    assert "immortal time" in only.found
    assert "'relapse'" in only.found
    assert "--accept EV016" in only.hint


def test_accepted_it_is_kept_out_and_compared(tmp_path: Path) -> None:
    """Accepting takes it out of every model; the table has the numbers of the guard itself."""
    path = study(tmp_path)
    reading = read_patients(ask(path, accept=frozenset({"EV016"}), subgroups=("relapse",)))
    patients = reading.patients

    found = evaluate(patients, Settings(bootstrap=0, landmarks=(12.0,)))
    document = found.to_json()

    assert [one.name for one in patients.covariates] == ["grade"]
    assert document["subgroups"] == []
    (row,) = document["immortal_time"]
    known = patients.late[0].known_at
    risk = patients.risks[:, 0]
    fixed = np.log(-np.log1p(-risk))
    direct = compare_immortal_time(
        patients.outcome, known, landmark=12.0, name="relapse", fixed=fixed[:, None]
    )
    assert row["landmark"] == 12.0
    assert [one["valid"] for one in row["rows"]] == [False, True, True]
    for one, other in zip(row["rows"], direct.rows, strict=True):
        assert one["estimate"] == pytest.approx(other.hazard_ratio, rel=1e-6)
        assert one["upper"] == pytest.approx(other.upper, rel=1e-6)
    naive, rightly = row["rows"][0], row["rows"][1]
    assert naive["upper"] < 1.0 < rightly["upper"]
    page = render_evaluation_page(found, evaluation_figures(found))
    assert "Known too late to be a covariate" in page
    assert "▲ wrong" in page


def test_colon_recurrence_comes_out_as_in_the_trial(tmp_path: Path, shared: Path) -> None:
    """Recurrence as if known at surgery: 22.7 in place of 57 and 8.5 (R, more than four nodes)."""
    colon = pd.read_csv(shared / "data" / "survival" / "colon.csv")
    death, recur = (colon[colon.etype == k].set_index("id") for k in (2, 1))
    # found on the day of death: known just before
    days = recur.time.where(recur.time < death.time, recur.time - 0.5)
    table = pd.DataFrame(
        {
            "PATIENT": death.index,
            "days": death.time,
            "status": death.status,
            "risk": np.where(death.node4 == 1, 0.6, 0.3),
            "recurrence": recur.status,
            "recurrence_days": days.where(recur.status == 1),
        }
    )
    path = tmp_path / "colon.csv"
    table.to_csv(path, index=False)
    request = ask(
        path,
        time="days",
        horizons=(1825.0,),
        time_unit=TimeUnit.DAYS,
        adjust=("recurrence",),
        known_at=("recurrence=recurrence_days",),
        accept=frozenset({"EV016"}),
    )

    settings = Settings(bootstrap=0, landmarks=(365.25,))
    document = evaluate(read_patients(request).patients, settings).to_json()

    (row,) = document["immortal_time"]
    ratios = [one["estimate"] for one in row["rows"]]
    assert ratios == pytest.approx([22.7, 57.1, 8.5], rel=0.01)


def change(path: Path, **columns: object) -> Path:
    table = pd.read_csv(path)
    for name, values in columns.items():
        table[name] = values
    table.to_csv(path, index=False)
    return path


def test_what_was_known_at_the_start_passes(tmp_path: Path) -> None:
    """Known before or at 0 in whoever has a value; a missing value needs no time."""
    path = study(tmp_path)
    table = pd.read_csv(path)
    grade = table["grade"].astype(object).copy()
    times = table["grade_months"].copy()
    grade[3], times[3] = "", np.nan
    times[5] = 0.0
    change(path, grade=grade, grade_months=times)
    asked = ask(path, adjust=("grade",), known_at=("grade=grade_months",))

    reading = read_patients(asked)

    assert reading.problems == ()
    assert reading.patients.late == ()
    assert evaluate(reading.patients, Settings(bootstrap=0)).to_json()["immortal_time"] == []


def test_known_before_a_delayed_entry_is_known_in_time(tmp_path: Path) -> None:
    """The clock of a patient under delayed entry starts there."""
    path = change(study(tmp_path), grade_months=1.0)
    table = pd.read_csv(path)
    change(path, entered=np.minimum(1.0, 0.5 * table["months"]))
    asked = ask(path, entry="entered", adjust=("grade",), known_at=("grade=grade_months",))

    with pytest.raises(DataError) as refused:
        read_patients(asked)
    rows = np.flatnonzero(table["months"] < 2.0) + 2
    assert list(refused.value.problems[0].where.rows) == rows.tolist()

    change(path, grade_months=np.minimum(0.9, 0.4 * table["months"]))
    assert read_patients(asked).patients.late == ()


@pytest.mark.parametrize(
    ("columns", "said", "acceptable"),
    [
        ({"grade_months": np.nan}, "have a value and no time", True),
        ({"grade_months": 4.0}, "only later in 200 patients, at 4 to 4", True),
        ({"relapse": "yes", "relapse_months": np.nan}, "at no known time", False),
    ],
)
def test_times_that_are_missing_are_no_baseline(
    tmp_path: Path, columns: dict[str, object], said: str, acceptable: bool
) -> None:
    """No time is no proof of a baseline value; a state that was reached needs its time."""
    path = change(study(tmp_path), **columns)
    name = "grade" if "grade_months" in columns else "relapse"
    asked = {"adjust": (name,), "known_at": (f"{name}={name}_months",)}

    with pytest.raises(DataError) as refused:
        read_patients(ask(path, **asked))
    assert said in refused.value.problems[0].found

    asked["accept"] = frozenset({"EV016"})
    if not acceptable:
        with pytest.raises(DataError):
            read_patients(ask(path, **asked))
        return
    patients = read_patients(ask(path, **asked)).patients
    (row,) = evaluate(patients, Settings(bootstrap=0)).to_json()["immortal_time"]
    assert "no state that is reached or not" in row["reason"]


def test_a_treatment_that_began_later_is_no_arm(tmp_path: Path) -> None:
    """Accepted, the interaction with the score is not computed at all."""
    path = study(tmp_path)
    asked = ask(
        path,
        adjust=(),
        treatment="relapse",
        known_at=("relapse=relapse_months",),
        accept=frozenset({"EV016"}),
    )

    patients: Patients = read_patients(asked).patients

    assert patients.treatment is None
    document = evaluate(patients, Settings(bootstrap=0)).to_json()
    assert "reason" in document["treatment"]
    assert document["immortal_time"][0]["column"] == "relapse"


@pytest.mark.parametrize("text", ["relapse", "relapse=", "=relapse_months", "stage=grade_months"])
def test_names_that_mean_nothing_are_usage_errors(tmp_path: Path, text: str) -> None:
    """The form is COL=TIME_COL, and COL is used."""
    with pytest.raises(ConfigError, match="--known-at"):
        read_patients(ask(study(tmp_path), known_at=(text,)))
