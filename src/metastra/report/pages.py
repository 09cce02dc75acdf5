"""The one template environment of all pages: everything is escaped, nothing is undefined."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from metastra.report import wording

__all__ = ["page_environment", "render_page"]


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


def render_page(
    template: str, *, pictures: bool = False, label: str = wording.RESEARCH_USE, **context: Any
) -> str:
    """Render a page with the house's style sheet under a policy that lets nothing else in.

    Parameters
    ----------
    template : str
        Name of a template that extends ``page.html``.
    pictures : bool
        Whether the page shows pictures that stand inside it (``data:``).
    label : str
        Stands on every screen and every printed sheet.
    **context
        What it prints.

    Returns
    -------
    str
        A whole HTML document that opens offline and runs nothing.

    Raises
    ------
    RuntimeError
        When the templates are not where the package keeps them.
    """
    environment = page_environment()
    if environment.loader is None:
        raise RuntimeError("the page templates are not where the package keeps them")
    sheet = environment.loader.get_source(environment, "page.css")[0].strip()
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    return environment.get_template(template).render(
        label=label,
        style=Markup(sheet),  # noqa: S704 - our own file, named by its digest in the policy
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; "
        + ("img-src data:; " if pictures else "")
        + "base-uri 'none'; form-action 'none'",
        **context,
    )


def _shown(value: object) -> object:
    """Prepare whatever is printed: foreign text loses what a reader cannot see."""
    return wording.printable(value) if type(value) is str else value
