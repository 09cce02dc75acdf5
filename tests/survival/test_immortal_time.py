"""The immortal-time guard: R's three numbers, a null simulation, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metastra.errors import DataError
from metastra.survival.immortal_time import (
    HazardRatioRow,
    compare_immortal_time,
    refuse_late_covariate,
)
from metastra.survival.outcome import Outcome


def test_colon_gives_the_reference_values(shared: Path) -> None:
    """Recurrence in the colon trial: 22.7 if used as baseline, 57.1 over time, 8.48 at a year."""
    folder = shared / "data" / "reference_stats"
    table = pd.read_csv(folder / "colon.csv")
    cases = {c["id"]: c for c in json.loads((folder / "expected_colon.json").read_text())["cases"]}
    # Found on the day of death counts as known half a day before, as in the reference.
    seen = np.minimum(table["rec_time"], table["os_time"] - 0.5)
    found = compare_immortal_time(
        Outcome(time=table["os_time"], event=table["death"]),
        np.where(table["rec"] == 1, seen, np.inf),
        landmark=365.0,
        name="recurrence",
        fixed=table[["node4"]],
        fixed_names=["node4"],
    )
    names = ("colon.immortal.naive", "colon.immortal.tv", "colon.landmark")
    for row, name in zip(found.rows, names, strict=True):
        expected = cases[name]["expected"]
        assert (row.n, row.n_events) == (expected["n"], expected["events"])
        assert row.hazard_ratio == pytest.approx(expected["hr"][0], rel=1e-6)
        assert row.lower == pytest.approx(expected["hr_lower"][0], rel=1e-6)
        assert row.upper == pytest.approx(expected["hr_upper"][0], rel=1e-6)
        assert row.p == pytest.approx(expected["p"][0], rel=1e-3)
    assert [row.valid for row in found.rows] == [False, True, True]
    assert [round(row.hazard_ratio, 1) for row in found.rows] == [22.7, 57.1, 8.5]
    assert found.n_left == 929 - 851
    assert found.n_known == int(table["rec"].sum())


def simulated(seed: int, n: int = 200) -> tuple[Outcome, np.ndarray]:
    """A state that does nothing: reached at a random time if the patient lives to see it."""
    rng = np.random.default_rng(seed)
    life, lost, reached = rng.exponential(10.0, n), rng.uniform(5, 25, n), rng.exponential(8.0, n)
    time = np.minimum(life, lost)
    return Outcome(time=time, event=life <= lost), np.where(reached < time, reached, np.inf)


def test_a_state_without_influence_looks_protective_only_when_naive() -> None:
    """Naive ratios lie far under 1; p-values of the two right analyses are uniform."""
    found = [compare_immortal_time(*simulated(s), landmark=4.0, name="state") for s in range(300)]

    def column(pick: str, what: str) -> np.ndarray:
        rows: list[HazardRatioRow] = [getattr(one, pick) for one in found]
        return np.array([getattr(row, what) for row in rows])

    assert np.median(column("naive", "hazard_ratio")) < 0.6
    assert np.mean(column("naive", "p") < 0.05) > 0.9
    for pick in ("time_dependent", "at_landmark"):
        p = np.sort(column(pick, "p"))
        grid = np.arange(1, 301) / 300
        assert np.abs(p - grid).max() < 1.63 / np.sqrt(300)
        covered = (column(pick, "lower") <= 1.0) & (column(pick, "upper") >= 1.0)
        assert 0.91 <= covered.mean() <= 0.985
        assert np.median(column(pick, "hazard_ratio")) == pytest.approx(1.0, abs=0.06)


def test_a_late_covariate_is_refused_with_rows_reason_and_remedy() -> None:
    """What, where, why and what to do stand in the message."""
    with pytest.raises(DataError) as caught:
        refuse_late_covariate([0.0, 120.0, np.inf, 30.0], name="adjuvant chemotherapy")
    text = str(caught.value)
    for words in ("'adjuvant chemotherapy'", "rows 2, 4", "stays alive", "at_landmark"):
        assert words in text
    refuse_late_covariate([0.0, -5.0], name="CEA")
    refuse_late_covariate([90.0, 80.0], name="CEA", origin=90.0)
    with pytest.raises(DataError, match="was looked for after"):
        refuse_late_covariate([np.inf, 0.0], name="recurrence")
    with pytest.raises(DataError, match="missing in row 1"):
        refuse_late_covariate([np.nan, 0.0], name="recurrence")


def test_analyses_that_fail_keep_their_row_and_reason() -> None:
    """A landmark past follow-up and a state nobody reaches are results, not crashes."""
    y = Outcome(time=[1, 2, 3, 4], event=[1, 1, 0, 1])
    late = compare_immortal_time(y, [np.inf, 1.0, 0.5, np.inf], landmark=9.0, name="state")
    assert late.at_landmark.hazard_ratio is None
    assert "at risk after the landmark" in late.at_landmark.reason
    never = compare_immortal_time(y, [np.inf] * 4, landmark=1.0, name="state")
    assert all(row.hazard_ratio is None and row.reason for row in never.rows)
    assert [row.valid for row in never.rows] == [False, True, True]
    last_day = compare_immortal_time(y, [1.0, 2.0, np.inf, np.inf], landmark=1.0, name="state")
    assert last_day.n_too_late == 2


def test_unfit_arrays_are_refused() -> None:
    """Delayed entry and covariates of another length."""
    y = Outcome(time=[5, 6], event=[1, 0], entry=[1, 1])
    with pytest.raises(DataError, match="delayed entry"):
        compare_immortal_time(y, [2.0, 3.0], landmark=1.0, name="state")
    with pytest.raises(DataError, match="fixed has shape"):
        compare_immortal_time(
            Outcome(time=[5, 6], event=[1, 0]), [2.0, 3.0], landmark=1.0, name="s", fixed=[[1.0]]
        )
