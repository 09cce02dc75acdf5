"""Published fold files: what is read, what is refused, what is only counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from metastra.cohort.split import Split
from metastra.cohort.split_draw import draw_split
from metastra.cohort.split_published import read_published_folds
from metastra.cohort.split_units import Units
from metastra.errors import DataError, LeakageError, Severity
from metastra.study.sections import ValidationSection

UNITS = Units(
    ids=["p1", "p2", "p3", "p4", "p5", "p6"],
    event=[1, 0, 1, 0, 1, 0],
    groups={"site": ["A", "A", "B", "B", "C", "C"]},
)


def published(path: Path, *, units: Units = UNITS, **settings: object) -> Split:
    """Draw with `path` as the declared fold files."""
    section = ValidationSection(fold_files=str(path), **settings)
    return draw_split(units, section, seed=1, pseudonymise=lambda i: f"~{i[-1]}")


def write(folder: Path, **files: str) -> Path:
    """Write files by stem and give the template of their names."""
    for stem, text in files.items():
        (folder / f"{stem}.csv").write_text(text, encoding="utf-8")
    return folder / "splits_{fold}.csv"


def test_train_and_val_are_training_and_test(tmp_path: Path) -> None:
    """A file with train and val reports on val; the index column, padding blanks, capitals and
    the kind of separator do not count, and the order of the file is kept."""
    template = write(
        tmp_path,
        splits_0=",train,val\n0,p5,p2\n1,p3,p1\n2,p4,\n3,p6,\n",
        splits_1=" Train ;VAL\np1;p6\np2;p5\n ; \n;p4\n;p3\n",
    )
    split = published(template)
    assert split.kind == "published"
    assert [fold.name for fold in split.folds] == ["fold-0", "fold-1"]
    assert split.folds[0].train == ("p5", "p3", "p4", "p6")
    assert split.folds[0].test == ("p2", "p1")
    assert split.folds[1].train == ("p1", "p2")
    assert split.folds[1].test == ("p6", "p5", "p4", "p3")
    assert split.folds[0].tune == ()
    assert split.source == "splits_{fold}.csv"


def test_three_columns_tune_on_val(tmp_path: Path) -> None:
    """Where a file has train, val and test, as CLAM writes it, val chooses and test reports."""
    template = write(tmp_path, splits_0=",train,val,test\n0,p1,p3,p5\n1,p2,p4,p6\n")
    (fold,) = published(template).folds
    assert (fold.train, fold.tune, fold.test) == (("p1", "p2"), ("p3", "p4"), ("p5", "p6"))


def test_splits_json_of_stamp(tmp_path: Path) -> None:
    """STAMP's splits.json gives one fold per entry, in order."""
    path = tmp_path / "splits.json"
    splits = [
        {"train_patients": ["p3", "p4", "p5", "p6"], "test_patients": ["p1", "p2"]},
        {"train_patients": ["p1", "p2"], "test_patients": ["p3", "p4", "p5", "p6"]},
    ]
    path.write_text(json.dumps({"splits": splits}))
    split = published(path)
    assert [fold.test for fold in split.folds] == [("p1", "p2"), ("p3", "p4", "p5", "p6")]


def test_our_own_json_is_read_as_published(tmp_path: Path) -> None:
    """A split of another run is taken over fold by fold, inner folds included."""
    first = draw_split(UNITS, ValidationSection(folds=3, inner_folds=2, group=("site",)), seed=3)
    path = tmp_path / "splits.json"
    path.write_text(first.to_json())
    again = published(path, inner_folds=4)
    assert again.folds == first.folds
    assert again.kind == "published"


def test_files_may_lie_in_numbered_folders_and_count_from_one(tmp_path: Path) -> None:
    """``{fold}`` may stand in a folder's name, and numbers may start at 1."""
    for k, (train, val) in {1: ("p1", "p3"), 2: ("p3", "p1")}.items():
        (tmp_path / f"k={k}").mkdir()
        (tmp_path / f"k={k}" / "split.csv").write_text(f"train,val\n{train},{val}\n")
    units = UNITS.only(("p1", "p3"))
    split = published(tmp_path / "k={fold}" / "split.csv", units=units)
    assert [(f.name, f.test) for f in split.folds] == [("fold-1", ("p3",)), ("fold-2", ("p1",))]


