"""Every verb ends with the exit code that the contract names, and says why."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from metastra import errors
from metastra.cli.exits import Exit, exit_of
from metastra.storage import hold


def refusal(done: subprocess.CompletedProcess[str], code: int) -> dict:
    """The one JSON object of a call that failed."""
    told = json.loads(done.stdout)
    assert done.returncode == code
    assert told["exit"] == code
    assert told["error"]
    assert "Traceback" not in done.stderr
    return told


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("x"), 2),
        (errors.MissingExtra("p", extra="e", what_for="w"), 2),
        (errors.DataError("x"), 3),
        (errors.LeakageError("x"), 3),
        (errors.NotEstimable("x"), 3),
        (errors.DigestMismatch("x"), 5),
        (errors.BusyError("x"), 6),
        (errors.ResourceError("x"), 7),
        (MemoryError(), 7),
        (OSError(errno.ENOSPC, "full"), 7),
        (OSError(errno.EFBIG, "too large"), 7),
        (PermissionError(errno.EACCES, "no"), 2),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError(), 1),
    ],
)
def test_an_error_has_its_code(error, code):
    """The table of the contract."""
    assert exit_of(error) == Exit(code)


@pytest.mark.parametrize(
    "words",
    [
        ["check"],
        ["nonsense"],
        ["check", "x", "--nope"],
        ["demo", "d", "--patients", "5"],
        ["why", "a", "b", "c"],
    ],
)
def test_wrong_usage_is_two_and_json_stays_json(words, metastra, tmp_path):
    """The words of the parser reach stderr, or one object on stdout."""
    plain = metastra(*words, cwd=tmp_path)
    assert (plain.returncode, plain.stdout) == (2, "")
    assert "Error" in plain.stderr

    refusal(metastra(*words, "--json", cwd=tmp_path), 2)


@pytest.mark.parametrize("verb", ["check", "run"])
def test_a_missing_study_is_two_and_init_is_named(verb, metastra, tmp_path):
    """The way out is the command that writes a study file."""
    told = refusal(metastra(verb, tmp_path, "--json"), 2)
    assert told["kind"] == "ConfigError"
    assert "metastra init" in told["error"]


def test_a_key_that_others_can_read_is_two(study, metastra):
    """The command that mends it is said, and no problem is computed under such a key."""
    key = study / "study.key"
    key.write_text("00" * 32 + "\n")
    key.chmod(0o644)
    done = metastra("check", study)
    assert (done.returncode, done.stdout) == (2, "")
    assert "chmod 600" in done.stderr


def test_refused_data_are_three(refused, metastra):
    """Check and run agree, and the JSON of both lists the problem without a study id."""
    checked = metastra("check", refused, "--json")
    assert checked.returncode == 3
    told = json.loads(checked.stdout)
    assert told["refused"] is True
    assert "CO011" in {item["code"] for item in told["problems"]}

    run = metastra("run", refused, "--json")
    assert "CO011" in {item["code"] for item in refusal(run, 3)["problems"]}
    assert "NO-0001" not in checked.stdout + checked.stderr + run.stdout + run.stderr


def test_a_run_beside_another_is_six(study, metastra):
    """The kernel's lock decides, not a file that a crash leaves."""
    with hold(study / "run"):
        refusal(metastra("run", study, "--json"), 6)


def test_no_room_for_a_product_is_seven(study, metastra):
    """A product that does not fit leaves neither a name nor a part file."""

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    done = metastra("run", study, "--json", preexec_fn=little_room)
    refusal(done, 7)
    assert not (study / "run" / "cohort.csv").exists()
    assert list((study / "run").rglob("*.part*")) == []


def test_a_tampered_product_is_five(finished, metastra):
    """One byte more, and `why` says that the product is not whole."""
    cohort = finished / "run" / "cohort.csv"
    cohort.write_bytes(cohort.read_bytes() + b"x")
    done = metastra("why", cohort, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 5
    assert told["complete"] is False
    assert told["damage"]


def test_a_stage_whose_parent_has_no_record_is_five(finished, metastra):
    """What was never finished is not built upon."""
    (finished / "run" / ".records" / "cohort.json").unlink()
    refusal(metastra("run", finished, "--only", "report", "--json"), 5)


@pytest.mark.slow
def test_an_interrupted_run_is_130_and_goes_on(study):
    """SIGINT while a run holds the folder; the next run finishes."""
    words = [sys.executable, "-m", "metastra", "run", str(study), "--json"]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (study / "run" / ".lock").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)

    assert child.returncode == 130, err
    assert json.loads(out)["exit"] == 130
    assert "Traceback" not in err
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0


def test_an_internal_error_names_the_line_and_no_patient(study):
    """What nobody foresaw is 1; its own words, which may hold an id, are not shown."""
    program = (
        "import metastra.pipeline.opening as opening\n"
        "def broken(*_):\n"
        "    raise KeyError('NO-0001')\n"
        "opening.check_study = broken\n"
        "from metastra.cli.main import main\n"
        "main()\n"
    )
    words = [sys.executable, "-c", program, "check", str(study), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    told = refusal(done, 1)
    # the deepest line of metastra: the fault itself lies outside of it
    assert "internal error (KeyError at opening.py:" in told["error"]
    assert "NO-0001" not in done.stdout + done.stderr


def test_a_reader_that_goes_away_does_not_change_the_code(refused):
    """`metastra check … | head -1` is still refused, and shows no traceback."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "metastra", "check", str(refused)],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert done.returncode == 3
    assert "Error" not in done.stderr


def test_a_terminal_without_unicode_gets_valid_json_and_readable_talk(refused, metastra):
    """Arrows and dashes are no reason to fail."""
    ascii_only = {"PYTHONIOENCODING": "ascii", "NO_COLOR": "1", "TERM": "dumb"}
    done = metastra("check", refused, env=ascii_only)
    assert done.returncode == 3
    assert "CO011" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
