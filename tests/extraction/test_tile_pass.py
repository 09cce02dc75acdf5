"""Several encoders see the tiles of one pass; each gets what it would get alone."""

from __future__ import annotations

import threading
from dataclasses import asdict

import numpy as np
import pytest

from extraction.small_slides import write_slide
from metastra.errors import SlideError
from metastra.extraction.job import SlideJob
from metastra.extraction.outcome import SlideOutcome
from metastra.extraction.slide import extract_slide
from metastra.extraction.tile_pass import Clock, tile_pass
from metastra.slides.direct_level import DirectLevel
from metastra.slides.opening import open_slide
from metastra.tiles.grid import TileSpec, make_grid
from metastra.tiles.reading import reading_of
from slides.jpeg_slides import jpeg_pyramid
from slides.slide_makers import picture


class Powers:
    """Means of powers of the pixels: as many features as are asked for."""

    def __init__(self, dimension):
        self.card = type("Card", (), {"dimension": dimension})()
        self.seen = 0

    def encode(self, tiles):
        self.seen += len(tiles)
        light = tiles.reshape(len(tiles), -1) / 255.0
        powers = [(light**power).mean(axis=1) for power in range(1, self.card.dimension + 1)]
        return np.stack(powers, axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory):
    return jpeg_pyramid(tmp_path_factory.mktemp("slide") / "a.tif", picture(460, 700))


def features(path, encoders, folder, clock=None, batch=7):
    with open_slide(path) as slide:
        grid = make_grid(slide.info, TileSpec(0.5, 50))
        told = reading_of(slide, grid)
        how = {"folder": folder, "batch": batch, "readers": 2, "clock": clock or Clock()}
        with tile_pass(slide, grid, encoders, **how) as passes:
            return told, [np.concatenate(list(blocks)) for blocks in passes]


def test_each_encoder_gets_what_it_would_get_alone(slide_path, tmp_path):
    """Three encoders of different widths; nothing is left in the folder."""
    encoders = [Powers(3), Powers(1), Powers(5)]
    _, together = features(slide_path, encoders, tmp_path)
    alone = [features(slide_path, [one], tmp_path)[1][0] for one in encoders]

    assert [one.shape for one in together] == [(126, 3), (126, 1), (126, 5)]
    for mine, single in zip(together, alone, strict=True):
        assert (mine == single).all()
    assert not list(tmp_path.iterdir())


def test_each_of_the_files_tiles_is_decoded_once_for_all(slide_path, tmp_path, monkeypatch):
    """Two encoders cost no second decoding."""
    decoded = []
    true = DirectLevel.decode
    monkeypatch.setattr(
        DirectLevel, "decode", lambda self, n, out: decoded.append(n) or true(self, n, out)
    )
    features(slide_path, [Powers(1), Powers(2)], tmp_path)
    assert len(decoded) == len(set(decoded)) == 11 * 8


def test_the_time_an_encoder_waits_is_told_apart(slide_path, tmp_path):
    """Waiting and encoding; and by what the pixels were read."""
    clock = Clock()
    told, _ = features(slide_path, [Powers(2)], tmp_path, clock)
    assert set(clock.seconds) == {"waiting", "encoding", "busy"}
    assert 0 < clock.seconds["busy"] <= clock.seconds["encoding"]
    assert told == "level 0: directly; 4 tiles equal to OpenSlide's to the bit"


def test_whoever_stops_half_way_leaves_no_reader_behind(slide_path, tmp_path):
    """An encoder that fails: the slide can be closed."""

    class Failing(Powers):
        def encode(self, tiles):
            raise SlideError("no")

    with pytest.raises(SlideError, match="no"):
        features(slide_path, [Failing(1)], tmp_path)
    assert not [t for t in threading.enumerate() if t.name.startswith(("batches", "tiles"))]


def test_two_feature_files_of_one_pass_are_those_of_two_passes(tmp_path):
    """To the byte; what stands is left alone, and only the missing one is made."""
    slide = write_slide(tmp_path / "s.tif", side=700)

    def job(folder, *also):
        name = str(tmp_path / folder)
        return SlideJob(path=str(slide), name="s", folder=name, encoder="morphology", also=also)

    alone = extract_slide(job("alone"))
    (tmp_path / "a").mkdir()
    together = extract_slide(SlideJob.from_plain(job("a", job("b")).to_plain()))
    read = SlideOutcome.from_plain(asdict(together))

    assert read == together
    assert (together.made, together.also[0].made, alone.n_tiles > 0) == (True, True, True)
    files = [(tmp_path / folder / "s.h5").read_bytes() for folder in ("alone", "a", "b")]
    assert files[0] == files[1] == files[2]
    assert together.reading.startswith("level 0: directly; ")

    again = extract_slide(job("a", job("c")))
    assert (again.made, again.also[0].made) == (False, True)
    assert again.reading == together.reading
    assert (tmp_path / "c/s.h5").read_bytes() == files[0]
