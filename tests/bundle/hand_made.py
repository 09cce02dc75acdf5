"""A small model made by hand, so that every number of it can be worked out in a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metastra.bundle.cases import linear_self_test
from metastra.bundle.contract import (
    Contract,
    Cutpoints,
    EndpointStatement,
    IntendedUse,
    MissingRule,
    Predictor,
)
from metastra.bundle.linear import LinearModel
from metastra.bundle.loading import open_bundle
from metastra.bundle.locking import lock_bundle
from metastra.bundle.parts import Development
from metastra.bundle.plans import AnalysisPlan, ChangePlan, PrimaryMeasure
from metastra.bundle.writing import bundle_files, write_bundle
from metastra.signing import PrivateKey

PREDICTORS = (
    Predictor(
        name="age",
        kind="continuous",
        unit="years",
        minimum=18.0,
        maximum=110.0,
        validated_low=40.0,
        validated_high=88.0,
        missing=MissingRule(rule="refuse"),
    ),
    Predictor(
        name="stage",
        kind="ordinal",
        scheme="AJCC-8",
        axis="stage",
        collapse_stage=True,
        missing=MissingRule(rule="impute", fill=(2.0,), meaning="median II"),
    ),
    Predictor(
        name="MMR",
        kind="binary",
        levels=("pMMR", "dMMR"),
        missing=MissingRule(rule="impute", fill=(0.0,), meaning="most frequent", indicator=True),
    ),
    Predictor(
        name="CEA",
        kind="continuous",
        unit="ng/ml",
        transform="log1p",
        minimum=0.0,
        validated_low=0.5,
        validated_high=120.0,
        missing=MissingRule(rule="impute", fill=(4.0,), meaning="median 4", indicator=True),
    ),
    Predictor(
        name="location",
        kind="categorical",
        levels=("left", "right", "rectum"),
        missing=MissingRule(rule="impute", fill=(0.0, 0.0), meaning="most frequent left"),
    ),
)


def make_contract(**changes: object) -> Contract:
    values: dict[str, object] = {
        "intended_use": IntendedUse(),
        "endpoint": EndpointStatement(
            name="metachronous-liver-metastasis",
            definition="first liver metastasis; death without it competes",
            time_zero="surgery + 3 months",
            competing=True,
            synchronous_window_months=3.0,
        ),
        "time_unit": "months",
        "horizons": (12.0, 24.0),
        "primary_horizon": 24.0,
        "cutpoints": Cutpoints(
            horizon=24.0, values=(0.1, 0.25), names=("low", "intermediate", "high"), source="thirds"
        ),
        "predictors": PREDICTORS,
        "missing_rule": "median or most frequent level; age is required",
    }
    return Contract(**(values | changes))


def make_model() -> LinearModel:
    times = np.arange(30.0, 901.0, 30.0)
    return LinearModel(
        centre=np.array([68.0, 2.0, 0.15, 0.05, np.log(5.0), 0.08, 0.3, 0.3]),
        scale=np.array([10.0, 0.7, 0.36, 0.22, 1.0, 0.27, 0.46, 0.46]),
        coef={
            1: np.array([-0.05, 0.6, -0.2, 0.02, 0.4, 0.05, -0.1, 0.02]),
            2: np.array([0.7, 0.05, 0.0, 0.0, 0.05, 0.0, 0.02, 0.0]),
        },
        times_days=times,
        jumps={1: np.full(times.size, 0.006), 2: np.full(times.size, 0.004)},
        last_time_days=1500.0,
    )


def make_plan(contract: Contract) -> AnalysisPlan:
    return AnalysisPlan(
        primary=PrimaryMeasure(
            measure="auc", horizon=24.0, success="lower limit above", lower=0.65
        ),
        cutpoints=contract.cutpoints.values if contract.cutpoints else (),
        missing_data="the locked rule; no outcome is imputed",
        ties="half",
        competing_risks="Aalen-Johansen",
    )


def make_files(**changes: object) -> dict[str, bytes]:
    contract, model = make_contract(), make_model()
    values: dict[str, object] = {
        "name": "hand",
        "contract": contract,
        "plan": make_plan(contract),
        "change_plan": ChangePlan(),
        "development": Development(statement="made by hand"),
        "self_test": linear_self_test(contract, model),
        "model": model,
        "parents": {"study": "0" * 64},
        "seed": 7,
    }
    return bundle_files(**(values | changes))


def lock_files(files: dict[str, bytes], folder: Path, private: PrivateKey) -> dict[str, bytes]:
    write_bundle(folder, files)
    locking = lock_bundle(open_bundle(folder))
    return locking.files(files, private, locked_at="2026-01-30T08:00:00Z")
