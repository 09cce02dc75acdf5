"""Wrong statistics must fail the reference cases: what is easily got wrong is got wrong here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metastra.survival import concordance_pairs, outcome
from metastra.survival.outcome import Outcome
from metastra.survival.step_function import StepFunction
from metastra.testing.reference.data import load_cases
from metastra.testing.reference.runner import all_handlers, read_tables, run_case


def failed(shared: Path, name: str) -> set[str]:
    """Estimators of which at least one case of a data set fails."""
    folder = shared / "data" / "reference_stats"
    cases = load_cases(folder / f"expected_{name}.json")
    frames = read_tables(cases, folder)
    handlers = all_handlers()
    verdicts = {one.id: run_case(one, frames, handlers) for one in cases}
    return {one.estimator for one in cases if not verdicts[one.id].passed}


@pytest.mark.parametrize("name", ["colon", "gbsg2", "mgus2"])
def test_nothing_fails_as_it_stands(shared: Path, name: str) -> None:
    """The unchanged estimators pass every case; else the tests below would prove nothing."""
    assert failed(shared, name) == set()


def test_weights_at_the_time_instead_of_just_before_it(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G(T) for G(T-), which several libraries use, is noticed by every weighted measure."""
    original = concordance_pairs.censoring_left

    def at_the_time(group: Any, event: Any, weights: Any) -> Any:
        later = np.append(np.unique(group)[1:], group.max())
        shifted = original(group, event, weights)
        by_group = dict(zip(group.tolist(), shifted.tolist(), strict=True))
        following = dict(zip(np.unique(group).tolist(), later.tolist(), strict=True))
        return np.array([by_group[following[g]] for g in group.tolist()])

    monkeypatch.setattr(concordance_pairs, "censoring_left", at_the_time)
    monkeypatch.setattr(
        StepFunction, "left", lambda self, time, *, extend=False: self(time, extend=extend)
    )
    found = failed(shared, "mgus2") | failed(shared, "gbsg2")
    assert any("auc" in estimator for estimator in found), found
    assert any("brier" in estimator for estimator in found), found
    assert any("uno" in estimator or "concordance" in estimator for estimator in found), found


def test_competing_events_taken_as_censored(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropping competing events is noticed by incidence, AUC, Brier score and Fine–Gray."""
    original = outcome._as_events

    def dropped(raw: Any, n: int) -> Any:
        events, problems = original(raw, n)
        return np.where(events > 1, 0, events), problems

    monkeypatch.setattr(outcome, "_as_events", dropped)
    found = failed(shared, "mgus2")
    for word in ("aalen", "auc", "brier", "fine"):
        assert any(word in estimator for estimator in found), (word, found)


def test_censorings_before_events_at_one_time(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ties the other way round even Kaplan–Meier and Cox differ."""
    original = Outcome.__init__

    def turned(self: Outcome, *, time: Any, event: Any, entry: Any = None) -> None:
        times, events = np.asarray(time, dtype=float), np.asarray(event)
        unique = np.unique(times)
        gap = float(np.diff(unique).min()) if unique.size > 1 else 1.0
        original(self, time=times + 0.25 * gap * (events != 0), event=event, entry=entry)

    monkeypatch.setattr(Outcome, "__init__", turned)
    found = failed(shared, "mgus2") | failed(shared, "colon")
    for word in ("kaplan", "cox", "concordance"):
        assert any(word in estimator for estimator in found), (word, found)
