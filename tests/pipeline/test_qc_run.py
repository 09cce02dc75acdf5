"""A run over slides: table, sheet, resuming, reviews, regions, and what is refused."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from metastra.errors import BusyError, ConfigError, DataError
from metastra.executor import Serial
from metastra.pipeline.qc import QcRequest, run_qc
from metastra.pipeline.qc_review import read_review
from metastra.pipeline.qc_table import COLUMNS
from metastra.storage import csv_rows, hold
from tissue.tissue_pictures import glass, tissue_density, with_tissue

RESULTS = ("qc.csv", "contact_sheet.html", "qc_review_template.csv")


@pytest.fixture(scope="module")
def pictures():
    """A good slide, a slide with ink, an empty one, one that is no slide at all."""
    good = with_tissue(glass(300, 400), tissue_density(200, 250, 2.0), 50, 60)
    inked = good.copy()
    inked[20:50, 100:390] = (200, 20, 40)
    return {"Müller 7.png": good, "inked.png": inked, "empty.png": glass(300, 400)}


@pytest.fixture
def slides(tmp_path, pictures):
    folder = tmp_path / "slides"
    folder.mkdir()
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / name)
    (folder / "broken.svs").write_bytes(b"II*\0 and nothing more")
    return [folder / name for name in (*pictures, "broken.svs")]


def run(slides, out, **more):
    return run_qc(QcRequest(slides=tuple(slides), out=out, mpp=2.0, **more), executor=Serial())


def table(out):
    header, rows = csv_rows((out / "qc.csv").read_bytes())
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_every_slide_has_its_row(slides, tmp_path):
    """Inputs are assessed, not assessable or failed; one bad slide stops nothing."""
    out = tmp_path / "out"
    summary = run(slides, out)
    rows = table(out)
    assert list(rows[0]) == list(COLUMNS)
    assert [row["FILENAME"] for row in rows] == [path.name for path in slides]
    assert [row["status"] for row in rows] == ["assessed"] * 2 + ["not assessable", "failed"]
    assert [row["use"] for row in rows] == ["true", "true", "false", "false"]
    assert rows[0]["codes"] == "QC011"
    assert rows[1]["codes"] == "QC003 QC011"
    assert rows[2]["codes"] == "QC001 QC011"
    assert float(rows[0]["tissue_fraction"]) == pytest.approx(200 * 250 / 120_000, rel=0.02)
    assert float(rows[0]["tissue_mm2"]) == pytest.approx(0.2, rel=0.02)
    assert rows[0]["blur_fraction"] == ""
    assert rows[0]["fading_fraction"] == ""
    assert rows[0]["not_assessable"] == "blur fading"
    assert (rows[0]["mpp_x"], rows[0]["mpp_source"]) == ("2.0", "option")
    assert rows[3]["error"].startswith("SL")
    told = summary.to_json()
    assert (told["assessed"], told["not_assessable"], told["failed"]) == (2, 1, 1)
    assert told["slides"] == 4
    assert summary.failed == 1
    assert any("broken.svs" in line for line in summary.lines())


def test_what_is_done_is_not_done_again(slides, tmp_path):
    """The second run reads; files are the same to the byte; another scale is other work."""
    out = tmp_path / "out"
    assert run(slides[:2], out).made == 2
    summary = run(slides, out)
    assert summary.made == 1
    before = {name: (out / name).read_bytes() for name in RESULTS}
    assert run(slides, out).made == 0
    assert {name: (out / name).read_bytes() for name in RESULTS} == before
    fresh = tmp_path / "fresh"
    run(slides, fresh)
    assert {name: (fresh / name).read_bytes() for name in RESULTS} == before
    other = run_qc(QcRequest(slides=tuple(slides), out=out, mpp=1.0), executor=Serial())
    assert other.made == 3


def test_a_damaged_result_is_made_again(slides, tmp_path):
    out = tmp_path / "out"
    run(slides[:1], out)
    (stored,) = (out / "quality").glob("*.json")
    stored.write_bytes(stored.read_bytes()[:-10])
    assert run(slides[:1], out).made == 1


def test_a_changed_slide_is_another_slide(slides, pictures, tmp_path):
    """Content counts, not the name; the same content under two names is assessed once."""
    out = tmp_path / "out"
    run(slides[:1], out)
    Image.fromarray(pictures["inked.png"]).save(slides[0])
    assert run(slides[:1], out).made == 1
    twin = slides[0].with_name("twin.png")
    twin.write_bytes(slides[0].read_bytes())
    assert run([twin], out).made == 0


def test_the_sheet_names_no_file_and_lets_nothing_in(slides, tmp_path):
    """Pictures stand inside; slides are named by content; nothing is fetched or run."""
    out = tmp_path / "out"
    run(slides, out)
    page = (out / "contact_sheet.html").read_text(encoding="utf-8")
    assert "Research use only" in page
    for path in slides:
        assert path.name not in page
        assert path.stem not in page
    assert page.count('src="data:image/jpeg;base64,') == 3
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "img-src data:; base-uri" in page.replace("&#39;", "'")
    for row in table(out):
        assert row["SLIDE"] in page
    assert "QC003</code> Pen marks" in page


def test_review_is_read_back_and_counted(slides, tmp_path):
    """Accept keeps, override turns round; initials and reason reach the table and the sheet."""
    out = tmp_path / "out"
    run(slides, out)
    names = {row["FILENAME"]: row["SLIDE"] for row in table(out)}
    header, template = csv_rows((out / "qc_review_template.csv").read_bytes())
    assert header == ["SLIDE", "DECISION", "INITIALS", "REASON"]
    assert [row[0] for row in template] == [names[path.name] for path in slides[:3]]
    (out / "qc_review.csv").write_text(
        "\ufeffSLIDE,DECISION,INITIALS,REASON,DATE\r\n"
        f"{names['Müller 7.png']},accept,AB,clean,2026-01-05\r\n"
        f"{names['inked.png']},Override,AB,ink over the tumour,\r\n"
        f"{names['empty.png']},,,,\r\n",
        encoding="utf-8",
    )
    summary = run(slides, out)
    assert summary.to_json()["review"] == {"reviewed": 2, "accepted": 1, "overridden": 1}
    assert summary.to_json()["used"] == 1
    rows = table(out)
    assert [row["use"] for row in rows] == ["true", "false", "false", "false"]
    assert [row["review"] for row in rows] == ["accept", "override", "", ""]
    assert rows[1]["reviewer"] == "AB"
    assert rows[1]["review_reason"] == "ink over the tumour"
    page = (out / "contact_sheet.html").read_text(encoding="utf-8")
    assert "overridden by AB: ink over the tumour" in page


def test_an_override_can_put_a_slide_back(slides, tmp_path):
    out = tmp_path / "out"
    run(slides[2:3], out)
    slide = table(out)[0]["SLIDE"]
    review = tmp_path / "review.csv"
    review.write_text(f"SLIDE,DECISION,INITIALS,REASON\n{slide},override,CD,tiny biopsy\n")
    assert run(slides[2:3], out, review=review).to_json()["used"] == 1


def test_bad_rows_of_a_review_are_refused_together(tmp_path):
    """Every bad row with its number, before anything is assessed."""
    review = tmp_path / "qc_review.csv"
    review.write_text(
        "SLIDE,DECISION,INITIALS,REASON\n"
        "S-1,maybe,AB,why\n"
        "S-2,accept,,why\n"
        "S-3,override,AB, \n"
        "S-4,accept,AB,why\n"
        "S-4,accept,AB,why\n"
    )
    with pytest.raises(DataError) as caught:
        read_review(review)
    found = [(p.code, p.where.rows, p.where.column) for p in caught.value.problems]
    assert found == [
        ("QC042", (2,), "DECISION"),
        ("QC043", (3,), "INITIALS"),
        ("QC043", (4,), "REASON"),
        ("QC044", (5, 6), ""),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SLIDE,DECISION,INITIALS,REASON,event\n", "not asked for: 'event'"),
        ("SLIDE,DECISION\n", "missing: INITIALS, REASON"),
        ("SLIDE;DECISION;INITIALS;REASON\n", "missing"),
        ("", "no header"),
        ("SLIDE,DECISION,INITIALS,REASON\nS-1,accept\n", "row 2 has 2 cells"),
    ],
)
def test_a_review_that_could_see_outcomes_is_refused(tmp_path, text, said):
    """Only the columns of a review are let in, so nobody decides knowing who relapsed."""
    review = tmp_path / "qc_review.csv"
    review.write_text(text)
    with pytest.raises(DataError, match="QC040") as caught:
        read_review(review)
    assert said in str(caught.value)


def test_a_review_of_another_slide_is_refused(slides, tmp_path):
    review = tmp_path / "review.csv"
    review.write_text("SLIDE,DECISION,INITIALS,REASON\nS-unknown,accept,AB,why\n")
    with pytest.raises(DataError, match=r"QC041 review\.csv, row 2.*'S-unknown'"):
        run(slides[:1], tmp_path / "out", review=review)
    with pytest.raises(ConfigError, match="no such file"):
        run(slides[:1], tmp_path / "out", review=tmp_path / "missing.csv")


def test_regions_limit_slides(slides, tmp_path):
    """One file for one slide, a folder for several; a bad region fails its slide alone."""
    box = [[60, 50], [160, 50], [160, 250], [60, 250], [60, 50]]
    folder = tmp_path / "regions"
    folder.mkdir()
    (folder / "Müller 7.geojson").write_text(
        json.dumps({"type": "Polygon", "coordinates": [box]}), encoding="utf-8"
    )
    (folder / "inked.geojson").write_text("{")
    out = tmp_path / "out"
    summary = run(slides[:3], out, region=folder)
    rows = table(out)
    assert rows[0]["region"] == "Müller 7.geojson"
    assert float(rows[0]["tissue_mm2"]) == pytest.approx(0.08, rel=0.05)
    assert float(rows[0]["tissue_fraction"]) == pytest.approx(1, abs=0.02)
    assert rows[1]["error"].startswith("QC020")
    assert rows[2]["region"] == ""
    assert summary.failed == 1
    one = folder / "Müller 7.geojson"
    assert run(slides[:1], out, region=one).made == 0
    with pytest.raises(ConfigError, match="one region for 3 slides"):
        run(slides[:3], out, region=one)
    with pytest.raises(ConfigError, match="no such file"):
        run(slides[:1], out, region=tmp_path / "none.geojson")


def test_a_folder_stands_for_the_files_in_it(slides, tmp_path):
    """As in extract: sorted, hidden files left out, folders inside named and not entered."""
    folder = slides[0].parent
    (folder / ".hidden").write_bytes(b"x")
    (folder / "deeper").mkdir()
    (folder / "mirax").mkdir()
    (folder / "mirax.mrxs").write_bytes(b"x")
    told = []
    request = QcRequest(slides=(folder,), out=tmp_path / "out", mpp=2.0)
    run_qc(request, executor=Serial(), tell=told.append)
    names = sorted([*(path.name for path in slides), "mirax.mrxs"])
    assert [row["FILENAME"] for row in table(tmp_path / "out")] == names
    assert told == [f"1 folder inside was not entered: name it ({folder / 'deeper'})"]
    told.clear()
    (folder / "other").mkdir()
    run_qc(request, executor=Serial(), tell=told.append)
    assert told[0].startswith("2 folders inside were not entered: name them (")


@pytest.mark.parametrize("mpp", [0.0, -0.25, float("nan"), float("inf")])
def test_a_scale_that_cannot_be_is_refused_before_the_batch(slides, tmp_path, mpp):
    """A mistake of the command, not of each slide; nothing is written."""
    with pytest.raises(ConfigError, match=r"--slide-mpp .*: expected"):
        run_qc(QcRequest(slides=tuple(slides), out=tmp_path / "out", mpp=mpp), executor=Serial())
    assert not (tmp_path / "out").exists()


def test_two_slides_of_one_name_keep_their_folders(slides, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "empty.png").write_bytes(slides[0].read_bytes())
    out = tmp_path / "out"
    run([slides[2], other / "empty.png"], out)
    assert [row["FILENAME"] for row in table(out)] == [str(slides[2]), str(other / "empty.png")]


def test_a_second_run_in_the_same_folder_waits_or_says_so(slides, tmp_path):
    out = tmp_path / "out"
    with hold(out), pytest.raises(BusyError):
        run(slides[:1], out)
    with pytest.raises(ConfigError, match="no slides"):
        run([], out)


def test_fluorescence_is_named_not_failed(shared, tmp_path):
    """It can be read, so it is not assessable, with the reason."""
    slide = shared / "data" / "wsi" / "hamamatsu_fluorescence_dapi.ndpi"
    out = tmp_path / "out"
    summary = run_qc(QcRequest(slides=(slide,), out=out), executor=Serial())
    assert summary.failed == 0
    row = table(out)[0]
    assert (row["status"], row["codes"], row["use"]) == ("not assessable", "SL012", "false")
    assert row["tissue_fraction"] == ""


def test_a_faint_slide_is_told_from_the_others_of_its_site(tmp_path):
    """Below half the median of at least eight slides; fewer are not compared."""
    paths = []
    for number, left in enumerate([1.0] * 7 + [0.4], start=1):
        density = left * tissue_density(120, 120, 2.0, seed=number)
        path = tmp_path / f"slide{number}.png"
        Image.fromarray(with_tissue(glass(160, 160), density, 20, 20)).save(path)
        paths.append(path)
    run(paths, tmp_path / "all")
    codes = [row["codes"].split() for row in table(tmp_path / "all")]
    assert ["QC012" in found for found in codes] == [False] * 7 + [True]
    run(paths[1:], tmp_path / "few")
    assert not any("QC012" in row["codes"] for row in table(tmp_path / "few"))


def test_drawn_outlines_carry_letters(pictures):
    """The picture of a slide shows where the ink is, in its colour and with its letter."""
    from metastra.tissue.drawing import COLOURS, draw_quality, to_jpeg
    from metastra.tissue.quality import assess
    from tissue.tissue_pictures import ArraySlide

    quality = assess(ArraySlide(pictures["inked.png"], 2.0))
    drawn = draw_quality(quality, longest_px=400)
    assert drawn.shape == (300, 400, 3)
    for name in ("tissue", "pen"):
        assert (drawn == np.array(COLOURS[name])).all(axis=2).sum() > 200
    assert to_jpeg(drawn)[:2] == b"\xff\xd8"
    assert b"Exif" not in to_jpeg(drawn)
