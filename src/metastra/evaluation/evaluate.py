"""The judge: every number of a validation, whole and for each cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.evaluation.added_value import added_value
from metastra.evaluation.adjusting import adjusted
from metastra.evaluation.calibrating import calibration
from metastra.evaluation.characteristics import characteristics
from metastra.evaluation.checks import result_checks
from metastra.evaluation.claims import low_risk, treatment_by_score
from metastra.evaluation.declared import declared
from metastra.evaluation.draws import draw
from metastra.evaluation.immortal import immortal_time
from metastra.evaluation.incidence import incidence
from metastra.evaluation.landmarking import landmark_analysis
from metastra.evaluation.measures import discrimination, overall
from metastra.evaluation.patients import Patients, Settings
from metastra.evaluation.pooling import pooled
from metastra.evaluation.recalibrating import recalibration
from metastra.evaluation.reclassification import reclassification
from metastra.evaluation.risk_groups import Grouping, group_patients, risk_groups
from metastra.evaluation.sensitivity import midpoint_sensitivity
from metastra.evaluation.subgroups import subgroups
from metastra.evaluation.utility import utility
from metastra.evaluation.visits import dating, visit_schedule
from metastra.evaluation.whole_checks import whole_checks
from metastra.version import VERSION

__all__ = ["SCHEMA", "Evaluation", "evaluate"]

SCHEMA = 2
"""Version of the layout of ``evaluation.json``."""

_BINS = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """The result of a validation.

    Parameters
    ----------
    patients : Patients
        Who was judged.
    grouping : Grouping
        Their risk groups.
    document : mapping
        Every number, as plain values.
    """

    patients: Patients = field(repr=False)
    grouping: Grouping = field(repr=False)
    document: Mapping[str, Any] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Write the result as plain values.

        Returns
        -------
        dict
            The content of ``evaluation.json``: strict JSON, no study ids.
        """
        return dict(self.document)


def evaluate(
    patients: Patients,
    settings: Settings | None = None,
    *,
    bundle: str | None = None,
    predictions_sha256: str = "",
    flow: Mapping[str, Any] | None = None,
    input_checks: tuple[Mapping[str, str], ...] = (),
) -> Evaluation:
    """Judge predictions.

    Parameters
    ----------
    patients : Patients
        Outcomes and predictions.
    settings : Settings, optional
        Draws, cutpoints and thresholds; the defaults when left out.
    bundle : str, optional
        Digest of the model, where all predictions name the same.
    predictions_sha256 : str
        Of the table of predictions.
    flow : mapping, optional
        Patients read, excluded and judged, in counts.
    input_checks : tuple of mapping
        Checks of the tables that were made while reading.

    Returns
    -------
    Evaluation
        Numbers that the data do not support are None with their reason.

    Examples
    --------
    >>> from metastra.survival.outcome import Outcome
    >>> rng = np.random.default_rng(1)
    >>> risk = rng.uniform(0.1, 0.9, 200)
    >>> time = np.where(rng.uniform(size=200) < risk, 1.0, 3.0)
    >>> y = Outcome(time=time, event=time < 2.0)
    >>> some = Patients(outcome=y, horizons=(2.0,), risks=risk[:, None])
    >>> result = evaluate(some, Settings(bootstrap=100)).to_json()
    >>> result["n"], round(result["discrimination"]["auc"][0]["estimate"], 2)
    (200, 0.77)
    """
    chosen = settings or Settings()
    head = {"bundle": bundle, "predictions_sha256": predictions_sha256}
    grouping = group_patients(patients, chosen)
    document = _judged(patients, chosen, grouping, head)
    document["cohorts"] = _cohorts(patients, chosen, grouping, head)
    document["schema"] = SCHEMA
    document["software"] = VERSION
    document["flow"] = dict(flow or {"judged": patients.n})
    document["settings"] = _settings(chosen)
    document |= _further(patients, chosen, grouping, predictions_sha256)
    document["plan"] = declared(document, chosen)
    checks = [*map(dict, input_checks), *document["checks"], *whole_checks(document)]
    document["checks"] = sorted(checks, key=lambda check: str(check["code"]))
    return Evaluation(patients=patients, grouping=grouping, document=document)


