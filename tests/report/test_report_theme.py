"""The look of all figures: grey print, fonts, determinism, no global state."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import font_manager

from metastra.errors import ConfigError
from metastra.report.curves import MOST_GROUPS
from metastra.report.theme import STYLES, new_figure, styles_for, theme, to_png, to_svg


def _luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _lightness(colour: str) -> float:
    """CIE L* under D65."""
    return 116 * _luminance(colour) ** (1 / 3) - 16


def _figure():
    with theme():
        figure = new_figure(width_mm=80, height_mm=50)
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], label="a $x$ <b>")
        axes.fill_between([0, 1], [0, 1], [1, 2], alpha=0.2, hatch="//")
        axes.legend()
    return figure


def test_every_colour_can_be_seen_on_white():
    """Contrast of at least 3:1, which WCAG 2.2 (1.4.11) asks of graphics."""
    assert all(1.05 / (_luminance(style.colour) + 0.05) >= 3.0 for style in STYLES)


def test_the_first_four_groups_differ_in_lightness():
    """In grey print any two of four cohorts are at least 10 L* apart."""
    lightness = sorted(_lightness(style.colour) for style in STYLES[:4])

    assert min(np.diff(lightness)) >= 9.9


def test_groups_differ_in_more_than_colour():
    """Dash pattern, marker and hatch are each unique, so grey print and colour blindness do."""
    for feature in ("dashes", "marker", "hatch"):
        assert len({getattr(style, feature) for style in STYLES}) == len(STYLES)


def test_more_groups_than_styles_are_refused():
    """A seventh group would repeat a style."""
    assert len(STYLES) == MOST_GROUPS
    with pytest.raises(ConfigError, match="told apart"):
        styles_for(MOST_GROUPS + 1)


def test_the_same_figure_gives_the_same_bytes():
    """SVG and PNG carry no date, no random ids and no program version."""
    assert to_svg(_figure()) == to_svg(_figure())
    assert to_png(_figure()) == to_png(_figure())
    svg = to_svg(_figure())
    assert "dc:date" not in svg
    assert "atplotlib v" not in svg


def test_writing_a_figure_leaves_it_and_matplotlib_as_they_were():
    """The resolution of the figure and all settings are afterwards as before."""
    before, figure = dict(mpl.rcParams), _figure()
    dpi = figure.dpi

    to_png(figure, dpi=300)
    to_svg(figure)

    assert figure.dpi == dpi
    assert dict(mpl.rcParams) == before


def test_a_users_own_settings_do_not_change_a_figure():
    """A matplotlibrc with other sizes and colours gives the same bytes."""
    plain = to_svg(_figure())

    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "path.sketch": (1, 2, 3)}):
        styled = to_svg(_figure())

    assert styled == plain


def test_the_font_is_the_one_that_comes_with_matplotlib():
    """Figures look the same on machines with other fonts."""
    with theme():
        found = font_manager.findfont(font_manager.FontProperties())

    assert found.startswith(mpl.get_data_path())
    assert found.endswith("DejaVuSans.ttf")


def test_dollar_signs_are_text():
    """A name with two dollar signs is not read as a formula."""
    with theme():
        figure = new_figure()
        figure.text(0.5, 0.5, r"cost $\frac{$ and $x$")

    assert to_svg(figure).startswith("<?xml")


def test_the_report_package_is_light_until_something_is_drawn():
    """Importing the package, or the plain page, loads neither matplotlib nor jinja2."""
    code = (
        "import sys, metastra.report, metastra.report.check_page\n"
        "assert 'matplotlib' not in sys.modules and 'jinja2' not in sys.modules\n"
        "import metastra.report.cohort_html\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )

    assert result.returncode == 0, result.stderr
