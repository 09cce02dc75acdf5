"""The one template environment of all pages: everything is escaped, nothing is undefined."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from metastra.report import wording

__all__ = ["page_environment"]


@cache
def page_environment() -> Environment:
    """Make the environment that the templates of `metastra.report` are rendered in.

    Returns
    -------
    jinja2.Environment
        Autoescaping; an unknown name is an error; foreign text loses what a reader cannot see.
    """
    environment = Environment(
        loader=PackageLoader("metastra.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": wording.count,
        "number": wording.number,
        "one_line": wording.one_line,
        "percent": wording.percent,
        "spreadsheet_safe": wording.spreadsheet_safe,
    }
    environment.globals |= {
        "interval": wording.interval,
        "joined": wording.joined,
        "plural": wording.plural,
    }
    return environment


def _shown(value: object) -> object:
    """Prepare whatever is printed: foreign text loses what a reader cannot see."""
    return wording.printable(value) if type(value) is str else value
