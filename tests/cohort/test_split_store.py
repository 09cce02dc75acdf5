"""A stored split follows the cohort and is never redrawn by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from metastra.cohort.split import Split
from metastra.cohort.split_fold import Fold
from metastra.cohort.split_store import redrawn_split, stored_split
from metastra.cohort.split_units import Units
from metastra.errors import ConfigError, DataError, LeakageError
from metastra.study.sections import ValidationSection

SITES = dict(zip([f"p{i:02d}" for i in range(30)], "AAAAABBBBBCCCCCDDDDEEEEFFFFGGG", strict=True))


def units_of(sites: dict[str, str], **columns: object) -> Units:
    """Patients with a site; every second one had the event."""
    event = [1 - int(i[-1]) % 2 for i in sites]
    return Units(ids=list(sites), event=event, groups={"site": list(sites.values())}, **columns)


def sides(folds: tuple[Fold, ...]) -> dict[tuple[str, str], str]:
    """Where every patient stands, by fold; inner folds too."""
    return {
        (fold.name, i): part
        for outer in folds
        for fold in outer.walk()
        for part, ids in (("train", fold.train), ("tune", fold.tune), ("test", fold.test))
        for i in ids
    }


BY_SITE = ValidationSection(folds=3, inner_folds=2, repeats=2, group=("PATIENT", "site"))


def test_an_unchanged_cohort_gets_the_stored_split_itself() -> None:
    """Same patients, settings and seed: the stored split, also with rows in another order and
    after a round trip through its file."""
    units = units_of(SITES)
    first = stored_split(None, units, BY_SITE, seed=4)
    assert first.history == ()
    kept = Split.from_json(first.to_json())
    turned = units_of(dict(reversed(SITES.items())))
    assert stored_split(kept, turned, BY_SITE, seed=4) is kept


def test_corrected_outcomes_move_nobody() -> None:
    """The stored split stays when events are corrected, although a fresh draw would differ."""
    first = stored_split(None, units_of(SITES), BY_SITE, seed=4)
    event = [int(i[-1]) % 3 == 0 for i in SITES]
    corrected = Units(ids=list(SITES), event=event, groups={"site": list(SITES.values())})
    assert stored_split(first, corrected, BY_SITE, seed=4) is first
    assert redrawn_split(first, corrected, BY_SITE, seed=4).folds != first.folds


@settings(max_examples=20, deadline=None)
@given(
    gone=st.sets(st.sampled_from(sorted(SITES)), max_size=8),
    new=st.dictionaries(
        st.integers(40, 60).map(lambda i: f"p{i}"), st.sampled_from("ABCDEFGXYZ"), max_size=8
    ),
)
def test_patients_come_and_go_and_nobody_else_moves(gone: set[str], new: dict[str, str]) -> None:
    """Whoever stays keeps his side in every outer and inner fold; new patients stand where their
    site stands; folds stay a partition; and the history counts it."""
    first = stored_split(None, units_of(SITES), BY_SITE, seed=4)
    sites = {i: s for i, s in SITES.items() if i not in gone} | new
    units = units_of(sites)
    try:
        later = stored_split(first, units, BY_SITE, seed=4, pseudonymise=str.upper)
    except DataError as error:
        assume([item.code for item in error.problems] == ["SP003"])
        assume(False)
        raise
    before, after = sides(first.folds), sides(later.folds)
    assert {k: v for k, v in before.items() if k[1] in sites} == {
        k: v for k, v in after.items() if k in before
    }
    for outer in later.folds:
        assert sorted(outer.train + outer.test) == sorted(sites)
        assert sorted(i for fold in outer.inner for i in fold.test) == sorted(outer.train)
        for fold in outer.walk():
            assert not {sites[i] for i in fold.train} & {sites[i] for i in fold.test}
    if gone or new:
        (change,) = later.history
        assert (change.what, change.previous) == ("updated", first.digest)
        assert (change.n_added, change.n_removed) == (len(new), len(gone))
        assert change.removed == tuple(sorted(i.upper() for i in gone))
        assert stored_split(later, units, BY_SITE, seed=4) is later
        order = units_of(dict(sorted(sites.items(), reverse=True)))
        assert stored_split(first, order, BY_SITE, seed=4, pseudonymise=str.upper) == later


def test_without_pseudonyms_the_history_only_counts() -> None:
    """A patient who left is not kept by his study id anywhere in the file."""
    first = stored_split(None, units_of(SITES), BY_SITE, seed=4)
    sites = {i: s for i, s in SITES.items() if i != "p07"}
    later = stored_split(first, units_of(sites), BY_SITE, seed=4)
    assert later.history[0].n_removed == 1
    assert "p07" not in later.to_json()


def test_new_sites_go_where_the_fold_is_smallest() -> None:
    """Without a known group a new patient fills the fold that lacks most, and new patients share
    themselves out."""
    settings_ = ValidationSection(folds=3)
    first = stored_split(None, units_of(dict(list(SITES.items())[:28])), settings_, seed=4)
    later = stored_split(first, units_of(SITES), settings_, seed=4)
    assert sorted(len(fold.test) for fold in first.folds) == [9, 9, 10]
    assert sorted(len(fold.test) for fold in later.folds) == [10, 10, 10]


def test_a_patient_who_ties_two_folds_is_refused() -> None:
    """A new patient of two groupings that stand in different folds is named by pseudonym."""
    columns = {"site": list("AABBCC"), "scanner": list("112233")}
    units = Units(ids=list("abcdef"), event=[1] * 6, groups=columns)
    declared = ValidationSection(folds=3, group=("site", "scanner"))
    first = stored_split(None, units, declared, seed=4)
    tying = Units(
        ids=list("abcdefg"),
        event=[1] * 7,
        groups={"site": list("AABBCCA"), "scanner": list("1122333")},
    )
    with pytest.raises(LeakageError) as caught:
        stored_split(first, tying, declared, seed=4, pseudonymise=lambda i: f"~{i}")
    (item,) = caught.value.problems
    assert (item.code, item.patients) == ("SP002", ("~g",))
    assert item.found.startswith("new patients (1) tie groups by 'site' and 'scanner'")


def test_a_corrected_site_that_tears_a_fold_is_refused() -> None:
    """A known patient whose site is corrected to one of another fold stands against the stored
    split."""
    declared = ValidationSection(folds=3, group=("site",))
    first = stored_split(None, units_of(SITES), declared, seed=4)
    test_of = {i: fold.name for fold in first.folds for i in fold.test}
    other = next(s for i, s in SITES.items() if test_of[i] != test_of["p00"])
    with pytest.raises(LeakageError, match="SP002"):
        stored_split(first, units_of(SITES | {"p00": other}), declared, seed=4)


def test_changed_settings_are_refused_and_named() -> None:
    """Another number of folds or another seed needs an explicit redraw; the error says which."""
    units = units_of(SITES)
    first = stored_split(None, units, BY_SITE, seed=4)
    with pytest.raises(ConfigError, match=r"folds = 3, now 4.*--redraw"):
        stored_split(first, units, BY_SITE.model_copy(update={"folds": 4}), seed=4)
    with pytest.raises(ConfigError, match=r"seed = 4, now 5"):
        stored_split(first, units, BY_SITE, seed=5)


def test_a_redraw_is_explicit_and_goes_into_the_history() -> None:
    """Redrawing with other settings keeps the digest of the split before."""
    units = units_of(SITES)
    first = stored_split(None, units, BY_SITE, seed=4)
    fewer = BY_SITE.model_copy(update={"folds": 2})
    again = redrawn_split(first, units, fewer, seed=4)
    assert again.history[0].what == "redrawn"
    assert again.history[0].previous == first.digest
    assert len(again.folds) == 4
    assert redrawn_split(again, units, fewer, seed=4) is again


def test_a_fold_that_lost_its_events_is_refused() -> None:
    """If those who left took a fold's last event with them, the fold cannot be reported."""
    units = Units(ids=list("abcdef"), event=[1, 1, 1, 0, 0, 0])
    declared = ValidationSection(folds=3)
    first = stored_split(None, units, declared, seed=4)
    with pytest.raises(DataError, match="SP003"):
        stored_split(first, units.only(tuple("bcdef")), declared, seed=4)


