"""`extract` for several encoders: one pass where tiles agree, the bytes of separate runs."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from encoders.tiny_weights import tiny_weights
from extraction.small_slides import write_slide
from extraction.test_tile_pass import Powers
from metastra.encoders.choice import EncoderChoice
from metastra.errors import ConfigError
from metastra.executor import Cause, Failure, Result, Serial
from metastra.extraction.shard import Shard
from metastra.extraction.tile_pass import Clock, tile_pass
from metastra.features.files import read_bag
from metastra.pipeline.extract import ExtractRequest, extract
from metastra.pipeline.several_encoders import deal_choices, passes_told, tile_groups
from metastra.slides.direct_level import DirectLevel
from metastra.slides.opening import open_slide
from metastra.tiles.grid import TileSpec, make_grid
from slides.jpeg_slides import jpeg_pyramid
from slides.slide_makers import picture


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Two networks of other widths: one for the tiles of `morphology`, one for smaller ones."""
    folder = tmp_path_factory.mktemp("weights")
    tiny_weights(folder / "tiny")
    tiny_weights(folder / "fine", seed=1, tile_px=96, told={"name": "fine", "mpp": 0.7})
    return folder


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    for number in range(2):
        write_slide(folder / f"s{number}.tif", seed=number, side=700)
    return folder


def choice(weights, name):
    return EncoderChoice(name=name, weights=str(weights / name))


def asked(slides, out, *also, **more):
    return ExtractRequest(slides=(slides,), out=out, also=also, **more)


def files(out):
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.h5"))}


def run(request, told=None):
    return extract(request, executor=Serial(), tell=(told if told is not None else []).append)


@pytest.fixture(scope="module")
def alone(slides, weights, tmp_path_factory):
    """Each encoder by itself, in a folder of its own."""
    out = tmp_path_factory.mktemp("alone")
    run(asked(slides, out / "morphology"))
    for name in ("tiny", "fine"):
        run(asked(slides, out / name, encoder=name, weights=weights / name))
    return files(out)


def test_all_encoders_leave_what_each_leaves_alone(slides, weights, alone, tmp_path):
    """To the byte, a folder each; and the log says how often a slide is read."""
    told = []
    also = (choice(weights, "fine"), choice(weights, "tiny"))
    summary = run(asked(slides, tmp_path, *also), told)

    assert files(tmp_path) == alone
    assert len(alone) == 6
    assert summary.counts == {"done": 2, "excluded": 0, "failed": 0, "not begun": 0}
    (line,) = told
    assert line == (
        "2 passes over each slide: morphology, tiny on tiles of 224 px at 0.5 µm per pixel; "
        "fine on tiles of 96 px at 0.7 µm per pixel"
    )
    lines = summary.lines()
    named = [line.split()[:3] for line in lines[:6]]
    encoders = ("morphology", "fine", "tiny")
    assert named == [[f"s{n}.tif", one, "done"] for n in range(2) for one in encoders]
    assert lines[6] == "2 slides: 2 done"


def test_manifest_and_table_name_every_encoder(slides, weights, tmp_path):
    """Cards, tilings, and a row for each slide and encoder; a repeated run writes the same."""
    request = asked(slides, tmp_path, choice(weights, "tiny"))
    run(request)
    told = json.loads((tmp_path / "extract.json").read_text())
    rows = list(csv.DictReader((tmp_path / "extract.csv").read_text().splitlines()))

    assert [one["encoder"]["name"] for one in told["encoders"]] == ["morphology", "tiny"]
    assert "encoder" not in told
    pairs = [(f"s{n}.tif", name) for n in range(2) for name in ("morphology", "tiny")]
    assert [(one["slide"], one["encoder"]) for one in told["slides"]] == pairs
    assert [(one["SLIDE"], one["ENCODER"]) for one in rows] == pairs
    for one in told["slides"]:
        bag = read_bag(tmp_path / one["features"])
        assert (bag.origin.encoder, len(bag)) == (one["encoder"], one["n_tiles"])
    before = (tmp_path / "extract.json").read_bytes()
    again = run(request)
    assert not any(one.outcome.made for one in again.rows)
    assert (tmp_path / "extract.json").read_bytes() == before


