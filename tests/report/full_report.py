"""A full report of the made-up study: three models, slides, truth, extreme patients."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from metastra.evaluation.evaluate import evaluate
from metastra.evaluation.patients import Patients, Settings
from metastra.report.extreme_patients import ExtremePatient, PictureTile
from metastra.report.page_parts import PageSettings
from metastra.report.report_page import ReportPage, RiskGroupOutcomes
from metastra.report.slide_quality import CodeCount, QualityPicture, SlideQuality
from metastra.survival.outcome import Outcome
from metastra.units import TimeUnit

__all__ = ["judged", "patient", "report"]

HORIZONS = (12.0, 24.0, 36.0)


def jpeg(size=(40, 30)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (220, 160, 190)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture(scope="session")
def judged(cohort) -> dict[str, Any]:
    """The 300 patients judged by three models, as a run stores it."""
    rng = np.random.default_rng(8)
    time, event = cohort.time_days / 30.4375, cohort.event
    ill = ((event == 1) & (time < 24.0)).astype(float)
    clinic, slide = (0.5 * ill + rng.normal(size=(2, len(ill)))).astype(float)

    def risks(score):
        return 1.0 - np.exp(-np.outer(np.exp(0.5 * score), [0.08, 0.16, 0.24]))

    models = {"clinical": clinic, "slides": slide, "combined": clinic + slide}
    found = {}
    for name, score in models.items():
        patients = Patients(
            outcome=Outcome(time=time, event=event),
            horizons=HORIZONS,
            time_unit=TimeUnit.MONTHS,
            risks=risks(score),
            baseline=None if name == "clinical" else risks(clinic),
            cohort=cohort.cohort_names.astype(object),
        )
        found[name] = evaluate(patients, Settings(bootstrap=0, cutpoints=(0.1, 0.2))).to_json()
    return {**found["combined"], "models": found, "primary_model": "combined"}


def curves(n: int, seed: int) -> dict[str, Outcome]:
    rng = np.random.default_rng(seed)
    return {
        name: Outcome(time=rng.uniform(20, 1400, n), event=rng.integers(0, 3, n))
        for name in ("low", "high")
    }


def patient(**changes) -> ExtremePatient:
    line = [0.0, -0.2, -0.4]
    document = {
        "n_tiles": 57,
        "slide_score": 1.25,
        "faithfulness": {
            "tested": True,
            "beats_random": True,
            "area_between": 0.12,
            "p": 0.024,
            "random_orders": 40,
            "curves": {
                "shares": [0.0, 0.5, 0.98],
                "raising_first": line,
                "lowering_first": [0.0, 0.2, 0.1],
                "random_mean": [0.0, 0.0, 0.0],
                "random_low": [0.0, -0.1, -0.2],
                "random_high": [0.0, 0.1, 0.2],
            },
        },
    }
    tile = PictureTile(picture=jpeg(), contribution=0.031, words=("lumina per mm² +2.1 SD",))
    low = PictureTile(picture=b"", contribution=-0.02, words=())
    given: dict[str, Any] = {
        "patient": "P-s001",
        "cohort": "south",
        "which": "highest",
        "risk": 0.41,
        "slide": "S-abc",
        "n_slides": 2,
        "map_picture": jpeg(),
        "raising": (tile,),
        "lowering": (low,),
        "document": document,
        "note": "Explained by the bundle.",
    }
    return ExtremePatient(**(given | changes))


@pytest.fixture(scope="session")
def report(page, judged) -> ReportPage:
    """Everything that a report can show."""
    strip = QualityPicture(
        name="S-abc", picture=jpeg(), status="assessed", use=True, codes=("QC003",)
    )
    number = {"estimate": 0.81, "lower": 0.7, "upper": 0.9}
    return ReportPage(
        cohort=replace(page, settings=PageSettings(checks_href="")),
        event="metachronous liver metastasis",
        primary_model="combined",
        evaluation=judged,
        risk_groups=(
            RiskGroupOutcomes(name="south", role="external", groups=curves(60, 1), competing=True),
        ),
        quality=SlideQuality(
            assessed=120,
            not_assessable=2,
            failed=1,
            used=121,
            codes=(CodeCount(code="QC003", title="Pen or ink", n=4),),
            strip=(strip, replace(strip, use=False, status="not assessable")),
            n_pictured=122,
            extracted=119,
            excluded=3,
            features_failed=1,
            tiles=54_321,
            grid=70_000,
            encoder="morphology",
        ),
        reference={
            "references": [
                {
                    "name": "stage",
                    "column": "pT",
                    "missing": 3,
                    "mean": number,
                    "cohorts": {"south": number},
                    "model_less_reference": number,
                }
            ]
        },
        truth={
            "cohorts": [
                {"cohort": "south", "role": "external", "n": 120, "events": 30}
                | dict.fromkeys(("c_true", "c_model", "recovered"), number)
            ]
        },
        patients=(patient(), patient(patient="P-s002", which="lowest", reason="no usable slide")),
        products=(("cohort", "0" * 64), ("evaluation", "1" * 64)),
    )
