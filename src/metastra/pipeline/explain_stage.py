"""The stage ``explanation``: the patients of extreme risk in each cohort, explained."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metastra.bundle.loading import open_bundle
from metastra.bundle.opened import Bundle
from metastra.bundle.slide_scope import left_out
from metastra.errors import NotEstimable
from metastra.explanation.contributions import UNIT
from metastra.extraction.batch import LIMITS
from metastra.pipeline.explaining import SlideToExplain, explain_slides
from metastra.pipeline.model_recipes import BUNDLE_DIR, fits_slides, no_model
from metastra.pipeline.study_slides import study_slides
from metastra.pipeline.workshop import Stage
from metastra.progress import track
from metastra.storage import Recipe, csv_rows, json_bytes, product_parent, read_product_bytes

if TYPE_CHECKING:
    from metastra.pipeline.workshop import Workshop

__all__ = ["EXPLANATION_STAGE", "Extreme", "extremes"]

_PREFIX = "explanation/"
_RESEARCH_USE = "Research use only. Not for diagnosis or treatment."
_BY_BUNDLE = "The bundle gave this risk and is what is explained."
_OUT_OF_FOLD = (
    "The risk is out of fold: models fitted without this patient's fold gave it. Explained is the "
    "bundle, which was fitted on all development patients, this one among them, so its slide "
    "score is another one."
)


@dataclass(frozen=True, kw_only=True)
class Extreme:
    """A patient with the highest or the lowest risk of a cohort.

    Parameters
    ----------
    cohort : str
        Name.
    which : {"highest", "lowest"}
        End of the risks.
    key : str
        Study id, as ``predictions.csv`` has it; never shown.
    risk : float
        By the primary horizon.
    inside : bool
        Whether the risk is out of fold.
    """

    cohort: str
    which: str
    key: str
    risk: float
    inside: bool


def extremes(table: bytes, horizon: float, cohorts: Sequence[str]) -> list[Extreme]:
    """Choose the patients with the highest and the lowest risk of each cohort.

    Parameters
    ----------
    table : bytes
        ``predictions.csv``.
    horizon : float
        The primary one.
    cohorts : sequence of str
        In the order of the study.

    Returns
    -------
    list of Extreme
        Highest first; of equal risks the first id; one patient alone is the highest.
    """
    header, rows = csv_rows(table)
    by_cohort: dict[str, list[tuple[float, str, bool]]] = defaultdict(list)
    for cells in rows:
        row = dict(zip(header, cells, strict=True))
        if float(row["horizon"]) == horizon and row["risk"]:
            found = (float(row["risk"]), row["PATIENT"], bool(row["fold"]))
            by_cohort[row["cohort"]].append(found)
    chosen = []
    for cohort in cohorts:
        ordered = sorted(by_cohort[cohort], key=lambda item: (-item[0], item[1]))
        ends = [("highest", ordered[0])] if ordered else []
        if len(ordered) > 1:
            lowest = min(ordered, key=lambda item: (item[0], item[1]))
            ends.append(("lowest", lowest))
        chosen += [
            Extreme(cohort=cohort, which=which, key=key, risk=risk, inside=inside)
            for which, (risk, key, inside) in ends
        ]
    return chosen


def _recipe(work: Workshop) -> Recipe:
    run_dir = work.opened.run_dir
    return Recipe(
        kind="explanation",
        parents={
            name: product_parent(run_dir, name) for name in ("features", "bundle", "predictions")
        },
        settings={"layout": 2, "seed": work.opened.study.study.seed},
    )


def _files(work: Workshop) -> dict[str, bytes]:
    run_dir, study = work.opened.run_dir, work.opened.study
    bundle = open_bundle(run_dir / BUNDLE_DIR)
    horizon = bundle.contract.primary_horizon
    table = read_product_bytes(run_dir, "predictions", "predictions.csv")
    chosen = extremes(table, horizon, [section.name for section in study.cohort])
    if not chosen:
        raise NotEstimable("no patient has a risk, so there is none to explain")
    files: dict[str, bytes] = {}
    entries = []
    for item in track(chosen, label="explain", unit="patients"):
        entry, made = _patient(work, bundle, item)
        entries.append(entry)
        files |= made
    index = {
        "research_use": _RESEARCH_USE,
        "unit": UNIT,
        "horizon": horizon,
        "time_unit": study.endpoint.time_unit.value,
        "bundle": bundle.digest,
        "patients": entries,
    }
    return {f"{_PREFIX}explanation.json": json_bytes(index)} | files


def _patient(
    work: Workshop, bundle: Bundle, item: Extreme
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Explain one patient; without usable slides only the reason is kept."""
    row = next(k for k, one in enumerate(work.cohort.patients) if one.key == item.key)
    patient = work.cohort.patients[row]
    note = _OUT_OF_FOLD if item.inside else _BY_BUNDLE
    entry: dict[str, Any] = {
        "patient": patient.pseudonym,
        "cohort": item.cohort,
        "which": item.which,
        "risk": item.risk,
        "note": note,
        "reason": None,
        "slides": [],
    }
    slides = _slides(work, bundle, row)
    if not slides:
        return entry | {"reason": work.bags.lost[row] or "no slide within the contract"}, {}
    about = {key: entry[key] for key in ("patient", "cohort", "which", "risk", "note")}
    made = explain_slides(
        bundle, slides, about, work.pool(LIMITS), seed=work.opened.study.study.seed
    )
    # first the slide on which most was raised or lowered: it is the one the report shows
    weight = {
        named.name: float(abs(made.found.risk.tiles[made.found.of_slide(which)]).sum())
        for which, named in enumerate(made.found.slides)
    }
    names = sorted(weight, key=lambda name: (-weight[name], name))
    entry["slides"] = [{"slide": name, "folder": f"{patient.pseudonym}/{name}"} for name in names]
    files = {
        f"{_PREFIX}{patient.pseudonym}/{name}/{file}": content
        for name in names
        for file, content in made.files[name].items()
    }
    return entry, files


def _slides(work: Workshop, bundle: Bundle, row: int) -> list[SlideToExplain]:
    """Open the features that made the patient's score: those within the contract."""
    contract = bundle.contract.slides
    pixels = {slide.name: slide for slide in study_slides(work)}
    found = []
    for given in work.bags.slides[row].slides:
        bag = given.open()
        if contract is not None and left_out(contract, bag, given.stain, given.name) is not None:
            continue
        source = pixels.get(given.name)
        path = None if source is None or source.is_features else source.path
        mpp = None if source is None else source.mpp
        found.append(SlideToExplain(name=given.name, bag=bag, path=path, mpp=mpp))
    return [slide for slide in found if len(slide.bag)]


EXPLANATION_STAGE = Stage(
    name="explanation",
    recipe=_recipe,
    make=_files,
    needs=("features", "bundle", "predictions"),
    skip=no_model,
    wanted=fits_slides,
)
"""After the predictions; studies whose model reads no slides do not have it."""
