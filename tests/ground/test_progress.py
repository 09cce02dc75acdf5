"""Progress: silent unless asked for, on standard error only, every item counted once."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metastra.progress import (
    BarProgress,
    Counts,
    Parts,
    PlainProgress,
    Stage,
    Task,
    automatic_progress,
    track,
    use_progress,
)


class Recorder:
    """A display that keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Task] = []

    def show(self, task: Task) -> None:
        self.shown.append(task)


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves by hand, in seconds."""
    now = [100.0]
    monkeypatch.setattr("metastra.progress.tracking.time.monotonic", lambda: now[0])

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


def test_nothing_is_shown_unless_asked_for(capfd):
    """A library call writes neither to standard output nor to standard error."""
    assert [item * 2 for item in track([1, 2], label="Doubling")] == [2, 4]

    assert capfd.readouterr() == ("", "")


def test_lines_go_to_standard_error_only(capfd):
    """Standard output belongs to data."""
    with use_progress(PlainProgress()):
        list(track([1, 2], label="Reading slides", unit="slides"))

    out, err = capfd.readouterr()
    assert out == ""
    assert err == "Reading slides: 2 of 2 slides in 0:00:00\n"


@settings(deadline=None)
@given(st.lists(st.sampled_from(["done", "failed", "excluded"])))
def test_every_item_is_counted_exactly_once(fates):
    """Items = done + failed + excluded, whatever the loop says and however often."""
    display = Recorder()
    with use_progress(display):
        for fate in (steps := track(fates, label="x")):
            if fate == "failed":
                steps.fail()
                steps.fail()
            elif fate == "excluded":
                steps.fail()
                steps.exclude()

    expected = Counts(
        done=fates.count("done"), failed=fates.count("failed"), excluded=fates.count("excluded")
    )
    assert steps.counts == expected
    assert steps.counts.seen == len(fates)
    assert display.shown[-1].counts == expected
    assert display.shown[-1].stage is Stage.ENDED
    assert [task.stage for task in display.shown].count(Stage.RUNNING) == len(fates)


def test_the_remaining_time_is_the_mean_pace(clock):
    """After 3 of 10 items in 6 s, 14 s are left; at the end 0; without a total it is not known."""
    display = Recorder()
    with use_progress(display):
        for _ in track(range(10), label="x"):
            clock(2.0)
        for _ in track(iter(range(3)), label="y"):
            clock(1.0)

    first = [task for task in display.shown if task.label == "x"]
    assert first[0].remaining_s is None
    assert first[3].remaining_s == pytest.approx(14.0)
    assert first[-1].remaining_s == 0.0
    assert first[-1].elapsed_s == 20.0
    assert {task.remaining_s for task in display.shown if task.label == "y"} == {None}


def test_plain_lines_come_every_few_seconds_and_at_the_end(clock):
    """No more than one line per interval, with counts and the time left; always a last line."""
    text = io.StringIO()
    with use_progress(PlainProgress(text, every_s=5.0)):
        for number in (steps := track(range(10), label="Reading slides", unit="slides")):
            clock(2.0)
            if number == 1:
                steps.fail()
            if number == 4:
                steps.exclude()

    assert text.getvalue().splitlines() == [
        "Reading slides: 3 of 10 slides, 1 failed, about 0:00:14 left",
        "Reading slides: 6 of 10 slides, 1 failed, 1 excluded, about 0:00:08 left",
        "Reading slides: 9 of 10 slides, 1 failed, 1 excluded, about 0:00:02 left",
        "Reading slides: 10 of 10 slides in 0:00:20 (8 done, 1 failed, 1 excluded)",
    ]


def test_the_time_left_is_reckoned_from_parts_where_these_are_counted(clock):
    """A quarter of the tiles in 6 s leaves 18 s, although half of the slides are through."""
    text, display = io.StringIO(), Recorder()
    for shown in (PlainProgress(text, every_s=5.0), display):
        with use_progress(shown):
            for number in (steps := track(range(4), label="extract", unit="slides")):
                clock(3.0)
                tiles = 100 * (number + 1)
                total = 800 if number < 3 else tiles
                steps.part(Parts(done=tiles, total=total, unit="tiles", estimated=number < 3))

    assert (
        text.getvalue().splitlines()
        == [
            "extract: 1 of 4 slides, 200 of about 800 tiles, about 0:00:18 left",
            "extract: 3 of 4 slides, 300 of about 800 tiles, about 0:00:15 left",
            "extract: 4 of 4 slides, 400 of 400 tiles in 0:00:12",
        ]
        or text.getvalue()
    )
    assert [task.parts.done for task in display.shown if task.parts][-1] == 400


def test_parts_of_nothing_are_not_shown(clock):
    """Slides that are all up to date have no tiles to make."""
    text = io.StringIO()
    with use_progress(PlainProgress(text)):
        for _ in (steps := track([1], label="extract", unit="slides")):
            steps.part(Parts(done=0, total=0.0, unit="tiles"))

    assert text.getvalue() == "extract: 1 of 1 slides in 0:00:00\n"


def test_long_times_are_hours(clock):
    """Times are hours, minutes and seconds."""
    text = io.StringIO()
    with use_progress(PlainProgress(text)):
        for _ in track([1], label="x"):
            clock(3 * 3600 + 62.4)

    assert "in 3:01:02" in text.getvalue()


def test_a_loop_that_ends_early_says_so(clock):
    """A break and an error are shown as stopped; the item in hand is not counted."""
    text = io.StringIO()
    with use_progress(PlainProgress(text)):
        for number in track(range(5), label="Broken off"):
            if number == 2:
                break
        with pytest.raises(ZeroDivisionError):
            [1 / (3 - number) for number in track(range(5), label="Failed")]

    assert text.getvalue().splitlines() == [
        "Broken off: 2 of 5 items, stopped in 0:00:00",
        "Failed: 3 of 5 items, stopped in 0:00:00",
    ]


def test_without_a_total_the_items_are_only_counted(clock):
    """An iterator without a length has no total and no time left."""
    text = io.StringIO()
    with use_progress(PlainProgress(text, every_s=1.0)):
        for _ in track((number for number in range(2)), label="x"):
            clock(1.0)

    assert text.getvalue().splitlines()[-1] == "x: 2 items in 0:00:02"
    assert "left" not in text.getvalue()


def test_a_given_total_goes_before_the_length():
    """A caller who knows better may say how many items there are."""
    display = Recorder()
    with use_progress(display):
        list(track([1, 2], label="x", total=7))

    assert {task.total for task in display.shown} == {7}


def test_a_closed_stream_does_not_end_the_work():
    """A terminal that went away costs the display, not the run."""
    stream = io.StringIO()
    stream.close()

    with use_progress(PlainProgress(stream)):
        assert list(track([1, 2], label="x")) == [1, 2]


def test_steps_may_run_inside_one_another(clock):
    """Each step has its own lines and its own clock."""
    text = io.StringIO()
    with use_progress(PlainProgress(text, every_s=3.0)):
        for _ in track("ab", label="outer"):
            for _ in track("xy", label="inner"):
                clock(1.0)

    assert text.getvalue().splitlines() == [
        "inner: 2 of 2 items in 0:00:02",
        "inner: 2 of 2 items in 0:00:02",
        "outer: 2 of 2 items in 0:00:04",
    ]


def test_silence_inside_and_other_threads():
    """None is silence; a display holds in its own block and thread only."""
    display = Recorder()
    with use_progress(display):
        with use_progress(None):
            list(track([1], label="silent"))
        thread = threading.Thread(target=lambda: list(track([1], label="elsewhere")))
        thread.start()
        thread.join()
    assert display.shown == []

    with use_progress(display):
        pass
    list(track([1], label="after"))
    assert display.shown == []


def test_bars_are_drawn_for_terminals_and_stop_with_the_last_step():
    """Counts and units stand beside the bar; a step inside another leaves no bar behind."""
    text = io.StringIO()
    with use_progress(BarProgress(text)):
        for letter in (steps := track("abc", label="Reading [slides]", unit="slides")):
            list(track("xy", label="inner"))
            if letter == "b":
                steps.fail()
        drawn = text.getvalue()
        list(track("x", label="again"))

    assert "Reading [slides]" in drawn
    assert "3 of 3 slides, 1 failed" in drawn
    assert "inner" not in drawn
    assert "again" in text.getvalue()


def test_the_thread_that_draws_ends_with_the_last_step():
    """Nothing goes on drawing behind the work that follows, also after a break."""
    before = set(threading.enumerate())  # other tests of the process may have left some
    with use_progress(BarProgress(io.StringIO())):
        for _ in track("abc", label="x"):
            break

    deadline = time.monotonic() + 10
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(threading.enumerate()) - before == set()


def test_bars_without_a_total_are_drawn():
    """A step whose length is not known is counted beside the bar."""
    text = io.StringIO()
    with use_progress(BarProgress(text)):
        list(track(iter("abc"), label="x"))

    assert "3 items" in text.getvalue()


CODE = """
from metastra.progress import automatic_progress, track, use_progress
with use_progress(automatic_progress()):
    for item in track(range(3), label="Reading", unit="slides"):
        pass
print("data")
"""


def test_a_pipe_gets_lines_and_a_terminal_gets_bars():
    """Standard error decides; standard output has the data and nothing else in both cases."""
    piped = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60
    )
    leader, follower = pty.openpty()
    on_terminal = subprocess.run(
        [sys.executable, "-c", CODE],
        stdout=subprocess.PIPE,
        stderr=follower,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(follower)
    drawn = os.read(leader, 100_000).decode()
    os.close(leader)

    assert piped.stdout == on_terminal.stdout == "data\n"
    assert piped.stderr == "Reading: 3 of 3 slides in 0:00:00\n"
    assert "3 of 3 slides" in drawn
    assert "━" in drawn


def test_a_captured_standard_error_is_no_terminal():
    """Inside a test or a job, lines are chosen."""
    assert isinstance(automatic_progress(), PlainProgress)
