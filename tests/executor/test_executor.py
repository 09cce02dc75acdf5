"""Tasks in child processes: what dies, hangs or grows is one named failure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from executor.executor_tasks import work
from metastra.errors import ResourceError, Severity
from metastra.executor import Cause, Limits, ProcessPool, Serial, Task, hear, worker_number

PARENT = Path(__file__).with_name("executor_parent.py")
GIGABYTE = 1_000_000_000


def tasks(*payloads):
    return [Task(key=f"t{number}", payload=payload) for number, payload in enumerate(payloads)]


def run(pool, *payloads):
    return {result.key: result for result in pool.run(work, tasks(*payloads))}


def sums(n):
    return [{"do": "add", "a": number, "b": 1} for number in range(n)]


@pytest.fixture
def wait_for():
    def wait(condition, seconds=30.0):
        ends = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < ends, "waited in vain"
            time.sleep(0.02)

    return wait


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_each_task_gives_its_value_and_workers_are_used_again():
    """Many tasks, two processes, no dependence on who did what."""
    found = run(ProcessPool(workers=2), *sums(12))

    assert {key: result.value["sum"] for key, result in found.items()} == {
        f"t{number}": number + 1 for number in range(12)
    }
    assert all(result.failure is None for result in found.values())
    pids = {result.value["pid"] for result in found.values()}
    assert 1 <= len(pids) <= 2
    assert os.getpid() not in pids
    assert all(result.peak_bytes > 1_000_000 for result in found.values())


def test_two_tasks_run_at_the_same_time(tmp_path, wait_for):
    """Each of two waits until it has seen the other begin."""
    pool = ProcessPool(workers=2)
    payloads = [
        {"do": "note", "folder": str(tmp_path), "name": name, "seconds": 0.5} for name in "ab"
    ]
    begun = time.monotonic()
    found = run(pool, *payloads)
    marks = [(tmp_path / f"{name}.begun").stat().st_mtime for name in "ab"]
    dones = [(tmp_path / f"{name}.done").stat().st_mtime for name in "ab"]

    assert max(marks) < min(dones), f"one after the other in {time.monotonic() - begun:.1f} s"
    assert len(found) == 2


DEATHS = [
    ("abort", Cause.CRASHED, "SIGABRT"),
    ("segv", Cause.CRASHED, "SIGSEGV"),
    ("killed", Cause.KILLED, "SIGKILL"),
    ("leave", Cause.ENDED, "exit 3"),
    ("leave_politely", Cause.ERROR, "SystemExit"),
    ("stumble", Cause.ERROR, "RuntimeError"),
    ("refuse", Cause.REFUSED, "DataError"),
    ("odd", Cause.ERROR, "TypeError"),
    ("garble", Cause.CRASHED, "garbled"),
]


def test_every_death_is_one_named_failure_and_the_batch_goes_on():
    """Deaths of all kinds among good tasks: the good ones all have their values."""
    payloads = []
    for deed, _, _ in DEATHS:
        payloads += [{"do": deed}, *sums(1)]
    found = run(ProcessPool(workers=2), *payloads)

    assert len(found) == 2 * len(DEATHS)
    for number, (deed, cause, kind) in enumerate(DEATHS):
        failure = found[f"t{2 * number}"].failure
        assert (failure.cause, failure.kind) == (cause, kind), deed
        assert failure.message
        assert found[f"t{2 * number + 1}"].value["sum"] == 1, f"after {deed}"


def test_a_failure_says_what_happened_and_what_to_do():
    """Cause, next step, the problems of a refusal, and where a crash was."""
    found = run(ProcessPool(), {"do": "segv"}, {"do": "refuse"}, {"do": "stumble"}, {"do": "leave"})

    crash = found["t0"].failure
    assert str(crash).startswith("the process that read it crashed (signal 11, SIGSEGV); the file")
    assert "executor_tasks.py" in crash.detail
    refusal = found["t1"].failure
    assert refusal.problems[0].where.rows == (7, 9)
    assert refusal.problems[0].severity is Severity.REFUSE
    assert "a.csv, rows 7, 9, column 'PATIENT'" in str(refusal.problems[0])
    assert "RuntimeError: tile 7 is bad; unexpected at executor_tasks.py:" in str(
        found["t2"].failure
    )
    assert "exit code 3" in str(found["t3"].failure)


def test_a_task_that_eats_memory_stops_at_its_limit_and_nobody_else_does():
    """The limit holds in the child; the next task gets a fresh process."""
    pool = ProcessPool(workers=1, limits=Limits(memory_bytes=2 * GIGABYTE))
    found = run(pool, *sums(1), {"do": "eat"}, *sums(1))

    failure = found["t1"].failure
    assert failure.cause is Cause.MEMORY
    assert "limit of 2.0 GB" in failure.message
    assert "fewer workers" in failure.hint
    assert found["t1"].peak_bytes < 2 * GIGABYTE
    assert found["t2"].value["pid"] != found["t0"].value["pid"]


@pytest.mark.parametrize("deed", ["hang", "hang_in_c"])
def test_a_hang_ends_at_the_time_limit(deed):
    """Also where native code keeps the interpreter's lock."""
    pool = ProcessPool(workers=2, limits=Limits(wall_s=1.0))
    found = run(pool, {"do": deed}, *sums(3))

    assert found["t0"].failure.cause is Cause.TIME
    assert "longer than its limit of 1 s" in str(found["t0"].failure)
    assert sum(result.failure is None for result in found.values()) == 3


