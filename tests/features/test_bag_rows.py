"""Taking rows of a bag: the numbers numpy gives, in one pass, finite or refused by their place."""

from __future__ import annotations

import numpy as np
import pytest

from features.bags import make_bag
from metastra.errors import DataError
from metastra.features.bag import Bag, BagFrame
from metastra.features.rows_kernel import take_halves, widen_halves

ALL = np.arange(65_536, dtype=np.uint16).reshape(256, 256)


def test_every_half_is_widened_to_the_bit():
    """All 63,488 finite halves, zeros of both signs and subnormals among them; numpy is referee."""
    out = np.empty(ALL.shape, np.uint32)
    assert not widen_halves(ALL, np.arange(256), out)
    halves = ALL.view(np.float16)
    finite = np.isfinite(halves)
    assert finite.sum() == 63_488
    np.testing.assert_array_equal(out[finite], halves.astype(np.float32).view(np.uint32)[finite])


@pytest.mark.parametrize("kernel", [take_halves, widen_halves])
def test_infinity_and_nan_are_noticed_wherever_they_stand(kernel):
    """One bit pattern at a time, of either sign, in the first and the last column."""
    for bits in (0x7C00, 0xFC00, 0x7E00, 0xFFFF):
        for column in (0, 36):
            halves = np.full((3, 37), 0x7BFF, np.uint16)
            halves[1, column] = bits
            out = np.empty((1, 37), np.uint16 if kernel is take_halves else np.uint32)
            assert kernel(halves, np.array([0]), out)
            assert not kernel(halves, np.array([1]), out)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(
    "which",
    [
        [3, 0, 3, -1],
        np.array([36, 5]),
        slice(4, 20, 3),
        slice(None),
        slice(30, 99),
        [],
        slice(9, 2),
    ],
)
@pytest.mark.parametrize("as_stored", [True, False])
def test_rows_are_those_that_numpy_takes(dtype, which, as_stored):
    """In any order, twice, from behind, by steps, none at all."""
    bag = make_bag(37, 5, dtype=dtype)
    index = np.array(which, dtype=np.int64) if isinstance(which, list) else which
    expected = bag.features[index]
    taken = bag.rows(which, as_stored=as_stored)
    assert taken.dtype == (dtype if as_stored else np.float32)
    np.testing.assert_array_equal(taken, expected.astype(taken.dtype))


def test_what_is_taken_is_a_copy():
    """Whoever changes it changes no bag."""
    for dtype in (np.float16, np.float32):
        bag = make_bag(9, 4, dtype=dtype)
        before = bag.features.copy()
        for as_stored in (True, False):
            bag.rows(slice(None), as_stored=as_stored)[:] = 0
        np.testing.assert_array_equal(bag.features, before)


def test_a_mask_takes_what_it_marks():
    """As long as it has one mark for each tile."""
    bag = make_bag(9, 4)
    mask = np.arange(9) % 2 == 0
    np.testing.assert_array_equal(bag.rows(mask), bag.features[mask].astype(np.float32))
    with pytest.raises(IndexError, match="a mask of"):
        bag.rows(mask[:5])


@pytest.mark.parametrize("row", [37, -38, 10**9])
def test_a_row_that_is_not_there_is_an_error(row):
    """Nothing is read past the end of a file."""
    with pytest.raises(IndexError):
        make_bag(37, 5).rows([0, row])


@pytest.mark.parametrize("as_stored", [True, False])
def test_a_number_that_is_not_finite_is_refused_by_row_and_feature(as_stored):
    """Only where it is asked for."""
    features = np.ones((6, 3), np.float16)
    features[4, 2] = np.inf
    coords = np.stack([np.arange(6) * 448, np.zeros(6, np.int64)], axis=1)
    bag = Bag(features=features, coords=coords, frame=BagFrame())
    bag.rows([0, 1, 2], as_stored=as_stored)
    with pytest.raises(DataError) as caught:
        bag.rows([1, 4], as_stored=as_stored)
    assert [item.code for item in caught.value.problems] == ["SL054"]


def test_a_bag_that_is_not_in_one_piece_is_read_too():
    """A view with steps between the columns."""
    wide = np.arange(60, dtype=np.float16).reshape(6, 10)
    coords = np.stack([np.arange(6) * 448, np.zeros(6, np.int64)], axis=1)
    bag = Bag(features=wide[:, ::2], coords=coords, frame=BagFrame())
    np.testing.assert_array_equal(bag.rows([5, 1]), wide[[5, 1], ::2].astype(np.float32))
