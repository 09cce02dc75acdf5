"""``metastra encoders list|show`` from the command line."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from encoders.tiny_weights import tiny_weights
from metastra.cli.app import app
from metastra.encoders.known import known_encoders
from metastra.encoders.registry import encoder_card


def run(*arguments):
    return CliRunner().invoke(app, ["encoders", *map(str, arguments)])


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("METASTRA_ENCODERS", str(tmp_path / "encoders"))
    return tmp_path / "encoders"


def test_list_names_every_encoder_with_its_state(home):
    """The ready ones first; own folders of weights are found."""
    tiny_weights(home / "tiny")
    (home / "uni_v1").mkdir()

    done = run("list", "--json")

    assert done.exit_code == 0
    rows = {row["name"]: row for row in json.loads(done.stdout)["encoders"]}
    assert set(rows) >= {"morphology", "tiny", *known_encoders()}
    assert list(rows)[:2] == ["morphology", "tiny"]
    assert rows["tiny"]["dimension"] == 96
    assert rows["uni_v1"]["state"] == "not usable"
    assert "has no model.safetensors" in rows["uni_v1"]["reason"]
    assert rows["virchow2"]["state"] == "no weights"
    assert (rows["virchow2"]["dimension"], rows["virchow2"]["licence"]) == (2560, "CC-BY-NC-ND-4.0")
    assert rows["musk"]["state"] == "not supported"


def test_list_is_a_table_for_people(home):
    """One line an encoder, and what to do next."""
    done = run("list")

    lines = done.stdout.splitlines()
    assert any(line.startswith("gigapath ") and "no weights" in line for line in lines)
    assert all(len(line) <= 110 for line in lines)
    assert "Research use only" in done.stderr


def test_show_gives_the_card_of_weights_that_are_here(home):
    """The same card that features get."""
    folder = tiny_weights(home / "tiny")

    done = run("show", "tiny", "--engine", "torch-bfloat16", "--json")

    shown = json.loads(done.stdout)
    card = encoder_card("tiny", weights=folder, engine="torch-bfloat16")
    assert shown["card"] == card.to_json()
    assert shown["digest"] == card.digest
    assert shown["card"]["precision"] == "bfloat16"


def test_show_explains_how_gated_weights_are_got(home):
    """Exit 0: that is an answer."""
    done = run("show", "uni_v2")

    assert done.exit_code == 0
    assert "hf auth login" in done.stdout
    assert "1536" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["show", "phikon_v3"], 2, "did you mean 'phikon_v2'"),
        (["show", "conch_v1"], 2, "cannot be built here"),
        (["show", "morphology", "--engine", "torch-float32"], 2, "numba-float32 alone"),
    ],
)
def test_mistakes_are_refused(home, arguments, code, said):
    """Usage errors: exit 2."""
    done = run(*arguments)

    assert done.exit_code == code
    assert said in done.stderr


def test_changed_weights_are_an_integrity_error(home):
    """Exit 5."""
    tiny_weights(home / "tiny", told={"weights_sha256": "1" * 64})

    assert run("show", "tiny").exit_code == 5


@pytest.mark.parametrize("verb", ["list", "show"])
def test_help_has_an_example(verb):
    """As every command."""
    assert "Example: metastra encoders" in run(verb, "--help").stdout
