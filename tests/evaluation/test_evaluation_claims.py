"""Landmarks, dating of events, low-risk claims, treatment by score, updates and the plan."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from metastra.errors import ConfigError
from metastra.evaluation.claims import low_risk, treatment_by_score
from metastra.evaluation.declared import with_plan
from metastra.evaluation.evaluate import evaluate
from metastra.evaluation.incidence import incidence
from metastra.evaluation.landmarking import landmark_analysis
from metastra.evaluation.patients import Patients, Settings
from metastra.evaluation.plan import MEASURES, Plan, read_plan
from metastra.evaluation.request import Request
from metastra.evaluation.risk_groups import group_patients
from metastra.evaluation.visits import dating, visit_schedule
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.outcome import Outcome

NONE = Settings(bootstrap=0, cutpoints=(0.2, 0.4))


def made(n=800, seed=1, *, competing=False, horizons=(1.0, 3.0), factor=1.0):
    """Patients whose hazard is constant: the conditional risk after a landmark is known."""
    rng = np.random.default_rng(seed)
    rate = 0.12 * np.exp(rng.normal(0.0, 0.9, n))
    other = 0.05 if competing else 1e-12
    first, second = rng.exponential(1.0 / rate), rng.exponential(1.0 / other, n)
    censored = rng.uniform(1.0, 7.0, n)
    time = np.minimum(np.minimum(first, second), censored)
    event = np.where(time == first, 1, np.where(time == second, 2, 0))
    total = rate + other
    risks = np.column_stack([rate / total * -np.expm1(-total * t) for t in horizons])
    return Patients(
        outcome=Outcome(time=time, event=event),
        horizons=horizons,
        risks=np.minimum(factor * risks, 0.99),
    )


def test_a_landmark_counts_who_left_and_calibrates_the_conditional_risk():
    """Kept and left add up; O/E and slope of the conditional risk hold 1 when risks are right."""
    patients = made(3000, 2)
    found = landmark_analysis(patients, 1.0, group_patients(patients, NONE))
    left = ("left_with_event", "left_with_competing", "left_censored", "not_entered")
    assert found["kept"] + sum(found[key] for key in left) == patients.n
    assert found["kept"] == int((patients.outcome.time > 1.0).sum())
    row = found["calibration"][0]
    assert (row["horizon"], row["since_landmark"]) == (3.0, 2.0)
    for key in ("oe_ratio", "slope"):
        assert row[key]["lower"] < 1.0 < row[key]["upper"]
    assert found["auc"][0]["estimate"] > 0.6
    assert sum(group["n"] for group in found["groups"]) == found["kept"]


def test_a_landmark_without_what_it_needs_says_so():
    """No risk by the landmark, competing events, nobody left, no later horizon."""
    patients = made()
    groups = group_patients(patients, NONE)
    other = landmark_analysis(patients, 0.5, groups)["calibration"][0]["oe_ratio"]
    assert "not among the horizons" in other["reason"]
    competing = made(competing=True)
    found = landmark_analysis(competing, 1.0, group_patients(competing, NONE))
    assert "competing" in found["calibration"][0]["slope"]["reason"]
    assert "nobody" in landmark_analysis(patients, 99.0, groups)["reason"]
    assert "no horizon" in landmark_analysis(patients, 4.0, groups)["reason"]


def test_four_ways_to_date_an_event_stand_side_by_side():
    """Visits about every half year: the grace window puts back what the right end pushes past."""
    rng = np.random.default_rng(3)
    true = rng.exponential(4.0, 500)
    gaps = rng.uniform(0.2, 0.8, (500, 15))
    visits = np.column_stack([np.zeros(500), np.cumsum(gaps, axis=1)])
    place = np.minimum((visits < true[:, None]).sum(axis=1), 15)
    last = rng.integers(4, 12, 500)
    found = place <= last
    rows = np.arange(500)
    time = visits[rows, np.where(found, place, last)]
    before = np.where(found, visits[rows, place - 1], np.nan)
    patients = Patients(
        outcome=Outcome(time=time, event=found),
        horizons=(2.0,),
        score=-true,
        last_negative=before,
        cohort=np.array(["a", "b"], dtype=object)[np.arange(500) % 2],
    )
    table = dating(patients, Settings(bootstrap=0, grace=0.25))
    rows = {row["dating"]: row for row in table["rows"]}
    assert set(rows) == {"interval-censored", "midpoint", "right", "grace"}
    assert rows["right"]["estimate"] < rows["grace"]["estimate"]
    assert rows["right"]["estimate"] < rows["midpoint"]["estimate"]
    truth = 1.0 - np.exp(-0.5)
    assert rows["interval-censored"]["lower"] < truth < rows["interval-censored"]["upper"]
    assert table["spread"] > 0.0
    gaps = visit_schedule(patients)
    assert [row["cohort"] for row in gaps] == ["all patients", "a", "b"]
    # an event falls into a gap the likelier the longer it is: density ∝ gap on 0.2 to 0.8
    assert gaps[0]["gap_median"] == pytest.approx(np.sqrt(0.34), abs=0.04)
    assert gaps[1]["events"] + gaps[2]["events"] == gaps[0]["events"]
    assert dating(replace(patients, last_negative=None), NONE)["rows"] == []
    assert visit_schedule(replace(patients, last_negative=None)) == []


def test_a_low_risk_claim_needs_its_bound_under_the_limit():
    """Met with many patients, not met with few though the risk is as small; limits are required."""
    patients = made(3000, 5)
    grouping = group_patients(patients, Settings(bootstrap=0, cutpoints=(0.1,)))
    met = low_risk(patients, grouping, 0.12)
    assert met["verdict"] == "met"
    assert met["risk"]["upper"] < 0.12
    assert not met["exploratory"]
    chosen = np.arange(3000) < 60
    few = replace(grouping, group=grouping.group[chosen])
    assert low_risk(patients.take(chosen), few, 0.12)["verdict"] == "not met"
    assert "--low-risk-limit" in low_risk(patients, grouping, None)["reason"]
    nobody = replace(grouping, group=np.ones(3000, dtype=np.int64))
    assert low_risk(patients, nobody, 0.1)["verdict"] == "not estimable"


def test_treatment_by_score_is_causal_in_words_only_when_randomised():
    """Numbers are the same; patients without a treatment are left out and counted."""
    patients = made(900, 6)
    arm = (np.arange(900) % 2).astype(float)
    arm[::50] = np.nan
    treated = replace(patients, treatment=arm)
    grouping = group_patients(treated, NONE)
    trial = treatment_by_score(treated, grouping, randomised=True)
    registry = treatment_by_score(treated, grouping, randomised=False)
    assert trial["ratio"] == registry["ratio"]
    assert trial["without_treatment_value"] == 18
    assert "effect of treatment" in trial["words"]
    assert "not randomised" in registry["words"]
    assert not registry["causal"]
    assert [row["group"] for row in trial["groups"]] == ["low", "intermediate", "high"]
    for row in trial["groups"]:
        expected = row["risk_treated"] - row["risk_untreated"]
        assert row["difference"]["estimate"] == pytest.approx(expected)
    assert "--treatment" in treatment_by_score(patients, grouping, randomised=True)["reason"]
    one_arm = replace(patients, treatment=np.ones(900))
    assert treatment_by_score(one_arm, grouping, randomised=True)["ratio"]["estimate"] is None


def test_an_update_is_a_new_model_and_says_so():
    """Too high risks: the intercept is chosen, its model has its own digest, all is exploratory."""
    patients = made(2500, 7, horizons=(3.0,), factor=1.6)
    settings = Settings(bootstrap=0, recalibrate=True, cutpoints=(0.3,))
    document = evaluate(patients, settings, predictions_sha256="ab").to_json()
    found = document["recalibration"]
    assert found["new_model"]
    assert found["exploratory"]
    row = found["horizons"][0]
    assert row["chosen"] != "none"
    models = [rung["model"] for rung in row["rungs"]]
    assert models[0] is None
    assert len(set(models)) == len(models)
    assert row["rungs"][-1]["oe_ratio"]["estimate"] == pytest.approx(1.0, abs=0.03)
    assert row["rungs"][-1]["oe_ratio"]["lower"] is None
    assert "not fitted" in row["refit"]
    other = evaluate(patients, settings, predictions_sha256="cd").to_json()["recalibration"]
    assert other["horizons"][0]["rungs"][1]["model"] != models[1]
    assert {c["code"]: c["status"] for c in document["checks"]}["EV038"] == "issue"
    few = evaluate(made(100, 8, horizons=(1.0,)), settings).to_json()["recalibration"]
    assert "fewer than 20" in few["horizons"][0]["reason"]


def test_the_incidence_table_is_the_curve_at_its_times():
    """Risk, numbers at risk before and events up to each tick, by brute force."""
    patients = made(300, 9, competing=True)
    found = incidence(patients, group_patients(patients, NONE))
    for number, group in enumerate(found["groups"]):
        part = patients.outcome.take(group_patients(patients, NONE).group == number)
        curve = aalen_johansen(part, causes=[1])[1]
        for tick in group["ticks"]:
            assert tick["at_risk"] == int((part.time >= tick["time"]).sum())
            assert tick["events"] == int(((part.time <= tick["time"]) & (part.event == 1)).sum())
            if tick["time"] <= group["follow_up_end"]:
                expected = float(curve.incidence_at([tick["time"]])[0])
                assert tick["incidence"] == pytest.approx(expected)
            else:
                assert tick["incidence"] is None


PLAN = """
name = "Protocol 1.2"
subgroups = ["sex"]
cutpoints = [0.2]
low_risk_limit = 0.15
[primary]
measure = "auc"
horizon = 3.0
bound = 0.55
[[secondary]]
measure = "oe_ratio"
horizon = 3.0
bound = 1.0
side = "holds"
[[secondary]]
measure = "sensitivity"
"""


def test_the_plan_comes_first_and_everything_else_is_exploratory(tmp_path):
    """Verdicts, sections and deviations follow the file."""
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    plan = read_plan(path)
    patients = made(1500, 3)
    sex = np.array(["f", "m"], dtype=object)[np.arange(1500) % 2]
    patients = replace(patients, subgroups={"sex": sex, "site": sex})
    request = Request(predictions=path, time="t", event="e", horizons=(1.0, 3.0), risks=("r",))
    filled, settings = with_plan(request, Settings(bootstrap=0), plan)
    assert filled.subgroups == ("sex",)
    assert settings.cutpoints == (0.2,)
    document = evaluate(patients, settings).to_json()
    found = document["plan"]
    assert found["primary"]["verdict"] == "met"
    assert found["primary"]["estimate"] == document["discrimination"]["auc"][1]["estimate"]
    assert [one["verdict"] for one in found["secondary"]] == ["met", "reported"]
    sections = found["sections"]
    assert sections["subgroups: sex"] == sections["groups"] == "pre-declared"
    assert sections["subgroups: site"] == sections["adjusted"] == "exploratory"
    assert found["deviations"] == []
    moved = evaluate(patients, replace(settings, cutpoints=(0.3,))).to_json()["plan"]
    assert moved["deviations"] == ["cutpoints: 0.2 declared, 0.3 used"]
    assert moved["sections"]["groups"] == "exploratory"
    failing = Plan.from_mapping({"primary": {"measure": "auc", "bound": 0.99}})
    assert (
        evaluate(patients, replace(settings, plan=failing)).to_json()["plan"]["primary"]["verdict"]
        == "not met"
    )
    absent = Plan.from_mapping({"primary": {"measure": "adjusted_hazard_ratio"}})
    none = evaluate(patients, replace(settings, plan=absent)).to_json()["plan"]
    assert none["primary"]["estimate"] is None
    assert none["deviations"]
    without = evaluate(patients, Settings(bootstrap=0)).to_json()["plan"]
    assert set(without["sections"].values()) == {"exploratory"}
    assert "--plan" in without["reason"]


def test_a_declared_hazard_ratio_of_an_empty_group_is_not_another_one(tmp_path):
    """Nobody is in the low group: no contrast to it, and no other number in its place."""
    path = tmp_path / "plan.toml"
    path.write_text('[primary]\nmeasure = "hazard_ratio"\n')
    patients = made(400, 3)
    risk = patients.risks[:, -1]
    for cuts, there in (((0.5 * float(risk.min()), 0.4), False), ((0.2, 0.4), True)):
        settings = Settings(bootstrap=0, cutpoints=cuts, plan=read_plan(path))
        primary = evaluate(patients, settings).to_json()["plan"]["primary"]
        assert (primary["estimate"] is not None) is there


def test_json_and_toml_plans_are_one(tmp_path):
    """The same plan in JSON; the digest is that of the file."""
    (tmp_path / "p.toml").write_text('[primary]\nmeasure = "auc"\nhorizon = 3\n')
    (tmp_path / "p.json").write_text(json.dumps({"primary": {"measure": "auc", "horizon": 3}}))
    one, two = read_plan(tmp_path / "p.toml"), read_plan(tmp_path / "p.json")
    assert one.primary == two.primary
    assert one.digest != two.digest
    assert one.digest.startswith("sha256:")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[primary]\nmeasure = "acu"\n', "'acu' is unknown"),
        ("name = 'x'\n", "`primary` is missing"),
        ('subgroup = ["a"]\n[primary]\nmeasure = "auc"\n', "did you mean `subgroups`"),
        ('[primary]\nmeasure = "auc"\nside = "over"\n', "side 'over'"),
        ('[primary]\nmeasure = "auc"\nhorizon = "two"\n', "expected a number"),
        ('cutpoints = ["a"]\n[primary]\nmeasure = "auc"\n', "list of numbers"),
        ('secondary = "auc"\n[primary]\nmeasure = "auc"\n', "list of tables"),
        ('recalibrate = 1\n[primary]\nmeasure = "auc"\n', "true or false"),
        ("= 3\n", "cannot be read"),
    ],
)
def test_plans_that_are_wrong_are_refused(tmp_path, text, words):
    """Each fault is named, unknown keys with the nearest known one."""
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_plan(path)


def test_a_plan_has_to_fit_the_call(tmp_path):
    """A declared horizon that is not judged, a file that is not there, a JSON list."""
    request = Request(predictions=tmp_path, time="t", event="e", horizons=(1.0,), risks=("r",))
    plan = Plan.from_mapping({"primary": {"measure": "auc", "horizon": 5}})
    with pytest.raises(ConfigError, match="--horizon 5"):
        with_plan(request, Settings(), plan)
    with pytest.raises(ConfigError, match=r"none\.toml"):
        read_plan(tmp_path / "none.toml")
    (tmp_path / "p.json").write_text("[1]")
    with pytest.raises(ConfigError, match="no table"):
        read_plan(tmp_path / "p.json")


@pytest.mark.parametrize(
    "wrong",
    [{"landmarks": (-1.0,)}, {"grace": -1.0}, {"low_risk_limit": 1.0}, {"imputations": 1}],
)
def test_settings_of_the_claims_have_their_ranges(wrong):
    """Out of range is a usage error."""
    with pytest.raises(ConfigError):
        Settings(**wrong)


def test_the_plan_of_the_how_to_page_is_understood(tmp_path):
    """The example that people copy is one that is read."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "evaluate-predictions.md"
    block = page.read_text().split("```ini\n")[1].split("```")[0]
    (tmp_path / "plan.toml").write_text(block)
    plan = read_plan(tmp_path / "plan.toml")
    assert plan.primary.bound == 0.65
    assert [one.side for one in plan.secondary] == ["holds"]
    assert plan.subgroups == ("sex",)
    for name in MEASURES:
        assert f"`{name}`" in page.read_text(), name