def test_more_than_ten_folds_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """Fold 10 follows fold 9, not fold 1."""
    files = {f"splits_{k}": "train,val\np1,p3\n" for k in range(12)}
    folds = read_published_folds(str(write(tmp_path, **files)), UNITS).folds
    assert [fold.name for fold in folds] == [f"fold-{k}" for k in range(12)]


def test_relative_paths_start_from_the_folder(tmp_path: Path) -> None:
    """A relative path is looked up from the study's folder and named as it was given."""
    write(tmp_path, splits_0="train,val\np1,p3\n")
    found = read_published_folds("splits_{fold}.csv", UNITS, folder=tmp_path)
    assert found.source == "splits_{fold}.csv"
    assert found.folds[0].train == ("p1",)


def test_ids_match_in_one_unicode_form_and_keep_the_cohorts_spelling(tmp_path: Path) -> None:
    """An id in decomposed Unicode with blanks around it is the cohort's patient."""
    units = Units(ids=["Jos\u00e9", "b"], event=[1, 1])
    template = write(tmp_path, splits_0="train,val\n Jose\u0301 ,b\n")
    (fold,) = published(template, units=units).folds
    assert fold.train == ("Jos\u00e9",)


def test_patients_without_a_clinical_row_are_counted_and_dropped(tmp_path: Path) -> None:
    """Ids that no patient has leave the folds, stand under `missing` and are warned of."""
    template = write(tmp_path, splits_0="train,val\np1,p3\nx9,p4\np2,x8\np5,p6\n")
    split = published(template)
    assert split.missing == ("x9", "x8")
    assert split.folds[0].train == ("p1", "p2", "p5")
    (item,) = split.check(UNITS, pseudonymise=lambda i: f"~{i[-1]}")
    assert (item.code, item.severity) == ("SP004", Severity.WARN)
    assert item.found == "2 patients of the folds have no clinical row"
    assert item.patients == ("~8", "~9")


def test_patients_in_no_fold_and_never_tested_are_warned_of(tmp_path: Path) -> None:
    """A patient of the cohort who is in no fold, or only ever trained on, is never predicted."""
    template = write(
        tmp_path, splits_0="train,val\np1,p3\np5,p4\n", splits_1="train,val\np3,p1\np5,p2\n"
    )
    items = published(template).check(UNITS, pseudonymise=lambda i: f"~{i[-1]}")
    assert [(i.code, i.found, i.patients) for i in items] == [
        ("SP005", "1 patient stands in no fold", ("~6",)),
        ("SP005", "1 patient stands in training only and never predicted", ("~5",)),
    ]


def test_patient_on_both_sides_is_refused_under_his_pseudonym(tmp_path: Path) -> None:
    """A patient in train and val is refused; neither the message nor the problem has his id."""
    template = write(tmp_path, splits_0="train,val\np1,p3\np3,p4\np2,p5\n")
    with pytest.raises(LeakageError) as caught:
        published(template)
    (item,) = caught.value.problems
    assert (item.code, item.patients) == ("SP001", ("~3",))
    assert "p3" not in str(caught.value)
    assert item.where.file == "splits_{fold}.csv"


def test_tuning_patients_may_not_be_tested(tmp_path: Path) -> None:
    """A patient in val and test of a three-part file is refused as well."""
    template = write(tmp_path, splits_0="train,val,test\np1,p3,p5\np2,p5,p6\n")
    with pytest.raises(LeakageError, match="1 patient stands in tuning and test"):
        published(template)


def test_shared_site_is_refused_only_where_sites_are_declared(tmp_path: Path) -> None:
    """A site on both sides is refused by name when the study declares the grouping."""
    template = write(tmp_path, splits_0="train,val\np1,p2\np3,p5\np4,p6\n")
    units = Units(
        ids=UNITS.ids, event=[1, 1, 1, 0, 1, 0], groups={"site": ["A", "A", "B", "B", "C", "C"]}
    )
    assert published(template, units=units).groups == ("PATIENT",)
    with pytest.raises(LeakageError) as caught:
        published(template, units=units, group=("PATIENT", "site"))
    (item,) = caught.value.problems
    assert item.code == "SP002"
    assert item.found == "fold-0: 1 value of 'site' in training and test: A"
    assert item.patients == ("~2",)


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    """A shared patient in one fold and missing events in another are told together."""
    template = write(
        tmp_path, splits_0="train,val\np1,p3\np3,p5\n", splits_1="train,val\np1,p2\np3,p4\n"
    )
    with pytest.raises(LeakageError) as caught:
        published(template)
    assert [item.code for item in caught.value.problems] == ["SP001", "SP003"]
    assert caught.value.problems[1].found == "fold-1: no event among 2 test patients"


