"""Surveillance policies: closed forms, a simulation patient by patient, every refusal."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import ConfigError, NotEstimable
from metastra.evaluation.combined import combined_risk
from metastra.evaluation.patients import Patients, Settings
from metastra.evaluation.policies import PolicySettings, compare_policies
from metastra.evaluation.policy_file import read_policies
from metastra.evaluation.risk_groups import group_patients
from metastra.evaluation.surveillance import Incidence, Policy, incidence, policy_yield
from metastra.survival.outcome import Outcome

NEVER = Incidence(
    onset=np.empty(0), share=np.empty(0), time=np.array([100.0]), free=np.array([1.0])
)


def evenly(n=4000, end=12.0):
    """Onsets spread evenly over (0, end): half of the patients have one."""
    onset = (np.arange(n) + 0.5) / n * end
    free = 1.0 - 0.5 * (np.arange(n) + 1.0) / n
    return Incidence(onset=onset, share=np.full(n, 0.5 / n), time=onset, free=free)


def test_even_onsets_wait_half_an_interval():
    """Scans every 3 months and even onsets: the mean delay is 1.5 months, everybody is found."""
    got = policy_yield(evenly(), (3.0, 6.0, 9.0, 12.0), 12.0)
    assert got.found == pytest.approx(0.5)
    assert got.missed == pytest.approx(0.0, abs=1e-12)
    assert got.delay / got.found == pytest.approx(1.5, rel=1e-3)
    # free at 3, 6, 9, 12: 7/8, 6/8, 5/8, 4/8; and one scan finds each of the 0.5
    assert got.scans == pytest.approx(0.875 + 0.75 + 0.625 + 0.5 + 0.5, rel=1e-3)


def test_nobody_ill_costs_all_scans():
    """Without onsets every scan is made and finds nothing."""
    got = policy_yield(NEVER, (6.0, 12.0), 12.0)
    assert (got.scans, got.found, got.delay) == (2.0, 0.0, 0.0)


@pytest.mark.parametrize("sensitivity", [1.0, 0.7, 0.3])
def test_arithmetic_equals_a_simulation_patient_by_patient(sensitivity):
    """40,000 patients followed one by one through the schedule give the same numbers."""
    rng = np.random.default_rng(4)
    n, scans, horizon = 40_000, (3.0, 5.0, 12.0, 20.0, 24.0), 24.0
    onset, death = rng.exponential(40.0, n), rng.exponential(80.0, n)
    first = np.minimum(onset, death)
    outcome = Outcome(
        time=np.minimum(first, 30.0),
        event=np.where(first > 30.0, 0, np.where(onset < death, 1, 2)),
    )
    got = policy_yield(incidence(outcome, horizon), scans, horizon, sensitivity=sensitivity)
    made = found = 0
    delay = 0.0
    for u, d in zip(onset, death, strict=True):
        ill = u < d
        for scan in scans:
            if not ill and d <= scan:
                break
            made += 1
            if ill and u <= scan and rng.uniform() < sensitivity:
                found += 1
                delay += scan - u
                break
    assert got.scans == pytest.approx(made / n, abs=4 * 0.012)
    assert got.found == pytest.approx(found / n, abs=4 * 0.0025)
    assert got.delay / got.found == pytest.approx(delay / found, rel=0.03)


def test_follow_up_must_reach_the_horizon():
    """Nothing is estimated past the last follow-up."""
    with pytest.raises(NotEstimable, match="ends at 10, before 12"):
        incidence(Outcome(time=[5.0, 10.0], event=[1, 0]), 12.0)


def made(n=600, seed=0, visits=True):
    rng = np.random.default_rng(seed)
    score = rng.standard_normal(n)
    onset = rng.exponential(1.0 / (0.006 * np.exp(score)))
    end = rng.uniform(36.0, 60.0, n)
    seen = np.ceil(onset / 6.0) * 6.0  # found at scans every six months
    event = seen <= end
    time = np.where(event, seen, end)
    stage = np.where(score + rng.normal(0.0, 1.0, n) > 0.0, "III", "II").astype(object)
    stage[:20] = None
    risk = 1.0 - np.exp(-0.006 * np.exp(score) * 36.0)
    return Patients(
        outcome=Outcome(time=time, event=event.astype(int)),
        horizons=(36.0,),
        risks=risk[:, None],
        cohort=np.array(["north" if i % 2 else "south" for i in range(n)], dtype=object),
        subgroups={"stage": stage},
        last_negative=np.where(event, seen - 6.0, np.nan) if visits else None,
    )


POLICIES = (
    Policy(name="same", scans={"all": (6.0, 12.0, 24.0, 36.0)}),
    Policy(name="by risk", scans={"low": (12.0, 36.0), "high": (3.0, 6.0, 9.0, 12.0, 24.0, 36.0)}),
)


def compared(patients, bootstrap=0, **settings):
    grouping = group_patients(patients, Settings(bootstrap=0, cutpoints=(0.2,)))
    chosen = PolicySettings(horizon=36.0, bootstrap=bootstrap, **settings)
    return compare_policies(patients, grouping, POLICIES, chosen)


def test_groups_add_up_to_all_patients():
    """Numbers of all patients are those of the groups, weighted by their size."""
    found = compared(made())
    for policy in found["policies"]:
        for measure in ("scans", "found", "missed"):
            total = sum(
                group["n"] * group[measure]["estimate"] for group in policy["groups"]
            ) / sum(group["n"] for group in policy["groups"])
            assert policy[measure]["estimate"] == pytest.approx(total)
    same, other = found["policies"]
    assert found["differences"][0]["scans"]["estimate"] == pytest.approx(
        other["scans"]["estimate"] - same["scans"]["estimate"]
    )


def test_onsets_are_dated_half_way_back():
    """With last negative scans every six months delays grow by three months."""
    dated, recorded = compared(made()), compared(made(visits=False))
    assert (dated["dating"], recorded["dating"]) == ("midpoint", "as recorded")
    assert dated["events_moved"] > 50
    a, b = (one["policies"][0]["mean_delay"]["estimate"] for one in (dated, recorded))
    assert a > b


@pytest.mark.slow
def test_interval_of_the_difference_is_paired_and_covers():
    """Over 60 cohorts the 95 % interval of scans saved holds the large-sample value."""
    truth = compared(made(n=60_000, seed=99))["differences"][0]["scans"]["estimate"]
    inside = 0
    for seed in range(60):
        row = compared(made(n=300, seed=seed), bootstrap=100)["differences"][0]["scans"]
        inside += row["lower"] <= truth <= row["upper"]
    assert inside >= 51  # 57 expected; P(X < 51) = 0.4 %


def test_combined_risk_beats_neither_truth_nor_optimism():
    """Stage adds nothing to the true risk: corrected, the AUC is near the model's own."""
    patients = made(n=800, seed=3)
    grouping = group_patients(patients, Settings(bootstrap=0, cutpoints=(0.2,)))
    found = combined_risk(patients, grouping, bootstrap=60)
    assert found["auc"]["corrected"] < found["auc"]["apparent"]
    assert found["auc"]["corrected"] == pytest.approx(found["auc"]["model"], abs=0.02)
    names = [row["name"] for row in found["coefficients"]]
    assert names[0].startswith("model's risk")
    assert any("not recorded" in name for name in names)
    for row in found["rows"]:
        assert row["combined"]["lower"] <= row["combined"]["estimate"] <= row["combined"]["upper"]
        assert row["combined"]["n"] >= 10


