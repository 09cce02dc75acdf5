"""Tiles come the same whichever way they are read: directly, one by one, by threads, ahead."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from metastra.errors import SlideError
from metastra.slides import direct_tiles
from metastra.slides.crew import Crew
from metastra.slides.direct_level import DirectLevel
from metastra.slides.opening import open_slide
from metastra.slides.openslide_reader import OpenSlideReader
from metastra.slides.scaled import read_scaled
from metastra.tiles.direct import GridReader
from metastra.tiles.grid import TileGrid, TileSpec, make_grid
from metastra.tiles.reading import read_tiles
from slides.jpeg_slides import jpeg_pyramid, one_tile_for_all
from slides.slide_makers import picture, tiled_pyramid

HEIGHT, WIDTH = 460, 700


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory):
    """Two levels, tiles of 64 px."""
    path = tmp_path_factory.mktemp("slide") / "a.tif"
    return jpeg_pyramid(path, picture(HEIGHT, WIDTH), levels=2, abbreviated=True)


@pytest.fixture
def no_direct(monkeypatch):
    """Let OpenSlide read everything."""

    def turn_off():
        monkeypatch.setattr(direct_tiles, "DIRECT_VENDORS", frozenset())

    return turn_off


def read_all(slide, grid, batch=7, **how):
    return np.concatenate([tiles for _, tiles in read_tiles(slide, grid, batch, **how)])


def shifted(grid, by):
    inside = grid.coords + by
    fits = (inside + np.ceil(grid.side_px0) <= [WIDTH, HEIGHT]).all(axis=1)
    return TileGrid(spec=grid.spec, coords=inside[fits], side_px0=grid.side_px0, mpp=grid.mpp)


SCALES = {
    "the file's tiles": (0.5, 64, 0),
    "the same scale": (0.5, 50, 0),
    "between the file's tiles": (0.5, 64, 37),
    "half": (0.25, 32, 0),
    "half, odd corners": (0.25, 32, 5),
    "a third": (0.5 / 3, 20, 0),
    "a hair finer": (0.499, 64, 3),
    "2.19 times": (0.2282, 40, 0),
    "the level below, a bit more": (0.24, 60, 1),
    "coarser than the slide": (0.6, 50, 0),
    "all of one tile": (0.05, 20, 0),
}


@pytest.mark.parametrize("scale", SCALES)
def test_tiles_are_those_that_each_gives_by_itself(scale, slide_path, no_direct):
    """To the bit, and those that OpenSlide gives; in threads, ahead, in any batch."""
    mpp, tile_px, by = SCALES[scale]
    with open_slide(slide_path, mpp=mpp) as slide:
        grid = shifted(make_grid(slide.info, TileSpec(0.5, tile_px)), by)
        one = read_all(slide, grid)
        by_itself = np.stack(
            [read_scaled(slide, x, y, *grid.side_px0, tile_px, tile_px) for x, y in grid.coords]
        )
        for how in ({"threads": 3}, {"ahead": 2}, {"threads": 2, "ahead": 1, "batch": 100}):
            assert (read_all(slide, grid, **how) == one).all()
    no_direct()
    with open_slide(slide_path, mpp=mpp) as slide:
        assert slide.direct_level(0) is None
        through_openslide = read_all(slide, grid)

    assert len(one) == len(grid) > 0
    assert (one == by_itself).all()
    assert (one == through_openslide).all()


def test_a_real_slide_is_read_as_openslide_reads_it(shared, no_direct):
    """Aperio's tiles of 240 px in RGB, 0.499 µm per pixel: all 117 tiles."""
    path = shared / "data" / "wsi" / "CMU-1-Small-Region.svs"
    with open_slide(path) as slide:
        grid = make_grid(slide.info, TileSpec())
        assert slide.reading(0).direct
        mine = read_all(slide, grid, 64, threads=2, ahead=1)
    no_direct()
    with open_slide(path) as slide:
        assert (read_all(slide, grid, 64) == mine).all()


@pytest.mark.parametrize("slots", [1, 4, 5, 9])
def test_little_memory_gives_the_same_tiles(slots, slide_path, monkeypatch):
    """Where what a batch needs cannot all be held, it is read in parts."""
    with open_slide(slide_path) as slide:
        grid = shifted(make_grid(slide.info, TileSpec(0.5, 60)), 37)
        want = read_all(slide, grid)
    true = DirectLevel.__init__

    def little(self, plane, stream, *, shrink=1, **_):
        true(self, plane, stream, shrink=shrink, kept_bytes=slots * 64 * 64 * 3)

    monkeypatch.setattr(DirectLevel, "__init__", little)
    with open_slide(slide_path) as slide:
        assert slide.direct_level(0).slots == slots
        assert (read_all(slide, grid, 16, threads=2) == want).all()
        assert slide.direct_level(0)._made <= slots


