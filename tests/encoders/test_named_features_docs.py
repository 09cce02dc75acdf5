"""Examples of the pages about features and nuclei give what they show."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("page", ["explanation/named-features.md", "reference/nuclei.md"])
def test_examples_of_the_page_run(page):
    """Every prompt of a page is run."""
    result = doctest.testfile(str(DOCS / page), module_relative=False, encoding="utf-8")

    assert result.attempted > 3
    assert result.failed == 0
