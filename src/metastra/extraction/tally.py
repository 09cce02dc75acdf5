"""Tiles of a batch of slides: how many are through, and how many there will be."""

from __future__ import annotations

from collections.abc import Callable

from metastra.progress import Parts

__all__ = ["TileTally"]


class TileTally:
    """Counts the tiles of slides that are worked on side by side.

    A slide's tiles are known when it is read.  The slides that were not begun are taken to have as
    many as those that were, those that needed no work included, so the total is an estimate until
    the last slide is begun.

    Parameters
    ----------
    slides : int
        Of the batch.
    tell : callable
        Told the count whenever it changed.

    Examples
    --------
    >>> told = []
    >>> tally = TileTally(slides=4, tell=told.append)
    >>> tally.beat("a", 64, 300)
    >>> tally.finish("b", 100)
    >>> told[-1]
    Parts(done=164, total=800.0, unit='tiles', estimated=True)
    """

    def __init__(self, *, slides: int, tell: Callable[[Parts], None]) -> None:
        self._slides, self._tell = slides, tell
        self._running: dict[str, tuple[int, int]] = {}
        self._finished = self._tiles = 0

    def beat(self, key: str, done: int, total: int) -> None:
        """Take a sign of life of a slide.

        Parameters
        ----------
        key : str
            Of the slide.
        done, total : int
            Its tiles; a total of 0 says nothing of them.
        """
        if total > 0:
            self._running[key] = (done, total)
            self._tell(self.parts())

    def finish(self, key: str, tiles: int) -> None:
        """Take leave of a slide.

        Parameters
        ----------
        key : str
            Of the slide.
        tiles : int
            That were made; 0 where it failed or was up to date.
        """
        self._running.pop(key, None)
        self._finished += 1
        self._tiles += tiles
        self._tell(self.parts())

    def parts(self) -> Parts:
        """Count.

        Returns
        -------
        Parts
            Without a total while no slide is known.
        """
        done = self._tiles + sum(done for done, _ in self._running.values())
        known = self._tiles + sum(total for _, total in self._running.values())
        begun = self._finished + len(self._running)
        rest = max(self._slides - begun, 0)
        total = known * (1 + rest / begun) if begun else None
        return Parts(done=done, total=total, unit="tiles", estimated=rest > 0)
