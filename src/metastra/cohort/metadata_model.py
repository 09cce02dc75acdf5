"""A model of metadata alone: what it predicts is how the data were collected, not the disease."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.errors import NotEstimable, Problem, Where
from metastra.survival.concordance import Concordance, concordance
from metastra.survival.cox import fit_cox
from metastra.survival.outcome import Outcome

__all__ = ["MetadataModel", "fit_metadata_model", "metadata_problem"]

_FOLDS = 5
_MIN_EVENTS = 10
_ALPHA = 0.05
_PERMUTATIONS = 99
_ENOUGH_AS_GOOD = 10
_MIN_LEVEL = 5
"""Levels with fewer patients are pooled: alone they cannot be told from chance."""


@dataclass(frozen=True, kw_only=True)
class MetadataModel:
    """How well metadata alone order the patients.

    Parameters
    ----------
    n, events : int
        Patients and events of interest.
    concordance : float or None
        Harrell's C of out-of-fold predictions, pairs within a fold only; None when it cannot be
        estimated.
    lower, upper : float or None
        95 % interval, from the logit scale of the infinitesimal jack-knife; that the model was
        fitted is not in it, so the test below decides and not the interval.
    p : float or None
        Permutation test that the metadata have nothing to do with the outcome.
    columns : tuple of str
        What the model was given.
    alone : dict of str to (float or None)
        The same concordance with each column by itself.
    reason : str
        Why there is no number; empty when there is one.
    """

    n: int
    events: int
    concordance: float | None
    lower: float | None
    upper: float | None
    p: float | None
    columns: tuple[str, ...]
    alone: dict[str, float | None]
    reason: str = ""


def fit_metadata_model(
    outcome: Outcome, metadata: Mapping[str, Sequence[str | float | None]], *, seed: int
) -> MetadataModel:
    """Cross-validate a ridge Cox model of metadata alone.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    metadata : mapping of str to sequence of length n
        Numbers are standardised, missing ones set to the mean; text becomes indicators, levels of
        fewer than five patients pooled; missing text is a level of its own.
    seed : int
        Of the folds.

    Returns
    -------
    MetadataModel
        With the concordance of out-of-fold predictions.

    Notes
    -----
    Five folds, stratified by event; ridge penalty equal to the number of columns after coding,
    fixed in advance and not chosen on the result.  Competing events count as censored: the
    question is whether metadata order the events, not how high the risk is.

    The test permutes the rows of the metadata and repeats the whole cross-validation, at most 99
    times; it stops at the tenth permutation that does as well (Besag and Clifford, Biometrika
    1991), which keeps the p-value valid and a clean cohort cheap.
    """
    blocks = {name: _coded(values) for name, values in metadata.items()}
    blocks = {name: block for name, block in blocks.items() if block.shape[1]}
    events = outcome.n_events(1)
    empty = MetadataModel(
        n=outcome.n,
        events=events,
        concordance=None,
        lower=None,
        upper=None,
        p=None,
        columns=tuple(blocks),
        alone={},
    )
    if not blocks:
        return _without(empty, "no metadata column varies")
    if events < _MIN_EVENTS:
        return _without(empty, f"{events} events; at least {_MIN_EVENTS} are needed")
    single = outcome.only(1)
    folds = _folds(single.event, seed)
    lower: float | None = None
    upper: float | None = None
    try:
        whole = _out_of_fold(single, np.hstack(list(blocks.values())), folds, std_error=True)
    except NotEstimable as error:
        return _without(empty, error.reason)
    # a perfect order has no interval on the logit scale; the permutation test does not need one
    with contextlib.suppress(NotEstimable):
        lower, upper = whole.interval(0.95)
    alone: dict[str, float | None] = {}
    for name, block in blocks.items():
        try:
            alone[name] = _out_of_fold(single, block, folds).estimate
        except NotEstimable:
            alone[name] = None
    return MetadataModel(
        n=outcome.n,
        events=events,
        concordance=whole.estimate,
        lower=lower,
        upper=upper,
        p=_permutation_p(single, np.hstack(list(blocks.values())), folds, whole.estimate, seed),
        columns=tuple(blocks),
        alone=alone,
    )


def metadata_problem(model: MetadataModel) -> Problem | None:
    """Judge a model of metadata.

    Parameters
    ----------
    model : MetadataModel
        As it was fitted.

    Returns
    -------
    Problem or None
        ``LK006`` when the permutation test rejects at 5 %.
    """
    if model.concordance is None or model.p is None or model.p > _ALPHA:
        return None
    known = model.lower is not None and model.upper is not None
    interval = f"{model.lower:.3f}–{model.upper:.3f}; " if known else ""
    named = sorted(model.alone.items(), key=lambda item: -(item[1] or 0.0))
    listed = ", ".join(f"{name} {value:.2f}" for name, value in named if value is not None)
    return problem(
        "LK006",
        f"metadata alone reach a concordance of {model.concordance:.3f} "
        f"({interval}n {model.n}, {model.events} events; permutation p {model.p:.2g}); "
        f"each column by itself: {listed}",
        where=Where(column=", ".join(model.columns)),
    )


def _without(model: MetadataModel, reason: str) -> MetadataModel:
    return MetadataModel(**{**model.__dict__, "reason": reason})


def _coded(values: Sequence[str | float | None]) -> NDArray[np.float64]:
    """Turn a column into standardised numbers or indicators; shape (n, k), k may be 0."""
    if all(value is None or isinstance(value, int | float) for value in values):
        number = np.array([np.nan if value is None else float(value) for value in values])
        known = np.isfinite(number)
        spread = float(number[known].std()) if known.any() else 0.0
        if spread == 0.0:
            return np.empty((len(values), 0))
        scaled = np.where(known, (number - number[known].mean()) / spread, 0.0)
        columns = [scaled]
        if 0 < known.sum() < len(values):
            columns.append((~known).astype(np.float64))
        return np.column_stack(columns)
    words = np.array(["" if value is None else str(value) for value in values])
    levels, counts = np.unique(words, return_counts=True)
    frequent = levels[counts >= _MIN_LEVEL]
    if counts.size < 2 or frequent.size == 0:
        return np.empty((len(values), 0))
    if frequent.size == levels.size:
        frequent = frequent[1:]
    return np.asarray(words[:, None] == frequent[None, :], dtype=np.float64)


def _folds(event: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Assign folds at random, the events spread evenly."""
    generator = np.random.default_rng([seed, 0x6D657461])
    fold = np.empty(event.size, dtype=np.int64)
    for code in (0, 1):
        members = np.flatnonzero(event == code)
        fold[generator.permutation(members)] = np.arange(members.size) % _FOLDS
    return fold