def test_combined_risk_refuses_too_few_events():
    """Five events for each coefficient are the least; the reason has the figures."""
    patients = made(n=40, seed=1)
    grouping = group_patients(patients, Settings(bootstrap=0, cutpoints=(0.2,)))
    found = combined_risk(patients, grouping, bootstrap=0)
    assert "events for" in found["reason"]


def written(tmp_path, text):
    path = tmp_path / "policies.toml"
    path.write_text(text)
    return path


def test_policies_are_read_in_order(tmp_path):
    """Both kinds of schedule; the first is the reference."""
    text = (
        '[[policy]]\nname = "a"\nscans = [6, 12.5]\n'
        '[[policy]]\nname = "b"\n[policy.groups]\nlow = [12]\nhigh = [3, 6]\n'
    )
    first, second = read_policies(written(tmp_path, text), ("low", "high"))
    assert first.of("high") == (6.0, 12.5)
    assert second.of("high") == (3.0, 6.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "one or more"),
        ("[[policy]\n", "not valid TOML"),
        ('[[policy]]\nname = "a"\nscan = [6]\n', "'scans'?"),
        ("[[policy]]\nscans = [6]\n", "has no name"),
        ('[[policy]]\nname = "a"\n', "neither"),
        ('[[policy]]\nname = "a"\nscans = [12, 6]\n', "must be positive and ascend"),
        ('[[policy]]\nname = "a"\nscans = "6"\n', "a list of times"),
        ('[[policy]]\nname = "a"\n[policy.groups]\nlow = [6]\n', "no scans for group 'high'"),
        ('[[policy]]\nname = "a"\n[policy.groups]\nlow=[6]\nhigh=[6]\nmid=[6]\n', "'mid'"),
        ('[[policy]]\nname="a"\nscans=[6]\n[[policy]]\nname="a"\nscans=[6]\n', "one name"),
    ],
)
def test_faulty_policies_are_refused(tmp_path, text, words):
    """Each fault is named with what was expected."""
    with pytest.raises(ConfigError, match=words):
        read_policies(written(tmp_path, text), ("low", "high"))


def test_all_faults_of_a_file_at_once(tmp_path):
    """Two policies with a fault each give two problems."""
    text = '[[policy]]\nname = "a"\nscans = [0]\n[[policy]]\nname = "b"\nscans = [3, 3]\n'
    with pytest.raises(ConfigError) as caught:
        read_policies(written(tmp_path, text), ("low", "high"))
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    "settings", [{"sensitivity": 0.0}, {"sensitivity": 1.2}, {"bootstrap": 5}, {"horizon": 0.0}]
)
def test_settings_outside_their_range(settings):
    """Impossible settings are refused."""
    with pytest.raises(ConfigError):
        PolicySettings(**({"horizon": 36.0} | settings))
