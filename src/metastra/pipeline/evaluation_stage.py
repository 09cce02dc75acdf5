"""The stage ``evaluation``: the primary model judged, every other model beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from metastra.bundle.loading import open_bundle
from metastra.bundle.opened import Bundle
from metastra.bundle.slide_parts import MODELS
from metastra.cohort.tables import Table, read_table
from metastra.errors import DataError, NotEstimable
from metastra.evaluation.evaluate import Evaluation
from metastra.evaluation.models import main_measures, model_measures
from metastra.evaluation.patients import Settings
from metastra.evaluation.reading import read_patients
from metastra.evaluation.request import Request
from metastra.pipeline.evaluate import evaluation_pages, judge
from metastra.pipeline.model_recipes import BUNDLE_DIR
from metastra.pipeline.plan_of_bundle import evaluation_plan
from metastra.progress import track
from metastra.storage import Recipe, json_bytes, product_parent
from metastra.version import VERSION

if TYPE_CHECKING:
    from metastra.pipeline.workshop import Workshop

__all__ = ["BASELINE", "evaluation_files", "evaluation_recipe"]

BASELINE = "clinical"
"""The model that every other one has to improve upon."""

_BOOTSTRAP = 1000
_SHOWN_REASONS = 3
_CUT_BY_BUNDLE = (
    "a fold's model has other risk groups than the bundle: all risks are cut at the bundle's "
    "cut-points, which were fixed on the development patients"
)


def evaluation_recipe(work: Workshop) -> Recipe:
    """Say what the evaluation is made from.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    Recipe
        With bundle and predictions as parents.
    """
    run_dir = work.opened.run_dir
    return Recipe(
        kind="evaluation",
        parents={name: product_parent(run_dir, name) for name in ("bundle", "predictions")},
        settings={
            "bootstrap": _BOOTSTRAP,
            "seed": work.opened.study.study.seed,
            "metastra": VERSION,
        },
    )


def evaluation_files(work: Workshop) -> dict[str, bytes]:
    """Judge the primary model, and every other one beside it.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    dict of str to bytes
        ``evaluation.json`` and the pages of the report that show it.

    Raises
    ------
    NotEstimable
        When the predictions cannot be judged.
    """
    run_dir, study = work.opened.run_dir, work.opened.study
    bundle = open_bundle(run_dir / BUNDLE_DIR)
    cuts = bundle.contract.cutpoints
    table, _ = read_table(run_dir / "predictions.csv")
    if table is None:
        raise NotEstimable("the predictions cannot be read")
    if (nobody := _nobody(table)) is not None:
        raise NotEstimable(nobody)
    models = _models(table)
    request = _request(work, bundle, assigned=_assigned(table, bundle))
    settings = Settings(
        plan=evaluation_plan(bundle, study),
        bootstrap=_BOOTSTRAP,
        seed=study.study.seed,
        cutpoints=cuts.values if cuts else (),
        cutpoint_horizon=cuts.horizon if cuts else None,
    )
    judged, models = _judged(request, models, settings)
    document = _told_apart(judged.to_json(), work, bundle)
    if cuts is not None and request.risk_group is None:
        document["risk_groups"]["reason"] = _CUT_BY_BUNDLE
    if models.names:
        primary = study.primary_model
        document |= {"primary_model": primary, "model_order": list(models.names)}
        others = replace(models, names=tuple(name for name in models.names if name != primary))
        document["models"] = _beside(request, others, settings)
        document["models"][primary] = main_measures(document)
        if models.lacking:
            document["added_value"]["reason"] = models.lacking
    evaluation = replace(judged, document=document)
    pages = {f"report/{name}": data for name, data in evaluation_pages(evaluation).items()}
    return {"evaluation.json": json_bytes(evaluation.to_json())} | pages


def _judged(request: Request, models: _Models, settings: Settings) -> tuple[Evaluation, _Models]:
    """Judge against the baseline, or without it where it cannot be read as one."""
    try:
        return judge(replace(request, baseline=models.baseline), settings).evaluation, models
    except DataError as error:
        said = "; ".join(one.found for one in error.problems) or str(error)
        if models.baseline and all(
            one.where.column == models.baseline[0] for one in error.problems
        ):
            lacking = f"the clinical risk is no baseline: {said}"
            return _judged(request, replace(models, lacking=lacking), settings)
        raise NotEstimable(f"the predictions cannot be judged: {said}") from error


def _assigned(table: Table, bundle: Bundle) -> bool:
    """Whether the model that predicted a patient put everybody into one of the bundle's groups."""
    cuts = bundle.contract.cutpoints
    cells = zip(table.column("risk"), table.column("risk_group"), strict=True)
    return cuts is not None and all(
        group in cuts.names for risk, group in cells if risk is not None
    )


