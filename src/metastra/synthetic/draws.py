"""Random numbers that are the same on every machine and for every version of numpy.

numpy keeps the streams of its bit generators fixed, but not those of ``Generator.normal`` and its
sisters (NEP 19).  So only raw 64-bit words are drawn, and the distributions are made here by
inverting them.  Every quantity has a stream of its own: one more covariate moves no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = ["Draws"]


@dataclass(frozen=True, kw_only=True)
class Draws:
    """A source of independent, named streams of random numbers.

    Parameters
    ----------
    seed : int
        Of the whole study; not negative.
    label : str
        Of this source, for instance a cohort and a centre.

    Examples
    --------
    >>> draws = Draws(seed=1, label="north")
    >>> bool((draws.uniform("age", 3) == draws.uniform("age", 5)[:3]).all())
    True
    >>> bool((draws.uniform("age", 3) == draws.uniform("sex", 3)).any())
    False
    """

    seed: int
    label: str = ""

    def within(self, label: str) -> Draws:
        """Open a source inside this one.

        Parameters
        ----------
        label : str
            Of the inner source.

        Returns
        -------
        Draws
            Whose streams are independent of this source's.
        """
        return Draws(seed=self.seed, label=f"{self.label}/{label}")

    def uniform(self, name: str, n: int) -> NDArray[np.float64]:
        """Draw uniform numbers.

        Parameters
        ----------
        name : str
            Of the stream.
        n : int
            How many; a longer draw begins with the shorter one.

        Returns
        -------
        ndarray of shape (n,)
            Strictly between 0 and 1.
        """
        words = tuple(f"{self.label}/{name}".encode())
        stream = np.random.PCG64(np.random.SeedSequence(entropy=self.seed, spawn_key=words))
        raw = np.asarray(stream.random_raw(n), dtype=np.uint64).reshape(n)
        return ((raw >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def normal(self, name: str, n: int) -> NDArray[np.float64]:
        """Draw standard normal numbers.

        Parameters
        ----------
        name : str
            Of the stream.
        n : int
            How many.

        Returns
        -------
        ndarray of shape (n,)
            Mean 0, variance 1.
        """
        return np.asarray(ndtri(self.uniform(name, n)), dtype=np.float64)

    def exponential(self, name: str, n: int) -> NDArray[np.float64]:
        """Draw exponential numbers.

        Parameters
        ----------
        name : str
            Of the stream.
        n : int
            How many.

        Returns
        -------
        ndarray of shape (n,)
            Mean 1.
        """
        return -np.log(self.uniform(name, n))

    def integers(self, name: str, n: int, *, low: int, high: int) -> NDArray[np.int64]:
        """Draw whole numbers, each equally likely.

        Parameters
        ----------
        name : str
            Of the stream.
        n : int
            How many.
        low, high : int
            Smallest and largest that can occur.

        Returns
        -------
        ndarray of shape (n,)
            From `low` to `high`, both included.
        """
        return low + np.floor(self.uniform(name, n) * (high - low + 1)).astype(np.int64)

    def categories(
        self, name: str, probabilities: NDArray[np.float64] | Sequence[float], n: int
    ) -> NDArray[np.int64]:
        """Draw categories.

        Parameters
        ----------
        name : str
            Of the stream.
        probabilities : array_like of shape (k,) or (n, k)
            Of the categories, for everybody or for each one; scaled to sum to 1.
        n : int
            How many.

        Returns
        -------
        ndarray of shape (n,)
            From 0 to k - 1.
        """
        weights = np.atleast_2d(np.asarray(probabilities, dtype=np.float64))
        upper = np.cumsum(weights, axis=1)
        upper = upper / upper[:, -1:]
        return np.asarray(
            np.sum(self.uniform(name, n)[:, None] >= upper[:, :-1], axis=1), dtype=np.int64
        )
