"""Drawn folds: nothing on both sides, nobody lost, order and outcome without influence."""

from __future__ import annotations

from collections import Counter
from datetime import date
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from metastra.cohort.split import Split
from metastra.cohort.split_draw import draw_split
from metastra.cohort.split_fold import Fold
from metastra.cohort.split_groups import components
from metastra.cohort.split_kinds import draw_k_folds, leave_one_cohort_out
from metastra.cohort.split_units import Units
from metastra.errors import ConfigError, DataError, LeakageError
from metastra.study.sections import ValidationSection


@st.composite
def cohorts(draw: st.DrawFn) -> Units:
    """Patients with a site and a scanner, some of them not recorded, in one to three cohorts."""
    n = draw(st.integers(4, 40))

    def column(alphabet: str) -> list[str]:
        return draw(st.lists(st.sampled_from(alphabet), min_size=n, max_size=n))

    role = {"x": "development", "y": "development", "z": "external"}
    cohort = column("xyz")
    return Units(
        ids=draw(st.permutations([f"p{i}" for i in range(n)])),
        event=draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)),
        groups={"site": column("ABCDEFGH "), "scanner": column("12345678")},
        cohort=cohort,
        role=[role[name] for name in cohort],
    )


def shuffled(units: Units, order: list[int]) -> Units:
    """The same patients in another order of rows."""
    return units.take(np.array(order))


def parts(folds: tuple[Fold, ...]) -> list[tuple[str, ...]]:
    """Test parts, each in sorted order."""
    return [tuple(sorted(fold.test)) for fold in folds]


def drawn(units: Units, **declared: object) -> Split:
    """Draw, or pass over an example whose folds would lack groups or events."""
    try:
        return draw_split(units, ValidationSection(**declared), seed=7)
    except DataError as error:
        assume(error.problems and all(p.code in ("SP003", "SP006") for p in error.problems))
        assume(False)
        raise


@settings(max_examples=60, deadline=None)
@given(units=cohorts(), n_folds=st.integers(2, 4), group=st.sampled_from(["", "site", "both"]))
def test_folds_partition_the_patients_and_keep_groups_whole(
    units: Units, n_folds: int, group: str
) -> None:
    """Every patient is tested once, trained on otherwise, and no declared value is on both
    sides."""
    groups = {"": (), "site": ("site",), "both": ("site", "scanner")}[group]
    if components(units, ("PATIENT", *groups)).max() + 1 < n_folds:
        with pytest.raises(DataError, match="SP006"):
            draw_k_folds(units, ("PATIENT", *groups), n_folds, "s", prefix="fold-")
        return
    folds = draw_k_folds(units, ("PATIENT", *groups), n_folds, "s", prefix="fold-")
    assert sorted(i for fold in folds for i in fold.test) == sorted(units.ids.tolist())
    for fold in folds:
        assert fold.test
        assert sorted(fold.train + fold.test) == sorted(units.ids.tolist())
        for name in groups:
            here = set(units.groups[name][np.isin(units.ids, fold.test)].tolist())
            there = set(units.groups[name][np.isin(units.ids, fold.train)].tolist())
            assert not here & there


@settings(max_examples=40, deadline=None)
@given(units=cohorts(), n_folds=st.integers(2, 4), group=st.sampled_from([(), ("site",)]))
def test_order_of_rows_and_external_cohorts_have_no_influence(
    units: Units, n_folds: int, group: tuple[str, ...]
) -> None:
    """Rows in another order, and external patients taken away, give the same bytes."""
    split = drawn(units, folds=n_folds, group=group)
    order = np.random.default_rng(units.n).permutation(units.n).tolist()
    assert drawn(shuffled(units, order), folds=n_folds, group=group).to_json() == split.to_json()
    alone = units.take(units.development)
    assert drawn(alone, folds=n_folds, group=group).to_json() == split.to_json()


