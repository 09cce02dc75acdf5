"""The other figures: flow diagram, forest plot, bars per fold; and a figure inside a page."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from metastra.cohort.flow import CohortFlow, FlowStep
from metastra.errors import ConfigError
from metastra.report.flow_diagram import FlowDiagram
from metastra.report.fold_bars import FoldBars, FoldGroup
from metastra.report.forest_plot import ForestPlot, ForestRow
from metastra.report.svg_inline import inline_svg
from metastra.report.theme import to_png, to_svg

REASONS = (
    "Metastasis at diagnosis (M1)",
    "Event or death inside the synchronous window of 3 months",
    "Neoadjuvant treatment before surgery",
    "Second primary tumour within five years before surgery",
    "No slide of the primary tumour",
    "Died within 30 days of surgery",
    "Consent withdrawn",
    "Status missing; excluded by the study file: registry could not be reached",
)


def make_flow(name: str, role: str, n_listed: int, n_reasons: int) -> CohortFlow:
    """A cohort that loses 3i + 1 patients for reason i."""
    steps = tuple(
        FlowStep(reason=REASONS[i], stage="criterion", n=3 * i + 1) for i in range(n_reasons)
    )
    analysed = n_listed - sum(step.n for step in steps)
    return CohortFlow(
        cohort=name,
        role=role,
        n_listed=n_listed,
        steps=steps,
        n_analysed=analysed,
        n_events=40,
        n_competing=22,
        n_slides_listed=2 * n_listed,
        n_slides_used=analysed,
    )


@pytest.fixture(scope="module")
def four_cohorts() -> FlowDiagram:
    """Eight reasons, four cohorts."""
    return FlowDiagram(
        flows=(
            make_flow("north", "development", 1420, 8),
            make_flow("south", "external", 900, 6),
            make_flow("west", "external", 300, 2),
            make_flow("east", "temporal", 250, 0),
        )
    )


def _boxes_with_text(figure):
    """Each box with the extent of the texts whose middle lies inside it, in pixels."""
    renderer = figure.canvas.get_renderer()
    axes = figure.axes[0]
    texts = [text.get_window_extent(renderer) for text in axes.texts if text.get_text()]
    for box in axes.patches:
        outer = box.get_window_extent(renderer)
        inside = [
            text
            for text in texts
            if outer.y0 <= (text.y0 + text.y1) / 2 <= outer.y1
            and outer.x0 <= (text.x0 + text.x1) / 2 <= outer.x1
        ]
        yield outer, inside


def test_every_line_of_the_flow_diagram_fits_its_box(four_cohorts):
    """With eight reasons and four cohorts no text leaves its box and no box leaves the page."""
    figure = four_cohorts.plot()
    to_png(figure, dpi=100)
    page = figure.bbox

    boxes = list(_boxes_with_text(figure))

    assert len(boxes) == 4 * 4
    for outer, inside in boxes:
        assert inside
        assert page.x0 <= outer.x0 < outer.x1 <= page.x1
        assert page.y0 <= outer.y0 < outer.y1 <= page.y1
        assert all(outer.x0 - 1 <= t.x0 and t.x1 <= outer.x1 + 1 for t in inside)


def test_boxes_of_the_flow_diagram_do_not_overlap(four_cohorts):
    """Cohorts stand side by side and below each other without touching."""
    figure = four_cohorts.plot()
    to_png(figure, dpi=100)
    boxes = [outer for outer, _ in _boxes_with_text(figure)]

    for i, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[i + 1 :])


def test_the_flow_diagram_counts_every_patient(four_cohorts):
    """In the frame, listed is analysed plus every reason, for each cohort."""
    for _, part in four_cohorts.frame().groupby("cohort"):
        n = part.set_index("step")["patients"]
        assert n["listed"] == n["analysed"] + n.drop(["listed", "analysed"]).sum()
    assert "1,328 of 1,420 listed patients are analysed and 92 are not" in four_cohorts.explain()


def test_a_flow_diagram_needs_a_cohort():
    """Nothing to draw."""
    with pytest.raises(ConfigError, match="at least one cohort"):
        FlowDiagram(flows=()).plot()


def test_reasons_with_tags_and_dollars_are_text():
    """A reason is text from a study file; nothing in it is read as markup or as a formula."""
    step = FlowStep(reason='<script>alert("1")</script> $x', stage="criterion", n=1)
    flow = CohortFlow(cohort="a", role="development", n_listed=2, steps=(step,), n_analysed=1)

    svg = to_svg(FlowDiagram(flows=(flow,), counts_events=False).plot())
    inside = inline_svg(svg, name="flow", title="a </title><script>", description='"<b>')

    assert "<script" not in inside
    assert ET.fromstring(inside).find("title").text == "a </title><script>"


def _forest(**changes) -> ForestPlot:
    rows = (
        ForestRow(label="Cohort", heading=True),
        ForestRow(label="north", estimate=2.0, lower=1.0, upper=4.0, n=180, events=31, indent=1),
        ForestRow(label="south", estimate=1.4, lower=0.2, upper=25.0, n=90, events=7, indent=1),
        ForestRow(label="west", n=12, events=1, reason="fewer than two events", indent=1),
    )
    values = {"rows": rows, "quantity": "Hazard ratio", "reference": 1.0, "limits": (0.25, 10.0)}
    return ForestPlot(**(values | changes))


def test_a_forest_plot_shows_estimates_where_they_are():
    """The square stands at the estimate, the line spans the interval, on a log axis."""
    axes = _forest().plot().axes[1]

    squares = [line for line in axes.lines if line.get_marker() == "s"]
    spans = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]

    assert axes.get_xscale() == "log"
    assert [line.get_xdata()[0] for line in squares] == [2.0, 1.4]
    assert [1.0, 4.0] in [list(span) for span in spans]


def test_an_interval_that_goes_on_ends_in_an_arrow():
    """Clipped at both ends of the axis: two arrows, and the numbers are printed in full."""
    figure = _forest().plot()

    arrows = [line.get_marker() for line in figure.axes[1].lines if line.get_marker() in "<>"]

    assert arrows == ["<", ">"]
    assert "1.40 (0.20 to 25.00)" in [text.get_text() for text in figure.axes[0].texts]


def test_a_row_without_an_estimate_says_why():
    """The reason stands where the estimate would, and n and events stay."""
    texts = [text.get_text() for text in _forest().plot().axes[0].texts]

    assert {"fewer than two events", "12", "1"} <= set(texts)
    assert "Not estimable: west" in _forest().explain()
    assert _forest().frame()["label"].tolist() == ["north", "south", "west"]


def test_a_log_axis_refuses_what_it_cannot_show():
    """A difference below 0 belongs on the linear scale."""
    row = ForestRow(label="a", estimate=-0.1, lower=-0.2, upper=0.1, n=3, events=2)

    with pytest.raises(ConfigError, match="linear scale"):
        ForestPlot(rows=(row,), quantity="Difference", scale="log")
    plot = ForestPlot(rows=(row,), quantity="Difference", scale="linear", reference=0.0)
    low, high = plot.plot().axes[1].get_xlim()
    assert low <= -0.2
    assert high >= 0.1


@pytest.mark.parametrize("value", [1.0, 1e-3, 400.0])
def test_an_axis_is_found_for_any_single_value(value):
    """Also where all numbers are the same."""
    row = ForestRow(label="a", estimate=value, lower=value, upper=value, n=1, events=1)

    for scale in ("log", "linear"):
        low, high = ForestPlot(rows=(row,), quantity="x", scale=scale).plot().axes[1].get_xlim()
        assert low <= value <= high
        assert low < high


def test_a_forest_plot_without_any_estimate_is_drawn():
    """Every row says why."""
    row = ForestRow(label="a", reason="no events", n=3, events=0)

    assert to_svg(ForestPlot(rows=(row,), quantity="x").plot())


def test_bars_add_up_to_the_events_of_the_fold():
    """Groups beyond the sixth are drawn together; the top of each bar is the fold's events."""
    parts = tuple(
        FoldGroup(fold=f"fold-{f}", group=f"site {g}", n=9, events=(f * g) % 4)
        for f in range(3)
        for g in range(9)
    )
    bars = FoldBars(parts=parts)

    axes = bars.plot().axes[0]
    tops = [0.0, 0.0, 0.0]
    for box in axes.patches:
        fold = round(box.get_x() + box.get_width() / 2)
        assert box.get_y() == tops[fold]
        tops[fold] += box.get_height()

    assert tops == bars.frame().groupby("fold")["events"].sum().tolist()
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert len(labels) == 6
    assert labels[-1] == "other groups"


