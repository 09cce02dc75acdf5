"""What one stage found on a slide chooses the tiles of the next; a review is obeyed."""

from __future__ import annotations

import numpy as np
import pytest

from extraction.small_slides import write_slide
from metastra.errors import ConfigError, DataError
from metastra.executor import Serial
from metastra.extraction import slide as extraction_slide
from metastra.extraction.stored_quality import (
    maps_bytes,
    product_of,
    quality_settings,
    stored_quality,
)
from metastra.pipeline.extract import ExtractRequest, extract
from metastra.pipeline.qc import QcRequest, run_qc
from metastra.slides.folders import slide_files
from metastra.slides.identity import reviewed_name, slide_digest
from metastra.slides.opening import open_slide
from metastra.tissue.quality import assess
from metastra.tissue.rules import tile_codes


def run(slides, out, **settings):
    return extract(ExtractRequest(slides=tuple(slides), out=out, **settings), executor=Serial())


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    return [write_slide(folder / f"s{number}.tif", seed=number, side=700) for number in range(2)]


@pytest.fixture(scope="module")
def alone(slides, tmp_path_factory):
    """Features made without a table of quality."""
    out = tmp_path_factory.mktemp("alone") / "out"
    return run(slides, out), out


def judged(slides, out):
    run_qc(QcRequest(slides=tuple(slides), out=out), executor=Serial())
    return out


def forbid_assessing(monkeypatch):
    def refuse(*_):
        raise AssertionError("the slide was assessed again")

    monkeypatch.setattr(extraction_slide, "assess", refuse)


def test_a_slide_is_assessed_once_and_the_features_are_the_same(
    slides, alone, tmp_path, monkeypatch
):
    """After `qc` in the folder, `extract` reads its maps: same bytes, no second look."""
    out = judged(slides, tmp_path / "out")
    forbid_assessing(monkeypatch)

    summary = run(slides, out)

    assert summary.counts["done"] == 2
    for path in slides:
        name = f"{path.stem}.h5"
        assert (out / name).read_bytes() == (alone[1] / name).read_bytes()


def test_maps_come_back_as_they_were(slides, tmp_path):
    """Every tile gets the code, and the slide the findings, of the first assessment."""
    out = judged(slides[:1], tmp_path / "out")
    with open_slide(slides[0]) as slide:
        fresh, name = assess(slide), slide.info.name
    boxes = np.array([[x, y, 90.0, 70.0] for x in range(0, 700, 80) for y in range(0, 700, 60)])

    stored = stored_quality(out, slide_digest(slides[0]), quality_settings(None), name)

    assert stored is not None
    expected, found = fresh.tile_fractions(boxes), stored.maps.tile_fractions(boxes)
    assert expected.keys() == found.keys()
    for key in expected:
        assert np.array_equal(expected[key], found[key], equal_nan=True), key
    assert tile_codes(expected).tolist() == tile_codes(found).tolist()
    assert (stored.codes, stored.assessable) == (fresh.codes, fresh.assessable)
    assert maps_bytes(fresh) == maps_bytes(fresh)


@pytest.mark.parametrize("harm", ["another scale", "damaged", "missing"])
def test_what_is_not_whole_or_made_otherwise_is_not_taken(slides, alone, tmp_path, harm):
    """Another scale, a changed byte or a lost file: the slide is looked at again."""
    out = judged(slides[:1], tmp_path / "out")
    digest = slide_digest(slides[0])
    product, _ = product_of(digest, quality_settings(None))
    settings = quality_settings(0.4 if harm == "another scale" else None)
    maps = out / f"{product}.npz"
    if harm == "damaged":
        content = bytearray(maps.read_bytes())
        content[len(content) // 2] ^= 1
        maps.write_bytes(content)
    elif harm == "missing":
        maps.unlink()

    assert stored_quality(out, digest, settings, "s0.tif") is None
    run(slides[:1], out)
    assert (out / "s0.h5").read_bytes() == (alone[1] / "s0.h5").read_bytes()


def test_a_review_is_obeyed_and_found_beside_the_features(slides, tmp_path):
    """Named or lying in the folder: the slide is left out, the other is not."""
    name = reviewed_name(slide_digest(slides[1]))
    review = tmp_path / "decisions.csv"
    review.write_text(
        f"SLIDE,DECISION,INITIALS,REASON\n{name},override,AB,wrong\nS-0000000000,accept,AB,x\n"
    )
    told: list[str] = []
    request = ExtractRequest(slides=tuple(slides), out=tmp_path / "named", review=review)

    named = extract(request, executor=Serial(), tell=told.append)
    out = tmp_path / "beside"
    out.mkdir()
    (out / "qc_review.csv").write_bytes(review.read_bytes())
    beside = run(slides, out)

    for summary in (named, beside):
        assert [fate.state for fate in summary.fates] == ["done", "excluded"]
        assert summary.fates[1].outcome.excluded == "left out by the reviewer"
    assert told == ["the review names slides that were not read here: S-0000000000"]


def test_a_review_that_is_none_is_refused_before_work(slides, tmp_path):
    """A wrong word with its row; no such file."""
    review = tmp_path / "decisions.csv"
    review.write_text("SLIDE,DECISION,INITIALS,REASON\nS-0000000000,maybe,AB,x\n")

    with pytest.raises(DataError) as refused:
        run(slides, tmp_path / "out", review=review)
    assert [item.code for item in refused.value.problems] == ["QC042"]
    with pytest.raises(ConfigError, match="no such file"):
        run(slides, tmp_path / "out", review=tmp_path / "none.csv")


def write_dicom_head(path, series):
    value = series.encode() + b"\0" * (len(series) % 2)
    element = b"\x20\x00\x0e\x00UI" + len(value).to_bytes(2, "little") + value
    path.write_bytes(b"\0" * 128 + b"DICM" + element + path.name.encode())


def test_the_files_of_one_slide_in_a_folder_are_one_slide(tmp_path):
    """A DICOM series and a VMS slide with its parts; files that only lie beside them stay."""
    for name in ("l0.dcm", "l1.dcm", "l2.dcm"):
        write_dicom_head(tmp_path / name, "1.2.3")
    write_dicom_head(tmp_path / "other.dcm", "1.2.4")
    for name in ("a_0.jpg", "a_1.jpg", "alone.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "b.vms").write_text(
        "[Virtual Microscope Specimen]\nImageFile=a_0.jpg\nImageFile(1,0)=a_1.jpg\n"
    )

    found = [path.name for path in slide_files([tmp_path])]

    assert found == ["alone.jpg", "b.vms", "l0.dcm", "other.dcm"]
    assert slide_files([tmp_path / "l1.dcm"]) == [tmp_path / "l1.dcm"]
