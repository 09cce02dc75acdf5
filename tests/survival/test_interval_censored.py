"""Events between two scans: closed forms, brute force, Kaplan–Meier, lifelines, coverage."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.survival.interval_censored import Imputation, IntervalCensored
from metastra.survival.interval_sensitivity import dating_sensitivity
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.outcome import Outcome
from metastra.survival.turnbull import bootstrap_interval_risk, turnbull
from metastra.survival.turnbull_fit import innermost_intervals, maximise_masses


def scans(
    seed: int, n: int = 60, *, jitter: float = 20.0, mean: float = 1500.0
) -> IntervalCensored:
    """Half-yearly scans over four years, some missed, some patients lost."""
    rng = np.random.default_rng(seed)
    event = rng.exponential(mean, n)
    left, right = np.zeros(n), np.full(n, np.inf)
    for i in range(n):
        days = 182.0 * np.arange(1, 9) + np.round(rng.normal(0.0, jitter, 8))
        days = days[rng.random(8) < 0.85][: rng.integers(1, 9)]
        before, after = days[days < event[i]], days[days >= event[i]]
        left[i] = before.max(initial=0.0)
        right[i] = after.min(initial=np.inf)
    return IntervalCensored(left=left, right=right)


def brute_loglik(data: IntervalCensored) -> float:
    """Greatest log-likelihood by SLSQP over masses between all neighbouring ends."""
    cuts = np.unique(np.concatenate([data.left, data.right]))
    low, high = cuts[:-1], cuts[1:]
    reach = ((low >= data.left[:, None]) & (high <= data.right[:, None])).astype(float)
    size = low.size
    best = minimize(
        lambda p: -np.log(np.maximum(reach @ p, 1e-300)).sum(),
        np.full(size, 1.0 / size),
        jac=lambda p: -reach.T @ (1.0 / np.maximum(reach @ p, 1e-300)),
        method="SLSQP",
        bounds=[(0.0, 1.0)] * size,
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1.0, "jac": np.ones_like},
        options={"ftol": 1e-13, "maxiter": 2000},
    )
    return -float(best.fun)


def test_one_planned_scan_gives_a_proportion() -> None:
    """Everybody scanned once at the same day: found / scanned."""
    data = IntervalCensored(left=[0] * 7 + [24] * 13, right=[24] * 7 + [np.inf] * 13)
    risk = turnbull(data).risk_at(24.0)
    assert risk.risk == pytest.approx(7 / 20, abs=1e-9)
    assert (risk.smallest, risk.largest) == pytest.approx((7 / 20, 7 / 20), abs=1e-9)


def test_two_overlapping_intervals_meet_in_the_overlap() -> None:
    """(0, 2] and (1, 3]: all mass lies in (1, 2], and the likelihood is 1."""
    estimate = turnbull(IntervalCensored(left=[0, 1], right=[2, 3]))
    assert estimate.left.tolist() == [1.0]
    assert estimate.right.tolist() == [2.0]
    assert estimate.loglik == pytest.approx(0.0, abs=1e-12)


def test_touching_intervals_do_not_overlap() -> None:
    """(0, 1] and (1, 2] share no point; an exact event at 1 lies in the first."""
    assert turnbull(IntervalCensored(left=[0, 1], right=[1, 2])).mass.tolist() == [0.5, 0.5]
    with_exact = turnbull(IntervalCensored(left=[0, 1, 1], right=[1, 1, 2]))
    assert with_exact.left.tolist() == [1.0, 1.0]
    assert with_exact.right.tolist() == [1.0, 2.0]
    assert with_exact.mass == pytest.approx([2 / 3, 1 / 3], abs=1e-9)


def test_a_closed_form_with_a_patient_across_both_intervals() -> None:
    """a in (0,1], b in (1,2], c anywhere in (0,2]: masses a/(a+b) and b/(a+b)."""
    data = IntervalCensored(left=[0] * 3 + [1] * 5 + [0] * 4, right=[1] * 3 + [2] * 9)
    assert turnbull(data).mass == pytest.approx([3 / 8, 5 / 8], abs=1e-8)


@pytest.mark.parametrize("seed", range(8))
def test_the_likelihood_is_the_greatest_a_brute_search_finds(seed: int) -> None:
    """SLSQP over masses between all neighbouring ends reaches no more, and nearly as much."""
    data = scans(seed, 25, jitter=8.0 * (seed % 3))
    estimate = turnbull(data)
    assert estimate.gap <= 1e-9 * data.n
    brute = brute_loglik(data)
    assert brute <= estimate.loglik + 1e-7
    assert brute == pytest.approx(estimate.loglik, abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_without_intervals_it_is_kaplan_meier(seed: int) -> None:
    """Exact and right-censored times, with ties: the product limit at every time."""
    rng = np.random.default_rng(seed)
    time, event = np.ceil(rng.exponential(10.0, 80)), rng.random(80) < 0.6
    data = IntervalCensored(left=time, right=np.where(event, time, np.inf))
    km = kaplan_meier(Outcome(time=time, event=event))
    estimate = turnbull(data)
    for at in km.times[km.survival > 0.0]:
        risk = estimate.risk_at(float(at))
        assert risk.risk == pytest.approx(1.0 - km.survival_at([at])[0], abs=1e-7)
        assert risk.smallest == pytest.approx(risk.largest, abs=1e-12)


def test_lifelines_finds_the_same_masses() -> None:
    """lifelines' NPMLE (of closed intervals) has, as far as it converges, the same masses."""
    npmle = pytest.importorskip("lifelines.fitters.npmle")
    data = scans(3, 80)
    estimate = turnbull(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # On whole days [left + 1/4, right] holds what (left, right] holds.
        mass, cells = npmle.npmle(data.left + 0.25, data.right, tol=1e-12, max_iter=200_000)
    theirs = {(low - 0.25, high): p for p, (low, high) in zip(mass, cells, strict=True)}
    ours = dict(zip(zip(estimate.left, estimate.right, strict=True), estimate.mass, strict=True))
    assert set(theirs) <= set(ours)
    assert len(theirs) >= len(ours) - 1
    for cell, p in ours.items():
        assert theirs.get(cell, 0.0) == pytest.approx(p, abs=2e-3)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 6), st.one_of(st.integers(0, 4), st.just(99))),
        min_size=1,
        max_size=14,
    )
)
def test_the_certificate_holds_on_any_data(rows: list[tuple[int, int]]) -> None:
    """Gradient at most the weight, equal where there is mass; masses sum to 1 and are unique."""
    left = np.array([row[0] for row in rows], dtype=float)
    right = np.array([np.inf if row[1] == 99 else row[0] + row[1] for row in rows])
    cells = innermost_intervals(left, right, np.ones(left.size))
    fit = maximise_masses(cells)
    assert fit.mass.sum() == pytest.approx(1.0, abs=1e-12)
    assert (fit.mass >= 0.0).all()
    assert (fit.gradient <= cells.total * (1.0 + 1e-8)).all()
    assert fit.gradient[fit.mass > 1e-4] == pytest.approx(cells.total, rel=1e-3)
    assert np.linalg.matrix_rank(cells.membership()) == cells.left.size


