"""What a network sees of tiles: standardised, cut, turned to principal components, drawn by lot."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.training.patient_bags import PatientBags

__all__ = ["LIMIT", "SlideInputs", "seed_of"]

_Array = NDArray[np.float64]

LIMIT = 4.0
"""Standardised features are cut here: an artefact is one tile, not fifty."""
_NEGLIGIBLE = 1e-8
_WHITENED = 0.25
"""Half-way to components of equal size (0.5): the small ones hold noise, and what tissues differ in
beside colour."""


def seed_of(label: str) -> int:
    """Turn the name of a draw into a seed.

    Parameters
    ----------
    label : str
        For instance ``"7/fold-0/member-3"``.

    Returns
    -------
    int
        From 0 to 2⁶³ - 1; the same on every machine.

    Examples
    --------
    >>> seed_of("a") == seed_of("a"), seed_of("a") == seed_of("b")
    (True, False)
    """
    return int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True, kw_only=True, eq=False)
class SlideInputs:
    """Tiles of the patients fitted on, as a network sees them.

    Parameters
    ----------
    bags : PatientBags
        Of all patients.
    at : ndarray of shape (n,), int64
        The patients fitted on, each with tiles.
    centre, scale : ndarray of shape (d,)
        Of the features, each patient with the same weight.
    basis : ndarray of shape (d, c)
        From standardised, cut features to components; the first has variance 1, one of variance v
        among the features has the square root of v over the first's.
    seed_label : str
        Names the draws.
    """

    bags: PatientBags
    at: NDArray[np.int64]
    centre: _Array
    scale: _Array
    basis: _Array
    seed_label: str

    @classmethod
    def of(
        cls,
        bags: PatientBags,
        at: NDArray[np.int64],
        *,
        n_components: int,
        most_tiles: int,
        seed_label: str,
    ) -> SlideInputs:
        """Find standardisation and components.

        Parameters
        ----------
        bags : PatientBags
            Of all patients.
        at : ndarray of shape (n,), int64
            The patients to learn from, each with tiles.
        n_components : int
            At most.
        most_tiles : int
            Tiles of a patient by which components are found.
        seed_label : str
            Names the draws.

        Returns
        -------
        SlideInputs
            Learned from these patients without their outcomes.

        Raises
        ------
        NotEstimable
            If all tiles are the same.
        """
        rows = np.zeros(bags.n, dtype=np.bool_)
        rows[at] = True
        centre, scale = bags.moments().standard(rows)
        raw = cls(
            bags=bags,
            at=at,
            centre=centre,
            scale=scale,
            basis=np.eye(bags.dimension),
            seed_label=seed_label,
        )
        spread = np.zeros((bags.dimension, bags.dimension))
        for tiles in raw.draw("judged", most_tiles):
            spread += tiles.T.astype(np.float64) @ tiles / len(tiles)
        values, vectors = np.linalg.eigh(spread / len(at))
        values, vectors = values[::-1], vectors[:, ::-1]
        if values[0] <= _NEGLIGIBLE:
            raise NotEstimable("no slide model: the features of all tiles are the same")
        kept = values[:n_components] > _NEGLIGIBLE * values[0]
        lengths = np.sqrt(values[0]) * (values[:n_components][kept] / values[0]) ** _WHITENED
        basis = vectors[:, :n_components][:, kept] / lengths
        # the sign of an eigenvector is the solver's whim
        basis = basis * np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(basis.shape[1])])
        return cls(bags=bags, at=at, centre=centre, scale=scale, basis=basis, seed_label=seed_label)

    def draw(self, name: str, most: int) -> list[NDArray[np.float32]]:
        """Draw tiles of each patient without replacement; all of them where there are few.

        Parameters
        ----------
        name : str
            Of the draw: the same name draws the same tiles.
        most : int
            Tiles of a patient.

        Returns
        -------
        list of ndarray of shape (t, c)
            One for each patient.
        """
        return self.draws([name], most)[0]

    def draws(self, names: Sequence[str], most: int) -> list[list[NDArray[np.float32]]]:
        """Make several draws in one walk over the patients, so that each file is opened once.

        Parameters
        ----------
        names : sequence of str
            Of the draws.
        most : int
            Tiles of a patient in each.

        Returns
        -------
        list of list of ndarray of shape (t, c)
            For each draw one for each patient.
        """
        streams = [
            np.random.PCG64(np.random.SeedSequence(seed_of(f"{self.seed_label}/tiles/{name}")))
            for name in names
        ]
        drawn: list[list[NDArray[np.float32]]] = [[] for _ in names]
        for patient, count in zip(self.at.tolist(), self.bags.counts[self.at], strict=True):
            if count <= most:
                whole = self._turned(np.concatenate(list(self.bags.blocks(patient))))
                for mine in drawn:
                    mine.append(whole)
                continue
            # only raw words are the same for every version of numpy
            orders = [np.argsort(one.random_raw(int(count)), kind="stable") for one in streams]
            chosen = [np.sort(order[:most]) for order in orders]
            rows = np.unique(np.concatenate(chosen))
            tiles = self._turned(self.bags.tiles(patient, rows))
            for mine, own in zip(drawn, chosen, strict=True):
                mine.append(tiles[np.searchsorted(rows, own)])
        return drawn

    def _turned(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        standardised = (tiles.astype(np.float64) - self.centre) / self.scale
        cut = np.clip(standardised, -LIMIT, LIMIT)
        return np.asarray(cut @ self.basis, dtype=np.float32)
