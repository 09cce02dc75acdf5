"""From a product back to what it was made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from metastra.errors import ConfigError, DigestMismatch, IntegrityError
from metastra.storage import (
    Recipe,
    State,
    ancestry,
    explain,
    file_parent,
    product_parent,
    remove_product,
    value_parent,
    write_product,
)


@pytest.fixture
def run(tmp_path) -> Path:
    """study.toml → cohort → split; predictions from the cohort, the split and a bundle."""
    run = tmp_path / "study" / "run"
    study = tmp_path / "study" / "study.toml"
    study.parent.mkdir()
    study.write_bytes(b"seed = 1\n")
    make(run, "cohort", {"study": file_parent(run, study)})
    make(run, "split", {"cohort": product_parent(run, "cohort")})
    make(
        run,
        "predictions",
        {
            "cohort": product_parent(run, "cohort"),
            "split": product_parent(run, "split"),
            "bundle": value_parent("bundle 7", "b" * 64),
        },
    )
    return run


def make(run: Path, name: str, parents: dict, content: bytes = b"") -> None:
    recipe = Recipe(kind=f"kind of {name}", parents=parents, settings={"seed": 1})
    write_product(run, name, recipe, {f"{name}.csv": content or name.encode()})


def states(run: Path, name: str) -> dict[str, State]:
    return {now.role: now.state for now in explain(run, name).parents}


def test_a_product_that_stands_is_explained(run):
    """Kind, digest, schema, settings, tools, time and every parent are told."""
    told = explain(run, "predictions")

    assert (told.name, told.kind, told.schema_version) == (
        "predictions",
        "kind of predictions",
        1,
    )
    assert told.settings == {"seed": 1}
    assert told.created_at.startswith("20")
    assert "metastra" in told.tools
    assert told.complete
    assert told.stale == ()
    assert states(run, "predictions") == {
        "bundle": State.NOT_HERE,
        "cohort": State.SAME,
        "split": State.SAME,
    }
    assert states(run, "cohort") == {"study": State.SAME}
    assert explain(run, "cohort").parents[0].parent.ref == "../study.toml"


def test_a_file_leads_to_its_product(run):
    """The user may name the file that lies in front of them."""
    assert explain(run, "split.csv") == explain(run, "split")


def test_a_changed_study_makes_the_cohort_stale(run):
    """The recorded and the present digest are named."""
    (run.parent / "study.toml").write_bytes(b"seed = 2\n")

    told = explain(run, "cohort")

    assert told.complete, "its own files are as they were"
    assert states(run, "cohort") == {"study": State.CHANGED}
    now = told.parents[0]
    assert now.current_digest is not None
    was, now_is = now.parent.digest[:12], now.current_digest[:12]
    assert told.stale == (f"study (../study.toml) has changed: was {was}…, is {now_is}…",)


def test_a_parent_made_again_with_other_bytes_makes_its_children_stale(run):
    """With other bytes the children are stale, with equal bytes they are not."""
    make(run, "cohort", {}, b"cohort")
    assert explain(run, "split").stale == ()

    make(run, "cohort", {}, b"another cohort")
    assert states(run, "split") == {"cohort": State.CHANGED}
    assert states(run, "predictions")["cohort"] is State.CHANGED
    assert states(run, "predictions")["split"] is State.SAME


def test_missing_and_damaged_parents_are_told_apart(run):
    """A removed parent is missing; one with changed files or a broken record is damaged."""
    (run / "split.csv").write_bytes(b"tampered")
    assert states(run, "predictions")["split"] is State.DAMAGED
    assert "damaged" in explain(run, "predictions").stale[0]

    remove_product(run, "split")
    assert states(run, "predictions")["split"] is State.MISSING
    assert explain(run, "predictions").stale == ("split (split) is missing",)

    (run / ".records/cohort.json").write_bytes(b"{}")
    assert states(run, "predictions")["cohort"] is State.DAMAGED

    (run.parent / "study.toml").unlink()
    make(run, "cohort", {"study": value_parent("x", "a" * 64)})
    assert states(run, "cohort") == {"study": State.NOT_HERE}


def test_a_missing_study_file_is_told(run):
    """An external file that is gone, or is no file any more, is missing."""
    (run.parent / "study.toml").unlink()
    assert states(run, "cohort") == {"study": State.MISSING}
    (run.parent / "study.toml").mkdir()
    assert states(run, "cohort") == {"study": State.MISSING}


def test_a_product_whose_own_file_was_changed_is_not_complete(run):
    """Damage to the product itself is told apart from staleness."""
    (run / "split.csv").write_bytes(b"spliT")

    told = explain(run, "split")

    assert not told.complete
    assert "another digest than recorded" in told.damage[0]
    assert told.stale == ()


def test_the_whole_way_back_is_walked_once(run):
    """Every ancestor of the run is told once, the product first."""
    assert [told.name for told in ancestry(run, "predictions")] == [
        "predictions",
        "cohort",
        "split",
    ]
    remove_product(run, "cohort")
    assert [told.name for told in ancestry(run, "split")] == ["split"]


def test_products_that_are_each_others_parents_do_not_go_round(run):
    """A circle, which only tampering or remaking can give, is walked once."""
    make(run, "cohort", {"split": product_parent(run, "split")})

    assert [told.name for told in ancestry(run, "cohort")] == ["cohort", "split"]


def test_an_unknown_product_is_answered_with_the_nearest(run, tmp_path):
    """A misspelled product names its neighbours; an empty run says that nothing is there."""
    with pytest.raises(ConfigError, match=r"no finished product 'cohrt'; did you mean cohort\?"):
        explain(run, "cohrt")
    with pytest.raises(ConfigError, match="did you mean cohort, predictions, split"):
        explain(run, "xyzzy")
    with pytest.raises(ConfigError, match="nothing is finished there yet"):
        explain(tmp_path / "empty", "cohort")


def test_a_broken_record_of_the_product_itself_is_an_error(run):
    """Nothing is told about a product whose record cannot be trusted."""
    (run / ".records/split.json").write_bytes(b"{}")

    with pytest.raises(DigestMismatch, match="record of product 'split' is damaged"):
        explain(run, "split")


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe"])
def test_a_parent_file_that_is_none_is_refused(tmp_path, kind):
    """A pipe would be read for ever; a folder or nothing has no digest."""
    import os

    path = tmp_path / "input"
    if kind == "folder":
        path.mkdir()
    if kind == "pipe":
        os.mkfifo(path)

    with pytest.raises(ConfigError, match="no such file"):
        file_parent(tmp_path / "run", path)


def test_an_unfinished_product_cannot_be_a_parent(run):
    """What was never finished has no digest to record."""
    with pytest.raises(IntegrityError, match="never finished"):
        product_parent(run, "evaluation")
