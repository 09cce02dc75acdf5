"""A run: stale stages only, the same bytes after a kill, one run at a time, nobody named."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from metastra.errors import BusyError, DataError
from metastra.pipeline.opening import open_study
from metastra.pipeline.run import run_study
from metastra.pipeline.why import explain_product
from metastra.storage import hold
from metastra.synthetic.generate import synthetic_study

COMMAND = [sys.executable, "-m", "metastra"]


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """A synthetic study of 120 patients."""
    return synthetic_study(n_patients=120, seed=5)


@pytest.fixture
def folder(files, tmp_path) -> Path:
    for name, content in files.items():
        path = tmp_path / "study" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "study"


def done(folder: Path, **options) -> dict[str, str]:
    summary = run_study(open_study(folder), **options)
    return {item.stage: item.done for item in summary.results}


def tables(results: dict[str, str]) -> set[str]:
    """What became of the stages that need no model; nine events support none."""
    assert results["bundle"] in {"not estimable", "left out"}
    assert results["predictions"] == results["evaluation"] == results["truth"] == "left out"
    return {results[name] for name in ("cohort", "splits", "report")}


def products(run_dir: Path) -> dict[str, bytes]:
    """Every file of the run but records and manifests, which hold the time they were made."""
    return {
        path.relative_to(run_dir).as_posix(): path.read_bytes()
        for path in sorted(run_dir.rglob("*"))
        if path.is_file() and not {".records", "runs", ".lock"} & set(path.parts)
    }


def test_the_second_run_makes_nothing(folder):
    """What is whole and up to date is left alone."""
    first, second = done(folder), done(folder)

    assert tables(first) == {"made"}
    assert tables(second) == {"up to date"}


def test_the_report_says_why_there_is_no_model(folder):
    """In the words of the stage, also where only the report is made again."""
    done(folder)
    page = folder / "run" / "report" / "index.html"
    why = json.loads((folder / "run" / "run.json").read_text())["not_made"]["bundle"]
    assert f"Nothing could be judged: {why}." in page.read_text()
    before = page.read_bytes()
    page.unlink()
    assert done(folder, only="report")["report"] == "made"
    assert page.read_bytes() == before


def test_a_changed_table_makes_everything_stale_and_why_says_so(folder):
    """One changed cell in a table reaches cohort, splits and report; the story names the table."""
    done(folder)
    table = folder / "north" / "clini.csv"
    table.write_text(table.read_text().replace(",left,", ",right,", 1))

    told = explain_product(folder / "run" / "cohort.csv")
    assert any("north/clini" in reason and "has changed" in reason for reason in told.stale)
    dry = run_study(open_study(folder), dry_run=True)
    assert all(item.done == "would run" and item.reasons for item in dry.results)
    assert tables(done(folder)) == {"made"}
    assert explain_product(folder / "run" / "cohort.csv").stale == ()


def test_a_changed_setting_is_named_and_a_comment_is_not(folder):
    """The study's digest sees settings, not layout."""
    done(folder)
    study = folder / "study.toml"
    study.write_text(study.read_text() + "\n# a remark\n")
    assert tables(done(folder)) == {"up to date"}

    study.write_text(re.sub(r"(?m)^folds = \d+", "folds = 3", study.read_text()))
    assert any(
        "study file has changed" in r for r in explain_product(folder / "run/cohort.csv").stale
    )


def test_stored_folds_are_never_redrawn_by_themselves(folder):
    """Another seed is refused with the way out; only --redraw draws anew."""
    done(folder)
    before = (folder / "run" / "splits.json").read_bytes()
    study = folder / "study.toml"
    study.write_text(re.sub(r"(?m)^seed = \d+", "seed = 99", study.read_text(), count=1))

    with pytest.raises(ValueError, match="--redraw"):
        done(folder)
    assert (folder / "run" / "splits.json").read_bytes() == before
    assert done(folder, redraw=True)["splits"] == "made"


def test_a_run_repeated_elsewhere_gives_the_same_bytes(folder, tmp_path, files):
    """Equal tables, settings and key give equal products, wherever they lie."""
    done(folder)
    other = tmp_path / "elsewhere" / "deep"
    for name, content in files.items():
        path = other / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (other / "study.key").write_bytes((folder / "study.key").read_bytes())
    (other / "study.key").chmod(0o600)
    done(other)

    assert products(folder / "run") == products(other / "run")