def test_left_out_cohorts_take_new_patients_by_cohort() -> None:
    """A new patient joins his cohort; a new cohort or a patient who changed his is refused."""
    cohorts = ["x"] * 15 + ["y"] * 15
    declared = ValidationSection(leave_one_cohort_out=True, inner_folds=3)
    units = units_of(SITES, cohort=cohorts)
    first = stored_split(None, units, declared, seed=4)
    assert stored_split(first, units, declared, seed=4) is first
    more = units_of(SITES | {"p98": "A"}, cohort=[*cohorts, "y"])
    later = stored_split(first, more, declared, seed=4)
    assert "p98" in later.folds[1].test
    kept = {k: v for k, v in sides(later.folds).items() if k[1] != "p98"}
    assert kept == sides(first.folds)
    with pytest.raises(DataError, match="without-x, without-y, now they would be"):
        stored_split(
            first, units_of(SITES | {"p98": "A"}, cohort=[*cohorts, "z"]), declared, seed=4
        )
    moved = units_of(SITES, cohort=["x"] * 14 + ["y"] * 16)
    with pytest.raises(
        DataError, match="1 of the patients in the stored split would change sides: P14;"
    ):
        stored_split(first, moved, declared, seed=4, pseudonymise=str.upper)


def test_a_split_by_time_takes_new_patients_by_day() -> None:
    """A later patient joins the test part; a corrected day across the cut is refused."""
    days = ["2019-06-01"] * 15 + ["2020-06-01"] * 15
    declared = ValidationSection(temporal_column="day", temporal_cut=date(2020, 1, 1))
    first = stored_split(None, units_of(SITES, date=days), declared, seed=4)
    more = units_of(SITES | {"p98": "A"}, date=[*days, "2021-01-01"])
    later = stored_split(first, more, declared, seed=4)
    assert later.folds[0].test == (*first.folds[0].test, "p98")
    corrected = units_of(SITES, date=["2020-06-01", *days[1:]])
    with pytest.raises(DataError, match="change sides"):
        stored_split(first, corrected, declared, seed=4)


