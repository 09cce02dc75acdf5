"""What a surveillance policy finds and costs, computed from observed incidences and scan dates.

A *policy* gives each risk group its dates of scans.  A metastasis becomes detectable at some time
and is found by a later scan; until then it waits.  The time at which it becomes detectable is taken
from the data (see `onsets`), the rest is arithmetic: no patient is simulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.outcome import Outcome

__all__ = ["GroupYield", "Incidence", "Policy", "incidence", "policy_yield"]

_Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Dates of scans by risk group.

    Parameters
    ----------
    name : str
        For people.
    scans : mapping of str to tuple of float
        Times of the scans for each risk group, in the unit of the outcome, ascending; a policy
        with the one group ``"all"`` is the same for everybody.

    Raises
    ------
    ConfigError
        When a schedule is empty, not positive or does not ascend.

    Examples
    --------
    >>> Policy(name="yearly", scans={"all": (12.0, 24.0)}).of("high")
    (12.0, 24.0)
    """

    name: str
    scans: Mapping[str, tuple[float, ...]]

    def __post_init__(self) -> None:
        if not self.scans:
            raise ConfigError(f"policy {self.name!r} has no schedule")
        for group, times in self.scans.items():
            if not times or times[0] <= 0.0 or any(not a < b for a, b in pairwise(times)):
                raise ConfigError(
                    f"policy {self.name!r}, group {group!r}: the scans {list(times)} must be "
                    "positive and ascend"
                )

    def of(self, group: str) -> tuple[float, ...]:
        """Give the schedule of a risk group.

        Parameters
        ----------
        group : str
            Its name.

        Returns
        -------
        tuple of float
            Times of its scans.

        Raises
        ------
        ConfigError
            When the policy says nothing about this group.
        """
        times = self.scans.get(group, self.scans.get("all"))
        if times is None:
            known = ", ".join(self.scans)
            raise ConfigError(f"policy {self.name!r} has no scans for {group!r} (it has {known})")
        return times


@dataclass(frozen=True, kw_only=True, eq=False)
class Incidence:
    """How a risk group fares: onsets of the event and who is still without any event.

    Parameters
    ----------
    onset : ndarray of shape (m,)
        Distinct times at which metastases become detectable.
    share : ndarray of shape (m,)
        Share of the group whose onset lies there (steps of the Aalen–Johansen incidence).
    time, free : ndarray of shape (k,)
        Share of the group alive and without the event after each time; 1 before the first.
    """

    onset: _Array
    share: _Array
    time: _Array = field(repr=False)
    free: _Array = field(repr=False)

    def free_at(self, times: _Array) -> _Array:
        """Share alive and without the event just after each time.

        Parameters
        ----------
        times : ndarray of float
            In the unit of the outcome.

        Returns
        -------
        ndarray of float
            Between 0 and 1.
        """
        position = np.searchsorted(self.time, times, side="right") - 1
        return np.where(position < 0, 1.0, self.free[np.maximum(position, 0)])


@dataclass(frozen=True, kw_only=True)
class GroupYield:
    """What a schedule finds and costs in one group, per patient of the group.

    Parameters
    ----------
    scans : float
        Expected number of scans.
    onsets : float
        Share whose metastasis becomes detectable by the last follow-up considered.
    found : float
        Share whose metastasis a scan finds.
    missed : float
        Share whose metastasis no scan of the schedule finds: it shows itself, or not.
    delay : float
        Sum over the found ones of the time from onset to the scan that finds it.
    """

    scans: float
    onsets: float
    found: float
    missed: float
    delay: float

    def scaled(self, weight: float) -> GroupYield:
        """Count the group for a share of all patients.

        Parameters
        ----------
        weight : float
            The share.

        Returns
        -------
        GroupYield
            Every number times the weight.
        """
        return GroupYield(
            scans=self.scans * weight,
            onsets=self.onsets * weight,
            found=self.found * weight,
            missed=self.missed * weight,
            delay=self.delay * weight,
        )

    def plus(self, other: GroupYield) -> GroupYield:
        """Add another group's numbers.

        Parameters
        ----------
        other : GroupYield
            Scaled to the same whole.

        Returns
        -------
        GroupYield
            Of both.
        """
        return GroupYield(
            scans=self.scans + other.scans,
            onsets=self.onsets + other.onsets,
            found=self.found + other.found,
            missed=self.missed + other.missed,
            delay=self.delay + other.delay,
        )