def test_each_tile_is_decoded_once_for_both(weights, tmp_path, monkeypatch):
    """The reads of one pass for two encoders are those for one."""
    jpeg_pyramid(tmp_path / "a.tif", picture(700, 900))
    true = DirectLevel.decode

    def reads(out, *also):
        decoded = []
        monkeypatch.setattr(
            DirectLevel, "decode", lambda self, n, to: decoded.append(n) or true(self, n, to)
        )
        how = asked(tmp_path / "a.tif", tmp_path / out, *also, slide_mpp=0.5)
        summary = run(how)
        assert summary.fates[0].outcome.n_tiles > 0, summary.lines()
        return sorted(decoded)

    one = reads("one")
    assert one
    assert reads("two", choice(weights, "tiny")) == one


def test_only_what_is_missing_is_made(slides, weights, alone, tmp_path):
    """One encoder's file is lost, the others are left as they are."""
    request = asked(slides, tmp_path, choice(weights, "tiny"), choice(weights, "fine"))
    run(request)
    (tmp_path / "tiny/s1.h5").unlink()
    again = run(request)

    made = {(one.job.encoder, one.job.name): one.outcome.made for one in again.rows}
    assert [key for key, value in made.items() if value] == [("tiny", "s1")]
    assert files(tmp_path) == alone
    later = run(asked(slides, tmp_path, choice(weights, "tiny"), encoder="morphology"))
    assert not any(one.outcome.made for one in later.rows)


def test_shares_leave_what_one_run_leaves(slides, weights, alone, tmp_path):
    """Every share takes all encoders of its slides."""
    for number in (2, 1):
        shard = Shard(number=number, of=2)
        also = (choice(weights, "tiny"), choice(weights, "fine"))
        summary = run(asked(slides, tmp_path, *also, shard=shard))
        assert {one.job.name for one in summary.rows} == {f"s{number - 1}"}
    assert files(tmp_path) == alone


class Losing:
    """An executor in which the pass for small tiles loses its worker."""

    def __init__(self):
        self.begun = []

    def run(self, function, tasks):
        for task in tasks:
            self.begun.append(task.key)
            if task.payload["encoder"] == "fine":
                lost = Failure(cause=Cause.CRASHED, kind="", message="it crashed")
                yield Result(key=task.key, failure=lost)
            else:
                yield from Serial().run(function, [task])


def test_a_pass_that_loses_its_worker_costs_no_other(slides, weights, tmp_path):
    """It is failed and set apart by itself after three tries; --retry-failed tries it again."""
    request = asked(slides / "s0.tif", tmp_path, choice(weights, "fine"))
    for _ in range(3):
        losing = Losing()
        summary = extract(request, executor=losing)
        assert [one.state for one in summary.rows] == ["done", "failed"]
        assert summary.counts["failed"] == 1
        assert losing.begun == ["0.5um224px-s0", "0.7um96px-s0"]
    losing, told = Losing(), []
    extract(request, executor=losing, tell=told.append)
    assert losing.begun == ["0.5um224px-s0"]
    assert "0.7um96px-s0 is in quarantine" in told[1]
    retried = extract(
        asked(slides / "s0.tif", tmp_path, choice(weights, "fine"), retry_failed=True),
        executor=Serial(),
    )
    assert [one.state for one in retried.rows] == ["done", "done"]


