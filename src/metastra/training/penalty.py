"""How strongly coefficients are shrunk: grouped cross-validation inside the fitted patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.survival.cox import fit_cox
from metastra.survival.outcome import Outcome
from metastra.survival.partial_likelihood import PartialLikelihood
from metastra.survival.risk_sums import RiskSets

__all__ = ["ChosenPenalty", "choose_penalty", "standardise"]

_Array = NDArray[np.float64]

_RIDGE = tuple(float(g) for g in np.geomspace(1e-3, 10.0, 10))
_NET = tuple(float(g) for g in np.geomspace(3e-3, 0.3, 5))
"""Penalties per event, for columns of standard deviation 1: ridge alone, and an elastic net of
equal parts."""
_STRONGEST = max(_RIDGE)
_FIXED = 0.1


@dataclass(frozen=True, kw_only=True)
class ChosenPenalty:
    """A penalty and why it was taken.

    Parameters
    ----------
    ridge, l1 : float
        As `metastra.survival.cox.fit_cox` takes them.
    gain : float or None
        Cross-validated log partial likelihood above that of coefficients of 0; None when there
        was no cross-validation or it overflowed for every penalty.
    why : str
        In words.
    """

    ridge: float
    l1: float
    gain: float | None
    why: str


def standardise(columns: _Array) -> tuple[_Array, _Array]:
    """Find centre and scale of columns.

    Parameters
    ----------
    columns : ndarray of shape (n, p)
        None missing.

    Returns
    -------
    centre, scale : ndarray of shape (p,)
        Means and standard deviations; 1 for a constant column.
    """
    centre, scale = columns.mean(axis=0), columns.std(axis=0)
    return centre, np.where(scale > 1e-9 * np.maximum(np.abs(centre), 1.0), scale, 1.0)


def choose_penalty(outcome: Outcome, columns: _Array, groups: NDArray[np.int64]) -> ChosenPenalty:
    """Choose ridge or elastic net for one cause.

    Parameters
    ----------
    outcome : Outcome
        Of n patients, one cause (others censored).
    columns : ndarray of shape (n, p)
        None missing, not standardised.
    groups : ndarray of shape (n,), int64
        Part that each patient is held out with; -1 for patients who are never held out.

    Returns
    -------
    ChosenPenalty
        The one with the highest cross-validated log partial likelihood (Verweij and van
        Houwelingen 1993): the sum over the parts of l(b) - l_without(b), with b fitted without
        the part.  Where no penalty beats coefficients of 0 it is the strongest, and that is said.

    Notes
    -----
    Columns are standardised anew in each part's training patients.  With fewer than two parts
    there is nothing to cross-validate, and a fixed ridge is taken and named.
    """
    events = outcome.n_events()
    parts = [
        int(part) for part in np.unique(groups[groups >= 0]) if outcome.event[groups != part].any()
    ]
    if len(parts) < 2:
        return ChosenPenalty(
            ridge=_FIXED * events, l1=0.0, gain=None, why="fixed: too few groups to cross-validate"
        )
    candidates = [(g * events, 0.0) for g in _RIDGE]
    candidates += [(0.5 * g * events, 0.5 * g * events) for g in _NET]
    gains = np.zeros(len(candidates))
    for part in parts:
        gains += _gains(outcome, columns, groups != part, candidates)
    # a value far outside the others' range can overflow a held-out part's likelihood
    gains = np.where(np.isfinite(gains), gains, -np.inf)
    best = int(gains.argmax())
    gain = float(gains[best]) if np.isfinite(gains[best]) else None
    ridge, l1 = candidates[best]
    if gains[best] <= 0.0:
        why = "strongest of the grid: no predictor helped in cross-validation"
        return ChosenPenalty(ridge=_STRONGEST * events, l1=0.0, gain=gain, why=why)
    kind = "elastic net" if l1 else "ridge"
    return ChosenPenalty(
        ridge=ridge,
        l1=l1,
        gain=gain,
        why=f"{kind} by cross-validation over {len(parts)} grouped parts",
    )


def _gains(
    outcome: Outcome,
    columns: _Array,
    kept: NDArray[np.bool_],
    candidates: Sequence[tuple[float, float]],
) -> _Array:
    """Log partial likelihood of the part left out, above that of coefficients of 0."""
    centre, scale = standardise(columns[kept])
    x = (columns - centre) / scale
    inside = outcome.take(kept)
    share = inside.n_events() / max(outcome.n_events(), 1)
    whole, without = _likelihood(outcome, x), _likelihood(inside, x[kept])
    zero = np.zeros(columns.shape[1])
    nothing = whole.at(zero).loglik - without.at(zero).loglik
    gains = []
    for ridge, l1 in candidates:
        # a penalty per event: the part's training patients have fewer
        coef = fit_cox(inside, x[kept], ridge=ridge * share, l1=l1 * share).coef
        gains.append(whole.at(coef).loglik - without.at(coef).loglik - nothing)
    return np.array(gains)


def _likelihood(outcome: Outcome, x: _Array) -> PartialLikelihood:
    n = outcome.n
    sets = RiskSets.of(outcome, outcome.event != 0, np.zeros(n, dtype=np.int64))
    return PartialLikelihood.of(sets, x, np.ones(n), np.zeros(n), "efron")
