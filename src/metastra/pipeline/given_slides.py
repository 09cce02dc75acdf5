"""New patients' slides for a bundle: listed, extracted as the contract says, or reused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from metastra.bundle.contract import SlideContract
from metastra.bundle.opened import Bundle
from metastra.bundle.slide_reading import GivenSlide, PatientSlides
from metastra.bundle.slide_scope import stain_accepted
from metastra.catalogue import problem
from metastra.cohort.drawn_regions import region_name
from metastra.cohort.hierarchy import Slide
from metastra.cohort.tables import TableFormat, read_table, require_columns
from metastra.cohort.tissue_tables import TissueReading, read_slides
from metastra.errors import BundleError, ConfigError, DataError, Problem, Severity, Where
from metastra.executor import Executor, ProcessPool
from metastra.extraction.batch import LIMITS, SlideFate, extract_all
from metastra.extraction.job import SlideJob
from metastra.extraction.naming import name_slides
from metastra.features.store import FeatureStore
from metastra.pipeline.encoders_chosen import contract_choice, limits_for
from metastra.pipeline.qc_review import not_met, review_of
from metastra.pipeline.slide_regions import regions_of
from metastra.storage import hold, sweep_orphans
from metastra.tissue.geojson import RegionOrigin

__all__ = ["SlideSource", "SlidesGiven", "give_slides", "require_encoder"]

_FEATURE_ENDINGS = (".h5", ".hdf5")


@dataclass(frozen=True, kw_only=True)
class SlideSource:
    """Where the slides of new patients are.

    Parameters
    ----------
    table : Path
        PATIENT, FILENAME, and where they are there MPP, STAIN, SCANNER.
    folder : Path
        Of the files; a feature file (.h5) counts as a slide.
    store : Path
        Folder of the feature files that are made, or are there already.
    written : TableFormat
        How the table is written.
    weights : Path or None
        Folder of the encoder's weights; None for its usual place.
    workers : int
        Slides at a time.
    executor : Executor or None
        Where slides are worked on; child processes of this machine where None.
    tell : callable or None
        Told what happens at Ctrl-C, and which slides of the review were not met.
    region : Path or None
        A folder with a ``.geojson`` named as each slide, or the file of the one slide.
    region_origin : {"qupath", "level0"}
        See `metastra.tissue.geojson.read_region_file`.
    review : Path or None
        A reviewer's decisions, as `metastra qc` reads them; ``qc_review.csv`` in `store` where that
        exists.
    """

    table: Path
    folder: Path
    store: Path
    written: TableFormat = field(default_factory=TableFormat)
    weights: Path | None = None
    workers: int = 1
    executor: Executor | None = None
    tell: Callable[[str], None] | None = None
    region: Path | None = None
    region_origin: RegionOrigin = "qupath"
    review: Path | None = None


@dataclass(frozen=True, kw_only=True)
class SlidesGiven:
    """The slides of new patients with their features.

    Parameters
    ----------
    patients : tuple of PatientSlides
        In the order of the ids that were asked for.
    counts : dict of str to int
        Slides by what became of them: done, excluded, failed, left out.
    problems : tuple of Problem
        Of the slide table, and of each slide that failed or was left out.
    """

    patients: tuple[PatientSlides, ...]
    counts: dict[str, int]
    problems: tuple[Problem, ...]


def give_slides(bundle: Bundle, source: SlideSource, ids: Sequence[str]) -> SlidesGiven:
    """Bring the slides of patients into the features that a bundle reads.

    Parameters
    ----------
    bundle : Bundle
        Of kind ``slides``.
    source : SlideSource
        Where the slides are.
    ids : sequence of str
        Of the patients, in normal form.

    Returns
    -------
    SlidesGiven
        Every listed slide of these patients is accounted for.

    Raises
    ------
    DataError
        If the slide table cannot be used, or names a file that is not there; QC025 for slides
        without a region where a folder of regions is given; QC040 and QC042 to QC044 for a review.
    BundleError
        BU025, if the encoder that is installed here is not the contract's.
    ConfigError
        If the bundle reads no slides, or no encoder has the contract's name.
    """
    contract = bundle.contract.slides
    if contract is None:
        raise ConfigError(f"the bundle {bundle.name!r} reads no slides: leave out --slide-table")
    listed, problems = _listed(source, ids)
    paths = [slide.path for mine in listed.values() for slide in mine if slide.path is not None]
    names = {path: name for name, path in name_slides(paths).items()}
    jobs, refused = [], {}
    for slide in (slide for mine in listed.values() for slide in mine):
        if slide.path is None:
            continue
        name = names[slide.path]
        if not stain_accepted(contract, slide.stain):
            refused[name] = problem(
                "BU028", f"STAIN is {slide.stain!r}", where=Where(file=slide.filename)
            )
            continue
        jobs.append(_job(contract, source, slide, name))
    jobs = _limited(source, jobs)
    if any(not job.is_features for job in jobs):
        require_encoder(bundle, contract, source.weights)
    fates = _extracted(source, jobs, contract)
    problems += list(refused.values())
    problems += [
        replace(one, severity=Severity.WARN)
        for fate in fates.values()
        if fate.failure is not None
        for one in fate.failure.problems
    ]
    store = FeatureStore(source.store)
    patients = [
        _patient([(slide, names[slide.path]) for slide in mine if slide.path], fates, store)
        for mine in (listed.get(one, []) for one in ids)
    ]
    counts = Counter(fate.state for fate in fates.values())
    if refused:
        counts["left out"] = len(refused)
    return SlidesGiven(
        patients=tuple(patients), counts=dict(sorted(counts.items())), problems=tuple(problems)
    )


def _listed(
    source: SlideSource, ids: Sequence[str]
) -> tuple[dict[str, list[Slide]], list[Problem]]:
    """Read the slide table; slides of patients who are not asked for are passed over."""
    table, problems = read_table(source.table, format=source.written)
    if table is not None:
        problems = [*problems, *require_columns(table, ["PATIENT", "FILENAME"])]
    if table is None or any(one.severity is Severity.REFUSE for one in problems):
        raise DataError("the slide table cannot be read; nothing was predicted", problems)
    reading = TissueReading(
        table=table, actual=str, days=lambda _id, _index: None, pseudonymise=lambda _id: ""
    )
    listed, found = read_slides(reading, folder=source.folder, specimens={}, require_files=True)
    problems = [*problems, *(replace(one, patients=()) for one in found)]
    if any(one.severity is Severity.REFUSE for one in problems):
        raise DataError("the slides cannot be used; nothing was predicted", problems)
    wanted = set(ids)
    others = sum(len(mine) for one, mine in listed.items() if one not in wanted)
    if others:
        text = f"{others} slides of patients who are not in the table"
        where = Where(file=source.table.name)
        problems.append(problem("CO019", text, where=where, severity=Severity.NOTE))
    return {one: mine for one, mine in listed.items() if one in wanted}, list(problems)


def _job(contract: SlideContract, source: SlideSource, slide: Slide, name: str) -> SlideJob:
    choice = contract_choice(contract, source.weights)
    return SlideJob(
        path=str(slide.path),
        name=name,
        shown=slide.filename,
        folder=str(source.store),
        encoder=choice.name,
        weights=choice.weights,
        engine=choice.engine,
        target_mpp=contract.target_mpp or 0.5,
        tile_px=contract.tile_px or 224,
        mpp=slide.mpp,
        mpp_source="table",
        is_features=Path(slide.filename).suffix.lower() in _FEATURE_ENDINGS,
        stain=slide.stain,
    )


def require_encoder(bundle: Bundle, contract: SlideContract, weights: Path | None = None) -> None:
    """Refuse to extract with an encoder that is not the one the model was fitted on.

    Parameters
    ----------
    bundle : Bundle
        Of kind ``slides``.
    contract : SlideContract
        Of the bundle.
    weights : Path, optional
        Folder of the encoder's weights.

    Raises
    ------
    BundleError
        BU025, with what differs.
    ConfigError
        If no encoder has the contract's name, or its weights are not here.
    """
    card = contract_choice(contract, weights).card()
    if card.digest == contract.encoder_digest:
        return
    known = bundle.slides.encoder.card if bundle.slides is not None else {}
    here = card.to_json()
    differing = [
        f"{key} is {here[key]!r} here, {known[key]!r} in the bundle"
        for key in sorted(here)
        if key in known and here[key] != known[key] and key != "feature_names"
    ]
    found = f"encoder {card.name!r} of this installation: {'; '.join(differing) or 'another card'}"
    hint = "Install the version of metastra that made the bundle, or give its feature files."
    if card.weights_sha256 != known.get("weights_sha256"):
        hint = (
            f"Give the weights with sha256 {known.get('weights_sha256')} by --weights, or the "
            "feature files that they made."
        )
    where = Where(file="encoder.json")
    raise BundleError(
        "the slides cannot be read as the bundle demands; nothing was predicted",
        [problem("BU025", found, where=where, hint=hint)],
    )


def _limited(source: SlideSource, jobs: Sequence[SlideJob]) -> list[SlideJob]:
    """Give each job its drawn region, and the slides that a reviewer turned round."""
    decisions = review_of(source.review, source.store)
    overridden = tuple(sorted(one.slide for one in decisions if one.override))
    drawn = {job.name: region_name(job.shown) for job in jobs if not job.is_features}
    regions = regions_of(source.region, drawn)
    return [
        replace(
            job,
            overridden=overridden,
            region=regions.get(job.name),
            region_origin=source.region_origin,
        )
        for job in jobs
    ]


def _extracted(
    source: SlideSource, jobs: Sequence[SlideJob], contract: SlideContract
) -> dict[str, SlideFate]:
    if not jobs:
        return {}
    pixels = any(not job.is_features for job in jobs)
    limits = limits_for(contract_choice(contract, source.weights)) if pixels else LIMITS
    executor = source.executor or ProcessPool(
        workers=source.workers, limits=limits, tell=source.tell
    )
    with hold(source.store):
        sweep_orphans(source.store, older_than_s=0)
        fates = {fate.job.name: fate for fate in extract_all(executor, jobs)}
    digests = [fate.outcome.slide_digest for fate in fates.values() if fate.outcome is not None]
    unknown = not_met(review_of(source.review, source.store), digests)
    if source.tell is not None and unknown:
        source.tell(unknown)
    return fates


def _patient(
    slides: Sequence[tuple[Slide, str]], fates: dict[str, SlideFate], store: FeatureStore
) -> PatientSlides:
    given, lost = [], []
    for slide, name in slides:
        fate = fates.get(name)
        if fate is None:
            lost.append(f"{slide.filename}: BU028 STAIN is {slide.stain!r}")
        elif fate.failure is not None:
            said = "; ".join(f"{one.code} {one.found}" for one in fate.failure.problems)
            lost.append(f"{slide.filename}: {said or fate.failure.message}")
        elif fate.outcome is not None and fate.outcome.n_tiles:
            given.append(
                GivenSlide(
                    name=slide.filename,
                    open=partial(store.open, name),
                    stain=slide.stain,
                    scanner=slide.scanner,
                )
            )
        else:
            excluded = fate.outcome.excluded if fate.outcome is not None else ""
            lost.append(f"{slide.filename}: {excluded or 'no tile'}")
    return PatientSlides(slides=tuple(given), lost=tuple(lost))