def test_published_folds_are_read_again_and_compared(tmp_path: Path) -> None:
    """A patient whose clinical row arrives later stands where the file has him; files may move to
    another folder; a file that says something else is refused."""
    for k, (train, val) in enumerate([("p00", "p02"), ("p02", "p00")]):
        rows = f"{train},{val}\np04,p06\np01,\np03,\n"
        (tmp_path / f"s_{k}.csv").write_text(f"train,val\n{rows}")
    declared = ValidationSection(fold_files=str(tmp_path / "s_{fold}.csv"), inner_folds=2)
    ids = ("p00", "p01", "p02", "p04", "p06")
    first = stored_split(None, units_of(SITES).only(ids), declared, seed=4)
    assert first.missing == ("p03",)
    later = stored_split(first, units_of(SITES).only((*ids, "p03")), declared, seed=4)
    assert later.missing == ()
    assert later.folds[0].train == ("p00", "p04", "p01", "p03")
    assert {k: v for k, v in sides(later.folds).items() if k[1] != "p03"} == sides(first.folds)
    (tmp_path / "other").mkdir()
    for path in tmp_path.glob("*.csv"):
        path.rename(tmp_path / "other" / path.name)
    elsewhere = ValidationSection(
        fold_files=str(tmp_path / "other" / "s_{fold}.csv"), inner_folds=2
    )
    assert stored_split(later, units_of(SITES).only((*ids, "p03")), elsewhere, seed=4) is later
    renamed = replace(later, source="as the study spells it", settings=declared)
    assert stored_split(renamed, units_of(SITES).only((*ids, "p03")), elsewhere, seed=4) is renamed
    swapped = "train,val\np02,p00\np04,p06\np01,\np03,\n"
    (tmp_path / "other" / "s_0.csv").write_text(swapped)
    with pytest.raises(
        DataError, match="2 of the patients in the stored split would change sides;"
    ):
        stored_split(later, units_of(SITES).only((*ids, "p03")), elsewhere, seed=4)


def test_a_split_without_settings_is_compared_by_its_seed() -> None:
    """A split that was built by hand is kept too."""
    units = units_of(SITES)
    made = replace(stored_split(None, units, BY_SITE, seed=4), settings=None)
    assert stored_split(made, units, BY_SITE, seed=4) is made
    with pytest.raises(ConfigError, match="seed"):
        stored_split(made, units, BY_SITE, seed=1)
