"""Tiles of a batch: counted while slides are read, reckoned for those that were not begun."""

from __future__ import annotations

import io

from extraction.small_slides import write_slide
from metastra.executor import Serial
from metastra.extraction.batch import extract_all
from metastra.extraction.job import SlideJob
from metastra.extraction.tally import TileTally
from metastra.progress import Parts, PlainProgress, use_progress


def tally_of(slides):
    told = []
    return TileTally(slides=slides, tell=told.append), told


def test_nothing_is_known_before_the_first_slide_is_read():
    """No total rather than a wrong one; a beat without a total says nothing."""
    tally, told = tally_of(3)
    tally.beat("a", 0, 0)
    assert told == []
    assert tally.parts() == Parts(done=0, total=None, unit="tiles", estimated=True)


def test_slides_not_begun_count_as_the_mean_of_the_others():
    """300 and 100 tiles of two slides make 1,000 of five; at the end the true number stands."""
    tally, told = tally_of(5)
    tally.beat("a", 64, 300)
    tally.beat("b", 64, 100)
    assert told[-1] == Parts(done=128, total=1000.0, unit="tiles", estimated=True)
    for name, tiles in (("a", 300), ("b", 100), ("c", 0), ("d", 50), ("e", 0)):
        tally.finish(name, tiles)
    assert told[-1] == Parts(done=450, total=450.0, unit="tiles", estimated=False)


def test_a_slide_that_was_begun_twice_counts_once():
    """Its worker was lost and another took it up."""
    tally, told = tally_of(1)
    tally.beat("a", 200, 300)
    tally.beat("a", 64, 300)
    assert told[-1] == Parts(done=64, total=300.0, unit="tiles", estimated=False)


def test_extraction_shows_slides_and_tiles(tmp_path):
    """The last line has both, and only tiles that were made; the next run makes none."""
    slides = [write_slide(tmp_path / f"s{n}.tif", seed=n, side=460) for n in range(2)]
    jobs = [
        SlideJob(path=str(path), name=path.stem, folder=str(tmp_path / "out"), encoder="morphology")
        for path in slides
    ]
    told = []
    for _ in range(2):
        text = io.StringIO()
        with use_progress(PlainProgress(text)):
            tiles = sum(fate.outcome.n_tiles for fate in extract_all(Serial(), jobs))
        told.append(text.getvalue().splitlines()[-1].rpartition(" in ")[0])
    assert tiles > 0
    assert told == [f"extract: 2 of 2 slides, {tiles} of {tiles} tiles", "extract: 2 of 2 slides"]
