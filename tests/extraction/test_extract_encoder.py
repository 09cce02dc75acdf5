"""A network as the encoder of real slides: from the command line to store, study and bundle."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from chain.conftest import run
from chain.slide_study import Kind, write_study
from encoders.tiny_weights import tiny_weights
from extraction.small_slides import write_slide
from metastra.digest import digest_value
from metastra.encoders.registry import encoder_card, get_encoder
from metastra.errors import BundleError, ConfigError, DigestMismatch
from metastra.executor import Serial
from metastra.extraction.slide import QUALITY_RULE
from metastra.features.files import read_bag
from metastra.pipeline.encoders_chosen import study_card, study_choice
from metastra.pipeline.explain import ExplainRequest, explain
from metastra.pipeline.extract import ExtractRequest, extract
from metastra.pipeline.given_slides import SlideSource
from metastra.pipeline.opening import open_study
from metastra.pipeline.predict import predict_table
from metastra.slides.opening import open_slide
from metastra.tiles.grid import TileGrid

SLIDE = "data/wsi/CMU-1-Small-Region.svs"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return tiny_weights(tmp_path_factory.mktemp("tiny") / "weights")


def pixels_of(path, bag):
    """The tiles of a bag, read again, one by one."""
    with open_slide(path) as slide:
        from metastra.tiles.grid import TileSpec, make_grid
        from metastra.tiles.reading import read_tiles

        grid = make_grid(slide.info, TileSpec(target_mpp=0.5, tile_px=224))
        kept = {tuple(place): number for number, place in enumerate(grid.coords.tolist())}
        mask = np.zeros(len(grid), bool)
        mask[[kept[tuple(place)] for place in bag.coords.tolist()]] = True
        part: TileGrid = grid.take(mask)
        return np.concatenate([tiles.copy() for _, tiles in read_tiles(slide, part, 7)])


def test_a_network_encodes_a_real_slide_from_the_command_line(shared, weights, tmp_path):
    """In a child process under its limits; the file says which weights, engine and precision."""
    arguments = ["--encoder", "tiny", "--weights", weights, "--out", tmp_path / "out", "--json"]
    command = [sys.executable, "-m", "metastra", "extract", shared / SLIDE, *arguments]
    done = subprocess.run(
        [str(one) for one in command], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    card = encoder_card("tiny", weights=weights)
    assert told["encoder"] == card.to_json()
    bag = read_bag(tmp_path / "out/CMU-1-Small-Region.h5")
    assert bag.origin.encoder_digest == card.digest
    assert (bag.origin.encoder, bag.origin.engine, bag.origin.precision) == (
        "tiny",
        "torch",
        "float32",
    )
    again = get_encoder("tiny", weights=weights).encode(pixels_of(shared / SLIDE, bag))
    kept = np.asarray(bag.features[:], np.float32)
    assert len(bag) > 50
    # the store may keep half precision
    assert np.abs(kept - again).max() <= 2e-3 * np.abs(again).max()


def test_another_engine_or_other_weights_make_the_features_anew(weights, tmp_path):
    """The key of the store holds the card: what is up to date is left alone, nothing is mixed."""
    slide = write_slide(tmp_path / "s.tif", side=700)

    def made(folder, engine=""):
        request = ExtractRequest(
            slides=(slide,), out=tmp_path / "out", encoder="tiny", weights=folder, engine=engine
        )
        (fate,) = extract(request, executor=Serial()).fates
        return fate.outcome.made, read_bag(tmp_path / "out/s.h5")

    assert made(weights)[0] is True
    again, plain = made(weights)
    assert again is False
    first, half = made(weights, "torch-bfloat16")
    assert first is True
    assert half.origin.precision == "bfloat16"
    assert half.origin.encoder_digest != plain.origin.encoder_digest
    other, _ = made(tiny_weights(tmp_path / "other", seed=1))
    assert other is True


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["openvino-bfloat16", "onnxruntime-float32"])
def test_every_engine_works_in_a_worker_under_its_limits(weights, tmp_path, engine):
    """Libraries that reserve much address space have room for it."""
    slide = write_slide(tmp_path / "s.tif", side=700)
    arguments = ["--encoder", "tiny", "--weights", weights, "--engine", engine]
    command = [sys.executable, "-m", "metastra", "extract", slide, "--out", tmp_path, *arguments]
    done = subprocess.run(
        [str(one) for one in command], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    bag = read_bag(tmp_path / "s.h5")
    assert f"{bag.origin.engine}-{bag.origin.precision}" == engine
    again = get_encoder("tiny", weights=weights).encode(pixels_of(slide, bag))
    found = np.asarray(bag.features[:], np.float32)
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(again, axis=1)
    assert ((found * again).sum(axis=1) / lengths).min() >= 0.999


def test_missing_weights_end_the_batch_before_a_slide_is_opened(tmp_path, monkeypatch):
    """Exit 2 with the steps."""
    monkeypatch.setenv("METASTRA_ENCODERS", str(tmp_path / "none"))
    request = ExtractRequest(slides=(tmp_path,), out=tmp_path / "out", encoder="uni_v1")

    with pytest.raises(ConfigError, match="hf auth login"):
        extract(request, executor=Serial())
    assert not (tmp_path / "out").exists()


def write_own_study(folder, weights, **settings):
    """A study file whose section of slides names the tiny encoder."""
    write_study(folder, n=20, n_external=0)
    lines = {"encoder": "tiny", "weights": str(weights), **settings}
    section = "\n[slides]\n" + "".join(f'{key} = "{value}"\n' for key, value in lines.items())
    (folder / "study.toml").write_text((folder / "study.toml").read_text() + section)
    return open_study(folder)


def test_a_study_names_weights_engine_and_digest(weights, tmp_path):
    """Relative to the study file; a stated digest is held."""
    shutil.copytree(weights, tmp_path / "study/tiny")
    card = encoder_card("tiny", weights=weights, engine="torch-bfloat16")
    opened = write_own_study(
        tmp_path / "study",
        "tiny",
        engine="torch-bfloat16",
        weights_sha256=card.weights_sha256,
    )

    assert study_card(opened.study, opened.run_dir) == card
    assert study_choice(opened.study, opened.run_dir).folder == (tmp_path / "study/tiny").absolute()
    tiny_weights(tmp_path / "study/tiny", seed=3)
    with pytest.raises(DigestMismatch, match=r"the study file states \w{12}…"):
        study_card(opened.study, opened.run_dir)


def test_weights_exchanged_under_a_run_are_refused(weights, tmp_path):
    """Unless the study file states the new ones."""
    shutil.copytree(weights, tmp_path / "study/tiny")
    opened = write_own_study(tmp_path / "study", "tiny")
    run(tmp_path / "study")
    old = study_card(opened.study, opened.run_dir)
    tiny_weights(tmp_path / "study/tiny", seed=3)
    new = encoder_card("tiny", weights=tmp_path / "study/tiny")

    with pytest.raises(DigestMismatch, match="features in run/ were made with"):
        study_card(opened.study, opened.run_dir)
    command = [sys.executable, "-m", "metastra", "run", str(tmp_path / "study")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert new.weights_sha256 in done.stderr

    text = (tmp_path / "study/study.toml").read_text()
    (tmp_path / "study/study.toml").write_text(text + f'weights_sha256 = "{new.weights_sha256}"\n')
    changed = open_study(tmp_path / "study")
    assert study_card(changed.study, changed.run_dir) == new
    assert old.weights_sha256 != new.weights_sha256


def test_a_study_without_weights_keeps_its_digest():
    """Keys that are not given are not part of it."""
    from metastra.study.sections import SlideSection

    assert set(SlideSection().model_dump()) == {
        "encoder",
        "target_mpp",
        "tile_px",
        "per_patient",
        "roles",
    }


@pytest.fixture(scope="module")
def bundle(weights, tmp_path_factory):
    """A model of made-up features that bear the card of the tiny encoder in bfloat16."""
    card = encoder_card("tiny", weights=weights, engine="torch-bfloat16")
    kind = Kind(
        encoder=card.name,
        digest=card.digest,
        engine=card.engine,
        precision=card.precision,
        target_mpp=card.mpp,
        features=card.dimension,
        named=False,
        quality=digest_value(QUALITY_RULE),
    )
    folder = tmp_path_factory.mktemp("model") / "study"
    write_study(folder, n=40, n_external=0, kinds=(kind, kind))
    run(folder)
    return folder / "run/bundle"


def predict(bundle, folder, slide, weights):
    folder.mkdir(exist_ok=True)
    (folder / "new.csv").write_text("PATIENT,age,grade\nnew-1,66,2\n")
    (folder / "slides.csv").write_text(f"PATIENT,FILENAME\nnew-1,{slide.name}\n")
    source = SlideSource(
        table=folder / "slides.csv",
        folder=slide.parent,
        store=folder / "features",
        weights=weights,
        executor=Serial(),
    )
    return predict_table(bundle, folder / "new.csv", folder / "out.csv", slides=source)


@pytest.mark.slow
def test_a_bundle_is_predicted_with_its_own_weights_and_engine_alone(
    bundle, weights, shared, tmp_path
):
    """The engine is the contract's; other weights of the same name are refused (exit 5)."""
    summary = predict(bundle, tmp_path / "a", shared / SLIDE, weights)

    assert summary.slides == {"done": 1}
    with (tmp_path / "a/out.csv").open() as stream:
        assert all(0 < float(row["risk"]) < 1 for row in csv.DictReader(stream))
    made = read_bag(next((tmp_path / "a/features").glob("*.h5")))
    assert (made.origin.engine, made.origin.precision) == ("torch", "bfloat16")

    other = tiny_weights(tmp_path / "other", seed=9)
    with pytest.raises(BundleError, match="BU025") as caught:
        predict(bundle, tmp_path / "b", shared / SLIDE, other)
    assert "by --weights" in caught.value.problems[0].hint
    assert not (tmp_path / "b/features").exists()
    request = ExplainRequest(
        bundle=bundle, slides=(shared / SLIDE,), out=tmp_path / "c", weights=other
    )
    with pytest.raises(BundleError, match="BU025"):
        explain(request, executor=Serial())
