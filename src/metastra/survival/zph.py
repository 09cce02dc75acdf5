"""Test of proportional hazards: the exact score test of Grambsch and Therneau."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.cox_model import CoxModel
from metastra.survival.cox_tests import ChiSquaredTest, wald_test
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.outcome import Outcome
from metastra.survival.partial_likelihood import LikelihoodState, PartialLikelihood

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ProportionalHazards", "TimeTransform", "proportional_hazards_test"]

_Array = NDArray[np.float64]

TimeTransform = Literal["km", "identity", "rank", "log"]
"""Function of time a coefficient may drift with."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ProportionalHazards:
    """Result of the test, with what a plot of the coefficient over time needs.

    Parameters
    ----------
    names : tuple of str
        Covariates.
    tests : tuple of ChiSquaredTest
        One for each covariate, on 1 degree of freedom.
    overall : ChiSquaredTest
        All at once.
    transform : str
        Function of time.
    times : ndarray of shape (d,)
        Event times, sorted within strata.
    residuals : ndarray of shape (d, p)
        Schoenfeld residuals: covariates of the event less the mean over the risk set.
    scaled_residuals : ndarray of shape (d, p)
        Scaled to the coefficient: their smooth over time is the coefficient over time.
    """

    names: tuple[str, ...]
    tests: tuple[ChiSquaredTest, ...]
    overall: ChiSquaredTest
    transform: TimeTransform
    times: _Array
    residuals: _Array
    scaled_residuals: _Array

    def frame(self) -> pd.DataFrame:
        """Lay the tests out as a table.

        Returns
        -------
        pandas.DataFrame
            One row for each covariate and one, ``GLOBAL``, for all.
        """
        import pandas as pd

        rows = [*zip(self.names, self.tests, strict=True), ("GLOBAL", self.overall)]
        return pd.DataFrame(
            [{"term": name, "chisq": t.chisq, "df": t.df, "p": t.p} for name, t in rows]
        )


def proportional_hazards_test(
    model: CoxModel, *, transform: TimeTransform = "km"
) -> ProportionalHazards:
    """Test whether hazard ratios drift over time.

    Parameters
    ----------
    model : CoxModel
        Fitted without penalty.
    transform : {"km", "identity", "rank", "log"}
        Function g of time: 1 less the left-continuous Kaplan–Meier estimate, time, its rank, or
        its logarithm.

    Returns
    -------
    ProportionalHazards
        Tests by covariate and overall.

    Raises
    ------
    ConfigError
        When the transform is unknown.
    NotEstimable
        When the model is penalised, all events are at one time, or the logarithm of 0 is asked.

    Notes
    -----
    Grambsch and Therneau 1994; the score test of ``x g(t)`` added to the model, with the full
    information (R's ``cox.zph`` from survival 3.0 on), not the older approximation that takes the
    variance of the covariates to be the same at all times.

    Examples
    --------
    >>> from metastra.survival.cox import fit_cox
    >>> y = Outcome(time=[4, 3, 1, 1, 2, 2, 3], event=[1, 1, 1, 0, 1, 1, 0])
    >>> model = fit_cox(y, [[0], [2], [1], [1], [1], [0], [0]])
    >>> proportional_hazards_test(model, transform="identity").overall.df
    1
    """
    if model.penalised:
        raise NotEstimable("a penalised model has no test of proportional hazards")
    likelihood, state = model.likelihood, model.state
    rows = likelihood.event_rows
    weight = likelihood.weight[rows]
    drift = _transformed(model.outcome, transform)
    centre = float(drift[rows].mean())
    at_event = drift[rows] - centre
    if not at_event.size or np.ptp(at_event) == 0.0:
        raise NotEstimable("all events are at one time: a drift over time cannot be seen")
    sets = likelihood.sets
    at_time = np.zeros(sets.time.size)
    at_time[sets.group[rows]] = at_event
    by_term = at_time[likelihood.term_group]
    residuals = _schoenfeld(likelihood, state)
    cross = _information(likelihood, state, by_term)
    curved = _information(likelihood, state, by_term**2)
    whole = np.block([[state.information, cross], [cross, curved]])
    score = (weight * at_event) @ residuals
    p = model.coef.size
    tests = []
    for k in range(p):
        keep = np.append(np.arange(p), p + k)
        part = np.append(np.zeros(p), score[k])
        chisq = wald_test(part, whole[np.ix_(keep, keep)]).chisq
        tests.append(ChiSquaredTest.of(chisq, 1))
    overall = wald_test(np.concatenate([np.zeros(p), score]), whole).chisq
    scaled = residuals @ (rows.size * model.covariance) + model.coef
    return ProportionalHazards(
        names=model.names,
        tests=tuple(tests),
        overall=ChiSquaredTest.of(overall, p),
        transform=transform,
        times=sets.time[sets.group[rows]],
        residuals=residuals,
        scaled_residuals=scaled,
    )


def _transformed(outcome: Outcome, transform: TimeTransform) -> _Array:
    """Evaluate g at the end of each row."""
    if transform == "identity":
        return outcome.time
    if transform == "rank":
        _, row, count = np.unique(outcome.time, return_inverse=True, return_counts=True)
        return np.asarray((np.cumsum(count) - 0.5 * (count - 1))[row], dtype=np.float64)
    if transform == "km":
        return 1.0 - kaplan_meier(outcome).curve().left(outcome.time)
    if transform != "log":
        raise ConfigError(f"transform={transform!r} is unknown; expected km, identity, rank or log")
    if (outcome.time[outcome.event != 0] <= 0.0).any():
        raise NotEstimable("an event at time 0 has no logarithm; choose another transform")
    return np.log(np.where(outcome.time > 0.0, outcome.time, 1.0))


def _schoenfeld(likelihood: PartialLikelihood, state: LikelihoodState) -> _Array:
    """Covariates of each event less the mean over its risk set, averaged over the tied terms."""
    n_terms = np.diff(np.append(likelihood.term_start, likelihood.term_group.size))
    average = likelihood.by_time(state.mean) / n_terms[:, None]
    rows = likelihood.event_rows
    return np.asarray(likelihood.design[rows] - average[likelihood.sets.group[rows]])


def _information(likelihood: PartialLikelihood, state: LikelihoodState, factor: _Array) -> _Array:
    """Information with the contribution of each term multiplied by a factor."""
    load = state.risk * likelihood.met_hazard(state.hazard * factor)
    design = likelihood.design
    mean_part = (state.mean * (likelihood.multiplicity * factor)[:, None]).T @ state.mean
    return np.asarray((design * load[:, None]).T @ design - mean_part)
