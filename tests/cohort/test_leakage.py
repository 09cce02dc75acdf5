"""Leakage that tables can show."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.cohort.hierarchy import Course, Patient, Role, Slide, Specimen
from metastra.cohort.leakage import (
    dated_after_prediction,
    metastasis_slides,
    patients_in_two_cohorts,
    shared_slides,
    twins,
)
from metastra.cohort.metadata_model import fit_metadata_model, metadata_problem
from metastra.survival.outcome import Outcome

TABLES = {"north": "n.csv", "south": "s.csv"}


def person(id_: str, cohort: str = "north", **kwargs) -> Patient:
    base = {
        "id": id_,
        "pseudonym": f"P-{id_.strip()}",
        "cohort": cohort,
        "key": id_,
        "row": 2,
        "values": {},
    }
    return Patient(**{**base, **kwargs})


@pytest.mark.parametrize("spelling", ["A1", "a1", "A 1"])
def test_a_patient_of_two_cohorts_is_found_however_spelled(spelling):
    """Case and white space do not hide the same patient."""
    found = patients_in_two_cohorts([person("A1"), person(spelling, "south", row=7)], TABLES)

    assert [(p.code, p.where.cohort, p.where.rows) for p in found] == [("LK001", "south", (7,))]


def test_the_same_patient_twice_in_one_cohort_is_not_this_leak():
    """Repeats within a cohort are the id check's business."""
    assert patients_in_two_cohorts([person("A1"), person("a1")], TABLES) == []


def test_the_same_content_under_two_patients_is_found_whatever_the_names(tmp_path):
    """A copied slide file is found by its bytes; another of the same size is not."""
    for name, content in {"a.svs": b"same", "b.svs": b"same", "c.svs": b"diff"}.items():
        (tmp_path / name).write_bytes(content)
    people = [
        person(name, cohort, slides=(Slide(filename=name, path=tmp_path / name, row=row),))
        for name, cohort, row in [
            ("a.svs", "north", 2),
            ("b.svs", "south", 9),
            ("c.svs", "north", 3),
        ]
    ]

    found = shared_slides(people, TABLES)

    assert [(p.code, p.where.cohort, p.where.rows) for p in found] == [
        ("LK002", "north", (2,)),
        ("LK002", "south", (9,)),
    ]


def test_a_copy_within_one_patient_counts_twice_but_leaks_nothing(tmp_path):
    """The same file under two names of one patient is a repeat."""
    slides = []
    for name in ("a.svs", "b.svs"):
        (tmp_path / name).write_bytes(b"same")
        slides.append(Slide(filename=name, path=tmp_path / name, row=len(slides) + 2))

    found = shared_slides([person("A", slides=tuple(slides))], TABLES)

    assert [(p.code, p.where.rows) for p in found] == [("CO020", (2, 3))]


def clinical(n: int = 40) -> list[Patient]:
    """Patients with two measured and two coded columns, all different."""
    rng = np.random.default_rng(0)
    return [
        person(
            f"A{i}",
            row=i + 2,
            values={
                "age": f"{rng.uniform(30, 90):.1f}",
                "time": str(rng.integers(10, 3000)),
                "sex": "mf"[i % 2],
                "stage": "123"[i % 3],
            },
        )
        for i in range(n)
    ]


def test_two_ids_with_every_value_alike_look_like_one_patient():
    """A repeated patient under a new id is named with both rows."""
    people = clinical()
    people.append(person("B9", row=99, values=dict(people[3].values)))

    found = twins(people, ["age", "time", "sex", "stage"], TABLES)

    assert [(p.code, p.where.rows) for p in found] == [("LK003", (5, 99))]


def test_patients_who_agree_only_in_categories_are_not_twins():
    """Sex and stage alone are shared by many."""
    people = [
        person(f"A{i}", values={"sex": "m", "stage": "2", "a": "x", "b": "y"}) for i in range(9)
    ]

    assert twins(people, ["sex", "stage", "a", "b"], TABLES) == []


def test_one_different_value_is_enough_to_be_two_patients():
    """Twins agree in everything that is recorded."""
    people = clinical()
    people.append(person("B9", row=99, values={**people[3].values, "stage": "9"}))

    assert twins(people, ["age", "time", "sex", "stage"], TABLES) == []


def test_a_slide_of_a_metastasis_is_named():
    """The outcome must not be among the inputs."""
    slide = Slide(filename="m.svs", role=Role.METASTASIS, row=4)

    found = metastasis_slides([person("A", slides=(slide,))], TABLES)

    assert [(p.code, p.where.rows, p.patients) for p in found] == [("LK005", (4,), ("P-A",))]


@pytest.mark.parametrize(("days", "late"), [(0.0, False), (1.0, True), (None, False)])
def test_a_specimen_after_the_time_of_prediction_is_named(days, late):
    """Tissue from after surgery cannot predict from surgery."""
    specimen = Specimen(specimen="S1", days=days, row=3)

    found = dated_after_prediction([person("A", specimens=(specimen,))], after=TABLES)

    assert bool(found) is late


def test_after_metastasis_the_procedure_is_the_time_of_prediction():
    """The metastasis itself, taken at the procedure, is a fair input there."""
    specimen = Specimen(specimen="S1", days=400.0, row=3)
    one = person("A", specimens=(specimen,), course=Course(procedure_days=400.0))

    assert dated_after_prediction([one], after=TABLES, at_procedure=True) == []
    assert len(dated_after_prediction([one], after=TABLES)) == 1


def outcome_of(hazard: np.ndarray, seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    event, censoring = rng.exponential(1 / hazard), rng.exponential(1.5, hazard.size)
    return Outcome(time=np.minimum(event, censoring) + 1e-3, event=(event <= censoring).astype(int))


def test_metadata_that_carry_the_outcome_are_found():
    """A site with five times the hazard is named with its concordance."""
    rng = np.random.default_rng(3)
    site = rng.integers(0, 4, 240)
    y = outcome_of(np.where(site == 0, 5.0, 1.0), 3)
    noise = [float(v) for v in rng.poisson(2, 240)]

    model = fit_metadata_model(y, {"site": [f"s{v}" for v in site], "slides": noise}, seed=1)
    found = metadata_problem(model)

    assert found is not None
    assert found.code == "LK006"
    assert model.concordance > 0.58
    assert model.alone["site"] > model.alone["slides"]


@pytest.mark.slow
def test_the_p_value_of_metadata_is_valid_under_the_null():
    """Without any relation the test rejects in about 5 % of cohorts, never in many more."""
    rejected = []
    for seed in range(120):
        rng = np.random.default_rng([7, seed])
        y = outcome_of(np.ones(120), seed)
        site = [f"s{v}" for v in rng.integers(0, 5, 120)]
        rejected.append(fit_metadata_model(y, {"site": site}, seed=seed).p <= 0.05)

    # 120 draws at 5 %: 13 or more have probability 0.008
    assert sum(rejected) <= 12


@pytest.mark.parametrize(
    ("metadata", "events", "reason"),
    [
        ({"scanner": ["a"] * 50}, 20, "no metadata column varies"),
        ({"scanner": ["a", "b"] * 25}, 5, "at least 10 are needed"),
    ],
)
def test_a_metadata_model_that_cannot_be_fitted_says_why(metadata, events, reason):
    """No number is given without support."""
    event = np.r_[np.ones(events, int), np.zeros(50 - events, int)]
    model = fit_metadata_model(Outcome(time=np.arange(1, 51), event=event), metadata, seed=0)

    assert model.concordance is None
    assert reason in model.reason
    assert metadata_problem(model) is None