@settings(max_examples=40, deadline=None)
@given(units=cohorts(), inner=st.integers(2, 3), group=st.sampled_from([(), ("site",)]))
def test_inner_folds_share_out_the_training_part_and_keep_groups_whole(
    units: Units, inner: int, group: tuple[str, ...]
) -> None:
    """Inner folds partition their fold's training part, with the same groupings."""
    for fold in drawn(units, folds=2, inner_folds=inner, group=group).folds:
        assert len(fold.inner) == inner
        assert sorted(i for f in fold.inner for i in f.test) == sorted(fold.train)
        for part in fold.inner:
            assert sorted(part.train + part.test) == sorted(fold.train)
            for name in group:
                here = set(units.groups[name][np.isin(units.ids, part.test)].tolist())
                there = set(units.groups[name][np.isin(units.ids, part.train)].tolist())
                assert not here & there


@settings(max_examples=60, deadline=None)
@given(units=cohorts(), n_folds=st.integers(2, 4))
def test_ungrouped_folds_differ_by_one_patient_in_every_stratum(units: Units, n_folds: int) -> None:
    """Events, each event code with each cohort, and all patients differ by at most one."""
    folds = draw_k_folds(units, ("PATIENT",), n_folds, "s", prefix="")
    where = {i: k for k, fold in enumerate(folds) for i in fold.test}
    fold = np.array([where[i] for i in units.ids.tolist()])

    def spread(mask: np.ndarray) -> int:
        return int(np.ptp(np.bincount(fold[mask], minlength=n_folds)))

    assert spread(np.ones(units.n, dtype=bool)) <= 1
    for code in (0, 1, 2):
        assert spread(units.event == code) <= 1
        for cohort in "xyz":
            assert spread((units.event == code) & (units.cohort == cohort)) <= 1


@settings(max_examples=40, deadline=None)
@given(units=cohorts())
def test_a_left_out_cohort_is_tested_whole_and_external_ones_never_train(units: Units) -> None:
    """Each fold tests one whole cohort and trains on all other development cohorts only."""
    assume(len(set(units.cohort.tolist())) > 1 and units.development.any())
    folds = leave_one_cohort_out(units, over="all")
    role = dict(zip(units.ids.tolist(), units.role.tolist(), strict=True))
    for fold in folds:
        name = fold.name.removeprefix("without-")
        assert sorted(fold.test) == sorted(units.ids[units.cohort == name].tolist())
        expected = units.ids[units.development & (units.cohort != name)].tolist()
        assert sorted(fold.train) == sorted(expected)
        assert all(role[i] == "development" for i in fold.train)


