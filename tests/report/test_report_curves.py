"""Curves and the numbers under them, against brute force, R and lifelines."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from metastra.errors import ConfigError
from metastra.report.curve_estimates import (
    follow_up_curves,
    incidence_curves,
    survival_curves,
)
from metastra.report.curves import CurveOptions
from metastra.report.theme import to_svg
from metastra.survival.outcome import Outcome
from metastra.survival.ticks import nice_ticks
from metastra.units import TimeUnit, to_days

MONTHS = CurveOptions(time_unit=TimeUnit.MONTHS, horizons=(12, 24, 36), primary=24)


def _outcome(n: int = 120, seed: int = 3, *, entry: bool = False) -> Outcome:
    rng = np.random.default_rng(seed)
    ends = np.stack([rng.exponential(s, n) for s in (2500, 4000)] + [rng.uniform(300, 2400, n)])
    which = ends.argmin(axis=0)
    time = np.ceil(ends.min(axis=0)) + 1
    start = np.floor(rng.uniform(0, 0.9, n) * time) if entry else None
    return Outcome(time=time, event=np.array([1, 2, 0])[which], entry=start)


def test_numbers_at_risk_are_counted_before_the_tick():
    """Eight patients at ticks 0, 10, 20, 30: 8, 7, 4, 1, where lifelines' table has 8, 5, 1, 0.

    A patient who leaves at 10 is still at risk at 10.
    """
    y = Outcome(time=[5, 10, 10, 15, 20, 20, 20, 30], event=[1, 1, 0, 1, 1, 1, 0, 0])

    curves = survival_curves({"all": y}, event="death")
    found = curves.tick_frame().set_index("time")

    assert found.loc[[0.0, 30.0], "at_risk"].tolist() == [8, 1]
    assert [curves.lines[0].at_risk[curves.ticks.index(t)] for t in (5.0, 10.0, 20.0)] == [8, 7, 4]
    assert found.loc[10.0, "events"] == 2


@pytest.mark.parametrize("entry", [False, True])
def test_counts_agree_with_counting_patient_by_patient(entry):
    """At risk: entry < t <= time; events: up to and including t; with and without late entry."""
    y = _outcome(entry=entry)
    starts = y.entry if entry else np.full(y.n, -np.inf)

    frame = incidence_curves({"all": y}, event="relapse", options=MONTHS).tick_frame()

    for row in frame.itertuples():
        day = to_days(row.time, "months")
        triples = list(zip(y.time, y.event, starts, strict=True))
        assert row.at_risk == sum(s < day <= t for t, _, s in triples)
        assert row.events == sum(t <= day and e == 1 for t, e, _ in triples)


def test_incidence_by_group_agrees_with_r(shared):
    """Aalen–Johansen of MGUS progression by sex: R's survfit at 5, 10 and 20 years."""
    folder = shared / "data" / "reference_stats"
    table = pd.read_csv(folder / "mgus2.csv")
    cases = json.loads((folder / "expected_mgus2.json").read_text())["cases"]
    expected = {c["id"]: c["expected"] for c in cases if c["estimator"] == "aalen_johansen"}
    # R's times are months; 30.4375 days is exact in binary, so no tie is lost.
    outcomes = {
        f"male={sex}": Outcome(time=part["cr_time"] * 30.4375, event=part["cr_status"])
        for sex, part in table.groupby("male")
    }

    options = CurveOptions(time_unit=TimeUnit.MONTHS, interval_scale="log")
    curves = incidence_curves(outcomes, event="progression", options=options)

    for line in curves.lines:
        reference = expected[f"mgus2.aj.{line.label}"]
        found = np.array([line.at(time) for time in (60, 120, 240)])
        wanted = np.array([reference[name] for name in ("cif1", "lower1", "upper1")]).T
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_survival_and_its_risk_set_agree_with_r(shared):
    """Kaplan–Meier of MGUS survival: R's estimate, limits and numbers at risk."""
    folder = shared / "data" / "reference_stats"
    table = pd.read_csv(folder / "mgus2.csv")
    cases = json.loads((folder / "expected_mgus2.json").read_text())["cases"]
    reference = next(c["expected"] for c in cases if c["id"] == "mgus2.km.os")
    y = Outcome(time=table["futime"] * 30.4375, event=table["death"])

    options = CurveOptions(time_unit=TimeUnit.MONTHS, interval_scale="log")
    curves = survival_curves({"all": y}, event="death", options=options)
    line = curves.lines[0]
    found = np.array([line.at(time) for time in reference["times"]])

    wanted = np.array([reference[name] for name in ("surv", "lower", "upper")]).T
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    at_risk = dict(zip(curves.ticks, line.at_risk, strict=True))
    assert {t: at_risk[t] for t in (60.0, 120.0, 240.0) if t in at_risk} == {
        t: n for t, n in zip((60.0, 120.0, 240.0), reference["n_risk"], strict=True) if t in at_risk
    }
    assert 120.0 in at_risk


