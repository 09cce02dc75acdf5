"""Foreign text inside figures."""

from __future__ import annotations

import pytest

from metastra.report.lettering import drawable, width_pt, wrapped


@pytest.mark.parametrize("text", ["中文", "𝔘𝔫", "a\x00b", "line\nend", "نص", "\ud83d\ude00"])
def test_any_text_can_be_drawn(text):
    """Characters that the font lacks become boxes, so matplotlib has nothing to warn about."""
    from metastra.report.theme import new_figure, theme, to_png

    with theme():
        figure = new_figure(width_mm=60, height_mm=20)
        figure.text(0, 0, drawable(text))

    assert to_png(figure).startswith(b"\x89PNG")


def test_wrapped_lines_fit_their_box():
    """No line is wider than the box, also where one word is."""
    text = "follow-up ended Donaudampfschifffahrtsgesellschaftskapitän by surgery + 3 months"

    lines = wrapped(text, 8.0, 60.0, most_lines=20)

    assert all(width_pt(line, 8.0) <= 60.0 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_too_many_lines_end_in_an_ellipsis():
    """What does not fit is cut visibly."""
    lines = wrapped("one two three four five six", 8.0, 30.0, most_lines=2)

    assert len(lines) == 2
    assert lines[-1].endswith("…")
    assert width_pt(lines[-1], 8.0) <= 30.0


def test_empty_text_is_one_empty_line():
    """A group without a name still has its row."""
    assert wrapped("", 8.0, 30.0) == [""]
