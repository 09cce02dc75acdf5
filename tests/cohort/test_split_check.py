"""What a check of folds finds, whoever made them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metastra.cohort.split import Fold, Split
from metastra.cohort.split_groups import component_keys, components
from metastra.cohort.split_units import Units
from metastra.errors import Problem


def found(fold: Fold, units: Units, *groups: str) -> list[Problem]:
    """Check one published fold."""
    split = Split(kind="published", folds=(fold,), groups=("PATIENT", *groups), seed=1)
    return split.check(units, pseudonymise=lambda i: f"~{i}")


def test_a_tuning_patient_of_a_tested_site_is_found() -> None:
    """Tuning patients count as seen by the model: their sites may not be tested."""
    units = Units(ids=list("abc"), event=[1, 1, 1], groups={"site": list("NSS")})
    (item,) = found(Fold(name="f", train=("a",), tune=("b",), test=("c",)), units, "site")
    assert (item.code, item.patients) == ("SP002", ("~c",))
    assert found(Fold(name="f", train=("b",), tune=("c",), test=("a",)), units, "site") == []


def test_sites_that_are_not_recorded_are_not_called_shared() -> None:
    """Missing values are warned of once; they are no site on both sides."""
    units = Units(ids=list("abc"), event=[1, 1, 1], groups={"site": ["N", None, None]})
    (item,) = found(Fold(name="f", train=("a", "b"), test=("c",)), units, "site")
    assert (item.severity.value, item.where.column) == ("warn", "site")
    assert item.patients == ("~b", "~c")


def test_a_competing_event_is_no_event() -> None:
    """A test part with competing events only cannot be evaluated; nor can training and tuning
    parts without an event serve."""
    units = Units(ids=list("abc"), event=[1, 2, 0])
    items = found(Fold(name="f", train=("a",), tune=("c",), test=("b",)), units)
    assert [(i.code, i.found) for i in items] == [
        ("SP003", "f: no event among 1 tuning patients"),
        ("SP003", "f: no event among 1 test patients"),
    ]


def test_inner_folds_may_not_reach_outside_the_training_part() -> None:
    """An inner fold with a tested patient would choose settings on what is reported."""
    units = Units(ids=list("abcd"), event=[1, 1, 1, 1])
    inner = Fold(name="f.inner-0", train=("a",), test=("d",))
    items = found(Fold(name="f", train=("a", "b"), test=("c", "d"), inner=(inner,)), units)
    assert [(i.code, i.found, i.patients) for i in items] == [
        ("SP001", "f.inner-0: 1 patient stands outside the training part of f", ("~d",))
    ]


def test_inner_folds_are_checked_like_outer_ones() -> None:
    """A patient on both sides of an inner fold is found."""
    units = Units(ids=list("abcd"), event=[1, 1, 1, 1])
    inner = Fold(name="f.inner-0", train=("a", "b"), test=("b",))
    items = found(Fold(name="f", train=("a", "b"), test=("c", "d"), inner=(inner,)), units)
    assert [i.found for i in items] == ["f.inner-0: 1 patient stands in training and test"]


def test_events_of_external_cohorts_do_not_make_a_site_dominating() -> None:
    """Only events that are shared out over the folds count for SP007."""
    units = Units(
        ids=[f"p{i}" for i in range(12)],
        event=[1] * 12,
        groups={"site": list("AABBCC") + ["A"] * 6},
        role=["development"] * 6 + ["external"] * 6,
    )
    folds = tuple(
        Fold(name=f"f{k}", train=("p0",) if k else ("p2",), test=(f"p{2 * k}", f"p{2 * k + 1}"))
        for k in range(3)
    )
    split = Split(kind="published", folds=folds, groups=("PATIENT", "site"), seed=1)
    assert [i.code for i in split.check(units)] == []


def test_patients_of_a_stored_fold_without_a_row_are_counted() -> None:
    """An id that no patient has is reported even where the split does not list it as missing."""
    units = Units(ids=list("ab"), event=[1, 1])
    (item,) = found(Fold(name="f", train=("a", "x"), test=("b",)), units)
    assert (item.code, item.found) == ("SP004", "1 patient of the folds has no clinical row")


@given(
    sites=st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=15),
    seed=st.integers(0, 1000),
)
def test_components_are_numbered_by_ids_not_by_rows(sites: list[str], seed: int) -> None:
    """Each patient's component has the same number in any order of rows, and is named by its
    smallest id."""
    ids = np.array([f"p{i:02d}" for i in range(len(sites))])
    label = components(Units(ids=ids, event=[0] * len(sites), groups={"s": sites}), ("s",))
    order = np.random.default_rng(seed).permutation(len(sites))
    units = Units(ids=ids[order], event=[0] * len(sites), groups={"s": np.array(sites)[order]})
    again = components(units, ("s",))
    assert again.tolist() == label[order].tolist()
    keys = component_keys(units, again)
    assert keys == sorted(keys)
    assert keys == [min(ids[label == g].tolist()) for g in range(len(keys))]