def test_a_fold_without_events_is_named():
    """The paragraph says what it means."""
    parts = (
        FoldGroup(fold="a", group="x", n=5, events=0),
        FoldGroup(fold="b", group="x", n=5, events=4),
    )

    assert "A fold without an event has no concordance" in FoldBars(parts=parts).explain()
    with pytest.raises(ConfigError, match="at least one fold"):
        FoldBars(parts=())


def test_a_figure_inside_a_page_has_no_styles_and_its_own_ids(four_cohorts):
    """No style attribute, no style sheet, no comment; every reference points inside the figure."""
    svg = inline_svg(to_svg(four_cohorts.plot()), name="f-flow", title="T", description="D")

    ids = re.findall(r' id="([^"]+)"', svg)
    references = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)

    assert "style" not in svg
    assert "<!--" not in svg
    assert "metadata" not in svg
    assert len(ids) == len(set(ids))
    assert all(name.startswith("f-flow-") for name in ids)
    assert {a or b for a, b in references} <= set(ids)
    assert references


def test_a_figure_keeps_its_look_inside_a_page():
    """Styles that became attributes keep their values; only coordinates are shortened."""
    bars = FoldBars(parts=(FoldGroup(fold="a", group="x", n=5, events=2),))
    svg = to_svg(bars.plot())

    inside = inline_svg(svg, name="b", title="T", description="D")

    for declaration in ("fill: #0b2545", "stroke-width: 0.7"):
        name, value = declaration.split(": ")
        assert declaration in svg
        assert f'{name}="{value}"' in inside
    assert "scale(0.015625)" in inside


@pytest.mark.parametrize("name", ["", "1a", 'a"b', "a b"])
def test_a_figures_name_is_fit_for_an_id(name):
    """The name is written into attributes; anything unusual is refused."""
    with pytest.raises(ValueError, match="no name for a figure"):
        inline_svg("<svg/>", name=name, title="T", description="D")