def test_external_patient_in_training_is_refused(tmp_path: Path) -> None:
    """A patient of an external cohort may not be fitted on by way of a fold file."""
    units = Units(
        ids=["p1", "p3", "e1"],
        event=[1, 1, 1],
        cohort=["north", "north", "south"],
        role=["development", "development", "external"],
    )
    template = write(tmp_path, splits_0="train,val\np1,p3\ne1,\n")
    with pytest.raises(LeakageError, match="in training and in south"):
        published(template, units=units)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "the header has nothing"),
        ("case,fold\np1,0\n", "the header has case, fold"),
        ("train\np1\n", "the header has train"),
        ("train,val,train\np1,p3,p2\n", "a column name occurs twice"),
        ("train,val\n0,p1,p3\n1,p2,p4\n", "rows have more cells than the header"),
        ("train,val\np1.svs,p3.svs\n", "fold-0: names of slide or feature files instead of ids: 2"),
        ("train,val\np1,p3\np1,p4\n", "fold-0: repeated ids in train: 1"),
        (",train,val\np1,True,False\np2,False,True\n", "it has true and false, no ids"),
        ("train,val\nq1,q3\n", "none of its ids is a patient of the cohort"),
    ],
)
def test_unreadable_tables_are_refused(tmp_path: Path, text: str, found: str) -> None:
    """A file in another layout, of slides, or of other patients is refused with what stands there
    and what to do."""
    with pytest.raises(DataError) as caught:
        published(write(tmp_path, splits_0=text))
    (item,) = caught.value.problems
    assert item.code == "SP008"
    assert found in item.found
    assert item.hint


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[]", "$ has no list of splits"),
        ('{"splits": []}', "$ has no list of splits"),
        ('{"splits": [{"train_patients": ["p1"]}]}', "$.splits[0].test_patients is not a list"),
        (
            '{"splits": [{"train_patients": ["p1"], "test_patients": [3]}]}',
            "$.splits[0].test_patients is not a list",
        ),
        ('{"splits": NaN}', "NaN is no JSON number"),
        ('{"format": "metastra-split-9"}', "$ has no"),
        ("{", "it is no strict JSON"),
    ],
)
def test_unreadable_json_is_refused(tmp_path: Path, text: str, found: str) -> None:
    """JSON of another shape is refused with the place in it."""
    (tmp_path / "splits.json").write_text(text)
    with pytest.raises(DataError) as caught:
        published(tmp_path / "splits.json")
    (item,) = caught.value.problems
    assert (item.code, item.where.file) == ("SP008", "splits.json")
    assert found in item.found


def test_missing_files_and_gaps_are_refused(tmp_path: Path) -> None:
    """No file, a gap in the numbers and bytes that are no text are all SP008."""
    with pytest.raises(DataError, match="no file has this name with a number"):
        published(tmp_path / "splits_{fold}.csv")
    with pytest.raises(DataError, match="cannot be opened"):
        published(tmp_path / "none.json")
    template = write(tmp_path, splits_0="train,val\np1,p3\n", splits_2="train,val\np1,p3\n")
    with pytest.raises(DataError, match="fold 1 has no file, but fold 2 has"):
        published(template)
    (tmp_path / "splits_1.csv").write_bytes(b"train,val\np1,\xff\n")
    with pytest.raises(DataError, match="byte 13 is not UTF-8"):
        published(template)


def test_absolute_folders_stay_out_of_messages(tmp_path: Path) -> None:
    """Neither the split nor an error names the folder of an absolute path."""
    template = write(tmp_path, splits_0="train,val\np1,p3\n")
    assert str(tmp_path) not in published(template).to_json()
    template = write(tmp_path, splits_0="case\np1\n")
    with pytest.raises(DataError) as caught:
        published(template)
    assert str(tmp_path) not in str(caught.value)
    assert "splits_0.csv" in str(caught.value)


def test_inner_folds_are_drawn_inside_published_training_parts(tmp_path: Path) -> None:
    """With inner_folds, each published training part is shared out once more."""
    template = write(tmp_path, splits_0="train,val\np1,p5\np2,p6\np3,\np4,\n")
    (fold,) = published(template, inner_folds=2).folds
    assert sorted(i for inner in fold.inner for i in inner.test) == ["p1", "p2", "p3", "p4"]
    assert [inner.name for inner in fold.inner] == ["fold-0.inner-0", "fold-0.inner-1"]
