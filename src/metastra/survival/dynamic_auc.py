"""Discrimination at a horizon: cumulative/dynamic AUC and ROC curve under censoring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.survival.auc_parts import Controls, as_controls, auc_parts, is_control, weigh_sides
from metastra.survival.horizon import std_error, view_at
from metastra.survival.outcome import Outcome
from metastra.survival.paired import PairedDifference, logit_interval
from metastra.survival.scores import as_risk_score

__all__ = ["Controls", "DynamicAuc", "RocCurve", "delta_auc", "dynamic_auc", "roc_curve"]


@dataclass(frozen=True, kw_only=True)
class DynamicAuc:
    """An area under the ROC curve at a horizon.

    Parameters
    ----------
    estimate : float
        Probability that a patient with the event by the horizon scores higher than a control;
        ties count one half.
    std_error : float
        From the influence function, including that of the censoring distribution.
    n, events, controls : int
        Patients, observed cases and observed controls.
    horizon : float
        In the unit of the outcome.
    definition : Controls
        Who the controls are.
    """

    estimate: float
    std_error: float
    n: int
    events: int
    controls: int
    horizon: float
    definition: Controls

    def interval(self, level: float = 0.95, *, df: float | None = None) -> tuple[float, float]:
        """Limits from the logit scale.

        Parameters
        ----------
        level : float
            Confidence level.
        df : float, optional
            Degrees of freedom of the standard error; infinite when left out.

        Returns
        -------
        lower, upper : float
            Inside (0, 1).

        Raises
        ------
        NotEstimable
            When the estimate is exactly 0 or 1.
        """
        return logit_interval(self.estimate, self.std_error, level=level, df=df)


@dataclass(frozen=True, kw_only=True, eq=False)
class RocCurve:
    """Points of the ROC curve at a horizon, from the strictest threshold to the laxest.

    Parameters
    ----------
    threshold : ndarray of shape (m,)
        A patient is positive when the score is at or above it; the first is infinite.
    sensitivity : ndarray of shape (m,)
        Share of the cases that is positive.
    false_positive_rate : ndarray of shape (m,)
        Share of the controls that is positive.
    horizon : float
        In the unit of the outcome.
    definition : Controls
        Who the controls are.
    """

    threshold: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    false_positive_rate: NDArray[np.float64]
    horizon: float
    definition: Controls

    def area(self) -> float:
        """Area under the curve by the trapezoid rule.

        Returns
        -------
        float
            Equal to `dynamic_auc`.
        """
        return float(np.trapezoid(self.sensitivity, self.false_positive_rate))


def dynamic_auc(
    outcome: Outcome,
    risk_score: ArrayLike,
    horizon: float,
    *,
    controls: Controls | str = Controls.FREE_OF_CAUSE,
    cause: int = 1,
) -> DynamicAuc:
    """Measure how well a score separates cases from controls at a horizon.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    risk_score : array_like of shape (n,)
        Higher is worse: a score, or the risk by the horizon.
    horizon : float
        In the unit of the outcome; an event exactly there counts.
    controls : Controls or str
        Whether patients with a competing event are controls.
    cause : int
        The event of interest.

    Returns
    -------
    DynamicAuc
        With its standard error.

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
    Inverse-probability-of-censoring estimator of Uno et al. 2007 and Hung and Chiang 2010; with
    competing events Blanche et al. 2013, whose influence function gives the standard error, with
    the treatment of ties of ``riskRegression::Score``.  O(n log n).

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4, 5], event=[1, 1, 0, 1, 0])
    >>> dynamic_auc(y, [5, 2, 4, 3, 1], 3.5).estimate
    0.75
    """
    definition = as_controls(controls)
    score = as_risk_score(risk_score, outcome)
    view = view_at(outcome, horizon, cause=cause)
    compared = auc_parts(view, score, definition)
    return DynamicAuc(
        estimate=compared.estimate,
        std_error=std_error(compared.influence(view)),
        n=outcome.n,
        events=view.n_cases,
        controls=int(np.count_nonzero(is_control(view, definition))),
        horizon=view.horizon,
        definition=definition,
    )


def delta_auc(
    outcome: Outcome,
    reference: ArrayLike,
    candidate: ArrayLike,
    horizon: float,
    *,
    controls: Controls | str = Controls.FREE_OF_CAUSE,
    cause: int = 1,
) -> PairedDifference:
    """Difference in AUC of two scores on the same patients.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    reference, candidate : array_like of shape (n,)
        The two scores; higher is worse.
    horizon : float
        In the unit of the outcome.
    controls : Controls or str
        Whether patients with a competing event are controls.
    cause : int
        The event of interest.

    Returns
    -------
    PairedDifference
        ``candidate - reference``.

    Raises
    ------
    ConfigError
        When the definition of the controls is unknown.
    DataError
        When the scores do not fit the outcome.
    NotEstimable
        As `dynamic_auc`.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4, 5], event=[1, 1, 0, 1, 0])
    >>> delta_auc(y, [5, 2, 4, 3, 1], [5, 4, 2, 3, 1], 3.5).estimate
    0.25
    """
    definition = as_controls(controls)
    scores = [
        as_risk_score(values, outcome, name=name)
        for name, values in (("reference", reference), ("candidate", candidate))
    ]
    view = view_at(outcome, horizon, cause=cause)
    first, second = (auc_parts(view, score, definition) for score in scores)
    return PairedDifference(
        reference=first.estimate,
        candidate=second.estimate,
        estimate=second.estimate - first.estimate,
        std_error=std_error(second.influence(view) - first.influence(view)),
        measure=f"AUC ({definition.value} controls)",
        n=outcome.n,
        events=view.n_cases,
        horizon=view.horizon,
    )


def roc_curve(
    outcome: Outcome,
    risk_score: ArrayLike,
    horizon: float,
    *,
    controls: Controls | str = Controls.FREE_OF_CAUSE,
    cause: int = 1,
) -> RocCurve:
    """Draw sensitivity against the false-positive rate at a horizon.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    risk_score : array_like of shape (n,)
        Higher is worse.
    horizon : float
        In the unit of the outcome.
    controls : Controls or str
        Whether patients with a competing event are controls.
    cause : int
        The event of interest.

    Returns
    -------
    RocCurve
        One point for each distinct score and the origin.

    Raises
    ------
    ConfigError
        When the definition of the controls is unknown.
    DataError
        When the scores do not fit the outcome.
    NotEstimable
        As `dynamic_auc`.

    Examples
    --------
    >>> curve = roc_curve(Outcome(time=[1, 2, 5, 5], event=[1, 1, 0, 0]), [4, 2, 3, 1], 4.0)
    >>> curve.sensitivity.tolist(), curve.false_positive_rate.tolist()
    ([0.0, 0.5, 0.5, 1.0, 1.0], [0.0, 0.0, 0.5, 0.5, 1.0])
    """
    definition = as_controls(controls)
    score = as_risk_score(risk_score, outcome)
    view = view_at(outcome, horizon, cause=cause)
    case, control = weigh_sides(view, definition)
    threshold, rank = np.unique(score, return_inverse=True)
    positive = []
    for weight in (case, control):
        at_rank = np.bincount(rank, weights=weight, minlength=threshold.size)
        share = np.cumsum(at_rank[::-1])
        positive.append(np.concatenate([[0.0], share / share[-1]]))
    return RocCurve(
        threshold=np.concatenate([[np.inf], threshold[::-1]]),
        sensitivity=positive[0],
        false_positive_rate=positive[1],
        horizon=view.horizon,
        definition=definition,
    )
