"""The whole validation panel as one function of case weights, for the bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import DataError
from metastra.survival.auc_parts import Controls, as_controls
from metastra.survival.calibration import cloglog
from metastra.survival.concordance_kernel import ASK_FIRST, INSERT_FIRST, INSERT_SECOND
from metastra.survival.horizon import view_at
from metastra.survival.outcome import Outcome
from metastra.survival.panel_kernel import concordance_pair, horizon_measures
from metastra.survival.pseudo_values import SortedStatus
from metastra.survival.scores import as_risk, as_risk_score
from metastra.survival.sorting_kernel import dense_rank
from metastra.survival.tally_kernel import censoring_curve, tally

__all__ = ["ValidationPanel"]

_AT_HORIZON = ("auc", "oe_ratio", "slope", "brier", "ipa", "intercept")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Horizon:
    """One horizon: how many times lie before it, and the risks in the order of the patients."""

    n_times: int
    risk: NDArray[np.float64]
    cloglog: NDArray[np.float64]
    rank: NDArray[np.int64]
    n_ranks: int


class ValidationPanel:
    """Harrell, Uno, AUC, O/E, slope, Brier score, IPA and intercept under case weights.

    Patients are sorted once; each call is O(n log n), so that a bootstrap costs its draws only.

    Parameters
    ----------
    outcome : Outcome
        Of n patients, without delayed entry.
    risk_score : array_like of shape (n,)
        Higher is worse; for the concordances.
    risks : array_like of shape (n, k)
        Probability of the event of interest by each horizon; for k = 1 also of shape (n,).
    horizons : array_like of shape (k,)
        In the unit of the outcome.
    tau : float, optional
        Only events up to tau open a pair; the last horizon when left out.
    cause : int
        The event of interest; the concordances censor the others.
    controls : Controls or str
        Whether patients with a competing event are controls of the AUC.

    Attributes
    ----------
    names : tuple of str
        Of the measures, in the order of the values: ``harrell``, ``uno``, then ``auc@t``,
        ``oe_ratio@t``, ``slope@t``, ``brier@t``, ``ipa@t`` and ``intercept@t`` (slope held at 1)
        for each horizon t.

    Raises
    ------
    ConfigError
        When the definition of the controls is unknown.
    DataError
        When scores or risks do not fit the outcome.
    NotEstimable
        When follow-up does not reach past a horizon, or there is delayed entry.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4, 5, 6], event=[1, 1, 0, 1, 0, 0])
    >>> panel = ValidationPanel(y, [3, 2, 2, 1, 0, 0], [0.8, 0.5, 0.6, 0.4, 0.3, 0.2], [4.5])
    >>> panel.names[:3]
    ('harrell', 'uno', 'auc@4.5')
    >>> panel(np.ones(6)).round(3).tolist()[:3]
    [0.955, 0.96, 1.0]
    """

    def __init__(
        self,
        outcome: Outcome,
        risk_score: ArrayLike,
        risks: ArrayLike,
        horizons: ArrayLike,
        *,
        tau: float | None = None,
        cause: int = 1,
        controls: Controls | str = Controls.FREE_OF_CAUSE,
    ) -> None:
        grid = np.atleast_1d(np.asarray(horizons, dtype=np.float64))
        matrix = _as_columns(risks, outcome, grid)
        score = as_risk_score(risk_score, outcome)
        self._event_free = int(as_controls(controls) is Controls.EVENT_FREE)
        self._rows = rows = SortedStatus.of(outcome, cause=cause)
        self._horizons = []
        for horizon, column in zip(grid, matrix.T, strict=True):
            view_at(outcome, float(horizon), cause=cause)
            risk = as_risk(column, outcome, name=f"risk by {horizon:g}")[rows.order]
            rank, n_ranks = dense_rank(risk)
            self._horizons.append(
                _Horizon(
                    n_times=rows.n_times(float(horizon)),
                    risk=risk,
                    cloglog=_slope_scale(risk),
                    rank=rank,
                    n_ranks=n_ranks,
                )
            )
        last = float(grid.max()) if tau is None else tau
        self._prepare_pairs(score[rows.order], rows.n_times(last))
        at_horizons = [f"{measure}@{horizon:g}" for horizon in grid for measure in _AT_HORIZON]
        self.names: tuple[str, ...] = ("harrell", "uno", *at_horizons)

    def __call__(self, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Compute the panel under case weights.

        Parameters
        ----------
        weights : ndarray of shape (n,), optional
            In the order of the outcome, whole numbers: how often each patient was drawn; 1 each
            when left out.

        Returns
        -------
        ndarray
            In the order of `names`; NaN for a measure that the weighted patients do not support,
            which the bootstrap counts as a failed replicate.
        """
        rows = self._rows
        weight = (
            np.ones(rows.order.size)
            if weights is None
            else np.asarray(weights, dtype=np.float64)[rows.order]
        )
        m = rows.times.size
        values = np.empty(len(self.names))
        one_cause = tally(rows.group, self._alone, weight, m)
        left = censoring_curve(one_cause[0], one_cause[1])[rows.group]
        values[0], values[1] = concordance_pair(
            self._group,
            self._insert,
            self._ask,
            self._rank,
            np.ascontiguousarray(weight[::-1]),
            self._n_ranks,
            np.ascontiguousarray(left[::-1]),
        )
        counts = tally(rows.group, rows.status, weight, m)
        free = censoring_curve(counts[0], counts[1])
        for k, at in enumerate(self._horizons):
            start = 2 + k * len(_AT_HORIZON)
            values[start : start + len(_AT_HORIZON)] = horizon_measures(
                rows.group,
                rows.status,
                weight,
                counts,
                free,
                at.n_times,
                at.risk,
                at.cloglog,
                at.rank,
                at.n_ranks,
                self._event_free,
            )
        return values

    def _prepare_pairs(self, score: NDArray[np.float64], n_opening: int) -> None:
        """Lay the patients out from the latest to the earliest for the concordances."""
        rows = self._rows
        rank, self._n_ranks = dense_rank(score)
        opens = (rows.status == 1) & (rows.group < n_opening)
        self._alone = np.where(rows.status == 1, 1, 0).astype(np.int8)
        self._group = np.ascontiguousarray(rows.group[::-1])
        self._rank = np.ascontiguousarray(rank[::-1])
        insert = np.where(opens, INSERT_SECOND, INSERT_FIRST)
        self._insert = np.ascontiguousarray(insert[::-1].astype(np.int8))
        self._ask = np.ascontiguousarray(np.where(opens, ASK_FIRST, 0)[::-1].astype(np.int8))


def _slope_scale(risk: NDArray[np.float64]) -> NDArray[np.float64]:
    """Complementary log-log; empty where a risk of 0 or 1, or one risk for all, leaves no slope."""
    if (risk <= 0.0).any() or (risk >= 1.0).any() or np.ptp(risk) == 0.0:
        return np.empty(0)
    return cloglog(risk)


def _as_columns(
    risks: ArrayLike, outcome: Outcome, horizons: NDArray[np.float64]
) -> NDArray[np.float64]:
    matrix = np.asarray(risks, dtype=np.float64)
    if matrix.ndim == 1:
        matrix = matrix[:, None]
    if matrix.shape != (outcome.n, horizons.size):
        raise DataError(
            f"risks have shape {matrix.shape}; expected ({outcome.n}, {horizons.size}): "
            "one row per patient, one column per horizon"
        )
    return matrix
