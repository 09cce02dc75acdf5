"""Which difference between risk groups a number of events can show, in closed form."""

from __future__ import annotations

import math

from scipy.special import ndtri

from metastra.errors import ConfigError, NotEstimable

__all__ = ["detectable_hazard_ratio"]


def detectable_hazard_ratio(
    n_events: float, high_risk_share: float, *, power: float = 0.8, significance: float = 0.05
) -> float:
    """Find the smallest hazard ratio between two groups that a study would probably detect.

    Parameters
    ----------
    n_events : float
        Events in both groups together.
    high_risk_share : float
        Share of patients in the high-risk group.
    power : float
        Probability of a two-sided p-value below `significance`.
    significance : float
        Of the two-sided test.

    Returns
    -------
    float
        exp((z_α + z_β) / √(d q (1 − q))).

    Raises
    ------
    ConfigError
        When the share, the power or the significance is outside (0, 1).
    NotEstimable
        Without events.

    Notes
    -----
    Schoenfeld, Biometrics 1983;39:499–503.  Large-sample: with few events and large ratios it is
    a rough guide.

    Examples
    --------
    >>> [round(detectable_hazard_ratio(d, 0.3), 1) for d in (12, 18, 24)]
    [5.8, 4.2, 3.5]
    """
    stated = {"high_risk_share": high_risk_share, "power": power, "significance": significance}
    for name, value in stated.items():
        if not 0 < value < 1:
            raise ConfigError(f"{name}={value}; expected a number between 0 and 1")
    if n_events <= 0:
        raise NotEstimable("there is no event")
    both = float(ndtri(1 - significance / 2) + ndtri(power))
    return math.exp(both / math.sqrt(n_events * high_risk_share * (1 - high_risk_share)))
