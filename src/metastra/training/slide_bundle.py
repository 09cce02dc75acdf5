"""From fitted models of clinical predictors and slides to the files of a draft bundle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.cases import slide_self_test
from metastra.bundle.contract import SlideContract
from metastra.bundle.linear import LinearModel
from metastra.bundle.plans import ChangePlan
from metastra.bundle.slide_parts import (
    SLIDE_SCORE,
    EncoderStatement,
    ModelName,
    SlideDevelopment,
    SlideFacts,
    SlideParts,
    companions_of,
)
from metastra.bundle.slide_scope import feature_problems, grouped, mean_mpp, regions_of_bags
from metastra.bundle.writing import bundle_files
from metastra.catalogue import problem
from metastra.digest import digest_value
from metastra.errors import DataError, NotEstimable
from metastra.features.bag import Bag
from metastra.study.study import Study
from metastra.training.clinical_bundle import coefficients, contract_of, development_of, plan_of
from metastra.training.clinical_data import ClinicalData
from metastra.training.fold_models import chosen_json
from metastra.training.patient_bags import PatientBags
from metastra.training.risk_layer import LayerFit, RiskTask
from metastra.training.risk_models import RiskModels
from metastra.training.slide_task import SlideFit, SlideTask

__all__ = ["SlideEvidence", "slide_bundle_files", "slide_evidence", "slide_task"]

_LEAST_SHARE = 0.05
_WITHIN = 0.99
_STEP = 2.0
"""One objective finer or coarser: what a scanner of another setting gives."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SlideEvidence:
    """What the slides of the development patients were.

    Parameters
    ----------
    first : Bag
        Of any of them: what made the features.
    mpps : tuple of float
        Micrometres per level-0 pixel of those that say it.
    scanners : tuple of str
        That the slide tables name, sorted.
    card : mapping or None
        Of the encoder; None where only the feature files speak of it.
    regions : {"drawn", "whole", "mixed", ""}
        Whether tiles came from drawn regions; empty where the files do not say.
    """

    first: Bag
    mpps: tuple[float, ...]
    scanners: tuple[str, ...]
    card: Mapping[str, Any] | None
    regions: Literal["drawn", "whole", "mixed", ""] = ""


def slide_task(study: Study, task: RiskTask, label: str) -> SlideTask:
    """Say what a study's slide model shall learn.

    Parameters
    ----------
    study : Study
        With its section ``[model]``.
    task : RiskTask
        Horizons.
    label : str
        Of the fold; with the study's seed it names the draws.

    Returns
    -------
    SlideTask
        The built-in grid of steps where the study gives none.
    """
    section = study.model
    primary = task.days[task.horizons.index(task.primary_horizon)]
    made = SlideTask(
        aggregator=section.aggregator,
        head=section.head,
        primary_days=primary,
        horizons_days=tuple(task.days),
        seed_label=f"{study.study.seed}/{label}",
        tiles_per_step=section.tiles_per_step,
    )
    return replace(made, steps_grid=section.steps) if section.steps else made


def slide_evidence(
    bags: Sequence[tuple[str, Bag]], scanners: Sequence[str], card: Mapping[str, Any] | None
) -> SlideEvidence:
    """Gather what the slides of development were, and refuse features that do not belong together.

    Parameters
    ----------
    bags : sequence of (str, Bag)
        Names and bags of all slides of the development patients.
    scanners : sequence of str
        As the slide tables have them; empty cells are passed over.
    card : mapping, optional
        Of the encoder that the study names.

    Returns
    -------
    SlideEvidence
        Of slides that are all alike.

    Raises
    ------
    NotEstimable
        Where there is no slide.
    DataError
        With SL059 for every slide whose features are not those of the first.
    """
    if not bags:
        raise NotEstimable("no slide model: no development patient has a usable slide")
    first = bags[0][1]
    wanted = _identity(first)
    problems = [
        problem("SL059", one.found, where=one.where, expected=one.expected)
        for name, bag in bags
        for one in feature_problems(wanted, bag, name)
    ]
    if problems:
        raise DataError("the features of this study are not of one kind", grouped(problems))
    known = card is not None and digest_value(dict(card)) == first.origin.encoder_digest
    mpps = [mpp for _, bag in bags if (mpp := mean_mpp(bag)) is not None]
    return SlideEvidence(
        first=first,
        mpps=tuple(mpps),
        scanners=tuple(sorted({word for word in scanners if word})),
        card=card if known else None,
        regions=regions_of_bags([bag for _, bag in bags]),
    )


