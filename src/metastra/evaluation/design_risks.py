"""The model a design assumes: calibrated risks with a stated mean and a stated AUC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

__all__ = ["AssumedRisks", "assumed_risks"]

_Vector = NDArray[np.float64]

_Z = np.linspace(-9.0, 9.0, 3601)
_W = np.exp(-0.5 * _Z**2) / np.sum(np.exp(-0.5 * _Z**2))
_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(61)
_INSIDE = (1e-12, 1.0 - 1e-9)
_NARROWEST, _WIDEST = 1e-7, 30.0


@dataclass(frozen=True, kw_only=True)
class AssumedRisks:
    """Risks of a perfectly calibrated model, ``1 - exp(-exp(location + spread z))``, z normal.

    Parameters
    ----------
    location, spread : float
        Mean and standard deviation of the complementary log-log of the risk.
    baseline_share : float or None
        Correlation of the score of the baseline model with the complementary log-log of the risk;
        None without a baseline.
    ipa : float
        Index of prediction accuracy that follows.
    cox_snell : float
        Cox–Snell R² of the status at the horizon that follows.
    """

    location: float
    spread: float
    baseline_share: float | None
    ipa: float
    cox_snell: float

    def risk(self, z: _Vector) -> _Vector:
        """Give the risk by the horizon.

        Parameters
        ----------
        z : ndarray
            Standard normal, any shape.

        Returns
        -------
        ndarray
            Inside (0, 1).

        Examples
        --------
        >>> risks = assumed_risks(risk=0.12, auc=0.80)
        >>> risks.risk(np.zeros(1)).round(3).tolist()
        [0.072]
        """
        return _risk(self.location, self.spread, z)

    def baseline_score(self, z: _Vector, noise: _Vector) -> _Vector:
        """Give the score of the baseline model, which knows a part of what shapes the risk.

        Parameters
        ----------
        z, noise : ndarray
            Standard normal and independent.

        Returns
        -------
        ndarray
            Standard normal; higher is worse.

        Raises
        ------
        ValueError
            Without a baseline.
        """
        if self.baseline_share is None:
            raise ValueError("there is no baseline model")
        own: float = np.sqrt(1.0 - self.baseline_share**2)
        score: _Vector = self.baseline_share * z + own * noise
        return score


def assumed_risks(*, risk: float, auc: float, baseline_auc: float | None = None) -> AssumedRisks:
    """Find the distribution of risks with a given mean and a given AUC.

    Parameters
    ----------
    risk : float
        Mean, inside (0, 1).
    auc : float
        Probability that a patient with the event has a higher risk than one without; above 0.5 and
        at most 0.99.
    baseline_auc : float, optional
        Of a model that knows less, between 0.5 and `auc`.

    Returns
    -------
    AssumedRisks
        Calibrated by construction: the risk is the probability.

    Notes
    -----
    The complementary log-log of the risk is normal: proportional hazards with a normal linear
    predictor.  The AUC is an integral over that distribution, and location and spread are its
    roots.  The baseline model sees a normal variable that is correlated with the linear predictor,
    so it is nested in the full model.

    Examples
    --------
    >>> risks = assumed_risks(risk=0.12, auc=0.80, baseline_auc=0.75)
    >>> round(risks.spread, 2), round(risks.baseline_share, 2), round(risks.ipa, 2)
    (1.17, 0.82, 0.18)
    """

    def located(spread: float) -> float:
        far = 40.0 + 9.0 * spread
        return float(brentq(lambda m: _mean(_risk(m, spread, _Z)) - risk, -far, far))

    spread = float(brentq(lambda s: _area(_risk(located(s), s, _Z)) - auc, _NARROWEST, _WIDEST))
    location = located(spread)
    chance = _risk(location, spread, _Z)
    share = None
    if baseline_auc is not None:
        share = float(
            brentq(
                lambda r: _area(_seen_through(location, spread, r)) - baseline_auc, 1e-6, 1 - 1e-9
            )
        )
    gain = _mean(_log_likelihood(chance)) - float(_log_likelihood(np.array([risk]))[0])
    return AssumedRisks(
        location=location,
        spread=spread,
        baseline_share=share,
        ipa=1.0 - _mean(chance * (1.0 - chance)) / (risk * (1.0 - risk)),
        cox_snell=1.0 - float(np.exp(-2.0 * gain)),
    )


def _risk(location: float, spread: float, z: _Vector) -> _Vector:
    risk: _Vector = np.clip(-np.expm1(-np.exp(np.minimum(location + spread * z, 10.0))), *_INSIDE)
    return risk


def _mean(values: _Vector) -> float:
    return float(np.sum(values * _W))


def _area(chance: _Vector) -> float:
    """AUC of the grid's z when the probability of the event at z is given."""
    case, control = chance * _W, (1.0 - chance) * _W
    below = np.cumsum(control) - 0.5 * control
    return float(np.sum(case * below) / (np.sum(case) * np.sum(control)))


def _seen_through(location: float, spread: float, share: float) -> _Vector:
    """Mean risk at each value of a score with the given correlation."""
    noise = np.sqrt(1.0 - share**2) * _NODES
    risks = _risk(location, spread, share * _Z[:, None] + noise[None, :])
    mean: _Vector = risks @ (_NODE_WEIGHTS / _NODE_WEIGHTS.sum())
    return mean


def _log_likelihood(chance: _Vector) -> _Vector:
    """Give the expected log-likelihood of an event with the probability that is said."""
    return chance * np.log(chance) + (1.0 - chance) * np.log1p(-chance)