def test_weights_count_patients() -> None:
    """A weight of 2 is the patient twice, a weight of 0 no patient."""
    data = scans(5, 30)
    counts = np.random.default_rng(1).integers(0, 3, 30)
    weighted = turnbull(data, weights=counts)
    repeated = turnbull(data.take(np.repeat(np.arange(30), counts)))
    assert weighted.left.tolist() == repeated.left.tolist()
    assert weighted.mass == pytest.approx(repeated.mass, abs=1e-6)
    assert weighted.loglik == pytest.approx(repeated.loglik, abs=1e-8)


def test_a_horizon_inside_an_interval_has_bounds() -> None:
    """Mass of (0, 10] may lie on either side of 4; the even spread is between."""
    data = IntervalCensored(left=[0, 0, 10, 10], right=[10, 10, np.inf, np.inf])
    risk = turnbull(data).risk_at(4.0)
    assert (risk.smallest, risk.risk, risk.largest) == pytest.approx((0.0, 0.2, 0.5), abs=1e-9)


def test_an_infinite_horizonless_tail_is_refused() -> None:
    """Nobody examined after 24 and some never found: the risk at 30 may be anything."""
    data = IntervalCensored(left=[0, 24], right=[24, np.inf])
    with pytest.raises(NotEstimable, match="after 24"):
        turnbull(data).risk_at(30.0)
    assert turnbull(data).risk_at(24.0).risk == pytest.approx(0.5)
    everybody = IntervalCensored(left=[0, 12], right=[12, 24])
    assert turnbull(everybody).risk_at(30.0).risk == pytest.approx(1.0)


