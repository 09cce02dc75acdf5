"""Numbers and foreign text as a reader sees them."""

from __future__ import annotations

import pytest

from metastra.report.wording import (
    count,
    interval,
    joined,
    number,
    one_line,
    percent,
    plural,
    spreadsheet_safe,
)


def test_a_missing_number_is_a_dash_and_never_a_nan():
    """None, NaN and infinity are all written as an en dash."""
    assert [number(None), number(float("nan")), percent(float("inf"))] == ["–", "–", "–"]


def test_a_negative_number_has_a_minus_sign_and_zero_has_none():
    """A hyphen would be read as a range; minus zero is zero."""
    assert [number(-1.25, 2), number(-0.001, 1)] == ["−1.25", "0.0"]


def test_an_interval_with_one_end_says_which_is_missing():
    """One limit that is not defined is a dash; two give nothing."""
    assert interval(None, 0.5, 1) == "– to 0.5"
    assert interval(None, None) == ""
    assert interval(0.05, 0.2, as_percent=True) == "5.0% to 20.0%"


def test_lists_and_counts_read_as_sentences():
    """One, two and three parts; singular and plural."""
    assert [joined([]), joined(["a"]), joined(["a", "b"]), joined(["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert [plural(1, "patient"), plural(1200, "patient")] == ["1 patient", "1,200 patients"]
    assert count(0) == "0"


def test_control_characters_and_endless_text_do_not_reach_a_page():
    """Line ends, tabs and direction-free controls become spaces; long text is cut."""
    assert one_line("a\x00b\r\n\tc\u2028d") == "a b c d"
    assert len(one_line("x" * 10_000)) == 200


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=cmd()", "'=cmd()"),
        ("+1+cmd", "'+1+cmd"),
        ("-2", "-2"),
        ("-2e5", "-2e5"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("+", "+"),
        ("pT3", "pT3"),
    ],
)
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text, shown):
    """Formulae are disarmed; numbers and the levels + and - stay as they are."""
    assert spreadsheet_safe(text) == shown
