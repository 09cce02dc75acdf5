"""The Nelson–Aalen estimate of a cumulative hazard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import ConfigError
from metastra.survival.intervals import normal_quantile
from metastra.survival.outcome import Outcome
from metastra.survival.risk_set import risk_table
from metastra.survival.step_function import StepFunction

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NelsonAalen", "nelson_aalen"]


@dataclass(frozen=True, kw_only=True, eq=False)
class NelsonAalen:
    """A cumulative hazard; one entry for each distinct time, censorings included.

    Parameters
    ----------
    times : ndarray of shape (m,)
        Distinct times, ascending, in the unit of the outcome.
    n_risk, n_event : ndarray of shape (m,), int64
        At risk just before, and with an event at, each time.
    cumulative_hazard : ndarray of shape (m,)
        H(t).
    std_error : ndarray of shape (m,)
        Of H(t).
    lower, upper : ndarray of shape (m,)
        Limits on the log scale; both 0 before the first event.
    level : float
        Their confidence level.
    """

    times: NDArray[np.float64]
    n_risk: NDArray[np.int64]
    n_event: NDArray[np.int64]
    cumulative_hazard: NDArray[np.float64]
    std_error: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    level: float

    def curve(self) -> StepFunction:
        """Give H as a function of time.

        Returns
        -------
        StepFunction
            Known up to the last follow-up.
        """
        return StepFunction(
            times=self.times,
            values=self.cumulative_hazard,
            before=0.0,
            support_end=float(self.times[-1]),
        )

    def hazard_at(self, time: ArrayLike, *, extend: bool = False) -> NDArray[np.float64]:
        """H(t) at any times.

        Parameters
        ----------
        time : array_like
            Any shape.
        extend : bool
            Carry the last value past the last follow-up instead of refusing.

        Returns
        -------
        ndarray
            Of the shape of `time`.

        Raises
        ------
        NotEstimable
            Past the last follow-up, unless `extend` is set.
        """
        return self.curve()(time, extend=extend)

    def frame(self) -> pd.DataFrame:
        """Lay the estimate out as a table.

        Returns
        -------
        pandas.DataFrame
            One row for each distinct time.
        """
        import pandas as pd

        names = ("n_risk", "n_event", "cumulative_hazard", "std_error", "lower", "upper")
        return pd.DataFrame({"time": self.times} | {name: getattr(self, name) for name in names})


def nelson_aalen(outcome: Outcome, *, cause: int | None = None, level: float = 0.95) -> NelsonAalen:
    """Estimate the cumulative hazard of any event, or of one cause.

    Parameters
    ----------
    outcome : Outcome
        Delayed entry is honoured.
    cause : int, optional
        Code of the event; any event when left out.
    level : float
        Confidence level of the limits.

    Returns
    -------
    NelsonAalen
        With the variance sum d / Y².

    Raises
    ------
    ConfigError
        When the cause is not a positive code.

    Notes
    -----
    Aalen 1978.  Ties are taken as one jump d / Y, and the variance is that of R's
    ``survfit(..., ctype = 1)$std.chaz``.

    Examples
    --------
    >>> nelson_aalen(Outcome(time=[1, 2, 2, 4], event=[1, 1, 0, 1])).cumulative_hazard.round(4)
    array([0.25  , 0.5833, 1.5833])
    """
    if cause is not None and cause < 1:
        raise ConfigError(f"cause {cause} is no event; expected a code of 1 or more")
    z = normal_quantile(level)
    table = risk_table(outcome)
    n_event = table.n_event if cause is None else table.count(outcome.event == cause)
    at_risk = np.maximum(table.n_risk, 1).astype(np.float64)
    hazard = np.cumsum(n_event / at_risk)
    std_error = np.sqrt(np.cumsum(n_event / at_risk**2))
    width = np.divide(z * std_error, hazard, out=np.zeros_like(hazard), where=hazard > 0.0)
    return NelsonAalen(
        times=table.times,
        n_risk=table.n_risk,
        n_event=n_event,
        cumulative_hazard=hazard,
        std_error=std_error,
        lower=hazard * np.exp(-width),
        upper=hazard * np.exp(width),
        level=level,
    )