def test_each_of_the_files_tiles_is_decoded_once(slide_path, monkeypatch):
    """A grid that does not lie on the file's tiles needs each of them in up to four places."""
    decoded = []
    true = DirectLevel.decode
    monkeypatch.setattr(
        DirectLevel, "decode", lambda self, n, out: decoded.append(n) or true(self, n, out)
    )
    with open_slide(slide_path) as slide:
        grid = make_grid(slide.info, TileSpec(0.5, 50))
        for _ in read_tiles(slide, grid, 5):
            pass
    assert len(decoded) == len(set(decoded)) == 11 * 8


@pytest.mark.parametrize("threads", [1, 3])
def test_what_was_not_decoded_is_not_kept(threads, slide_path, monkeypatch):
    """A failure of another kind in the middle of a batch: the next reading starts anew."""
    true, calls = DirectLevel.decode, iter(range(10_000))

    def decode(self, number, out):
        if next(calls) == 9:
            raise RuntimeError("another kind")
        return true(self, number, out)

    with open_slide(slide_path) as slide:
        grid = shifted(make_grid(slide.info, TileSpec(0.5, 50)), 7)
        want = read_all(slide, grid)
    with open_slide(slide_path) as slide:
        monkeypatch.setattr(DirectLevel, "decode", decode)
        with pytest.raises(RuntimeError, match="another kind"):
            read_all(slide, grid, 40, threads=threads)
        assert (read_all(slide, grid, 40, threads=threads) == want).all()


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_region_that_was_broken_off_is_read_anew(error, slide_path, monkeypatch):
    """Nothing of a tile that was being decoded stays as if it were one."""

    def decode(*_):
        raise error

    with open_slide(slide_path) as slide:
        want = slide.read_region(5, 9, 0, 90, 70)
    with open_slide(slide_path) as slide:
        with monkeypatch.context() as patch:
            patch.setattr(DirectLevel, "decode", decode)
            with pytest.raises(error):
                slide.read_region(5, 9, 0, 90, 70)
        assert (slide.read_region(5, 9, 0, 90, 70) == want).all()


def test_parts_of_a_grid_may_be_read_again(slide_path):
    """What a thread puts together from is not let go by another that counts it as done."""
    with open_slide(slide_path) as slide:
        grid = shifted(make_grid(slide.info, TileSpec(0.5, 50)), 7)
        want = read_all(slide, grid)
        for begun in range(1, len(grid), 9):
            reader, out = GridReader(slide, grid), np.empty_like(want)
            with Crew(4) as crew:
                reader.fill(slice(0, begun), out[:begun], crew)
                reader.fill(slice(0, len(grid)), out, crew)
            assert (out == want).all()


@pytest.mark.parametrize("tile", [(512, 512), (48, 112)])
def test_tiles_of_the_file_of_any_size_give_the_same(tile, tmp_path, no_direct):
    """One that holds many tiles of the grid, and some that are not square; with a scale, too."""
    path = jpeg_pyramid(tmp_path / "a.tif", picture(HEIGHT, WIDTH), tile=tile)
    grids, mine = [], []
    for mpp in (0.5, 0.4):
        with open_slide(path, mpp=mpp) as slide:
            assert slide.reading(0).direct
            grids.append(make_grid(slide.info, TileSpec(0.5, 50)))
            mine.append(read_all(slide, grids[-1], 40, threads=2))
    no_direct()
    for mpp, grid, tiles in zip((0.5, 0.4), grids, mine, strict=True):
        with open_slide(path, mpp=mpp) as slide:
            assert (read_all(slide, grid, 40) == tiles).all()


@pytest.fixture
def damaged(slide_path, tmp_path):
    """The same slide, 20 bytes of one tile in its middle no JPEG."""
    with OpenSlideReader(slide_path) as slide:
        plane = slide.direct_level(0).plane
    data = bytearray(slide_path.read_bytes())
    place = plane.offsets[40]  # the fourth row's eighth tile
    data[place : place + 20] = bytes(20)
    path = tmp_path / "damaged.tif"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("how", [{}, {"threads": 2}, {"ahead": 1}, {"ahead": 3, "threads": 2}])
@pytest.mark.parametrize("tile_px", [64, 50])
def test_the_first_tile_that_cannot_be_decoded_is_named(how, tile_px, damaged):
    """Batches before it come; the place is the file's tile; the slide can be read on."""
    with open_slide(damaged) as slide:
        grid = make_grid(slide.info, TileSpec(0.5, tile_px))
        batches, seen = read_tiles(slide, grid, 4, **how), []
        with pytest.raises(SlideError, match=r"SL005 .*tile 40 at x 448, y 192") as caught:
            seen.extend(part for part, _ in batches)
        assert caught.value.code == "SL005"
        x, y = grid.coords.T
        first = np.flatnonzero((x + tile_px > 448) & (x < 512) & (y + tile_px > 192) & (y < 256))[0]
        assert seen[-1].stop == first // 4 * 4
        assert read_all(slide, grid.take(np.arange(4))).shape == (4, tile_px, tile_px, 3)


