"""Several models of the same patients side by side, the baseline first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from metastra.evaluation.added_value import added_value
from metastra.evaluation.calibrating import calibration
from metastra.evaluation.draws import FEW_EVENTS, draw
from metastra.evaluation.measures import discrimination, overall
from metastra.evaluation.patients import Patients, Settings

__all__ = ["main_measures", "model_measures"]


def model_measures(patients: Patients, settings: Settings) -> dict[str, Any]:
    """Give the main measures of one model, whole and for each cohort.

    Parameters
    ----------
    patients : Patients
        With the risks of the model and, unless it is the baseline itself, those of the baseline.
    settings : Settings
        Draws and seed.

    Returns
    -------
    dict
        ``n``, ``events``, ``competing``, ``discrimination``, ``overall``, ``calibration`` and
        ``added_value`` as in ``evaluation.json``, and ``cohorts`` with the same keys.
    """
    document = _measured(patients, settings)
    document["cohorts"] = {}
    if patients.cohort is not None:
        for name in sorted(set(patients.cohort.tolist())):
            part = patients.take(patients.cohort == name)
            document["cohorts"][str(name)] = _measured(part, settings)
    return document


def main_measures(document: Mapping[str, Any]) -> dict[str, Any]:
    """Take the same measures from a whole evaluation.

    Parameters
    ----------
    document : mapping
        As `metastra.evaluation.evaluate.Evaluation.to_json` gives it.

    Returns
    -------
    dict
        As `model_measures`.
    """
    found = _main(document)
    found["cohorts"] = {name: _main(part) for name, part in document["cohorts"].items()}
    return found


def _measured(patients: Patients, settings: Settings) -> dict[str, Any]:
    events = patients.outcome.n_events(1)
    # with few events intervals come from formulas, and no net benefit is shown here
    lean = replace(
        settings,
        bootstrap=0 if events < FEW_EVENTS else settings.bootstrap,
        thresholds=settings.thresholds[:1],
    )
    draws = draw(patients, lean)
    return _main(
        {
            "n": patients.n,
            "events": events,
            "competing": patients.outcome.n_events(2),
            "discrimination": discrimination(patients, draws),
            "overall": overall(patients, draws),
            "calibration": calibration(patients, draws, settings),
            "added_value": added_value(patients, draws),
        }
    )


def _main(document: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out curves."""
    found = {name: document[name] for name in ("n", "events", "competing", "overall")}
    shown, gained = document["discrimination"], document["added_value"]
    found["discrimination"] = {name: value for name, value in shown.items() if name != "roc"}
    found["calibration"] = [
        {key: value for key, value in entry.items() if key in _CALIBRATION}
        for entry in document["calibration"]
    ]
    found["added_value"] = {
        name: value for name, value in gained.items() if name != "reclassification"
    }
    return found


_CALIBRATION = frozenset(
    {"horizon", "observed", "expected", "oe_ratio", "slope", "intercept", "ici"}
)
