"""The models of a run side by side, from ``evaluation.json``: who is judged, and what counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["JudgedGroup", "judged_groups", "model_words", "models_in", "number_at"]

_ORDER = ("clinical", "pooled", "slides", "combined")
_WORDS = {
    "clinical": "clinical columns alone (the baseline)",
    "pooled": "mean of the tile features, linear",
    "slides": "slides alone",
    "combined": "clinical columns and slides",
}


@dataclass(frozen=True, kw_only=True)
class JudgedGroup:
    """Patients that are judged together, with every model.

    Parameters
    ----------
    name : str
        Of the cohort, or in words.
    role : str
        development, external or temporal.
    outside : bool
        Whether the models never saw the cohort; otherwise each patient was predicted by models
        that were fitted without the patient's fold.
    document : mapping
        Of the primary model, as in ``evaluation.json``.
    models : mapping of str to mapping
        Measures of each model, or a ``reason``; the baseline first.
    """

    name: str
    role: str
    outside: bool
    document: Mapping[str, Any]
    models: Mapping[str, Mapping[str, Any]]


def models_in(evaluation: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the models of an evaluation.

    Parameters
    ----------
    evaluation : mapping
        The content of ``evaluation.json``.

    Returns
    -------
    tuple of str
        The baseline first; only ``clinical`` for a study without a slide model.
    """
    names = evaluation.get("models") or {"clinical": None}
    return (*(name for name in _ORDER if name in names), *(n for n in names if n not in _ORDER))


def model_words(name: str) -> str:
    """Say what a model looks at.

    Parameters
    ----------
    name : str
        As in ``evaluation.json``.

    Returns
    -------
    str
        In a few words.
    """
    return _WORDS.get(name, name)


def judged_groups(evaluation: Mapping[str, Any], roles: Mapping[str, str]) -> list[JudgedGroup]:
    """List whom the models are judged in.

    Parameters
    ----------
    evaluation : mapping
        The content of ``evaluation.json``.
    roles : mapping of str to str
        Role of each cohort.

    Returns
    -------
    list of JudgedGroup
        Development first, each cohort by itself; several development cohorts also together where
        nothing else was judged.  Patients of development and of other cohorts are never put
        together, since different models predicted them.
    """
    models = evaluation.get("models") or {"clinical": evaluation}
    names = models_in(evaluation)
    groups = []
    cohorts = evaluation.get("cohorts") or {}
    for outside in (False, True):
        for name, part in cohorts.items():
            role = roles.get(name, "development")
            if (role != "development") == outside:
                mine = {model: _part(models[model], name) for model in names}
                groups.append(
                    JudgedGroup(name=name, role=role, outside=outside, document=part, models=mine)
                )
    if len(groups) != 1 and not any(group.outside for group in groups):
        name = "all development cohorts" if groups else "all patients"
        groups.append(
            JudgedGroup(
                name=name,
                role="development",
                outside=False,
                document=evaluation,
                models={model: models[model] for model in names},
            )
        )
    return groups


def _part(model: Mapping[str, Any], cohort: str) -> Mapping[str, Any]:
    if "reason" in model:
        return model
    part: Mapping[str, Any] | None = model["cohorts"].get(cohort)
    return part or {"reason": "this model gives no patient of the cohort a risk"}


def number_at(rows: Sequence[Mapping[str, Any]], horizon: float) -> Mapping[str, Any] | None:
    """Find the number at a horizon.

    Parameters
    ----------
    rows : sequence of mapping
        Each with its ``horizon``.
    horizon : float
        In the unit of the evaluation.

    Returns
    -------
    mapping or None
        None where there is none.
    """
    return next((row for row in rows if row["horizon"] == horizon), None)
