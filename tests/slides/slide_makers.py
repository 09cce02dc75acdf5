"""Small slides of every kind that a test can write, all showing one known picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

WIDTH, HEIGHT = 300, 220


def picture(height: int = HEIGHT, width: int = WIDTH, seed: int = 5) -> np.ndarray:
    """Smooth colours with some grain: lossy codecs keep it to a few grey levels."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 23 + k) * np.cos(y / 31 - k) for k in range(3)]
    grain = np.random.default_rng(seed).normal(0, 2, (height, width, 3))
    return np.clip(150 + 60 * np.stack(waves, axis=2) + grain, 0, 255).astype(np.uint8)


def halved(pixels: np.ndarray) -> np.ndarray:
    """Means of 2 × 2 pixels."""
    height, width = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2
    cut = pixels[:height, :width].astype(float)
    means = cut.reshape(height // 2, 2, width // 2, 2, -1).mean(axis=(1, 3))
    return np.floor(means + 0.5).astype(pixels.dtype).reshape(height // 2, width // 2, -1)


def tiled_pyramid(path: Path, pixels: np.ndarray, *, levels: int = 3, mpp: float = 0.5, **how):
    """A generic tiled pyramid, as `vips tiffsave --tile --pyramid` writes it."""
    how = {"compression": "deflate", "photometric": "rgb", **how}
    with tifffile.TiffWriter(path) as writer:
        for level in range(levels):
            down = mpp * 2**level
            writer.write(
                pixels,
                tile=(64, 64),
                resolution=(1e4 / down, 1e4 / down),
                resolutionunit="CENTIMETER",
                subfiletype=1 if level else 0,
                metadata=None,
                **how,
            )
            pixels = halved(pixels)
    return path


def aperio(path: Path, pixels: np.ndarray, *, mpp: str | None = "0.25", **how):
    """One level in Aperio's manner; the scale stands in the description."""
    scale = "" if mpp is None else f"|MPP = {mpp}"
    tifffile.imwrite(
        path,
        pixels,
        tile=(64, 64),
        photometric="rgb",
        description=f"Aperio Image Library v11\r\n300x220 (64x64) JPEG/RGB|AppMag = 20{scale}",
        metadata=None,
        **{"compression": "jpeg", "compressionargs": {"level": 95}, **how},
    )
    return path


def ome(path: Path, pixels: np.ndarray, *, axes: str, metadata: dict | None = None, **how):
    """An OME-TIFF with one level below the first in sub-pages."""
    options = {"tile": (64, 64), "compression": "lzw", "predictor": True, **how}
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(pixels, subifds=1, metadata={"axes": axes, **(metadata or {})}, **options)
        if axes.endswith("S"):
            small = halved(pixels)
        else:
            small = np.stack([halved(plane[..., None])[..., 0] for plane in pixels])
        writer.write(small, subfiletype=1, metadata=None, **options)
    return path


def flat(path: Path, pixels: np.ndarray, **how):
    """A TIFF in strips, without levels."""
    tifffile.imwrite(path, pixels, metadata=None, **{"photometric": "rgb", **how})
    return path


def saved(path: Path, pixels: np.ndarray, **how):
    """A picture that Pillow writes."""
    Image.fromarray(pixels).save(path, **how)
    return path


@dataclass(frozen=True)
class Kind:
    """A kind of slide: who must open it, how it is written, whether its pixels are kept."""

    name: str
    reader: str
    make: object
    lossy: bool = False
    mpp: tuple[float, float] | None = (0.5, 0.5)
    levels: int = 1


RGB_KINDS = [
    Kind("tiled.tif", "openslide", tiled_pyramid, levels=3),
    Kind(
        "tiled-jpegxl.tif", "tiff", lambda p, a: tiled_pyramid(p, a, compression="jpegxl"), levels=3
    ),
    Kind("aperio.svs", "openslide", aperio, True, (0.25, 0.25)),
    Kind(
        "rgb.ome.tif",
        "tiff",
        lambda p, a: ome(
            p,
            a,
            axes="YXS",
            photometric="rgb",
            metadata={
                "PhysicalSizeX": 500,
                "PhysicalSizeXUnit": "nm",
                "PhysicalSizeY": 0.00025,
                "PhysicalSizeYUnit": "mm",
            },
        ),
        False,
        (0.5, 0.25),
        2,
    ),
    Kind("strips.tif", "tiff", lambda p, a: flat(p, a, rowsperstrip=7), mpp=None),
    Kind("whole.tif", "tiff", lambda p, a: flat(p, a, rowsperstrip=HEIGHT), mpp=None),
    Kind("big.tif", "tiff", lambda p, a: flat(p, a, bigtiff=True, byteorder=">"), mpp=None),
    Kind("lzw.tif", "tiff", lambda p, a: flat(p, a, compression="lzw"), mpp=None),
    Kind(
        "predicted.tif",
        "tiff",
        lambda p, a: flat(p, a, compression="lzw", predictor=True, rowsperstrip=50),
        mpp=None,
    ),
    Kind("packbits.tif", "tiff", lambda p, a: flat(p, a, compression="packbits"), mpp=None),
    Kind("deflate.tif", "tiff", lambda p, a: flat(p, a, compression="deflate"), mpp=None),
    Kind("zstd.tif", "tiff", lambda p, a: flat(p, a, compression="zstd"), mpp=None),
    Kind(
        "jpeg2000.tif",
        "tiff",
        lambda p, a: flat(p, a, compression="jpeg2000", rowsperstrip=64),
        mpp=None,
    ),
    Kind(
        "jpegxl.tif",
        "tiff",
        lambda p, a: flat(p, a, compression="jpegxl", rowsperstrip=64),
        mpp=None,
    ),
    Kind(
        "jpeg.tif",
        "tiff",
        lambda p, a: flat(p, a, compression="jpeg", compressionargs={"level": 95}, rowsperstrip=64),
        True,
        None,
    ),
    Kind(
        "planes.tif",
        "tiff",
        lambda p, a: flat(p, np.moveaxis(a, 2, 0), planarconfig="separate", rowsperstrip=64),
        mpp=None,
    ),
    Kind(
        "deep.tif",
        "tiff",
        lambda p, a: flat(p, a.astype(np.uint16) * 257, rowsperstrip=9),
        mpp=None,
    ),
    Kind(
        "resolved.tif",
        "tiff",
        lambda p, a: flat(p, a, resolution=(50800, 101600), resolutionunit="INCH"),
        mpp=(0.5, 0.25),
    ),
    Kind("flat.png", "picture", saved, mpp=None),
    Kind("flat.jpg", "picture", lambda p, a: saved(p, a, quality=96, subsampling=0), True, None),
]