def test_follow_up_agrees_with_lifelines():
    """The reverse Kaplan–Meier is the Kaplan–Meier of the censorings."""
    lifelines = pytest.importorskip("lifelines")
    y = _outcome()
    fitter = lifelines.KaplanMeierFitter().fit(y.time, y.event == 0)

    line = follow_up_curves({"all": y}, options=MONTHS).lines[0]

    for months in (12, 24, 36, 48):
        value = fitter.survival_function_at_times(to_days(months, "months")).item()
        assert line.at(months)[0] == pytest.approx(value, rel=1e-12)


def test_under_follow_up_curves_the_censored_are_counted():
    """Events end the watch; the row under the figure counts ends of follow-up without one."""
    y = _outcome()

    curves = follow_up_curves({"all": y}, options=MONTHS)

    day = to_days(24, "months")
    so_far = dict(zip(curves.ticks, curves.lines[0].events_so_far, strict=True))
    assert so_far[24.0] == sum((t <= day and e == 0) for t, e in zip(y.time, y.event, strict=True))
    assert so_far[24.0] > 0
    assert "Censored so far" in [text.get_text() for text in curves.plot().axes[1].texts]


def test_without_competing_events_incidence_is_one_minus_kaplan_meier():
    """Estimate and limits are those of Kaplan–Meier, turned over."""
    y = _outcome().only(1)

    risk = incidence_curves({"all": y}, event="x", options=MONTHS)
    survival = survival_curves({"all": y}, event="x", options=MONTHS)

    assert "one minus Kaplan–Meier" in risk.method
    for months in (12, 24, 36):
        value, lower, upper = risk.lines[0].at(months)
        mirrored = survival.lines[0].at(months)
        assert (1 - value, 1 - upper, 1 - lower) == pytest.approx(mirrored)


def test_with_competing_events_one_minus_kaplan_meier_is_never_drawn():
    """The incidence lies below one minus the cause-specific Kaplan–Meier, which is too high."""
    y = _outcome()

    curves = incidence_curves({"all": y}, event="x", options=MONTHS)
    naive = incidence_curves({"all": y.only(1)}, event="x", options=MONTHS)

    assert "Aalen–Johansen" in curves.method
    assert "too high" in curves.explain()
    assert curves.lines[0].at(48)[0] < naive.lines[0].at(48)[0] - 0.01


def test_nothing_is_said_past_the_follow_up():
    """A horizon past the last patient has no estimate, and the paragraph says so."""
    y = Outcome(time=[100, 200, 300], event=[1, 0, 0])
    options = CurveOptions(horizons=(200.0, 400.0), primary=400.0)

    curves = incidence_curves({"all": y}, event="x", options=options)

    assert curves.lines[0].at(400.0) == (None, None, None)
    assert "not estimable in all, where follow-up ends at 300.0 days" in curves.explain()


