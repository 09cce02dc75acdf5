"""Documentation that cannot lie: printed pages are fresh, links resolve, examples run."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from metastra.catalogue import all_checks
from metastra.encoders.slide_card import read_slide_card
from metastra.evaluation.policy_file import read_policies
from metastra.pipeline.opening import open_study
from metastra.pipeline.run import run_study
from metastra.storage import write_bytes
from metastra.study.load import parse_study
from metastra.synthetic.generate import generate, study_files, synthetic_study
from metastra.synthetic.painted_study import (
    PAINTED_COHORTS,
    PAINTED_PATIENTS,
    PAINTED_SLIDE_MM2,
    PAINTED_TRUTH,
)
from metastra.synthetic.painting.study_slides import plan_slides

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
SOURCE = REPOSITORY / "src" / "metastra"
PAGES = sorted([REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *DOCS.rglob("*.md")])
MODULES = sorted(
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in SOURCE.rglob("*.py")
    if path.stem != "__main__"
)
MINIMAL = """
[study]
name = "x"
[endpoint]
name = "overall-survival"
[clock]
last_contact = "T"
[[cohort]]
name = "a"
role = "development"
clini_table = "t.csv"
"""


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)


def test_printed_pages_are_fresh():
    """What is printed from the code equals what the code prints now."""
    result = subprocess.run(
        [sys.executable, str(DOCS / "print_pages.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Every relative link of a page names a file that is there."""
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())

    lost = [t for t in targets if "://" not in t and not (page.parent / t).exists()]

    assert lost == []


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    """Every example of a module gives what it shows."""
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)

    assert result.failed == 0


@pytest.mark.parametrize(
    ("page", "text"),
    [
        pytest.param(page, text, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, text in enumerate(blocks(page, "toml"))
    ],
)
def test_pieces_of_study_files_are_understood(page, text):
    """TOML in the pages holds no key that metastra does not know."""
    piece = tomllib.loads(text)
    base = tomllib.loads(MINIMAL)
    merged = {**base, **piece}

    problems = []
    try:
        parse_study(_toml(merged))
    except ValueError as error:
        problems = [p for p in getattr(error, "problems", ()) if p.code in {"ST001", "ST002"}]

    assert problems == [], page


def test_policies_of_the_pages_are_understood(tmp_path):
    """The example of surveillance policies is one that the command reads."""
    (text,) = blocks(DOCS / "how-to" / "compare-surveillance.md", "toml policies")
    (tmp_path / "policies.toml").write_text(text)

    policies = read_policies(tmp_path / "policies.toml", ("low", "high"))

    assert len(policies) == 2


def test_the_card_of_a_slide_network_in_the_page_is_one_that_is_read(tmp_path):
    """The example of `slide-vectors --pool network`."""
    (text,) = blocks(DOCS / "how-to" / "slide-vectors.md", "toml card")
    (tmp_path / "titan.toml").write_text(text)

    card = read_slide_card(tmp_path / "titan.pt")

    assert (card.name, card.inputs, card.coords) == ("titan", ("features", "coords"), "px0")


def _toml(value: dict) -> str:
    """Write plain values as TOML; inline below the top level."""
    lines = []
    for key, item in value.items():
        lines.append(f"{key} = {_inline(item)}")
    return "\n".join(lines)


def _inline(item: object) -> str:
    if isinstance(item, dict):
        return "{ " + ", ".join(f'"{k}" = {_inline(v)}' for k, v in item.items()) + " }"
    if isinstance(item, list):
        return "[" + ", ".join(_inline(v) for v in item) + "]"
    if isinstance(item, bool):
        return str(item).lower()
    return f'"{item}"' if isinstance(item, str) else str(item)


def test_every_code_that_is_raised_stands_in_the_catalogue():
    """Codes in the package are known, and no check of the catalogue is an orphan."""
    raised = set()
    for path in SOURCE.rglob("*.py"):
        raised |= set(re.findall(r'"((?:ST|CO|EP|LK|SP|EV|SL|QC|BU|PR)\d{3})"', path.read_text()))

    known = set(all_checks())
    assert raised - known == set()
    assert known - raised == set()


def test_every_check_has_a_section():
    """docs/checks.md has one heading for each code."""
    text = (DOCS / "checks.md").read_text()

    assert [code for code in all_checks() if f"### {code}\n" not in text] == []


@pytest.mark.slow
def test_the_commands_of_the_start_page_run(tmp_path):
    """A newcomer who types the page's commands gets through them."""
    files = synthetic_study(n_patients=80, seed=2)
    for name, content in files.items():
        path = tmp_path / "my-study" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    whole = (tmp_path / "my-study" / "study.toml").read_bytes()
    (tmp_path / "my-study" / "study.toml").unlink()

    commands = re.findall(r"^ *(metastra .*?)(?: +#.*)?$", (DOCS / "start.md").read_text(), re.M)
    assert len(commands) >= 5
    for command in commands:
        run = subprocess.run(
            [sys.executable, "-m", *command.split()],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, (command, run.stdout, run.stderr)
        if command.startswith("metastra init"):
            # the newcomer has looked at the guesses and corrected them
            (tmp_path / "my-study" / "study.toml").write_bytes(whole)


def test_the_readme_shows_what_the_demo_prints(tmp_path):
    """The output under `make demo`: the check's lines and the stages are those of the demo.

    Painting takes minutes; files that stand in for slides are enough for the check and a dry run.
    """
    shown = re.search(
        r"\$ make demo\n(.*?)\n\n\$ make test", (REPOSITORY / "README.md").read_text(), re.S
    )
    lines = shown.group(1).splitlines()
    study = generate(
        n_patients=PAINTED_PATIENTS, seed=1, model=PAINTED_TRUTH, plans=PAINTED_COHORTS
    )
    parts = study.parts(slides=True)
    planned = plan_slides(study, parts, slide_mm2=PAINTED_SLIDE_MM2)
    for slide in planned:
        write_bytes(tmp_path / slide.file, slide.file.encode())
    for name, content in study_files(study, parts).items():
        write_bytes(tmp_path / name, content)
    opened = open_study(tmp_path)
    dry = run_study(opened, dry_run=True)

    checked = opened.check().summary().splitlines()
    assert lines[: 2 + len(checked)] == [
        "synthetic study: demo/study.toml",
        f"painted slides: {len(planned)}",
        *checked,
    ]
    rest = lines[2 + len(checked) :]
    stages = [item.stage for item in dry.results]
    assert [line.split()[0] for line in rest[: len(stages)]] == stages
    assert all("made" in line.split()[1] for line in rest[: len(stages)])