def _request(work: Workshop, bundle: Bundle, *, assigned: bool) -> Request:
    return Request(
        predictions=work.opened.run_dir / "predictions.csv",
        time="time",
        event="event",
        entry=None if work.cohort.entry_days is None else "entry",
        cohort="cohort",
        risks=("risk",),
        risk_score="risk_score",
        risk_group="risk_group" if assigned else None,
        horizons=bundle.contract.horizons,
        time_unit=work.opened.study.endpoint.time_unit,
    )


@dataclass(frozen=True, kw_only=True)
class _Models:
    """Which models the table of predictions has, and whether they can be compared.

    Parameters
    ----------
    names : tuple of str
        In the order of `metastra.bundle.slide_parts.MODELS`; empty for a model of tables.
    lacking : str
        Why there is no baseline for everybody who has a risk; empty where there is one.
    """

    names: tuple[str, ...]
    lacking: str

    @property
    def baseline(self) -> tuple[str, ...]:
        """The column of the baseline's risk, where everybody has one."""
        return () if self.lacking or BASELINE not in self.names else (f"risk_{BASELINE}",)


def _nobody(table: Table) -> str | None:
    """Say why nobody has a risk, by the most frequent reasons; None where somebody has."""
    if any(cell is not None for cell in table.column("risk")):
        return None
    patients = dict(zip(table.column("PATIENT"), table.column("reason"), strict=True))
    reasons = Counter(str(reason) for reason in patients.values()).most_common()
    said = "; ".join(f"{count} patients: {reason}" for reason, count in reasons[:_SHOWN_REASONS])
    more = (
        f"; {len(reasons) - _SHOWN_REASONS} more reasons" if len(reasons) > _SHOWN_REASONS else ""
    )
    return f"nobody has a risk to be judged ({said}{more})"


def _models(table: Table) -> _Models:
    names = tuple(name for name in MODELS if table.has(f"risk_{name}"))
    if BASELINE not in names:
        why = "the study declares no clinical predictors" if names else ""
        return _Models(names=names, lacking=why)
    pairs = zip(table.column("risk"), table.column(f"risk_{BASELINE}"), strict=True)
    without = sum(risk is not None and base is None for risk, base in pairs)
    words = f"{without} predictions of patients without a clinical risk" if without else ""
    return _Models(names=names, lacking=words)


def _beside(request: Request, models: _Models, settings: Settings) -> dict[str, Any]:
    """Measure every model on the patients whom the primary one predicts, the baseline first."""
    plain = replace(settings, plan=None)
    found: dict[str, Any] = {}
    for name in track(models.names, label="models", unit="model"):
        against = () if name == BASELINE else models.baseline
        asked = replace(request, risks=(f"risk_{name}",), baseline=against, risk_score=None)
        try:
            found[name] = model_measures(read_patients(asked).patients, plain)
        except DataError as error:
            said = "; ".join(one.found for one in error.problems) or str(error)
            found[name] = {"reason": f"it cannot be judged: {said}"}
    return found


def _told_apart(document: dict[str, Any], work: Workshop, bundle: Bundle) -> dict[str, Any]:
    """Say of each cohort by which model its patients were predicted."""
    roles = {section.name: section.role for section in work.opened.study.cohort}
    kinds = {}
    for name, part in document["cohorts"].items():
        outside = roles[name] != "development"
        part["bundle"] = bundle.digest if outside else None
        if not outside:
            part["bundle_reason"] = (
                "predicted by models that were fitted without the patient's fold"
            )
        kinds[name] = f"{roles[name]}: bundle" if outside else "internal: out of fold"
    return {**document, "validation": kinds, "locked": bundle.locked}
