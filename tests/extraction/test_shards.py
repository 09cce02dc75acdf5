"""Shares of the slides: disjoint, together all, harmless side by side; a run goes on after them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from extraction.small_slides import write_slide
from extraction.test_run_slides import bytes_of, index_of, lay_out, run
from metastra.errors import BusyError, ConfigError
from metastra.executor import Serial
from metastra.extraction.shard import Shard
from metastra.pipeline.extract import ExtractRequest, extract
from metastra.pipeline.opening import open_study
from metastra.pipeline.run_shard import run_shard
from metastra.storage import hold
from metastra.synthetic.generate import synthetic_study


@pytest.mark.parametrize("n", [1, 2, 3, 7, 40])
def test_shares_are_disjoint_and_together_all(n):
    """Whatever the number of shares, also more than there are slides; sizes differ by one."""
    items = list(range(23))
    parts = [Shard(number=i, of=n).part(items) for i in range(1, n + 1)]
    assert sorted(item for part in parts for item in part) == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "1/0", "-1/3", "1/3/5", "a/b", "1.5/3"])
def test_what_is_no_share_is_refused_with_the_form(text):
    """Exit 2 in a command."""
    with pytest.raises(ConfigError, match="expected i/n with 1 ≤ i ≤ n"):
        Shard.parse(text)


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    for number in range(3):
        write_slide(folder / f"s{number}.tif", seed=number, side=460)
    return folder


def features(out):
    return {path.name: path.read_bytes() for path in out.glob("*.h5")}


def test_extract_in_shares_leaves_what_one_run_leaves(slides, tmp_path):
    """The files are the same to the byte, and the whole command then makes none."""
    whole = tmp_path / "whole"
    extract(ExtractRequest(slides=(slides,), out=whole), executor=Serial())
    out = tmp_path / "out"
    told = []
    for number in (2, 1):
        share = Shard(number=number, of=2)
        summary = extract(ExtractRequest(slides=(slides,), out=out, shard=share), executor=Serial())
        told += [fate.job.name for fate in summary.fates]
        found = json.loads((out / f"extract-{number}-of-2.json").read_text())
        assert found["shard"] == f"{number}/2"
    assert told == ["s1", "s0", "s2"]
    assert features(out) == features(whole)
    last = extract(ExtractRequest(slides=(slides,), out=out), executor=Serial())
    assert [fate.outcome.made for fate in last.fates] == [False] * 3
    assert (out / "extract.json").read_bytes() == (whole / "extract.json").read_bytes()


def test_shares_work_beside_each_other_and_not_beside_a_run(slides, tmp_path):
    """Two who share do not wait; who does not share is told that it is busy, both ways."""
    share = ExtractRequest(slides=(slides,), out=tmp_path, shard=Shard(number=3, of=3))
    with hold(tmp_path, shared=True):
        extract(share, executor=Serial())
        with pytest.raises(BusyError):
            extract(ExtractRequest(slides=(slides,), out=tmp_path), executor=Serial())
    with hold(tmp_path), pytest.raises(BusyError):
        extract(share, executor=Serial())


@pytest.mark.slow
def test_two_workers_on_one_share_and_a_killed_one_leave_whole_files(slides, tmp_path):
    """The same share twice at once, one of them killed: the rest is taken over, to the byte."""
    whole = tmp_path / "whole"
    extract(ExtractRequest(slides=(slides,), out=whole), executor=Serial())
    out = tmp_path / "out"
    command = [sys.executable, "-m", "metastra", "extract", str(slides), "--out", str(out)]
    shares = [
        subprocess.Popen(
            [*command, "--shard", share, "--workers", "1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for share in ("1/2", "1/2", "2/2")
    ]
    shares[2].kill()
    errors = [process.communicate()[1] for process in shares]
    assert [process.returncode for process in shares] == [0, 0, -9], errors
    first = {path.name: path.stat().st_mtime_ns for path in out.glob("*.h5")}
    assert {"s0.h5", "s2.h5"} <= set(first)
    rest = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert rest.returncode == 0, rest.stderr
    assert features(out) == features(whole)
    assert {name: (out / name).stat().st_mtime_ns for name in first} == first


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = lay_out(tmp_path_factory.mktemp("shards") / "study", with_empty=True)
    open_study(folder)  # makes the key of its pseudonyms, which copies then share
    return folder


@pytest.mark.slow
def test_a_study_in_shares_then_a_run_that_has_no_slide_left(study, tmp_path):
    """Shares do the slide stages alone; the run that follows makes no feature file."""
    whole = shutil.copytree(study, tmp_path / "whole")
    run(whole)
    folder = shutil.copytree(study, tmp_path / "shared")
    states = {}
    for number in (1, 2, 3):
        summary = run_shard(open_study(folder), Shard(number=number, of=3), executor=Serial())
        assert not set(states) & set(summary.states)
        states |= summary.states
    assert sorted(states) == [row["slide"] for row in index_of(whole)["slides"]]
    assert summary.n_study == len(states)
    assert list(states.values()).count("failed") == 1
    assert not (folder / "run/cohort.csv").exists()
    files = sorted((folder / "run/features").glob("*.h5"))
    before = {path.name: path.stat().st_mtime_ns for path in files}

    done, _ = run(folder)
    assert done["features"] == done["qc"] == "made"
    assert {path.name: path.stat().st_mtime_ns for path in files} == before
    assert bytes_of(folder) == bytes_of(whole)


@pytest.mark.slow
def test_the_command_of_a_share(study):
    """Counts on stdout, exit 4 where a slide failed, and what it does not go with."""
    command = [sys.executable, "-m", "metastra", "run", str(study), "--shard"]
    made = subprocess.run([*command, "1/1", "--json"], capture_output=True, text=True, check=False)
    assert made.returncode == 4, made.stderr
    told = json.loads(made.stdout)
    assert told["shard"] == "1/1"
    assert told["counts"]["failed"] == 1
    assert sum(told["counts"].values()) == told["slides_of_study"]
    for wrong in (["9/3"], ["1/2", "--only", "qc"], ["1/2", "--dry-run"]):
        ended = subprocess.run([*command, *wrong], capture_output=True, text=True, check=False)
        assert ended.returncode == 2, ended.stderr


def test_a_study_without_slides_has_nothing_to_share(tmp_path):
    """It is said, instead of zero of zero."""
    for name, content in synthetic_study(n_patients=40, seed=5).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="no slides to share out"):
        run_shard(open_study(tmp_path), Shard(number=1, of=2))
