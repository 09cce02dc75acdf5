"""Table 1, follow-up, small cells and expected precision, against brute force."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from metastra.errors import NotEstimable
from metastra.report.follow_up import follow_up_rows
from metastra.report.precision import precision_row
from metastra.report.small_cells import hide_small
from metastra.report.table_one import CellKind, table_one
from metastra.stats.sample_size import auc_half_width, observed_expected_factor
from metastra.survival.outcome import Outcome
from metastra.units import to_days


def _row(table, column, level="", *, missing=False):
    return next(
        row
        for row in table.rows
        if (row.column, row.level, row.missing) == (column, level, missing)
        and row.kind is not CellKind.HEADING
    )


def test_table_one_agrees_with_pandas(cohort):
    """Counts, medians, quartiles and missing values of every declared column and cohort."""
    frame = cohort.frame()
    table = table_one(cohort, hidden_below=0)

    for place, name in enumerate(table.cohorts):
        part = frame[frame["cohort"] == name]
        for column in ("age", "CEA"):
            values = pd.to_numeric(part[column])
            cell = _row(table, column).cells[place]
            assert (cell.q1, cell.median, cell.q3) == pytest.approx(
                tuple(values.quantile([0.25, 0.5, 0.75]))
            )
            assert _row(table, column, missing=True).cells[place].n == values.isna().sum()
        for column in ("pT", "side", "lymphatic invasion"):
            counts = part[column].value_counts()
            for level, n in counts.items():
                cell = _row(table, column, level).cells[place]
                assert (cell.n, cell.share) == (n, pytest.approx(n / len(part)))
            assert _row(table, column, missing=True).cells[place].n == part[column].isna().sum()
        for code, words in ((1, "event"), (2, "competing event"), (0, "censored")):
            assert _row(table, "outcome", words).cells[place].n == (part["event"] == code).sum()


def test_every_column_has_a_row_for_missing_values(cohort):
    """Also where none is missing, so that the reader knows it was counted."""
    table = table_one(cohort)

    assert [row.column for row in table.rows if row.missing] == list(cohort.study.clinical)


def test_counts_of_one_column_add_up(cohort):
    """Levels and missing make the cohort."""
    table = table_one(cohort, hidden_below=0)

    for place, n in enumerate(table.n):
        for column in ("pT", "side", "lymphatic invasion"):
            rows = [r for r in table.rows if r.column == column and r.kind is CellKind.COUNT]
            assert sum(row.cells[place].n for row in rows) == n


def test_small_counts_and_what_gives_them_away_are_hidden(cohort):
    """No count from 1 to 4 is shown, and none can be worked out from the rest."""
    table = table_one(cohort, hidden_below=5)

    for column in ("pT", "side", "lymphatic invasion"):
        rows = [r for r in table.rows if r.column == column and r.kind is CellKind.COUNT]
        for place in range(len(table.n)):
            cells = [row.cells[place] for row in rows]
            assert all(cell.n is None or cell.n == 0 or cell.n >= 5 for cell in cells)
            assert sum(cell.hidden for cell in cells) != 1
    assert any(cell.hidden for row in table.rows for cell in row.cells)


def test_words_that_mean_one_level_are_counted_together(build_cohort):
    """Case and white space do not make a level of their own; the declared spelling is shown."""
    cohort = build_cohort()
    patients = list(cohort.patients)
    patients[0] = replace(patients[0], values={**patients[0].values, "side": " LEFT "})
    patients[1] = replace(patients[1], values={**patients[1].values, "side": "left"})

    table = table_one(replace(cohort, patients=tuple(patients)), hidden_below=0)

    levels = [row.level for row in table.rows if row.column == "side" and row.level]
    assert levels == ["left", "right", "rectum"]


def test_whole_years_are_printed_without_decimals(cohort):
    """Medians have as many decimals as the values of their column."""
    table = table_one(cohort)

    assert [_row(table, column).decimals for column in ("age", "CEA")] == [0, 1]


def test_a_decimal_comma_is_read_as_declared(build_cohort, build_study):
    """A cohort whose table writes 3,5 has a median all the same."""
    sections = build_study().model_dump(mode="json", exclude_defaults=True)["cohort"]
    sections[0]["clini_format"] = {"decimal": ","}
    cohort = build_cohort(build_study(cohort=sections))
    patients = tuple(
        replace(p, values={**p.values, "CEA": "3,5"}) if p.cohort == "north" else p
        for p in cohort.patients
    )

    table = table_one(replace(cohort, patients=patients))

    assert _row(table, "CEA").cells[0].median == 3.5
    assert _row(table, "CEA").decimals == 1


@pytest.mark.parametrize(
    ("kind", "target", "levels"),
    [
        ("binary", [0.0, 1.0], ["no", "yes"]),
        ("multiclass", [0.0, 2.0], ["a", "b", "c"]),
        ("continuous", [1.5, 2.5], []),
    ],
)
def test_other_endpoints_have_their_target_in_table_one(
    build_cohort, build_study, kind, target, levels
):
    """Without follow-up the target's levels or quartiles come first."""
    endpoint = {"kind": kind, "column": "MSI", "levels": levels}
    cohort = build_cohort(
        build_study(endpoint=endpoint),
        time_days=np.empty(0),
        event=np.empty(0, dtype=np.int64),
        target=np.array(target * 150),
    )

    table = table_one(cohort)

    assert table.rows[0].column == "MSI"
    if levels:
        assert [row.level for row in table.rows[1 : 1 + len(levels)]] == levels
        assert table.rows[1].cells[0].n == 90
    else:
        assert table.rows[0].cells[0].median == 2.0


