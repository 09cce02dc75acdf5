"""Does treatment work differently by risk score?  Worded causally only where it was randomised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.beta_product import beta_product_limits
from metastra.survival.cox import fit_cox
from metastra.survival.cox_tests import ChiSquaredTest, likelihood_ratio_test
from metastra.survival.groups import as_groups
from metastra.survival.intervals import normal_quantile, probability_interval
from metastra.survival.outcome import Outcome

__all__ = ["GroupDifference", "TreatmentInteraction", "group_differences", "treatment_interaction"]

_Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TreatmentInteraction:
    """Treatment × score on the scale of the log hazard.

    Parameters
    ----------
    ratio, lower, upper : float
        Factor by which the treatment's hazard ratio changes for one unit more of score, with
        limits; 1 is no interaction.
    level : float
        Their confidence level.
    test : ChiSquaredTest
        Likelihood-ratio test of the product term.
    treated_at_zero : float
        Hazard ratio of treatment at a score of 0.
    n, n_treated, n_events, n_events_treated : int
        Patients and events.
    randomised : bool
        Whether treatment was assigned at random.
    causal : bool
        Whether the numbers may be called effects: only when randomised.
    wording : str
        The finding in a sentence that says no more than the design allows.
    """

    ratio: float
    lower: float
    upper: float
    level: float
    test: ChiSquaredTest
    treated_at_zero: float
    n: int
    n_treated: int
    n_events: int
    n_events_treated: int
    randomised: bool
    causal: bool
    wording: str


@dataclass(frozen=True, kw_only=True)
class GroupDifference:
    """Absolute risks of treated and untreated patients of one score group.

    Parameters
    ----------
    group : object
        Label of the group.
    horizon : float
        In the unit of the outcome.
    n_treated, n_untreated, n_events_treated, n_events_untreated : int
        Patients, and events of the cause by the horizon.
    risk_treated, risk_untreated, difference, lower, upper : float or None
        Absolute risks, treated less untreated, and limits of the difference; None when not
        estimable.
    causal : bool
        Whether the difference may be called an effect: only when randomised.
    reason : str
        Why numbers are None; empty otherwise.
    """

    group: object
    horizon: float
    n_treated: int
    n_untreated: int
    n_events_treated: int
    n_events_untreated: int
    risk_treated: float | None
    risk_untreated: float | None
    difference: float | None
    lower: float | None
    upper: float | None
    causal: bool
    reason: str


def treatment_interaction(
    outcome: Outcome,
    treated: ArrayLike,
    score: ArrayLike,
    *,
    randomised: bool,
    cause: int = 1,
    adjust: ArrayLike | None = None,
    adjust_names: Sequence[str] | None = None,
    level: float = 0.95,
) -> TreatmentInteraction:
    """Test whether the hazard ratio of treatment depends on the score.

    Parameters
    ----------
    outcome : Outcome
        Of n patients; other causes are censored (cause-specific hazard).
    treated : array_like of shape (n,)
        1 treated, 0 not; known at the time origin (else see `switch_periods` and `at_landmark`).
    score : array_like of shape (n,)
        Risk score, unbounded, higher is worse.
    randomised : bool
        Whether treatment was assigned at random.  It decides the wording, not the numbers.
    cause : int
        Code of the event.
    adjust : array_like of shape (n, p), optional
        Baseline covariates in both models.
    adjust_names : sequence of str, optional
        Their names.
    level : float
        Confidence level.

    Returns
    -------
    TreatmentInteraction
        Cox models with Efron's ties.

    Raises
    ------
    DataError
        When arrays do not fit together or treatment is not 0 or 1.
    NotEstimable
        When one arm is empty or without an event, the score is constant, or a likelihood rises
        for ever.

    Notes
    -----
    An interaction on the hazard scale is one scale's answer; absolute differences by group
    (`group_differences`) can vary without one, since a constant hazard ratio saves more where
    more is at risk.

    Examples
    --------
    >>> rng = np.random.default_rng(3)
    >>> arm, score = np.arange(200) % 2, rng.normal(size=200)
    >>> time = rng.exponential(1.0 / np.exp(score * (0.5 + arm)))
    >>> found = treatment_interaction(
    ...     Outcome(time=time, event=np.ones(200, dtype=int)), arm, score, randomised=False
    ... )
    >>> found.ratio > 1.5, found.causal, "effect" in found.wording.split("cannot")[0]
    (True, False, False)
    """
    normal_quantile(level)
    arm = _arm(treated, outcome.n)
    values = np.asarray(score, dtype=np.float64)
    if values.shape != (outcome.n,) or not np.isfinite(values).all():
        raise DataError(f"score has shape {values.shape}; expected ({outcome.n},), none missing")
    own = outcome.only(cause)
    events = np.array([np.count_nonzero((own.event == 1) & (arm == k)) for k in (0.0, 1.0)])
    if not events.all():
        raise NotEstimable(
            f"{events[1]} events among the treated and {events[0]} among the untreated: an "
            "interaction needs events in both arms"
        )
    rest = np.empty((outcome.n, 0)) if adjust is None else np.asarray(adjust, dtype=np.float64)
    if rest.ndim != 2 or rest.shape[0] != outcome.n:
        raise DataError(f"adjust has shape {rest.shape}; expected ({outcome.n}, p)")
    labels = [*(adjust_names or [f"x{k + 1}" for k in range(rest.shape[1])])]
    main = np.column_stack([arm, values, rest])
    smaller = fit_cox(own, main, names=["treated", "score", *labels])
    larger = fit_cox(
        own,
        np.column_stack([arm * values, main]),
        names=["treated:score", "treated", "score", *labels],
    )
    test = likelihood_ratio_test(smaller, larger)
    lower, upper = larger.hazard_ratio_interval(level)
    ratio = float(larger.hazard_ratio[0])
    limits = (float(lower[0]), float(upper[0]))
    return TreatmentInteraction(
        ratio=ratio,
        lower=limits[0],
        upper=limits[1],
        level=level,
        test=test,
        treated_at_zero=float(larger.hazard_ratio[1]),
        n=outcome.n,
        n_treated=int(arm.sum()),
        n_events=int(events.sum()),
        n_events_treated=int(events[1]),
        randomised=bool(randomised),
        causal=bool(randomised),
        wording=_wording(ratio, limits, level, test.p, randomised=bool(randomised)),
    )


def group_differences(
    outcome: Outcome,
    treated: ArrayLike,
    group: ArrayLike,
    *,
    horizon: float,
    randomised: bool,
    cause: int = 1,
    level: float = 0.95,
) -> tuple[GroupDifference, ...]:
    """Absolute risk of treated less untreated patients, by score group.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    treated : array_like of shape (n,)
        1 treated, 0 not.
    group : array_like of shape (n,)
        Score group, cut beforehand.
    horizon : float
        In the unit of the outcome, above 0.
    randomised : bool
        Whether treatment was assigned at random.
    cause : int
        Code of the event.
    level : float
        Confidence level.

    Returns
    -------
    tuple of GroupDifference
        In the sorted order of the labels; a group whose risk is not estimable keeps its row, with
        the reason.

    Raises
    ------
    ConfigError
        When the horizon or the level is out of range.
    DataError
        When arrays do not fit together or treatment is not 0 or 1.

    Notes
    -----
    Aalen–Johansen in each arm; the limits join those of the two arms (Newcombe 1998; Zou and
    Donner 2008, Statistics in Medicine 27, 1693–1702): log-log ones, and in an arm with a risk of
    0 or 1 the beta product limits.

    Examples
    --------
    >>> y = Outcome(time=[24.0] * 40, event=[1] * 4 + [0] * 16 + [1] * 8 + [0] * 12)
    >>> arm = [1] * 20 + [0] * 20
    >>> row = group_differences(y, arm, ["all"] * 40, horizon=24.0, randomised=True)[0]
    >>> round(row.difference, 3), row.lower < -0.2 < row.upper
    (-0.2, True)
    """
    normal_quantile(level)
    if not (np.isfinite(horizon) and horizon > 0.0):
        raise ConfigError(f"the horizon is {horizon}; expected a finite time above 0")
    arm = _arm(treated, outcome.n)
    codes, labels = as_groups(group, outcome.n, "group")
    return tuple(
        _difference(
            outcome,
            arm,
            codes == k,
            label,
            horizon,
            cause,
            level,
            causal=bool(randomised),
        )
        for k, label in enumerate(labels)
    )


def _difference(
    outcome: Outcome,
    arm: _Array,
    inside: NDArray[np.bool_],
    label: object,
    horizon: float,
    cause: int,
    level: float,
    *,
    causal: bool,
) -> GroupDifference:
    members = [inside & (arm == k) for k in (1.0, 0.0)]
    by_then = (outcome.event == cause) & (outcome.time <= horizon)
    risks: list[tuple[float, float, float]] = []
    reasons = []
    for mask, words in zip(members, ("treated", "untreated"), strict=True):
        try:
            risks.append(_arm_risk(outcome, mask, horizon, cause, level))
        except NotEstimable as error:
            reasons.append(f"{words}: {error.reason}")
    difference = lower = upper = None
    if not reasons:
        (one, one_low, one_high), (none, none_low, none_high) = risks
        difference = one - none
        lower = difference - float(np.hypot(one - one_low, none_high - none))
        upper = difference + float(np.hypot(one_high - one, none - none_low))
    return GroupDifference(
        group=label,
        horizon=float(horizon),
        n_treated=int(np.count_nonzero(members[0])),
        n_untreated=int(np.count_nonzero(members[1])),
        n_events_treated=int(np.count_nonzero(by_then & members[0])),
        n_events_untreated=int(np.count_nonzero(by_then & members[1])),
        risk_treated=None if reasons else risks[0][0],
        risk_untreated=None if reasons else risks[1][0],
        difference=difference,
        lower=lower,
        upper=upper,
        causal=causal,
        reason="; ".join(reasons),
    )


def _arm_risk(
    outcome: Outcome, mask: NDArray[np.bool_], horizon: float, cause: int, level: float
) -> tuple[float, float, float]:
    """Risk with its limits in one arm of one group."""
    if not mask.any():
        raise NotEstimable("no patients")
    part = outcome.take(mask)
    curve = aalen_johansen(part, causes=[cause])[cause]
    risk = curve.incidence_at([horizon])
    if 0.0 < risk[0] < 1.0:
        free_low, free_high = probability_interval(
            1.0 - risk, curve.std_error_at([horizon]), interval="log-log", level=level
        )
        return float(risk[0]), 1.0 - float(free_high[0]), 1.0 - float(free_low[0])
    tail = 0.5 * (1.0 - level)
    low, high = beta_product_limits(part.only(cause), horizon, lower_tail=tail, upper_tail=tail)
    return float(risk[0]), low, high


def _arm(treated: ArrayLike, n: int) -> _Array:
    arm = np.asarray(treated, dtype=np.float64)
    if arm.shape != (n,) or not np.isin(arm, (0.0, 1.0)).all():
        raise DataError(f"treated has shape {arm.shape}; expected ({n},), 1 treated or 0 not")
    if not 0 < arm.sum() < n:
        raise NotEstimable(f"{int(arm.sum())} of {n} patients are treated: there is one arm only")
    return arm


def _wording(
    ratio: float, limits: tuple[float, float], level: float, p: float, *, randomised: bool
) -> str:
    figures = (
        f"(factor {ratio:.3g} for one unit of score, {100 * level:g}% limits {limits[0]:.3g} to "
        f"{limits[1]:.3g}, p = {p:.3g})"
    )
    shown = p < 1.0 - level
    if randomised:
        if shown:
            return f"The effect of treatment on the hazard differs by score {figures}."
        return (
            f"It is not shown that the effect of treatment on the hazard differs by score "
            f"{figures}; this does not show that it is the same."
        )
    start = "differs" if shown else "is not shown to differ"
    return (
        f"The association of treatment with the hazard {start} by score {figures}. Treatment was "
        "not randomised: who was treated may explain this, and it cannot be read as an effect of "
        "treatment."
    )
