"""One row a slide: the mean of its tiles, or how they stand about prototypes.

Prototype pooling says which share of a slide's tiles lies nearest to each prototype, and how those
tiles differ from it on average: the counts of a visual vocabulary with the residuals of VLAD (Jégou
et al. 2010, "Aggregating local descriptors into a compact image representation", CVPR, without its
final power and length normalisation, and the residuals averaged, not summed).  Song et al. 2024
(PANTHER, CVPR) show for slides that such rows without any fitting to an outcome serve well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.features.bag import Bag, feature_error

__all__ = ["Prototypes", "mean_vector", "nearest", "prototype_vector"]

_BLOCK_ROWS = 4096


@dataclass(frozen=True, kw_only=True, eq=False)
class Prototypes:
    """Points in the space of an encoder's features.

    Parameters
    ----------
    centre, scale : ndarray of float64, shape (d,)
        By which features are standardised before they are compared.
    points : ndarray of float64, shape (k, d)
        In standardised units.

    Raises
    ------
    ValueError
        If the shapes do not fit, a number is not finite, or a scale is not above 0.
    """

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    points: NDArray[np.float64]

    def __post_init__(self) -> None:
        d = len(self.centre)
        if self.centre.shape != (d,) or self.scale.shape != (d,) or self.points.shape[1:] != (d,):
            raise ValueError(
                f"centre {self.centre.shape}, scale {self.scale.shape} and points "
                f"{self.points.shape} do not fit"
            )
        finite = all(np.isfinite(one).all() for one in (self.centre, self.scale, self.points))
        if not finite or not len(self.points) or not (self.scale > 0).all():
            raise ValueError("prototypes must be finite, at least one, with scales above 0")

    def __len__(self) -> int:
        return len(self.points)

    @property
    def dimension(self) -> int:
        """Features of a tile."""
        return len(self.centre)

    def standardised(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Bring features to the units of the points.

        Parameters
        ----------
        rows : ndarray of float32, shape (n, d)
            Features of tiles.

        Returns
        -------
        ndarray of float64, shape (n, d)
            Standardised.
        """
        return (rows.astype(np.float64) - self.centre) / self.scale


def mean_vector(bag: Bag) -> NDArray[np.float64]:
    """Average the features of a slide's tiles.

    Parameters
    ----------
    bag : Bag
        With at least one tile; read block by block.

    Returns
    -------
    ndarray of float64, shape (d,)
        The mean.

    Raises
    ------
    DataError
        SL054 if a feature is not finite; SL055 without a tile.

    Examples
    --------
    >>> from metastra.features.bag import BagFrame
    >>> features = np.array([[1.0, 0.0], [3.0, 4.0]], np.float32)
    >>> bag = Bag(features=features, coords=np.array([[0, 0], [9, 0]]), frame=BagFrame())
    >>> mean_vector(bag).tolist()
    [2.0, 2.0]
    """
    total = np.zeros(bag.dimension)
    for rows in _blocks(bag):
        total += rows.sum(axis=0, dtype=np.float64)
    mean: NDArray[np.float64] = total / len(bag)
    return mean


def prototype_vector(bag: Bag, prototypes: Prototypes) -> NDArray[np.float64]:
    """Say how a slide's tiles stand about prototypes.

    Parameters
    ----------
    bag : Bag
        With at least one tile; read block by block.
    prototypes : Prototypes
        Of the same encoder.

    Returns
    -------
    ndarray of float64, shape (k + k × d,)
        First the share of tiles nearest to each prototype, which sum to 1; then for each prototype
        the mean of (standardised features − prototype) over its tiles, 0 where it has none.

    Raises
    ------
    DataError
        SL054 if a feature is not finite; SL055 without a tile or with another number of features.
    """
    if bag.dimension != prototypes.dimension:
        raise feature_error(
            "SL055",
            bag.origin.name,
            f"{bag.dimension} features a tile",
            expected=f"{prototypes.dimension}, as the prototypes have",
        )
    k, d = prototypes.points.shape
    counts, sums = np.zeros(k), np.zeros((k, d))
    for rows in _blocks(bag):
        standardised = prototypes.standardised(rows)
        label = nearest(standardised, prototypes.points)
        counts += np.bincount(label, minlength=k)
        for one in np.unique(label).tolist():
            sums[one] += (standardised[label == one] - prototypes.points[one]).sum(axis=0)
    residuals = sums / np.maximum(counts, 1.0)[:, None]
    return np.concatenate([counts / len(bag), residuals.ravel()])


def nearest(rows: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find the nearest point of each row, the first of several that are equally near.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Standardised features.
    points : ndarray of shape (k, d)
        Prototypes.

    Returns
    -------
    ndarray of int64, shape (n,)
        Positions among the points.

    Examples
    --------
    >>> nearest(np.array([[0.0], [2.9]]), np.array([[1.0], [3.0]])).tolist()
    [0, 1]
    """
    # squared distance, less what is the same for all points
    score = np.square(points).sum(axis=1) - 2.0 * (rows @ points.T)
    label: NDArray[np.int64] = score.argmin(axis=1).astype(np.int64)
    return label


def _blocks(bag: Bag) -> Iterator[NDArray[np.float32]]:
    if not len(bag):
        raise feature_error("SL055", bag.origin.name, "there is no tile", expected="at least one")
    for start in range(0, len(bag), _BLOCK_ROWS):
        yield bag.rows(slice(start, start + _BLOCK_ROWS))
