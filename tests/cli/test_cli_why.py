"""`metastra why`: the story of a product."""

from __future__ import annotations

import json

import pytest


@pytest.mark.parametrize("name", ["cohort.csv", "splits.json", "report/index.html"])
def test_a_product_is_explained(name, finished, metastra):
    """What it was made from, whole and up to date."""
    told = json.loads(metastra("why", finished / "run" / name, "--json").stdout)
    assert told["complete"] is True
    assert told["stale"] == told["damage"] == []
    assert told["parents"]


def test_a_changed_table_reaches_the_report(finished, metastra):
    """The story names the table, not only the product between."""
    table = finished / "north" / "clini.csv"
    table.write_text(table.read_text().replace(",left,", ",right,", 1))
    told = json.loads(metastra("why", finished / "run" / "cohort.csv", "--json").stdout)
    assert any("north/clini" in reason for reason in told["stale"])


def test_the_story_is_told_in_words(finished, metastra):
    """The last line says how the product stands."""
    done = metastra("why", finished / "run" / "splits.json")
    assert done.stdout.endswith("whole and up to date\n")


@pytest.mark.parametrize("where", ["outside", "inside"])
def test_what_is_no_product_is_two(where, finished, metastra, tmp_path):
    """Outside of a run folder, and a name that nobody made inside one."""
    path = tmp_path / "x.csv" if where == "outside" else finished / "run" / "x.csv"
    done = metastra("why", path, "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]
