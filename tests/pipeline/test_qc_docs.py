"""The pages about quality say what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from metastra.pipeline.qc_review import read_review
from metastra.pipeline.qc_table import COLUMNS
from metastra.tissue.rules import CODES, SLIDE_RULES, TILE_RULES
from tissue.tissue_pictures import glass, tissue_density, with_tissue

DOCS = Path(__file__).resolve().parents[2] / "docs"
REFERENCE = (DOCS / "reference" / "quality.md").read_text(encoding="utf-8")
HOW_TO = (DOCS / "how-to" / "check-slide-quality.md").read_text(encoding="utf-8")


def test_every_column_is_described():
    """Each column of the table stands in the reference, and no other does."""
    section = REFERENCE.split("## The table `qc.csv`")[1].split("\n## ")[0]
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(COLUMNS)


@pytest.mark.parametrize("measure", SLIDE_RULES)
def test_thresholds_are_those_of_the_rules(measure):
    """The limit and the code in the row of each measure."""
    section = REFERENCE.split("## Maps")[1].split("\n## ")[0]
    (row,) = [line for line in section.splitlines() if line.startswith(f"| {measure} |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[3].startswith(f"{100 * SLIDE_RULES[measure]:g} %")
    tile = getattr(TILE_RULES, f"most_{measure}", None)
    assert cells[4].startswith("never" if tile is None else f"{100 * tile:g} %")
    assert cells[5] == CODES[measure]


def test_the_example_of_a_review_is_read(tmp_path):
    (text,) = re.findall(r"```\n(SLIDE,.*?)```", HOW_TO, flags=re.DOTALL)
    path = tmp_path / "qc_review.csv"
    path.write_text(text)
    assert [decision.override for decision in read_review(path)] == [True, False]


def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    """On a drawn slide in the place that it names."""
    (program,) = re.findall(r"```python\n(.*?)```", HOW_TO, flags=re.DOTALL)
    (tmp_path / "slides").mkdir()
    picture = with_tissue(glass(500, 900), tissue_density(448, 448, 1.0), 0, 0)
    Image.fromarray(picture).save(tmp_path / "slides" / "a.png")
    monkeypatch.chdir(tmp_path)
    exec(program.replace("a.svs", "a.png"), {})
    assert capsys.readouterr().out.endswith("['' 'QC001']\n")