def test_grace_counts_a_late_scan_but_not_a_patient_known_free() -> None:
    """Found at 25.5 and last free at 18 counts at 24; last free at 24 does not."""
    data = IntervalCensored(left=[18, 24, 18, 12], right=[25.5, 26, 28, 18])
    at = data.imputed(Imputation.GRACE, horizon=24.0, grace=3.0)
    assert at.time.tolist() == [24.0, 26.0, 28.0, 18.0]
    assert data.n_straddling(24.0) == 2


def test_dating_rows_are_ordered_as_their_dates() -> None:
    """Right ends date latest, so they count least by the horizon; grace gives some back."""
    data = scans(11, 300, jitter=30.0)
    table = dating_sensitivity(data, 728.0, grace=90.0, seed=1, n_draws=60)
    risk = {row.dating: row.risk for row in table.rows}
    assert risk["right"] < risk["grace"]
    assert risk["right"] < risk["midpoint"]
    assert all(row.lower < row.risk < row.upper for row in table.rows)
    assert table.spread == pytest.approx(max(risk.values()) - min(risk.values()))
    assert table.rows[0].dating == "interval-censored"


def test_competing_deaths_leave_the_interval_row_empty() -> None:
    """The estimate knows one kind of event; imputed dates take the Aalen–Johansen risk."""
    data = IntervalCensored(left=[0, 10, 24, 24], right=[12, np.inf, np.inf, np.inf])
    table = dating_sensitivity(data, 24.0, grace=0.0, competing=[0, 2, 0, 0], seed=1)
    assert table.rows[0].risk is None
    assert "competing" in table.rows[0].reason
    assert table.rows[2].risk == pytest.approx(0.25 if table.rows[2].n_events else 0.0)
    with pytest.raises(DataError, match=r"rows \[1\]"):
        data.imputed(Imputation.RIGHT, competing=[2, 0, 0, 0])


def test_bad_intervals_are_refused_with_every_reason() -> None:
    """Missing, negative and reversed ends are named together with their rows."""
    with pytest.raises(DataError) as caught:
        IntervalCensored(left=[-1, 5, np.nan, 2], right=[2, 3, 4, np.nan])
    for words in ("negative in rows [1]", "before left in rows [2]", "missing or infinite in rows"):
        assert words in str(caught.value)
    assert "right = inf" in str(caught.value)


def test_what_has_no_interval_is_not_given_one() -> None:
    """No event: no bootstrap; weights of 0: no fit; odd arguments: refused."""
    free = IntervalCensored(left=[24, 24], right=[np.inf, np.inf])
    assert turnbull(free).risk_at(24.0).risk == 0.0
    rows = dating_sensitivity(free, 24.0, grace=3.0, seed=1).rows
    assert [(row.risk, row.lower) for row in rows] == [(0.0, None)] * 4
    assert all(row.reason for row in rows)
    past = dating_sensitivity(free, 30.0, grace=3.0, seed=1)
    assert [row.risk for row in past.rows] == [None] * 4
    assert past.spread is None
    with pytest.raises(NotEstimable, match="risk_bound"):
        bootstrap_interval_risk(free, 24.0, seed=1)
    with pytest.raises(NotEstimable, match="weight"):
        turnbull(free, weights=[0, 0])
    with pytest.raises(DataError, match="weights"):
        turnbull(free, weights=[1, -1])
    with pytest.raises(ConfigError, match="n_draws"):
        bootstrap_interval_risk(free, 24.0, seed=1, n_draws=10)
    with pytest.raises(ConfigError, match="horizon"):
        turnbull(free).risk_at(-1.0)


@pytest.mark.slow
def test_bootstrap_limits_cover_at_planned_scans() -> None:
    """Scans on common days: 95 % limits hold the truth in 91 to 98 % of 300 cohorts."""
    horizon, truth = 728.0, 1.0 - np.exp(-728.0 / 1500.0)
    held = 0
    for seed in range(300):
        risk = bootstrap_interval_risk(
            scans(1000 + seed, 150, jitter=0.0), horizon, n_draws=120, seed=seed
        )
        held += risk.lower <= truth <= risk.upper
    assert 0.91 <= held / 300 <= 0.98
