"""The task of an extraction with readers that do what bad decoders do, by the slide's name."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

import numpy as np

import metastra.extraction.slide as extraction
from metastra.encoders.registry import get_encoder
from metastra.slides.opening import open_slide


class BadReader:
    """A slide whose pixels are fine until somebody wants the third region."""

    def __init__(self, slide, deed):
        self._slide, self._deed, self._left = slide, deed, 3
        self.info = slide.info

    def read_region(self, *place):
        self._left -= 1
        if not self._left:
            self._deed()
        return self._slide.read_region(*place)

    def close(self):
        self._slide.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def eat():
    held = []
    while True:
        held.append(np.zeros(50_000_000, np.uint8))


DEEDS = {
    "aborts": os.abort,
    "crashes": lambda: ctypes.string_at(0),
    "hangs": lambda: time.sleep(10_000),
    "eats": eat,
}


def open_badly(path, **settings):
    slide = open_slide(path, **settings)
    deed = DEEDS.get(Path(path).stem.split("-")[0])
    return slide if deed is None else BadReader(slide, deed)


def task(payload):
    """`extract_task` on such a machine."""
    extraction.open_slide = open_badly
    return extraction.extract_task(payload)


class Poisoned:
    """An encoder with one number that cannot be kept."""

    def __init__(self, value):
        self._real, self._value = get_encoder("morphology"), value
        self.card = self._real.card

    def encode(self, tiles):
        features = self._real.encode(tiles)
        features[len(features) // 2, 3] = self._value
        return features


def poisoned_task(payload):
    """`extract_task` with an encoder that gives NaN."""
    extraction._encoder = lambda _: Poisoned(np.nan)
    return extraction.extract_task(payload)


class Instead:
    """An executor that runs another function than it is told."""

    def __init__(self, executor, function):
        self._executor, self._function = executor, function

    def run(self, _function, tasks):
        return self._executor.run(self._function, tasks)
