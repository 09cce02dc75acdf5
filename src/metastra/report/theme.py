"""One look for all figures: legible in grey print, the same bytes on every run.

Lines differ by lightness, dash pattern and marker, bars by hatch, so that no reader depends on
colour.  Figures are made without pyplot and without changing matplotlib's settings for others.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from metastra.errors import ConfigError

__all__ = [
    "FAINT",
    "INK",
    "MM",
    "RULE",
    "STYLES",
    "TEXT_PT",
    "GroupStyle",
    "new_figure",
    "styles_for",
    "theme",
    "to_png",
    "to_svg",
]

MM = 1.0 / 25.4
"""One millimetre in inches; journals give widths in millimetres."""
INK = "#1a1a1a"
"""Text and axes."""
FAINT = "#6b6b6b"
"""Secondary text; 5.3:1 on white."""
RULE = "#c8c8c8"
"""Guides and box edges that carry no number."""
TEXT_PT = 8.0
"""Body size; the smallest text of a figure is one point less."""


@dataclass(frozen=True, kw_only=True)
class GroupStyle:
    """How one group is drawn.

    Parameters
    ----------
    colour : str
        Hexadecimal; at least 3:1 on white.
    dashes : tuple of float
        Dash pattern in line widths; empty for a solid line.
    marker : str
        Matplotlib's name of the marker.
    hatch : str
        Pattern of bars.
    """

    colour: str
    dashes: tuple[float, ...]
    marker: str
    hatch: str

    @property
    def line(self) -> Any:
        """The dash pattern as matplotlib's ``linestyle``."""
        return (0, self.dashes) if self.dashes else "solid"


STYLES: tuple[GroupStyle, ...] = (
    GroupStyle(colour="#0b2545", dashes=(), marker="o", hatch=""),
    GroupStyle(colour="#c87600", dashes=(5.0, 1.8), marker="s", hatch="///"),
    GroupStyle(colour="#8c2219", dashes=(1.2, 1.4), marker="^", hatch=".."),
    GroupStyle(colour="#177583", dashes=(6.0, 1.6, 1.2, 1.6), marker="D", hatch="\\\\\\"),
    GroupStyle(colour="#5b3a8e", dashes=(9.0, 2.5), marker="v", hatch="xx"),
    GroupStyle(colour="#777777", dashes=(3.0, 1.2, 1.0, 1.2, 1.0, 1.2), marker="P", hatch="--"),
)
"""In the order in which groups take them."""

_SETTINGS: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": TEXT_PT,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": TEXT_PT + 1,
    "axes.titleweight": "bold",
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "font.family": ["DejaVu Sans"],
    "font.size": TEXT_PT,
    "hatch.linewidth": 0.6,
    "legend.fontsize": TEXT_PT,
    "legend.frameon": False,
    "legend.handlelength": 3.2,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.0,
    "path.simplify": False,
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "metastra",
    "svg.image_inline": True,
    # Names of patients' tables may hold dollar signs; they are text, not formulae.
    "text.parse_math": False,
    "text.color": INK,
    "text.usetex": False,
    "xtick.color": INK,
    "xtick.labelsize": TEXT_PT,
    "xtick.major.width": 0.7,
    "ytick.color": INK,
    "ytick.labelsize": TEXT_PT,
    "ytick.major.width": 0.7,
}


@contextmanager
def theme() -> Iterator[None]:
    """Put the look in force for a block; matplotlib's settings are afterwards as before.

    Starts from matplotlib's own defaults, so a user's ``matplotlibrc`` changes nothing.

    Yields
    ------
    None
        Nothing; draw inside the block.

    Examples
    --------
    >>> import matplotlib as mpl
    >>> before = dict(mpl.rcParams)
    >>> with theme():
    ...     mpl.rcParams["font.family"]
    ['DejaVu Sans']
    >>> dict(mpl.rcParams) == before
    True
    """
    with style.context(["default", _SETTINGS]):
        yield


def new_figure(*, width_mm: float = 170.0, height_mm: float = 100.0) -> Figure:
    """Make an empty figure; call it inside `theme`.

    Parameters
    ----------
    width_mm, height_mm : float
        Size in millimetres; 170 is the double column of most journals.

    Returns
    -------
    matplotlib.figure.Figure
        Without pyplot, so it is freed like any other object.

    Examples
    --------
    >>> with theme():
    ...     figure = new_figure(width_mm=25.4, height_mm=50.8)
    >>> figure.get_size_inches().round(2).tolist()
    [1.0, 2.0]
    """
    return Figure(figsize=(width_mm * MM, height_mm * MM))


def styles_for(n_groups: int) -> tuple[GroupStyle, ...]:
    """Give each group its style.

    Parameters
    ----------
    n_groups : int
        At most as many as there are styles.

    Returns
    -------
    tuple of GroupStyle
        One for each group.

    Raises
    ------
    ConfigError
        If there are more groups than styles that can be told apart.

    Examples
    --------
    >>> [style.marker for style in styles_for(2)]
    ['o', 's']
    """
    if n_groups > len(STYLES):
        raise ConfigError(
            f"{n_groups} groups in one figure; at most {len(STYLES)} can be told apart in grey "
            "print: draw several figures, or pool groups"
        )
    return STYLES[:n_groups]


def to_svg(figure: Figure) -> str:
    """Write a figure as SVG; equal figures give equal text.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What ``.plot()`` gave.

    Returns
    -------
    str
        SVG 1.1 with text as outlines, without date and program version.

    Examples
    --------
    >>> to_svg(new_figure()) == to_svg(new_figure())
    True
    """
    buffer = io.BytesIO()
    before = figure.dpi  # the writer sets it to 72
    with theme():
        canvas = FigureCanvasSVG(figure)
        canvas.print_svg(buffer, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    figure.set_dpi(before)
    return buffer.getvalue().decode("utf-8")


def to_png(figure: Figure, *, dpi: float = 200.0) -> bytes:
    """Write a figure as PNG; equal figures give equal bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What ``.plot()`` gave.
    dpi : float
        Pixels per inch.

    Returns
    -------
    bytes
        Of the file, without program version.

    Examples
    --------
    >>> to_png(new_figure())[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    before = figure.dpi
    with theme():
        canvas = FigureCanvasAgg(figure)
        figure.set_dpi(dpi)
        canvas.print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]
    figure.set_dpi(before)
    return buffer.getvalue()