def test_refused_data_leave_a_page_with_the_problems(folder):
    """Nothing is run, the problems are raised, and the page shows them."""
    table = folder / "north" / "clini.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join([*lines, lines[1]]))

    with pytest.raises(DataError, match="CO011"):
        done(folder)
    assert "CO011" in (folder / "run" / "report" / "refused.html").read_text()
    assert not (folder / "run" / "cohort.csv").exists()


def test_two_runs_of_one_study_do_not_meet(folder):
    """The second is told who is at work."""
    opened = open_study(folder)
    with hold(opened.run_dir), pytest.raises(BusyError, match="process"):
        run_study(opened)


def test_no_study_id_leaves_the_tables(folder):
    """Ids stand in the tables for the user alone; page, logs and records have none."""
    ids = {
        line.split(",")[0] for line in (folder / "north" / "clini.csv").read_text().splitlines()[1:]
    }
    result = subprocess.run(
        [*COMMAND, "run", str(folder)], capture_output=True, text=True, check=True
    )
    checked = subprocess.run(
        [*COMMAND, "check", str(folder), "--json"], capture_output=True, text=True, check=False
    )

    texts = {"run": result.stdout + result.stderr, "check": checked.stdout + checked.stderr}
    for path in (folder / "run").rglob("*"):
        if path.is_file() and path.name not in {"cohort.csv", "splits.json", "predictions.csv"}:
            texts[str(path)] = path.read_text()
    for name, text in texts.items():
        found = [id_ for id_ in ids if re.search(rf"(?<![\w-]){re.escape(id_)}(?![\w-])", text)]
        assert found == [], name


@pytest.mark.slow
def test_a_run_killed_anywhere_resumes_to_the_same_bytes(folder, tmp_path, files):
    """Twelve random kills of the whole command; what is there afterwards is an undisturbed run."""
    done(folder)
    wanted = products(folder / "run")
    other = tmp_path / "killed"
    for name, content in files.items():
        path = other / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (other / "study.key").write_bytes((folder / "study.key").read_bytes())
    (other / "study.key").chmod(0o600)
    moments = random.Random(4)
    killed = 0
    for _ in range(12):
        process = subprocess.Popen(
            [*COMMAND, "run", str(other)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(moments.uniform(0.3, 4.0))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        for name, content in products(other / "run").items() if (other / "run").exists() else ():
            if ".part-" not in name:
                assert content == wanted[name], f"{name} is half-written"
    subprocess.run([*COMMAND, "run", str(other)], check=True, capture_output=True)

    left = {k: v for k, v in products(other / "run").items() if ".part-" not in k}
    assert killed > 0
    assert left == wanted


def test_run_json_says_what_was_decided(folder):
    """Version, digests and seed, strict JSON, and no time that would change its bytes."""
    done(folder)
    decided = json.loads((folder / "run" / "run.json").read_text())

    assert decided["study_digest"] == open_study(folder).study.digest
    assert {name for name, digest in decided["products"].items() if digest} == {
        "cohort",
        "splits",
        "report",
    }
    assert set(decided["not_made"]) == {"bundle", "predictions", "evaluation", "truth"}
    assert "9 events among" in decided["not_made"]["bundle"]
    assert "Research use only" in decided["research_use"]


def test_damaged_folds_are_not_redrawn_silently(folder):
    """A changed byte in splits.json stops the run and names the way out."""
    done(folder)
    stored = folder / "run" / "splits.json"
    stored.write_bytes(stored.read_bytes().replace(b'"seed":', b'"sead":', 1))

    with pytest.raises(ValueError, match="--redraw"):
        done(folder)
    assert done(folder, redraw=True)["splits"] == "made"


def test_nothing_is_built_on_a_damaged_product(folder):
    """With one stage asked for, what it needs must be whole."""
    done(folder)
    table = folder / "run" / "cohort.csv"
    table.write_bytes(table.read_bytes() + b"x")

    with pytest.raises(ValueError, match=r"cohort.*not whole"):
        done(folder, only="report")
