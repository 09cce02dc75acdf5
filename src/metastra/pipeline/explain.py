"""Explain loose slides by a bundle: features, map, test of the map, extreme tiles, pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from metastra.bundle.loading import open_bundle
from metastra.bundle.opened import Bundle
from metastra.bundle.slide_reading import GivenSlide, PatientSlides, read_patients
from metastra.bundle.slide_scope import left_out
from metastra.errors import ConfigError
from metastra.executor import Executor, ProcessPool
from metastra.extraction.batch import LIMITS, SlideFate, extract_all
from metastra.extraction.job import SlideJob
from metastra.extraction.naming import name_slides
from metastra.features.store import FeatureStore
from metastra.pipeline.encoders_chosen import contract_choice, limits_for
from metastra.pipeline.explaining import SlideToExplain, explain_slides, slide_parts
from metastra.pipeline.given_slides import require_encoder
from metastra.pipeline.predict import bundle_folder
from metastra.progress import track
from metastra.slides.folders import slide_files
from metastra.slides.resolution import require_mpp
from metastra.storage import (
    Recipe,
    completeness,
    hold,
    read_product_json,
    sweep_orphans,
    value_parent,
    write_product,
)

__all__ = ["ExplainRequest", "ExplainSummary", "ExplainedSlide", "explain"]

_FEATURE_ENDINGS = (".h5", ".hdf5")
_STORE = "features/"
_KIND = "slide-explanation"


@dataclass(frozen=True, kw_only=True)
class ExplainRequest:
    """What is to be explained, and where to.

    Parameters
    ----------
    bundle : Path
        A bundle, a run, or the folder of its study.
    slides : tuple of Path
        Slides or feature files; a folder stands for the files in it.
    out : Path
        Gets a folder for each slide.
    slide_mpp : float or None
        Micrometres per level-0 pixel of all these slides, where the files do not say.
    together : bool
        Whether the slides are of one patient and make one score; otherwise each is taken for the
        only slide of its patient.
    workers : int
        Slides at a time.
    weights : Path or None
        Folder of the encoder's weights; None for its usual place.
    """

    bundle: Path
    slides: tuple[Path, ...]
    out: Path
    slide_mpp: float | None = None
    together: bool = False
    workers: int = 1
    weights: Path | None = None


@dataclass(frozen=True, kw_only=True)
class ExplainedSlide:
    """What became of one slide.

    Parameters
    ----------
    name : str
        Of the slide and of its folder.
    state : {"explained", "excluded", "failed"}
        What became of it.
    why : str
        Why there is no explanation; empty where there is one.
    outside : str
        In what it lies outside the validated range; empty where it does not.
    document : mapping
        The content of its ``explanation.json``; empty without one.
    """

    name: str
    state: str
    why: str = ""
    outside: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """Say what was found, what should be read first in front.

        Returns
        -------
        str
            For a person.
        """
        if self.state != "explained":
            return f"{self.name}: {self.state}: {self.why}"
        said, tested = self.document, self.document["faithfulness"]
        if said["contributions"]["reason"]:
            verdict = said["contributions"]["reason"]
        elif not tested["tested"]:
            verdict = f"map not tested: {tested['reason']}"
        elif tested["beats_random"]:
            verdict = f"map beats random order (area {tested['area_between']:.3g})"
        else:
            verdict = "MAP DOES NOT BEAT RANDOM ORDER: do not read it"
        warning = f"OUTSIDE THE VALIDATED RANGE: {self.outside}; " if self.outside else ""
        return (
            f"{self.name}: {warning}slide score {said['slide_score']:.3g} of "
            f"{said['n_tiles_of_patient']} tiles; {verdict}"
        )


@dataclass(frozen=True, kw_only=True)
class ExplainSummary:
    """What became of the slides.

    Parameters
    ----------
    out : Path
        Folder of the explanations.
    bundle : str
        Its digest.
    slides : tuple of ExplainedSlide
        In the order in which they were named.
    """

    out: Path
    bundle: str
    slides: tuple[ExplainedSlide, ...]

    @property
    def failed(self) -> int:
        """Slides without an explanation."""
        return sum(slide.state != "explained" for slide in self.slides)

    def lines(self) -> list[str]:
        """Say what was done.

        Returns
        -------
        list of str
            For a person.
        """
        return [*(slide.line() for slide in self.slides), f"explanations: {self.out}"]

    def to_json(self) -> dict[str, Any]:
        """Write the summary as plain values.

        Returns
        -------
        dict
            Strict JSON.
        """
        return {
            "bundle": self.bundle,
            "slides": [
                {
                    "slide": slide.name,
                    "state": slide.state,
                    "reason": slide.why or None,
                    "outside_the_validated_range": slide.outside or None,
                    "slide_score": slide.document.get("slide_score"),
                    "faithfulness": {
                        key: value
                        for key, value in slide.document.get("faithfulness", {}).items()
                        if key != "curves"
                    },
                }
                for slide in self.slides
            ],
        }


def explain(
    request: ExplainRequest,
    *,
    executor: Executor | None = None,
    tell: Callable[[str], None] | None = None,
) -> ExplainSummary:
    """Explain slides by a bundle; what is finished is left alone.

    Parameters
    ----------
    request : ExplainRequest
        What is to be explained.
    executor : Executor, optional
        Where slides are read; child processes of this machine by default.
    tell : callable, optional
        Told what happens at Ctrl-C.

    Returns
    -------
    ExplainSummary
        With every slide: explained, excluded or failed.

    Raises
    ------
    ConfigError
        If the bundle reads no slides, or no slide is named.
    BundleError
        If the bundle does not hold, or features are not those that it reads (BU025 to BU027).
    DataError
        SL057 if two slides would share a folder.
    BusyError, ResourceError, IntegrityError
        As for ``extract``.
    """
    require_mpp(request.slide_mpp)
    bundle = open_bundle(bundle_folder(request.bundle))
    slide_parts(bundle)
    named = name_slides(slide_files(request.slides))
    if not named:
        raise ConfigError("no slide was named; give slides, or folders with slides in them")
    if _STORE.removesuffix("/") in named:
        raise ConfigError(
            f"a slide cannot be called {_STORE.removesuffix('/')!r} here, since the folder of the "
            "features has that name; rename it"
        )
    contract = bundle.contract.slides
    limits = LIMITS if contract is None else limits_for(contract_choice(contract, request.weights))
    pool = executor or ProcessPool(workers=request.workers, limits=limits, tell=tell)
    with hold(request.out):
        sweep_orphans(request.out, older_than_s=0)
        fates = _features(request, bundle, named, pool)
        names = [name for name in named if fates[name].state == "done"]
        groups = [names] if request.together and names else [[name] for name in names]
        explained: dict[str, ExplainedSlide] = {}
        for group in track(groups, label="explain", unit="patients"):
            paths = {name: named[name] for name in group}
            explained |= _group(request, bundle, paths, fates, pool)
    slides = tuple(explained.get(name) or _lost(name, fates[name]) for name in named)
    return ExplainSummary(out=request.out, bundle=bundle.digest, slides=slides)


def _features(
    request: ExplainRequest, bundle: Bundle, named: Mapping[str, Path], pool: Executor
) -> dict[str, SlideFate]:
    """Make the features that the bundle reads, or take those that are given."""
    contract = bundle.contract.slides
    if contract is None:
        raise ConfigError(f"the bundle {bundle.name!r} says nothing of slides")
    choice = contract_choice(contract, request.weights)
    jobs = [
        SlideJob(
            path=str(path),
            name=name,
            folder=str(request.out),
            prefix=_STORE,
            encoder=choice.name,
            weights=choice.weights,
            engine=choice.engine,
            target_mpp=contract.target_mpp or 0.5,
            tile_px=contract.tile_px or 224,
            mpp=request.slide_mpp,
            is_features=path.suffix.lower() in _FEATURE_ENDINGS,
        )
        for name, path in named.items()
    ]
    if any(not job.is_features for job in jobs):
        require_encoder(bundle, contract, request.weights)
    return {fate.job.name: fate for fate in extract_all(pool, jobs)}


def _group(
    request: ExplainRequest,
    bundle: Bundle,
    paths: Mapping[str, Path],
    fates: Mapping[str, SlideFate],
    pool: Executor,
) -> dict[str, ExplainedSlide]:
    """Explain the slides of one patient, unless that is done."""
    store = FeatureStore(request.out, _STORE)
    given = PatientSlides(
        slides=tuple(GivenSlide(name=name, open=partial(store.open, name)) for name in paths)
    )
    readings = read_patients(bundle, [given])
    if (refused := readings.refused[0]) is not None:
        return {name: ExplainedSlide(name=name, state="excluded", why=refused) for name in paths}
    outside = readings.outside[0]
    # the score is of the slides within the contract, and so is what explains it
    lost = _outside_the_contract(bundle, store, paths)
    paths = {name: path for name, path in paths.items() if name not in lost}
    recipe = Recipe(
        kind=_KIND,
        parents={
            "bundle": value_parent("bundle", bundle.digest.removeprefix("sha256:")),
            **{name: value_parent("features", store.record(name).digest) for name in paths},
        },
        settings={"layout": 2},
    )
    if not all(completeness(request.out, f"explanations/{name}", recipe) for name in paths):
        slides = [_slide(request, store, name, path) for name, path in paths.items()]
        about = {"outside_the_validated_range": outside or None, "note": _note(paths)}
        made = explain_slides(bundle, slides, about, pool)
        for name, files in made.files.items():
            placed = {f"{name}/{file}": content for file, content in files.items()}
            write_product(request.out, f"explanations/{name}", recipe, placed)
    return lost | {
        name: ExplainedSlide(
            name=name,
            state="explained",
            outside=outside,
            document=read_product_json(
                request.out, f"explanations/{name}", f"{name}/explanation.json"
            ),
        )
        for name in paths
        if fates[name].state == "done"
    }


def _outside_the_contract(
    bundle: Bundle, store: FeatureStore, names: Iterable[str]
) -> dict[str, ExplainedSlide]:
    """Name the slides that the bundle does not read, for instance of another scale."""
    contract = bundle.contract.slides
    found = {}
    for name in names:
        if contract is not None and (why := left_out(contract, store.open(name), "", name)):
            said = f"{why.code} {why.found}"
            found[name] = ExplainedSlide(name=name, state="excluded", why=said)
    return found


def _note(paths: Sequence[str] | Mapping[str, Path]) -> str:
    if len(paths) > 1:
        return f"Scored together as the {len(paths)} slides of one patient."
    return "Scored as the only slide of its patient."


def _slide(request: ExplainRequest, store: FeatureStore, name: str, path: Path) -> SlideToExplain:
    pixels = None if path.suffix.lower() in _FEATURE_ENDINGS else path
    return SlideToExplain(name=name, bag=store.open(name), path=pixels, mpp=request.slide_mpp)


def _lost(name: str, fate: SlideFate) -> ExplainedSlide:
    if fate.failure is not None:
        said = "; ".join(f"{one.code} {one.found}" for one in fate.failure.problems)
        return ExplainedSlide(name=name, state="failed", why=said or fate.failure.message)
    why = fate.outcome.excluded if fate.outcome is not None else "not begun"
    return ExplainedSlide(name=name, state="excluded", why=why)
