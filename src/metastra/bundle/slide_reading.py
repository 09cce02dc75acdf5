"""From the feature files of patients to slide scores, each file held against the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.contract import SlideContract
from metastra.bundle.opened import Bundle
from metastra.bundle.slide_model import SlideReading
from metastra.bundle.slide_parts import SlideParts
from metastra.bundle.slide_scope import (
    feature_problems,
    grouped,
    left_out,
    other_region,
    outside_words,
)
from metastra.catalogue import problem
from metastra.errors import BundleError, ConfigError, DataError, Problem, Where
from metastra.features.bag import Bag
from metastra.progress import track

__all__ = ["GivenSlide", "PatientSlides", "SlideReadings", "read_patients"]

_BLOCK_ROWS = 4096
_SHOWN_FEATURES = 3


@dataclass(frozen=True, kw_only=True)
class GivenSlide:
    """One slide of a patient whose features are there.

    Parameters
    ----------
    name : str
        What messages call it.
    open : callable
        Gives its bag.
    stain, scanner : str
        As the slide table has them; empty where it says nothing.
    """

    name: str
    open: Callable[[], Bag]
    stain: str = ""
    scanner: str = ""


@dataclass(frozen=True, kw_only=True)
class PatientSlides:
    """The slides of one patient.

    Parameters
    ----------
    slides : tuple of GivenSlide
        With features.
    lost : tuple of str
        For each slide without features, its name and why.
    """

    slides: tuple[GivenSlide, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SlideReadings:
    """What the slide models say of n patients.

    Parameters
    ----------
    slide_scores, pooled_scores : ndarray of shape (n,)
        Higher is worse; NaN for patients without a usable slide.
    n_tiles : ndarray of shape (n,), int64
        Tiles that were read.
    refused : tuple of str or None, of length n
        Why a patient has no score.
    outside : tuple of str, of length n
        In what a patient's slides lie outside the validated range; empty where they do not.
    notes : tuple of str, of length n
        What else should be read before the risk.
    problems : tuple of Problem
        Warnings, each with the slides or the number of patients.
    """

    slide_scores: NDArray[np.float64]
    pooled_scores: NDArray[np.float64]
    n_tiles: NDArray[np.int64]
    refused: tuple[str | None, ...]
    outside: tuple[str, ...]
    notes: tuple[str, ...]
    problems: tuple[Problem, ...] = ()


def read_patients(bundle: Bundle, patients: Sequence[PatientSlides]) -> SlideReadings:
    """Score the slides of patients.

    Parameters
    ----------
    bundle : Bundle
        Of kind ``slides``.
    patients : sequence of PatientSlides
        In the order of the table that is predicted.

    Returns
    -------
    SlideReadings
        Memory is bounded by a block of tiles.

    Raises
    ------
    BundleError
        With BU025, BU026 or BU027 for every slide whose features are not the contract's; nothing
        is scored then.
    ConfigError
        If the bundle reads no slides.
    """
    parts, contract = bundle.slides, bundle.contract.slides
    if parts is None or contract is None:
        raise ConfigError(f"the bundle {bundle.name!r} reads no slides: leave out the slide table")
    problems = [
        one
        for patient in patients
        for slide in patient.slides
        if isinstance(bag := _opened(slide), Bag)
        for one in feature_problems(contract, bag, slide.name)
    ]
    if problems:
        raise BundleError(
            "the features are not those of the bundle; nothing was predicted", grouped(problems)
        )
    made = [
        _read(parts, contract, patient)
        for patient in track(patients, label="slide scores", unit="patients")
    ]
    return SlideReadings(
        slide_scores=np.array([one.slide for one in made], dtype=np.float64),
        pooled_scores=np.array([one.pooled for one in made], dtype=np.float64),
        n_tiles=np.array([one.n_tiles for one in made], dtype=np.int64),
        refused=tuple(one.refused for one in made),
        outside=tuple("; ".join(one.outside) for one in made),
        notes=tuple("; ".join(one.notes) for one in made),
        problems=tuple(_problems(made)),
    )


@dataclass(kw_only=True)
class _Read:
    """What was found of one patient."""

    slide: float = np.nan
    pooled: float = np.nan
    n_tiles: int = 0
    refused: str | None = None
    outside: list[str]
    notes: list[str]
    problems: list[Problem]


def _opened(slide: GivenSlide) -> Bag | str:
    """Open the features of a slide, or say why that cannot be."""
    try:
        return slide.open()
    except DataError as error:
        return "; ".join(f"{one.code} {one.found}" for one in error.problems) or str(error)


def _read(parts: SlideParts, contract: SlideContract, patient: PatientSlides) -> _Read:
    found = _Read(outside=[], notes=[], problems=[])
    lost, bags = list(patient.lost), []
    for slide in patient.slides:
        bag = _opened(slide)
        if isinstance(bag, str):
            lost.append(f"{slide.name}: {bag}")
            continue
        if (why := left_out(contract, bag, slide.stain, slide.name)) is not None:
            found.problems.append(why)
            lost.append(f"{slide.name}: {why.code} {why.found}")
        elif not len(bag):
            lost.append(f"{slide.name}: {bag.origin.excluded or 'no tile'}")
        else:
            bags.append(bag)
            found.outside += outside_words(contract, bag, slide.scanner)
            if contract.quality_digest and bag.origin.quality_digest != contract.quality_digest:
                found.notes.append(f"{slide.name}: tiles chosen by another rule")
                where = Where(file=slide.name)
                found.problems.append(problem("BU033", "another rule", where=where))
            if (other := other_region(contract, bag, slide.name)) is not None:
                found.notes.append(f"{slide.name}: {other.found}, the model is of {other.expected}")
                found.problems.append(other)
    if not bags:
        found.refused = "no usable slide" + (f": {'; '.join(lost)}" if lost else ": none is given")
        found.outside, found.notes = [], []
        return found
    if lost:
        found.notes.append(
            f"{len(lost)} of {len(lost) + len(bags)} slides not used: {'; '.join(lost)}"
        )
    try:
        reading = parts.model.read(_blocks(bags))
        found.pooled = parts.pooled.score(_blocks(bags))
    except DataError as error:
        said = "; ".join(f"{one.where.file}: {one.code} {one.found}" for one in error.problems)
        found.refused = f"no usable slide: {said or error}"
        found.outside = []
        return found
    found.slide, found.n_tiles = reading.score, reading.n_tiles
    found.outside = [*_features(parts, contract, reading), *dict.fromkeys(found.outside)]
    return found


def _features(parts: SlideParts, contract: SlideContract, reading: SlideReading) -> list[str]:
    """Say that too many features lie where the development patients' did not."""
    outside = np.asarray(reading.outside, dtype=np.int64)
    if outside.size <= contract.share_outside * contract.dimension:
        return []
    model, names = parts.model, parts.encoder.feature_names
    low, high, mean = model.typical_low[outside], model.typical_high[outside], reading.mean[outside]
    far = np.maximum(low - mean, mean - high) / model.scale[outside]
    most = outside[np.argsort(-far, kind="stable")][:_SHOWN_FEATURES]
    shown = ", ".join(names[k] if names else f"feature {k}" for k in most.tolist())
    return [f"{outside.size} of {contract.dimension} tile features (most: {shown})"]


def _blocks(bags: Sequence[Bag]) -> Iterator[NDArray[np.float32]]:
    for bag in bags:
        for start in range(0, len(bag), _BLOCK_ROWS):
            yield bag.rows(slice(start, start + _BLOCK_ROWS))


def _problems(made: Sequence[_Read]) -> list[Problem]:
    """Warn once for each slide that was left out, and count patients."""
    problems = [one for item in made for one in item.problems]
    without = sum(item.refused is not None for item in made)
    fewer = sum("slides not used" in note for item in made for note in item.notes)
    outside = sum(bool(item.outside) for item in made)
    for code, count, words in (
        ("BU030", without, "without a usable slide"),
        ("BU031", outside, "with slides outside the validated range"),
        ("BU032", fewer, "whose slides could not all be used"),
    ):
        if count:
            found = f"{count} patient{'s' if count > 1 else ''} {words}"
            problems.append(problem(code, found))
    return problems
