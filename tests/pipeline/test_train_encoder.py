"""From slides, tiles or a study to a folder of weights; what may not be seen is left out."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metastra.digest import digest_file
from metastra.errors import ConfigError, DataError
from metastra.executor import Serial
from metastra.pipeline.encoder_collecting import collect
from metastra.pipeline.encoder_sources import Tiling, is_study, loose_sources, study_sources
from metastra.pipeline.encoder_tiles import collect_tiles
from metastra.pipeline.train_encoder import TrainEncoderRequest, train_encoder
from metastra.synthetic.generate import synthetic_study
from metastra.tiles.grid import TileSpec
from metastra.training.encoder_task import EncoderTask

torch = pytest.importorskip("torch")
from safetensors.torch import load_file  # noqa: E402

SPEC = TileSpec(target_mpp=0.5, tile_px=64)


def picture(side, seed, height=None):
    rng = np.random.default_rng(seed)
    return rng.integers(60, 240, (height or side, side, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    """40 pictures of one tile each."""
    folder = tmp_path_factory.mktemp("tiles")
    for number in range(40):
        Image.fromarray(picture(64, number)).save(folder / f"PATIENT-{number:02d}.png")
    return folder


def asked(paths, out, **changes):
    settings = {
        "task": EncoderTask(steps=2, tiles_per_step=8),
        "tile_px": 64,
        "mpp": 0.5,
        "pictures": True,
        "name": "mine",
    }
    return TrainEncoderRequest(paths=tuple(paths), out=out, **{**settings, **changes})


def run(*given, **changes):
    return train_encoder(asked(*given, **changes), executor=Serial())


def tiling(folder, most=1000, spec=SPEC):
    return Tiling(folder=folder, spec=spec, most_tiles=most, seed=0)


def test_a_folder_of_weights_says_what_it_was_trained_on(tiles, tmp_path):
    out = tmp_path / "own"
    summary = run([tiles], out)
    config = json.loads((out / "config.json").read_text())["metastra"]
    training = json.loads((out / "training.json").read_text())
    assert config["weights_sha256"] == digest_file(out / "model.safetensors")
    assert (config["name"], config["mpp"], config["tile_px"]) == ("mine", 0.5, 64)
    assert config["network"] == {"family": "compact"}
    assert training["tiles"]["n"] == training["n_sources"] == 40
    digests = {digest_file(path) for path in tiles.iterdir()}
    assert {one["digest"] for one in training["sources"]} == digests
    assert training["steps"] == 2
    assert "PATIENT" not in (out / "training.json").read_text()
    assert "PATIENT" not in (out / "config.json").read_text()
    rows = list(csv.DictReader(io.StringIO((out / "loss.csv").read_text())))
    assert [row["step"] for row in rows] == ["1", "2"]
    assert float(rows[0]["loss"]) == pytest.approx(
        25 * float(rows[0]["invariance"])
        + 25 * float(rows[0]["variance"])
        + float(rows[0]["covariance"]),
        rel=1e-4,
    )
    assert not (out / "checkpoint.safetensors").exists()
    assert summary.made
    assert any("--encoder mine --weights" in line for line in summary.lines())


def test_the_weights_are_an_encoder_that_keeps_the_contract(tiles, tmp_path):
    """What the folder gives by name is the network that was trained, to single precision."""
    from metastra.encoders.registry import encoder_card, get_encoder
    from metastra.models.compact import CompactNetwork
    from metastra.testing.encoder_contract import encoder_faults

    run([tiles], tmp_path / "own")
    encoder = get_encoder("mine", weights=tmp_path / "own")
    assert encoder_faults(encoder) == []
    assert encoder.card.dimension == 448
    assert encoder.card.weights_sha256 == digest_file(tmp_path / "own" / "model.safetensors")
    assert encoder_card("mine", weights=tmp_path / "own").digest == encoder.card.digest
    network = CompactNetwork()
    network.load_state_dict(load_file(tmp_path / "own" / "model.safetensors"))
    given = np.stack([picture(64, seed) for seed in range(3)])
    centre, scale = np.array(encoder.card.mean), np.array(encoder.card.std)
    pixels = torch.from_numpy((given / 255.0 - centre) / scale).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        expected = network.eval()(pixels).numpy()
    np.testing.assert_allclose(encoder.encode(given), expected, rtol=1e-3, atol=1e-4)


def test_the_same_command_again_makes_nothing_and_other_settings_are_refused(tiles, tmp_path):
    out = tmp_path / "own"
    run([tiles], out)
    before = (out / "model.safetensors").stat().st_mtime_ns
    again = run([tiles], out)
    assert not again.made
    assert any("up to date" in line for line in again.lines())
    assert (out / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match="holds an encoder that was trained on other tiles"):
        run([tiles], out, task=EncoderTask(steps=3, tiles_per_step=8))
    assert (out / "model.safetensors").stat().st_mtime_ns == before


def test_two_folders_get_the_same_bytes(tiles, tmp_path):
    for name in ("a", "b"):
        run([tiles], tmp_path / name)
    for file in ("config.json", "model.safetensors", "loss.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_bad_picture_is_named_and_the_others_go_on(tmp_path):
    folder = tmp_path / "tiles"
    folder.mkdir()
    for number in range(34):
        Image.fromarray(picture(64, number)).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes((folder / "3.png").read_bytes()[:500])
    Image.fromarray(picture(40, 1)).save(folder / "small.png")
    summary = run([folder], tmp_path / "own")
    assert set(summary.collected.failed) == {"broken.png", "small.png"}
    assert "64 × 64" in summary.collected.failed["small.png"]
    assert summary.training["tiles"]["n"] == 34


def test_a_picture_is_covered_to_its_edges(tmp_path):
    """150 × 70 px in tiles of 64: three by two, the last flush with the edge, nothing scaled."""
    pixels = picture(150, 3, height=70)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    jobs = loose_sources([tmp_path / "a.png"], tiling(tmp_path), mpp=0.5, pictures=True).jobs
    told = collect_tiles(jobs[0].to_plain())
    made = np.load(tmp_path / "tiles" / f"{jobs[0].name}.npy")
    corners = [(x, y) for y in (0, 6) for x in (0, 43, 86)]
    assert told["sources"] == [[digest_file(tmp_path / "a.png"), 6]]
    for tile, (x, y) in zip(made, corners, strict=True):
        np.testing.assert_array_equal(tile, pixels[y : y + 64, x : x + 64])


def test_a_picture_at_another_scale_is_brought_to_the_tiles(tmp_path):
    pixels = picture(128, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (job,) = loose_sources([tmp_path / "a.png"], tiling(tmp_path), mpp=0.25, pictures=True).jobs
    collect_tiles(job.to_plain())
    (tile,) = np.load(tmp_path / "tiles" / f"{job.name}.npy")
    mean = pixels.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
    assert np.abs(tile - mean).max() <= 0.5 + 1e-3


def test_slides_give_their_share_and_one_that_stands_is_kept(tmp_path):
    from extraction.small_slides import write_slide

    for number in range(2):
        write_slide(tmp_path / f"s{number}.tif", side=700, seed=number)
    (tmp_path / "empty.svs").write_bytes(b"")
    spec = TileSpec(target_mpp=0.5, tile_px=64)
    paths = sorted(tmp_path.glob("*.[st][vi][sf]"))
    sources = loose_sources(paths, tiling(tmp_path / "out", 30, spec), mpp=None, pictures=False)
    found = collect(Serial(), sources.jobs)
    assert [count for _, count in found.sources] == [10, 10]
    assert set(found.failed) == {"empty.svs"}
    stamps = {path: path.stat().st_mtime_ns for path in found.files}
    again = collect(Serial(), sources.jobs)
    assert again.tiles_digest == found.tiles_digest
    assert {path: path.stat().st_mtime_ns for path in again.files} == stamps


def test_a_slide_counts_once_whatever_it_is_called(tmp_path):
    from extraction.small_slides import write_slide

    first = write_slide(tmp_path / "a.tif", side=500)
    (tmp_path / "b.tif").write_bytes(first.read_bytes())
    sources = loose_sources(
        [first, tmp_path / "b.tif"], tiling(tmp_path / "out", 20), mpp=None, pictures=False
    )
    found = collect(Serial(), sources.jobs)
    assert len(found.files) == len(found.sources) == 1


@pytest.fixture
def study(tmp_path) -> Path:
    """A synthetic study whose cohorts north (development) and south (external) list slides."""
    folder = tmp_path / "study"
    for name, content in synthetic_study(n_patients=40, seed=5).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    text = (folder / "study.toml").read_text()
    text = text.replace('group = ["PATIENT", "site"]\nleave_one_cohort_out = true', "")
    text = text.replace("folds = 5", "folds = 2")
    for cohort, table, mark in (("north", "slides.csv", ","), ("south", "slides.tsv", "\t")):
        head, tail = text.split(f'name = "{cohort}"')
        tail = tail.replace(
            "require_slides = false", f'slide_dir = "{cohort}"\nrequire_slides = true', 1
        )
        text = f'{head}name = "{cohort}"{tail}'
        listed = (folder / cohort / table).read_text(encoding="utf-8-sig")
        for row in csv.DictReader(io.StringIO(listed), delimiter=mark):
            (folder / cohort / row["FILENAME"]).write_bytes(row["FILENAME"].encode())
    (folder / "study.toml").write_text(text)
    return folder


def test_a_study_gives_the_slides_of_development_alone(study, tmp_path):
    assert is_study(study)
    sources = study_sources(study, tiling(tmp_path / "out"), key=None, fold=None)
    assert sources.jobs
    for job in sources.jobs:
        assert Path(job.paths[0]).parent.name == "north"
        assert "NO-" not in job.name
        assert "NO-" not in job.shown[0]
    assert list(sources.left_out) == ["cohort south is external"]
    assert sources.left_out["cohort south is external"] > 0
    assert "have seen their pixels" in sources.rule or "has seen their pixels" in sources.rule


def test_a_fold_keeps_its_test_patients_unseen(study, tmp_path):
    from metastra.pipeline.opening import open_study
    from metastra.pipeline.workshop import Workshop

    work = Workshop(opened=open_study(study))
    fold = work.split.folds[0]
    sources = study_sources(study, tiling(tmp_path / "out"), key=None, fold=fold.name)
    whole = study_sources(study, tiling(tmp_path / "out"), key=None, fold=None)
    test = {
        Path(slide.path).name
        for one in work.cohort.patients
        if one.key in fold.test
        for slide in one.slides
        if slide.path is not None
    }
    seen = {Path(job.paths[0]).name for job in sources.jobs}
    assert test & {Path(job.paths[0]).name for job in whole.jobs}
    assert not test & seen
    assert sources.left_out["patient is not in the training part of the fold"] > 0
    with pytest.raises(ConfigError, match="no fold is named 'fold-99'; the study has"):
        study_sources(study, tiling(tmp_path / "out"), key=None, fold="fold-99")


def test_a_study_of_external_slides_alone_is_refused(study, tmp_path):
    text = (study / "study.toml").read_text()
    head, tail = text.split('name = "north"')
    tail = tail.replace('slide_dir = "north"\nrequire_slides = true', "require_slides = false", 1)
    (study / "study.toml").write_text(f'{head}name = "north"{tail}')
    with pytest.raises(ConfigError, match=r"no slide to train on \(\d+: cohort south is external"):
        study_sources(study, tiling(tmp_path / "out"), key=None, fold=None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "morphology"}, "an encoder named 'morphology' is there already"),
        ({"name": "uni_v1"}, "an encoder named 'uni_v1' is there already"),
        ({"name": "my own"}, "'my own' is no name of an encoder"),
        ({"tile_px": 100}, "multiples of 32 from 64"),
        ({"tile_px": 32}, "multiples of 32 from 64"),
        ({"fold": "fold-0"}, "--fold and --key belong to a study"),
        ({"mpp": -1.0}, "-1"),
    ],
)
def test_options_that_contradict_are_refused(tiles, tmp_path, changes, said):
    with pytest.raises(ConfigError, match=said):
        run([tiles], tmp_path / "own", **changes)


def test_a_study_among_slides_is_refused(tiles, study, tmp_path):
    with pytest.raises(ConfigError, match="give one study alone, or slides"):
        run([study, tiles], tmp_path / "own")
    with pytest.raises(ConfigError, match="--tiles and --slide-mpp are for loose files"):
        run([study], tmp_path / "own")
    with pytest.raises(ConfigError, match="no slide was named"):
        run([], tmp_path / "own")


@pytest.mark.slow
def test_an_encoder_that_saw_an_external_slide_is_refused_by_the_run(study, tmp_path):
    """Trained on a loose slide that the external cohort lists under another name."""
    from extraction.small_slides import write_slide
    from metastra.pipeline.opening import open_study
    from metastra.pipeline.run import run_study

    slide = write_slide(tmp_path / "loose.tif", side=700)
    run([slide], study / "own", pictures=False, mpp=None)
    text = (study / "study.toml").read_text()
    head, tail = text.split('name = "north"')
    tail = tail.replace('slide_dir = "north"\nrequire_slides = true', "require_slides = false", 1)
    text = f'{head}name = "north"{tail}'.replace("tile_px = 224", "tile_px = 64")
    text = text.replace('encoder = "morphology"', 'encoder = "mine"\nweights = "own"')
    (study / "study.toml").write_text(text)
    listed = sorted(path for path in (study / "south").iterdir() if "_HE" in path.name)
    listed[0].write_bytes(slide.read_bytes())
    with pytest.raises(DataError) as refused:
        run_study(open_study(study), executor=Serial())
    assert [one.code for one in refused.value.problems] == ["LK008"]
    assert "external cohort south" in refused.value.problems[0].found
