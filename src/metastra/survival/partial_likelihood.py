"""Cox's partial likelihood with its score and information, ties after Efron or Breslow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metastra.survival.risk_sums import RiskSets

__all__ = ["LikelihoodState", "PartialLikelihood", "Ties"]

_Array = NDArray[np.float64]
_Index = NDArray[np.int64]

Ties = Literal["efron", "breslow"]
"""How events at one time share their risk set."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LikelihoodState:
    """The partial likelihood at one value of the coefficients.

    A *term* is one factor of the likelihood: an event time for Breslow's ties, one of the tied
    events for Efron's, which take a rising `fraction` of the events out of the risk set.

    Parameters
    ----------
    coef : ndarray of shape (p,)
        Where it was evaluated.
    loglik : float
        Log partial likelihood.
    score : ndarray of shape (p,)
        Its gradient.
    information : ndarray of shape (p, p)
        Minus its second derivative.
    risk : ndarray of shape (n,)
        Case weight times ``exp(linear predictor)``.
    hazard : ndarray of shape (k,)
        Jump of the baseline hazard at each term.
    mean : ndarray of shape (k, p)
        Mean of the covariates over the risk set of each term.
    """

    coef: _Array
    loglik: float
    score: _Array
    information: _Array
    risk: _Array
    hazard: _Array
    mean: _Array


