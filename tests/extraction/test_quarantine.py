"""Slides that lose their worker: tried again, counted, set apart, let out."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from extraction.bad_decoders import Instead, task
from extraction.small_slides import write_slide
from metastra.executor import Cause, Failure, Limits, ProcessPool, Result, Serial, Task
from metastra.executor.calls import echo
from metastra.extraction.quarantine import TRIES, Quarantine
from metastra.pipeline.extract import ExtractRequest, extract


class Scripted:
    """An executor whose tasks end as they are told; keeps what it was given."""

    def __init__(self, **causes):
        self.causes, self.given = causes, []

    def run(self, function, tasks):
        for item in tasks:
            self.given.append(item.key)
            endings = self.causes.get(item.key, [])
            cause = endings.pop(0) if endings else None
            failure = cause and Failure(cause=cause, kind="SIG", message="it crashed", hint="leave")
            yield Result(key=item.key, value=None if failure else {}, failure=failure)


def tasks_in(folder, *names):
    for name in names:
        (folder / name).write_bytes(name.encode())
    return [Task(key=name, payload={"path": str(folder / name)}) for name in names]


def run(folder, executor, tasks, **settings):
    careful = Quarantine(executor=executor, folder=folder / "out", step="extract", **settings)
    return {result.key: result for result in careful.run(echo, tasks)}


def test_after_three_lost_workers_a_slide_is_not_touched(tmp_path):
    """It fails at once, in the very words of the last try; the other slides go on."""
    tasks = tasks_in(tmp_path, "bad", "good")
    scripted = Scripted(bad=[Cause.CRASHED, Cause.TIME, Cause.MEMORY])
    for _ in range(TRIES):
        last = run(tmp_path, scripted, tasks)
    assert scripted.given == ["bad", "good"] * TRIES
    told = []
    fourth = run(tmp_path, scripted, tasks, tell=told.append)

    assert scripted.given == ["bad", "good"] * TRIES + ["good"]
    assert fourth["bad"] == Result(key="bad", failure=last["bad"].failure)
    assert fourth["good"].failure is None
    (line,) = told
    assert "lost its worker 3 times" in line
    assert "--retry-failed" in line


def test_a_worker_killed_from_outside_is_replaced_in_the_same_run(tmp_path):
    """Two innocent losses cost nothing; the note is gone when the slide is done."""
    scripted = Scripted(a=[Cause.KILLED, Cause.ENDED])
    found = run(tmp_path, scripted, tasks_in(tmp_path, "a", "b"))

    assert scripted.given == ["a", "b", "a", "a"]
    assert found["a"].failure is None
    assert not list((tmp_path / "out/.tries").glob("*"))


def test_one_that_is_killed_each_time_ends_in_quarantine_within_one_run(tmp_path):
    """Nobody starts a fourth worker for it."""
    scripted, tasks = Scripted(a=[Cause.KILLED] * 9), tasks_in(tmp_path, "a")
    for _ in range(2):
        assert run(tmp_path, scripted, tasks)["a"].failure.cause is Cause.KILLED
    assert scripted.given == ["a"] * TRIES


@pytest.mark.parametrize("what", ["retry", "another file", "done", "damaged note"])
def test_what_lets_a_slide_out(tmp_path, what):
    """The option, another file under its name, success, a note that is none."""
    tasks = tasks_in(tmp_path, "a")
    endless = Scripted(a=[Cause.CRASHED] * 9)
    for _ in range(TRIES - (what == "done")):
        run(tmp_path, endless, tasks)
    note = tmp_path / "out/.tries/extract-a.json"
    assert note.is_file()
    if what == "another file":
        (tmp_path / "a").write_bytes(b"a better copy")
    elif what == "damaged note":
        note.write_bytes(b"{")
    elif what == "done":
        assert run(tmp_path, Scripted(), tasks)["a"].failure is None
        assert not note.exists()
    again = Scripted(a=[Cause.CRASHED])
    assert run(tmp_path, again, tasks, retry=what == "retry")["a"].failure is not None
    assert again.given == ["a"]
    third = Scripted(a=[Cause.CRASHED])
    run(tmp_path, third, tasks)
    assert third.given == ["a"], "counting begins anew"


@pytest.mark.parametrize("cause", [Cause.REFUSED, Cause.ERROR])
def test_what_cost_no_worker_is_tried_every_time(tmp_path, cause):
    """A refusal is cheap, and its reason may lie outside the slide."""
    tasks = tasks_in(tmp_path, "a")
    scripted = Scripted(a=[cause] * 9)
    for _ in range(5):
        assert run(tmp_path, scripted, tasks)["a"].failure.cause is cause
    assert len(scripted.given) == 5


def test_steps_are_counted_apart(tmp_path):
    """A slide that cannot be encoded can still be assessed."""
    tasks = tasks_in(tmp_path, "a")
    for _ in range(TRIES):
        run(tmp_path, Scripted(a=[Cause.CRASHED]), tasks)
    other = Quarantine(executor=Serial(), folder=tmp_path / "out", step="qc")
    assert next(iter(other.run(echo, tasks))).failure is None


@pytest.mark.slow
def test_a_real_decoder_that_aborts_is_set_apart_and_the_manifest_stays_the_same(tmp_path):
    """Exit code, table and manifest do not tell the third run from the fourth."""
    bad = write_slide(tmp_path / "aborts-1.tif", side=460)
    good = write_slide(tmp_path / "good.tif", side=460)
    out = tmp_path / "out"
    pool = Instead(ProcessPool(limits=Limits(memory_bytes=2_500_000_000)), task)
    request = ExtractRequest(slides=(bad, good), out=out)
    written = []
    for _ in range(TRIES):
        summary = extract(request, executor=pool)
        written.append((out / "extract.json").read_bytes())
    told = []
    fourth = extract(request, executor=Instead(Forbidden("aborts-1", pool), task), tell=told.append)

    assert summary.counts == fourth.counts
    assert (summary.counts["done"], summary.counts["failed"]) == (1, 1)
    # the first run made the good slide, which is not told; so all are the same
    assert {*written, (out / "extract.json").read_bytes()} == {written[0]}
    assert any("SIGABRT" in line and "quarantine" in line for line in told)


class Forbidden:
    """An executor that must not be given one slide."""

    def __init__(self, key, inner):
        self._key, self._inner = key, inner

    def run(self, function, tasks):
        assert self._key not in [item.key for item in tasks]
        return self._inner.run(function, tasks)


def kill_own_worker(payload):
    """A task whose process is killed from outside, as by a machine without memory."""
    if Path(payload["path"]).read_bytes() == b"fatal":
        os.kill(os.getpid(), signal.SIGKILL)
    return {}


@pytest.mark.slow
def test_a_killed_process_is_taken_for_three_tries(tmp_path):
    """A real SIGKILL; the slide beside it is done."""
    tasks = tasks_in(tmp_path, "fatal", "good")
    careful = Quarantine(executor=ProcessPool(workers=2), folder=tmp_path / "out", step="extract")
    found = {result.key: result for result in careful.run(kill_own_worker, tasks)}
    assert found["good"].failure is None
    assert found["fatal"].failure.cause is Cause.KILLED
    assert (tmp_path / "out/.tries/extract-fatal.json").is_file()
