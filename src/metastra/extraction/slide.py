"""One slide: from its pixels to a finished feature file, in memory that a batch of tiles bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from metastra.digest import digest_value
from metastra.encoders.choice import EncoderChoice
from metastra.encoders.encoder import Encoder, EncoderCard
from metastra.encoders.held import HeldEncoder, is_held
from metastra.executor import beat
from metastra.extraction.digests import noted_digest
from metastra.extraction.job import SlideJob
from metastra.extraction.outcome import SlideOutcome
from metastra.extraction.stored_quality import StoredQuality, quality_settings, stored_quality
from metastra.extraction.taking import take_features
from metastra.extraction.tile_pass import Clock, tile_pass
from metastra.features.bag import BagFrame, BagOrigin
from metastra.features.hdf5_layouts import read_h5
from metastra.features.store import FeatureStore, features_recipe
from metastra.features.writing import BagWriter
from metastra.slides.identity import reviewed_name
from metastra.slides.opening import open_slide
from metastra.slides.slide import Slide, require_brightfield, require_he
from metastra.storage import Recipe
from metastra.tiles.grid import TileGrid, make_grid
from metastra.tiles.reading import reading_of
from metastra.tissue.geojson import read_region_file, region_digest
from metastra.tissue.quality import MEASURES_VERSION, assess
from metastra.tissue.rules import TILE_RULES, tile_codes

__all__ = ["QUALITY_RULE", "choose_tiles", "extract_slide", "extract_task"]

QUALITY_RULE: dict[str, Any] = {"measures": MEASURES_VERSION, "tiles": asdict(TILE_RULES)}
"""How tiles fall out; part of the features' key."""


