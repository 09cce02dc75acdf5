"""A study whose regions were drawn: tiles come from inside, wrong files are refused with a code."""

from __future__ import annotations

import csv
import io
import json
import shutil

import pytest

from extraction.small_slides import write_slide
from extraction.test_run_slides import index_of, lay_out, run
from metastra.features.hdf5_layouts import read_h5
from metastra.pipeline.opening import open_study


def draw(path, left, right, side=460):
    """A rectangle from the top to the bottom, as QuPath writes it."""
    ring = [[left, 0], [right, 0], [right, side], [left, side], [left, 0]]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}})
    )
    return path


@pytest.fixture
def folder(tmp_path):
    """Two slides with a region each; all others are feature files, which have none."""
    folder = lay_out(tmp_path / "study", with_empty=False)
    study = folder / "study.toml"
    text = study.read_text()
    study.write_text(
        text.replace(
            'slide_dir = "south/files"', 'slide_dir = "south/files"\nregion_dir = "south/drawn"'
        )
    )
    files = folder / "south/files"
    other = next(files.glob("*.h5"))
    write_slide(files / f"{other.stem}.tif", side=460, seed=5)
    table = folder / "south/slides.tsv"
    table.write_text(table.read_text().replace(other.name, f"{other.stem}.tif"))
    other.unlink()
    for slide in files.glob("*.tif"):
        draw(folder / "south/drawn" / f"{slide.stem}.geojson", 0, 230)
    return folder


def checked(folder):
    report = open_study(folder).check()
    return [one for one in report.problems if one.code in ("QC025", "QC026", "ST006")]


def stages(folder, *names):
    for name in names:
        done, _ = run(folder, only=name)
    return done


def table_of(folder):
    text = (folder / "run/qc.csv").read_text()
    return list(csv.DictReader(io.StringIO(text)))


def tiles(folder):
    """Coordinates by slide, of the slides whose pixels were read."""
    names = {row["FILENAME"] for row in table_of(folder)}
    return {
        row["slide"]: read_h5(folder / "run" / row["features"]).coords.tolist()
        for row in index_of(folder)["slides"]
        if row["slide"] in names
    }


def test_regions_reach_quality_and_features_and_are_part_of_the_key(folder):
    """The left half: one column of tiles.  A redrawn region makes its slide anew, no other."""
    assert checked(folder) == []
    stages(folder, "cohort", "qc", "features")
    (before,) = {len(coords) for coords in tiles(folder).values()}
    rows = table_of(folder)

    assert before == 2
    assert {tuple(map(tuple, coords)) for coords in tiles(folder).values()} == {((0, 0), (0, 224))}
    assert {row["region"] for row in rows} == {f"{row['FILENAME']}.geojson" for row in rows}
    dropped = [
        row["dropped"] for row in index_of(folder)["slides"] if row["slide"] in tiles(folder)
    ]
    assert dropped == [{"QC009": 2}, {"QC009": 2}]
    for row in index_of(folder)["slides"]:
        assert row["n_grid"] == row["n_tiles"] + sum(row["dropped"].values())
    assert run(folder, dry_run=True)[0]["features"] == "up to date"

    redrawn = min((folder / "south/drawn").glob("*.geojson"))
    draw(redrawn, 0, 460)
    again = run(folder, dry_run=True)[0]
    assert again["qc"] == again["features"] == "would run"
    digests = {row["slide"]: row["digest"] for row in index_of(folder)["slides"]}
    stages(folder, "qc", "features")
    changed = [
        row["slide"] for row in index_of(folder)["slides"] if row["digest"] != digests[row["slide"]]
    ]
    assert len(changed) == 1
    assert sorted(map(len, tiles(folder).values())) == [2, 4]


def test_a_slide_without_a_region_is_refused_with_its_row(folder):
    """Before hours of work, and not taken whole."""
    lost = min((folder / "south/drawn").glob("*.geojson"))
    lost.unlink()
    (found,) = checked(folder)

    assert (found.code, found.severity) == ("QC025", "refuse")
    assert found.where.file == "south/slides.tsv"
    (row,) = found.where.rows
    line = (folder / "south/slides.tsv").read_text().splitlines()[row - 1]
    assert f"{lost.stem}.tif" in line
    assert len(found.patients) == 1


def test_a_region_of_no_slide_is_a_warning_that_names_nobody(folder):
    """A name that was typed wrongly is found; it may hold a patient's name."""
    draw(folder / "south/drawn/Meier.geojson", 0, 200)
    (found,) = checked(folder)

    assert (found.code, found.severity) == ("QC026", "warn")
    assert "1 of 3 region files" in found.found
    assert "Meier" not in str(found)


def test_two_slides_that_would_share_a_region_are_refused(folder):
    """The same name with two endings."""
    files = folder / "south/files"
    first, second = sorted(files.glob("*.tif"))
    (files / f"{first.stem}.tiff").write_bytes(second.read_bytes())
    table = folder / "south/slides.tsv"
    table.write_text(table.read_text().replace(second.name, f"{first.stem}.tiff"))
    found = [one for one in checked(folder) if one.severity == "refuse"]

    assert [(one.code, len(one.where.rows)) for one in found] == [("QC026", 2)]


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (lambda path: path.write_text("nothing drawn"), "QC020"),
        (lambda path: path.write_text('{"type": "Point", "coordinates": [1, 2]}'), "QC024"),
        (lambda path: draw(path, 300, 9000), "QC023"),
    ],
    ids=["no JSON", "a point", "of another slide"],
)
def test_a_region_that_is_wrong_costs_its_slide_by_name(folder, harm, code):
    """The others go on; messages call slide and region by pseudonym."""
    path = min((folder / "south/drawn").glob("*.geojson"))
    harm(path)
    stages(folder, "cohort", "qc", "features")
    failed = [row for row in index_of(folder)["slides"] if row["state"] == "failed"]
    rows = table_of(folder)

    assert [row["problems"][0]["code"] for row in failed] == [code]
    assert sorted(row["status"] for row in rows) == ["assessed", "failed"]
    assert next(row for row in rows if row["status"] == "failed")["error"].startswith(code)
    for name in ("features.json", "qc.csv"):
        assert path.stem not in (folder / "run" / name).read_text()


def test_regions_without_slides_are_a_contradiction(folder):
    """Feature files have their tiles already."""
    study = folder / "study.toml"
    study.write_text(study.read_text().replace("slide_dir =", "feature_dir ="))
    with pytest.raises(Exception, match="region_dir but no slides to draw on"):
        open_study(folder)


@pytest.mark.parametrize("copy", [shutil.copy2, shutil.copyfile], ids=["times kept", "times new"])
def test_a_copied_study_is_up_to_date(folder, tmp_path, copy):
    """Neither path nor inode counts, whatever became of the times."""
    stages(folder, "cohort", "qc", "features")
    other = tmp_path / "elsewhere"
    shutil.copytree(folder, other, copy_function=copy)
    shutil.rmtree(folder)
    (other / "study.key").chmod(0o600)

    done, summary = run(other, dry_run=True)
    reasons = {item.stage: item.reasons for item in summary.results}
    assert (done["qc"], done["features"]) == ("up to date", "up to date"), reasons
