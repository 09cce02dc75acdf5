"""Which inner parts are left out of which model, so that every choice is blind to what it scores.

With K parts there are K models without one part and K (K - 1) / 2 without two.  The model without
part k scores part k.  How strongly it is shrunk is chosen by the models without k and one more
part, on that other part: no outcome of part k has been seen by anything that scores part k.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable

__all__ = ["InnerParts"]

_Mask = NDArray[np.bool_]

_MOST_PARTS = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class InnerParts:
    """Parts of the patients that a model is fitted on.

    Parameters
    ----------
    label : ndarray of shape (n,), int64
        0 to K - 1; -1 for patients who are never held out.
    left_out : tuple of tuple of int
        Parts that each model is fitted without: first every single part, then every pair.
    """

    label: NDArray[np.int64]
    left_out: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, groups: NDArray[np.int64]) -> InnerParts:
        """Lay the parts out.

        Parameters
        ----------
        groups : ndarray of shape (n,), int64
            Any labels from 0; -1 for none.

        Returns
        -------
        InnerParts
            More than five parts are joined to five, the smallest to the smallest.

        Raises
        ------
        NotEstimable
            With fewer than three parts.

        Examples
        --------
        >>> InnerParts.of(np.array([4, 4, 7, 9, -1])).left_out
        ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2))
        """
        names, counts = np.unique(groups[groups >= 0], return_counts=True)
        if names.size < 3:
            raise NotEstimable(
                f"no slide model: {names.size} inner parts among the patients to fit on; at least "
                "3 are needed to choose how strongly to shrink"
            )
        joined = _joined(counts)
        label = np.full(groups.size, -1, dtype=np.int64)
        for name, part in zip(names, joined, strict=True):
            label[groups == name] = part
        n_parts = int(joined.max()) + 1
        singles = [(part,) for part in range(n_parts)]
        return cls(label=label, left_out=(*singles, *combinations(range(n_parts), 2)))

    @property
    def n_parts(self) -> int:
        """Number of parts, K."""
        return sum(len(out) == 1 for out in self.left_out)

    def kept(self, model: int) -> _Mask:
        """Mark the patients that a model is fitted on.

        Parameters
        ----------
        model : int
            Position in `left_out`.

        Returns
        -------
        ndarray of shape (n,), bool
            All but the parts left out.
        """
        return ~np.isin(self.label, self.left_out[model])

    def judged_by(self, part: int) -> list[tuple[int, int]]:
        """Name what chooses the setting of the model that scores a part.

        Parameters
        ----------
        part : int
            The part to be scored.

        Returns
        -------
        list of (int, int)
            Models without this part and another, with that other part.
        """
        pairs = []
        for model, out in enumerate(self.left_out):
            if len(out) == 2 and part in out:
                pairs.append((model, out[0] if out[1] == part else out[1]))
        return pairs


def _joined(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Share parts out among at most five, the largest first, each to the smallest so far."""
    n_parts = min(counts.size, _MOST_PARTS)
    sizes = np.zeros(n_parts, dtype=np.int64)
    joined = np.empty(counts.size, dtype=np.int64)
    for name in np.argsort(-counts, kind="stable"):
        joined[name] = int(sizes.argmin())
        sizes[joined[name]] += counts[name]
    return joined