def test_the_command_deals_weights_to_encoders(slides, weights, alone, tmp_path):
    """In their order to those that take some; stdout and extract.json are one."""
    command = [sys.executable, "-m", "metastra", "extract", slides / "s0.tif", "--out", tmp_path]
    command += ["--encoder", "morphology", "--encoder", "tiny", "--weights", weights / "tiny"]
    done = subprocess.run(
        [str(one) for one in (*command, "--json", "--workers", "1")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "one pass over each slide: morphology, tiny on tiles of 224 px" in done.stderr
    assert [one["encoder"] for one in json.loads(done.stdout)["slides"]] == ["morphology", "tiny"]
    wanted = {name: alone[name] for name in ("morphology/s0.h5", "tiny/s0.h5")}
    assert files(tmp_path) == wanted


def test_who_gets_which_folder_and_engine():
    """By order among those that take weights, or by name."""
    found = deal_choices(
        ["uni_v1", "morphology", "phikon"], ["/a", "/b"], ["phikon=onnxruntime-float32"]
    )
    assert [one.weights for one in found] == ["/a", "", "/b"]
    assert [one.engine for one in found] == ["", "", "onnxruntime-float32"]
    found = deal_choices(["uni_v1", "phikon"], ["phikon=/p", "/u=1"])
    assert [one.weights for one in found] == ["/u=1", "/p"]
    assert deal_choices(["uni_v1", "phikon"])[1] == EncoderChoice(name="phikon")
    assert deal_choices(["morphology"], ["/w"])[0].weights == "/w"


@pytest.mark.parametrize(
    ("names", "weights", "engines", "told"),
    [
        (
            ["uni_v1", "phikon"],
            ["/a"],
            [],
            "--weights that were given: 1; .*: 2 .uni_v1, phikon",
        ),
        (["uni_v1"], ["/a", "/b"], [], "--weights that were given: 2; .*: 1 .uni_v1"),
        (["morphology", "uni_v1"], ["/a", "/b"], [], "that were given: 2; .*: 1 .uni_v1"),
        (["uni_v1", "phikon"], [], ["auto"], "--engine that were given: 1; .* .uni_v1, phikon"),
        (["uni_v1", "phikon"], ["uni_v1=/a", "uni_v1=/b"], [], "--weights uni_v1= is given twice"),
        (["uni_v1", "uni_v1"], [], [], "uni_v1 is named twice"),
    ],
)
def test_counts_that_do_not_match_are_refused(names, weights, engines, told):
    """Nothing is guessed."""
    with pytest.raises(ConfigError, match=told):
        deal_choices(names, weights, engines)


def test_encoders_of_one_tiling_share_a_pass():
    """The order in which they were named is kept."""
    a, b, c = (EncoderChoice(name=name) for name in "abc")
    wide, narrow = TileSpec(0.5, 224), TileSpec(0.5, 96)
    groups = tile_groups([(a, wide), (b, narrow), (c, wide)])
    assert [(group.spec, group.choices) for group in groups] == [(wide, (a, c)), (narrow, (b,))]
    assert passes_told(groups[:1]).startswith("one pass over each slide: a, c on tiles of 224 px")


def test_features_of_a_second_encoder_wait_on_disk(tmp_path):
    """Memory at 480 tiles is that at 60, although the second encoder's numbers would be 60 MB."""

    class Wide(Powers):
        def encode(self, tiles):
            return np.zeros((len(tiles), self.card.dimension), np.float32)

    def peak(width):
        path = jpeg_pyramid(tmp_path / f"{width}.tif", picture(600, width))
        with open_slide(path) as slide:
            grid = make_grid(slide.info, TileSpec(0.5, 50))
            encoders = [Powers(1), Wide(32_768)]
            how = {"folder": tmp_path, "batch": 8, "readers": 1, "clock": Clock()}
            tracemalloc.start()
            with tile_pass(slide, grid, encoders, **how) as (first, _):
                n_tiles = sum(len(block) for block in first)
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return n_tiles, most

    few, least = peak(250)
    many, most = peak(2000)
    assert (few, many) == (60, 480)
    assert most < least + 8e6
