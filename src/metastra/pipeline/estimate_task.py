"""What is looked at and measured on slides before a run, as tasks for processes of their own."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from metastra.encoders.choice import EncoderChoice
from metastra.encoders.encoder import Encoder
from metastra.extraction.digests import known_digest
from metastra.extraction.job import SlideJob
from metastra.extraction.slide import choose_tiles
from metastra.extraction.stored_quality import product_of, quality_settings, stored_quality
from metastra.extraction.tile_pass import Clock, tile_pass
from metastra.features.bag import BagFrame, BagOrigin
from metastra.features.files import read_bag
from metastra.features.store import FeatureStore, features_recipe
from metastra.features.writing import BagWriter
from metastra.pipeline.qc_task import assess_file, product_files
from metastra.slides.opening import open_slide
from metastra.slides.slide import Slide, require_brightfield, require_he
from metastra.storage import Depth, write_product
from metastra.storage.names import record_path
from metastra.tiles.grid import TileGrid, make_grid
from metastra.tissue.geojson import region_digest

__all__ = ["bytes_of_row", "look_task", "measure_task"]

_MOST_TILES = 256
_BATCH = 16
_WARM: list[str] = []
"""The slide by which this process loaded what assessing needs."""


def look_task(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Read the header of a slide, and what is known of it.

    Parameters
    ----------
    payload : mapping
        A `SlideJob` as plain values.

    Returns
    -------
    dict
        ``grid`` (tiles of the whole slide), ``tiles`` (that are kept; None where the slide was not
        assessed yet), ``stands`` (whether its features are there), ``bytes`` (of the file).

    Raises
    ------
    SlideError, DataError
        If the slide cannot be used.
    """
    job = SlideJob.from_plain(payload)
    folder, size = Path(job.folder), Path(job.path).stat().st_size
    digest = known_digest(Path(job.path), job.name, folder)
    if job.is_features:
        tiles = len(read_bag(Path(job.path)))
        stands = _stands(job, "file", digest)
        return {"grid": tiles, "tiles": tiles, "stands": stands, "bytes": size}
    with open_slide(job.path, mpp=job.mpp, mpp_source=job.mpp_source) as slide:
        require_brightfield(slide.info)
        require_he(job.stain, job.shown)
        grid = make_grid(slide.info, job.spec)
    known = None
    if digest is not None:
        known = stored_quality(folder, digest, _quality_settings(job), job.shown)
    tiles_known = None if known is None else len(choose_tiles(known, grid)[0])
    stands = _stands(job, "slide", digest)
    return {"grid": len(grid), "tiles": tiles_known, "stands": stands, "bytes": size}


def _stands(job: SlideJob, parent: str, digest: str | None) -> bool:
    """Whether features of this very slide by this encoder are there; looked at by size."""
    store = FeatureStore(Path(job.folder), job.prefix)
    if digest is None or not store.state(job.name, depth=Depth.SIZE):
        return False
    parents = store.record(job.name).recipe.parents
    encoder = parents.get("encoder")
    same = parent in parents and parents[parent].digest == digest
    return same and (encoder is None or encoder.digest == job.choice.card().digest)


def _quality_settings(job: SlideJob) -> dict[str, Any]:
    region = None
    if job.region is not None:
        region = region_digest(Path(job.region), shown=job.region_shown)
    return quality_settings(job.mpp, region, job.region_origin)


