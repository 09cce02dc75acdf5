"""A risk layer: cause-specific Cox models of some columns, shrunk and standardised.

Everything is learned inside the patients that it is fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.contract import Cutpoints
from metastra.bundle.linear import CAUSES, LinearModel
from metastra.bundle.parts import PenaltyChoice
from metastra.cohort.endpoint_enough import FEWEST_FOR_A_MODEL
from metastra.errors import NotEstimable
from metastra.survival.cox import fit_cox
from metastra.survival.outcome import Outcome
from metastra.survival.step_function import StepFunction
from metastra.training.joining import join
from metastra.training.penalty import ChosenPenalty, choose_penalty, standardise
from metastra.units import TimeUnit, to_days

__all__ = ["FEWEST_EVENTS", "LayerFit", "RiskTask", "fit_layer"]

_Array = NDArray[np.float64]
_Mask = NDArray[np.bool_]

FEWEST_EVENTS = FEWEST_FOR_A_MODEL
"""With fewer events of interest no model is fitted; with fewer competing ones their hazard has no
coefficients."""

_JOINED = "joined with the slide score by two coefficients, both scores cross-fitted"
_NO_WEIGHT = "the score has no weight: it pointed the wrong way in patients it had not seen"

_GROUP_NAMES = {1: ("low", "high"), 2: ("low", "intermediate", "high")}


@dataclass(frozen=True, kw_only=True)
class RiskTask:
    """What a model shall predict.

    Parameters
    ----------
    horizons : tuple of float
        Ascending, in `time_unit`.
    primary_horizon : float
        Among them; risk groups are cut there.
    time_unit : TimeUnit
        Of the horizons.
    cutpoints : tuple of float
        Declared ones; empty for the thirds of the patients that the model is fitted on.
    """

    horizons: tuple[float, ...]
    primary_horizon: float
    time_unit: TimeUnit
    cutpoints: tuple[float, ...] = ()

    @property
    def days(self) -> list[float]:
        """The horizons in days."""
        return [float(to_days(horizon, self.time_unit)) for horizon in self.horizons]


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerFit:
    """A fitted risk layer with everything that was learned.

    Parameters
    ----------
    model : LinearModel
        The numbers.
    cutpoints : Cutpoints or None
        None where risks of these patients cannot be cut.
    penalties : tuple of PenaltyChoice
        One for each cause.
    outcome : Outcome
        Of the patients it was fitted on, in days.
    n_incomplete : int
        Patients left out because a column is missing.
    """

    model: LinearModel
    cutpoints: Cutpoints | None
    penalties: tuple[PenaltyChoice, ...]
    outcome: Outcome
    n_incomplete: int

    @property
    def events_per_column(self) -> float:
        """Events of interest for each column of the model."""
        return self.outcome.n_events(1) / max(self.model.centre.size, 1)


def fit_layer(
    columns: _Array,
    outcome: Outcome,
    rows: _Mask,
    groups: NDArray[np.int64],
    task: RiskTask,
    *,
    score: int | None = None,
) -> LayerFit:
    """Fit a risk layer on some patients; the others are not looked at.

    Parameters
    ----------
    columns : ndarray of shape (n, p)
        Patients with a missing one are left out.
    outcome : Outcome
        Of the n patients, in days.
    rows : ndarray of shape (n,), bool
        The patients to fit on.
    groups : ndarray of shape (n,), int64
        Parts for the cross-validation of the penalty, -1 for none; only `rows` matter.
    task : RiskTask
        Horizons and cut-points.
    score : int, optional
        Column of a score that is higher where the event is nearer.  Its coefficient for the event
        is not let below 0 (Breiman 1996, Stacked regressions): a cross-fitted score without
        information points the wrong way as often as not.

    Returns
    -------
    LayerFit
        Standardisation, penalty, coefficients, baselines and cut-points are all learned from
        `rows`.

    Raises
    ------
    NotEstimable
        With fewer than ten events of interest, or a horizon past the follow-up.
    """
    complete = np.isfinite(columns).all(axis=1)
    used = rows & complete
    mine = outcome.take(used)
    events = mine.n_events(1)
    if events < FEWEST_EVENTS:
        raise NotEstimable(
            f"no model: {events} events among {mine.n} patients to fit on; at least "
            f"{FEWEST_EVENTS} are needed"
        )
    last = float(mine.time.max())
    if task.days[-1] > last:
        raise NotEstimable(
            f"no model: the horizon {task.horizons[-1]:g} {task.time_unit} lies past the last "
            f"follow-up at {last:g} days of the patients to fit on"
        )
    centre, scale = standardise(columns[used])
    coef, curves, penalties = _causes(mine, columns[used], groups[used], (centre, scale), score)
    times, jumps = _on_one_grid(curves)
    model = LinearModel(
        centre=centre,
        scale=scale,
        coef=coef,
        times_days=times,
        jumps=jumps,
        last_time_days=last,
    )
    return LayerFit(
        model=model,
        cutpoints=_cutpoints(model, columns[used], task),
        penalties=penalties,
        outcome=mine,
        n_incomplete=int((rows & ~complete).sum()),
    )


def _causes(
    outcome: Outcome,
    columns: _Array,
    groups: NDArray[np.int64],
    standard: tuple[_Array, _Array],
    score: int | None,
) -> tuple[dict[int, _Array], dict[int, StepFunction], tuple[PenaltyChoice, ...]]:
    """Fit each cause, the other censored."""
    centre, scale = standard
    x = (columns - centre) / scale
    coef: dict[int, _Array] = {}
    curves: dict[int, StepFunction] = {}
    penalties = []
    for cause in (code for code in CAUSES if code in outcome.causes):
        own = outcome.only(cause)
        events = own.n_events()
        if events < FEWEST_EVENTS:
            curves[cause] = fit_cox(own, np.empty((own.n, 0))).baseline()
            coef[cause] = np.zeros(x.shape[1])
            ridge, l1, gain = 0.0, 0.0, None
            why = f"no coefficients: {events} events are fewer than {FEWEST_EVENTS}"
        else:
            coef[cause], curves[cause], chosen = _one_cause(
                own, x, groups, score if cause == 1 else None
            )
            ridge, l1, gain, why = chosen.ridge, chosen.l1, chosen.gain, chosen.why
        penalties.append(
            PenaltyChoice(
                cause="event" if cause == 1 else "competing",
                events=events,
                ridge=ridge,
                l1=l1,
                cross_validated_gain=gain,
                chosen_by=why,
            )
        )
    return coef, curves, tuple(penalties)


def _one_cause(
    outcome: Outcome, x: _Array, groups: NDArray[np.int64], score: int | None
) -> tuple[_Array, StepFunction, ChosenPenalty]:
    """Fit one cause by standardised columns, with a bound on the coefficient of a score."""
    if score is not None and x.shape[1] > 1:
        joined = join(outcome, x, groups, score)
        if joined.weights[1] > 0.0:
            why = f"{joined.chosen.why}; {_JOINED}"
            return joined.coef, joined.baseline, replace(joined.chosen, why=why)
        return _without(outcome, x, groups, score)
    chosen = choose_penalty(outcome, x, groups)
    fit = fit_cox(outcome, x, ridge=chosen.ridge, l1=chosen.l1)
    if score is not None and fit.coef[score] < 0.0:
        return _without(outcome, x, groups, score)
    return fit.coef, fit.baseline(), chosen


def _without(
    outcome: Outcome, x: _Array, groups: NDArray[np.int64], score: int
) -> tuple[_Array, StepFunction, ChosenPenalty]:
    """Fit one cause without a column, whose coefficient is 0.

    With one bound in a convex problem this is the bounded maximum: where the free one breaks the
    bound, the bounded one lies on it.
    """
    others = np.delete(np.arange(x.shape[1]), score)
    if others.size:
        chosen = choose_penalty(outcome, x[:, others], groups)
        chosen = replace(chosen, why=f"{chosen.why}; {_NO_WEIGHT}")
    else:
        chosen = ChosenPenalty(ridge=0.0, l1=0.0, gain=None, why=_NO_WEIGHT)
    fit = fit_cox(outcome, x[:, others], ridge=chosen.ridge, l1=chosen.l1)
    coef = np.zeros(x.shape[1])
    coef[others] = fit.coef
    return coef, fit.baseline(), chosen


def _on_one_grid(curves: Mapping[int, StepFunction]) -> tuple[_Array, dict[int, _Array]]:
    grid = np.unique(np.concatenate([curve.times for curve in curves.values()]))
    jumps = {
        cause: np.maximum(np.diff(curve(grid, extend=True), prepend=0.0), 0.0)
        for cause, curve in curves.items()
    }
    return grid, jumps


def _cutpoints(model: LinearModel, columns: _Array, task: RiskTask) -> Cutpoints | None:
    declared = task.cutpoints
    source = "declared in the study file"
    if not declared:
        at = float(to_days(task.primary_horizon, task.time_unit))
        risks = model.risks(columns, [at])[:, 0]
        thirds = [round(float(cut), 4) for cut in np.quantile(risks, [1.0 / 3.0, 2.0 / 3.0])]
        declared = tuple(sorted({cut for cut in thirds if 0.0 < cut < 1.0}))
        source = "thirds of the risks of the patients that the model was fitted on"
    if not declared:
        return None
    names: Sequence[str] = _GROUP_NAMES.get(
        len(declared), tuple(f"group {i + 1}" for i in range(len(declared) + 1))
    )
    return Cutpoints(
        horizon=task.primary_horizon, values=declared, names=tuple(names), source=source
    )
