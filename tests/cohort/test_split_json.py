"""The split's file: strict, one layout, one digest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metastra.cohort.split import Fold, Split, SplitChange
from metastra.cohort.split_draw import draw_split
from metastra.cohort.split_units import Units
from metastra.errors import SchemaError
from metastra.study.sections import ValidationSection

ids = st.lists(st.text(min_size=1, max_size=4), unique=True, max_size=4).map(tuple)
inner_folds = st.builds(
    Fold, name=st.text(min_size=1, max_size=3), train=ids, test=ids, tune=ids, repeat=st.integers(0)
)
outer_folds = st.builds(
    Fold,
    name=st.text(min_size=1, max_size=3),
    train=ids,
    test=ids,
    inner=st.lists(inner_folds, max_size=2).map(tuple),
)


@given(
    folds=st.lists(outer_folds, max_size=3, unique_by=lambda fold: fold.name).map(tuple),
    missing=ids,
    kind=st.sampled_from(["k-fold", "leave-one-cohort-out", "temporal", "published"]),
)
def test_what_is_written_is_read(folds: tuple[Fold, ...], missing: Any, kind: Any) -> None:
    """Any split comes back equal, with the same digest and the same bytes."""
    split = Split(
        kind=kind,
        folds=folds,
        groups=("PATIENT", "site"),
        seed=3,
        source="a/splits_{fold}.csv",
        missing=missing,
        settings=ValidationSection(folds=4),
        history=(SplitChange(what="updated", previous="0" * 64, n_added=1, n_removed=2),),
    )
    again = Split.from_json(split.to_json())
    assert again == split
    assert again.digest == split.digest
    assert again.to_json() == split.to_json()


def test_the_digest_changes_with_every_part() -> None:
    """Two splits that differ in one patient's side have different digests."""
    fold = Fold(name="f", train=("a", "b"), test=("c",))
    other = Fold(name="f", train=("a",), test=("c",), tune=("b",))
    first, second = (
        Split(kind="published", folds=(f,), groups=("PATIENT",), seed=1) for f in (fold, other)
    )
    assert first.digest != second.digest


def document() -> dict[str, Any]:
    """The JSON of a small split."""
    units = Units(ids=list("abcd"), event=[1, 1, 1, 1])
    declared = ValidationSection(folds=2, inner_folds=2)
    return json.loads(draw_split(units, declared, seed=1).to_json())


def put(value: object, *path: str | int) -> str:
    """The JSON with one value replaced, or taken away by Ellipsis."""
    whole = document()
    at: Any = whole
    for step in path[:-1]:
        at = at[step]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return json.dumps(whole)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (put(..., "seed"), r"\$ has no seed"),
        (put(1, "extra"), r"unknown key 'extra'"),
        (put("metastra-split-2", "format"), r"newer metastra"),
        (put("bootstrap", "kind"), r"\$.kind is none of"),
        (put(True, "seed"), r"\$.seed"),
        (put({}, "folds"), r"\$.folds is not a list"),
        (put("f", "folds", 0), r"\$.folds\[0\] is not a JSON object"),
        (put("fold-1", "folds", 0, "name"), r"two folds of one name"),
        (put(["a", "a"], "folds", 0, "train"), r"\$.folds\[0\].train names a patient twice"),
        (put([1], "folds", 1, "inner", 0, "test"), r"inner\[0\].test is not a list of ids"),
        (put(-1, "folds", 0, "repeat"), r"repeat is not a number from 0"),
        (put({"folds": 1}, "settings"), r"\$.settings cannot be read: folds"),
        (put([{"what": "x"}], "history"), r"\$.history\[0\] has no"),
        ('{"a": 1, "a": 2}', r"a key stands twice"),
        ("[NaN]", r"NaN is no JSON number"),
        (b"\xff", r"no strict JSON"),
        ("[]", r"\$ is not a JSON object"),
    ],
)
def test_another_layout_is_refused_with_its_place(text: str | bytes, message: str) -> None:
    """Whatever is not exactly a split is refused; the message says where."""
    with pytest.raises(SchemaError, match=message):
        Split.from_json(text)
