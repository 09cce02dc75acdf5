"""Painting a slide into a file, strip by strip, and its truth beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import tifffile

from metastra.errors import DigestMismatch
from metastra.storage import write_atomically
from metastra.synthetic.painting.painted_truth import truth_of, write_painted_truth
from metastra.synthetic.painting.painter import Box, paint_region, slide_size
from metastra.synthetic.painting.pyramid import TILE_PX, PyramidWriter, level_sizes
from metastra.synthetic.painting.scanners import Scanner
from metastra.synthetic.painting.scene import Recipe, Scene, make_scene

__all__ = ["PaintedSlide", "paint_slide", "truth_path", "write_slide"]


@dataclass(frozen=True, kw_only=True)
class PaintedSlide:
    """A slide and its truth, as they were written.

    Parameters
    ----------
    slide, truth : Path
        The files.
    slide_sha256, truth_sha256 : str
        Of their bytes.
    width_px0, height_px0 : int
        Of level 0.
    """

    slide: Path
    truth: Path
    slide_sha256: str
    truth_sha256: str
    width_px0: int
    height_px0: int


def truth_path(slide: Path) -> Path:
    """Name the file with the truth of a slide.

    Parameters
    ----------
    slide : Path
        The slide.

    Returns
    -------
    Path
        Beside it, with the ending ``.truth.npz``.

    Examples
    --------
    >>> truth_path(Path("a/S1.tiff")).name
    'S1.truth.npz'
    """
    return slide.with_name(f"{slide.name.removesuffix(slide.suffix)}.truth.npz")


def paint_slide(
    path: Path, recipe: Recipe, scanner: Scanner, *, truth: Path | None = None
) -> PaintedSlide:
    """Paint a slide and write down its truth.

    Parameters
    ----------
    path : Path
        Of the slide: a pyramidal tiled TIFF with JPEG tiles, for OpenSlide and tifffile.
    recipe : Recipe
        The tissue.
    scanner : Scanner
        What sees it.
    truth : Path, optional
        Of the truth; beside the slide when left out.

    Returns
    -------
    PaintedSlide
        The same bytes for the same arguments and versions of numpy, scipy, numba and simplejpeg.

    Raises
    ------
    ResourceError, ConfigError, DigestMismatch
        As `metastra.storage.write_atomically`.

    Notes
    -----
    The truth is written last: where it is, the slide is whole.
    """
    scene = make_scene(recipe)
    slide_sha256 = write_slide(path, scene, scanner)
    beside = truth or truth_path(path)
    known = truth_of(scene, scanner, slide_sha256=slide_sha256, slide_bytes=path.stat().st_size)
    truth_sha256 = write_painted_truth(beside, known)
    width, height = slide_size(scene, scanner)
    return PaintedSlide(
        slide=path,
        truth=beside,
        slide_sha256=slide_sha256,
        truth_sha256=truth_sha256,
        width_px0=width,
        height_px0=height,
    )


def write_slide(path: Path, scene: Scene, scanner: Scanner) -> str:
    """Write a scene as a scanner sees it.

    Parameters
    ----------
    path : Path
        Of the slide.
    scene : Scene
        The tissue.
    scanner : Scanner
        What sees it.

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    ResourceError, ConfigError, DigestMismatch
        As `metastra.storage.write_atomically`.
    """
    width, height = slide_size(scene, scanner)

    def write(stream: BinaryIO) -> None:
        pyramid = PyramidWriter(
            stream,
            width_px0=width,
            height_px0=height,
            mpp=scanner.mpp,
            quality=scanner.jpeg_quality,
            subsampling=scanner.subsampling,
            description=f"metastra painted slide; scanner {scanner.name}; mpp {scanner.mpp}",
        )
        for top in range(0, height, TILE_PX):
            rows = min(TILE_PX, height - top)
            box = Box(x_px0=0, y_px0=top, width_px0=width, height_px0=rows)
            pyramid.add(paint_region(scene, scanner, box))
        pyramid.finish()

    def verify(part: Path) -> None:
        with tifffile.TiffFile(part) as file:
            pages = [page.aspage() for page in file.pages]
            sizes = [(page.imagewidth, page.imagelength) for page in pages]
            ends = [page.dataoffsets[-1] + page.databytecounts[-1] for page in pages]
        if sizes != level_sizes(width, height) or max(ends) > part.stat().st_size:
            raise DigestMismatch(f"{path}: the levels {sizes} were read back, and not as written")

    return write_atomically(path, write, verify=verify)
