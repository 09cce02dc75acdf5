"""``metastra extract`` as a program: exit codes, Ctrl-C, kill -9, a full disk, two at once."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time

import pytest

from extraction.small_slides import write_slide
from metastra.storage import hold

RUN = [sys.executable, "-m", "metastra", "extract"]


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    for number in range(4):
        write_slide(folder / f"s{number}.tif", seed=number, side=460)
    return folder


def command(*arguments, **settings):
    return subprocess.run(
        [*RUN, *map(str, arguments)], capture_output=True, text=True, check=False, **settings
    )


def start(*arguments):
    return subprocess.Popen(
        [*RUN, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def contents(out):
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.is_file()} | {
        "lock": b""
    }


def finished(out):
    return {path.stem: path.stat().st_mtime_ns for path in (out / ".records").glob("*.json")}


def without_lock(found):
    return {name: data for name, data in found.items() if not name.startswith(".lock")}


@pytest.fixture(scope="module")
def undisturbed(slides, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    made = command(slides, "--out", out, "--workers", "2")
    assert made.returncode == 0, made.stderr
    return without_lock(contents(out)), made


def test_what_a_person_sees(undisturbed):
    """A line for each slide, the count, the speed; and what it is not for."""
    _, made = undisturbed
    lines = made.stdout.splitlines()

    assert [line.split()[:2] for line in lines[:4]] == [[f"s{n}.tif", "done"] for n in range(4)]
    assert "4 slides: 4 done" in lines
    assert "tiles/s and worker, at most" in made.stdout
    assert "extract: 4 of 4 slides" in made.stderr
    assert "Research use only" in made.stderr


def test_json_is_one_object_and_failures_are_exit_4(slides, tmp_path):
    """stdout is data; the failed slide has code, cause and hint."""
    bad = tmp_path / "bad.svs"
    bad.write_bytes(b"")
    made = command(bad, slides / "s0.tif", "--out", tmp_path / "out", "--workers", "1", "--json")
    found = json.loads(made.stdout)

    assert made.returncode == 4
    assert found["counts"] == {"done": 1, "excluded": 0, "failed": 1, "not begun": 0}
    assert found["slides"][0]["problems"][0]["code"] == "SL003"
    assert found["encoder"]["name"] == "morphology"
    pace = found.pop("pace")
    assert found == json.loads((tmp_path / "out/extract.json").read_text())
    assert pace["tiles"] == found["slides"][1]["n_tiles"]
    assert pace["tiles_per_s_and_worker"] > 0
    assert 0 <= pace["encoder_idle_share"] < 1


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--encoder", "uni"], 2, "no encoder is named 'uni'"),
        (["--tile-px", "512"], 2, "was made for tiles of 224 px"),
        (["--slide-mpp", "-1"], 2, "--slide-mpp -1: expected 0.02 to 40 µm per pixel"),
        (["--region", "no.geojson"], 2, "one file for 4 slides"),
    ],
)
def test_wrong_options(slides, tmp_path, arguments, code, told):
    """Said before any slide is opened, where it can be."""
    made = command(slides, "--out", tmp_path / "out", *arguments)

    assert made.returncode == code, made.stderr
    assert told in made.stderr


def test_two_slides_with_one_name_are_exit_3(slides, tmp_path):
    """Nothing is extracted."""
    os.link(slides / "s0.tif", tmp_path / "s0.tif")
    made = command(slides, tmp_path / "s0.tif", "--out", tmp_path / "out")

    assert made.returncode == 3
    assert "SL057" in made.stderr
    assert not (tmp_path / "out").exists()


def test_a_second_process_exits_6_or_waits(slides, tmp_path):
    """At once without --wait; with it, after the other one."""
    out = tmp_path / "out"
    with hold(out):
        made = command(slides / "s0.tif", "--out", out)
        assert made.returncode == 6
        assert f"process {os.getpid()}" in made.stderr
        waiting = start(slides / "s0.tif", "--out", out, "--wait", "60", "--workers", "1")
        time.sleep(1.0)
        assert waiting.poll() is None
    assert waiting.wait() == 0, waiting.stderr.read()
    waiting.communicate()


@pytest.mark.slow
def test_a_full_disk_is_exit_7_and_nothing_is_half_there(slides, tmp_path, undisturbed):
    """The file may not grow to its size; the same command then goes on.

    Where one worker was stopped because the other found the disk full, its half file has no name
    of a feature file, and the next run sweeps it.
    """
    out = tmp_path / "out"

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

    made = command(slides, "--out", out, "--workers", "2", preexec_fn=limit)
    assert made.returncode == 7, made.stderr
    assert "ulimit -f" in made.stderr
    assert not list(out.glob("*.h5"))
    assert command(slides, "--out", out, "--workers", "2").returncode == 0
    assert without_lock(contents(out)) == undisturbed[0]


def wait_until(condition, process=None):
    ends = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < ends, "waited in vain"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.slow
def test_ctrl_c_finishes_the_slide_and_the_next_run_goes_on(slides, tmp_path, undisturbed):
    """One slide is at work: it is finished, the others are not begun, nothing is done twice."""
    out = tmp_path / "out"
    with start(slides, "--out", out, "--workers", "1") as process:
        wait_until(lambda: len(finished(out)) == 1, process)
        process.send_signal(signal.SIGINT)
        talk = process.stderr.read()
        assert process.wait() == 130
    done = finished(out)
    states = [item["state"] for item in json.loads((out / "extract.json").read_text())["slides"]]

    assert 1 <= len(done) < 4
    assert states == ["done"] * len(done) + ["not begun"] * (4 - len(done))
    assert "what runs is finished first" in talk
    assert "run the same command to go on" in talk
    assert command(slides, "--out", out, "--workers", "2").returncode == 0
    assert {name: when for name, when in finished(out).items() if name in done} == done
    assert without_lock(contents(out)) == undisturbed[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_kill_9_at_any_moment_then_again(slides, tmp_path, undisturbed, seed):
    """Killed up to three times at random moments; then the same bytes as never disturbed."""
    out, draw = tmp_path / "out", random.Random(seed)
    for _ in range(3):
        before = finished(out)
        process = start(slides, "--out", out, "--workers", "2")
        # from before the first worker is ready to after the last file is written
        time.sleep(draw.uniform(0.3, 6.0))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert {name: when for name, when in finished(out).items() if name in before} == before
        for path in out.glob("*.h5"):
            assert path.read_bytes() == undisturbed[0][path.name]
    before = finished(out)
    assert command(slides, "--out", out, "--workers", "2").returncode == 0
    assert {name: when for name, when in finished(out).items() if name in before} == before
    assert without_lock(contents(out)) == undisturbed[0]
