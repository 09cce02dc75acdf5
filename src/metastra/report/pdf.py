"""A page as PDF, from the same source as the HTML: nothing is fetched, equal pages equal bytes."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any

from metastra.errors import ConfigError, MissingExtra
from metastra.report.wording import RESEARCH_USE

__all__ = ["page_pdf"]

_WHAT_FOR = "writing a PDF"
_SCHEME = "metastra-font:"
_FONTS = {
    "DejaVuSans.ttf": ("metastra-sans", "normal", "normal"),
    "DejaVuSans-Bold.ttf": ("metastra-sans", "bold", "normal"),
    "DejaVuSans-Oblique.ttf": ("metastra-sans", "normal", "italic"),
    "DejaVuSansMono.ttf": ("metastra-mono", "normal", "normal"),
}
"""The fonts that matplotlib brings, so that a PDF looks the same on every machine."""

_SHEET = """
%(faces)s
@page { size: A4; margin: 14mm 15mm 18mm;
  @bottom-left { content: "%(label)s"; font: 7pt metastra-sans; }
  @bottom-center { content: "%(identity)s"; font: 7pt metastra-sans; }
  @bottom-right { content: counter(page) " / " counter(pages); font: 7pt metastra-sans; } }
html { font: 9pt/1.42 metastra-sans; }
code { font: 8pt metastra-mono; }
body { display: block; }
.label, .skip, nav, .print-label { display: none; }
.sheet, main { display: block; max-width: none; padding: 0; }
p, li, dd, caption, figcaption { max-width: none; }
.scroll { overflow: visible; }
table { font-size: 7.6pt; width: auto; max-width: 100%%; }
th, td { padding-right: 3.2mm; }
.num { white-space: normal; }
#glance td { white-space: normal; }
figure svg { width: 100%%; max-width: 170mm; }
figure.narrow svg { max-width: 95mm; }
dl.facts { display: block; }
dl.facts dt { float: left; clear: left; margin-right: 3mm; }
summary { display: none; }
details > * { display: block; }
details > table, details .scroll > table { display: table; }
"""


def page_pdf(html: str) -> bytes:
    """Turn a page into a PDF.

    Parameters
    ----------
    html : str
        What `metastra.report.evaluation_page.render_evaluation_page` or a neighbour wrote: one
        document with its style and its figures inside.

    Returns
    -------
    bytes
        A4; on every sheet the research-use line, an identity made of the page's content, and the
        number of the sheet.  No date: equal pages give equal bytes.

    Raises
    ------
    MissingExtra
        When WeasyPrint is not installed.
    ConfigError
        When the libraries that it draws with are missing from the system.

    Notes
    -----
    Every address but the fonts of the package is refused, ``file:`` included.
    """
    try:
        import weasyprint
        from weasyprint.urls import URLFetcher, URLFetcherResponse
    except ImportError as error:
        raise MissingExtra("weasyprint", extra="pdf", what_for=_WHAT_FOR) from error
    except OSError as error:
        raise ConfigError(
            f"{_WHAT_FOR} needs Pango, which is missing from the system ({error}); on Debian: "
            "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
        ) from error

    class Fetcher(URLFetcher):  # type: ignore[misc,unused-ignore]
        """Gives the package's fonts and refuses everything else."""

        def fetch(self, url: str, headers: Any = None) -> Any:
            """Answer one request."""
            del headers
            name = url.removeprefix(_SCHEME)
            if url.startswith(_SCHEME) and name in _FONTS:
                kind = {"Content-Type": "font/ttf"}
                return URLFetcherResponse(url, body=_font(name), headers=kind)
            raise ValueError("a report asks for nothing outside itself")

    digest = hashlib.sha256(html.encode()).hexdigest()
    head, end, rest = html.partition("</style>")
    page = weasyprint.HTML(string=f"{head}{_sheet(digest)}{end}{rest}", url_fetcher=Fetcher())
    return bytes(page.write_pdf(pdf_identifier=digest[:32].encode()))


def _sheet(digest: str) -> str:
    faces = "\n".join(
        f'@font-face {{ font-family: "{family}"; font-weight: {weight}; font-style: {style}; '
        f'src: url("{_SCHEME}{name}"); }}'
        for name, (family, weight, style) in _FONTS.items()
    )
    identity = f"page sha256:{digest[:16]}"
    return _SHEET % {"faces": faces, "label": RESEARCH_USE, "identity": identity}


def _font(name: str) -> bytes:
    folder = resources.files("matplotlib") / "mpl-data" / "fonts" / "ttf"
    return (folder / name).read_bytes()