@dataclass(frozen=True, kw_only=True, eq=False)
class PartialLikelihood:
    """A partial likelihood as a function of the coefficients.

    Parameters
    ----------
    sets : RiskSets
        Risk sets, possibly those of Fine and Gray.
    design : ndarray of shape (n, p)
        Covariates, best centred.
    weight : ndarray of shape (n,)
        Case weights.
    offset : ndarray of shape (n,)
        Added to the linear predictor.
    event_rows : ndarray of shape (d,), int64
        Rows with an event, sorted by event time.
    event_start : ndarray of shape (m,), int64
        In `event_rows`, the first of each event time.
    term_group : ndarray of shape (k,), int64
        Event time of each term, ascending.
    term_start : ndarray of shape (m,), int64
        First term of each event time.
    fraction : ndarray of shape (k,)
        Share of the tied events taken out of the risk set.
    multiplicity : ndarray of shape (k,)
        Weight of each term.
    observed : ndarray of shape (p,)
        Weighted sum of the covariates of the events.
    """

    sets: RiskSets
    design: _Array
    weight: _Array
    offset: _Array
    event_rows: _Index
    event_start: _Index
    term_group: _Index
    term_start: _Index
    fraction: _Array
    multiplicity: _Array
    observed: _Array

    @classmethod
    def of(
        cls, sets: RiskSets, design: _Array, weight: _Array, offset: _Array, ties: Ties
    ) -> PartialLikelihood:
        """Lay out the terms once.

        Parameters
        ----------
        sets : RiskSets
            Risk sets of n rows.
        design : ndarray of shape (n, p)
            Covariates.
        weight, offset : ndarray of shape (n,)
            Case weights and offset.
        ties : {"efron", "breslow"}
            Treatment of ties.

        Returns
        -------
        PartialLikelihood
            Ready to be evaluated.
        """
        rows = np.flatnonzero(sets.group >= 0)
        rows = rows[np.argsort(sets.group[rows], kind="stable")]
        group = sets.group[rows]
        n_groups = sets.time.size
        n_tied = np.bincount(group, minlength=n_groups)
        start = np.concatenate([[0], np.cumsum(n_tied)[:-1]]).astype(np.int64)
        total = np.zeros(n_groups)
        np.add.at(total, group, weight[rows])
        fraction, multiplicity = np.zeros(n_groups), total
        term_group = term_start = np.arange(n_groups, dtype=np.int64)
        if ties == "efron":
            fraction = (np.arange(rows.size) - start[group]) / n_tied[group]
            multiplicity = (total / n_tied)[group]
            term_group, term_start = group, start
        return cls(
            sets=sets,
            design=design,
            weight=weight,
            offset=offset,
            event_rows=rows,
            event_start=start,
            term_group=term_group,
            term_start=term_start,
            fraction=fraction,
            multiplicity=multiplicity,
            observed=weight[rows] @ design[rows],
        )

    def at(self, coef: _Array) -> LikelihoodState:
        """Evaluate the likelihood, its score and its information.

        Parameters
        ----------
        coef : ndarray of shape (p,)
            Coefficients.

        Returns
        -------
        LikelihoodState
            With a log-likelihood of minus infinity where it overflows.

        Notes
        -----
        The information of a term is the variance of the covariates over its risk set.  Its first
        part is summed over patients, not over event times: a patient counts with the hazard met
        while at risk.  The cost is O(n p²) in one matrix product.
        """
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return self._evaluate(coef)

    def _evaluate(self, coef: _Array) -> LikelihoodState:
        predictor = self.design @ coef + self.offset
        risk = self.weight * np.exp(predictor)
        columns = np.empty((risk.size, coef.size + 1))
        columns[:, 0] = risk
        np.multiply(self.design, risk[:, None], out=columns[:, 1:])
        sums = self.sets.forward(columns)
        if self.term_group.size != self.term_start.size:
            sums = sums[self.term_group]
        tied = self.fraction > 0.0
        if tied.any():
            events = np.add.reduceat(columns[self.event_rows], self.event_start, axis=0)
            sums[tied] -= self.fraction[tied, None] * events[self.term_group[tied]]
        hazard = self.multiplicity / sums[:, 0]
        mean = sums[:, 1:] / sums[:, :1]
        rows = self.event_rows
        loglik = float(self.weight[rows] @ predictor[rows] - self.multiplicity @ np.log(sums[:, 0]))
        load = risk * self.met_hazard(hazard)
        score = self.observed - load @ self.design
        information = (self.design * load[:, None]).T @ self.design
        information -= (mean * self.multiplicity[:, None]).T @ mean
        return LikelihoodState(
            coef=coef,
            loglik=loglik if np.isfinite(loglik) else -np.inf,
            score=score,
            information=information,
            risk=risk,
            hazard=hazard,
            mean=mean,
        )

    def met_hazard(self, hazard: _Array) -> _Array:
        """Sum jumps over the terms each patient is at risk of.

        Parameters
        ----------
        hazard : ndarray of shape (k,)
            One value for each term.

        Returns
        -------
        ndarray of shape (n,)
            A patient among tied events counts with one less `fraction`.
        """
        return self.met(hazard[:, None])[:, 0]

    def met(self, values: _Array) -> _Array:
        """Sum rows over the terms each patient is at risk of.

        Parameters
        ----------
        values : ndarray of shape (k, q)
            One row for each term.

        Returns
        -------
        ndarray of shape (n, q)
            A patient among tied events counts with one less `fraction`.
        """
        sums = self.sets.backward(self.by_time(values))
        if (self.fraction > 0.0).any():
            taken = self.by_time(values * self.fraction[:, None])
            sums[self.event_rows] -= taken[self.sets.group[self.event_rows]]
        return sums

    def by_time(self, values: _Array) -> _Array:
        """Sum terms over each event time.

        Parameters
        ----------
        values : ndarray of shape (k, q)
            One row for each term.

        Returns
        -------
        ndarray of shape (m, q)
            One row for each event time.
        """
        if self.term_group.size == self.term_start.size:
            return values
        return np.add.reduceat(values, self.term_start, axis=0)

    def score_residuals(self, state: LikelihoodState) -> _Array:
        """Contribution of each row to the score, case weight included.

        Parameters
        ----------
        state : LikelihoodState
            Where to evaluate them.

        Returns
        -------
        ndarray of shape (n, p)
            They sum to ``state.score``.

        Notes
        -----
        Therneau and Grambsch 2000, section 4.6; ties after Efron as there.
        """
        residuals = -self.design * (state.risk * self.met_hazard(state.hazard))[:, None]
        residuals += state.risk[:, None] * self.met(state.mean * state.hazard[:, None])
        n_terms = np.diff(np.append(self.term_start, self.term_group.size))
        average = self.by_time(state.mean) / n_terms[:, None]
        rows = self.event_rows
        own = self.design[rows] - average[self.sets.group[rows]]
        residuals[rows] += self.weight[rows, None] * own
        return residuals