def _out_of_fold(
    outcome: Outcome,
    x: NDArray[np.float64],
    folds: NDArray[np.int64],
    *,
    std_error: bool = False,
) -> Concordance:
    score = np.zeros(outcome.n)
    for fold in range(_FOLDS):
        test = folds == fold
        train = ~test
        spread = x[train].std(axis=0)
        varies = spread > 0
        if not varies.any():
            continue
        model = fit_cox(outcome.take(train), x[np.ix_(train, varies)], ridge=float(varies.sum()))
        score[test] = model.linear_predictor(x[np.ix_(test, varies)])
    return concordance(outcome, score, strata=folds, std_error=std_error)


def _permutation_p(
    outcome: Outcome, x: NDArray[np.float64], folds: NDArray[np.int64], seen: float, seed: int
) -> float:
    """Compare the concordance with that of permuted metadata; sequential."""
    generator = np.random.default_rng([seed, 0x7065726D])
    as_good = 0
    for done in range(1, _PERMUTATIONS + 1):
        shuffled = x[generator.permutation(outcome.n)]
        as_good += _out_of_fold(outcome, shuffled, folds).estimate >= seen
        if as_good == _ENOUGH_AS_GOOD:
            return as_good / done
    return (as_good + 1) / (_PERMUTATIONS + 1)
