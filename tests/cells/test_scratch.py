"""Memory that is used again: what lies in a frame together never overlaps."""

from __future__ import annotations

import numpy as np

from metastra.cells.blur_kernel import ScaleSpace, blob_response, blur
from metastra.cells.scratch import Scratch


def test_arrays_of_a_frame_lie_apart_and_a_left_frame_is_used_again():
    """Any shapes and types, also larger than a piece of the pile."""
    scratch = Scratch()
    shapes = [((3, 5), np.float32), ((700, 700), np.float32), ((9,), np.bool_), ((4, 4), np.int32)]
    addresses = []
    for _ in range(2):
        with scratch.frame():
            taken = [scratch.take(shape, dtype) for shape, dtype in shapes]
            for number, array in enumerate(taken):
                array.fill(number % 2)
            assert all((array == number % 2).all() for number, array in enumerate(taken))
            assert all(array.ctypes.data % 64 == 0 for array in taken)
            addresses.append([array.ctypes.data for array in taken])

    assert addresses[0] == addresses[1]


def test_a_frame_inside_a_frame_leaves_the_outer_one_alone():
    """What was taken before stays; what is taken after lies where the inner one was."""
    scratch = Scratch()
    with scratch.frame():
        kept = scratch.take((10, 10))
        kept.fill(7.0)
        with scratch.frame():
            inner = scratch.take((10, 10))
            inner.fill(1.0)
        after = scratch.take((10, 10))

        assert np.shares_memory(inner, after)
        assert (kept == 7.0).all()


def test_a_scale_space_gives_what_its_parts_give_alone():
    """Smoothings that are made together, of several maps, are those made each by itself."""
    images = np.random.default_rng(3).random((2, 75, 131)).astype(np.float32)
    sigmas_px = (0.5, 1.0, 3.0, 8.0, 20.0)
    scratch = Scratch()
    for _ in range(2):
        with scratch.frame():
            space = ScaleSpace(images, scratch)
            made = space.make(sigmas_px, sigmas_px)
            again = ScaleSpace(images, scratch).halved.halved
            assert np.array_equal(space.halved.halved.images, again.images)
            for image, of_image in zip(images, made, strict=True):
                for number, sigma in enumerate(sigmas_px):
                    assert np.array_equal(of_image[number], blur(image, sigma))
                    assert np.array_equal(of_image[5 + number], blob_response(image, sigma))