def test_the_line_is_thin_exactly_where_few_are_at_risk():
    """Stretches that rest on fewer than five patients are drawn thin and without a band."""
    y = Outcome(time=np.arange(1, 21) * 10.0, event=[1, 0] * 10)
    curves = survival_curves({"all": y}, event="x")

    axes = curves.plot().axes[0]
    thick, thin = (
        next(line for line in axes.lines if line.get_linewidth() == width) for width in (1.5, 0.6)
    )
    drawn = [line.get_xdata()[~np.isnan(line.get_ydata())] for line in (thick, thin)]
    band = axes.collections[0].get_paths()[0].vertices[:, 0]

    # Sixteen have left after 160; the stretch that ends at 160 still rests on five.
    assert drawn[0].max() == 160.0
    assert drawn[1].min() == 160.0
    assert drawn[1].max() == 200.0
    assert band.max() == 160.0
    assert "thin line: fewer than 5 at risk" in [text.get_text() for text in axes.texts]
    assert curves.frame().query("~supported")["time"].tolist() == [170.0, 180.0, 190.0, 200.0]


def test_the_last_patient_does_not_stretch_the_axis():
    """An event in the last patient at risk lifts the curve to 100%; the axis stays below."""
    y = Outcome(time=[*range(10, 50), 60.0], event=[1, 1, 1, *[0] * 37, 1])

    curves = incidence_curves({"all": y}, event="x", competing=False)
    axes = curves.plot().axes[0]

    assert curves.lines[0].value.max() == 1.0
    assert axes.get_ylim()[1] <= 0.25


def test_late_entry_makes_the_beginning_thin():
    """With delayed entry few may be at risk at first; that stretch is marked as well."""
    n = 30
    y = Outcome(time=np.arange(n) + 100.0, event=[1, 0] * 15, entry=np.arange(n) * 3.0)

    curves = survival_curves({"all": y}, event="x", options=CurveOptions(min_at_risk=25))
    frame = curves.frame()

    assert not frame["supported"].iloc[-1]
    assert frame["supported"].any()
    assert to_svg(curves.plot())


@pytest.mark.parametrize(
    ("last", "unit", "ticks"),
    [
        (61.0, "months", (0, 12, 24, 36, 48, 60)),
        (24.0, "months", (0, 3, 6, 9, 12, 15, 18, 21, 24)),
        (9.5, "years", (0, 2, 4, 6, 8)),
        (1.0, "days", (0, 1)),
    ],
)
def test_ticks_are_round_and_lie_inside_the_follow_up(last, unit, ticks):
    """Months go by quarters and years; a tick at the very end is kept."""
    assert nice_ticks(last, unit) == tuple(map(float, ticks))


@pytest.mark.parametrize("last", [1e5, 3e6])
def test_very_long_follow_up_has_few_ticks(last):
    """Also where no listed step is long enough."""
    assert 2 <= len(nice_ticks(last, "days")) <= 9


def test_curves_need_a_group():
    """No patients, no curve."""
    with pytest.raises(ConfigError, match="at least one group"):
        survival_curves({}, event="x")


def test_hostile_and_long_names_can_be_drawn():
    """Formula signs, tags and endless names reach the figure as text."""
    names = ["$\\frac{", "<script>alert(1)</script>", "=cmd()", "n" * 500, "中文"]
    outcomes = {name: _outcome(40, seed) for seed, name in enumerate(names)}

    curves = incidence_curves(outcomes, event="a $x$ <b>", options=MONTHS)

    assert "<script" not in to_svg(curves.plot()).replace("&lt;script", "")
    assert set(curves.frame()["group"]) == set(names)


def test_a_group_without_any_event_has_a_flat_line():
    """Nothing happens; the figure is drawn all the same, without a band."""
    y = Outcome(time=[100.0] * 6, event=[0] * 6)

    curves = incidence_curves({"all": y}, event="x")

    assert curves.lines[0].at(100.0) == (0.0, None, None)
    assert to_svg(curves.plot())
