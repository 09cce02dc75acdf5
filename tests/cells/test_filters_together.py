"""Filters that are taken together: the numbers of each by itself, at any size."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.cells.blur_kernel import ScaleSpace, blob_response, blur
from metastra.cells.scratch import Scratch

SIGMAS_PX = (1.0, 2.0, 2.7, 4.0)


@pytest.mark.parametrize("shape", [(7, 9), (17, 40), (33, 128), (75, 131), (64, 300)])
def test_filters_taken_together_give_what_each_gives_alone(shape):
    """To the bit: four smoothings on the map, three responses on the halved one, and both."""
    image = np.random.default_rng(5).random(shape).astype(np.float32)
    scratch = Scratch()
    for blobs_px in ((), (3.6, 5.0, 6.9), (1.3, 2.0, 3.4)):
        with scratch.frame():
            made = ScaleSpace(image[None], scratch).make(SIGMAS_PX, blobs_px)[0]

            for number, sigma_px in enumerate(SIGMAS_PX):
                assert np.array_equal(made[number], blur(image, sigma_px)), sigma_px
            for number, sigma_px in enumerate(blobs_px):
                found = made[len(SIGMAS_PX) + number]
                assert np.array_equal(found, blob_response(image, sigma_px)), sigma_px


def test_more_filters_than_can_be_taken_together():
    """The rest is taken one by one, whatever the order in which they are asked for."""
    image = np.random.default_rng(6).random((40, 50)).astype(np.float32)
    sigmas_px = (4.2, 0.4, 3.9, 1.1, 2.2, 0.9, 4.9, 3.0)
    scratch = Scratch()
    with scratch.frame():
        made = ScaleSpace(image[None], scratch).make(sigmas_px)[0]

        for number, sigma_px in enumerate(sigmas_px):
            assert np.array_equal(made[number], blur(image, sigma_px)), sigma_px
