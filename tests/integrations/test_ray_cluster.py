"""Slides on a real Ray cluster of two nodes: same bytes, lost machines, poison, clear refusals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from encoders.tiny_weights import tiny_weights
from extraction.small_slides import write_slide
from integrations.ray_cluster import RAY, Cluster, free_port
from integrations.ray_tasks import doubled, hostile, marked
from metastra.digest import digest_file
from metastra.errors import ConfigError, MissingExtra
from metastra.executor import Cause, Limits, Serial, Task, with_limits
from metastra.executor.calls import echo
from metastra.extraction.quarantine import Quarantine
from metastra.integrations import ray_pool
from metastra.integrations.ray_pool import RayPool, connected
from metastra.pipeline.extract import ExtractRequest, extract

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("ignore:.*:ResourceWarning:ray"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
]
ray = pytest.importorskip("ray", reason="the extra ray is not installed")
LIMITS = Limits(memory_bytes=4_000_000_000, quiet_s=60.0)


@pytest.fixture(scope="module")
def cluster():
    # sockets below it have names of limited length
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    made = Cluster(folder)
    try:
        # a token that lies in somebody's home is not meant for this cluster
        with patch.dict(os.environ, {"RAY_AUTH_MODE": "disabled"}):
            try:
                made.start()
            except AssertionError:
                # a port that was free may be taken, and a busy machine may be late: once more
                made.stop()
                made.address = f"127.0.0.1:{free_port()}"
                made.start()
            yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def pool(cluster, tmp_path):
    with connected(cluster.address):
        yield RayPool(folder=tmp_path, limits=LIMITS)


def tasks(n, **payload):
    return [Task(key=f"t{i}", payload={"x": i, **payload}) for i in range(n)]


def test_both_machines_work_and_every_task_comes_back(pool, tmp_path):
    """One worker a processor, each with a child process that is used again; nothing is left."""
    told, beats = [], []
    pool = replace(pool, tell=told.append, on_beat=lambda *one: beats.append(one))
    marks = tmp_path / "marks"
    marks.mkdir()
    results = {one.key: one for one in pool.run(doubled, tasks(12, folder=str(marks)))}
    assert {key: one.value["x"] for key, one in results.items()} == {
        f"t{i}": 2 * i for i in range(12)
    }
    assert len({one.value["pid"] for one in results.values()}) == 2
    assert all(one.peak_bytes > 1e6 and one.wall_s >= 0.3 for one in results.values())
    assert len(told) == 1
    assert told[0].endswith("takes part")
    assert {one[1:] for one in beats} == {(1, 2)}
    assert list(tmp_path.iterdir()) == [marks]
    gone = [one.value["pid"] for one in results.values()]
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in gone) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in gone), "children outlive the run"


def test_a_crash_a_hang_and_a_flood_are_named_failures_as_at_home(pool):
    """The limits are those of the step, held by the child process on its machine."""
    pool = with_limits(pool, replace(LIMITS, wall_s=8.0))
    given = [
        Task(key=how, payload={"how": how}) for how in ("crash", "hang", "grow", "raise", "ok")
    ]
    results = {one.key: one for one in pool.run(hostile, given)}
    causes = {key: one.failure and one.failure.cause for key, one in results.items()}
    assert causes == {
        "crash": Cause.CRASHED,
        "hang": Cause.TIME,
        "grow": Cause.MEMORY,
        "raise": Cause.ERROR,
        "ok": None,
    }


def test_no_more_tasks_are_out_than_there_are_workers(pool, tmp_path):
    """Two marks at most that have no result yet: what waits, waits here."""
    out, most = 0, 0
    marks = tmp_path / "marks"
    marks.mkdir()
    for _ in pool.run(marked, tasks(8, s=0.4, folder=str(marks))):
        out += 1
        most = max(most, len(list(marks.iterdir())) - out)
    assert out == 8
    assert 1 <= most <= 2


def test_what_a_lost_machine_had_is_taken_over(cluster, pool, tmp_path):
    """Power off in the middle: the tasks of its worker come back and are given again."""
    marks = tmp_path / "marks"
    marks.mkdir()

    def power_cut():
        while len(list(marks.iterdir())) < 3:
            time.sleep(0.05)
        cluster.lose(1)

    cutter = threading.Thread(target=power_cut)
    cutter.start()
    careful = Quarantine(executor=pool, folder=tmp_path / "run", step="test")
    results = list(careful.run(marked, tasks(6, s=1.5, folder=str(marks))))
    cutter.join()
    assert sorted(one.value for one in results) == list(range(6))
    assert all(one.failure is None for one in results)
    begun = [one.name.split("-")[0] for one in marks.iterdir()]
    assert len(begun) > 6, "one task was begun twice"
    cluster.join()


def test_a_slide_that_kills_its_machine_is_set_apart(pool, tmp_path):
    """After three tries, with the reason; the next run does not touch it."""
    careful = Quarantine(executor=pool, folder=tmp_path / "run", step="test")
    poison = Task(key="poison", payload={"how": "machine"})
    (result,) = careful.run(kill_the_worker, [poison])
    assert result.failure.cause is Cause.KILLED
    assert "lost with its machine" in result.failure.message
    begun_s = time.monotonic()
    (again,) = careful.run(kill_the_worker, [poison])
    assert again.failure == replace(result.failure, detail="")
    assert time.monotonic() - begun_s < 1


def kill_the_worker(_payload):
    """End the process that Ray started, as its memory guard does."""
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


def test_slides_become_the_same_bytes_as_at_home_and_a_second_run_does_nothing(cluster, tmp_path):
    """`extract --ray`, as a user types it, beside the same command without."""
    slides = tmp_path / "slides"
    slides.mkdir()
    for number in range(4):
        write_slide(slides / f"s{number}.tif", side=500 + 60 * number)
    (slides / "bad.tif").write_bytes(b"II*\0 no slide")

    def by_command(out, *options):
        command = [sys.executable, "-m", "metastra", "extract", "slides", "--out", out, "--json"]
        return subprocess.run(
            [*command, *options],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )

    home, away = by_command("home"), by_command("away", "--ray", cluster.address)
    assert (home.returncode, away.returncode) == (4, 4), away.stderr
    told = json.loads(away.stdout)
    assert told["counts"] == json.loads(home.stdout)["counts"]
    assert "takes part" in away.stderr
    names = sorted(path.name for path in (tmp_path / "home").glob("*.h5"))
    assert len(names) == 4
    for name in names:
        assert digest_file(tmp_path / "away" / name) == digest_file(tmp_path / "home" / name)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "away").glob("*.h5")}
    again = by_command("away", "--ray", cluster.address)
    assert again.returncode == 4
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps

    both = by_command("both", "--ray", cluster.address, "--shard", "1/2")
    assert both.returncode == 2
    assert "--ray goes with neither" in json.loads(both.stdout)["error"]
    foretold = by_command("both", "--ray", cluster.address, "--dry-run")
    assert foretold.returncode == 2


def test_one_process_holds_the_encoder_and_all_machines_read_for_it(pool, tmp_path):
    """As for a GPU, here for a resource of the test; what it gives is what each would give."""
    slides = [write_slide(tmp_path / f"s{n}.tif", side=460 + 40 * n) for n in range(3)]
    pool = replace(pool, folder=tmp_path, held={"torch-float32": "encoder"})
    asked = ExtractRequest(
        slides=tuple(slides),
        out=tmp_path / "away",
        encoder="tiny",
        weights=tiny_weights(tmp_path / "tiny"),
        engine="torch-float32",
    )
    away = extract(asked, executor=pool)
    assert away.counts["done"] == 3
    home = extract(replace(asked, out=tmp_path / "home"), executor=Serial())
    assert home.counts["done"] == 3
    for path in (tmp_path / "home").glob("*.h5"):
        assert digest_file(path) == digest_file(tmp_path / "away" / path.name)
    # where the encoder is held no child has loaded torch
    assert max(fate.peak_bytes for fate in away.fates) < 400e6


def test_machines_that_differ_are_refused_by_name(pool, monkeypatch):
    """Another metastra, or a folder that is not shared."""
    monkeypatch.setattr(ray_pool, "VERSION", "0.0.9")
    with pytest.raises(ConfigError, match=r"has metastra \S+, this one .*0\.0\.9"):
        list(pool.run(echo, tasks(1)))
    monkeypatch.undo()

    def elsewhere(_path, _content):
        """What this machine writes to a disk of its own, others do not see."""

    monkeypatch.setattr(ray_pool, "write_bytes", elsewhere)
    with pytest.raises(ConfigError, match="does not see the folder"):
        list(pool.run(echo, tasks(1)))


def test_no_cluster_and_no_ray(monkeypatch):
    """What to start, or what to install."""
    nobody = f"127.0.0.1:{free_port()}"
    with pytest.raises(ConfigError, match="ray start --head"), connected(nobody):
        pass
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"metastra\[ray\]"), connected("auto"):
        pass
    assert RAY.exists()
