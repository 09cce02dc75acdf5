"""A real slide goes through a bundle to a risk, by its pixels and by its features."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from chain.conftest import run
from chain.slide_study import Kind, write_study
from metastra.digest import digest_value
from metastra.encoders import registry
from metastra.encoders.morphology import Morphology
from metastra.encoders.registry import get_encoder
from metastra.errors import BundleError
from metastra.executor import Serial
from metastra.extraction.slide import QUALITY_RULE
from metastra.pipeline.given_slides import SlideSource
from metastra.pipeline.predict import PredictSummary, predict_table

pytestmark = pytest.mark.slow

SLIDE = "CMU-1-Small-Region.svs"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of made-up features that bear the names and the card of the embedded encoder."""
    card = get_encoder("morphology").card
    kind = Kind(
        encoder=card.name,
        digest=card.digest,
        engine=card.engine,
        precision=card.precision,
        target_mpp=card.mpp,
        features=card.dimension,
        names=card.feature_names,
        quality=digest_value(QUALITY_RULE),
    )
    folder = tmp_path_factory.mktemp("real") / "study"
    write_study(folder, n=60, n_external=0, kinds=(kind, kind))
    run(folder)
    return folder


def predict(study: Path, folder: Path, slides: Path, file: str) -> PredictSummary:
    folder.mkdir(exist_ok=True)
    (folder / "new.csv").write_text("PATIENT,age,grade\nnew-1,66,2\n")
    (folder / "slides.csv").write_text(f"PATIENT,FILENAME\nnew-1,{file}\n")
    source = SlideSource(
        table=folder / "slides.csv",
        folder=slides,
        store=folder / "features",
        executor=Serial(),
    )
    bundle = study / "run/bundle"
    return predict_table(bundle, folder / "new.csv", folder / "out.csv", slides=source)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "out.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_its_risk_says_first_that_it_lies_outside_the_validated_range(study, tmp_path, shared):
    """Skin is not what this model was made on; its features give the same risk as its pixels."""
    summary = predict(study, tmp_path / "pixels", shared / "data/wsi", SLIDE)
    by_pixels = rows(tmp_path / "pixels")
    assert summary.slides == {"done": 1}
    assert summary.n_outside == 1
    assert [one.code for one in summary.problems if one.severity == "warn"][:2] == [
        "BU023",
        "BU031",
    ]
    for row in by_pixels:
        assert 0.0 < float(row["risk"]) < 1.0
        assert row["note"].startswith("outside the validated range: ")
        assert "tile features (most: " in row["note"]
        assert "0.499 µm per pixel (0.25 to 0.25)" in row["note"]
        assert int(row["n_tiles"]) > 50

    features = tmp_path / "pixels/features"
    (made,) = features.glob("*.h5")
    predict(study, tmp_path / "features", features, made.name)
    by_features = rows(tmp_path / "features")
    for one, other in zip(by_pixels, by_features, strict=True):
        for column in ("risk", "risk_score", "risk_pooled", "risk_clinical", "slide_score"):
            assert float(one[column]) == float(other[column])


def test_another_revision_of_the_encoder_refuses_the_slide(study, tmp_path, shared, monkeypatch):
    """Before a pixel is read, and it says what differs."""

    class Newer(Morphology):
        @property
        def card(self):
            return replace(super().card, revision="newer")

    monkeypatch.setitem(registry._EMBEDDED, "morphology", Newer)
    with pytest.raises(BundleError, match=r"BU025.*revision is 'newer' here") as caught:
        predict(study, tmp_path / "other", shared / "data/wsi", SLIDE)
    assert caught.value.problems[0].where.file == "encoder.json"
    assert not (tmp_path / "other/features").exists()
