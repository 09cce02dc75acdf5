"""Fates are kept as lines of text and come back as they were."""

from __future__ import annotations

import pytest

from metastra.catalogue import problem
from metastra.errors import Where
from metastra.executor import Cause, Failure
from metastra.extraction.batch import SlideFate
from metastra.extraction.fates import Fates
from metastra.extraction.job import SlideJob
from metastra.extraction.outcome import SlideOutcome


def job(name, **more):
    return SlideJob(path=f"in/{name}.svs", name=name, folder="out", encoder="morphology", **more)


def outcome(name, **more):
    return SlideOutcome(
        name=name,
        made=True,
        n_tiles=7,
        n_grid=9,
        dropped={"QC010": 2},
        excluded="",
        digest="0a" * 32,
        slide_digest="1b" * 32,
        mpp=(0.1 + 0.2, 1 / 3),
        mpp_source="file",
        seconds={"quality": 0.123456789012345},
        reading="direct",
        **more,
    )


def test_what_is_read_back_is_what_was_kept():
    """Done, failed, excluded, with several encoders: in the order of the jobs, to the bit."""
    both = job("b", also=(job("b", prefix="tiny/"),))
    jobs = [job("a"), both, job("c"), job("d")]
    where = Where(file="c.svs")
    failure = Failure(
        cause=Cause.CRASHED,
        kind="SIGSEGV",
        message="it died of “é\udcff”",
        problems=(problem("SL058", "it died", where=where, hint="leave it out"),),
        errno=12,
    )
    kept = [
        SlideFate(job=jobs[2], failure=failure, wall_s=1e-9),
        SlideFate(job=both, outcome=outcome("b", also=(outcome("b"),)), wall_s=2.5, peak_bytes=3),
        SlideFate(job=jobs[0], outcome=outcome("a"), wall_s=1 / 7),
    ]
    fates = Fates(jobs)
    for fate in kept:
        fates.add(fate)

    assert len(fates) == 4
    assert list(fates) == [kept[2], kept[1], kept[0], SlideFate(job=jobs[3])]
    assert fates[1] == kept[1]
    assert fates[-1].state == "not begun"
    assert fates[1:3] == (kept[1], kept[0])


def test_the_later_of_two_fates_counts_and_others_are_refused():
    """A slide that was tried again."""
    fates = Fates([job("a")])
    fates.add(SlideFate(job=job("a"), wall_s=1.0))
    fates.add(SlideFate(job=job("a"), outcome=outcome("a")))
    assert fates[0].outcome == outcome("a")
    with pytest.raises(KeyError):
        fates.add(SlideFate(job=job("b")))
    with pytest.raises(IndexError):
        fates[1]
