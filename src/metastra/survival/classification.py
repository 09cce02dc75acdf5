"""A locked threshold at a horizon: sensitivity, specificity and predictive values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import NotEstimable
from metastra.survival.auc_parts import Controls, as_controls, is_control
from metastra.survival.horizon import HorizonView, std_error, view_at
from metastra.survival.outcome import Outcome
from metastra.survival.paired import logit_interval
from metastra.survival.scores import as_risk_score

__all__ = ["Classification", "Share", "classification_at"]


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of patients under censoring.

    Parameters
    ----------
    estimate : float
        The share.
    std_error : float
        From the influence function, including that of the censoring distribution.
    """

    estimate: float
    std_error: float

    def interval(self, level: float = 0.95, *, df: float | None = None) -> tuple[float, float]:
        """Limits from the logit scale.

        Parameters
        ----------
        level : float
            Confidence level.
        df : float, optional
            Degrees of freedom of Student's t; the normal distribution when left out.

        Returns
        -------
        lower, upper : float
            Inside (0, 1).

        Raises
        ------
        NotEstimable
            When the share is exactly 0 or 1.
        """
        return logit_interval(self.estimate, self.std_error, level=level, df=df)


@dataclass(frozen=True, kw_only=True)
class Classification:
    """What a threshold does at a horizon.

    Parameters
    ----------
    threshold : float
        Patients at or above it are positive.
    share_positive : float
        Share of all patients.
    sensitivity, specificity : Share
        Share of the cases that is positive, and of the controls that is negative.
    ppv, npv : Share or None
        Share of the positives that become cases and of the negatives that are controls; None when
        there are no positives, or no negatives, whose status is known.
    n, events : int
        Patients, and events of interest by the horizon.
    horizon : float
        In the unit of the outcome.
    definition : Controls
        Who the controls are.
    """

    threshold: float
    share_positive: float
    sensitivity: Share
    specificity: Share
    ppv: Share | None
    npv: Share | None
    n: int
    events: int
    horizon: float
    definition: Controls


def classification_at(
    outcome: Outcome,
    risk_score: ArrayLike,
    threshold: float,
    horizon: float,
    *,
    controls: Controls | str = Controls.FREE_OF_CAUSE,
    cause: int = 1,
) -> Classification:
    """Judge a threshold that was fixed beforehand.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    risk_score : array_like of shape (n,)
        Higher is worse: a score or a risk.
    threshold : float
        Patients at or above it are positive.
    horizon : float
        In the unit of the outcome.
    controls : Controls or str
        Whether patients with a competing event are controls.
    cause : int
        The event of interest.

    Returns
    -------
    Classification
        With standard errors.

    Raises
    ------
    ConfigError
        When the definition of the controls is unknown.
    DataError
        When the scores do not fit the outcome.
    NotEstimable
        When there are no cases or no controls, or follow-up ends before the horizon.

    Notes
    -----
    Inverse-probability-of-censoring weighting, as ``timeROC::SeSpPPVNPV`` (Blanche et al. 2013).

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4, 5, 6], event=[1, 1, 0, 1, 0, 0])
    >>> result = classification_at(y, [0.9, 0.3, 0.5, 0.6, 0.4, 0.1], 0.5, 4.5)
    >>> round(result.sensitivity.estimate, 3), round(result.specificity.estimate, 3)
    (0.7, 1.0)
    """
    definition = as_controls(controls)
    score = as_risk_score(risk_score, outcome)
    view = view_at(outcome, horizon, cause=cause)
    positive = score >= threshold
    control = is_control(view, definition)
    sensitivity = _share(view, positive & view.case, view.case)
    specificity = _share(view, ~positive & control, control)
    if sensitivity is None or specificity is None:
        raise NotEstimable(
            f"at {view.horizon:g} there are {view.n_cases} cases and "
            f"{int(np.count_nonzero(control))} controls; both are needed"
        )
    return Classification(
        threshold=float(threshold),
        share_positive=float(np.mean(positive)),
        sensitivity=sensitivity,
        specificity=specificity,
        ppv=_share(view, positive & view.case, positive),
        npv=_share(view, ~positive & control, ~positive),
        n=outcome.n,
        events=view.n_cases,
        horizon=view.horizon,
        definition=definition,
    )


def _share(view: HorizonView, counted: NDArray[np.bool_], among: NDArray[np.bool_]) -> Share | None:
    """Weighted share with its standard error; None when nobody is known."""
    everybody = float(np.sum(view.weight * among))
    if everybody == 0.0:
        return None
    estimate = float(np.sum(view.weight * counted)) / everybody
    terms = view.weight * (counted - estimate * among)
    influence = view.n * (terms + view.weight_influence(terms)) / everybody
    return Share(estimate=min(estimate, 1.0), std_error=std_error(influence))
