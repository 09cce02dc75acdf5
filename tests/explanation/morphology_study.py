"""A study whose feature files say that the embedded encoder made them, so real slides fit it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from metastra.digest import digest_value
from metastra.encoders.registry import get_encoder
from metastra.extraction.slide import QUALITY_RULE
from metastra.features.bag import Bag, BagFrame, BagOrigin
from metastra.features.writing import write_own
from metastra.storage import write_atomically

STUDY = """
[study]
name = "features"
seed = 5
[endpoint]
time_unit = "months"
horizons = [12, 24]
primary_horizon = 24
time = "months"
event = "status"
[endpoint.codes]
"0" = "censored"
"1" = "event"
[[cohort]]
name = "north"
role = "development"
clini_table = "north/clini.csv"
slide_table = "north/slides.csv"
feature_dir = "north/files"
[[cohort]]
name = "south"
role = "external"
clini_table = "south/clini.csv"
slide_table = "south/slides.csv"
feature_dir = "south/files"
[clinical]
age = { kind = "continuous", unit = "years", minimum = 18, maximum = 110 }
[validation]
folds = 3
[model]
aggregator = "linear"
"""


def write_study(folder: Path, *, n: int = 60) -> Path:
    """Write a study in which the density of nuclei, planted, carries the prognosis."""
    card = get_encoder("morphology").card
    place = card.feature_names.index("nuclei_per_mm2_of_tissue")
    for number, cohort in enumerate(("north", "south")):
        rng = np.random.default_rng(number)
        rows, slides = [], []
        (folder / cohort / "files").mkdir(parents=True)
        for patient in range(n if cohort == "north" else n // 2):
            level, name = rng.normal(), f"{cohort}-{patient:03d}"
            event = rng.exponential(30.0 / np.exp(1.2 * level))
            end = rng.uniform(20.0, 60.0)
            age = rng.normal(68.0, 9.0)
            rows.append([name, f"{age:.1f}", f"{min(event, end):.3f}", int(event < end)])
            for slide in range(2 if patient % 6 == 0 else 1):
                file = f"{patient:03d}-{slide}.h5"
                _write_bag(folder / cohort / "files" / file, level, rng, card, place)
                slides.append([name, file])
        _write(folder / cohort / "clini.csv", ["PATIENT", "age", "months", "status"], rows)
        _write(folder / cohort / "slides.csv", ["PATIENT", "FILENAME"], slides)
    (folder / "study.toml").write_text(STUDY)
    return folder


def _write(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(header)
        table.writerows(rows)


def _write_bag(path, level, rng, card, place) -> None:
    n = int(rng.integers(12, 24))
    values = rng.normal(size=(n, card.dimension)) * 0.1
    values[:, place] += 2000.0 + 600.0 * level + 200.0 * rng.normal(size=n)
    coords = np.array([(448 * (i % 5), 448 * (i // 5)) for i in range(n)], dtype=np.int64)
    bag = Bag(
        features=values.astype(np.float32),
        coords=coords,
        frame=BagFrame(
            mpp=(0.25, 0.25),
            tile_side_um=112.0,
            tile_side_px0=(448.0, 448.0),
            target_mpp=0.5,
            tile_px=224,
        ),
        origin=BagOrigin(
            name=path.stem,
            encoder=card.name,
            engine=card.engine,
            precision=card.precision,
            encoder_digest=card.digest,
            quality_digest=digest_value(QUALITY_RULE),
            feature_names=card.feature_names,
        ),
    )
    writer = write_own(bag)
    write_atomically(path, writer.write, verify=writer.verify)
