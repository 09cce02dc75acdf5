"""The space in which mean features are shrunk: alike in every direction, or against nuisance.

A ridge penalty shrinks all directions of a space alike, so it matters in which units they are.  In
the units of the features themselves the widest directions are shrunk least, and the widest are
often those in which scanners and stains differ.  Here a direction is measured in what is *not* the
patient: what the chance of the tiles does to a mean, and what hospitals and scanners do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.training.patient_bags import PatientBags
from metastra.training.penalty import standardise

__all__ = ["MeanSpace", "against_nuisance", "plain_space", "source_spread", "tile_spread"]

_Array = NDArray[np.float64]

_MOST_COMPONENTS = 64
_NEGLIGIBLE = 1e-6
_MOST_TILES = 256
"""Tiles of a patient, evenly spaced, from which their spread is taken."""
_FEWEST_PATIENTS = 10
"""A hospital with fewer has no mean of its own; all such are taken together."""
_SOURCES = 3.0
"""Weight of the differences between hospitals: a handful of them shows less than the next will."""
_FLOOR = 0.25
"""Share of the mean nuisance that is added to every direction (a shrunk covariance)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanSpace:
    """A linear space of the mean features of patients.

    Parameters
    ----------
    centre, scale : ndarray of shape (d,)
        Of the patients' means.
    basis : ndarray of shape (d, c)
        From standardised means to components.
    """

    centre: _Array
    scale: _Array
    basis: _Array

    def components(self, features: _Array) -> _Array:
        """Turn features to components.

        Parameters
        ----------
        features : ndarray of shape (n, d)
            Means, or tiles.

        Returns
        -------
        ndarray of shape (n, c)
            0 where the features are those of the mean patient.
        """
        turned: _Array = ((features - self.centre) / self.scale) @ self.basis
        return turned


def plain_space(means: _Array) -> MeanSpace:
    """Turn mean features to their principal components, in units of the features.

    Parameters
    ----------
    means : ndarray of shape (n, d)
        Of the patients fitted on.

    Returns
    -------
    MeanSpace
        Without components of less than a millionth of the largest variance, and of at most 64:
        ridge regression shrinks the others to next to nothing.

    Raises
    ------
    NotEstimable
        When the means are the same for all patients.
    """
    centre, scale = standardise(means)
    _, lengths, turned = np.linalg.svd((means - centre) / scale, full_matrices=False)
    if not lengths.size or lengths[0] <= 1e-6:
        raise NotEstimable("no slide model: the mean features are the same for all patients")
    kept = (lengths**2 > _NEGLIGIBLE * lengths[0] ** 2)[:_MOST_COMPONENTS]
    return MeanSpace(centre=centre, scale=scale, basis=turned[: kept.size][kept].T)


def against_nuisance(space: MeanSpace, bags: PatientBags, at: NDArray[np.int64]) -> MeanSpace:
    """Measure the components of a space in units of what is not of the patient.

    Parameters
    ----------
    space : MeanSpace
        Of the same patients.
    bags : PatientBags
        With the sources of the slides.
    at : ndarray of shape (n,), int64
        The patients to learn from, each with tiles.

    Returns
    -------
    MeanSpace
        In which the nuisance is the same in every direction; the space as it was where there is
        none, since every patient has one tile and all slides come from one place.

    Raises
    ------
    DataError
        SL054 if a feature is not finite.

    Notes
    -----
    The nuisance is ``W + 3 B``: W the mean covariance of the tiles of a patient divided by their
    number, which is what chance adds to a mean, and B the covariance of the means of hospitals.
    A quarter of its mean variance is added in every direction, and the space is turned by the
    inverse square root of the sum (within-class covariance normalisation: Hatch, Kajarekar and
    Stolcke 2006).  No outcome is looked at.  The weights were chosen on synthetic patients
    (docs/decisions/0008).
    """
    means = space.components(bags.moments().means[at])
    nuisance = tile_spread(space, bags, at) + _SOURCES * source_spread(means, bags.sources[at])
    typical = float(np.trace(nuisance)) / len(nuisance)
    if not typical > 0.0:
        return space
    values, vectors = np.linalg.eigh(nuisance + _FLOOR * typical * np.eye(len(nuisance)))
    return replace(space, basis=space.basis @ (vectors / np.sqrt(values)))


def tile_spread(space: MeanSpace, bags: PatientBags, at: NDArray[np.int64]) -> _Array:
    """Find how far chance moves the mean of a patient's tiles.

    Parameters
    ----------
    space : MeanSpace
        With c components.
    bags : PatientBags
        Tiles of all patients.
    at : ndarray of shape (n,), int64
        The patients to learn from.

    Returns
    -------
    ndarray of shape (c, c)
        Mean over the patients with two tiles or more of the covariance of a patient's tiles divided
        by their number; 0 where nobody has two.
    """
    spread = np.zeros((space.basis.shape[1],) * 2)
    counts = bags.counts[at]
    several = np.flatnonzero(counts > 1)
    for row in several.tolist():
        number = int(counts[row])
        chosen = np.unique(np.linspace(0, number - 1, min(number, _MOST_TILES)).astype(np.int64))
        tiles = space.components(bags.tiles(int(at[row]), chosen).astype(np.float64))
        away = tiles - tiles.mean(axis=0)
        spread += away.T @ away / ((len(tiles) - 1) * number)
    return spread / max(several.size, 1)


def source_spread(components: _Array, sources: NDArray[np.str_]) -> _Array:
    """Find how far the means of hospitals lie apart.

    Parameters
    ----------
    components : ndarray of shape (n, c)
        Of patients.
    sources : ndarray of shape (n,), str
        Where their slides were made; those with fewer than ten patients count as one.

    Returns
    -------
    ndarray of shape (c, c)
        Covariance of the means, each with the weight of its patients; 0 for a single source.

    Examples
    --------
    >>> levels = np.repeat([[0.0], [2.0]], 10, axis=0)
    >>> source_spread(levels, np.repeat(["a", "b"], 10)).tolist()
    [[1.0]]
    """
    names, label, counts = np.unique(sources, return_inverse=True, return_counts=True)
    label = np.where(counts[label] < _FEWEST_PATIENTS, names.size, label)
    spread = np.zeros((components.shape[1],) * 2)
    centre = components.mean(axis=0)
    for source in np.unique(label):
        mine = label == source
        away = components[mine].mean(axis=0) - centre
        spread += mine.mean() * np.outer(away, away)
    return spread
