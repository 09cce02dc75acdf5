"""A figure's SVG made fit to stand inside an HTML page under a strict content policy.

Matplotlib writes ``style`` attributes, one style sheet for everything, and ids that repeat from
figure to figure.  Inside a page the first two would need ``unsafe-inline`` and the sheet would
reach out of the figure, so styles become presentation attributes and ids get the figure's name.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

__all__ = ["inline_svg"]

_NAMESPACE = re.compile(r"^\{[^}]*\}")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_LONG_DECIMALS = re.compile(r"(\.\d\d)\d+")
_COORDINATES = {"d", "x", "y"}
"""Written to a hundredth of a point; scales of glyphs keep all their digits."""
_INHERITED = {"stroke-linejoin": "round", "stroke-linecap": "butt"}


def inline_svg(svg: str, *, name: str, title: str, description: str) -> str:
    """Prepare a figure for a page.

    Parameters
    ----------
    svg : str
        What `metastra.report.theme.to_svg` gave.
    name : str
        Unique on the page; letters, digits and hyphens.  Starts every id inside the figure.
    title : str
        What the figure is, in a few words.
    description : str
        What it shows, for readers who do not see it.

    Returns
    -------
    str
        An ``<svg>`` element with ``role="img"``, a title and a description; without style
        attributes, style sheets, metadata, comments and foreign namespaces.

    Raises
    ------
    ValueError
        If `name` is not fit for an id.

    Examples
    --------
    >>> svg = '<svg xmlns="http://www.w3.org/2000/svg"><g id="a" style="fill: red"/></svg>'
    >>> inline_svg(svg, name="f", title="T", description="D")[-38:]
    '</desc><g id="f-a" fill="red" /></svg>'
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name):
        raise ValueError(f"{name!r} is no name for a figure; use letters, digits and hyphens")
    root = ET.fromstring(svg)  # noqa: S314 - our own output, never a file from outside
    for element in root.iter():
        element.tag = _NAMESPACE.sub("", element.tag)
        _tidy(element, name)
    _drop(root, {"metadata", "style"})
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.attrib |= {
        **_INHERITED,
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-description",
    }
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        label = ET.Element(tag, {"id": f"{name}-{'title' if tag == 'title' else 'description'}"})
        label.text = text
        root.insert(position, label)
    return ET.tostring(root, encoding="unicode", short_empty_elements=True)


def _tidy(element: ET.Element, name: str) -> None:
    """Turn styles into attributes and make ids and references to them the figure's own."""
    attributes: dict[str, str] = {}
    for key, value in element.attrib.items():
        key = _NAMESPACE.sub("", key)
        if key == "style":
            for declaration in filter(str.strip, value.split(";")):
                part, _, setting = declaration.partition(":")
                attributes[part.strip()] = setting.strip()
        else:
            value = " ".join(value.split())
            attributes[key] = _LONG_DECIMALS.sub(r"\1", value) if key in _COORDINATES else value
    for key, value in attributes.items():
        if key == "id":
            attributes[key] = f"{name}-{value}"
        elif key == "href":
            attributes[key] = f"#{name}-{value.removeprefix('#')}"
        else:
            attributes[key] = _REFERENCE.sub(rf"url(#{name}-\1)", value)
    element.attrib.clear()
    element.attrib.update(attributes)
    if not (element.text or "").strip():
        element.text = None
    element.tail = None


def _drop(element: ET.Element, tags: set[str]) -> None:
    for child in list(element):
        if child.tag in tags:
            element.remove(child)
        else:
            _drop(child, tags)
