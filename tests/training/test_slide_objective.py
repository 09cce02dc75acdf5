"""What the heads are fitted to: intervals, classes, weights, and likelihoods of those left out."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import NotEstimable
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.censoring import ipcw_weights
from metastra.survival.outcome import Outcome
from metastra.training.slide_hazards import HazardObjective
from metastra.training.slide_objective import ClassObjective, objective_of
from training.slide_cases import a_task, patients


def test_intervals_end_at_the_horizons_and_are_not_chosen_by_outcomes():
    task = a_task("mean", "discrete-hazard", horizons_days=(100.0, 730.0))
    made = patients()
    objective = HazardObjective.of(made.outcome, task)
    edges = objective.edges_days
    assert 100.0 in edges
    assert edges[-1] == 730.0
    assert np.diff(edges, prepend=0.0).max() <= 730.0 / 6 + 1e-9
    assert edges[objective.primary_interval - 1] == 730.0
    other = Outcome(time=made.outcome.time[::-1] + 50, event=made.outcome.event)
    np.testing.assert_array_equal(HazardObjective.of(other, task).edges_days, edges)


def test_what_happened_in_which_interval():
    task = a_task("mean", "discrete-hazard", primary_days=60.0, horizons_days=(60.0,))
    time = [10.0, 11.0, 4.0, 6.0, 60.0, 99.0, 60.0, 0.0]
    event = [1, 2, 0, 0, 1, 1, 0, 1]
    objective = HazardObjective.of(Outcome(time=time, event=event), task)
    assert objective.edges_days.tolist() == [10, 20, 30, 40, 50, 60]
    at_risk = objective.at_risk.sum(axis=1)
    # an event at an interval's end belongs to it; a censored half counts as lived through
    assert at_risk.tolist() == [1, 2, 0, 1, 6, 6, 6, 1]
    assert objective.target[0].tolist() == [1, 0, 0, 0, 0, 0]
    assert objective.target[1].tolist() == [0, 2, 0, 0, 0, 0]
    assert objective.target[4].tolist() == [0, 0, 0, 0, 0, 1]
    assert not objective.target[[2, 3, 5, 6]].any()
    assert objective.target[7, 0] == 1


def test_observed_hazards_give_the_aalen_johansen_risk():
    """In intervals, so only nearly; with follow-up to the end for everybody, exactly."""
    made = patients(400)
    task = a_task("mean", "discrete-hazard")
    everybody = np.ones(400, dtype=bool)
    objective = HazardObjective.of(made.outcome, task)
    risk = objective.readout.incidence(objective.start(everybody)[None])[0, -1]
    observed = float(aalen_johansen(made.outcome)[1].incidence_at(730.0))
    assert risk == pytest.approx(observed, abs=0.02)


def test_gains_are_zero_without_slides_and_grow_with_the_truth():
    made = patients()
    held = made.parts == 0
    for head in ("cox", "discrete-hazard", "classification"):
        objective = objective_of(made.outcome, a_task("mean", head))
        nothing = np.tile(objective.start(~held), (made.n, 1))
        assert objective.gain(nothing, ~held, held) == pytest.approx(0.0, abs=1e-9)
        # the effect of the event on its own logits
        direction = np.zeros(nothing.shape[1])
        direction[{"cox": 0, "classification": 1}.get(head, slice(0, None, 2))] = 1.0
        better = nothing + made.truth[:, None] * direction
        worse = nothing - made.truth[:, None] * direction
        assert objective.gain(better, ~held, held) > 1.0
        assert objective.gain(worse, ~held, held) < -1.0


def test_weights_of_classes_are_those_of_the_judge_and_blind_to_others():
    made = patients()
    objective = ClassObjective.of(made.outcome, 730.0)
    everybody = made.all
    np.testing.assert_allclose(objective.weight(everybody), ipcw_weights(made.outcome, 730.0))
    kept = made.parts != 0
    time = np.where(kept, made.outcome.time, made.outcome.time[::-1] + 3.0)
    other = ClassObjective.of(Outcome(time=time, event=made.outcome.event), 730.0)
    np.testing.assert_array_equal(objective.weight(kept)[kept], other.weight(kept)[kept])
    assert set(objective.target.tolist()) == {0, 1, 2}


def test_heads_without_a_form_for_an_outcome_say_so():
    late = Outcome(time=[5.0, 9.0], event=[1, 0], entry=[1.0, 0.0])
    for head in ("discrete-hazard", "classification"):
        with pytest.raises(NotEstimable, match=f"'{head}' is not defined under delayed entry"):
            objective_of(late, a_task("mean", head))
    short = ClassObjective.of(Outcome(time=[5.0, 9.0], event=[1, 0]), 730.0)
    with pytest.raises(NotEstimable, match="nobody fitted on is followed beyond the horizon"):
        short.weight(np.ones(2, dtype=bool))
