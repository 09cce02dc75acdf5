"""Join two bags of one slide by where their tiles lie, never by the order of their rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metastra.features.bag import Bag, feature_error

__all__ = ["join_by_place"]


def join_by_place(first: Bag, second: Bag) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the rows of two bags that are one tile.

    Parameters
    ----------
    first, second : Bag
        Of one slide; where both say the side of a tile, it is the same.

    Returns
    -------
    rows of `first`, rows of `second` : ndarray of int64, shape (k,)
        In the order of `first`; tiles that only one has are left out.

    Raises
    ------
    DataError
        SL055 if a place occurs twice in a bag, or the tiles differ in size.

    Examples
    --------
    >>> from metastra.features.bag import BagFrame
    >>> def bag(corners):
    ...     return Bag(
    ...         features=np.zeros((len(corners), 1), np.float32),
    ...         coords=np.array(corners, dtype=np.int64),
    ...         frame=BagFrame(),
    ...     )
    >>> join_by_place(bag([[0, 0], [9, 0], [0, 9]]), bag([[0, 9], [0, 0]]))
    (array([0, 2]), array([1, 0]))
    """
    mine, theirs = (bag.frame.completed().tile_side_px0 for bag in (first, second))
    if mine is not None and theirs is not None and not np.allclose(mine, theirs, atol=0.75):
        raise feature_error(
            "SL055", second.origin.name, f"tiles of {theirs} level-0 px", expected=f"{mine}"
        )
    places = {(x, y): row for row, (x, y) in enumerate(second.coords.tolist())}
    for bag, count in ((second, len(places)), (first, len(np.unique(first.coords, axis=0)))):
        if count != len(bag):
            raise feature_error(
                "SL055", bag.origin.name, f"{len(bag) - count} tiles have the place of another"
            )
    pairs = [
        (row, places[x, y]) for row, (x, y) in enumerate(first.coords.tolist()) if (x, y) in places
    ]
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]
