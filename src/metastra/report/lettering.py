"""Foreign text inside figures: what the font can draw, how wide it is, where it breaks."""

from __future__ import annotations

from functools import cache

from matplotlib import font_manager
from matplotlib.textpath import text_to_path

from metastra.report.wording import one_line

__all__ = ["drawable", "width_pt", "wrapped"]

_FAMILY = "DejaVu Sans"
_BOX = "□"


def drawable(text: str, longest: int = 200) -> str:
    r"""Make foreign text fit for a figure.

    Parameters
    ----------
    text : str
        A name, a category or a reason from a study.
    longest : int
        Characters that are kept.

    Returns
    -------
    str
        One line; characters that the bundled font lacks are boxes.  The full text stands in the
        figure's table.

    Examples
    --------
    >>> drawable("stage\nIII"), drawable("中")
    ('stage III', '□')
    """
    has = _font().get_char_index
    return "".join(c if c == " " or has(ord(c)) else _BOX for c in one_line(text, longest))


def width_pt(text: str, size_pt: float, *, bold: bool = False) -> float:
    """Measure text as the figure will draw it.

    Parameters
    ----------
    text : str
        One line of drawable text.
    size_pt : float
        Font size.
    bold : bool
        Weight.

    Returns
    -------
    float
        Width in points.

    Examples
    --------
    >>> width_pt("mm", 8.0) > width_pt("ii", 8.0)
    True
    """
    if not text:
        return 0.0
    font = font_manager.FontProperties(
        family=_FAMILY, size=size_pt, weight="bold" if bold else "normal"
    )
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def wrapped(text: str, size_pt: float, room_pt: float, *, most_lines: int = 4) -> list[str]:
    """Break text into lines that fit a width.

    Parameters
    ----------
    text : str
        One line of drawable text.
    size_pt : float
        Font size.
    room_pt : float
        Width of the box in points.
    most_lines : int
        What does not fit into so many lines is cut, with an ellipsis.

    Returns
    -------
    list of str
        At least one line; words longer than the box are broken.

    Examples
    --------
    >>> wrapped("lost to follow-up", 8.0, 60.0)
    ['lost to', 'follow-up']
    """
    lines = [""]
    for word in text.split():
        candidate = f"{lines[-1]} {word}".strip()
        if width_pt(candidate, size_pt) <= room_pt:
            lines[-1] = candidate
            continue
        pieces = _pieces(word, size_pt, room_pt)
        lines = [*lines, *pieces] if lines[-1] else [*lines[:-1], *pieces]
    if len(lines) > most_lines:
        last = lines[most_lines - 1]
        while last and width_pt(f"{last}…", size_pt) > room_pt:
            last = last[:-1]
        lines = [*lines[: most_lines - 1], f"{last}…"]
    return lines


def _pieces(word: str, size_pt: float, room_pt: float) -> list[str]:
    """Break one word that may be wider than the box."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and width_pt(pieces[-1] + letter, size_pt) > room_pt:
            pieces.append(letter)
        else:
            pieces[-1] += letter
    return pieces


@cache
def _font() -> font_manager.FT2Font:  # type: ignore[name-defined,unused-ignore]
    return font_manager.get_font(font_manager.findfont(_FAMILY))
