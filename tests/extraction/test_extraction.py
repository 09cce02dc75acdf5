"""Slides to feature files: what is in them, and that nothing is done twice or lost."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from extraction.bad_decoders import Instead, poisoned_task, task
from extraction.small_slides import picture, write_bomb, write_slide
from features.peer_readers import read_as_trident
from metastra.encoders.registry import get_encoder
from metastra.errors import BusyError, ConfigError, DataError, SlideError
from metastra.executor import Limits, ProcessPool, Serial
from metastra.extraction.job import SlideJob
from metastra.extraction.naming import name_slides
from metastra.extraction.slide import extract_slide
from metastra.extraction.taking import take_features
from metastra.features.hdf5_layouts import read_h5
from metastra.pipeline.extract import ExtractRequest, extract
from metastra.slides.identity import slide_digest
from metastra.slides.opening import open_slide
from metastra.slides.scaled import read_scaled
from metastra.storage import hold


def run(slides, out, *, executor=None, **settings):
    request = ExtractRequest(slides=tuple(slides), out=out, **settings)
    return extract(request, executor=executor or Serial())


def codes(summary):
    return {fate.job.shown: fate.failure.problems[0].code for fate in summary.fates if fate.failure}


def features_in(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.h5"))}


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    return [write_slide(folder / f"s{number}.tif", seed=number, side=700) for number in range(3)]


@pytest.fixture(scope="module")
def done(slides, tmp_path_factory):
    """An undisturbed extraction of three slides."""
    out = tmp_path_factory.mktemp("done") / "out"
    return run(slides, out), out


def test_features_are_those_of_the_tiles_at_their_places(slides, done):
    """Each row again: the tile read at its corner, encoded alone, at half precision."""
    _, out = done
    bag = read_h5(out / "s0.h5")
    encoder = get_encoder("morphology")
    with open_slide(slides[0]) as slide:
        for row in (0, len(bag) - 1):
            x, y = bag.coords[row].tolist()
            tile = read_scaled(slide, x, y, *bag.frame.tile_side_px0, 224, 224)
            assert np.array_equal(
                encoder.encode(tile[None])[0].astype(np.float16), bag.features[row]
            )

    assert len(bag) > 4
    assert bag.features.dtype == np.float16
    assert bag.frame.mpp == pytest.approx((0.5, 0.5))
    assert (bag.frame.tile_side_um, bag.frame.slide_size_px0) == (112.0, (700, 700))


def test_the_file_says_what_it_was_made_from(slides, done):
    """Slide, encoder with engine and precision, names of the features; and no path."""
    _, out = done
    origin = read_h5(out / "s1.h5").origin
    card = get_encoder("morphology").card

    assert (origin.name, origin.encoder) == ("s1", "morphology")
    assert origin.slide_digest == slide_digest(slides[1])
    assert (origin.encoder_digest, origin.engine) == (card.digest, card.engine)
    assert origin.feature_names == card.feature_names
    for name, data in features_in(out).items():
        assert str(slides[0].parent).encode() not in data, name
    assert str(slides[0].parent) not in (out / "extract.json").read_text()


def test_peers_read_what_was_extracted(done):
    """A TRIDENT-style reader opens the file as it stands."""
    _, out = done
    found = read_as_trident(out / "s2.h5")

    assert found["side_px0"] == 224
    assert found["features"].shape == (len(found["coords"]), found["features"].shape[1])


def test_a_second_run_does_nothing_and_says_the_same(slides, done, tmp_path):
    """No file is touched, and manifest and table stay as they are."""
    _, out = done
    again = tmp_path / "again"
    shutil.copytree(out, again)
    before = {path: path.stat().st_mtime_ns for path in again.glob("*.h5")}
    kept = [(again / name).read_bytes() for name in ("extract.json", "extract.csv")]
    summary = run(slides, again)

    assert [fate.outcome.made for fate in summary.fates] == [False] * 3
    assert {path: path.stat().st_mtime_ns for path in again.glob("*.h5")} == before
    assert [(again / name).read_bytes() for name in ("extract.json", "extract.csv")] == kept


def test_what_is_missing_or_damaged_is_made_again_to_the_byte(slides, done, tmp_path):
    """A file that is gone, one with a flipped bit, one whose record is gone."""
    _, out = done
    again = tmp_path / "again"
    shutil.copytree(out, again)
    (again / "s0.h5").unlink()
    data = bytearray((again / "s1.h5").read_bytes())
    data[-1] ^= 1
    (again / "s1.h5").write_bytes(data)
    (again / ".records/s2.json").unlink()
    summary = run(slides, again)

    assert [fate.outcome.made for fate in summary.fates] == [True] * 3
    assert features_in(again) == features_in(out)


def test_a_changed_slide_is_extracted_again(slides, tmp_path):
    """Also where its size stays: its time of change says that it may be another."""
    slide = shutil.copy(slides[0], tmp_path / "a.tif")
    run([slide], tmp_path / "out")
    first = read_h5(tmp_path / "out/a.h5").origin.slide_digest
    shutil.copy(slides[1], slide)
    summary = run([slide], tmp_path / "out")

    assert summary.fates[0].outcome.made
    assert read_h5(tmp_path / "out/a.h5").origin.slide_digest != first


def test_a_given_scale_is_part_of_the_key(slides, tmp_path):
    """Other microns per pixel, other tiles."""
    run(slides[:1], tmp_path / "out")
    summary = run(slides[:1], tmp_path / "out", slide_mpp=0.25)

    assert summary.fates[0].outcome.made
    assert read_h5(tmp_path / "out/s0.h5").frame.tile_side_px0 == (448.0, 448.0)
    assert summary.fates[0].outcome.mpp_source == "option"


def test_processes_give_the_bytes_that_one_process_gives(slides, done, tmp_path):
    """The number of workers is nobody's business."""
    _, out = done
    summary = run(slides, tmp_path / "out", executor=ProcessPool(workers=2))

    assert features_in(tmp_path / "out") == features_in(out)
    assert (tmp_path / "out/extract.json").read_bytes() == (out / "extract.json").read_bytes()
    assert all(fate.peak_bytes > 10_000_000 for fate in summary.fates)


