"""Repeatability: whether a patient keeps risk and risk group when the input is made again.

A rescan, a second block, another stain, a stronger JPEG compression: each is a *condition*, and
every patient has one prediction under each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.evaluation.estimate import LEVEL, Estimate, attempt
from metastra.stats.agreement import IccModel, intraclass_correlation
from metastra.stats.proportions import wilson_interval
from metastra.survival.intervals import t_quantile

__all__ = ["SCHEMA", "Repeated", "repeatability"]

SCHEMA = 1
"""Version of the layout of ``repeatability.json``."""

_Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Repeated:
    """Predictions of the same patients under several conditions; no study ids.

    Parameters
    ----------
    values : ndarray of shape (n, k)
        NaN where a patient was not assessable under a condition.
    conditions : tuple of str
        Names of the columns; the first is the reference.
    cutpoints : tuple of float
        Of the risk groups, ascending; a patient at a cutpoint belongs to the higher group.
    is_risk : bool
        Whether the values are probabilities, which are compared on the logit scale.

    Raises
    ------
    DataError
        When the values do not fit, or a probability is not inside (0, 1).
    ConfigError
        When there are fewer than two conditions, or the cutpoints do not ascend.
    """

    values: _Array = field(repr=False)
    conditions: tuple[str, ...]
    cutpoints: tuple[float, ...] = ()
    is_risk: bool = True

    def __post_init__(self) -> None:
        k = len(self.conditions)
        if k < 2 or len(set(self.conditions)) != k:
            raise ConfigError(f"{k} conditions; expected two or more with names of their own")
        if self.values.ndim != 2 or self.values.shape[1] != k:
            raise DataError(f"values have shape {self.values.shape}; expected (n, {k})")
        cuts = self.cutpoints
        if any(not a < b for a, b in pairwise(cuts)):
            raise ConfigError(f"the cutpoints {list(cuts)} must ascend")
        known = self.values[np.isfinite(self.values)]
        if self.is_risk and ((known <= 0.0) | (known >= 1.0)).any():
            raise DataError("a risk of exactly 0 or 1 or outside has no logit; check the column")

    def __repr__(self) -> str:
        # no values: a traceback must show no patient
        return f"Repeated({self.values.shape[0]} patients, {self.conditions})"

    def on_scale(self) -> _Array:
        """Give the values on the scale on which they are compared.

        Returns
        -------
        ndarray of shape (n, k)
            Logits of risks; scores as they are.
        """
        return np.asarray(logit(self.values)) if self.is_risk else self.values


def repeatability(repeated: Repeated) -> dict[str, Any]:
    """Measure how far predictions agree between conditions.

    Parameters
    ----------
    repeated : Repeated
        Predictions by condition.

    Returns
    -------
    dict
        ``conditions`` (each against the reference: ``icc``, ``bias``, ``limits_of_agreement``,
        ``switch_rate`` and the counts of ``switches``, ``not_assessable``) and ``overall_icc`` of
        the patients with every condition.

    Notes
    -----
    ICC(2,1), absolute agreement, Shrout and Fleiss 1979; limits of agreement Bland and Altman
    1986; switch rate with Wilson's interval.  Patients are the unit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> first = rng.uniform(0.1, 0.9, 40)
    >>> again = np.clip(first + rng.normal(0.0, 0.01, 40), 0.01, 0.99)
    >>> table = Repeated(
    ...     values=np.column_stack([first, again]), conditions=("scan", "rescan"), cutpoints=(0.5,)
    ... )
    >>> found = repeatability(table)["conditions"][0]
    >>> found["icc"]["estimate"] > 0.98, found["switch_rate"]["n"]
    (True, 40)
    """
    scale = repeated.on_scale()
    against = [
        {"condition": name, **_against(repeated, scale, column)}
        for column, name in enumerate(repeated.conditions)
        if column > 0
    ]
    whole = np.isfinite(scale).all(axis=1)
    return {
        "schema": SCHEMA,
        "n": int(scale.shape[0]),
        "reference": repeated.conditions[0],
        "scale": "logit of the risk" if repeated.is_risk else "risk score",
        "cutpoints": list(repeated.cutpoints),
        "not_assessable": {
            name: int(np.count_nonzero(~np.isfinite(scale[:, column])))
            for column, name in enumerate(repeated.conditions)
        },
        "conditions": against,
        "overall_icc": _icc(scale[whole]).to_json(),
    }


def _against(repeated: Repeated, scale: _Array, column: int) -> dict[str, Any]:
    both = np.isfinite(scale[:, 0]) & np.isfinite(scale[:, column])
    pairs = scale[both][:, [0, column]]
    difference = pairs[:, 1] - pairs[:, 0]
    raw = repeated.values[both][:, [0, column]]
    found: dict[str, Any] = {
        "n": int(both.sum()),
        "lost": int(np.count_nonzero(np.isfinite(scale[:, 0]) & ~np.isfinite(scale[:, column]))),
        "icc": _icc(pairs).to_json(),
        "bias": _bias(difference).to_json(),
        "limits_of_agreement": _limits_of_agreement(difference),
        "median_absolute_difference": (
            float(np.median(np.abs(raw[:, 1] - raw[:, 0]))) if both.any() else None
        ),
    }
    groups = np.searchsorted(np.asarray(repeated.cutpoints), raw, side="right")
    return found | _switches(groups, repeated.cutpoints)


def _icc(table: _Array) -> Estimate:
    method = "ICC(2,1), absolute agreement of a single measurement; limits from the F distribution"
    n = int(table.shape[0])

    def make() -> Estimate:
        found = intraclass_correlation(table, model=IccModel.ABSOLUTE, level=LEVEL)
        return Estimate(
            estimate=found.estimate,
            lower=found.lower,
            upper=found.upper,
            method=method,
            n=found.n,
            events=0,
        )

    return attempt(make, method=method, n=n, events=0)


def _bias(difference: _Array) -> Estimate:
    method = "mean difference to the reference; Student's t"
    n = difference.size

    def make() -> Estimate:
        if n < 2:
            raise NotEstimable(f"{n} pairs have no mean difference with an interval")
        mean = float(difference.mean())
        half = t_quantile(LEVEL, n - 1.0) * float(difference.std(ddof=1)) / np.sqrt(n)
        return Estimate(
            estimate=mean, lower=mean - half, upper=mean + half, method=method, n=n, events=0
        )

    return attempt(make, method=method, n=n, events=0)


def _limits_of_agreement(difference: _Array) -> dict[str, float | str | None]:
    """Between which differences 95 % of the patients lie (Bland and Altman 1986)."""
    if difference.size < 2:
        return {"lower": None, "upper": None, "reason": f"{difference.size} pairs"}
    mean, spread = float(difference.mean()), float(difference.std(ddof=1))
    half = t_quantile(LEVEL) * spread
    return {"lower": mean - half, "upper": mean + half}


def _switches(groups: NDArray[np.intp], cutpoints: Sequence[float]) -> dict[str, Any]:
    method = "share of patients in another risk group than under the reference; Wilson's interval"
    n = int(groups.shape[0])
    if not cutpoints:
        reason = "no cutpoint was given"
        nothing = Estimate(
            estimate=None, lower=None, upper=None, method=method, n=n, events=0, reason=reason
        )
        return {"switch_rate": nothing.to_json(), "switches": None}
    moved = groups[:, 1] - groups[:, 0]
    count = int(np.count_nonzero(moved))

    def make() -> Estimate:
        lower, upper = wilson_interval(count, n, level=LEVEL)
        return Estimate(
            estimate=count / n, lower=lower, upper=upper, method=method, n=n, events=count
        )

    table = np.zeros((len(cutpoints) + 1, len(cutpoints) + 1), dtype=np.int64)
    np.add.at(table, (groups[:, 0], groups[:, 1]), 1)
    return {
        "switch_rate": attempt(make, method=method, n=n, events=count).to_json(),
        "switches": {
            "up": int(np.count_nonzero(moved > 0)),
            "down": int(np.count_nonzero(moved < 0)),
            "table": table.tolist(),
        },
    }
