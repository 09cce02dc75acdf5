"""Concordance fold by fold and on average: the figure that published cross-validations report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import NotEstimable
from metastra.evaluation.draws import FEW_EVENTS
from metastra.evaluation.estimate import Estimate, attempt
from metastra.survival.concordance import Concordance, concordance, delta_concordance
from metastra.survival.intervals import t_quantile
from metastra.survival.outcome import Outcome
from metastra.survival.paired import logit_interval

__all__ = ["FoldConcordances", "fold_concordances", "mean_difference"]

_IN_A_FOLD = "Harrell's concordance, whole follow-up; jack-knife, logit scale"
_MEAN = "mean of the folds' concordances; jack-knife within folds, logit scale"
_DIFFERENCE = "mean of the folds' differences of concordance; joint jack-knife within folds"


@dataclass(frozen=True, kw_only=True)
class FoldConcordances:
    """Concordance of one score in each fold and on average.

    Parameters
    ----------
    folds : mapping of str to Estimate
        By name of the fold, in their order.
    mean : Estimate
        Over the folds in which there is a comparable pair.
    """

    folds: Mapping[str, Estimate]
    mean: Estimate

    def to_json(self) -> dict[str, Any]:
        """Write the numbers as plain values.

        Returns
        -------
        dict
            ``mean`` (EST) and ``folds`` (name → EST).
        """
        return {
            "mean": self.mean.to_json(),
            "folds": {name: one.to_json() for name, one in self.folds.items()},
        }


def fold_concordances(
    outcome: Outcome, score: ArrayLike, folds: Sequence[str | None]
) -> FoldConcordances:
    """Measure how well a score orders the patients of each fold.

    Parameters
    ----------
    outcome : Outcome
        Of n patients; the event of interest is 1, others are censored.
    score : array_like of shape (n,)
        Higher is worse; patients with NaN are left out.
    folds : sequence of (str or None), of length n
        Fold of each patient; None for those who stand in none.

    Returns
    -------
    FoldConcordances
        Without a number, but with a reason, where a fold has no comparable pair.

    Notes
    -----
    Folds hold different patients, so the variance of the mean is the sum of the folds' variances
    over the square of their number.  The folds' models share training patients, which this does
    not see: the interval is that of these fitted models on new patients.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 1, 2, 3], event=[1, 1, 0, 1, 1, 0])
    >>> found = fold_concordances(y, [3, 2, 1, 1, 2, 3], ["a", "a", "a", "b", "b", "b"])
    >>> [found.folds[name].estimate for name in "ab"], found.mean.estimate
    ([1.0, 0.0], 0.5)
    """
    values = np.asarray(score, dtype=np.float64)
    known = {name: _rows(folds, name) & np.isfinite(values) for name in _names(folds)}
    parts: dict[str, Concordance] = {}
    shown: dict[str, Estimate] = {}
    for name, rows in known.items():
        if not rows.any():
            shown[name] = _none(_IN_A_FOLD, 0, 0, "no patient of the fold has a score")
            continue
        mine = outcome.take(rows)
        try:
            parts[name] = concordance(mine, values[rows])
        except NotEstimable as error:
            shown[name] = _none(_IN_A_FOLD, mine.n, mine.n_events(1), error.reason)
            continue
        shown[name] = _of_fold(parts[name])
    events = sum(one.events for one in parts.values())
    n = sum(one.n for one in parts.values())
    mean = attempt(lambda: _mean(parts, len(known)), method=_MEAN, n=n, events=events)
    return FoldConcordances(folds=shown, mean=mean)


def mean_difference(
    outcome: Outcome, reference: ArrayLike, candidate: ArrayLike, folds: Sequence[str | None]
) -> Estimate:
    """Compare two scores on the same patients, fold by fold.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    reference, candidate : array_like of shape (n,)
        Higher is worse; patients who lack one of them are left out.
    folds : sequence of (str or None), of length n
        Fold of each patient.

    Returns
    -------
    Estimate
        Mean over the folds of candidate less reference, with the joint variance of each fold.
    """
    first = np.asarray(reference, dtype=np.float64)
    second = np.asarray(candidate, dtype=np.float64)
    differences, errors, n, events = [], [], 0, 0
    names = _names(folds)
    for name in names:
        rows = _rows(folds, name) & np.isfinite(first) & np.isfinite(second)
        if not rows.any():
            continue
        try:
            found = delta_concordance(outcome.take(rows), first[rows], second[rows])
        except NotEstimable:
            continue
        differences.append(found.estimate)
        errors.append(found.std_error)
        n, events = n + found.n, events + found.events
    if not differences:
        return _none(_DIFFERENCE, n, events, "no fold has a comparable pair")
    centre = float(np.mean(differences))
    half = t_quantile(0.95, _freedom(events)) * _error(errors)
    without = len(names) - len(differences)
    return Estimate(
        estimate=centre,
        lower=max(centre - half, -1.0),
        upper=min(centre + half, 1.0),
        method=_DIFFERENCE,
        n=n,
        events=events,
        reason=f"{without} of {len(names)} folds have no comparable pair" if without else None,
    )


def _names(folds: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(sorted({name for name in folds if name is not None}))


def _rows(folds: Sequence[str | None], name: str) -> NDArray[np.bool_]:
    return np.array([one == name for one in folds], dtype=np.bool_)


def _freedom(events: int) -> float | None:
    return None if events >= FEW_EVENTS else max(events - 1.0, 1.0)


def _error(errors: Sequence[float]) -> float:
    return float(np.sqrt(np.square(errors).sum())) / len(errors)


def _of_fold(found: Concordance) -> Estimate:
    lower, upper, reason = None, None, None
    try:
        lower, upper = found.interval(df=_freedom(found.events))
    except NotEstimable as error:
        reason = error.reason
    return Estimate(
        estimate=found.estimate,
        lower=lower,
        upper=upper,
        method=_IN_A_FOLD,
        n=found.n,
        events=found.events,
        reason=reason,
    )


def _mean(parts: Mapping[str, Concordance], listed: int) -> Estimate:
    if not parts:
        raise NotEstimable("no fold has a comparable pair")
    events = sum(one.events for one in parts.values())
    centre = float(np.mean([one.estimate for one in parts.values()]))
    errors = [one.std_error for one in parts.values() if one.std_error is not None]
    lower, upper, reason = None, None, None
    try:
        lower, upper = logit_interval(centre, _error(errors), df=_freedom(events))
    except NotEstimable as error:
        reason = error.reason
    if len(parts) < listed:
        left = f"{listed - len(parts)} of {listed} folds have no comparable pair"
        reason = f"{reason}; {left}" if reason else left
    return Estimate(
        estimate=centre,
        lower=lower,
        upper=upper,
        method=_MEAN,
        n=sum(one.n for one in parts.values()),
        events=events,
        reason=reason,
    )


def _none(method: str, n: int, events: int, reason: str) -> Estimate:
    return Estimate(
        estimate=None, lower=None, upper=None, method=method, n=n, events=events, reason=reason
    )