@pytest.mark.parametrize("below", [0, 3, 5, 10])
def test_a_hidden_count_is_never_alone(below):
    """For all small tables: hidden counts are those that must be, or two at least."""
    rng = np.random.default_rng(below)
    for _ in range(300):
        counts = rng.integers(0, 14, rng.integers(1, 6)).tolist()
        hidden = hide_small(counts, below=below)
        assert all(hide for n, hide in zip(counts, hidden, strict=True) if 0 < n < below)
        others = sum(n > 0 for n in counts) > 1
        assert sum(hidden) != 1 or not others
        if not any(0 < n < below for n in counts):
            assert not any(hidden)


def test_follow_up_counts_agree_with_counting_one_by_one(cohort):
    """At risk, events, competing events and censorings at every horizon, by cohort and site."""
    frame = cohort.frame()
    for row in follow_up_rows(cohort, competing=True):
        part = frame[frame["cohort"] == row.cohort]
        part = part[part["site"] == row.site] if row.site else part
        assert row.n == len(part)
        for at in row.at:
            day = to_days(at.horizon, "months")
            before = ((part["time_days"] < day) & (part["event"] == 0)).sum()
            assert at.at_risk == (part["time_days"] >= day).sum()
            assert at.events == ((part["time_days"] <= day) & (part["event"] == 1)).sum()
            assert at.competing == ((part["time_days"] <= day) & (part["event"] == 2)).sum()
            assert (at.censored_before, at.share_censored) == (before, before / len(part))


def test_what_happens_exactly_at_the_horizon(build_cohort):
    """An event at 24 months counts by 24 months; whoever is censored then is at risk then."""
    cohort = build_cohort()
    time, event = cohort.time_days.copy(), cohort.event.copy()
    time[:3], event[:3] = 730.5, (1, 2, 0)
    before = follow_up_rows(replace(cohort, time_days=time, event=event), competing=True)[0].at[1]
    time[:3] = 730.5 + 1e-3
    after = follow_up_rows(replace(cohort, time_days=time, event=event), competing=True)[0].at[1]

    assert (before.events - after.events, before.competing - after.competing) == (1, 1)
    assert before.censored_before == after.censored_before
    assert before.at_risk == after.at_risk


def test_sites_of_a_cohort_make_the_cohort(cohort):
    """Each patient is in one site's row."""
    rows = follow_up_rows(cohort, competing=True)

    for whole in (row for row in rows if not row.site):
        sites = [row for row in rows if row.cohort == whole.cohort and row.site]
        assert sum(row.n for row in sites) == whole.n
        assert sum(row.events for row in sites) == whole.events


def test_small_sites_are_put_together(build_cohort):
    """No row of fewer than five patients, and the remainder cannot be worked out."""
    cohort = build_cohort()
    patients = list(cohort.patients)
    for i, site in ((0, "tiny"), (1, "tiny"), (2, "lone")):
        patients[i] = replace(patients[i], values={**patients[i].values, "site": site})

    rows = follow_up_rows(replace(cohort, patients=tuple(patients)), competing=True)
    north = [row for row in rows if row.cohort == "north" and row.site]

    assert min(row.n for row in north) >= 5
    assert sum(row.n for row in north) == 180
    assert not {"tiny", "lone"} & {row.site for row in north}
    assert "3 sites together" in {row.site for row in north}


