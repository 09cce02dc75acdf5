"""Slides of the synthetic study: what each row of its slide tables looks like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from metastra.errors import ConfigError
from metastra.executor import Executor, Failure, ProcessPool, Task
from metastra.progress import track
from metastra.synthetic.draws import Draws
from metastra.synthetic.generate import SyntheticStudy
from metastra.synthetic.painting.artefact_draw import draw_artefacts
from metastra.synthetic.painting.composition import Composition, Surroundings
from metastra.synthetic.painting.painted_truth import is_painted
from metastra.synthetic.painting.scanners import Scanner, get_scanner
from metastra.synthetic.painting.scene import Recipe
from metastra.synthetic.painting.slide_file import paint_slide
from metastra.synthetic.writing import Parts, Table

__all__ = ["PaintingDone", "PlannedSlide", "paint_planned", "paint_slides", "plan_slides"]

_SMALLEST_MM2, _LARGEST_MM2 = 0.25, 60.0
_MORE_NECROSIS = 0.15
"""A metastasis has this much more necrosis than its primary."""


@dataclass(frozen=True, kw_only=True)
class PlannedSlide:
    """One slide that is to be painted.

    Parameters
    ----------
    file : str
        Below the study's folder, for instance ``north/slides/NO-0001_A1_HE.tiff``.
    truth : str
        Below the study's folder: ``truth/slides/…``, which is no part of the study.
    recipe : Recipe
        The tissue.
    scanner : Scanner
        With the resolution that the slide table gives.
    """

    file: str
    truth: str
    recipe: Recipe
    scanner: Scanner


def plan_slides(
    study: SyntheticStudy, parts: Parts, *, slide_mm2: float = 2.0
) -> tuple[PlannedSlide, ...]:
    """Plan the slides that the slide tables list.

    Parameters
    ----------
    study : SyntheticStudy
        Whose patients they are.
    parts : dict of str to (Table or bytes)
        Its files, with or without planted leaks; ``SCANNER`` and ``MPP`` are taken from its slide
        tables, so a leak in them is in the pixels too.
    slide_mm2 : float
        Area of each slide, glass included; 0.25 to 60.

    Returns
    -------
    tuple of PlannedSlide
        One for each file, in the order of the tables.

    Raises
    ------
    ConfigError
        If the area is out of range or a scanner is not known.

    Notes
    -----
    The tumour area has exactly the tissue fractions on which the patient's hazards depend
    (`metastra.synthetic.covariates`).  What lies around it, the strength of the stain and the
    artefacts are drawn without looking at anything else; the stain's mean is the hospital's.
    """
    if not _SMALLEST_MM2 <= slide_mm2 <= _LARGEST_MM2:
        raise ConfigError(
            f"slides of {slide_mm2} mm²; expected {_SMALLEST_MM2:g} to {_LARGEST_MM2:g}"
        )
    planned: dict[str, PlannedSlide] = {}
    for cohort in study.cohorts:
        patients, plan = cohort.patients, cohort.patients.plan
        row_of = {patient: row for row, patient in enumerate(patients.id)}
        for entry in _rows(parts, plan.name):
            row = row_of[str(entry["PATIENT"])]
            slide = _plan(
                folder=plan.name,
                entry=entry,
                composition=Composition.of_patient(patients.covariates, row),
                hospital=plan.centres[patients.centre[row]].name,
                seed=study.seed,
                slide_mm2=slide_mm2,
            )
            planned.setdefault(slide.file, slide)
    return tuple(planned.values())


def _rows(parts: Parts, cohort: str) -> Iterator[Mapping[str, Any]]:
    """Rows of a cohort's slide table."""
    for name, part in parts.items():
        if name.startswith(f"{cohort}/slides.") and isinstance(part, Table):
            for cells in part.rows:
                yield dict(zip(part.columns, cells, strict=True))