def test_signs_of_life_tell_hard_work_from_a_hang():
    """A task that beats may run much longer than the silence that is allowed."""
    heard = []
    pool = ProcessPool(workers=2, limits=Limits(quiet_s=1.0))
    with hear(lambda *told: heard.append(told)):
        found = run(pool, {"do": "live_long", "beats": 25}, {"do": "slow", "seconds": 1000})

    assert found["t0"].value == "alive"
    assert found["t1"].failure.kind == "quiet_s"
    assert {(key, total) for key, _, total in heard} == {("t0", 25)}
    assert [done for _, done, _ in heard] == sorted(done for _, done, _ in heard)


def test_a_serial_executor_gives_beats_on_too():
    """Under the key of the task that gave them."""
    heard = []
    with hear(lambda *told: heard.append(told)):
        found = run(Serial(), *[{"do": "live_long", "beats": 1}] * 2)
    assert {result.value for result in found.values()} == {"alive"}
    assert heard == [("t0", 1, 1), ("t1", 1, 1)]


def test_bytes_travel_and_talk_does_not(capfd):
    """Large blobs come whole; what a decoder prints reaches no terminal."""
    found = run(ProcessPool(), {"do": "blob", "n": 3_000_000}, {"do": "talk"})

    assert found["t0"].value == {
        "bytes": b"\xff\x00" * 3_000_000,
        "nested": [None, True, 1.5, "µ", [b""]],
    }
    assert found["t1"].failure is None
    assert capfd.readouterr() == ("", "")


def test_a_worker_leaves_no_core_file_and_starts_no_threads_unasked():
    """A core file would hold pixels; threads times workers would be too many."""
    value = run(ProcessPool(), {"do": "settings"})["t0"].value

    assert value["core"] == 0
    assert value["threads"] == "1"
    assert value["loaded_by"] == value["pid"], "the module was inherited, not loaded: a fork"


def test_what_a_stopped_task_started_is_stopped_too(tmp_path, wait_for):
    """A process that the task began goes with it."""
    pid_file = tmp_path / "pid"
    pool = ProcessPool(limits=Limits(wall_s=2.0))
    found = run(pool, {"do": "child_of_its_own", "note": str(pid_file)})

    assert found["t0"].failure.cause is Cause.TIME
    wait_for(lambda: not alive(int(pid_file.read_text())))


def test_an_abandoned_run_leaves_nothing_running(tmp_path, wait_for):
    """Whoever stops asking for results gets the workers ended."""
    pool = ProcessPool(workers=2)
    payloads = [
        {"do": "note", "folder": str(tmp_path), "name": "n", "seconds": 1000},
        *sums(1),
    ]
    results = pool.run(work, tasks(*payloads))
    first = next(results)
    wait_for((tmp_path / "n.begun").exists)
    pid = int((tmp_path / "n.begun").read_text())
    assert alive(pid)
    results.close()

    assert first.key == "t1"
    assert not alive(pid)


def test_a_memory_limit_below_what_libraries_take_is_said():
    """The pool does not begin, and says why."""
    pool = ProcessPool(limits=Limits(memory_bytes=60_000_000))

    with pytest.raises(ResourceError, match="a worker process cannot start"):
        run(pool, *sums(1))


def test_a_function_that_no_other_process_finds_is_refused():
    """Lambdas and functions inside functions."""
    for pool in (ProcessPool(), Serial()):
        with pytest.raises(ValueError, match="no function at the top of an importable module"):
            list(pool.run(lambda payload: payload, tasks({})))


