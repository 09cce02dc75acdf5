"""How well found nuclei agree with true ones: one-to-one matches of centroids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

__all__ = ["NucleusAgreement", "match_centroids"]


@dataclass(frozen=True, kw_only=True)
class NucleusAgreement:
    """Counts of one picture or of several together.

    Parameters
    ----------
    n_found, n_true, n_matched : int
        Nuclei found, true, and found at a true one.
    """

    n_found: int
    n_true: int
    n_matched: int

    @property
    def precision(self) -> float:
        """Matched over found; 0 when nothing was found."""
        return self.n_matched / self.n_found if self.n_found else 0.0

    @property
    def recall(self) -> float:
        """Matched over true; 0 when there is none."""
        return self.n_matched / self.n_true if self.n_true else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 when nothing was matched."""
        both = self.n_found + self.n_true
        return 2.0 * self.n_matched / both if both else 0.0

    def __add__(self, other: NucleusAgreement) -> NucleusAgreement:
        return NucleusAgreement(
            n_found=self.n_found + other.n_found,
            n_true=self.n_true + other.n_true,
            n_matched=self.n_matched + other.n_matched,
        )


def match_centroids(
    found_um: NDArray[np.float64], true_um: NDArray[np.float64], *, within_um: float = 3.0
) -> NucleusAgreement:
    """Match as many found nuclei as possible with a true one each.

    Parameters
    ----------
    found_um : ndarray of float64, shape (n, 2)
        Centroids in micrometres.
    true_um : ndarray of float64, shape (m, 2)
        Centroids in micrometres.
    within_um : float
        Farthest that a match may lie apart.

    Returns
    -------
    NucleusAgreement
        With the largest possible number of matches.

    Notes
    -----
    An assignment (Crouse 2016) of cost 0 for pairs within the distance and 1 for all others, so the
    order of the nuclei has no influence.

    Examples
    --------
    >>> found = np.array([[0.0, 0.0], [1.0, 0.0], [50.0, 0.0]])
    >>> match_centroids(found, np.array([[0.5, 0.0]])).n_matched
    1
    """
    matched = 0
    if len(found_um) and len(true_um):
        far = cdist(found_um, true_um) > within_um
        rows, columns = linear_sum_assignment(far)
        matched = int(np.sum(~far[rows, columns]))
    return NucleusAgreement(n_found=len(found_um), n_true=len(true_um), n_matched=matched)