def _plan(
    *,
    folder: str,
    entry: Mapping[str, Any],
    composition: Composition,
    hospital: str,
    seed: int,
    slide_mm2: float,
) -> PlannedSlide:
    name = str(entry["FILENAME"])
    draws = Draws(seed=seed, label=f"slides/{name}")
    shape = float(1.15 + 0.35 * draws.uniform("shape", 1).item())
    height_um = round(float(np.sqrt(slide_mm2 / shape)) * 1000.0)
    width_um = round(slide_mm2 * 1e6 / height_um)
    surroundings = _surroundings(draws)
    if entry["SPECIMEN"] != "P1":
        composition, surroundings = _metastasis(composition), Surroundings()
    strengths = 1.0 + 0.06 * draws.normal("stain", 2)
    strengths += 0.07 * Draws(seed=seed, label=f"stain/{hospital}").normal("stain", 2)
    haematoxylin, eosin = np.clip(strengths, 0.7, 1.35).round(3).tolist()
    recipe = Recipe(
        width_um=float(width_um),
        height_um=float(height_um),
        composition=composition,
        surroundings=surroundings,
        artefacts=draw_artefacts(draws, width_um=width_um, height_um=height_um),
        haematoxylin=haematoxylin,
        eosin=eosin,
        seed=seed,
        label=name,
    )
    return PlannedSlide(
        file=f"{folder}/slides/{name}",
        truth=f"truth/slides/{Path(name).stem}.truth.npz",
        recipe=recipe,
        scanner=replace(get_scanner(str(entry["SCANNER"])), mpp=float(entry["MPP"])),
    )


def _surroundings(draws: Draws) -> Surroundings:
    """Draw what lies around the tumour: each in some slides only."""
    there, much = draws.uniform("around", 6).reshape(2, 3)
    shares = np.where(there < (0.6, 0.6, 0.4), 0.06 + 0.10 * much, 0.0).round(3)
    mucosa, muscle, fat = shares.tolist()
    return Surroundings(mucosa=mucosa, muscle=muscle, fat=fat)


def _metastasis(primary: Composition) -> Composition:
    """Metastases look like their primary, with more necrosis."""
    kept = 1.0 - _MORE_NECROSIS
    tumour, stroma = (max(round(kept * x, 4), 0.02) for x in (primary.tumour, primary.stroma))
    lymphocytes = round(kept * primary.lymphocytes, 4)
    necrosis = min(kept * primary.necrosis + _MORE_NECROSIS, 1.0 - tumour - stroma - lymphocytes)
    return replace(
        primary,
        tumour=tumour,
        stroma=stroma,
        lymphocytes=lymphocytes,
        necrosis=round(necrosis, 4),
        budding=0,
    )


@dataclass(frozen=True, kw_only=True)
class PaintingDone:
    """What became of the slides.

    Parameters
    ----------
    painted, kept : int
        Slides that were painted now, and that were there already.
    failures : mapping of str to Failure
        By file.
    """

    painted: int
    kept: int
    failures: Mapping[str, Failure] = field(default_factory=dict)


def paint_slides(
    planned: Sequence[PlannedSlide],
    folder: Path,
    *,
    workers: int = 1,
    executor: Executor | None = None,
) -> PaintingDone:
    """Paint slides that are not there yet.

    Parameters
    ----------
    planned : sequence of PlannedSlide
        What is wanted.
    folder : Path
        Of the study.
    workers : int
        How many are painted at a time, each in a process of its own.
    executor : Executor, optional
        Who paints; a pool of processes when left out.

    Returns
    -------
    PaintingDone
        painted + kept + failures = planned.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, when the slides that were begun are finished; run it again to go on.
    """
    missing = [
        slide
        for slide in planned
        if not is_painted(folder / slide.file, folder / slide.truth, slide.recipe, slide.scanner)
    ]
    tasks = [
        Task(
            key=slide.file,
            payload={
                "slide": str(folder / slide.file),
                "truth": str(folder / slide.truth),
                "recipe": slide.recipe.to_json(),
                "scanner": asdict(slide.scanner),
            },
        )
        for slide in missing
    ]
    failures: dict[str, Failure] = {}
    executor = executor or ProcessPool(workers=workers)
    if tasks:
        steps = track(
            executor.run(paint_planned, tasks),
            label="Painting slides",
            total=len(tasks),
            unit="slides",
        )
        for result in steps:
            if result.failure is not None:
                steps.fail()
                failures[result.key] = result.failure
    return PaintingDone(
        painted=len(tasks) - len(failures), kept=len(planned) - len(tasks), failures=failures
    )


def paint_planned(payload: Mapping[str, Any]) -> dict[str, str]:
    """Paint one slide: the task of `paint_slides`.

    Parameters
    ----------
    payload : mapping
        ``slide`` and ``truth`` (paths), ``recipe`` (as `Recipe.to_json` gives it) and ``scanner``
        (its fields).

    Returns
    -------
    dict
        ``slide_sha256`` and ``truth_sha256``.
    """
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in payload["scanner"].items()
    }
    done = paint_slide(
        Path(payload["slide"]),
        Recipe.from_json(payload["recipe"]),
        Scanner(**values),
        truth=Path(payload["truth"]),
    )
    return {"slide_sha256": done.slide_sha256, "truth_sha256": done.truth_sha256}
