"""A study of feature files in which the slides carry half of the prognosis, and the table half."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metastra.features.bag import Bag, BagFrame, BagOrigin
from metastra.features.writing import write_own
from metastra.storage import write_atomically

FEATURES = 6
DIGEST = "ab" * 32
STUDY = """
[study]
name = "slides"
title = "A study of feature files"
seed = 11
[endpoint]
time_unit = "months"
horizons = [12, 24]
primary_horizon = 24
time = "months"
event = "status"
[endpoint.codes]
"0" = "censored"
"1" = "event"
"2" = "competing"
{cohorts}
[clinical]
age = {{ kind = "continuous", unit = "years", minimum = 18, maximum = 110 }}
grade = {{ kind = "ordinal", levels = ["1", "2", "3"] }}
[validation]
folds = 3
[model]
aggregator = "{aggregator}"
steps = [5, 10]
"""
COHORT = """
[[cohort]]
name = "{name}"
role = "{role}"
clini_table = "{name}/clini.csv"
slide_table = "{name}/slides.csv"
feature_dir = "{name}/files"
"""


@dataclass(frozen=True)
class Kind:
    """What the feature files of a cohort say of themselves."""

    encoder: str = "planted"
    digest: str = DIGEST
    engine: str = "numpy"
    precision: str = "float32"
    mpp: float = 0.25
    target_mpp: float = 0.5
    shift: float = 0.0
    features: int = FEATURES
    names: tuple[str, ...] = ()
    quality: str = "cd" * 32
    named: bool = True


def _names(kind: Kind) -> tuple[str, ...]:
    if not kind.named:
        return ()
    return kind.names or tuple(f"f{k}" for k in range(kind.features))


def write_bag(
    path: Path,
    level: float,
    rng: np.random.Generator,
    kind: Kind = Kind(),
    tiles: int | None = None,
) -> Path:
    """Write a feature file whose first feature has the mean `level`."""
    n = int(rng.integers(12, 30)) if tiles is None else tiles
    values = rng.normal(size=(n, kind.features)) + kind.shift
    values[:, :1] += level
    scale = kind.target_mpp / kind.mpp
    bag = Bag(
        features=values.astype(np.float32),
        coords=np.column_stack([np.arange(n) * int(224 * scale), np.zeros(n, int)]).astype(
            np.int64
        ),
        frame=BagFrame(
            mpp=(kind.mpp, kind.mpp),
            tile_side_um=224 * kind.target_mpp,
            tile_side_px0=(224 * scale, 224 * scale),
            target_mpp=kind.target_mpp,
            tile_px=224,
        ),
        origin=BagOrigin(
            name=path.stem,
            encoder=kind.encoder,
            engine=kind.engine,
            precision=kind.precision,
            encoder_digest=kind.digest,
            quality_digest=kind.quality,
            feature_names=_names(kind),
        ),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = write_own(bag)
    write_atomically(path, writer.write, verify=writer.verify)
    return path


def write_cohort(
    folder: Path, name: str, n: int, *, seed: int, kind: Kind = Kind(), signal: float = 1.0
) -> None:
    """Write tables and feature files of one cohort; every fifth patient has two slides."""
    rng = np.random.default_rng(seed)
    age = rng.normal(68.0, 9.0, n).clip(30, 95)
    grade = rng.integers(1, 4, n)
    level = rng.normal(size=n)
    hazard = np.exp(0.7 * (grade - 2) + signal * level)
    event = rng.exponential(40.0 / hazard)
    death = rng.exponential(140.0 * np.exp(-0.05 * (age - 68.0)))
    censored = rng.uniform(20.0, 60.0, n)
    times = np.column_stack([censored, event, death])
    (folder / name).mkdir(parents=True)
    with (folder / name / "clini.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["PATIENT", "age", "grade", "months", "status"])
        for row in range(n):
            time, status = times[row].min(), int(times[row].argmin())
            table.writerow(
                [f"{name}-{row:03d}", f"{age[row]:.1f}", grade[row], f"{time:.3f}", status]
            )
    with (folder / name / "slides.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["PATIENT", "FILENAME", "STAIN", "SCANNER"])
        for row in range(n):
            for slide in range(2 if row % 5 == 0 else 1):
                file = f"{row:03d}-{slide}.h5"
                write_bag(folder / name / "files" / file, float(level[row]), rng, kind)
                table.writerow([f"{name}-{row:03d}", file, "H&E", f"scanner {name}"])


def write_study(
    folder: Path,
    *,
    aggregator: str = "linear",
    n: int = 80,
    n_external: int = 26,
    signal: float = 1.0,
    kinds: tuple[Kind, Kind] = (Kind(), Kind()),
) -> Path:
    """Write a whole study: a development cohort `north`, an external one `south`."""
    write_cohort(folder, "north", n, seed=1, kind=kinds[0], signal=signal)
    roles = {"north": "development"}
    if n_external:
        write_cohort(folder, "south", n_external, seed=2, kind=kinds[1], signal=signal)
        roles["south"] = "external"
    cohorts = "".join(COHORT.format(name=name, role=role) for name, role in roles.items())
    (folder / "study.toml").write_text(STUDY.format(cohorts=cohorts, aggregator=aggregator))
    return folder
