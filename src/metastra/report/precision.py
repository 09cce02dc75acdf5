"""What so many events can show: expected widths of intervals, before any model is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metastra.errors import NotEstimable
from metastra.stats.sample_size import auc_half_width, observed_expected_factor
from metastra.survival.outcome import Outcome

__all__ = [
    "PRECISION_SOURCES",
    "Precision",
    "PrecisionRow",
    "precision_row",
]

PRECISION_SOURCES = (
    "Half-width of the AUC: standard error of Newcombe, Stat Med 2006;25:559–573 (method 4), as "
    "used for sample sizes by Riley et al., Stat Med 2021;40:4230–4251. Factor of observed to "
    "expected events: exp(z √((1 − F)/events)), same source. Patients censored before the "
    "horizon are left out, so the widths lean to the careful side."
)
"""Where the formulae stand; printed under the table."""


_ASSUMED = (0.7, 0.8)


@dataclass(frozen=True, kw_only=True)
class PrecisionRow:
    """What one cohort can show at one horizon.

    Parameters
    ----------
    cohort, role : str
        Of the cohort.
    horizon : float or None
        In the study's time unit; None for endpoints without follow-up.
    n : int
        Patients.
    events : int
        With the event by the horizon.
    free : int
        Known to be free of it at the horizon; a competing event before counts here.
    half_width_70, half_width_80 : float or None
        Expected half-width of the interval of the AUC, were the true one 0.70 or 0.80.
    lower_80, upper_80 : float or None
        The interval that a true 0.80 would then be reported with.
    factor : float or None
        By which observed and expected events may differ through chance alone.
    reason : str
        Why there are no widths.
    """

    cohort: str
    role: str
    horizon: float | None
    n: int
    events: int
    free: int
    half_width_70: float | None = None
    half_width_80: float | None = None
    lower_80: float | None = None
    upper_80: float | None = None
    factor: float | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Precision:
    """What the study can show.

    Parameters
    ----------
    rows : tuple of PrecisionRow
        One for each cohort.
    development_events : int
        Events of interest in all development cohorts, whatever their time.
    parameters : int
        That the declared clinical columns would take in an unpenalised model.
    events_per_parameter : float or None
        None without parameters.
    level : float
        Confidence level of the expected intervals.
    assumed : tuple of float
        The true AUCs that the half-widths assume.
    """

    rows: tuple[PrecisionRow, ...]
    development_events: int
    parameters: int
    events_per_parameter: float | None
    level: float = 0.95
    assumed: tuple[float, float] = _ASSUMED


def precision_row(
    outcome: Outcome,
    *,
    cohort: str,
    role: str,
    horizon: float,
    horizon_days: float,
    risk: float | None,
    level: float = 0.95,
) -> PrecisionRow:
    """Say what one cohort can show at one horizon.

    Parameters
    ----------
    outcome : Outcome
        Of the cohort, in days.
    cohort, role : str
        Of the cohort.
    horizon : float
        In the study's time unit.
    horizon_days : float
        The same in days.
    risk : float or None
        Estimated risk by the horizon; None where it is not estimable.
    level : float
        Confidence level.

    Returns
    -------
    PrecisionRow
        With the reason where the data cannot carry the widths.

    Examples
    --------
    >>> y = Outcome(time=[10, 20, 30, 40, 50, 60], event=[1, 0, 1, 2, 0, 1])
    >>> row = precision_row(
    ...     y, cohort="south", role="external", horizon=45, horizon_days=45.0, risk=0.4
    ... )
    >>> row.events, row.free  # the patient censored at 20 is not known
    (2, 3)
    """
    by_then = outcome.time <= horizon_days
    events = int(np.count_nonzero(by_then & (outcome.event == 1)))
    competing = int(np.count_nonzero(by_then & (outcome.event > 1)))
    free = int(np.count_nonzero(~by_then)) + competing
    # Whoever is censored exactly at the horizon was free of the event then.
    free += int(np.count_nonzero((outcome.time == horizon_days) & (outcome.event == 0)))
    widths: tuple[float | None, float | None, float | None] = (None, None, None)
    reason = ""
    if risk is None:
        reason = f"the risk by {horizon:g} is not estimable"
    else:
        try:
            widths = (
                auc_half_width(_ASSUMED[0], events, free, level=level),
                auc_half_width(_ASSUMED[1], events, free, level=level),
                observed_expected_factor(risk, events, level=level),
            )
        except NotEstimable as error:
            reason = error.reason
    return PrecisionRow(
        cohort=cohort,
        role=role,
        horizon=horizon,
        n=outcome.n,
        events=events,
        free=free,
        half_width_70=widths[0],
        half_width_80=widths[1],
        lower_80=None if widths[1] is None else _ASSUMED[1] - widths[1],
        upper_80=None if widths[1] is None else min(_ASSUMED[1] + widths[1], 1.0),
        factor=widths[2],
        reason=reason,
    )
