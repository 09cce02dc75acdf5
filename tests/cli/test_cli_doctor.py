"""`metastra doctor`: what the machine can do."""

from __future__ import annotations

import json

from metastra.pipeline import doctor


def test_it_lists_findings_as_one_object(metastra, tmp_path):
    """Every finding has a state; whatever is not in order has a remedy."""
    done = metastra("doctor", tmp_path, "--json")
    told = json.loads(done.stdout)
    assert {item["name"] for item in told["findings"]} >= {"Python", "free disk", "study folder"}
    assert all(item["remedy"] for item in told["findings"] if item["state"] != "ok")
    assert done.returncode == (0 if told["ok"] else 2)


def test_a_folder_that_is_a_file_is_a_problem(metastra, tmp_path):
    """Exit 2 and a remedy."""
    path = tmp_path / "file"
    path.write_text("x")
    done = metastra("doctor", path, "--json")
    states = {item["name"]: item["state"] for item in json.loads(done.stdout)["findings"]}
    assert states["study folder"] == "problem"
    assert done.returncode == 2


def test_a_folder_that_is_not_there_yet_is_judged_by_its_parent(metastra, tmp_path):
    """It asks before the study is made, and makes nothing."""
    done = metastra("doctor", tmp_path / "a" / "b")
    assert "can be written" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_whole_installation_is_in_order(metastra, tmp_path):
    """What the tests run in has every core package, and kernels have a place."""
    done = metastra("doctor", tmp_path, "--json")
    found = {item["name"]: item for item in json.loads(done.stdout)["findings"]}
    assert found["core packages"]["state"] == "ok", found["core packages"]
    assert found["compiled kernels"]["found"].startswith("kept in /")


def test_an_installation_without_pip_is_not_sent_to_pip(monkeypatch):
    """What `install.sh` made has no pip: an extra comes with another offline folder."""
    assert doctor._way_to("learn").startswith("python -m pip install -c constraints-cpu.txt")
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    assert "make wheelhouse EXTRAS=xlsx" in doctor._way_to("xlsx")