def test_reading_ahead_ends_with_the_generator(slide_path):
    """Whoever stops half way leaves no thread behind that reads from a closed file."""
    with open_slide(slide_path) as slide:
        tiles = read_tiles(slide, make_grid(slide.info, TileSpec(0.5, 50)), 3, ahead=2, threads=2)
        next(tiles)
        tiles.close()
    assert not [t for t in threading.enumerate() if t.name.startswith(("batches", "tiles"))]


def test_memory_is_used_again(slide_path):
    """As many arrays as are read ahead, and the caller's; where that is allowed."""
    with open_slide(slide_path) as slide:
        grid = make_grid(slide.info, TileSpec(0.5, 50))
        for ahead in (0, 2):
            batches = read_tiles(slide, grid, 4, ahead=ahead, reuse=True)
            assert len({tiles.ctypes.data for _, tiles in batches}) == ahead + 1
            kept = [tiles for _, tiles in read_tiles(slide, grid, 4, ahead=ahead)]
            assert (np.concatenate(kept) == read_all(slide, grid)).all()


def test_an_empty_grid_has_no_batch(slide_path):
    """And asks the slide nothing."""
    with open_slide(slide_path) as slide:
        grid = make_grid(slide.info, TileSpec(0.5, 50)).take(np.zeros(0, dtype=np.int64))
        assert not list(read_tiles(slide, grid, 4, ahead=1))
        with pytest.raises(ValueError, match="none is -1 ahead"):
            next(read_tiles(slide, grid, 4, ahead=-1))


def test_a_slide_without_tiles_of_its_own_is_read_one_by_one(tmp_path):
    """Strips go through their own reader; the tiles are the same in any batch."""
    path = tiled_pyramid(tmp_path / "a.ome.tif", picture(), levels=1)
    with open_slide(path, mpp=0.3) as slide:
        grid = make_grid(slide.info, TileSpec(0.5, 40))
        one = read_all(slide, grid, 2, threads=2, ahead=1)
        assert (one == read_all(slide, grid, 100)).all()


def test_ctrl_c_while_waiting_comes_when_no_thread_is_at_work():
    begun, over = threading.Event(), []

    def work(_):
        if threading.current_thread() is threading.main_thread():
            assert begun.wait(10)
            return
        begun.set()
        time.sleep(0.1)  # until the other one waits
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(0.2)
        over.append(True)

    with Crew(2) as crew:
        with pytest.raises(KeyboardInterrupt):
            crew.run(work, [0, 1])
        assert over == [True]


def test_a_crew_does_everything_once_and_raises_what_happened():
    """With more threads than work, too; the first error comes when all are done."""
    for threads in (1, 2, 5):
        with Crew(threads) as crew:
            assert crew.run(lambda n: n * n, list(range(40))) == [n * n for n in range(40)]
            assert crew.run(abs, []) == []
            with pytest.raises(ZeroDivisionError):
                crew.run(lambda n: 1 // (n - 3), list(range(9)))
    with pytest.raises(ValueError, match="at least 1 thread"):
        Crew(0)


LIMITED = """
    import resource, sys
    from pathlib import Path
    import numpy as np
    from metastra.slides.opening import open_slide
    from metastra.slides.tiff_pieces import CACHE_BYTES
    from metastra.tiles.grid import TileSpec, make_grid
    from metastra.tiles.reading import read_tiles

    def address_space():
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()

    batch, ahead, threads, side = 64, 2, 2, 224
    mpp = float(sys.argv[2])
    with open_slide(sys.argv[1], mpp=mpp) as slide:
        assert slide.reading(0).direct
        grid = make_grid(slide.info, TileSpec(0.5, side))
        for _ in read_tiles(slide, grid.take(np.arange(2)), 2, threads=threads, ahead=1):
            pass  # everything is loaded and compiled
        declared = (ahead + 1) * batch * side * side * 3 + CACHE_BYTES
        room = 4 << 20  # one source for each thread, and the file's list of tiles
        stacks = (threads + 1) * (72 << 20)  # a thread's stack and its share of malloc's
        limit = address_space() + declared + room + stacks
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        some = grid.take(np.r_[0:5700, len(grid) - 300 : len(grid)])
        read = sum(len(tiles) for _, tiles in read_tiles(
            slide, some, batch, threads=threads, ahead=ahead))
    assert read == 6000, read
    print(len(grid))
"""


@pytest.mark.slow
@pytest.mark.parametrize("mpp", [0.5, 0.2282])
def test_memory_is_bounded_by_the_batch_on_a_slide_of_any_size(mpp, tmp_path):
    """130 000 × 130 000 px under a limit of the address space: batches, the cache, no more."""
    path = one_tile_for_all(tmp_path / "a.tif", 130_000, picture(256, 256))
    assert path.stat().st_size < 3_000_000
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED), str(path), str(mpp)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 60_000
