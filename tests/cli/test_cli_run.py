"""`metastra run`: what is told about the stages."""

from __future__ import annotations

import json


def test_a_dry_run_says_what_would_run_and_changes_nothing(study, metastra):
    """Reasons for each stage, and no folder."""
    done = metastra("run", study, "--dry-run", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert told["dry_run"] is True
    assert {item["done"] for item in told["stages"]} == {"would run"}
    assert all(item["reasons"] for item in told["stages"])
    assert not (study / "run").exists()


def test_a_second_run_has_nothing_to_do(finished, metastra):
    """The same command again is quick and says so; the report's place is on stdout."""
    done = metastra("run", finished)
    assert done.returncode == 0
    assert done.stdout.count("up to date") == 3
    assert "bundle       not estimable  (no model: 9 events" in done.stdout
    assert "index.html" in done.stdout


def test_an_unknown_stage_is_named_with_those_that_are_known(study, metastra):
    """Exit 2."""
    done = metastra("run", study, "--only", "slpits")
    assert done.returncode == 2
    assert "splits" in done.stderr
