"""A reviewer's word and drawn regions reach the slides of new patients as they reach a study's."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from extraction.small_slides import write_slide
from extraction.test_run_regions import draw
from metastra.bundle.contract import SlideContract
from metastra.encoders.registry import get_encoder
from metastra.errors import ConfigError, DataError
from metastra.executor import Serial
from metastra.pipeline.given_slides import SlideSource, give_slides
from metastra.slides.identity import reviewed_name, slide_digest


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    """Two slides of two patients, one of them in a folder of its own."""
    folder = tmp_path_factory.mktemp("new")
    (folder / "b").mkdir()
    paths = [
        write_slide(folder / name, side=460, seed=seed)
        for seed, name in enumerate(("a.tif", "b/a-2.tif"))
    ]
    (folder / "slides.csv").write_text("PATIENT,FILENAME\n1,a.tif\n2,b/a-2.tif\n")
    return folder, paths


@pytest.fixture(scope="module")
def bundle():
    """What `give_slides` looks at of a bundle: its contract of slides."""
    card = get_encoder("morphology").card
    contract = SlideContract(
        primary="slides",
        encoder=card.name,
        encoder_digest=card.digest,
        dimension=card.dimension,
        target_mpp=card.mpp,
        tile_px=card.tile_px,
        stains=("H&E",),
    )
    return SimpleNamespace(contract=SimpleNamespace(slides=contract), name="stand-in", slides=None)


def given(bundle, slides, store, **changes):
    source = SlideSource(
        table=slides[0] / "slides.csv",
        folder=slides[0],
        store=store,
        executor=Serial(),
        **changes,
    )
    return give_slides(bundle, source, ["1", "2"])


@pytest.mark.parametrize("place", ["named", "beside"])
def test_a_slide_that_a_reviewer_left_out_is_left_out(bundle, slides, tmp_path, place):
    """As `extract` obeys it: named, or lying beside the features."""
    store = tmp_path / "features"
    store.mkdir()
    review = store / "qc_review.csv" if place == "beside" else tmp_path / "words.csv"
    name = reviewed_name(slide_digest(slides[1][1]))
    review.write_text(
        f"SLIDE,DECISION,INITIALS,REASON\n{name},override,AB,wrong\nS-0000000000,accept,AB,x\n"
    )
    told = []
    found = given(
        bundle, slides, store, tell=told.append, review=None if place == "beside" else review
    )

    assert found.counts == {"done": 1, "excluded": 1}
    assert [len(patient.slides) for patient in found.patients] == [1, 0]
    assert found.patients[1].lost == ("b/a-2.tif: left out by the reviewer",)
    assert told == ["the review names slides that were not read here: S-0000000000"]


def test_regions_limit_the_tiles_of_new_slides(bundle, slides, tmp_path):
    """A folder with a region for each, in folders as the slides; one that is missing is named."""
    whole = given(bundle, slides, tmp_path / "whole")
    draw(tmp_path / "drawn/a.geojson", 0, 230)
    with pytest.raises(DataError, match=r"QC025.*b/a-2\.geojson"):
        given(bundle, slides, tmp_path / "part", region=tmp_path / "drawn")
    draw(tmp_path / "drawn/b/a-2.geojson", 0, 230)
    part = given(bundle, slides, tmp_path / "part", region=tmp_path / "drawn")

    tiles = [
        [len(slide.open()) for one in found.patients for slide in one.slides]
        for found in (whole, part)
    ]
    assert tiles == [[4, 4], [2, 2]]
    with pytest.raises(ConfigError, match="one file for 2 slides"):
        given(bundle, slides, tmp_path / "one", region=tmp_path / "drawn/a.geojson")


def test_options_for_slides_need_slides(tmp_path):
    """A review without a slide table would be passed over in silence."""
    (tmp_path / "new.csv").write_text("PATIENT\n1\n")
    command = [sys.executable, "-m", "metastra", "predict", "bundle", "new.csv", "--out", "o.csv"]
    done = subprocess.run(
        [*command, "--review", "qc_review.csv"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "--region and --review belong to --slide-table CSV" in done.stderr
