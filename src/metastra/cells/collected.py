"""Nuclei of a foreign file while it is read: what was found, and what was wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from metastra.catalogue import problem
from metastra.cells.nuclei import Nuclei
from metastra.cells.polygon import area_and_centroid
from metastra.errors import DataError, Problem, Where

__all__ = ["Collected", "as_number"]


def as_number(value: object) -> float:
    """Read a coordinate.

    Parameters
    ----------
    value : object
        A number, or text that is one.

    Returns
    -------
    float
        Finite.

    Raises
    ------
    ValueError
        Otherwise.

    Examples
    --------
    >>> as_number("12.5")
    12.5
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is no number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not finite")
    return number


@dataclass(kw_only=True)
class Collected:
    """What one file has given so far.

    Parameters
    ----------
    file : str
        Name of the file, without folders.
    layout : str
        Whose layout it is.
    scale : float
        Level-0 pixels per unit of the file's coordinates.
    shift : float
        Added after scaling: −0.5 where the file counts from the corner of the first pixel.
    mpp : float or None
        Micrometres per level-0 pixel; None leaves radii unknown.
    n_other : int
        Objects of the file that are no nuclei: annotations, tissue cores, the image itself.
    """

    file: str
    layout: str
    scale: float
    shift: float = 0.0
    mpp: float | None = None
    n_other: int = 0
    _rows: list[tuple[float, float, float, str | None]] = field(default_factory=list)
    _problems: list[Problem] = field(default_factory=list)

    def add_point(
        self, x: float, y: float, class_name: str | None, *, radius_um: float = math.nan
    ) -> None:
        """Add a nucleus of which the centre is known.

        Parameters
        ----------
        x, y : float
            In the file's unit.
        class_name : str or None
            As the file spells it.
        radius_um : float
            NaN where it is not known.

        Raises
        ------
        ValueError
            If it lies outside the slide (below 0).
        """
        if x < 0 or y < 0:
            raise ValueError(f"the centre ({x:g}, {y:g}) lies outside the slide")
        scale, shift = self.scale, self.shift
        self._rows.append((x * scale + shift, y * scale + shift, radius_um, class_name))

    def add_outline(self, ring: object, class_name: str | None) -> None:
        """Add a nucleus of which the outline is known.

        Parameters
        ----------
        ring : object
            List of pairs, in the file's unit.
        class_name : str or None
            As the file spells it.

        Raises
        ------
        ValueError
            If it is no outline.
        """
        if not isinstance(ring, list) or not ring:
            raise ValueError("an outline has no corners")
        try:
            area, x, y = area_and_centroid(ring)
        except (TypeError, IndexError) as error:
            raise ValueError("an outline is no list of pairs of finite numbers") from error
        radius_um = math.nan
        if self.mpp is not None and area > 0:
            radius_um = math.sqrt(area / math.pi) * self.scale * self.mpp
        self.add_point(x, y, class_name, radius_um=radius_um)

    def refuse(self, code: str, found: str, *, row: int | None = None, column: str = "") -> None:
        """Note something that is wrong; reading goes on.

        Parameters
        ----------
        code : str
            Of the catalogue.
        found : str
            What stands there.
        row : int, optional
            Line as an editor shows it; None where the file has no rows.
        column : str
            Name of the column.
        """
        where = Where(file=self.file, rows=() if row is None else (row,), column=column)
        self._problems.append(problem(code, found, where=where))

    def nuclei(self) -> Nuclei:
        """Give what was found.

        Returns
        -------
        Nuclei
            In the order of the file.

        Raises
        ------
        DataError
            If anything was wrong; every problem is listed.
        """
        if self._problems:
            raise DataError(f"nuclei of {self.file} ({self.layout})", self._problems)
        return Nuclei(
            centroids_px0=np.array([row[:2] for row in self._rows]).reshape(-1, 2),
            radius_um=np.array([row[2] for row in self._rows]),
            class_names=tuple(row[3] for row in self._rows),
            source=f"{self.layout}, {self.file}",
        )
