"""Who is explained in a run: the ends of each cohort's risks."""

from __future__ import annotations

from metastra.pipeline.explain_stage import extremes
from metastra.storage import csv_bytes

HEAD = ("PATIENT", "cohort", "fold", "horizon", "risk")


def table(*rows: tuple[object, ...]) -> bytes:
    return csv_bytes(HEAD, rows)


def test_the_ends_of_each_cohort_in_the_order_of_the_study():
    """At the primary horizon, patients without a risk passed over, equal risks by their id."""
    found = extremes(
        table(
            ("a", "north", "fold-1", 24.0, 0.2),
            ("a", "north", "fold-1", 12.0, 0.99),
            ("b", "north", "fold-2", 24.0, 0.7),
            ("c", "north", "fold-1", 24.0, 0.7),
            ("d", "north", "fold-1", 24.0, None),
            ("e", "north", "fold-1", 24.0, 0.2),
            ("x", "south", None, 24.0, 0.4),
        ),
        24.0,
        ["south", "north", "east"],
    )
    said = [(one.cohort, one.which, one.key, one.inside) for one in found]
    assert said == [
        ("south", "highest", "x", False),
        ("north", "highest", "b", True),
        ("north", "lowest", "a", True),
    ]
    assert [one.risk for one in found] == [0.4, 0.7, 0.2]


def test_without_risks_there_is_nobody():
    assert extremes(table(("a", "north", None, 24.0, None)), 24.0, ["north"]) == []
