"""The report on one page: the answer first, all parts there, nothing asked of the network."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from metastra.report.extreme_patients import flipping_figure
from metastra.report.report_page import ReportPage, render_report
from report.full_report import patient


@pytest.fixture(scope="session")
def html(report) -> str:
    return render_report(report)


class Reader(HTMLParser):
    """Ids, links, addresses of pictures, headings in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.headings: list[str] = []
        self._open = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a":
            self.links.append(values["href"])
        if tag == "img":
            self.sources.append(values["src"])
            assert values["alt"]
        self._open = tag == "h2"

    def handle_data(self, data):
        if self._open:
            self.headings.append(data)
            self._open = False


def test_the_answer_comes_first_and_the_parts_in_their_order(html):
    found = Reader(html)
    assert html.index("Research use only") < html.index('class="question"')
    assert html.index('class="question"') < html.index('data-answer="')
    assert html.index('data-answer="') < html.index('id="glance"')
    wanted = [
        "Who is in, who is out and why",
        "The slides",
        "The models",
        "Calibration",
        "Risk groups",
        "Would acting on it help?",
        "Scores for which nothing is fitted",
        "The known truth",
        "Extreme patients",
        "Checks and limits",
        "What the data can and cannot show",
        "The endpoint",
        "The patients",
        "Follow-up",
        "Events over time",
        "Splits",
        "Warnings and notes",
        "Resolutions of the study file",
        "What metadata alone foretell",
        "Further notes",
        "Provenance",
    ]
    assert found.headings == wanted


def test_every_id_is_one_and_every_link_leads_somewhere(html):
    """Inside the page, or to the pages that lie beside it; nothing outside."""
    found = Reader(html)
    assert len(set(found.ids)) == len(found.ids)
    beside = {"validation.html", "validation.html#checks", "reporting.html"}
    beside.add("../contact_sheet.html")
    for link in found.links:
        assert link in beside or (link.startswith("#") and link[1:] in found.ids), link
    assert all(source.startswith("data:image/jpeg;base64,") for source in found.sources)
    assert "http" not in re.sub(r'http-equiv|xmlns="http[^"]*"', "", html)
    assert "<script" not in html
    assert "img-src data:" in html


def test_the_table_of_models_shows_the_stored_numbers(html, judged):
    """The baseline first, differences against it, all of the primary horizon."""
    table = html[
        html.index('id="table-models"') : html.index("</table>", html.index("table-models"))
    ]
    south = table[table.index("south: external") :]
    names = ("clinical", "slides", "combined")
    order = [re.search(rf'class="level">(<b>)?{name}', south).start() for name in names]
    assert order == sorted(order)
    for name in ("clinical", "slides", "combined"):
        part = judged["models"][name]["cohorts"]["south"]
        for number in (
            part["discrimination"]["harrell"],
            part["discrimination"]["uno"],
            part["discrimination"]["auc"][1],
            part["overall"]["brier"][1],
            part["overall"]["ipa"][1],
        ):
            assert f'data-estimate="{number["estimate"]}"' in south
    pairs = judged["models"]["combined"]["cohorts"]["south"]["added_value"]["differences"]
    (auc,) = [row for row in pairs if row["measure"] == "auc" and row["horizon"] == 24.0]
    assert f'data-estimate="{auc["estimate"]}"' in south
    assert south.count("primary</span>") == 1


def test_the_answer_is_of_the_cohort_that_no_model_saw(html, judged):
    n = judged["cohorts"]["south"]["n"]
    assert f"In the {n} patients of the external cohort south" in html
    assert "adding the slides to the clinical columns" in html


def test_slides_truth_and_patients_are_told(html):
    assert "Of 123 slides, 120 could be assessed, 2 could not and 1 could not be read" in html
    assert "nobody has reviewed them by eye" in html
    assert "54,321 tiles (of 70,000 on the grid)" in html
    assert "2 slides of 122: those left out first" in html
    assert "No number here says anything about real patients" in html
    assert ">0.81</span> (0.70 to 0.90)" in html
    assert "P-s001: highest risk in south, 41.0% by 24 months" in html
    assert "The map beats random order" in html
    assert "lumina per mm² +2.1 SD" in html
    assert "Not explained: no usable slide." in html


def test_a_map_that_failed_its_test_is_marked(report):
    item = patient()
    document = {**item.document, "faithfulness": {**item.document["faithfulness"]}}
    document["faithfulness"]["beats_random"] = False
    html = render_report(replace(report, patients=(replace(item, document=document),)))
    assert "The map does not beat random order: do not read it" in html
    assert "0 of 1 maps beat random order" in html
    untested = {**document, "faithfulness": {"tested": False, "reason": "5 tiles are too few"}}
    html = render_report(replace(report, patients=(replace(item, document=untested),)))
    assert "The map was not tested: 5 tiles are too few" in html
    assert flipping_figure([replace(item, document=untested)]) is None


def test_a_study_without_slides_and_without_a_model_has_its_page(report):
    """Nothing is left of what there is not, neither section nor link."""
    bare = ReportPage(cohort=report.cohort, no_model="the study declares no horizons")
    html = render_report(bare)
    found = Reader(html)
    assert "No answer." in html
    assert "Nothing could be judged: the study declares no horizons." in html
    for absent in ("The slides", "The models", "Calibration", "The known truth"):
        assert absent not in found.headings
    assert not found.sources
    assert all(link[1:] in found.ids for link in found.links)


def test_equal_reports_are_equal_bytes_and_foreign_text_is_escaped(report):
    assert render_report(report) == render_report(report)
    bad = '<img src=x onerror="alert(1)">'
    html = render_report(
        replace(report, patients=(patient(cohort=bad, note=bad),), event=bad, no_model=bad)
    )
    assert "<img src=x" not in html


def test_the_page_stays_small(html):
    assert len(html) < 1_500_000