def test_slides_of_any_name_and_behind_links(slides, tmp_path):
    """Umlauts, spaces, percent signs, a dash in front, a link, an ending in capitals."""
    names = ["Präparat 7 µ.tif", "100% #1.tif", "-dash.tif", "スライド.TIF"]
    for name in names:
        os.link(slides[0], tmp_path / name)
    (tmp_path / "linked.tif").symlink_to(slides[0])
    summary = run([tmp_path], tmp_path / "out")

    assert summary.counts["done"] == 5
    contents = [read_h5(path).features for path in (tmp_path / "out").glob("*.h5")]
    assert len(contents) == 5
    assert all(np.array_equal(contents[0], other) for other in contents)


@pytest.fixture(scope="module")
def bad_slides(slides, tmp_path_factory):
    """Every way in which a slide can be bad, and two good ones."""
    folder = tmp_path_factory.mktemp("bad")
    whole = slides[0].read_bytes()
    write_slide(folder / "no-scale.tif", side=500, mpp=None)
    write_slide(folder / "coarse.tif", side=300, mpp=4.0)
    (folder / "truncated.tif").write_bytes(whole[: int(0.6 * len(whole))])
    (folder / "empty.svs").write_bytes(b"")
    (folder / "text.svs").write_text("this is no slide")
    write_bomb(folder / "bomb.tif")
    (folder / "broken-link.tif").symlink_to(folder / "nowhere.tif")
    blank = np.full((700, 700, 3), 245, np.uint8)
    write_slide(folder / "glass.tif", rgb=blank)
    write_slide(folder / "tiny.tif", rgb=picture(150, 150, margin=0))
    for number in (0, 1):
        os.link(slides[number], folder / f"good{number}.tif")
    return sorted(folder.iterdir())