def _settings(chosen: Settings) -> dict[str, Any]:
    return {
        "bootstrap": chosen.bootstrap,
        "seed": chosen.seed,
        "min_events": chosen.min_events,
        "thresholds": list(chosen.thresholds),
        "landmarks": list(chosen.landmarks),
        "grace": chosen.grace,
        "low_risk_limit": chosen.low_risk_limit,
        "recalibrate": chosen.recalibrate,
        "randomised": chosen.randomised,
    }


def _further(
    patients: Patients, settings: Settings, grouping: Grouping, digest: str
) -> dict[str, Any]:
    """Analyses of all patients together; those not asked for are a reason."""
    asked = {"reason": "it was not asked for (--recalibrate)"}
    return {
        "pooled": pooled(patients, settings),
        "adjusted": adjusted(patients, settings, grouping),
        "recalibration": (
            recalibration(patients, predictions_sha256=digest) if settings.recalibrate else asked
        ),
        "landmark": [landmark_analysis(patients, t, grouping) for t in settings.landmarks],
        "low_risk": low_risk(patients, grouping, settings.low_risk_limit),
        "immortal_time": immortal_time(patients, settings),
        "treatment": treatment_by_score(patients, grouping, randomised=settings.randomised),
        "sensitivity": {
            "midpoint": midpoint_sensitivity(patients),
            "dating": dating(patients, settings),
            "visits": visit_schedule(patients),
        },
        "characteristics": characteristics(patients, grouping),
        "incidence": incidence(patients, grouping),
        "risk_distribution": _distribution(patients),
    }


def _judged(
    patients: Patients, settings: Settings, grouping: Grouping, head: Mapping[str, Any]
) -> dict[str, Any]:
    """Every number of one group of patients."""
    y = patients.outcome
    groups = {name: grouping.group == place for place, name in enumerate(grouping.names)}
    draws = draw(patients, settings, groups)
    document: dict[str, Any] = {
        "n": patients.n,
        "events": y.n_events(1),
        "competing": y.n_events(2),
        "horizons": list(patients.horizons),
        "time_unit": str(patients.time_unit),
        **head,
        "cohorts": {},
        "discrimination": discrimination(patients, draws),
        "overall": overall(patients, draws),
        "calibration": calibration(patients, draws, settings),
        "utility": utility(patients, draws, settings),
        "risk_groups": risk_groups(patients, grouping, draws),
        "added_value": added_value(patients, draws)
        | {"reclassification": _reclassified(patients, settings)},
        "subgroups": subgroups(patients, settings, _high(grouping)),
    }
    document["checks"] = result_checks(patients, document)
    return document


def _high(grouping: Grouping) -> NDArray[np.bool_] | None:
    """Who lies at or above the highest cutpoint; None where there is none."""
    k = len(grouping.cutpoints)
    return np.asarray(grouping.group >= k) if k else None


def _reclassified(patients: Patients, settings: Settings) -> dict[str, Any]:
    if settings.cutpoint_horizon not in (None, patients.last_horizon):
        return {"reason": "the cutpoints are not on the risk by the last horizon"}
    return reclassification(patients, settings)


def _cohorts(
    patients: Patients, settings: Settings, grouping: Grouping, head: Mapping[str, Any]
) -> dict[str, Any]:
    """Each cohort by itself, with the cutpoints of the whole."""
    if patients.cohort is None:
        return {}
    found = {}
    for name in sorted(set(patients.cohort.tolist())):
        mine = patients.cohort == name
        found[str(name)] = _judged(patients.take(mine), settings, grouping.take(mine), head)
    return found


def _distribution(patients: Patients) -> dict[str, Any]:
    """Count patients in even bins of the risk by the last horizon, or of the score."""
    risks = patients.risks
    values = patients.order() if risks is None else risks[:, -1]
    low, high = float(values.min()), float(values.max())
    if risks is not None:
        low, high = 0.0, float(np.clip(np.ceil(10.0 * high) / 10.0, 0.1, 1.0))
    edges = np.linspace(low, high if high > low else low + 1.0, _BINS + 1)
    happened = (patients.outcome.event == 1) & (patients.outcome.time <= patients.last_horizon)
    return {
        "scale": patients.scale,
        "edges": [float(edge) for edge in edges],
        "with_event": [int(k) for k in np.histogram(values[happened], edges)[0]],
        "without_event": [int(k) for k in np.histogram(values[~happened], edges)[0]],
    }
