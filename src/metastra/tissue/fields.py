"""Fields: where on a slide full resolution is looked at, and what one field stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from metastra.slides.slide import SlideInfo

__all__ = ["FIELD_UM", "LEAST_TISSUE", "FieldGrid"]

FIELD_UM = 128.0
"""Side of a field in micrometres."""
LEAST_TISSUE = 0.1
"""Share of tissue below which a field is not read."""

_Value = TypeVar("_Value", bound=np.generic)


@dataclass(frozen=True, kw_only=True)
class FieldGrid:
    """A map cut into fields.

    Parameters
    ----------
    rows, columns : int arrays of shape (r + 1,) and (c + 1,)
        Map pixels at which fields begin; the last ends the last one.
    share : float array of shape (r, c)
        Share of each field that is tissue.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    share: NDArray[np.float64]

    @classmethod
    def over(cls, info: SlideInfo, tissue: NDArray[np.bool_]) -> FieldGrid:
        """Cut the map of a slide's tissue.

        Parameters
        ----------
        info : SlideInfo
            Of the slide, with a known scale.
        tissue : bool array of shape (h, w)
            Its map.

        Returns
        -------
        FieldGrid
            Fields of about 128 µm, at least one map pixel.
        """
        rows, columns = (
            _cuts(size_px0 * (mpp or 1.0), length)
            for size_px0, mpp, length in (
                (info.height_px, info.mpp_y, tissue.shape[0]),
                (info.width_px, info.mpp_x, tissue.shape[1]),
            )
        )
        sums = np.add.reduceat(tissue.astype(np.float64), rows[:-1], axis=0)
        sums = np.add.reduceat(sums, columns[:-1], axis=1)
        return cls(
            rows=rows, columns=columns, share=sums / np.outer(np.diff(rows), np.diff(columns))
        )

    def place(self, row: int, column: int) -> tuple[slice, slice]:
        """Give the map pixels of a field."""
        return (
            slice(int(self.rows[row]), int(self.rows[row + 1])),
            slice(int(self.columns[column]), int(self.columns[column + 1])),
        )

    def spread(self, most: int) -> tuple[int, list[tuple[int, int]]]:
        """Choose fields that are spread evenly over the tissue.

        Parameters
        ----------
        most : int
            Of them.

        Returns
        -------
        every : int
            Side of the square of fields of which one is chosen; 1 where all with tissue are.
        chosen : list of (int, int)
            Row and column of each: the one with most tissue, the innermost among equals.
        """
        every = 1
        while True:
            chosen = self._fullest(every)
            if len(chosen) <= most:
                return every, chosen
            every = max(every + 1, int(every * np.sqrt(len(chosen) / most) * 0.8))

    def _fullest(self, every: int) -> list[tuple[int, int]]:
        height, width = self.share.shape
        down, right = -(-height // every), -(-width // every)
        padded = np.full((down * every, right * every), -1.0)
        padded[:height, :width] = self.share
        squares = padded.reshape(down, every, right, every).swapaxes(1, 2)
        # measured from the middle of what lies on the slide
        tall = np.minimum(every, height - np.arange(down) * every)
        wide = np.minimum(every, width - np.arange(right) * every)
        within = np.arange(every)
        y = within - (tall[:, None, None, None] - 1) / 2
        x = within - (wide[None, :, None, None] - 1) / 2
        middle = np.hypot(y.swapaxes(2, 3), x)
        best = (squares - 1e-3 * middle).reshape(down, right, -1).argmax(axis=2)
        full = squares.max(axis=(2, 3)) >= LEAST_TISSUE
        return [
            (int(top * every + at // every), int(left * every + at % every))
            for (top, left), at in zip(np.argwhere(full), best[full], strict=True)
        ]

    def around(
        self, read: NDArray[np.bool_], doubtful: NDArray[np.bool_], *, reach: float, most: int
    ) -> list[tuple[int, int]]:
        """Choose further fields beside those that raise doubts, the nearest first.

        Parameters
        ----------
        read, doubtful : bool arrays of shape (r, c)
            Fields that were read, and those of them that raise doubts.
        reach : float
            How far to go, in fields.
        most : int
            How many to choose.

        Returns
        -------
        list of (int, int)
            Row and column of each.
        """
        if not doubtful.any():
            return []
        away = ndimage.distance_transform_edt(~doubtful)
        wanted = np.argwhere(~read & (self.share >= LEAST_TISSUE) & (away <= reach))
        order = np.argsort(away[wanted[:, 0], wanted[:, 1]], kind="stable")
        return [(int(row), int(column)) for row, column in wanted[order[:most]]]

    def on_map(self, values: NDArray[_Value]) -> NDArray[_Value]:
        """Write one value a field into every map pixel of it.

        Parameters
        ----------
        values : array of shape (r, c)
            One for each field.

        Returns
        -------
        array of shape (h, w)
            Of the map.
        """
        wide = np.repeat(values, np.diff(self.columns), axis=1)
        return np.repeat(wide, np.diff(self.rows), axis=0)


def _cuts(length_um: float, length: int) -> NDArray[np.int64]:
    count = min(max(1, round(length_um / FIELD_UM)), length)
    return np.linspace(0, length, count + 1).round().astype(np.int64)
