"""One pass over a slide's tiles for any number of encoders: each tile is decoded once.

Tiles are read ahead in the background, so that an encoder finds the next batch ready; an encoder on
a device of its own computes while the next batches are read and copied to it.  The features
of the first encoder go straight to its file; those of the others wait in an unnamed file beside it
until that is written, so memory stays bounded by the batch.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from metastra.encoders.encoder import Encoder
from metastra.encoders.streaming import feature_stream
from metastra.executor import beat
from metastra.slides.slide import Slide
from metastra.tiles.grid import TileGrid
from metastra.tiles.reading import read_tiles

__all__ = ["AHEAD", "Clock", "tile_pass"]

AHEAD = 2
"""Batches that are read while an encoder works on one."""

_ROWS = 4096

Blocks = Iterator[NDArray[np.float32]]


class Clock:
    """Seconds for each step, summed over its visits."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, *, less: tuple[str, ...] = ()) -> Iterator[None]:
        """Count the time of a block.

        Parameters
        ----------
        name : str
            Of the step.
        less : tuple of str
            Steps whose visits inside the block are not counted to this one.
        """
        inside_before_s = sum(self.seconds.get(item, 0.0) for item in less)
        begun_s = time.perf_counter()
        yield
        inside_s = sum(self.seconds.get(item, 0.0) for item in less) - inside_before_s
        self.add(name, time.perf_counter() - begun_s - inside_s)

    def add(self, name: str, seconds: float) -> None:
        """Count time that was taken otherwise.

        Parameters
        ----------
        name : str
            Of the step.
        seconds : float
            To be added.
        """
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds


@contextmanager
def tile_pass(
    slide: Slide,
    grid: TileGrid,
    encoders: Sequence[Encoder],
    *,
    folder: Path,
    batch: int,
    readers: int,
    clock: Clock,
) -> Iterator[list[Blocks]]:
    """Read the tiles of a grid once and encode them.

    Parameters
    ----------
    slide : Slide
        Open; it stays so inside the block.
    grid : TileGrid
        Which tiles.
    encoders : sequence of Encoder
        All made for tiles of this scale and size.
    folder : Path
        Where features of all but the first encoder wait; exists where there are several.
    batch : int
        Tiles at once.
    readers : int
        Threads that read.
    clock : Clock
        Is told the seconds of ``"waiting"`` (for tiles), of ``"encoding"``, and of ``"busy"``: in
        which an encoder computed, also on a device that goes on while tiles are waited for.

    Yields
    ------
    list of iterator of ndarray, shape (b, dimension)
        The features for each encoder, block by block.  The first is gone through before the
        others.

    Raises
    ------
    SlideError
        From the first iterator: SL005 at the first tile that cannot be decoded.
    """
    with ExitStack() as inside:
        waiting = [
            cast("BinaryIO", inside.enter_context(tempfile.TemporaryFile(dir=folder)))
            for _ in encoders[1:]
        ]
        # nobody reads from the slide any more when the block is left, however that comes
        batches = inside.enter_context(
            closing(read_tiles(slide, grid, batch, threads=readers, ahead=AHEAD, reuse=True))
        )

        def first() -> Blocks:
            streams = [feature_stream(encoder) for encoder in encoders]

            def taken(found: list[list[NDArray[np.float32]]]) -> list[NDArray[np.float32]]:
                """Keep the others' features on disk, and give those of the first."""
                for blocks, file in zip(found[1:], waiting, strict=True):
                    for block in blocks:
                        file.write(np.ascontiguousarray(block, np.float32).data)
                return found[0]

            while True:
                with clock.step("waiting"):
                    part, tiles = next(batches, (slice(0, 0), None))
                with clock.step("encoding"):
                    if tiles is None:
                        ready = taken([stream.finish() for stream in streams])
                    else:
                        ready = taken([stream.push(tiles) for stream in streams])
                if tiles is not None:
                    beat(part.stop, len(grid))
                yield from ready
                if tiles is None:
                    clock.add("busy", sum(stream.busy_s for stream in streams))
                    return

        yield [
            first(),
            *(
                _back(file, encoder.card.dimension)
                for encoder, file in zip(encoders[1:], waiting, strict=True)
            ),
        ]


def _back(file: BinaryIO, dimension: int) -> Blocks:
    """Read features back, some thousand rows at a time."""
    file.seek(0)
    while data := file.read(_ROWS * dimension * 4):
        yield np.frombuffer(data, np.float32).reshape(-1, dimension)