def incidence(outcome: Outcome, horizon: float) -> Incidence:
    """Estimate onsets and event-free survival of a group by a horizon.

    Parameters
    ----------
    outcome : Outcome
        Times of onset of the event of interest (code 1), of competing events and of censoring.
    horizon : float
        Onsets after it are not looked at.

    Returns
    -------
    Incidence
        Of the group.

    Raises
    ------
    NotEstimable
        When the group is followed up to less than the horizon.
    """
    last = float(outcome.time.max())
    if last < horizon:
        raise NotEstimable(f"follow-up of the group ends at {last:g}, before {horizon:g}")
    survival = kaplan_meier(outcome.any_event())
    onset, share = np.empty(0), np.empty(0)
    if outcome.n_events(1):
        curve = aalen_johansen(outcome, causes=(1,))[1]
        steps = np.diff(np.concatenate([[0.0], curve.incidence]))
        chosen = (steps > 0.0) & (curve.times <= horizon)
        onset, share = curve.times[chosen], steps[chosen]
    return Incidence(onset=onset, share=share, time=survival.times, free=survival.survival)


def policy_yield(
    group: Incidence, scans: tuple[float, ...], horizon: float, *, sensitivity: float = 1.0
) -> GroupYield:
    """Compute what a schedule finds and costs.

    Parameters
    ----------
    group : Incidence
        Of the group.
    scans : tuple of float
        Dates of its scans; those after the horizon do not take place.
    horizon : float
        End of surveillance.
    sensitivity : float
        Probability that a scan finds a detectable metastasis, each time anew.

    Returns
    -------
    GroupYield
        Per patient of the group.

    Raises
    ------
    ConfigError
        When the sensitivity is not inside (0, 1].

    Notes
    -----
    Scans are made in patients alive and not yet found.  With onset u and the scans s₁ < s₂ < …
    after it, scan number j after the onset finds the metastasis with probability
    p (1 - p)^(j-1).  A patient with an undetected metastasis is taken to stay alive and without
    symptoms until it is found: delays are upper, and scans slightly too many.

    Examples
    --------
    Everybody's metastasis starts at 5; scans at 6 and 12 that see half of them.

    >>> y = Outcome(time=[5.0, 5.0], event=[1, 1])
    >>> group = Incidence(
    ...     onset=np.array([5.0]),
    ...     share=np.array([1.0]),
    ...     time=np.array([5.0]),
    ...     free=np.array([0.0]),
    ... )
    >>> result = policy_yield(group, (6.0, 12.0), 12.0, sensitivity=0.5)
    >>> result.found, result.missed, result.scans, result.delay
    (0.75, 0.25, 1.5, 2.25)
    """
    if not 0.0 < sensitivity <= 1.0:
        raise ConfigError(f"sensitivity is {sensitivity:g}; expected above 0 and up to 1")
    dates = np.array([time for time in scans if time <= horizon])
    chosen = group.onset <= horizon
    onset, share = group.onset[chosen], group.share[chosen]
    still = float(np.sum(group.free_at(dates)))
    first = np.searchsorted(dates, onset, side="left")
    # probability that the j-th scan after the onset takes place, and that it finds
    made = found = delay = 0.0
    for step in range(dates.size):
        position = first + step
        reached = position < dates.size
        if not reached.any():
            break
        waiting = share[reached] * (1.0 - sensitivity) ** step
        made += float(waiting.sum())
        found += float(waiting.sum()) * sensitivity
        delay += float(np.sum(waiting * sensitivity * (dates[position[reached]] - onset[reached])))
    onsets = float(share.sum())
    return GroupYield(
        scans=still + made, onsets=onsets, found=found, missed=max(onsets - found, 0.0), delay=delay
    )