def slide_bundle_files(
    study: Study,
    data: ClinicalData,
    bags: PatientBags,
    lost: Sequence[str],
    models: RiskModels,
    evidence: SlideEvidence,
    task: RiskTask,
    *,
    parents: Mapping[str, str],
) -> dict[str, bytes]:
    """Make the files of the draft bundle.

    Parameters
    ----------
    study : Study
        What was promised; its primary model reads slides.
    data : ClinicalData
        All patients.
    bags : PatientBags
        Of the same patients.
    lost : sequence of str
        Why a patient has no tile; empty for those who have.
    models : RiskModels
        On all development patients.
    evidence : SlideEvidence
        Of their slides.
    task : RiskTask
        Horizons and cut-points.
    parents : mapping of str to str
        Digests of study, cohort, features and splits.

    Returns
    -------
    dict of str to bytes
        The same for the same study, data and software.

    Raises
    ------
    NotEstimable
        Where the slides support no model.
    """
    primary: Literal["combined", "slides"] = (
        "combined" if study.primary_model == "combined" else "slides"
    )
    if models.slide is None or models.pooled is None:
        raise NotEstimable(models.without)
    layer = models.layers[primary]
    share = _share_outside(models.slide, bags, data.development)
    slides = _contract(evidence, primary, share)
    contract = contract_of(study, layer, models.predictors, task, slides)
    parts = SlideParts(
        model=models.slide.model,
        pooled=models.pooled.model,
        companions={
            name: _with_causes(models.layers[name], layer) for name in companions_of(contract)
        },
        encoder=_statement(evidence),
    )
    return bundle_files(
        name=study.study.name,
        contract=contract,
        plan=plan_of(layer, task),
        change_plan=ChangePlan(),
        development=_development(data, bags, lost, models, primary, task),
        self_test=slide_self_test(contract, layer.model, parts),
        model=layer.model,
        parents=parents,
        slides=parts,
        seed=study.study.seed,
    )


def _identity(bag: Bag, primary: Literal["combined", "slides"] = "slides") -> SlideContract:
    origin, frame = bag.origin, bag.frame
    return SlideContract(
        primary=primary,
        encoder=origin.encoder,
        encoder_digest=origin.encoder_digest,
        engine=origin.engine,
        precision=origin.precision,
        dimension=bag.dimension,
        names_digest=digest_value(list(origin.feature_names)) if origin.feature_names else "",
        target_mpp=frame.target_mpp,
        tile_px=frame.tile_px,
        tile_side_um=frame.tile_side_um,
        quality_digest=origin.quality_digest,
        stains=("H&E",),
    )


def _contract(
    evidence: SlideEvidence, primary: Literal["combined", "slides"], share: float
) -> SlideContract:
    limits: dict[str, float] = {}
    if evidence.mpps:
        low, high = min(evidence.mpps), max(evidence.mpps)
        limits = {
            "mpp_low": low / _STEP,
            "mpp_high": high * _STEP,
            "validated_mpp_low": low,
            "validated_mpp_high": high,
        }
    made = _identity(evidence.first, primary)
    further = {
        "scanners": evidence.scanners,
        "share_outside": share,
        "regions": evidence.regions,
        **limits,
    }
    return made.model_copy(update=further)


def _statement(evidence: SlideEvidence) -> EncoderStatement:
    if evidence.card is not None:
        return EncoderStatement(
            digest=evidence.first.origin.encoder_digest, card=dict(evidence.card)
        )
    origin = evidence.first.origin
    return EncoderStatement(
        card={
            "name": origin.encoder,
            "engine": origin.engine,
            "precision": origin.precision,
            "dimension": evidence.first.dimension,
            "feature_names": list(origin.feature_names),
        }
    )


def _share_outside(fit: SlideFit, bags: PatientBags, rows: NDArray[np.bool_]) -> float:
    """Find the share of features outside the typical range that most patients stay within."""
    moments = bags.moments()
    means = moments.means[rows & (moments.counts > 0)]
    outside = (means < fit.model.typical_low) | (means > fit.model.typical_high)
    share = float(np.quantile(outside.mean(axis=1), _WITHIN))
    return max(_LEAST_SHARE, float(f"{share:.3g}"))


def _with_causes(fit: LayerFit, primary: LayerFit) -> LinearModel:
    """Give a layer the causes of the primary one; a cause without an event has no hazard."""
    model, wanted = fit.model, primary.model.coef
    nothing = np.zeros(model.centre.size), np.zeros(model.times_days.size)
    return replace(
        model,
        coef={cause: model.coef.get(cause, nothing[0]) for cause in wanted},
        jumps={cause: model.jumps.get(cause, nothing[1]) for cause in wanted},
    )


def _development(
    data: ClinicalData,
    bags: PatientBags,
    lost: Sequence[str],
    models: RiskModels,
    primary: ModelName,
    task: RiskTask,
) -> SlideDevelopment:
    layer, slide = models.layers[primary], models.slide
    if slide is None:
        raise NotEstimable(models.without)
    predictors = models.predictors if primary == "combined" else ()
    ratios = coefficients(layer.model, predictors, SLIDE_SCORE)
    plain = development_of(data, layer, task, ratios, slides=True)
    counts = bags.counts
    mine = np.flatnonzero(data.development & (counts == 0)).tolist()
    chosen = chosen_json(models)
    facts = SlideFacts(
        patients=int((data.development & (counts > 0)).sum()),
        without_slides=dict(sorted(Counter(_kind_of(lost[row]) for row in mine).items())),
        tiles=int(counts[data.development].sum()),
        aggregator=slide.model.aggregator,
        head=slide.model.head,
        members=len(slide.model.members),
        parts=len(slide.choice.by_part),
        choices={name: chosen[name] for name in ("pooled", "slides")},
    )
    return SlideDevelopment(**plain.model_dump(), slides=facts)


def _kind_of(why: str) -> str:
    """Count reasons without the slides' names."""
    if ": " not in why:
        return why or "no tile"
    words = why.partition(": ")[2]
    return "none is given" if words == "none is given" else "excluded or failed"
