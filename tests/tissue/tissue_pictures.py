"""Slides in memory and drawn pictures for the tests of tissue and quality."""

from __future__ import annotations

import numpy as np

from metastra.slides.slide import Level, SlideInfo, check_region

GLASS = (242, 242, 242)
EOSIN = (0.07, 0.45, 0.12)
NUCLEI = (0.45, 0.55, 0.22)


class ArraySlide:
    """A slide in memory; counts the pixels it is asked for."""

    def __init__(self, pixels, mpp=0.5, name="drawn.tif", modality="brightfield"):
        self.pixels = pixels
        self.asked = 0
        height, width = pixels.shape[:2]
        self.info = SlideInfo(
            name=name,
            reader="array",
            vendor="array",
            width_px=width,
            height_px=height,
            mpp_x=mpp,
            mpp_y=mpp,
            mpp_source=None if mpp is None else "option",
            levels=(Level(width_px=width, height_px=height, downsample=1.0),),
            modality=modality,
        )

    def read_region(self, x_px0, y_px0, level, width_px, height_px):
        check_region(self.info, level, width_px, height_px)
        self.asked += width_px * height_px
        out = np.full((height_px, width_px, 3), 255, np.uint8)
        top, left = max(y_px0, 0), max(x_px0, 0)
        part = self.pixels[top : y_px0 + height_px, left : x_px0 + width_px]
        out[top - y_px0 :, left - x_px0 :][: part.shape[0], : part.shape[1]] = part
        return out

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def light_of(density, glass=GLASS):
    """Turn absorbance into a picture."""
    light = np.array(glass) * 10.0 ** -np.asarray(density)
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def glass(height, width, seed=0):
    """Bare glass with a scanner's noise."""
    noise = np.random.default_rng(seed).normal(0.0, 1.0, (height, width, 3))
    return np.clip(np.rint(np.array(GLASS) + noise), 0, 255).astype(np.uint8)


def tissue_density(height, width, mpp=0.5, seed=0):
    """Eosin with nuclei of 6 µm, sharp at their rims, as absorbance of three channels."""
    rng = np.random.default_rng(seed)
    density = np.ones((height, width, 1)) * np.array(EOSIN)
    density = density * (1.0 + 0.15 * rng.normal(size=(height, width, 1)))
    radius = max(3.0 / mpp, 1.0)
    size = int(np.ceil(radius))
    y, x = np.mgrid[-size : size + 1, -size : size + 1]
    disc = (np.hypot(y, x) <= radius)[..., None] * np.array(NUCLEI)
    # coarse pixels hold only part of a nucleus
    disc = disc * min(1.0, np.pi * 3.0**2 / ((np.hypot(y, x) <= radius).sum() * mpp**2))
    for _ in range(round(height * width * mpp**2 / 250.0)):
        row, column = rng.integers(0, height), rng.integers(0, width)
        top, left = max(size - row, 0), max(size - column, 0)
        rows, columns = slice(row - size + top, row + size + 1), column - size + left
        there = density[rows, columns : column + size + 1]
        there += disc[top : top + there.shape[0], left : left + there.shape[1]]
    return density


def with_tissue(picture, density, top, left):
    """Lay tissue on a picture."""
    height, width = density.shape[:2]
    out = picture.copy()
    out[top : top + height, left : left + width] = light_of(density)
    return out
