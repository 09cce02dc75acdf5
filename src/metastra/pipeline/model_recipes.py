"""What the stages of a model are made from, and whether a study has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metastra.storage import Origin, Parent, Recipe
from metastra.study.study import Study

if TYPE_CHECKING:
    from metastra.pipeline.workshop import Workshop

__all__ = ["BUNDLE_DIR", "bundle_recipe", "declared", "fits_slides", "no_model"]

BUNDLE_DIR = "bundle"
"""Folder of the bundle in a run."""


def no_model(work: Workshop) -> str:
    """Say why a study has no model.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    str
        Empty where it has one.
    """
    study = work.opened.study
    if study.primary_model == "clinical" and not study.clinical:
        return "the study declares no predictors under [clinical]"
    if study.endpoint.kind != "survival":
        return f"models are fitted for survival endpoints; this one is {study.endpoint.kind}"
    if not study.endpoint.horizons:
        return "the study declares no horizons"
    return ""


def fits_slides(work: Workshop) -> bool:
    """Whether the model of a study reads slides.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    bool
        True where its primary model is ``combined`` or ``slides``.
    """
    return work.opened.study.primary_model != "clinical"


def declared(study: Study) -> dict[str, Any]:
    """Take from a study what decides its models beside the products they are made from.

    Parameters
    ----------
    study : Study
        As loaded.

    Returns
    -------
    dict
        Strict JSON: coding, range and transformation of predictors, horizons and cut-points, and
        for a model that reads slides the section ``[model]``.
    """
    found: dict[str, Any] = {
        "clinical": {name: one.model_dump(mode="json") for name, one in study.clinical.items()},
        "endpoint": study.endpoint.model_dump(mode="json"),
    }
    if study.primary_model != "clinical":
        section = study.model.model_dump(mode="json")
        found["model"] = {**section, "primary": study.primary_model}
    return found


def bundle_recipe(study: Study, digests: Mapping[str, str]) -> Recipe:
    """Say what the bundle is made from.

    Parameters
    ----------
    study : Study
        As loaded.
    digests : mapping of str to str
        Of the products ``cohort`` and ``splits``, and of ``features`` where slides are read.

    Returns
    -------
    Recipe
        Of the stage ``bundle``.
    """
    kind = "clinical" if study.primary_model == "clinical" else "slides"
    return Recipe(
        kind="bundle",
        parents={
            name: Parent(origin=Origin.PRODUCT, ref=name, digest=digest)
            for name, digest in digests.items()
        },
        settings={"kind": kind, "layout": 4 if kind == "slides" else 2, **declared(study)},
    )
