"""Slides of a few hundred tiles that look enough like tissue to pass quality control."""

from __future__ import annotations

import numpy as np
import tifffile
from scipy import ndimage


def picture(height, width, *, seed=0, margin=80):
    """Pink stroma with purple nuclei of 8 µm at 0.5 µm per pixel, on white glass."""
    rng = np.random.default_rng(seed)
    stroma = ndimage.gaussian_filter(rng.normal(size=(height, width)), 6) * 6
    centres = rng.random((height, width)) < 1 / 900
    nuclei = ndimage.gaussian_filter(centres.astype(float), 4) * 100
    nuclei = ndimage.gaussian_filter((nuclei > 0.3).astype(float), 0.6)
    fibres = ndimage.gaussian_filter(rng.normal(size=(height, width)), 1) * 3
    nuclei *= 1 + 0.25 * fibres
    density = np.stack(
        [
            0.10 + 0.03 * (stroma + fibres) + 0.55 * nuclei,
            0.45 + 0.12 * (stroma + fibres) + 0.75 * nuclei,
            0.22 + 0.05 * (stroma + fibres) + 0.40 * nuclei,
        ],
        axis=-1,
    )
    inside = np.zeros((height, width), dtype=bool)
    inside[margin : height - margin, margin : width - margin] = True
    density = np.clip(density, 0.02, 2.5) * inside[..., None]
    light = 245 * np.power(10.0, -density) + rng.normal(0, 1.0, density.shape)
    return np.clip(light, 0, 255).astype(np.uint8)


def write_slide(path, *, side=900, seed=0, mpp=0.5, rgb=None):
    """Write a tiled TIFF that OpenSlide opens, with its microns per pixel."""
    rgb = picture(side, side, seed=seed) if rgb is None else rgb
    settings = {"tile": (256, 256), "photometric": "rgb", "compression": "deflate"}
    if mpp is not None:
        settings |= {"resolution": (1e4 / mpp, 1e4 / mpp), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, rgb, metadata=None, **settings)
    return path


def write_bomb(path, side=60_000):
    """A TIFF of two kilobytes that claims `side` × `side` pixels in one strip."""
    import struct

    tags = [
        (256, 4, side),
        (257, 4, side),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 2),
        (273, 4, 512),
        (277, 3, 3),
        (278, 4, side),
        (279, 4, 1024),
        (284, 3, 1),
    ]
    directory = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHI", tag, kind, 1) + struct.pack("<I", value) for tag, kind, value in tags
    )
    data = b"II*\x00" + struct.pack("<I", 8) + directory + struct.pack("<I", 0)
    path.write_bytes(data.ljust(2048, b"\x00"))
    return path
