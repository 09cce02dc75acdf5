"""Surveillance policies side by side: scans, metastases found and delay, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import ConfigError, NotEstimable
from metastra.evaluation.estimate import LEVEL, Estimate
from metastra.evaluation.patients import Patients
from metastra.evaluation.risk_groups import Grouping
from metastra.evaluation.sensitivity import midpoint
from metastra.evaluation.surveillance import GroupYield, Policy, incidence, policy_yield
from metastra.stats.resampling import bootstrap_weights
from metastra.survival.outcome import Outcome

__all__ = ["PolicySettings", "compare_policies"]

_PER = 1000.0
_MEASURES = (
    "scans",
    "found",
    "missed",
    "scans_per_found",
    "mean_delay",
)
_METHOD = (
    "expected yield of the schedule from the Aalen–Johansen incidence of each risk group; "
    "percentile bootstrap of patients"
)
_LEAST_DONE = 0.9
"""Share of the draws that must give a number."""


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """How policies are compared.

    Parameters
    ----------
    horizon : float
        End of surveillance, in the unit of the outcome.
    sensitivity : float
        Probability that a scan finds a detectable metastasis.
    bootstrap : int
        Draws of patients; 0 for none.
    seed : int
        Of the draws.

    Raises
    ------
    ConfigError
        When a setting is outside its range.
    """

    horizon: float
    sensitivity: float = 1.0
    bootstrap: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.horizon > 0.0:
            raise ConfigError(f"the horizon is {self.horizon:g}; expected a positive time")
        if not 0.0 < self.sensitivity <= 1.0:
            raise ConfigError(f"sensitivity is {self.sensitivity:g}; expected above 0 and up to 1")
        if self.bootstrap != 0 and self.bootstrap < 100:
            raise ConfigError(f"bootstrap={self.bootstrap}; expected 0 (none) or 100 and more")


def compare_policies(
    patients: Patients, grouping: Grouping, policies: Sequence[Policy], settings: PolicySettings
) -> dict[str, Any]:
    """Put policies beside each other on the same patients.

    Parameters
    ----------
    patients : Patients
        Whom; where `last_negative` is given, an onset lies half-way to the detection.
    grouping : Grouping
        Their risk groups.
    policies : sequence of Policy
        The first is what the others are compared with.
    settings : PolicySettings
        Horizon, sensitivity, draws.

    Returns
    -------
    dict
        ``dating``, ``policies`` (for 1,000 patients ``scans``, ``found``, ``missed``;
        ``scans_per_found``, ``mean_delay``; and the same by group) and ``differences`` to the first
        policy, paired on the same draws.

    Raises
    ------
    ConfigError
        When a policy has no schedule for a group that occurs.
    """
    moved, n_moved = midpoint(patients)
    present = [
        (number, name)
        for number, name in enumerate(grouping.names)
        if (grouping.group == number).any()
    ]
    for policy in policies:
        for _, name in present:
            policy.of(name)
    point = _values(moved.outcome, grouping.group, present, policies, settings)
    draws = _draws(moved.outcome, grouping, present, policies, settings)
    events = patients.outcome.n_events(1)

    def estimate(key: tuple[str, str, str]) -> dict[str, Any]:
        values = np.array([one.get(key, np.nan) for one in draws])
        return _estimate(point.get(key), values, patients.n, events, settings)

    rows = []
    for policy in policies:
        groups = [
            {
                "group": name,
                "n": int(np.count_nonzero(grouping.group == number)),
                "scans_at": [t for t in policy.of(name) if t <= settings.horizon],
                **{m: estimate((policy.name, name, m)) for m in _MEASURES},
            }
            for number, name in present
        ]
        whole = {m: estimate((policy.name, "", m)) for m in _MEASURES}
        rows.append({"policy": policy.name, **whole, "groups": groups})
    reference = policies[0].name
    differences = [
        {
            "policy": policy.name,
            "reference": reference,
            **{m: estimate((policy.name, "−", m)) for m in _MEASURES},
        }
        for policy in policies[1:]
    ]
    return {
        "horizon": settings.horizon,
        "time_unit": str(patients.time_unit),
        "sensitivity": settings.sensitivity,
        "n": patients.n,
        "events": events,
        "dating": "midpoint" if patients.last_negative is not None else "as recorded",
        "events_moved": n_moved,
        "cutpoints": list(grouping.cutpoints),
        "exploratory": grouping.exploratory,
        "policies": rows,
        "differences": differences,
    }


_Key = tuple[str, str, str]


def _values(
    outcome: Outcome,
    group: NDArray[np.int64],
    present: Sequence[tuple[int, str]],
    policies: Sequence[Policy],
    settings: PolicySettings,
) -> dict[_Key, float]:
    """Every number of every policy by (policy, group, measure).

    The group is empty for all patients and a minus sign for the difference to the first policy.
    """
    nothing = GroupYield(scans=0.0, onsets=0.0, found=0.0, missed=0.0, delay=0.0)
    total = {policy.name: nothing for policy in policies}
    found: dict[_Key, float] = {}
    for number, name in present:
        mine = group == number
        if not mine.any():
            raise NotEstimable(f"nobody is in group {name!r}")
        part = incidence(outcome.take(mine), settings.horizon)
        for policy in policies:
            got = policy_yield(
                part, policy.of(name), settings.horizon, sensitivity=settings.sensitivity
            )
            found |= _measures(policy.name, name, got)
            total[policy.name] = total[policy.name].plus(got.scaled(float(mine.mean())))
    for policy in policies:
        found |= _measures(policy.name, "", total[policy.name])
    for policy in policies[1:]:
        for measure in _MEASURES:
            pair = [found.get((name, "", measure)) for name in (policy.name, policies[0].name)]
            if pair[0] is not None and pair[1] is not None:
                found[policy.name, "−", measure] = pair[0] - pair[1]
    return found


def _measures(policy: str, group: str, got: GroupYield) -> dict[_Key, float]:
    found = {
        (policy, group, "scans"): _PER * got.scans,
        (policy, group, "found"): _PER * got.found,
        (policy, group, "missed"): _PER * got.missed,
    }
    if got.found > 0.0:
        found[policy, group, "scans_per_found"] = got.scans / got.found
        found[policy, group, "mean_delay"] = got.delay / got.found
    return found


def _draws(
    outcome: Outcome,
    grouping: Grouping,
    present: Sequence[tuple[int, str]],
    policies: Sequence[Policy],
    settings: PolicySettings,
) -> list[dict[_Key, float]]:
    found = []
    if settings.bootstrap:
        sample = bootstrap_weights(outcome.n, replicates=settings.bootstrap, seed=settings.seed)
        for weights in sample:
            index = np.repeat(np.arange(outcome.n), weights.astype(np.int64))
            try:
                found.append(
                    _values(outcome.take(index), grouping.group[index], present, policies, settings)
                )
            except NotEstimable:
                found.append({})
    return found


def _estimate(
    value: float | None,
    values: NDArray[np.float64],
    n: int,
    events: int,
    settings: PolicySettings,
) -> dict[str, Any]:
    reason = None if value is not None else "no metastasis is found"
    lower = upper = None
    finite = values[np.isfinite(values)]
    if value is not None and values.size:
        if finite.size >= _LEAST_DONE * values.size:
            tail = 0.5 * (1.0 - LEVEL)
            lower, upper = (float(end) for end in np.quantile(finite, [tail, 1.0 - tail]))
        else:
            reason = f"{values.size - finite.size} of {values.size} draws give no number"
    return Estimate(
        estimate=value,
        lower=lower,
        upper=upper,
        method=_METHOD,
        n=n,
        events=events,
        horizon=settings.horizon,
        reason=reason,
    ).to_json()
