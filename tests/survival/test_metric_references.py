"""The validation metrics against R, number by number; and proof that a wrong metric is noticed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from metastra.survival import censoring, concordance_pairs, horizon
from metastra.survival.horizon import HorizonView
from metastra.survival.outcome import Outcome
from metastra.testing.reference import calibration, discrimination, pooling
from metastra.testing.reference.data import Case, load_cases
from metastra.testing.reference.runner import read_tables, run_case

HANDLERS = discrimination.HANDLERS | calibration.HANDLERS | pooling.HANDLERS
N_CASES = {"colon": 20, "gbsg2": 16, "mgus2": 14}

Failing = Callable[[str], set[str]]


@pytest.fixture
def failing(shared: Path) -> Failing:
    """Names of the cases of a data set that do not hold."""

    def run(name: str) -> set[str]:
        folder = shared / "data" / "reference_stats"
        cases = [
            case
            for case in load_cases(folder / f"expected_{name}.json")
            if case.estimator in HANDLERS
        ]
        assert len(cases) == N_CASES[name]
        frames = read_tables(cases, folder)
        verdicts = [run_case(case, frames, HANDLERS) for case in cases]
        return {verdict.case for verdict in verdicts if not verdict.passed}

    return run


@pytest.mark.parametrize("name", sorted(N_CASES))
def test_every_reference_case_holds(failing: Failing, name: str):
    """Estimates, standard errors, counts, contrasts and p-values are R's."""
    assert failing(name) == set()


def test_weights_at_t_instead_of_before_t_are_noticed(failing: Failing, monkeypatch):
    """G(T) in place of G(T-) moves AUC and Brier score where events and censorings tie."""

    def late(outcome: Outcome, at: float):
        g = censoring.censoring_survival(outcome)
        event = (outcome.event != 0) & (outcome.time <= at)
        beyond = outcome.time > at
        weights = np.zeros(outcome.n)
        weights[event] = 1 / np.maximum(g(outcome.time[event]), 1e-9)
        weights[beyond] = 1 / float(g(at))
        return weights

    monkeypatch.setattr(horizon, "ipcw_weights", late)

    assert {"mgus2.tdauc.cr", "mgus2.score.cr", "mgus2.ibs.cr"} <= failing("mgus2")


def test_uno_weights_at_t_instead_of_before_t_are_noticed(failing: Failing, monkeypatch):
    """The same mistake in Uno's concordance."""

    def late(group, event, weights):
        size = int(group.max()) + 1
        leaving = np.bincount(group, weights=weights, minlength=size)
        events = np.bincount(group, weights=weights * event, minlength=size)
        at_risk = np.cumsum(leaving[::-1])[::-1] - events
        hazard = np.where(at_risk > 0, (leaving - events) / np.maximum(at_risk, 1), 0)
        return np.maximum(np.cumprod(1 - hazard), 1e-9)[group]

    monkeypatch.setattr(concordance_pairs, "censoring_left", late)

    assert "mgus2.c.uno.pcm" in failing("mgus2")
    assert {"colon.c.uno", "colon.c.uno.exact"} <= failing("colon")


def test_dropped_competing_events_are_noticed(failing: Failing, monkeypatch):
    """Censoring the competing deaths moves everything that knows them."""
    original = Case.outcome
    monkeypatch.setattr(Case, "outcome", lambda case, frame: original(case, frame).only(1))

    assert failing("mgus2") >= {
        "mgus2.c.wolbers",
        "mgus2.tdauc.cr",
        "mgus2.score.cr",
        "mgus2.ibs.cr",
        "mgus2.cal.cr",
        "mgus2.cal.groups",
        "mgus2.pseudo.cr",
        "mgus2.dca.cr",
    }


def test_censorings_before_events_are_noticed(failing: Failing, monkeypatch):
    """Reversing the order of an event and a censoring at one time moves every concordance."""
    original = Case.outcome

    def reversed_ties(case, frame):
        y = original(case, frame)
        return Outcome(time=y.time - 0.01 * (y.event == 0), event=y.event)

    monkeypatch.setattr(Case, "outcome", reversed_ties)

    assert failing("mgus2") >= {"mgus2.c.harrell.pcm", "mgus2.c.uno.pcm", "mgus2.score.cr"}


def test_ignoring_the_estimated_censoring_is_noticed(failing: Failing, monkeypatch):
    """Leaving G out of the influence function moves the standard errors."""
    monkeypatch.setattr(HorizonView, "weight_influence", lambda self, terms: np.zeros(self.n))

    assert {"colon.score", "colon.score.cr"} <= failing("colon")


def test_score_ties_broken_by_chance_are_noticed(failing: Failing, monkeypatch):
    """Equal scores must count one half, not whichever comes first."""
    original = Case.numbers

    def jittered(case, frame, role):
        values = original(case, frame, role)
        if role != "score":
            return values
        return values + 1e-9 * np.random.default_rng(0).normal(size=values.size)

    monkeypatch.setattr(Case, "numbers", jittered)

    assert {"colon.c.harrell", "colon.c.wolbers", "colon.tdauc"} <= failing("colon")
