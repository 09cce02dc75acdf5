"""Digests name content: equal content, equal digest, on every machine and in every layout."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metastra.digest import (
    canonical_json,
    digest_array,
    digest_bytes,
    digest_file,
    digest_listing,
    digest_value,
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inside: st.lists(inside) | st.dictionaries(st.text("abcµ"), inside),
    max_leaves=12,
)


def test_published_sha256_values():
    """The digests are SHA-256: the two examples of FIPS 180-2, appendix B, and the empty one."""
    assert (
        digest_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert (
        digest_bytes(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    )
    assert digest_bytes(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.text("abcµ"), VALUES, min_size=2))
def test_the_order_of_keys_does_not_matter(value):
    """Equal dicts have equal digests however they were filled."""
    assert digest_value(dict(reversed(value.items()))) == digest_value(value)


@settings(deadline=None)
@given(VALUES, VALUES)
def test_other_values_have_other_digests(one, other):
    """Two values have one digest exactly when their JSON is one text."""
    assert (canonical_json(one) == canonical_json(other)) == (
        digest_bytes(canonical_json(one).encode()) == digest_bytes(canonical_json(other).encode())
    )
    if one != other:
        assert canonical_json(one) != canonical_json(other)


@given(st.dictionaries(st.text("abcµ"), VALUES), st.text("abcµ"), st.lists(VALUES))
def test_a_listing_has_the_digest_of_the_whole(head, key, items):
    """Wherever its key stands among the others."""
    head.pop(key, None)
    assert digest_listing(head, key, iter(items)) == digest_value({**head, key: items})


def test_close_but_different_values_are_told_apart():
    """Text and number, whole and real, list and nested list are different values."""
    values = [1, 1.0, "1", [1], [[1]], None, "null", "", 0, 0.0, 0.1 + 0.2, 0.3, "é", "e\u0301"]

    assert len({digest_value(value) for value in values}) == len(values)


def test_canonical_json_is_one_text():
    """No spaces, sorted keys, letters as they are, shortest exact numbers."""
    assert canonical_json({"µ": [0.1, 1e300, -0.0], "a": {"z": 1, "b": True}}) == (
        '{"a":{"b":true,"z":1},"µ":[0.1,1e+300,-0.0]}'
    )


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_cannot_hold_are_refused(number):
    """A digest of NaN would be a digest of nothing."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_value([number])


def test_foreign_types_are_refused():
    """What has no JSON has no digest."""
    with pytest.raises(TypeError):
        canonical_json({"a": {1, 2}})


def test_a_digest_is_the_same_in_another_process():
    """Hash seeds and the order of sets play no part."""
    code = "from metastra.digest import digest_value; print(digest_value({'b': [1, 2], 'a': 'µ'}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout.strip()
        for seed in ("0", "1")
    }
    assert found == {digest_value({"a": "µ", "b": [1, 2]})}


def test_the_layout_of_an_array_in_memory_does_not_matter():
    """Order, byte order, strides and views do not change the digest; the values do."""
    array = np.arange(24, dtype="<f4").reshape(4, 6)
    digest = digest_array(array)

    assert digest_array(np.asfortranarray(array)) == digest
    assert digest_array(array.astype(">f4")) == digest
    assert digest_array(np.repeat(array, 2, axis=1)[:, ::2]) == digest
    assert digest_array(array.copy()) == digest


def test_dtype_and_shape_of_an_array_do_matter():
    """The same bytes in another shape or type are another array."""
    array = np.zeros((2, 3), dtype=np.float32)
    others = [
        array.reshape(3, 2),
        array.reshape(6),
        array.astype(np.float64),
        array.view(np.int32),
        array + np.float32(1),
        -array,
    ]

    assert len({digest_array(other) for other in [array, *others]}) == 7


def test_empty_and_scalar_arrays_have_digests():
    """Arrays without values differ by their shape."""
    arrays = [np.zeros(0), np.zeros((0, 3)), np.zeros((3, 0)), np.array(0.0)]

    assert len({digest_array(array) for array in arrays}) == 4


def test_object_arrays_are_refused():
    """An array of addresses has another content in every process."""
    with pytest.raises(TypeError, match="no content digest"):
        digest_array(np.array([{}, "a"], dtype=object))


def test_the_array_is_not_changed():
    """A digest only looks."""
    array = np.arange(5, dtype=">i4")
    before = array.copy()

    digest_array(array)

    assert array.dtype == before.dtype
    assert np.array_equal(array, before)


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_file_has_the_digest_of_its_bytes(tmp_path, size):
    """Reading in pieces gives the digest of the whole, at the borders of a piece too."""
    data = os.urandom(size)
    (tmp_path / "a").write_bytes(data)

    assert digest_file(tmp_path / "a") == hashlib.sha256(data).hexdigest()


def test_a_missing_file_has_no_digest(tmp_path):
    """A file that cannot be read is an error and not an empty digest."""
    with pytest.raises(FileNotFoundError):
        digest_file(tmp_path / "a")
