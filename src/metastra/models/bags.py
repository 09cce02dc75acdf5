"""A padded batch of bags: tiles of many patients in one tensor, with a mask of what is real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["PaddedBags"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PaddedBags:
    """Tiles of p patients, padded to the longest bag.

    Parameters
    ----------
    tiles : tensor of shape (p, t, c)
        Features; what stands in the padding has no influence on anything.
    mask : tensor of shape (p, t), bool
        True for tiles, False for padding; at least one tile for each patient.
    """

    tiles: torch.Tensor
    mask: torch.Tensor

    @classmethod
    def of(cls, bags: Sequence[NDArray[np.float32]]) -> PaddedBags:
        """Pad bags with zeros.

        Parameters
        ----------
        bags : sequence of ndarray of shape (t_i, c)
            Of each patient, none empty.

        Returns
        -------
        PaddedBags
            Of float32.

        Raises
        ------
        ValueError
            If there is no bag, or one is empty.

        Examples
        --------
        >>> padded = PaddedBags.of([np.ones((1, 2), np.float32), np.ones((3, 2), np.float32)])
        >>> padded.mask.tolist()
        [[True, False, False], [True, True, True]]
        """
        if not bags or not all(len(bag) for bag in bags):
            raise ValueError("a batch needs patients, each with at least one tile")
        longest = max(map(len, bags))
        tiles = np.zeros((len(bags), longest, bags[0].shape[1]), dtype=np.float32)
        mask = np.zeros((len(bags), longest), dtype=np.bool_)
        for row, bag in enumerate(bags):
            tiles[row, : len(bag)] = bag
            mask[row, : len(bag)] = True
        return cls(tiles=torch.from_numpy(tiles), mask=torch.from_numpy(mask))
