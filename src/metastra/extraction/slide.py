"""One slide: from its pixels to a finished feature file, in memory that a batch of tiles bounds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.digest import digest_value
from metastra.encoders.choice import EncoderChoice
from metastra.encoders.encoder import Encoder, EncoderCard
from metastra.executor import beat
from metastra.extraction.digests import noted_digest
from metastra.extraction.job import SlideJob
from metastra.extraction.outcome import SlideOutcome
from metastra.extraction.stored_quality import StoredQuality, quality_settings, stored_quality
from metastra.extraction.taking import take_features
from metastra.features.bag import BagFrame, BagOrigin
from metastra.features.store import FeatureStore, features_recipe
from metastra.features.writing import BagWriter
from metastra.slides.identity import reviewed_name
from metastra.slides.opening import open_slide
from metastra.slides.slide import Slide, require_brightfield, require_he
from metastra.storage import Recipe
from metastra.tiles.grid import TileGrid, make_grid
from metastra.tiles.reading import read_tiles
from metastra.tissue.geojson import read_region_file, region_digest
from metastra.tissue.quality import MEASURES_VERSION, assess
from metastra.tissue.rules import TILE_RULES, tile_codes

__all__ = ["QUALITY_RULE", "extract_slide", "extract_task"]

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
    """Make the feature file of one slide, unless it is there, whole and made as wanted.

    Parameters
    ----------
    job : SlideJob
        What is to be done.

    Returns
    -------
    SlideOutcome
        Also for a slide without enough tissue, whose file then has no tiles.

    Raises
    ------
    SlideError
        If the slide cannot be opened or read, has no scale, is too coarse or is not H&E.
    DataError
        SL054 if the encoder gives numbers that cannot be kept.
    ResourceError, ConfigError, DigestMismatch
        If the file cannot be written, or the encoder's weights cannot be used.
    """
    clock = _Clock()
    store = FeatureStore(Path(job.folder), job.prefix)
    card = job.choice.card()
    with open_slide(job.path, mpp=job.mpp, mpp_source=job.mpp_source) as slide:
        require_brightfield(slide.info)
        require_he(job.stain, job.shown)
        grid = make_grid(slide.info, job.spec)
        with clock.step("digest"):
            slide_digest = noted_digest(Path(job.path), job.name, Path(job.folder))
        turned = reviewed_name(slide_digest) in job.overridden
        recipe = _recipe(job, grid, slide_digest, card, turned=turned)
        if store.state(job.name, recipe):
            return _standing(store, job.name, grid, slide_digest, str(slide.info.mpp_source))
        with clock.step("quality"):
            beat()
            quality = _quality(job, slide, slide_digest)
            beat()
            kept, dropped = _choose(quality, grid, turned=turned)
        excluded = _excluded(quality, len(kept), len(grid), turned=turned)
        encoder = _encoder(job.choice)
        writer = BagWriter(
            coords=kept.coords,
            frame=_frame(slide, kept),
            origin=_origin(job, card, slide_digest, recipe, dropped, excluded),
            dimension=card.dimension,
            blocks=_blocks(slide, kept, encoder, job.batch, clock),
        )
        with clock.step("writing", less=("reading", "encoding")):
            manifest = store.write(job.name, recipe, writer)
    return SlideOutcome(
        name=job.name,
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
    )


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
        encoder_digest=card.digest,
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


def _choose(
    quality: StoredQuality, grid: TileGrid, *, turned: bool
) -> tuple[TileGrid, dict[str, int]]:
    """Keep the tiles that nothing speaks against; none of a slide that is not to be used."""
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
    job: SlideJob,
    card: EncoderCard,
    slide_digest: str,
    recipe: Recipe,
    dropped: dict[str, int],
    excluded: str,
) -> BagOrigin:
    return BagOrigin(
        name=job.name,
        encoder=card.name,
        engine=card.engine,
        precision=card.precision,
        slide_digest=slide_digest,
        tiling_digest=digest_value(recipe.settings["tiling"]),
        encoder_digest=card.digest,
        quality_digest=digest_value(recipe.settings["quality"]),
        feature_names=card.feature_names,
        dropped=dropped,
        excluded=excluded,
    )


def _blocks(
    slide: Slide, grid: TileGrid, encoder: Encoder, batch: int, clock: _Clock
) -> Iterator[NDArray[np.float32]]:
    batches = read_tiles(slide, grid, batch)
    while True:
        with clock.step("reading"):
            part, tiles = next(batches, (slice(0, 0), None))
        if tiles is None:
            return
        with clock.step("encoding"):
            features = encoder.encode(tiles)
        beat(part.stop, len(grid))
        yield features


def _standing(
    store: FeatureStore, name: str, grid: TileGrid, slide_digest: str, mpp_source: str
) -> SlideOutcome:
    bag = store.open(name)
    return SlideOutcome(
        name=name,
        made=False,
        n_tiles=len(bag),
        n_grid=len(grid),
        dropped=dict(bag.origin.dropped),
        excluded=bag.origin.excluded,
        digest=store.record(name).digest,
        slide_digest=slide_digest,
        mpp=grid.mpp,
        mpp_source=mpp_source,
    )


@cache
def _encoder(choice: EncoderChoice) -> Encoder:
    return choice.make()


class _Clock:
    """Seconds for each step, summed over its visits."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, *, less: tuple[str, ...] = ()) -> Iterator[None]:
        inside_before_s = sum(self.seconds.get(item, 0.0) for item in less)
        begun_s = time.perf_counter()
        yield
        inside_s = sum(self.seconds.get(item, 0.0) for item in less) - inside_before_s
        took_s = time.perf_counter() - begun_s - inside_s
        self.seconds[name] = self.seconds.get(name, 0.0) + took_s