def extract_task(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Extract one slide, as the task of an executor.

    Parameters
    ----------
    payload : mapping
        A `SlideJob` as plain values.

    Returns
    -------
    dict
        A `SlideOutcome` as plain values.
    """
    job = SlideJob.from_plain(payload)
    return asdict(take_features(job) if job.is_features else extract_slide(job))


def extract_slide(job: SlideJob) -> SlideOutcome:
    """Make the feature files of one slide, unless they are there, whole and made as wanted.

    Several encoders (`SlideJob.also`) see the tiles of one pass: quality is judged once and each
    tile decoded once.

    Parameters
    ----------
    job : SlideJob
        What is to be done.

    Returns
    -------
    SlideOutcome
        Also for a slide without enough tissue, whose file then has no tiles; those of the other
        encoders in `SlideOutcome.also`.

    Raises
    ------
    SlideError
        If the slide cannot be opened or read, has no scale, is too coarse or is not H&E.
    DataError
        SL054 if the encoder gives numbers that cannot be kept.
    ResourceError, ConfigError, DigestMismatch
        If the file cannot be written, or the encoder's weights cannot be used.
    """
    clock = Clock()
    with open_slide(job.path, mpp=job.mpp, mpp_source=job.mpp_source) as slide:
        require_brightfield(slide.info)
        require_he(job.stain, job.shown)
        grid = make_grid(slide.info, job.spec)
        with clock.step("digest"):
            slide_digest = noted_digest(Path(job.path), job.name, Path(job.folder))
        turned = reviewed_name(slide_digest) in job.overridden
        works = [
            _work(number, one, grid, slide_digest, turned=turned)
            for number, one in enumerate((job, *job.also))
        ]
        missing = [work for work in works if not work.standing]
        made = _make(slide, grid, missing, slide_digest, clock, turned=turned) if missing else {}
        source = str(slide.info.mpp_source)
        first, *others = (
            made.get(number) or _standing(work, grid, slide_digest, source)
            for number, work in enumerate(works)
        )
    return replace(first, also=tuple(others))


@dataclass(frozen=True, kw_only=True)
class _Work:
    """A feature file that is wanted of the slide."""

    number: int
    job: SlideJob
    card: EncoderCard
    store: FeatureStore
    recipe: Recipe
    standing: str
    """Digest of the file that is there, whole and made as wanted; empty where there is none."""


def _work(number: int, job: SlideJob, grid: TileGrid, slide_digest: str, *, turned: bool) -> _Work:
    card, store = job.choice.card(), FeatureStore(Path(job.folder), job.prefix)
    recipe = _recipe(job, grid, slide_digest, card, turned=turned)
    state = store.state(job.name, recipe)
    return _Work(
        number=number,
        job=job,
        card=card,
        store=store,
        recipe=recipe,
        standing=state.manifest.digest if state and state.manifest is not None else "",
    )


def _make(
    slide: Slide,
    grid: TileGrid,
    works: list[_Work],
    slide_digest: str,
    clock: Clock,
    *,
    turned: bool,
) -> dict[int, SlideOutcome]:
    """Assess the slide, read its tiles once, and write the feature files, by their number."""
    job = works[0].job
    with clock.step("quality"):
        beat()
        quality = _quality(job, slide, slide_digest)
        beat()
        kept, dropped = choose_tiles(quality, grid, turned=turned)
    excluded = _excluded(quality, len(kept), len(grid), turned=turned)
    reading = reading_of(slide, kept) if len(kept) else ""
    encoders = [_encoder(work.job.choice) for work in works]
    reads = tile_pass(
        slide,
        kept,
        encoders,
        folder=Path(job.folder),
        batch=job.batch,
        readers=job.readers,
        clock=clock,
    )
    outcomes: dict[int, SlideOutcome] = {}
    with reads as passes:
        for work, blocks in zip(works, passes, strict=True):
            writer = BagWriter(
                coords=kept.coords,
                frame=_frame(slide, kept),
                origin=_origin(work, slide_digest, dropped, excluded, reading),
                dimension=work.card.dimension,
                blocks=blocks,
            )
            with clock.step("writing", less=("waiting", "encoding")):
                manifest = work.store.write(work.job.name, work.recipe, writer)
            outcomes[work.number] = SlideOutcome(
                name=work.job.name,
                made=True,
                n_tiles=len(kept),
                n_grid=len(grid),
                dropped=dropped,
                excluded=excluded,
                digest=manifest.digest,
                slide_digest=slide_digest,
                mpp=grid.mpp,
                mpp_source=str(slide.info.mpp_source),
                codes=tuple(item.to_json() for item in (*slide.info.problems, *quality.codes)),
                seconds=clock.seconds,
                reading=reading,
            )
    return outcomes


def _recipe(
    job: SlideJob, grid: TileGrid, slide_digest: str, card: EncoderCard, *, turned: bool
) -> Recipe:
    region = _region_digest(job)
    tiling = {
        "target_mpp": job.target_mpp,
        "tile_px": job.tile_px,
        "slide_mpp": list(grid.mpp),
        "region": region,
    }
    if region is not None and job.region_origin != "qupath":
        tiling["region_origin"] = job.region_origin
    return features_recipe(
        slide_digest=slide_digest,
        tiling=tiling,
        encoder_digest=_digest_of(card),
        quality={**QUALITY_RULE, "overridden": True} if turned else QUALITY_RULE,
    )


def _region_digest(job: SlideJob) -> str | None:
    if job.region is None:
        return None
    return region_digest(Path(job.region), shown=job.region_shown)


def _quality(job: SlideJob, slide: Slide, slide_digest: str) -> StoredQuality:
    """Read what the stage before found on the same slide; else assess it."""
    settings = quality_settings(job.mpp, _region_digest(job), job.region_origin)
    known = stored_quality(Path(job.folder), slide_digest, settings, slide.info.name)
    if known is not None:
        return known
    drawn = None
    if job.region:
        drawn = read_region_file(
            Path(job.region), slide.info, origin=job.region_origin, shown=job.region_shown
        )
    found = assess(slide, drawn)
    return StoredQuality(maps=found.maps, codes=found.codes, assessable=found.assessable)


def choose_tiles(
    quality: StoredQuality, grid: TileGrid, *, turned: bool = False
) -> tuple[TileGrid, dict[str, int]]:
    """Keep the tiles that nothing speaks against; none of a slide that is not to be used.

    Parameters
    ----------
    quality : StoredQuality
        Of the slide.
    grid : TileGrid
        All its tiles.
    turned : bool
        Whether a reviewer turned the verdict round.

    Returns
    -------
    kept : TileGrid
        In the order of the grid.
    dropped : dict of str to int
        Tiles that fell out, by code.
    """
    if not len(grid):
        return grid, {}
    codes = tile_codes(quality.maps.tile_fractions(grid.boxes_px0))
    found, counts = np.unique(codes[codes != ""], return_counts=True)
    dropped = dict(zip(found.tolist(), counts.tolist(), strict=True))
    if quality.assessable == turned:
        return grid.take(np.zeros(len(grid), dtype=bool)), dropped
    return grid.take(codes == ""), dropped


def _excluded(quality: StoredQuality, n_kept: int, n_grid: int, *, turned: bool) -> str:
    if quality.assessable and turned:
        return "left out by the reviewer"
    if not quality.assessable and not turned:
        reasons = [item for item in quality.codes if item.severity == "refuse"]
        told = "; ".join(f"{item.code} {item.found}" for item in reasons)
        return f"not assessable: {told}" if told else "not assessable"
    if not n_grid:
        return "the slide is smaller than a tile"
    return "" if n_kept else "no tile is left after quality control"


def _frame(slide: Slide, grid: TileGrid) -> BagFrame:
    info = slide.info
    return BagFrame(
        mpp=grid.mpp,
        tile_side_um=grid.spec.side_um,
        tile_side_px0=grid.side_px0,
        target_mpp=grid.spec.target_mpp,
        tile_px=grid.spec.tile_px,
        slide_size_px0=(info.width_px, info.height_px),
    )


def _origin(
    work: _Work, slide_digest: str, dropped: dict[str, int], excluded: str, reading: str
) -> BagOrigin:
    card, settings = work.card, work.recipe.settings
    return BagOrigin(
        name=work.job.name,
        encoder=card.name,
        engine=card.engine,
        precision=card.precision,
        slide_digest=slide_digest,
        tiling_digest=digest_value(settings["tiling"]),
        encoder_digest=_digest_of(card),
        quality_digest=digest_value(settings["quality"]),
        feature_names=card.feature_names,
        dropped=dropped,
        excluded=excluded,
        reading=reading,
    )


def _standing(work: _Work, grid: TileGrid, slide_digest: str, mpp_source: str) -> SlideOutcome:
    # every byte of it was held against its record just now
    bag = read_h5(work.store.path(work.job.name))
    return SlideOutcome(
        name=work.job.name,
        made=False,
        n_tiles=len(bag),
        n_grid=len(grid),
        dropped=dict(bag.origin.dropped),
        excluded=bag.origin.excluded,
        digest=work.standing,
        slide_digest=slide_digest,
        mpp=grid.mpp,
        mpp_source=mpp_source,
        reading=bag.origin.reading,
    )


def _encoder(choice: EncoderChoice) -> Encoder:
    return HeldEncoder(choice) if is_held(choice) else _made(choice)


@lru_cache(maxsize=16)
def _digest_of(card: EncoderCard) -> str:
    """Digest a card once for all slides; another card, of other weights too, is another one."""
    return card.digest


@cache
def _made(choice: EncoderChoice) -> Encoder:
    return choice.make()
