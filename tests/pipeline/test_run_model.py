"""A run with a model: what is predicted by whom, judged as `evaluate` would, removed when stale."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from metastra.bundle.loading import open_bundle
from metastra.evaluation.patients import Settings
from metastra.evaluation.request import Request
from metastra.pipeline.evaluate import judge
from metastra.pipeline.opening import open_study
from metastra.pipeline.run import run_study
from metastra.storage import read_record
from metastra.synthetic.generate import synthetic_study
from metastra.units import TimeUnit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "study"
    for name, content in synthetic_study(n_patients=400, seed=3).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    summary = run_study(open_study(folder))
    assert {item.done for item in summary.results} == {"made"}
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "run" / "predictions.csv").open() as stream:
        return list(csv.DictReader(stream))


def stored(folder: Path) -> dict[Path, bytes]:
    """Every file of the run but the lock and the manifests: who works there, and when."""
    files = [path for path in (folder / "run").rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in files if not {".lock", "runs"} & set(path.parts)}


def test_everybody_is_predicted_once_by_horizon_or_has_a_reason(folder):
    """Development by the fold's model, external by the bundle; no patient is lost."""
    opened = open_study(folder)
    cohort = opened.check().cohort
    bundle = open_bundle(folder / "run" / "bundle")
    table = rows(folder)
    assert cohort is not None
    assert Counter((row["PATIENT"], row["horizon"]) for row in table) == Counter(
        (patient.key, repr(horizon))
        for patient in cohort.patients
        for horizon in bundle.contract.horizons
    )
    for row in table:
        assert bool(row["risk"]) != bool(row["reason"])
        inside = row["cohort"] in {"north", "rhine"}
        assert bool(row["fold"]) == inside
        assert row["bundle"] == ("" if inside else bundle.digest)
    outside = [row for row in table if row["cohort"] == "south" and row["risk"]]
    risks = np.array([float(row["risk"]) for row in outside]).reshape(-1, 3)
    assert (np.diff(risks, axis=1) >= 0).all()
    cuts = bundle.contract.cutpoints
    assert cuts is not None
    at = risks[:, bundle.contract.horizons.index(cuts.horizon)]
    names = np.array(cuts.names)[np.searchsorted(cuts.values, at, side="right")]
    assert names.tolist() == [row["risk_group"] for row in outside[::3]]


def test_the_model_is_compared_with_the_truth_in_each_cohort(folder):
    """True risks stand in no table that a model sees; here they are put beside the predictions."""
    found = json.loads((folder / "run" / "truth.json").read_text())
    table = rows(folder)

    assert [part["cohort"] for part in found["cohorts"]] == ["north", "rhine", "south"]
    for part in found["cohorts"]:
        risks = {row["PATIENT"]: row for row in table if row["cohort"] == part["cohort"]}
        assert part["n"] + part["without_risk"] == len(risks)
        for name in ("c_true", "c_model", "c_clinical", "recovered"):
            number = part[name]
            assert number["n"] == part["n"]
            if part["events"] < 5:
                assert "too few for an interval" in number["reason"]
            else:
                assert number["lower"] <= number["estimate"] <= number["upper"]
        assert part["c_true"]["estimate"] > 0.6


def test_without_its_table_of_true_risks_the_comparison_is_left_out(tmp_path):
    """A copy of the study without the truth runs like any other."""
    for name, content in synthetic_study(n_patients=60, seed=3).items():
        if not name.startswith("truth/"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
    summary = run_study(open_study(tmp_path), dry_run=True)
    (truth,) = (item for item in summary.results if item.stage == "truth")
    assert truth.done == "left out"
    assert truth.reasons == ("the table that [synthetic] names is not there",)


def test_the_evaluation_is_what_evaluate_gives_on_the_table(folder):
    """The judge sees the table alone; every number is the same."""
    bundle = open_bundle(folder / "run" / "bundle")
    cuts = bundle.contract.cutpoints
    assert cuts is not None
    request = Request(
        predictions=folder / "run" / "predictions.csv",
        time="time",
        event="event",
        cohort="cohort",
        risks=("risk",),
        risk_score="risk_score",
        risk_group="risk_group",
        horizons=bundle.contract.horizons,
        time_unit=TimeUnit.MONTHS,
    )
    settings = Settings(
        bootstrap=1000,
        seed=open_study(folder).study.study.seed,
        cutpoints=cuts.values,
        cutpoint_horizon=cuts.horizon,
    )
    wanted = json.loads(json.dumps(judge(request, settings).evaluation.to_json()))
    found = json.loads((folder / "run" / "evaluation.json").read_text())
    for name in ("discrimination", "calibration", "risk_groups", "utility", "n", "events"):
        assert found[name] == wanted[name], name
    assert found["validation"]["south"] == "external: bundle"
    assert found["cohorts"]["south"]["bundle"] == bundle.digest
    assert found["risk_groups"]["cutpoints"] == list(cuts.values)
    assert found["risk_groups"]["assigned"]


def test_risk_groups_are_those_of_the_model_that_predicted(folder):
    """Out of fold each fold's own cut-points hold; the bundle's saw these patients."""
    found = json.loads((folder / "run" / "evaluation.json").read_text())
    with (folder / "run" / "predictions.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["risk"]]
    horizon = max(float(row["horizon"]) for row in rows)
    rows = [row for row in rows if float(row["horizon"]) == horizon]
    recut = 0
    for name, part in found["cohorts"].items():
        mine = [row["risk_group"] for row in rows if row["cohort"] == name]
        counts = {group["name"]: group["n"] for group in part["risk_groups"]["groups"]}
        assert counts == {group: mine.count(group) for group in counts}
        bundles_own = [
            counts_as(float(row["risk"]), found["risk_groups"]["cutpoints"])
            for row in rows
            if row["cohort"] == name
        ]
        recut += sum(one != other for one, other in zip(mine, bundles_own, strict=True))
    assert recut, "the folds cut where the bundle does: this study cannot show the difference"


def counts_as(risk: float, cutpoints: list[float]) -> str:
    return ("low", "intermediate", "high")[sum(risk >= cut for cut in cutpoints)]


def test_a_second_run_makes_nothing_and_a_study_without_predictors_removes_the_model(folder):
    """What this study would not make is not left behind from another."""
    before = stored(folder)
    again = run_study(open_study(folder))
    assert {item.done for item in again.results} == {"up to date"}
    assert stored(folder) == before

    study = folder / "study.toml"
    text = study.read_text()
    study.write_text(re.sub(r"(?s)\[clinical\].*?\n\n", "\n", text))
    results = {item.stage: item for item in run_study(open_study(folder)).results}
    for name in ("bundle", "predictions", "evaluation"):
        assert results[name].done == "left out"
        assert "no predictors under [clinical]" in results[name].reasons[0]
        assert read_record(folder / "run", name) is None
    assert not (folder / "run" / "predictions.csv").exists()
    study.write_text(text)
