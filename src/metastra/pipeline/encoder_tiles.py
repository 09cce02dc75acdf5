"""Tiles for the training of an encoder: drawn from slides and pictures, kept as arrays on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from metastra.digest import digest_value
from metastra.errors import ConfigError, IntegrityError, MetastraError
from metastra.executor import beat
from metastra.extraction.digests import noted_digest
from metastra.extraction.slide import QUALITY_RULE
from metastra.slides.identity import slide_digest
from metastra.slides.opening import open_slide
from metastra.slides.scaled import read_scaled
from metastra.slides.slide import MppSource, Slide, require_brightfield, require_he, require_mpp
from metastra.storage import Recipe, completeness, read_record, value_parent, write_product
from metastra.tiles.grid import TileGrid, TileSpec, make_grid
from metastra.tiles.reading import read_tiles
from metastra.tissue.quality import assess
from metastra.tissue.rules import tile_codes

__all__ = ["PICTURES_AT_ONCE", "TileJob", "collect_tiles", "tiles_product"]

KIND = "encoder-tiles"
PICTURES_AT_ONCE = 64
"""Pictures whose tiles share a file."""
_MOST_OF_A_PICTURE = 16
_BATCH = 32
_PREFIX = "tiles/"


@dataclass(frozen=True, kw_only=True)
class TileJob:
    """One slide, or some pictures, on the way to an array of tiles.

    Parameters
    ----------
    name : str
        Of the array.
    paths : tuple of str
        The slide; or the pictures.
    shown : tuple of str
        What messages call them.
    folder : str
        In which the array is kept.
    pictures : bool
        Whether they are cut out already: taken whole, without quality control.
    target_mpp, tile_px : float, int
        Of the tiles.
    most : int
        Tiles of a slide, or of a picture, at most.
    seed : int
        Decides which.
    mpp : tuple of (float or None)
        Micrometres per level-0 pixel, where somebody states them; one for each path.
    mpp_source : {"option", "table"}
        Where they are stated.
    stain : str
        As the slide table has it.
    """

    name: str
    paths: tuple[str, ...]
    shown: tuple[str, ...]
    folder: str
    target_mpp: float
    tile_px: int
    most: int
    seed: int
    mpp: tuple[float | None, ...]
    pictures: bool = False
    mpp_source: MppSource = "option"
    stain: str = ""

    @property
    def spec(self) -> TileSpec:
        """How slides are tiled."""
        return TileSpec(target_mpp=self.target_mpp, tile_px=self.tile_px)

    def to_plain(self) -> dict[str, Any]:
        """Write the job as plain values.

        Returns
        -------
        dict
            What `from_plain` reads.
        """
        return asdict(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> TileJob:
        """Read a job.

        Parameters
        ----------
        values : mapping
            What `to_plain` wrote, lists in place of tuples.

        Returns
        -------
        TileJob
            Equal to the one that was written.
        """
        lists = {key: tuple(values[key]) for key in ("paths", "shown", "mpp")}
        return cls(**{**values, **lists})


def tiles_product(name: str) -> tuple[str, str]:
    """Name the product of an array of tiles, and its file.

    Parameters
    ----------
    name : str
        Of the array.

    Returns
    -------
    tuple of str
        Product and file.
    """
    return f"{_PREFIX}{name}", f"{_PREFIX}{name}.npy"


def collect_tiles(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the tiles of a job, as the task of an executor; what stands already is kept.

    Parameters
    ----------
    payload : mapping
        A `TileJob` as plain values.

    Returns
    -------
    dict
        ``sources`` (a list of digest and number of tiles), ``digest`` of the array (empty without
        tiles), ``excluded`` (why a slide gave none) and ``failed`` (pictures that cannot be read,
        each with its reason).

    Raises
    ------
    SlideError
        If the slide cannot be read, has no scale, is too coarse or is no H&E.
    ResourceError, ConfigError, DigestMismatch
        If the array cannot be written.
    """
    job = TileJob.from_plain(payload)
    return _collect_pictures(job) if job.pictures else _collect_slide(job)


def _collect_slide(job: TileJob) -> dict[str, Any]:
    path, folder = Path(job.paths[0]), Path(job.folder)
    with open_slide(path, mpp=job.mpp[0], mpp_source=job.mpp_source) as slide:
        require_brightfield(slide.info)
        require_he(job.stain, job.shown[0])
        grid = make_grid(slide.info, job.spec)
        digest = noted_digest(path, job.name, folder)
        recipe = _recipe(job, [digest], grid.mpp)
        standing = _standing(job, recipe)
        if standing is None:
            beat()
            kept, excluded = _kept(slide, grid)
            if excluded:
                return _told([(digest, 0)], excluded=excluded)
            beat()
            chosen = kept.take(_draw(len(kept), job, digest))
            standing = _write(job, recipe, len(chosen), _tiles_of(slide, chosen))
    return _told([(digest, standing[1])], array=standing[0])


def _kept(slide: Slide, grid: TileGrid) -> tuple[TileGrid, str]:
    if not len(grid):
        return grid, "the slide is smaller than a tile"
    quality = assess(slide, None)
    if not quality.assessable:
        return grid, "not assessable: " + "; ".join(one.code for one in quality.codes)
    kept = grid.take(tile_codes(quality.maps.tile_fractions(grid.boxes_px0)) == "")
    return kept, "" if len(kept) else "no tile is left after quality control"


