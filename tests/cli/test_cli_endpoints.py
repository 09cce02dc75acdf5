"""`metastra endpoints`: the dictionary."""

from __future__ import annotations

import json

from metastra.study.endpoints import ENDPOINTS


def test_all_endpoints_are_shown_with_their_text(metastra):
    """As many as the dictionary has."""
    done = metastra("endpoints", "--json", env={"PYTHONIOENCODING": "ascii"})
    told = json.loads(done.stdout)["endpoints"]
    assert [item["name"] for item in told] == list(ENDPOINTS)
    assert all(item["text"] for item in told)


def test_a_misspelt_name_gets_the_nearest(metastra):
    """Exit 2 with a suggestion."""
    done = metastra("endpoints", "overal-survival")
    assert done.returncode == 2
    assert "did you mean overall-survival" in done.stderr
