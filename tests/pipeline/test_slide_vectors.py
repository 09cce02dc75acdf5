"""Feature files to a table of one row a slide."""

from __future__ import annotations

import csv
import io
import json

import h5py
import numpy as np
import pytest

from features.bags import make_bag, store
from metastra.errors import ConfigError, DataError
from metastra.features.files import read_bag
from metastra.features.pooling import mean_vector, prototype_vector
from metastra.features.prototypes import read_prototypes
from metastra.features.writing import write_own
from metastra.pipeline.slide_vectors import VectorsRequest, slide_vectors


@pytest.fixture
def features(tmp_path):
    """Four slides, one without a tile, and a file that is none."""
    folder = tmp_path / "features"
    folder.mkdir()
    for number in range(3):
        store(folder / f"s{number}.h5", write_own(make_bag(40 + number, 6, seed=number)))
    store(folder / "s3.h5", write_own(make_bag(0, 6)))
    (folder / "s4.h5").write_bytes(b"no file")
    return folder


def pooled(*paths, out, **more):
    return slide_vectors(VectorsRequest(paths=paths, out=out, **more))


def test_means_are_written_with_nine_digits_and_every_slide_is_accounted_for(features, tmp_path):
    summary = pooled(features, out=tmp_path / "means.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "means.csv").read_text())))
    assert [row["SLIDE"] for row in rows] == ["s0", "s1", "s2"]
    assert [row["n_tiles"] for row in rows] == ["40", "41", "42"]
    for row in rows:
        expected = mean_vector(read_bag(features / f"{row['SLIDE']}.h5"))
        found = [float(row[f"mean_f{n:04d}"]) for n in range(1, 7)]
        np.testing.assert_allclose(found, expected, rtol=1e-8)
    assert summary.excluded == ("s3",)
    assert list(summary.failed) == ["s4"]
    assert summary.to_json()["counts"] == {"done": 3, "excluded": 1, "failed": 1}


def test_prototypes_are_learned_once_and_used_on_other_slides(features, tmp_path):
    folder = tmp_path / "known"
    asked = {"pool": "prototypes", "prototypes": folder}
    pooled(features / "s0.h5", features / "s1.h5", out=tmp_path / "a.h5", learn=4, **asked)
    card = json.loads((folder / "prototypes.json").read_text())
    assert (card["k"], card["n_slides"], card["n_tiles"]) == (4, 2, 81)
    before = (folder / "prototypes.safetensors").read_bytes()
    pooled(features / "s2.h5", out=tmp_path / "b.h5", **asked)
    assert (folder / "prototypes.safetensors").read_bytes() == before
    known, _, digest = read_prototypes(folder)
    with h5py.File(tmp_path / "b.h5") as file:
        expected = prototype_vector(read_bag(features / "s2.h5"), known)
        np.testing.assert_array_equal(file["features"][0], expected.astype(np.float32))
        assert file.attrs["prototypes_digest"] == digest
        assert file.attrs["pool"] == "prototypes"
        assert file["slide"].asstr()[:].tolist() == ["s2"]
        assert file["names"].asstr()[:].tolist()[:5] == [
            "share_p01",
            "share_p02",
            "share_p03",
            "share_p04",
            "p01_f0001",
        ]
        assert len(file["names"]) == file["features"].shape[1] == 4 + 4 * 6


def test_features_of_another_encoder_are_named_and_left_out(features, tmp_path):
    from dataclasses import replace

    from features.bags import ORIGIN

    other = replace(ORIGIN, encoder="other", encoder_digest="e" * 64)
    store(features / "z.h5", write_own(make_bag(9, 6, origin=other)))
    summary = pooled(features, out=tmp_path / "means.csv")
    assert "SL059 encoder is 'other', expected 'morphology'" in summary.failed["z"]
    assert summary.done == ("s0", "s1", "s2")


def test_a_study_learns_from_development_alone(tmp_path):
    """The external slides stand far from all others; no prototype goes there."""
    run_dir = tmp_path / "run"
    rows = []
    for number, cohort in enumerate(["north", "south", "north"]):
        bag = make_bag(50, 4, seed=number, dtype=np.float32)
        if cohort == "south":
            object.__setattr__(bag, "features", bag.features + 1e5)
        store(run_dir / "features" / f"S-{number}.h5", write_own(bag))
        rows.append(
            {"slide": f"S-{number}", "patient": f"P-{number}", "cohort": cohort, "state": "done"}
            | {"features": f"features/S-{number}.h5"}
        )
    write_index(run_dir, rows)
    (tmp_path / "study.toml").write_text(STUDY)
    folder = tmp_path / "known"
    summary = pooled(
        tmp_path, out=tmp_path / "v.csv", pool="prototypes", prototypes=folder, learn=3
    )
    known, card, _ = read_prototypes(folder)
    assert (known.points * known.scale + known.centre).max() < 1e4
    assert (card["n_slides"], card["rule"]) == (2, "slides of the development cohorts")
    assert summary.done == ("S-0", "S-1", "S-2")
    table = list(csv.DictReader(io.StringIO((tmp_path / "v.csv").read_text())))
    assert [(row["PATIENT"], row["COHORT"]) for row in table] == [
        ("P-0", "north"),
        ("P-1", "south"),
        ("P-2", "north"),
    ]


STUDY = """
[study]
name = "x"
[endpoint]
name = "overall-survival"
[clock]
last_contact = "T"
[[cohort]]
name = "north"
role = "development"
clini_table = "t.csv"
[[cohort]]
name = "south"
role = "external"
clini_table = "t.csv"
"""


def write_index(run_dir, rows):
    from metastra.storage import Recipe, json_bytes, write_product

    index = {"slides": rows, "counts": {"failed": 0}}
    write_product(
        run_dir, "features", Recipe(kind="features-index"), {"features.json": json_bytes(index)}
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"out": "v.txt"}, r"v\.txt: a table ends with \.csv or \.h5"),
        ({"learn": 3}, "belong to --pool prototypes"),
        ({"pool": "prototypes"}, "needs --prototypes DIR"),
    ],
)
def test_options_that_contradict_are_refused(tmp_path, changes, said):
    given = {"out": "v.csv", **changes}
    with pytest.raises(ConfigError, match=said):
        VectorsRequest(paths=(tmp_path,), **{**given, "out": tmp_path / given["out"]})


def test_nothing_to_pool_is_said(features, tmp_path):
    with pytest.raises(ConfigError, match="no feature file was named"):
        pooled(tmp_path / "none.csv", out=tmp_path / "v.csv")
    with pytest.raises(DataError, match="no slide can be pooled; none has a tile"):
        pooled(features / "s3.h5", out=tmp_path / "v.csv")
    with pytest.raises(DataError, match="no slide can be pooled; s4: SL052"):
        pooled(features / "s4.h5", out=tmp_path / "v.csv")
    with pytest.raises(ConfigError, match="no development slide with tiles"):
        pooled(
            features / "s3.h5",
            out=tmp_path / "v.csv",
            pool="prototypes",
            prototypes=tmp_path / "known",
            learn=2,
        )


def test_the_features_of_a_real_slide(shared, tmp_path):
    """The stored features of a TCGA slide: the mean against numpy's own."""
    path = shared / "data" / "features" / "mopadi_TCGA-AD-6964-01Z-00-DX1.h5"
    pooled(path, out=tmp_path / "v.h5")
    with h5py.File(path) as source, h5py.File(tmp_path / "v.h5") as made:
        expected = source["feats"][:].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(made["features"][0], expected, rtol=1e-5, atol=1e-7)
