"""Repeated predictions: agreement and switches against brute force, and every refusal."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from metastra.errors import ConfigError, DataError
from metastra.evaluation.repeatability import Repeated, repeatability
from metastra.evaluation.repeated_reading import RepeatedRequest, read_repeated
from metastra.stats.proportions import wilson_interval


def made(n=50, noise=0.3, seed=0, cutpoints=(0.1, 0.3)):
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1.5, 1.0, n)
    values = 1.0 / (1.0 + np.exp(-(truth[:, None] + rng.normal(0.0, noise, (n, 3)))))
    return Repeated(values=values, conditions=("scan", "rescan", "block"), cutpoints=cutpoints)


def test_switches_are_those_of_a_loop_over_patients():
    """Counts, directions and rate equal what ten lines of Python count."""
    one = made()
    found = repeatability(one)["conditions"][0]

    def group(value):
        return sum(value >= cut for cut in one.cutpoints)

    pairs = [(group(a), group(b)) for a, b in one.values[:, :2]]
    switched = sum(a != b for a, b in pairs)
    assert found["switch_rate"]["estimate"] == switched / 50
    assert found["switch_rate"]["lower"] == wilson_interval(switched, 50)[0]
    assert found["switches"]["up"] == sum(b > a for a, b in pairs)
    assert found["switches"]["down"] == sum(b < a for a, b in pairs)
    assert found["switches"]["table"] == [[pairs.count((a, b)) for b in range(3)] for a in range(3)]


def test_a_patient_at_a_cutpoint_is_in_the_higher_group():
    """0.1 belongs above a cutpoint of 0.1, as everywhere else."""
    values = np.array([[0.1, 0.0999], [0.2, 0.3], [0.4, 0.5]])
    found = repeatability(Repeated(values=values, conditions=("a", "b"), cutpoints=(0.1,)))
    assert found["conditions"][0]["switches"]["table"] == [[0, 0], [1, 2]]


def test_identical_repeats_agree_and_shifted_ones_are_seen():
    """No noise: ICC 1, nobody switches. A constant shift is a bias and lowers agreement."""
    one = made(noise=0.0)
    found = repeatability(one)
    assert found["overall_icc"]["estimate"] == 1.0
    assert found["conditions"][1]["switch_rate"]["estimate"] == 0.0
    logits = np.log(one.values / (1.0 - one.values)) + np.array([0.0, 0.7, 0.0])
    shifted = Repeated(values=1.0 / (1.0 + np.exp(-logits)), conditions=one.conditions)
    row = repeatability(shifted)["conditions"][0]
    assert row["bias"]["estimate"] == pytest.approx(0.7)
    assert row["icc"]["estimate"] < 0.9
    assert row["limits_of_agreement"]["lower"] == pytest.approx(0.7)


def test_intervals_of_the_bias_cover():
    """Of 400 studies without a true shift about 95 % have 0 in the interval."""
    inside = 0
    for seed in range(400):
        bias = repeatability(made(n=12, seed=seed))["conditions"][0]["bias"]
        inside += bias["lower"] <= 0.0 <= bias["upper"]
    assert 0.92 <= inside / 400 <= 0.98


def test_who_was_lost_is_counted():
    """A patient who cannot be assessed again is lost, not forgotten."""
    one = made(n=20)
    values = one.values.copy()
    values[:4, 1] = np.nan
    values[2, 2] = np.nan
    found = repeatability(Repeated(values=values, conditions=one.conditions))
    assert [row["lost"] for row in found["conditions"]] == [4, 1]
    assert [row["n"] for row in found["conditions"]] == [16, 19]
    assert found["not_assessable"] == {"scan": 0, "rescan": 4, "block": 1}
    assert found["overall_icc"]["n"] == 16


def test_nothing_is_estimated_without_pairs():
    """One pair has no ICC, and without a cutpoint there is no switch rate: with reasons."""
    values = np.array([[0.2, 0.3], [0.4, np.nan]])
    row = repeatability(Repeated(values=values, conditions=("a", "b")))["conditions"][0]
    assert row["icc"]["estimate"] is None
    assert "1 subjects" in row["icc"]["reason"]
    assert row["switch_rate"]["reason"] == "no cutpoint was given"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"conditions": ("a",)}, "two or more"),
        ({"conditions": ("a", "a")}, "names of their own"),
        ({"cutpoints": (0.3, 0.1)}, "must ascend"),
    ],
)
def test_contradictions_are_refused(changes, words):
    """Settings that contradict themselves never reach the numbers."""
    values = np.array([[0.2, 0.3]] * 3)[:, : len(changes.get("conditions", "ab"))]
    with pytest.raises(ConfigError, match=words):
        Repeated(values=values, **({"conditions": ("a", "b")} | changes))


@pytest.fixture
def table(tmp_path):
    def write(rows):
        path = tmp_path / "repeats.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([["PATIENT", "scan", "risk"], *rows])
        return RepeatedRequest(predictions=path, condition="scan", reference="one", risk="risk")

    return write


def test_table_is_read_by_patient_and_condition(table):
    """Rows in any order; the reference comes first; an empty cell is not assessable."""
    request = table([("b", "two", 0.4), ("a", "one", 0.1), ("b", "one", 0.3), ("a", "two", "")])
    repeated, problems = read_repeated(request)
    assert repeated.conditions == ("one", "two")
    assert repeated.values.tolist()[0] == [0.3, 0.4]
    assert repeated.values[1, 0] == 0.1
    assert np.isnan(repeated.values[1, 1])
    assert problems == ()


@pytest.mark.parametrize(
    ("rows", "code", "lines"),
    [
        ([("a", "one", 0.1), ("a", "one", 0.2), ("a", "two", 0.2)], "EV042", (3,)),
        ([("a", "one", 0.1), ("a", "", 0.2), ("a", "two", 0.2)], "EV041", (3,)),
        ([("a", "two", 0.1), ("b", "two", 0.1)], "EV041", ()),
        ([("a", "one", 0.1), ("b", "one", 0.1)], "EV041", ()),
        ([("a", "one", 1.2), ("a", "two", 0.1)], "EV001", (2,)),
        ([("a", "one", "0,1"), ("a", "two", 0.1)], "CO031", (2,)),
        ([("", "one", 0.1), ("a", "two", 0.1), ("a", "one", 0.2)], "CO010", (2,)),
    ],
)
def test_bad_tables_are_refused_with_code_and_rows(table, rows, code, lines):
    """Each fault has its code and its rows."""
    with pytest.raises(DataError) as caught:
        read_repeated(table(rows))
    found = [one for one in caught.value.problems if one.code == code]
    assert [one.where.rows for one in found] == [lines]


def test_exactly_one_kind_of_prediction(tmp_path):
    """Neither a risk nor a score, or both, is no request."""
    for more in ({}, {"risk": "a", "risk_score": "b"}):
        with pytest.raises(ConfigError, match="either --risk"):
            RepeatedRequest(predictions=tmp_path, condition="c", reference="r", **more)