def test_bad_slides_are_named_and_the_batch_goes_on(bad_slides, tmp_path):
    """Each with its code; the good ones are there; glass has a file without tiles."""
    summary = run(bad_slides, tmp_path / "out")

    assert codes(summary) == {
        "bomb.tif": "SL006",
        "broken-link.tif": "SL001",
        "coarse.tif": "SL010",
        "empty.svs": "SL003",
        "no-scale.tif": "SL007",
        "text.svs": "SL004",
        "truncated.tif": codes(summary)["truncated.tif"],
    }
    assert codes(summary)["truncated.tif"] in ("SL004", "SL005")
    states = {fate.job.name: fate.state for fate in summary.fates}
    assert (states["good0"], states["good1"]) == ("done", "done")
    assert (states["glass"], states["tiny"]) == ("excluded", "excluded")
    assert summary.counts == {"done": 2, "excluded": 2, "failed": 7, "not begun": 0}
    glass = read_h5(tmp_path / "out/glass.h5")
    assert len(glass) == 0
    assert "QC001" in glass.origin.excluded
    told = "\n".join(summary.lines())
    assert "--slide-mpp MPP" in told
    manifest = json.loads((tmp_path / "out/extract.json").read_text())
    assert len(manifest["slides"]) == 11
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.h5")) == [
        "glass",
        "good0",
        "good1",
        "tiny",
    ]


def test_decoders_that_die_hang_or_eat_cost_one_slide_each(slides, tmp_path):
    """Four bad readers and a good one; what each did is said."""
    for name in ("aborts", "crashes", "hangs", "eats", "good"):
        os.link(slides[0], tmp_path / f"{name}-1.tif")
    pool = ProcessPool(workers=2, limits=Limits(memory_bytes=2_500_000_000, quiet_s=25.0))
    out = tmp_path / "out"
    paths = sorted(tmp_path.glob("*.tif"))
    summary = run(paths, out, executor=Instead(pool, task))
    told = {
        fate.job.name.split("-")[0]: (fate.failure.cause.value, str(fate.failure))
        for fate in summary.fates
        if fate.failure
    }

    assert {name: cause for name, (cause, _) in told.items()} == {
        "aborts": "crashed",
        "crashes": "crashed",
        "hangs": "time",
        "eats": "memory",
    }
    assert set(codes(summary).values()) == {"SL058"}
    assert "SIGABRT" in told["aborts"][1]
    assert "no sign of life for 25 s" in told["hangs"][1]
    assert summary.counts["done"] == 1
    assert not list(out.glob("aborts*.h5"))


def test_an_encoder_that_gives_nan_is_refused(slides, tmp_path):
    """At writing, with row and feature; no file is left."""
    summary = run(slides[:1], tmp_path / "out", executor=Instead(ProcessPool(), poisoned_task))

    assert codes(summary) == {"s0.tif": "SL054"}
    assert "feature 3 is nan" in str(summary.fates[0].failure)
    assert not list((tmp_path / "out").glob("*.h5"))


def test_two_slides_with_one_name_are_refused_before_work(slides, tmp_path):
    """Same stem, another ending or folder, another case, another Unicode form."""
    (tmp_path / "sub").mkdir()
    for name in ("a.tif", "a.svs", "sub/A.tif", "M\u00fcller.tif", "sub/Mu\u0308ller.tif"):
        os.link(slides[0], tmp_path / name)
    paths = sorted(tmp_path.rglob("*.*"))

    with pytest.raises(DataError) as error:
        run([path for path in paths if path.is_file()], tmp_path / "out")
    assert [item.code for item in error.value.problems] == ["SL057", "SL057"]
    assert all(name in str(error.value) for name in ("a.svs", "sub/A.tif", "sub/Mu"))
    assert not (tmp_path / "out").exists()


def test_endings_of_two_parts_are_one_ending(tmp_path):
    """a.ome.tif is slide a."""
    assert list(name_slides([tmp_path / "a.ome.tif", tmp_path / "b.c.svs"])) == ["a", "b.c"]


