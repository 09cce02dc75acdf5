"""Standard errors of the AUC as R's ``timeROC`` computes them, for comparison only.

``timeROC`` breaks ties between times by the order of the rows: the compensator of the censoring
martingale advances row by row, while a patient's own jump is entered at the first row of the tied
time.  With competing events it also writes the share of controls as 1 - F.  The standard errors
of `metastra.survival.dynamic_auc` treat tied times together, as ``riskRegression::Score`` does;
without ties the two are equal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metastra.survival.auc_parts import AucParts, Controls, auc_parts
from metastra.survival.horizon import HorizonView, view_at
from metastra.survival.outcome import Outcome

__all__ = ["timeroc_std_error"]

_Floats = NDArray[np.float64]


def timeroc_std_error(
    outcome: Outcome, score: _Floats, horizon: float, definition: Controls
) -> float:
    """Compute the standard error of the AUC with the ties of ``timeROC(iid = TRUE)``.

    Parameters
    ----------
    outcome : Outcome
        Of n patients; the order of the rows matters where times are tied.
    score : ndarray of shape (n,)
        Higher is worse.
    horizon : float
        Between two recorded times.
    definition : Controls
        Who the controls are.

    Returns
    -------
    float
        Standard error.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4, 5, 6], event=[1, 1, 0, 1, 0, 0])
    >>> error = timeroc_std_error(
    ...     y, np.array([6.0, 1.5, 5.0, 4.0, 2.0, 1.0]), 4.5, Controls.EVENT_FREE
    ... )
    >>> round(error, 4)
    0.1821
    """
    order = np.argsort(outcome.time, kind="stable")
    view = view_at(outcome.take(order), horizon)
    parts = auc_parts(view, score[order], definition)
    if definition is Controls.FREE_OF_CAUSE and view.competing.any():
        influence = _with_complement(view, parts)
    else:
        cases, controls = parts.case.sum(), parts.control.sum()
        terms = parts.won_by_case - parts.estimate * controls * parts.case
        terms = terms + parts.won_over_control - parts.estimate * cases * parts.control
        influence = (view.n * terms + _row_by_row(view, terms)) / (cases * controls)
    return float(np.std(influence, ddof=1) / np.sqrt(view.n))


def _with_complement(view: HorizonView, parts: AucParts) -> _Floats:
    """Influence when the share of controls is taken to be 1 - F."""
    n, risk = view.n, view.risk()
    won = parts.won_by_case.sum()
    share = won * (1.0 - 2.0 * risk) / (n * risk * (1.0 - risk))
    terms = parts.won_by_case - share * parts.case + parts.won_over_control
    influence = n * terms + _row_by_row(view, terms)
    return np.asarray(influence / (n * n * risk * (1.0 - risk)), dtype=np.float64)


def _row_by_row(view: HorizonView, terms: _Floats) -> _Floats:
    """Sum of ``terms_i M_k(row_i)`` over i, for each k, with rows in the order of time."""
    time, n = view.outcome.time, view.n
    last = int(np.count_nonzero(~view.beyond))
    # those beyond the horizon are read at the last row before it
    at_row = terms.copy()
    at_row[last:] = 0.0
    if last:
        at_row[last - 1] += terms[last:].sum()
    running = np.cumsum(at_row[::-1])[::-1]
    censored = view.outcome.event == 0
    compensator = np.cumsum(running * censored * n / (n - np.arange(n)) ** 2.0)
    first = np.searchsorted(time, time, side="left")
    jump = np.where(censored, running[first] * n / (n - first), 0.0)
    return np.asarray(jump - compensator, dtype=np.float64)
