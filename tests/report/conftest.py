"""A made-up study of 300 patients in two cohorts, for all tests of pages and figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from metastra.catalogue import problem
from metastra.cohort.cohort import Cohort
from metastra.cohort.flow import CohortFlow, FlowStep
from metastra.cohort.hierarchy import Patient, Slide
from metastra.errors import Problem, Where
from metastra.report.cohort_page import CohortPage
from metastra.report.cohort_page_build import cohort_page_from
from metastra.report.fold_bars import FoldGroup
from metastra.report.page_parts import (
    AppliedResolution,
    MetadataColumn,
    MetadataModel,
    SplitFold,
    SplitSummary,
)
from metastra.study.study import Study
from report.full_report import judged, report  # noqa: F401 - fixtures

SITES = {"north": ("Nordstadt", "Hafen", "Am Wald"), "south": ("Süd", "Bergklinik")}


def make_study(**changes: Any) -> Study:
    """The promises of the made-up study; keyword arguments replace whole sections."""
    sections: dict[str, Any] = {
        "study": {
            "name": "crc-liver-2y",
            "title": "Liver metastasis within two years of surgery for colorectal cancer",
            "seed": 20260130,
            "primary_tumour": "colorectal",
        },
        "endpoint": {
            "name": "metachronous-liver-metastasis",
            "time": "months",
            "event": "status",
            "codes": {"0": "censored", "1": "event", "2": "competing"},
            "time_unit": "months",
            "horizons": [12, 24, 36],
            "primary_horizon": 24,
            "synchronous_window_months": 3,
        },
        "cohort": [
            {
                "name": "north",
                "role": "development",
                "clini_table": "north/clini.csv",
                "slide_table": "north/slides.csv",
                "slide_dir": "north/slides",
            },
            {
                "name": "south",
                "role": "external",
                "clini_table": "south/clini.csv",
                "slide_table": "south/slides.csv",
                "slide_dir": "south/slides",
            },
        ],
        "clinical": {
            "age": {"kind": "continuous"},
            "pT": {"kind": "ordinal", "coding": "AJCC-8"},
            "side": {"kind": "categorical", "levels": ["left", "right", "rectum"]},
            "CEA": {"kind": "continuous"},
            "lymphatic invasion": {"kind": "binary", "levels": ["L0", "L1"]},
        },
        "metadata": {"site": "site", "scanner": "scanner"},
        "validation": {"folds": 5, "group": ["PATIENT", "site"]},
    }
    return Study.model_validate(sections | changes)


def make_cohort(
    study: Study | None = None, *, n: tuple[int, int] = (180, 120), seed: int = 7, **changes: Any
) -> Cohort:
    """Patients with known hazards: the event at 1 % a month, the competing one at 0.6 %."""
    study = study or make_study()
    rng = np.random.default_rng(seed)
    patients, times, events, flows = [], [], [], []
    for section, size in zip(study.cohort, n, strict=True):
        to_event = rng.exponential(3000 if section.name == "north" else 2600, size)
        to_other = rng.exponential(5000, size)
        to_end = rng.uniform(400, 2500, size)
        time = np.round(np.minimum(np.minimum(to_event, to_other), to_end), 0) + 1.0
        event = np.where(to_end <= np.minimum(to_event, to_other), 0, 1)
        event = np.where((event == 1) & (to_other < to_event), 2, event)
        times.append(time)
        events.append(event)
        patients += [_patient(rng, section.name, i) for i in range(size)]
        flows.append(_flow(section.name, section.role, size, event))
    values: dict[str, Any] = {
        "study": study,
        "patients": tuple(patients),
        "time_days": np.concatenate(times),
        "event": np.concatenate(events).astype(np.int64),
        "flows": tuple(flows),
        "problems": make_problems(),
        "table_digests": {
            f"{section.name}/{kind}": f"{section.name}{kind}".encode().hex().ljust(64, "0")[:64]
            for section in study.cohort
            for kind in ("clini", "slide")
        },
    }
    return Cohort(**(values | changes))


def _patient(rng: np.random.Generator, cohort: str, i: int) -> Patient:
    values: dict[str, str | None] = {
        "age": f"{rng.normal(67, 10):.0f}",
        "pT": rng.choice(["pT1", "pT2", "pT3", "pT4a"], p=[0.03, 0.22, 0.6, 0.15]),
        "side": rng.choice(["left", "right", "rectum"]),
        "CEA": None if rng.random() < 0.2 else f"{rng.lognormal(1.2, 0.8):.1f}",
        "lymphatic invasion": None if rng.random() < 0.02 else rng.choice(["L0", "L1"]),
        "site": rng.choice(SITES[cohort]),
        "scanner": rng.choice(["AT2", "GT450"]),
    }
    name = f"{cohort[0]}{i:03d}"
    return Patient(
        id=f"STUDYID-{name}",
        pseudonym=f"P-{name}",
        cohort=cohort,
        key=f"STUDYID-{name}",
        row=i + 2,
        values={key: None if value is None else str(value) for key, value in values.items()},
        slides=(Slide(filename=f"STUDYID-{name}.svs"),),
    )


def _flow(name: str, role: str, n: int, event: np.ndarray[Any, Any]) -> CohortFlow:
    steps = [
        FlowStep(reason="Metastasis at diagnosis (M1)", stage="criterion", n=31),
        FlowStep(reason="Neoadjuvant treatment before surgery", stage="criterion", n=12),
        FlowStep(reason="event by surgery + 3 months (synchronous), not at risk",
                 stage="endpoint", n=9),
        FlowStep(reason="follow-up ended by surgery + 3 months, not at risk",
                 stage="endpoint", n=4),
        FlowStep(reason="no slide of the primary tumour", stage="slides", n=6),
    ]  # fmt: skip
    if role == "external":
        steps = steps[1:4]
    listed = n + sum(step.n for step in steps)
    return CohortFlow(
        cohort=name,
        role=role,
        n_listed=listed,
        steps=tuple(steps),
        n_analysed=n,
        n_events=int((event == 1).sum()),
        n_competing=int((event == 2).sum()),
        n_slides_listed=listed + 40,
        n_slides_used=n,
    )


def make_problems() -> tuple[Problem, ...]:
    """Warnings and notes as a check leaves them."""
    return (
        problem(
            "EP015",
            "41 events in cohort 'south'",
            where=Where(file="south/clini.csv", cohort="south"),
            expected="at least 100 for a validation",
        ),
        problem(
            "LK003",
            "2 pairs of patients agree in every recorded value",
            where=Where(file="north/clini.csv", rows=(14, 15, 88, 90), cohort="north"),
            patients=("P-n012", "P-n013", "P-n086", "P-n088"),
        ),
        problem(
            "CO039",
            "36 of 242 cells are missing (36 written '')",
            where=Where(
                file="north/clini.csv", rows=tuple(range(2, 74, 2)), column="CEA", cohort="north"
            ),
        ),
        problem(
            "EP018",
            "13 patients had the event or left before surgery + 3 months",
            where=Where(file="north/clini.csv", cohort="north"),
        ),
    )


def make_splits() -> tuple[SplitSummary, ...]:
    """Five folds by patient and site, in counts."""
    parts = tuple(
        FoldGroup(fold=f"fold-{fold}", group=site, n=10 + fold + i, events=2 + (fold + i) % 3)
        for fold in range(5)
        for i, site in enumerate(SITES["north"])
    )
    folds = tuple(
        SplitFold(
            fold=f"fold-{fold}",
            n_train=144 - fold,
            events_train=40,
            n_test=sum(p.n for p in parts if p.fold == f"fold-{fold}"),
            events_test=sum(p.events for p in parts if p.fold == f"fold-{fold}"),
            competing_test=3,
            groups=3,
        )
        for fold in range(5)
    )
    return (SplitSummary(scheme="5 folds by PATIENT and site", folds=folds, parts=parts),)


def make_page(cohort: Cohort | None = None, **changes: Any) -> CohortPage:
    """A full page of the made-up study."""
    cohort = cohort or make_cohort()
    arguments: dict[str, Any] = {
        "splits": make_splits(),
        "resolutions": (
            AppliedResolution(
                code="EP010",
                action="use-events",
                reason="the registry's status lags behind the pathology database by a year",
                patients=tuple(f"P-n{i:03d}" for i in range(7)),
                cohorts=("north",),
            ),
        ),
        "metadata_model": MetadataModel(
            whole=MetadataColumn(
                name="all metadata", concordance=0.58, lower=0.49, upper=0.67, n=180, events=52
            ),
            columns=(
                MetadataColumn(name="scanner", concordance=0.52, n=180, events=52),
                MetadataColumn(name="site", concordance=0.57, n=180, events=52),
                MetadataColumn(name="slide count", reason="no value varies", n=180, events=52),
            ),
            p=0.12,
        ),
        "notes": ("Slides of south were scanned anew in one batch.",),
    }
    return cohort_page_from(cohort, **(arguments | changes))


@pytest.fixture(scope="session")
def study() -> Study:
    """The promises of the made-up study."""
    return make_study()


@pytest.fixture(scope="session")
def cohort() -> Cohort:
    """The 300 patients."""
    return make_cohort()


@pytest.fixture(scope="session")
def page(cohort: Cohort) -> CohortPage:
    """The full page."""
    return make_page(cohort)


@pytest.fixture(scope="session")
def build_study() -> Callable[..., Study]:
    """Make the study with other sections."""
    return make_study


@pytest.fixture(scope="session")
def build_cohort() -> Callable[..., Cohort]:
    """Make the cohort with other values."""
    return make_cohort


@pytest.fixture(scope="session")
def build_page() -> Callable[..., CohortPage]:
    """Make the page with other parts."""
    return make_page
