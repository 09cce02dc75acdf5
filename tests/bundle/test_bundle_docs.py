"""The files shown in the how-to are accepted as they stand."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bundle.hand_made import make_files
from metastra.bundle.foreign import external_bundle_files
from metastra.bundle.loading import open_bundle
from metastra.bundle.locking import lock_bundle, read_statements
from metastra.bundle.writing import write_bundle
from metastra.errors import ConfigError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "lock-a-model.md"


def block(first: str) -> str:
    found = re.findall(r"```text\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    return next(text for text in found if text.startswith(f"# {first}"))


def test_the_plan_of_the_how_to_fills_a_draft(tmp_path):
    """Every key is known, and nothing is left open."""
    (tmp_path / "plan.toml").write_text(block("plan.toml"))
    write_bundle(tmp_path / "draft", make_files())
    statements = read_statements([tmp_path / "plan.toml"])
    locking = lock_bundle(open_bundle(tmp_path / "draft"), statements)
    assert locking.plan.planned_n == 160
    assert locking.plan.design is not None
    assert locking.plan.design.auc == 0.78
    assert [one.found for one in locking.open_statements] == ["intended_use.specimen is not stated"]


def test_the_foreign_model_of_the_how_to_can_be_described(tmp_path):
    """With a program and a self-test beside it the description gives a draft."""
    (tmp_path / "foreign.toml").write_text(block("foreign.toml"))
    (tmp_path / "model.py").write_text("")
    (tmp_path / "cases.csv").write_text("age,risk_24\n60,0.1\n70,0.2\n")
    write_bundle(tmp_path / "draft", external_bundle_files(tmp_path / "foreign.toml"))
    assert open_bundle(tmp_path / "draft").kind == "external"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[plan]\nplaned_n = 1\n", "did you mean 'planned_n'"),
        ("[plans]\nx = 1\n", r"'plans' is no table of it; there are \[intended_use\]"),
        ("plan = 3\n", "no table of it"),
        ("[plan\n", "plan.toml"),
    ],
)
def test_statements_that_cannot_be_read(tmp_path, text, said):
    """Unknown tables and keys are named with what is known."""
    (tmp_path / "plan.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_statements([tmp_path / "plan.toml"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[plan]\nplanned_n = 0\n", "planned_n: Input should be greater"),
        ('[plan]\nplanned_n = "many"\n', "planned_n: Input should be a valid integer"),
        ('[plan.primary]\nsuccess = "lower limit above"\n', "needs primary.lower"),
        ("[plan.primary]\nhorizon = 36\n", "none of the model's"),
        ("[[plan.interim_looks]]\nat_events = 8\nalpha_spent = 0.01\n", "without a spending"),
        ("[intended_use]\nuser = 2026-01-30\n", "a date or another value"),
    ],
)
def test_statements_that_cannot_be(tmp_path, text, said):
    """Wrong values and contradictions are said by the place of the key."""
    (tmp_path / "plan.toml").write_text(text)
    write_bundle(tmp_path / "draft", make_files())
    draft = open_bundle(tmp_path / "draft")
    plain = {"lower": None, "success": "not stated"}
    bare = draft.plan.model_copy(update={"primary": draft.plan.primary.model_copy(update=plain)})
    statements = read_statements([tmp_path / "plan.toml"])
    with pytest.raises(ConfigError, match=said):
        lock_bundle(replace(draft, plan=bare), statements)


def test_a_later_file_goes_over_an_earlier_one(tmp_path):
    """Tables are merged key by key."""
    (tmp_path / "a.toml").write_text("[plan]\nplanned_n = 100\n[plan.primary]\nlower = 0.6\n")
    (tmp_path / "b.json").write_text('{"plan": {"planned_n": 160}}')
    merged = read_statements([tmp_path / "a.toml", tmp_path / "b.json"]).plan
    assert merged == {"planned_n": 160, "primary": {"lower": 0.6}}
