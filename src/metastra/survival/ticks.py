"""Round times for an axis and for the table of numbers at risk under it."""

from __future__ import annotations

import numpy as np

from metastra.units import TimeUnit

__all__ = ["nice_ticks"]

_STEPS: dict[TimeUnit, tuple[float, ...]] = {
    TimeUnit.DAYS: (1, 2, 5, 7, 14, 30, 60, 90, 180, 365, 730, 1825, 3650),
    TimeUnit.MONTHS: (1, 2, 3, 6, 12, 24, 36, 60, 120, 240),
    TimeUnit.YEARS: (0.25, 0.5, 1, 2, 5, 10, 20),
}
_MOST_TICKS = 9


def nice_ticks(last: float, time_unit: TimeUnit | str) -> tuple[float, ...]:
    """Choose round times for an axis.

    Parameters
    ----------
    last : float
        The longest follow-up, in `time_unit`.
    time_unit : TimeUnit or str
        Months go by quarters and years, years by halves and fives.

    Returns
    -------
    tuple of float
        From 0, at most nine, none past `last`.

    Examples
    --------
    >>> nice_ticks(61.0, "months")
    (0.0, 12.0, 24.0, 36.0, 48.0, 60.0)
    """
    steps = _STEPS[TimeUnit(time_unit)]
    fitting = [step for step in steps if last / step <= _MOST_TICKS - 1]
    step = fitting[0] if fitting else steps[-1] * np.ceil(last / steps[-1] / (_MOST_TICKS - 1))
    return tuple(float(tick) for tick in np.arange(0.0, last * (1.0 + 1e-12) + 1e-12, step))
