"""`metastra init`: a draft that is marked as one and never replaces a study file."""

from __future__ import annotations

import json

CLINI = "PATIENT,OS_DAYS,OS_STATUS\na,500,alive\nb,900,dead\n"


def test_the_draft_is_written_and_the_guessed_endpoint_is_said(metastra, tmp_path):
    """The path is on stdout, what was guessed on stderr; the check then runs."""
    (tmp_path / "clini.csv").write_text(CLINI)
    done = metastra("init", tmp_path)
    assert done.returncode == 0
    assert done.stdout.strip() == str(tmp_path / "study.toml")
    assert "endpoint guessed: time 'OS_DAYS' with status 'OS_STATUS'" in done.stderr
    assert metastra("check", tmp_path).returncode in {0, 3}


def test_a_study_file_is_not_overwritten(metastra, tmp_path):
    """Also not a link that leads nowhere; --force replaces it."""
    (tmp_path / "clini.csv").write_text(CLINI)
    target = tmp_path / "study.toml"
    target.write_text("mine")
    done = metastra("init", tmp_path, "--json")
    assert done.returncode == 2
    assert "--force" in json.loads(done.stdout)["error"]
    assert target.read_text() == "mine"

    told = json.loads(metastra("init", tmp_path, "--force", "--json").stdout)
    assert told["tables"] == ["clini.csv"]
    assert told["guesses"] > 0
    assert "mine" not in target.read_text()


def test_a_folder_without_tables_is_two_and_leaves_nothing(metastra, tmp_path):
    """And so is a folder that is not there."""
    for folder in (tmp_path, tmp_path / "missing"):
        done = metastra("init", folder, "--json")
        assert done.returncode == 2
        assert json.loads(done.stdout)["kind"] == "ConfigError"
    assert list(tmp_path.iterdir()) == []
