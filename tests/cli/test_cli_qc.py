"""``metastra qc`` as a process: children, exit codes, JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tissue.tissue_pictures import glass, tissue_density, with_tissue


@pytest.mark.slow
def test_one_bad_slide_never_stops_the_batch(metastra, tmp_path):
    """A good slide, a truncated one, a pipe's place; exit 4, and the good one is done."""
    good = tmp_path / "good slide é.png"
    Image.fromarray(with_tissue(glass(300, 300), tissue_density(200, 200, 2.0), 50, 50)).save(good)
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:5000])
    words = ("qc", good, cut, tmp_path / "missing.svs", "--out", tmp_path / "out")
    done = metastra(*words, "--slide-mpp", 2, "--workers", 2, "--json")
    assert done.returncode == 4, done.stderr
    told = json.loads(done.stdout)
    assert (told["slides"], told["assessed"], told["failed"]) == (3, 1, 2)
    assert told["research_use"].startswith("Research use only")
    assert {item["filename"] for item in told["failures"]} == {"cut.png", "missing.svs"}
    again = metastra("qc", good, "--out", tmp_path / "out", "--slide-mpp", 2)
    assert again.returncode == 0
    assert "1 slides: 1 assessed" in again.stdout
    assert "Research use only" in again.stderr


def test_wrong_use_is_exit_2(metastra, tmp_path):
    assert metastra("qc", "--out", tmp_path).returncode == 2
    done = metastra("qc", "a.svs", "--out", tmp_path / "o", "--region-origin", "middle")
    assert done.returncode == 2


def test_a_refused_review_is_exit_3(metastra, tmp_path):
    review = tmp_path / "r.csv"
    review.write_text("SLIDE,DECISION,INITIALS,REASON\nS-1,perhaps,,\n")
    picture = tmp_path / "a.png"
    Image.fromarray(np.full((64, 64, 3), 240, np.uint8)).save(picture)
    done = metastra("qc", picture, "--out", tmp_path / "out", "--review", review, "--json")
    assert done.returncode == 3
    assert [item["code"] for item in json.loads(done.stdout)["problems"]] == [
        "QC042",
        "QC043",
        "QC043",
    ]
