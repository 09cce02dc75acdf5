"""Tasks that ask their pool."""

from __future__ import annotations

from metastra.executor import answers, ask


def sum_by_parent(payload):
    """Ask twice; say what is answered here."""
    total = ask("sum", payload["x"])
    again = ask("sum", [total, 1])
    return {"sum": again, "answers": [answers("sum"), answers("weather")]}


def unanswered(_payload):
    return ask("weather", None)