def test_median_follow_up_agrees_with_lifelines(cohort):
    """The reverse Kaplan–Meier median of each cohort, in months."""
    lifelines = pytest.importorskip("lifelines")
    for row in follow_up_rows(cohort, competing=True):
        if row.site:
            continue
        y = cohort.outcome(row.cohort)
        reference = lifelines.KaplanMeierFitter().fit(y.time / 30.4375, y.event == 0)
        assert row.median == pytest.approx(reference.median_survival_time_, rel=1e-12)
        assert row.longest == pytest.approx(y.time.max() / 30.4375, rel=1e-12)


def test_a_horizon_past_follow_up_says_why(build_cohort):
    """No number, but the reason with the longest follow-up."""
    cohort = build_cohort()
    short = np.where(cohort.cohort_names == "south", np.minimum(cohort.time_days, 700.0), 0.0)
    time = np.where(short > 0, short, cohort.time_days)
    event = np.where(short == 700.0, 0, cohort.event)

    rows = follow_up_rows(replace(cohort, time_days=time, event=event), competing=True)
    at = next(row for row in rows if row.cohort == "south" and not row.site).at

    assert [item.risk is None for item in at] == [False, True, True]
    assert at[1].reason == "follow-up ends at 23.0 months"


def test_the_half_width_of_the_auc_agrees_with_pmvalsampsize():
    """Risk 12 %, C 0.80, width 0.1 needs 713 patients by R's pmvalsampsize."""

    def width(n):
        # The formula of Newcombe with n φ events, which need not be whole.
        s, c, f = n / 2 - 1, 0.8, 0.12
        error = c * (1 - c) * (1 + s * (1 - c) / (2 - c) + s * c / (1 + c)) / (n * n * f * (1 - f))
        return 2 * 1.959964 * math.sqrt(error)

    assert width(713) <= 0.1 < width(712)
    assert 2 * auc_half_width(0.8, 86, 627) == pytest.approx(0.1, abs=5e-4)


def test_the_half_width_of_a_small_sample_by_hand():
    """Ten with and ten without, AUC 0.8: SE² = 0.16 (1 + 1.5 + 4) / 100 = 0.0104."""
    assert auc_half_width(0.8, 10, 10) == pytest.approx(1.959964 * math.sqrt(0.0104), rel=1e-6)


def test_the_factor_of_observed_to_expected_agrees_with_pmvalsampsize():
    """Risk 12 %: the interval of O/E is 0.4 wide with 714 patients by R's pmvalsampsize."""
    factor = observed_expected_factor(0.12, round(714 * 0.12))

    assert factor - 1 / factor == pytest.approx(0.4, abs=2e-3)


@pytest.mark.parametrize(("auc", "events", "free"), [(0.7, 24, 80), (0.8, 30, 135), (0.8, 12, 148)])
def test_the_half_width_is_what_a_simulation_of_normal_scores_shows(auc, events, free):
    """Scores of two normal groups with the given AUC: spread of the AUC over 3000 draws."""
    rng = np.random.default_rng(events)
    shift = math.sqrt(2) * _normal_quantile(auc)
    sick = rng.normal(shift, 1, (3000, events, 1))
    well = rng.normal(0, 1, (3000, 1, free))
    spread = (sick > well).mean(axis=(1, 2)).std()

    assert auc_half_width(auc, events, free) == pytest.approx(1.96 * spread, rel=0.12)


def _normal_quantile(p):
    from statistics import NormalDist

    return NormalDist().inv_cdf(p)


def test_too_few_events_have_a_reason_instead_of_a_width():
    """One event carries no AUC."""
    with pytest.raises(NotEstimable, match="too few"):
        auc_half_width(0.8, 1, 50)
    y = Outcome(time=[100, 200, 300, 400], event=[1, 0, 0, 0])

    row = precision_row(y, cohort="a", role="external", horizon=250, horizon_days=250.0, risk=0.25)

    assert row.half_width_80 is None
    assert "too few" in row.reason
    assert (row.events, row.free) == (1, 2)


def test_competing_events_before_the_horizon_count_as_free_of_the_event():
    """A patient who died of something else by the horizon is known not to have the event."""
    y = Outcome(time=[50, 60, 70, 100, 100, 300, 20], event=[1, 1, 2, 0, 1, 0, 0])

    row = precision_row(y, cohort="a", role="external", horizon=100, horizon_days=100.0, risk=0.5)

    # Events at 50, 60 and 100; free: the competing one, one censored at 100, one beyond;
    # the patient censored at 20 is not known.
    assert (row.events, row.free, row.n) == (3, 3, 7)


def test_values_are_plain_json(page):
    """What the tables hold can be written as strict JSON."""
    assert json.dumps(page.to_json(), allow_nan=False)
