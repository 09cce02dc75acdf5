"""One set of bootstrap draws for every measure, so that differences are paired."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from metastra.errors import NotEstimable
from metastra.evaluation.estimate import LEVEL, Estimate, Limits
from metastra.evaluation.patients import Patients, Settings
from metastra.stats.resampling import Bootstrap, bootstrap
from metastra.survival.horizon import view_at
from metastra.survival.incidence_statistic import IncidenceStatistic
from metastra.survival.net_benefit import NetBenefitStatistic
from metastra.survival.panel import ValidationPanel

__all__ = [
    "FEWEST_FOR_DRAWS",
    "FEW_EVENTS",
    "Draws",
    "bootstrap_only",
    "draw",
    "reachable",
    "with_interval",
]

FEW_EVENTS = 100
"""Below this many events an interval comes from its formula with Student's t on the events, which
then covers better than the percentile bootstrap (``docs/records``)."""

FEWEST_FOR_DRAWS = 20
"""Below this many events there is no bootstrap interval at all."""

_Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Draws:
    """Replicates of named measures.

    Parameters
    ----------
    sample : Bootstrap or None
        None where no draws were asked for, or none are possible.
    names : tuple of str
        Of the measures, in the order of the replicates.
    reason : str
        Why there are no draws.
    """

    sample: Bootstrap | None
    names: tuple[str, ...] = ()
    reason: str = ""

    def percentile(self, name: str) -> Limits:
        """Percentile limits of a measure.

        Parameters
        ----------
        name : str
            For instance ``"model auc@24"``.

        Returns
        -------
        lower, upper : float
            At the evaluation's level.

        Raises
        ------
        NotEstimable
            Without draws, or when too many failed.
        """
        if self.sample is None or name not in self.names:
            raise NotEstimable(self.reason or f"{name} was not drawn")
        return self.sample.percentile(self.names.index(name), level=LEVEL)

    def beside(self, name: str) -> dict[str, Any]:
        """Give the percentile limits as they stand beside the interval that is shown.

        Parameters
        ----------
        name : str
            Of the measure.

        Returns
        -------
        dict
            ``lower``, ``upper`` and ``draws``; without limits their ``reason``.
        """
        try:
            lower, upper = self.percentile(name)
        except NotEstimable as error:
            return {"lower": None, "upper": None, "draws": 0, "reason": error.reason}
        count = 0 if self.sample is None else self.sample.n_replicates
        return {"lower": lower, "upper": upper, "draws": count}


def reachable(patients: Patients) -> list[int]:
    """Find the horizons that follow-up reaches.

    Parameters
    ----------
    patients : Patients
        Whom.

    Returns
    -------
    list of int
        Positions of horizons at which censoring can be weighted away.
    """
    found = []
    for position, horizon in enumerate(patients.horizons):
        try:
            view_at(patients.outcome, horizon)
        except NotEstimable:
            continue
        found.append(position)
    return found


def draw(
    patients: Patients,
    settings: Settings,
    groups: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Draws:
    """Draw patients with replacement and compute every measure of both models on each draw.

    Parameters
    ----------
    patients : Patients
        Whom.
    settings : Settings
        Number of draws and seed.
    groups : mapping of str to ndarray of shape (n,), optional
        Who belongs to each risk group, by its name.

    Returns
    -------
    Draws
        Of ``model`` and, where there is one, ``baseline`` and ``delta``: ``harrell``, ``uno``,
        ``auc@T``, ``oe_ratio@T``, ``slope@T``, ``brier@T``, ``ipa@T``, ``intercept@T``,
        ``expected@T``, ``observed@T``, ``integrated_brier`` and ``net_benefit@T at p``;
        ``treat all@T at p``; and ``risk of NAME`` of each risk group by the last horizon.
    """
    if settings.bootstrap == 0:
        return Draws(sample=None, reason="no bootstrap was asked for")
    if patients.outcome.entry is not None:
        return Draws(sample=None, reason="no bootstrap under delayed entry (left truncation)")
    kept = reachable(patients)
    if not kept:
        return Draws(sample=None, reason="follow-up reaches none of the horizons")
    statistic = _Statistic(patients, settings, kept, groups or {})
    try:
        sample = bootstrap(statistic, patients.n, replicates=settings.bootstrap, seed=settings.seed)
    except NotEstimable as error:
        return Draws(sample=None, reason=error.reason)
    return Draws(sample=sample, names=statistic.names)


def bootstrap_only(_df: float) -> Limits:
    """Stand in for the formula of a number that has none.

    Parameters
    ----------
    _df : float
        Not used.

    Returns
    -------
    lower, upper : float
        Never.

    Raises
    ------
    NotEstimable
        Always.
    """
    raise NotEstimable("this number has an interval from the bootstrap only")


def with_interval(
    value: float,
    analytic: Callable[[float], Limits],
    *,
    draws: Draws,
    name: str,
    estimator: str,
    analytic_words: str,
    n: int,
    events: int,
    horizon: float | None = None,
    by_events: bool = True,
) -> Estimate:
    """Put an interval beside a number: from the draws, or with few events from its formula.

    Parameters
    ----------
    value : float
        The number.
    analytic : callable
        Gives the limits of the formula from the degrees of freedom of its standard error; may
        raise `NotEstimable`.
    draws : Draws
        The replicates.
    name : str
        Of the measure among the draws.
    estimator, analytic_words : str
        What the method is called.
    n, events : int
        What the number rests on.
    horizon : float, optional
        Where it has one.
    by_events : bool
        Whether the standard error of the formula is itself estimated from the events, so that
        Student's t takes the place of the normal distribution.

    Returns
    -------
    Estimate
        Whose method says which interval was taken, with the percentile limits beside it.
    """

    def from_formula() -> tuple[Limits, str]:
        if not by_events:
            return analytic(np.inf), analytic_words
        words = f"{analytic_words}, Student's t on {events - 1} degrees of freedom"
        return analytic(events - 1.0), words

    def from_draws() -> tuple[Limits, str]:
        if draws.sample is not None and events < FEWEST_FOR_DRAWS:
            raise NotEstimable(f"{events} events are too few for a bootstrap")
        found = draws.percentile(name)
        count = draws.sample.n_replicates if draws.sample is not None else 0
        return found, f"percentile bootstrap of patients, {count} draws"

    ways = (from_formula, from_draws) if events < FEW_EVENTS else (from_draws, from_formula)
    limits: Limits | None = None
    method, reason = estimator, None
    for way in ways:
        try:
            limits, words = way()
        except NotEstimable as error:
            reason = reason or error.reason
            continue
        method, reason = f"{estimator}; {words}", None
        break
    lower, upper = limits if limits is not None else (None, None)
    return Estimate(
        estimate=value,
        lower=lower,
        upper=upper,
        method=method,
        n=n,
        events=events,
        horizon=horizon,
        reason=reason,
        bootstrap=draws.beside(name),
    )


class _Statistic:
    """Every measure as one function of case weights."""

    def __init__(
        self,
        patients: Patients,
        settings: Settings,
        kept: list[int],
        groups: Mapping[str, NDArray[np.bool_]],
    ) -> None:
        outcome, grid = patients.outcome, [patients.horizons[i] for i in kept]
        self._grid = grid
        self._span = np.asarray(grid)
        self._models: dict[str, tuple[ValidationPanel, _Array | None]] = {}
        order = patients.order()
        # where there is only a score, its ranks stand in for risks: the AUC sees their order alone
        stand_in = rankdata(order, method="dense") / (patients.n + 1.0)
        risks = patients.risks
        columns = stand_in[:, None].repeat(len(grid), 1) if risks is None else risks[:, kept]
        panel = ValidationPanel(outcome, order, columns, grid)
        self._models["model"] = (panel, None if risks is None else columns)
        if patients.baseline is not None:
            base = patients.baseline[:, kept]
            self._models["baseline"] = (ValidationPanel(outcome, base[:, -1], base, grid), base)
        given = {
            "model": None if risks is None else columns,
            "baseline": None if patients.baseline is None else patients.baseline[:, kept],
        }
        self._benefit: list[tuple[float, NetBenefitStatistic]] = []
        named = {name: part for name, part in given.items() if part is not None}
        if named:
            for i, horizon in enumerate(grid):
                at: dict[str, ArrayLike] = {name: part[:, i] for name, part in named.items()}
                part = NetBenefitStatistic(outcome, at, horizon, settings.thresholds)
                self._benefit.append((horizon, part))
        last = patients.last_horizon
        self._groups: dict[str, tuple[NDArray[np.bool_], IncidenceStatistic]] = {}
        if grid[-1] == last:
            for name, mine in groups.items():
                if mine.any():
                    risk_of = IncidenceStatistic(outcome.take(mine), last)
                    self._groups[f"risk of {name}"] = (mine, risk_of)
        self.names = tuple(self._values(np.ones(patients.n)))

    def __call__(self, weights: _Array) -> _Array:
        return np.fromiter(self._values(weights).values(), dtype=np.float64)

    def _values(self, weights: _Array) -> dict[str, float]:
        values: dict[str, float] = {}
        for name, (panel, risks) in self._models.items():
            measures = dict(zip(panel.names, panel(weights).tolist(), strict=True))
            if risks is not None:
                mean = weights @ risks / weights.sum()
                for horizon, expected in zip(self._grid, mean.tolist(), strict=True):
                    measures[f"expected@{horizon:g}"] = expected
                    measures[f"observed@{horizon:g}"] = measures[f"oe_ratio@{horizon:g}"] * expected
                if len(self._grid) > 1:
                    brier = [measures[f"brier@{horizon:g}"] for horizon in self._grid]
                    area = np.trapezoid(brier, self._span)
                    measures["integrated_brier"] = float(area / np.ptp(self._span))
            values |= {f"{name} {measure}": value for measure, value in measures.items()}
        for name, (mine, incidence) in self._groups.items():
            values[name] = incidence(weights[mine])
        for horizon, part in self._benefit:
            for label, value in zip(part.names, part(weights).tolist(), strict=True):
                who, _, threshold = label.rpartition(" at ")
                if who == "treat all":
                    values[f"treat all@{horizon:g} at {threshold}"] = value
                else:
                    values[f"{who} net_benefit@{horizon:g} at {threshold}"] = value
        if "baseline" in self._models:
            deltas = {
                "delta" + key.removeprefix("model"): value
                - values["baseline" + key.removeprefix("model")]
                for key, value in values.items()
                if key.startswith("model ") and "baseline" + key.removeprefix("model") in values
            }
            values |= deltas
        return values