def _tiles_of(slide: Slide, grid: TileGrid) -> Iterator[NDArray[np.uint8]]:
    for part, tiles in read_tiles(slide, grid, _BATCH):
        beat(part.stop, len(grid))
        yield tiles


def _collect_pictures(job: TileJob) -> dict[str, Any]:
    found: list[tuple[str, NDArray[np.uint8]]] = []
    failed: list[dict[str, str]] = []
    for path, shown, mpp in zip(job.paths, job.shown, job.mpp, strict=True):
        beat()
        try:
            digest = slide_digest(path)
            with open_slide(Path(path), mpp=mpp, mpp_source=job.mpp_source) as slide:
                require_brightfield(slide.info)
                found.append((digest, _cut(slide, job, digest)))
        except MetastraError as error:
            codes = "; ".join(f"{one.code} {one.found}" for one in getattr(error, "problems", ()))
            failed.append({"name": shown, "reason": codes or str(error).splitlines()[0]})
    if not found:
        return _told([], failed=failed)
    recipe = _recipe(job, [digest for digest, _ in found], job.mpp)
    standing = _standing(job, recipe)
    if standing is None:
        total = sum(len(tiles) for _, tiles in found)
        standing = _write(job, recipe, total, (tiles for _, tiles in found))
    sources = [(digest, len(tiles)) for digest, tiles in found]
    return _told(sources, array=standing[0], failed=failed)


def _cut(slide: Slide, job: TileJob, digest: str) -> NDArray[np.uint8]:
    """Cover a picture with tiles, the last of a row flush with its edge."""
    info, side = slide.info, job.spec.side_um
    mpp = require_mpp(info)
    width, height = (side / scale for scale in mpp)
    if info.width_px < width - 0.5 or info.height_px < height - 0.5:
        raise ConfigError(
            f"the picture has {info.width_px} × {info.height_px} px at {mpp[0]:g} µm per pixel, a "
            f"tile of {side:g} µm needs {width:.0f} × {height:.0f}; take smaller tiles or a finer "
            "--target-mpp"
        )
    corners = [
        (x, y) for y in _starts(info.height_px, height) for x in _starts(info.width_px, width)
    ]
    chosen = _draw(len(corners), job, digest, most=_MOST_OF_A_PICTURE)
    px = job.tile_px
    cut = []
    for one in chosen.tolist():
        x, y = corners[one]
        cut.append(read_scaled(slide, x, y, width, height, px, px))
    return np.stack(cut)


def _starts(length: int, side: float) -> list[float]:
    count = max(int(np.ceil(length / side - 0.01)), 1)
    last = max(length - side, 0.0)
    return [last * number / max(count - 1, 1) for number in range(count)]


def _draw(n_tiles: int, job: TileJob, digest: str, most: int | None = None) -> NDArray[np.int64]:
    """Choose tiles by the content of the slide and the seed, in the order of the slide."""
    rng = np.random.default_rng((job.seed, int(digest[:15], 16)))
    wanted = min(job.most if most is None else min(most, job.most), n_tiles)
    return np.sort(rng.choice(n_tiles, wanted, replace=False)).astype(np.int64)


def _recipe(job: TileJob, digests: Sequence[str], mpp: Sequence[float | None]) -> Recipe:
    return Recipe(
        kind=KIND,
        parents={"source": value_parent("source", digest_value(list(digests)))},
        settings={
            "target_mpp": job.target_mpp,
            "tile_px": job.tile_px,
            "most": job.most,
            "seed": job.seed,
            "mpp": list(mpp),
            "quality": None if job.pictures else QUALITY_RULE,
        },
    )


def _standing(job: TileJob, recipe: Recipe) -> tuple[str, int] | None:
    """Find an array that stands already: its SHA-256 and number of tiles."""
    product, file = tiles_product(job.name)
    if not completeness(Path(job.folder), product, recipe):
        return None
    record = read_record(Path(job.folder), product)
    if record is None:
        return None
    return record.files[file].sha256, len(
        np.load(Path(job.folder) / file, mmap_mode="r", allow_pickle=False)
    )


def _write(
    job: TileJob, recipe: Recipe, total: int, parts: Iterator[NDArray[np.uint8]]
) -> tuple[str, int]:
    shape = (total, job.tile_px, job.tile_px, 3)

    def write(stream: BinaryIO) -> None:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for tiles in parts:
            stream.write(tiles.tobytes())

    def verify(path: Path) -> None:
        if np.load(path, mmap_mode="r", allow_pickle=False).shape != shape:
            raise IntegrityError(f"tiles {path.name}: expected {shape}")

    product, file = tiles_product(job.name)
    made = write_product(Path(job.folder), product, recipe, {file: write}, verify={file: verify})
    return made.files[file].sha256, total


def _told(
    sources: Sequence[tuple[str, int]],
    *,
    array: str = "",
    excluded: str = "",
    failed: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    return {
        "sources": [[digest, count] for digest, count in sources],
        "digest": array,
        "excluded": excluded,
        "failed": [dict(one) for one in failed],
    }