def test_two_tasks_with_one_key_are_refused():
    """Results could not be told apart."""
    with pytest.raises(ValueError, match="two tasks have the key 'a'"):
        list(ProcessPool().run(work, [Task(key="a"), Task(key="a")]))


@pytest.mark.parametrize("limits", [{"wall_s": 0.0}, {"memory_bytes": -1}])
def test_limits_are_positive(limits):
    """A limit of nothing is a mistake."""
    with pytest.raises(ValueError, match="expected more than 0"):
        Limits(**limits)


def test_serial_gives_what_a_pool_gives():
    """Values, failures and refusals are the same without processes."""
    payloads = [*sums(2), {"do": "stumble"}, {"do": "refuse"}, {"do": "odd"}, {"do": "no_space"}]
    here, there = run(Serial(), *payloads), run(ProcessPool(), *payloads)

    assert list(here) == list(there)
    for key, mine in here.items():
        theirs = there[key]
        assert mine.failure == theirs.failure
        if mine.failure is None:
            assert mine.value["sum"] == theirs.value["sum"]
    assert here["t5"].failure.errno == 28


def start_parent(folder, *, workers, n_tasks, seconds):
    return subprocess.Popen(
        [sys.executable, str(PARENT), str(folder), str(workers), str(n_tasks), str(seconds)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )


def begun(folder):
    return sorted(path.stem for path in folder.glob("*.begun") if path.read_text())


def test_ctrl_c_once_finishes_what_runs_and_stops(tmp_path, wait_for):
    """The two that run are finished and given out; the others never begin."""
    with start_parent(tmp_path, workers=2, n_tasks=6, seconds=1.5) as parent:
        wait_for(lambda: len(begun(tmp_path)) == 2)
        parent.send_signal(signal.SIGINT)
        talk = parent.stderr.read()
        assert parent.wait() == 130

    assert begun(tmp_path) == ["t0", "t1"]
    assert sorted(path.stem for path in tmp_path.glob("*.done")) == ["t0", "t1"]
    assert (tmp_path / "got").read_text() == "t0 t1"
    assert "what runs is finished first" in talk


def test_ctrl_c_twice_stops_now(tmp_path, wait_for):
    """Nothing is finished, nothing stays behind."""
    with start_parent(tmp_path, workers=2, n_tasks=6, seconds=1000) as parent:
        wait_for(lambda: len(begun(tmp_path)) == 2)
        parent.send_signal(signal.SIGINT)
        line = parent.stderr.readline()
        parent.send_signal(signal.SIGINT)
        assert parent.wait(30) == 130

    assert "Ctrl-C again" in line
    pids = [int(path.read_text()) for path in tmp_path.glob("*.begun")]
    wait_for(lambda: not any(alive(pid) for pid in pids))
    assert not list(tmp_path.glob("*.done"))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_parent_leaves_nothing_running(tmp_path, wait_for, how):
    """The kernel ends the workers, also in the middle of a task."""
    with start_parent(tmp_path, workers=2, n_tasks=2, seconds=1000) as parent:
        wait_for(lambda: len(begun(tmp_path)) == 2)
        pids = [int(path.read_text()) for path in tmp_path.glob("*.begun")]
        assert all(alive(pid) for pid in pids)
        parent.send_signal(how)
        parent.wait()

    wait_for(lambda: not any(alive(pid) for pid in pids))


def test_a_killed_worker_is_one_failure_and_is_replaced(tmp_path, wait_for):
    """kill -9 of a child from outside, while it works and while it waits."""
    pool = ProcessPool(workers=1)
    payloads = [
        {"do": "note", "folder": str(tmp_path), "name": "n", "seconds": 0.0},
        *sums(2),
    ]
    results = pool.run(work, tasks(*payloads))
    next(results)
    os.kill(int((tmp_path / "n.begun").read_text()), signal.SIGKILL)
    rest = {result.key: result for result in results}

    assert sorted(rest) == ["t1", "t2"]
    assert all(result.failure is None for result in rest.values())


def number_of_worker(payload):
    """Which worker this is; waits, so that both are hired."""
    time.sleep(payload["wait_s"])
    return worker_number()


def test_the_workers_of_a_pool_are_numbered():
    """From 0, without a gap; so two of them can begin at different ends."""
    tasks = [Task(key=str(n), payload={"wait_s": 0.2}) for n in range(8)]
    found = {result.value for result in ProcessPool(workers=2).run(number_of_worker, tasks)}
    assert found == {0, 1}