def test_tiles_that_the_encoder_was_not_made_for_are_refused(slides, tmp_path):
    """Its features would mean nothing."""
    for settings in ({"tile_px": 256}, {"target_mpp": 0.25}):
        with pytest.raises(ConfigError, match=r"was made for tiles of 224 px at 0\.5 µm"):
            run(slides, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_folders_inside_a_folder_are_named_and_not_entered(slides, tmp_path):
    """A tree of slides is not taken for empty or whole in silence."""
    (tmp_path / "tree" / "inner").mkdir(parents=True)
    told = []
    request = ExtractRequest(slides=(tmp_path / "tree",), out=tmp_path / "out")
    with pytest.raises(ConfigError, match="no slide was named"):
        extract(request, tell=told.append)
    assert told == [f"1 folder inside was not entered: name it ({tmp_path / 'tree' / 'inner'})"]
    with pytest.raises(ConfigError, match="--slide-mpp 0: expected"):
        run(slides[:1], tmp_path / "out", slide_mpp=0.0)


def test_no_slide_at_all_is_a_mistake(tmp_path):
    """An empty folder, most likely the wrong one."""
    with pytest.raises(ConfigError, match="no slide was named"):
        run([tmp_path], tmp_path / "out")


def test_a_second_process_is_told_who_works_there(slides, tmp_path):
    """The lock is the kernel's; nothing has to be deleted by hand."""
    with (
        hold(tmp_path / "out"),
        pytest.raises(BusyError, match="is in use by this very process"),
    ):
        run(slides[:1], tmp_path / "out")


def test_orphans_of_a_killed_run_are_swept(slides, tmp_path):
    """Part files of processes that are no more."""
    out = tmp_path / "out"
    out.mkdir()
    (out / f".part-{'0' * 32}").write_bytes(b"half")
    run(slides[:1], out)

    assert not list(out.glob(".part-*"))


def draw(path, rings):
    """Write a region as QuPath does."""
    feature = {
        "type": "Feature",
        "id": "a7c1",
        "geometry": {"type": "Polygon", "coordinates": rings},
        "properties": {"objectType": "annotation", "classification": {"name": "Tumor"}},
    }
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def test_a_drawn_region_limits_the_tiles_and_is_part_of_the_key(slides, tmp_path):
    """The left third of the slide: the first column of tiles."""
    whole = run(slides[:1], tmp_path / "out")
    region = draw(tmp_path / "s0.geojson", [[[0, 0], [240, 0], [240, 700], [0, 700], [0, 0]]])
    part = run(slides[:1], tmp_path / "out", region=region)
    bag = read_h5(tmp_path / "out/s0.h5")

    assert part.fates[0].outcome.made
    assert whole.fates[0].outcome.n_tiles > part.fates[0].outcome.n_tiles > 0
    assert set(bag.coords[:, 0].tolist()) == {0}
    assert run(slides[:1], tmp_path / "out", region=tmp_path).fates[0].outcome.made is False


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"type": "Point", "coordinates": [1, 2]}', '{"type": "Feature"}']
)
def test_a_region_that_is_none_is_a_named_failure(slides, tmp_path, text):
    """Not the whole slide."""
    (tmp_path / "s0.geojson").write_text(text)
    summary = run(slides[:1], tmp_path / "out", region=tmp_path / "s0.geojson")

    assert codes(summary)["s0.tif"] in ("QC020", "QC021", "QC022", "QC023", "QC024")


@pytest.mark.slow
def test_a_large_slide_is_extracted_within_the_declared_memory(tmp_path):
    """12 megapixels under 1.5 GB of address space, of which less than 600 MB are used."""
    rgb = np.tile(picture(1000, 1000, margin=0), (4, 4, 1))[:3500, :3500]
    slide = write_slide(tmp_path / "large.tif", rgb=rgb)
    pool = ProcessPool(limits=Limits(memory_bytes=1_500_000_000))
    summary = run([slide], tmp_path / "out", executor=pool)

    assert summary.counts["done"] == 1, summary.lines()
    assert summary.fates[0].outcome.n_grid == 225
    assert summary.fates[0].peak_bytes < 600_000_000


def test_a_slide_of_another_stain_is_refused_and_h_and_e_is_not(slides, tmp_path):
    """STAIN of the slide table is minded: an immunostain gives no H&E features."""
    job = SlideJob(path=str(slides[0]), name="s", folder=str(tmp_path), encoder="morphology")
    with pytest.raises(SlideError) as caught:
        extract_slide(replace(job, stain="IHC CD3"))
    assert [item.code for item in caught.value.problems] == ["SL015"]
    assert not list(tmp_path.glob("*.h5"))
    assert extract_slide(replace(job, stain="H&E")).n_tiles > 0

    given = tmp_path / "given.h5"
    shutil.copy(tmp_path / "s.h5", given)
    taken = replace(job, path=str(given), name="taken", shown="", is_features=True)
    with pytest.raises(SlideError) as refused:
        take_features(replace(taken, stain="IHC CD3"))
    assert [item.code for item in refused.value.problems] == ["SL015"]
    assert not (tmp_path / "taken.h5").exists()
    assert take_features(replace(taken, stain="HE")).n_tiles > 0