def many(n: int = 24, **columns: object) -> Units:
    """Patients with half as many events as patients."""
    return Units(ids=[f"p{i:02d}" for i in range(n)], event=[1, 0] * (n // 2), **columns)


def test_same_seed_same_bytes_other_seed_other_folds() -> None:
    """The seed decides the split, to the byte."""
    declared = ValidationSection(folds=4)
    first = draw_split(many(), declared, seed=1)
    assert draw_split(many(), declared, seed=1).to_json() == first.to_json()
    assert draw_split(many(), declared, seed=2).folds != first.folds


def test_the_draw_is_the_same_on_every_machine() -> None:
    """Two draws are pinned: neither another platform nor a changed algorithm may pass unseen."""
    split = draw_split(many(), ValidationSection(folds=4), seed=1)
    assert split.folds[0].test == PINNED_UNGROUPED
    sites = list("AAAABBBBCCCDDDEEEFFGGHHI")
    grouped = draw_split(
        many(groups={"site": sites}), ValidationSection(folds=4, group=("site",)), seed=1
    )
    kept = ["".join(sorted({sites[int(i[1:])] for i in fold.test})) for fold in grouped.folds]
    assert kept == PINNED_SITES


PINNED_UNGROUPED = ("p02", "p04", "p07", "p12", "p15", "p17")
PINNED_SITES = ["AH", "BF", "CD", "EGI"]


def test_repeats_are_other_draws_with_their_own_partition() -> None:
    """Each repeat shares all patients out once and differs from the others."""
    split = draw_split(many(), ValidationSection(folds=3, repeats=4), seed=1)
    assert len(split.folds) == 12
    assert split.folds[4].name == "repeat-1.fold-1"
    by_repeat = [tuple(f for f in split.folds if f.repeat == r) for r in range(4)]
    for folds in by_repeat:
        assert sorted(i for fold in folds for i in fold.test) == sorted(many().ids.tolist())
    assert len({frozenset(parts(folds)) for folds in by_repeat}) == 4


def test_groupings_hold_together_through_each_other() -> None:
    """Two sites that share a scanner, and two scanners that share a site, are one group."""
    units = Units(
        ids=list("abcdef"),
        event=[1, 1, 1, 1, 1, 1],
        groups={"site": list("NSSWVU"), "scanner": list("112345")},
    )
    label = components(units, ("PATIENT", "site", "scanner"))
    assert label.tolist() == [0, 0, 0, 1, 2, 3]
    folds = draw_k_folds(units, ("PATIENT", "site", "scanner"), 2, "s", prefix="")
    assert sorted(parts(folds)) == [("a", "b", "c"), ("d", "e", "f")]


def test_patients_without_a_site_are_kept_together_and_reported() -> None:
    """Nobody knows whether they share one, so they form one group, with a warning."""
    sites = ["A", "B", "C", None, " ", "", "D", "E"] * 3
    units = many(groups={"site": sites})
    split = draw_split(units, ValidationSection(folds=3, group=("site",)), seed=1)
    unknown = {
        i for i, site in zip(units.ids.tolist(), sites, strict=True) if not (site or "").strip()
    }
    assert any(unknown <= set(fold.test) for fold in split.folds)
    (item,) = split.check(units)
    assert (item.code, item.severity.value, item.patients) == ("SP002", "warn", ())
    assert item.found.startswith("9 of 24 patients have no 'site'")


def test_repeated_patients_are_kept_on_one_side() -> None:
    """Where units are specimens with a PATIENT column, one patient's specimens stay together."""
    patients = [f"q{i // 3}" for i in range(24)]
    units = many(groups={"PATIENT": patients})
    split = draw_split(units, ValidationSection(folds=4), seed=1)
    for fold in split.folds:
        assert len({patients[int(i[1:])] for i in fold.test}) * 3 == len(fold.test)
    torn = Fold(name="torn", train=("p00", "p01", "p05"), test=("p02", "p04"))
    (item, *_) = Split(kind="published", folds=(torn,), groups=("PATIENT",), seed=1).check(units)
    assert (item.code, item.found) == ("SP001", "torn: 2 patients stand in training and test")


def test_fewer_sites_than_folds_are_refused_for_outer_and_inner_folds() -> None:
    """Too few groups are refused with both numbers, all inner folds at once."""
    units = many(groups={"site": ["A", "B", "C"] * 8})
    with pytest.raises(DataError) as caught:
        draw_split(units, ValidationSection(folds=4, group=("site",)), seed=1)
    (item,) = caught.value.problems
    assert (item.code, item.expected) == ("SP006", "at least 4 groups")
    assert item.found.startswith("3 groups by 'PATIENT' and 'site' among 24 patients")
    with pytest.raises(DataError) as caught:
        draw_split(units, ValidationSection(folds=3, inner_folds=3, group=("site",)), seed=1)
    assert [item.code for item in caught.value.problems] == ["SP006"] * 3


def test_a_fold_without_events_is_refused() -> None:
    """Two events cannot serve three folds."""
    units = Units(ids=[f"p{i}" for i in range(12)], event=[1, 1] + [0] * 10)
    with pytest.raises(DataError) as caught:
        draw_split(units, ValidationSection(folds=3), seed=1)
    (item,) = caught.value.problems
    assert item.code == "SP003"
    assert item.found.endswith("no event among 4 test patients")


def test_a_site_with_most_events_is_warned_of() -> None:
    """A site with 10 of 12 events outweighs half as much again as one of three folds."""
    sites = ["A"] * 20 + ["B"] * 2 + ["C"] * 2
    split = draw_split(
        many(groups={"site": sites}), ValidationSection(folds=3, group=("site",)), seed=1
    )
    (item,) = split.check(many(groups={"site": sites}))
    assert item.code == "SP007"
    assert item.found == "site 'A' holds 10 of 12 events; one of 3 folds would hold 4.0"


def test_leaving_cohorts_out_takes_the_development_cohorts() -> None:
    """With two development cohorts each is left out once; the external one is in no fold."""
    cohort = ["x"] * 8 + ["y"] * 8 + ["z"] * 8
    role = ["development"] * 16 + ["external"] * 8
    units = many(cohort=cohort, role=role)
    declared = ValidationSection(leave_one_cohort_out=True, inner_folds=2)
    split = draw_split(units, declared, seed=1)
    assert split.kind == "leave-one-cohort-out"
    assert [fold.name for fold in split.folds] == ["without-x", "without-y"]
    assert not split.patients & set(units.ids[16:].tolist())
    assert all(len(fold.inner) == 2 for fold in split.folds)


def test_leaving_the_only_development_cohort_out_is_not_possible() -> None:
    """With one development cohort it trains and the others test; alone it is refused."""
    units = many(cohort=["x"] * 12 + ["z"] * 12, role=["development"] * 12 + ["external"] * 12)
    declared = ValidationSection(leave_one_cohort_out=True)
    (fold,) = draw_split(units, declared, seed=1).folds
    assert fold.name == "without-z"
    assert set(fold.train) == set(units.ids[:12].tolist())
    with pytest.raises(DataError, match="SP006"):
        draw_split(units.take(units.development), declared, seed=1)


def test_a_site_in_two_cohorts_stands_against_leaving_one_out() -> None:
    """Where the study declares the site, a hospital in two cohorts is named."""
    units = many(
        cohort=["x"] * 12 + ["y"] * 12, groups={"site": ["A"] * 6 + ["B"] * 12 + ["C"] * 6}
    )
    declared = ValidationSection(leave_one_cohort_out=True, group=("site",))
    with pytest.raises(LeakageError) as caught:
        draw_split(units, declared, seed=1)
    assert [item.code for item in caught.value.problems] == ["SP002", "SP002"]
    assert "'site' in training and test: B" in caught.value.problems[0].found


def test_a_split_by_time_tests_from_the_cut_on() -> None:
    """The day of the cut itself is tested; patients without a day are in no fold, with a
    warning; patients of external cohorts are left alone."""
    days = ["2019-01-01"] * 10 + ["2020-01-01"] * 10 + ["NaT"] * 2 + ["2021-01-01"] * 2
    role = ["development"] * 22 + ["external"] * 2
    units = many(date=days, role=role)
    declared = ValidationSection(
        temporal_column="surgery", temporal_cut=date(2020, 1, 1), inner_folds=2
    )
    split = draw_split(units, declared, seed=1)
    (fold,) = split.folds
    assert split.kind == "temporal"
    assert fold.train == tuple(units.ids[:10].tolist())
    assert fold.test == tuple(units.ids[10:20].tolist())
    assert len(fold.inner) == 2
    assert [(i.code, i.found) for i in split.check(units)] == [
        ("SP005", "2 patients stand in no fold")
    ]


def test_settings_that_contradict_each_other_are_refused() -> None:
    """Two kinds of split at once, repeats of what is not drawn and unknown groupings are
    refused."""
    both = ValidationSection(fold_files="a.json", leave_one_cohort_out=True)
    with pytest.raises(ConfigError, match="fold_files and leave_one_cohort_out"):
        draw_split(many(), both, seed=1)
    repeated = ValidationSection(leave_one_cohort_out=True, repeats=2)
    with pytest.raises(ConfigError, match="repeats belongs to drawn folds"):
        draw_split(many(), repeated, seed=1)
    with pytest.raises(ConfigError, match=r"'Site'.*did you mean 'site'"):
        draw_split(many(groups={"site": ["A"] * 24}), ValidationSection(group=("Site",)), seed=1)
    undated = ValidationSection(temporal_column="d", temporal_cut=date(2020, 1, 1))
    with pytest.raises(ConfigError, match="temporal_column with dates"):
        draw_split(many(), undated, seed=1)
    with pytest.raises(DataError, match="no patient is in a development cohort"):
        draw_split(many(role=["external"] * 24), ValidationSection(), seed=1)


def test_units_refuse_ids_that_are_missing_or_repeated() -> None:
    """Both are told, without the ids."""
    with pytest.raises(DataError) as caught:
        Units(ids=["a", "a", "", " "], event=[0, 0, 0, 0])
    assert [item.code for item in caught.value.problems] == ["CO010", "CO011"]
    with pytest.raises(ConfigError, match="event has the shape"):
        Units(ids=["a"], event=[0, 1])
    with pytest.raises(ConfigError, match="role 'test' is not known"):
        Units(ids=["a"], event=[0], role=["test"])


def test_every_patient_is_as_likely_in_every_fold_whatever_his_outcome() -> None:
    """Over 600 seeds each patient's fold is uniform: chi-squared over the folds, events and
    others alike, within what 22 patients may show by chance (p > 1e-4 each)."""
    units = Units(ids=[f"p{i:02d}" for i in range(22)], event=[1] * 5 + [0] * 17)
    counts = np.zeros((units.n, 4))
    for seed in range(600):
        for k, fold in enumerate(draw_k_folds(units, ("PATIENT",), 4, str(seed), prefix="")):
            counts[[int(i[1:]) for i in fold.test], k] += 1
    statistic = ((counts - 150) ** 2 / 150).sum(axis=1)
    assert chi2.sf(statistic, 3).min() > 1e-4
    assert 2.0 < statistic.mean() < 4.2  # 3 in expectation; a fold given by the id would be 0


def test_two_patients_meet_as_often_as_balance_alone_implies() -> None:
    """With m of a stratum dealt to K folds two of them meet with probability
    (m/K − 1)/(m − 1), and one of each stratum with 1/K, whoever they are."""
    units = Units(ids=[f"p{i:02d}" for i in range(18)], event=[1] * 6 + [0] * 12)
    together: Counter[tuple[int, int]] = Counter()
    n_seeds = 1500
    for seed in range(n_seeds):
        for fold in draw_k_folds(units, ("PATIENT",), 3, str(seed), prefix=""):
            together.update(combinations(sorted(int(i[1:]) for i in fold.test), 2))
    for i, j in combinations(range(18), 2):
        expected = {2: 1 / 5, 1: 1 / 3, 0: 3 / 11}[int(units.event[i]) + int(units.event[j])]
        tolerance = 4.5 * np.sqrt(expected * (1 - expected) / n_seeds)
        assert abs(together[i, j] / n_seeds - expected) < tolerance


def test_who_had_the_event_within_a_site_has_no_influence() -> None:
    """Grouped folds depend on the sites' counts only: outcomes permuted within sites change
    nothing."""
    rng = np.random.default_rng(5)
    sites = np.array(list("AAAAAABBBBBCCCCDDDDEEEFFFGGH"))
    event = rng.integers(0, 2, sites.size)
    permuted = event.copy()
    for site in np.unique(sites):
        permuted[sites == site] = rng.permutation(event[sites == site])
    assert (permuted != event).any()
    ids = [f"p{i}" for i in range(sites.size)]
    first, second = (
        draw_k_folds(
            Units(ids=ids, event=values, groups={"site": sites}),
            ("PATIENT", "site"),
            3,
            "s",
            prefix="",
        )
        for values in (event, permuted)
    )
    assert first == second