def measure_task(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Go the way of a slide in a folder of its own, at most a few hundred tiles far.

    Parameters
    ----------
    payload : mapping
        ``job`` (a `SlideJob` as plain values) and ``seconds`` (for reading and encoding).

    Returns
    -------
    dict
        Seconds, bytes and tiles of each step; `metastra.pipeline.estimate` adds them up.

    Raises
    ------
    SlideError, DataError
        If the slide cannot be used.
    """
    job = SlideJob.from_plain(payload["job"])
    encoder = _warm_encoder(job.choice)
    with tempfile.TemporaryDirectory(prefix="metastra-") as name:
        folder, clock = Path(name), Clock()
        if not _WARM:
            # what is loaded once for all slides is not the cost of one
            _assessed(job, folder / "warm", Clock())
            _WARM.append(job.name)
        found = _assessed(job, folder, clock)
        with open_slide(job.path, mpp=job.mpp, mpp_source=job.mpp_source) as slide:
            grid = make_grid(slide.info, job.spec)
            known = stored_quality(folder, found["digest"], _quality_settings(job), job.shown)
            kept = grid.take(np.zeros(len(grid), bool))
            if known is not None:
                kept = choose_tiles(known, grid)[0]
            part = _middle(kept)
            tiles, features = _encoded(job, slide, part, encoder, payload["seconds"], clock)
        written = _written(job, part, features, encoder, found["digest"], folder, clock)
    return {
        "grid": len(grid),
        "tiles": len(kept),
        "timed_tiles": tiles,
        "seconds": clock.seconds,
        "quality_bytes": found["bytes"],
        "picture_bytes": found["picture_bytes"],
        "file_bytes": written,
    }


@cache
def _warm_encoder(choice: EncoderChoice) -> Encoder:
    encoder = choice.make()
    side = encoder.card.tile_px
    encoder.encode(np.full((_BATCH, side, side, 3), 200, np.uint8))
    return encoder


def _assessed(job: SlideJob, folder: Path, clock: Clock) -> dict[str, Any]:
    """Assess the slide and store it, as the stage does."""
    asked = {
        "path": job.path,
        "out": str(folder),
        "mpp": job.mpp,
        "region": job.region,
        "region_origin": job.region_origin,
        "region_shown": job.region_shown,
    }
    with clock.step("quality"):
        value = assess_file(asked)
    product, recipe = product_of(value["digest"], value["settings"])
    files = product_files(product, value)
    with clock.step("keeping quality"):
        write_product(folder, product, recipe, files)
    size = sum(map(len, files.values())) + record_path(folder, product).stat().st_size
    return {"digest": value["digest"], "bytes": size, "picture_bytes": len(value["picture"])}


def _middle(kept: TileGrid) -> TileGrid:
    """Take neighbours, since they share the tiles of the file."""
    first = max(0, (len(kept) - _MOST_TILES) // 2)
    wanted = np.zeros(len(kept), bool)
    wanted[first : first + _MOST_TILES] = True
    return kept.take(wanted)


def _encoded(
    job: SlideJob, slide: Slide, part: TileGrid, encoder: Encoder, seconds: float, clock: Clock
) -> tuple[int, list[Any]]:
    """Read and encode until the time is over."""
    blocks: list[Any] = []
    begun_s = time.perf_counter()
    with ExitStack() as inside:
        (features,) = inside.enter_context(
            tile_pass(
                slide,
                part,
                [encoder],
                folder=Path(job.folder),
                batch=_BATCH,
                readers=job.readers,
                clock=clock,
            )
        )
        for block in features:
            blocks.append(np.array(block))
            if time.perf_counter() - begun_s > seconds:
                break
    return sum(map(len, blocks)), blocks


def _written(
    job: SlideJob,
    part: TileGrid,
    blocks: list[Any],
    encoder: Encoder,
    digest: str,
    folder: Path,
    clock: Clock,
) -> int:
    """Write what was encoded; give the bytes that a file takes besides its rows."""
    rows, card, store = sum(map(len, blocks)), encoder.card, FeatureStore(folder, job.prefix)
    first = np.zeros(len(part), bool)
    first[:rows] = True
    writer = BagWriter(
        coords=part.take(first).coords,
        frame=BagFrame(mpp=part.mpp, target_mpp=job.target_mpp, tile_px=job.tile_px),
        origin=BagOrigin(
            name=job.name,
            encoder=card.name,
            engine=card.engine,
            precision=card.precision,
            slide_digest=digest,
            tiling_digest=digest,
            encoder_digest=card.digest,
            quality_digest=digest,
            feature_names=card.feature_names,
        ),
        dimension=card.dimension,
        blocks=blocks,
    )
    recipe = features_recipe(slide_digest=digest, tiling={}, encoder_digest=card.digest, quality={})
    with clock.step("writing"):
        store.write(job.name, recipe, writer)
    record = record_path(folder, f"{job.prefix}{job.name}").stat().st_size
    return store.path(job.name).stat().st_size + record - rows * bytes_of_row(card.dimension)


def bytes_of_row(dimension: int) -> int:
    """Say what a tile takes in a feature file: its features in float16 and two coordinates.

    Parameters
    ----------
    dimension : int
        Of the features.

    Returns
    -------
    int
        In bytes.

    Examples
    --------
    >>> bytes_of_row(1536)
    3088
    """
    return 2 * dimension + 16
