"""Explaining slides by a bundle: what the command and the stage of a run share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metastra.bundle.linear import LinearModel
from metastra.bundle.opened import Bundle
from metastra.bundle.slide_parts import SlideParts
from metastra.errors import ConfigError
from metastra.executor import Executor, Failure, Task
from metastra.explanation.files import chosen_boxes_px0, slide_files
from metastra.explanation.patient import NamedBag, PatientExplanation, explain_patient
from metastra.explanation.pixels import SlidePixels, pixels_payload, read_pixels_task
from metastra.features.bag import Bag

__all__ = ["ExplainedSlides", "SlideToExplain", "explain_slides", "slide_parts", "slope_of"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SlideToExplain:
    """One slide of a patient.

    Parameters
    ----------
    name : str
        By which it may be called; also the name of its folder.
    bag : Bag
        Its features.
    path : Path or None
        Of its pixels; None for a feature file.
    mpp : float or None
        Micrometres per pixel where the user states them.
    """

    name: str
    bag: Bag
    path: Path | None = None
    mpp: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ExplainedSlides:
    """A patient's slides, explained, with their files.

    Parameters
    ----------
    found : PatientExplanation
        The numbers.
    files : mapping of str to mapping of str to bytes
        By slide, then by file.
    unpictured : mapping of str to str
        Slides whose pixels could not be read, and why.
    """

    found: PatientExplanation
    files: Mapping[str, Mapping[str, bytes]]
    unpictured: Mapping[str, str]


def slide_parts(bundle: Bundle) -> SlideParts:
    """Give what reads slides.

    Parameters
    ----------
    bundle : Bundle
        Any.

    Returns
    -------
    SlideParts
        Of a bundle of kind ``slides``.

    Raises
    ------
    ConfigError
        If the bundle reads no slides.
    """
    if bundle.slides is None:
        raise ConfigError(
            f"the bundle {bundle.name!r} is of kind {bundle.kind} and reads no slides: there is "
            "nothing to explain on one"
        )
    return bundle.slides


def slope_of(bundle: Bundle) -> float:
    """Give the log relative hazard of the bundle's risk for one unit of the slide score.

    Parameters
    ----------
    bundle : Bundle
        Of kind ``slides``, whose last column is the slide score.

    Returns
    -------
    float
        Log relative hazard for one unit of the slide score; not negative in a model fitted here.

    Raises
    ------
    ConfigError
        If the bundle reads no slides.
    """
    slide_parts(bundle)
    model = bundle.model
    if not isinstance(model, LinearModel):
        raise ConfigError(f"the bundle {bundle.name!r} has no risk model in numbers")
    return float(model.coef[1][-1] / model.scale[-1])


def explain_slides(
    bundle: Bundle,
    slides: Sequence[SlideToExplain],
    about: Mapping[str, Any],
    executor: Executor,
    *,
    seed: int = 0,
) -> ExplainedSlides:
    """Explain the slides of one patient together and draw them.

    Parameters
    ----------
    bundle : Bundle
        Of kind ``slides``.
    slides : sequence of SlideToExplain
        Of one patient; those without tiles are passed over.
    about : mapping
        What every ``explanation.json`` says beside the numbers.
    executor : Executor
        Where pixels are read, since a slide can bring a process down.
    seed : int
        Of the random orders.

    Returns
    -------
    ExplainedSlides
        A slide whose pixels cannot be read is mapped on white, and the reason is kept.

    Raises
    ------
    NotEstimable
        If no slide has a tile.
    DataError
        If features do not fit the model or do not say the size of a tile.
    """
    parts = slide_parts(bundle)
    found = explain_patient(
        parts.model,
        [NamedBag(name=slide.name, bag=slide.bag) for slide in slides],
        per_score=slope_of(bundle),
        seed=seed,
    )
    by_name = {slide.name: slide for slide in slides}
    pixels, lost = _pixels(found, by_name, executor)
    contract = bundle.contract.slides
    told = {
        "bundle": bundle.digest,
        "model": None if contract is None else contract.primary,
        "aggregator": parts.model.aggregator,
        "head": parts.model.head,
        **about,
    }
    files = {
        slide.name: slide_files(
            found,
            which,
            pixels.get(slide.name),
            {**told, "pictures": lost.get(slide.name, _pictured(by_name[slide.name]))},
        )
        for which, slide in enumerate(found.slides)
    }
    return ExplainedSlides(found=found, files=files, unpictured=lost)


def _pictured(slide: SlideToExplain) -> str:
    return "none: a feature file has no pixels" if slide.path is None else "of the slide"


def _pixels(
    found: PatientExplanation, by_name: Mapping[str, SlideToExplain], executor: Executor
) -> tuple[dict[str, SlidePixels], dict[str, str]]:
    """Read thumbnails and chosen tiles; a slide that cannot be read has its reason."""
    tasks = []
    for which, named in enumerate(found.slides):
        slide = by_name[named.name]
        if slide.path is not None:
            payload = pixels_payload(slide.path, chosen_boxes_px0(found, which), mpp=slide.mpp)
            tasks.append(Task(key=slide.name, payload=payload))
    pixels, lost = {}, {}
    for result in executor.run(read_pixels_task, tasks):
        if result.failure is None:
            pixels[result.key] = SlidePixels.from_plain(result.value)
        else:
            lost[result.key] = _why(result.failure, by_name[result.key])
    return pixels, lost


def _why(failure: Failure, slide: SlideToExplain) -> str:
    """Say why there is no picture, without the slide's own name."""
    said = "; ".join(f"{one.code} {one.found}" for one in failure.problems) or failure.message
    if slide.path is not None:
        said = said.replace(str(slide.path), slide.name).replace(slide.path.name, slide.name)
    return f"none: {said}"
