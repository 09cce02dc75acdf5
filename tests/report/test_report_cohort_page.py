"""The page of a cohort: what it says, that it says nothing else, and that nothing gets into it."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from metastra.catalogue import problem
from metastra.cohort.flow import FlowStep
from metastra.errors import Severity, Where
from metastra.report.cohort_html import render_cohort_page, write_cohort_page
from metastra.report.cohort_page_build import cohort_page_from
from metastra.report.fold_bars import FoldGroup
from metastra.report.page_parts import AppliedResolution, PageSettings, SplitFold, SplitSummary
from metastra.storage.encode import json_bytes

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Elements of a page: tags, attributes, the text of each table with its data-json."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.cells: list[tuple[str, str]] = []
        self.open: list[str] = []
        self._table, self._cell = "", None
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self._table = dict(attrs).get("data-json", "")
        if tag in ("td", "th"):
            self._cell = []

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"{tag} closes nothing"
        if tag in ("td", "th"):
            self.cells.append((self._table, "".join(self._cell)))
            self._cell = None

    def handle_data(self, data):
        if "style" not in self.open and "desc" not in self.open:
            self.text.append(data)
        if self._cell is not None:
            self._cell.append(data)


@pytest.fixture(scope="module")
def html(page) -> str:
    """The full page."""
    return render_cohort_page(page)


def _numbers_in(value) -> list[float]:
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, int | float):
        return [float(value)]
    if isinstance(value, str):
        return [float(part) for part in re.findall(r"\d+(?:\.\d+)?", value)]
    parts = value.values() if isinstance(value, dict) else value
    return [number for part in parts for number in _numbers_in(part)]


def _unexplained(html: str, json: dict) -> list[str]:
    """Numbers in the key tables that are no rounding of a number in the JSON they name."""
    wrong = []
    for sections, text in Page(html).cells:
        if not sections:
            continue
        known = np.array(
            _numbers_in([json["study"]["horizons"]] + [json[s] for s in sections.split()])
        )
        for token in re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?%?", text):
            digits = token.rstrip("%").replace(",", "")
            scale = 100.0 if token.endswith("%") else 1.0
            half = 0.5 * 10.0 ** -len(digits.partition(".")[2]) + 1e-9
            if not (abs(known * scale - float(digits)) <= half).any():
                wrong.append(f"{sections}: {token} in {text!r}")
    return wrong


def test_every_number_in_the_tables_is_in_the_json(html, page):
    """The page prints `to_json` and computes nothing of its own."""
    cells = [text for sections, text in Page(html).cells if sections]

    assert _unexplained(html, page.to_json()) == []
    assert sum(bool(re.search(r"\d", text)) for text in cells) > 200


def test_the_check_of_numbers_sees_a_wrong_one(html, page):
    """One digit changed in one table is found."""
    row = next(item for item in page.follow_up if item.cohort == "north" and not item.site)
    shown = f"{100 * row.at[1].risk:.1f}%"
    assert shown in html

    assert _unexplained(html.replace(shown, "98.7%"), page.to_json()) != []


def test_every_table_of_numbers_names_its_json(html):
    """Only the digests at the foot have no section."""
    bare = [text for sections, text in Page(html).cells if not sections]

    assert all(re.fullmatch(r"Table|SHA-256|\w+/\w+|[0-9a-f]{64}", text) for text in bare)


def test_the_json_is_strict(page):
    """No NaN, no infinity, only plain values."""
    assert json_bytes(page.to_json()).startswith(b"{")


def test_the_same_inputs_give_the_same_bytes(build_page, html):
    """Built and rendered anew from a new cohort: equal to the byte."""
    assert render_cohort_page(build_page()) == html


def test_a_date_stands_on_the_page_only_where_one_is_given(study, html):
    """Without `made_at` nothing on the page depends on the day."""
    dated = render_cohort_page(cohort_page_from(None, study=study, made_at="2026-11-21 10:00"))

    assert "2026-11-21 10:00" in dated
    assert "made" not in re.search(r"<footer>.*</footer>", html, re.DOTALL).group()


def test_the_label_stands_on_the_screen_and_on_every_sheet(html):
    """Once at the top, once in the part that repeats in print, once at the foot."""
    label = "Research use only. Not for diagnosis or treatment."

    assert "".join(Page(html).text).count(label) == 3
    assert re.search(r'class="print-label"[^>]*><span>' + re.escape(label), html)


def test_the_page_asks_for_nothing_and_runs_nothing(html):
    """No script, no handler, no source, no address of another place, no frame, no form."""
    parsed = Page(html)

    assert not {"script", "iframe", "object", "embed", "form", "link", "base", "img"} & set(
        parsed.tags
    )
    assert not [a for a in parsed.attributes if a[1].startswith("on") or a[1] in ("src", "srcset")]
    assert not re.search(r"https?://|//\w|@import|javascript:", html)
    links = [value for _, name, value in parsed.attributes if name == "href"]
    assert all(link.startswith(("#", "docs/checks.md#")) for link in links)


def test_the_policy_allows_the_one_style_sheet_and_nothing_else(html):
    """The digest in the policy is the sheet's; no style attribute needs more."""
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html).group(1)
    sheet = re.search(r"<style>(.*?)</style>", html, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()

    policy = policy.replace("&#39;", "'")
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert not [a for a in Page(html).attributes if a[1] == "style"]
    assert html.count("<style") == 1


def test_ids_are_unique_and_links_within_the_page_lead_somewhere(html):
    """Figures do not share ids; every anchor exists."""
    parsed = Page(html)
    ids = [value for _, name, value in parsed.attributes if name == "id"]
    inside = [v[1:] for _, name, v in parsed.attributes if name == "href" and v.startswith("#")]
    named = [v for _, name, v in parsed.attributes if name == "aria-labelledby"]

    assert len(ids) == len(set(ids))
    assert set(inside) <= set(ids)
    assert {part for value in named for part in value.split()} <= set(ids)


def test_every_figure_has_words_and_numbers(html):
    """A title and a description for readers who do not see it, and a table under it."""
    figures = re.findall(r"<figure.*?</figure>", html, re.DOTALL)

    assert len(figures) == 6
    for number, figure in enumerate(figures, start=1):
        assert re.search(r'role="img" aria-labelledby="[\w-]+ [\w-]+"', figure)
        assert re.search(r"<title [^>]*>[^<]{10,}</title><desc [^>]*>[^<]{40,}</desc>", figure)
        assert re.search(r"<details>.*<table.*</details>", figure, re.DOTALL)
        assert f"<b>Figure {number}.</b>" in figure


def test_no_study_id_reaches_the_page(html, page):
    """Pseudonyms only: neither ids nor slide names, in the page and in its JSON."""
    assert "STUDYID" not in html
    assert b"STUDYID" not in json_bytes(page.to_json())
    assert "P-n012" in html


def test_the_page_says_what_was_promised(html):
    """Question, endpoint, time zero, window, horizons, codes."""
    text = " ".join(" ".join(Page(html).text).split())

    assert (
        "How well do tissue slides and the clinical columns age, pT, side, CEA and lymphatic "
        "invasion predict the risk of metachronous liver metastasis by 24 months, developed in "
        "north and tested in south (external validation)?"
    ) in text
    assert "a relapse elsewhere does not end follow-up" in text
    assert "12, 24 and 36 months; 24 months decides" in text
    assert "Time zero 3 months after surgery" in text
    assert "0 censored, 1 event, 2 competing" in text.replace(" ,", ",")


def test_problems_are_grouped_with_their_remedies(html):
    """Warnings before notes; each code once with a link, its place and what to do."""
    section = re.search(r'<h2 id="problems">.*?</section>', html, re.DOTALL).group()
    links = re.findall(r'<a href="docs/checks.md#(\w+)"><code>(\w+)</code></a>', section)

    # The list's headings are the codes, and anchors of headings are in small letters.
    codes = ("EP015", "LK003", "CO039", "EP018")
    assert links == [(code.lower(), code) for code in codes]
    assert "rows 14, 15, 88, 90" in section
    assert "4 patients: P-n012, P-n013, P-n086, P-n088" in section
    assert "Check the source; merge, exclude or accept the pair in the study file." in section


def test_long_lists_are_cut_with_the_number_of_the_rest(html):
    """Twenty rows for each problem, and how many more; the JSON has all."""
    assert "rows 2, 4, 6" in html
    assert "38, 40 and 16 more" in html
    many = [
        problem("CO030", f"cell {i} is not a number", where=Where(file="a.csv", rows=(i,)))
        for i in range(2, 2002)
    ]

    page = cohort_page_from(None, problems=many, settings=PageSettings(most_problems=50))
    cut = render_cohort_page(page)

    assert "cell 51 is not" in cut
    assert "cell 52 is not" not in cut
    assert "and 1,950 more of this code" in cut
    assert page.to_json()["problems"][0]["n"] == 2000


def test_a_refused_study_shows_its_problems_and_no_numbers(study):
    """Without a cohort there is the promise and the list, with the refusal on top."""
    refused = cohort_page_from(
        None,
        study=study,
        problems=[
            problem("CO011", "patient P-n003 occurs twice", where=Where(file="n.csv", rows=(5, 9))),
            problem("EP015", "41 events"),
        ],
    )

    html = render_cohort_page(refused)
    text = " ".join("".join(Page(html).text).split())

    assert refused.refused
    assert "✕ The data are refused. 1 problem must be mended" in text
    assert "there is also 1 warning" in text
    assert "<figure" not in html
    assert text.index("Patient occurs twice") < text.index("Time zero")


def test_a_study_file_that_cannot_be_read_has_a_page_too():
    """Only the problems are known."""
    html = render_cohort_page(
        cohort_page_from(None, problems=[problem("ST004", "line 3: expected =")])
    )

    assert "Study file is not valid TOML" in html
    assert "line 3: expected =" in html


def test_a_problem_with_an_unknown_code_is_shown():
    """A code of a newer catalogue has no title, but is not lost."""
    unknown = replace(problem("CO010", "something new"), code="ZZ999", severity=Severity.WARN)

    html = render_cohort_page(cohort_page_from(None, problems=[unknown]))

    assert "docs/checks.md#zz999" in html
    assert "something new" in html


def test_no_problem_at_all_is_said(study):
    """An empty list could be a forgotten one."""
    html = render_cohort_page(cohort_page_from(None, study=study))
    text = " ".join("".join(Page(html).text).split())

    assert "✓ The data are accepted without warnings." in text
    assert "Warnings and notes None." in text


ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "=cmd()|' /C calc'!A0",
    "@SUM(1+1)",
    "{{ 7 * 7 }}{% raw %}",
    "]]></style></svg><script>alert(2)</script>",
    "&lt;b&gt; &amp; &#60;script&#62;",
    "-->",
    "\x00\x1b[31m\u202e",
)


def _hostile_page(build_page, build_cohort, build_study):
    """Every attack in every kind of place at once."""
    sections = build_study().model_dump(mode="json", exclude_defaults=True)
    sections["study"]["title"] = "".join(ATTACKS)
    sections["clinical"] = {attack: {"kind": "ordinal"} for attack in ATTACKS}
    codes = dict.fromkeys(ATTACKS, "event") | {"0": "censored"}
    sections["endpoint"] |= {"time": ATTACKS[0], "codes": codes}
    cohort = build_cohort(build_study(**sections))
    patients = tuple(
        replace(p, values={"site": ATTACKS[i % len(ATTACKS)]} | {a: a for a in ATTACKS})
        for i, p in enumerate(cohort.patients)
    )
    steps = tuple(FlowStep(reason=attack, stage="slides", n=1) for attack in ATTACKS)
    flows = tuple(
        replace(flow, n_listed=flow.n_analysed + len(steps), steps=steps) for flow in cohort.flows
    )
    problems = [
        replace(
            problem(
                "CO021",
                attack,
                where=Where(file=attack, rows=(2,), column=attack, cohort=attack),
                expected=attack,
                hint=attack,
                patients=(attack,),
            ),
            severity=Severity.WARN,
        )
        for attack in ATTACKS
    ]
    folds = tuple(
        SplitFold(fold=attack, n_train=1, events_train=1, n_test=1, events_test=1)
        for attack in ATTACKS
    )
    parts = tuple(FoldGroup(fold=attack, group=attack, n=3, events=2) for attack in ATTACKS)
    resolutions = [
        AppliedResolution(
            code="CO021",
            action="set",
            reason=attack,
            patients=(attack,),
            cohorts=(attack,),
            column=attack,
            value=attack,
        )
        for attack in ATTACKS
    ]
    return build_page(
        replace(cohort, patients=patients, flows=flows),
        problems=problems,
        splits=[SplitSummary(scheme=ATTACKS[0], folds=folds, parts=parts, digest=ATTACKS[1])],
        resolutions=resolutions,
        notes=ATTACKS,
        made_at=ATTACKS[0],
        table_digests={attack: attack for attack in ATTACKS},
    )


@pytest.fixture(scope="module")
def hostile(build_page, build_cohort, build_study) -> Page:
    """The page of a study whose every name is an attack."""
    return Page(render_cohort_page(_hostile_page(build_page, build_cohort, build_study)))


def test_foreign_text_stays_text(hostile, html):
    """Titles, columns, categories, sites, reasons, rows and notes cannot become markup."""
    assert set(hostile.tags) <= set(Page(html).tags)
    assert not [a for a in hostile.attributes if a[1].startswith("on") or a[1] in ("src", "style")]
    text = "".join(hostile.text)
    for attack in ATTACKS[:-1]:
        # Once in each: level, column, site, step, fold, problem, resolution, note, digest …
        assert text.count(attack) >= 12, attack
    assert "\x1b" not in text
    assert "\x00" not in text
    assert "\u202e" not in text


def test_a_cell_that_is_copied_into_a_spreadsheet_runs_nothing(hostile):
    """No cell of any table begins like a formula."""
    starts = [cell.strip()[:1] for _, cell in hostile.cells]

    assert not {"=", "@", "+", "-"} & set(starts)
    assert starts.count("'") > 8


def test_the_page_is_written_whole_to_a_path_and_to_a_stream(tmp_path):
    """Both ways give the same bytes."""
    stream, path = io.BytesIO(), tmp_path / "report" / "cohort.html"
    page = cohort_page_from(None, problems=[problem("ST004", "line 3: expected =")])

    write_cohort_page(page, path)
    write_cohort_page(page, stream)

    assert path.read_bytes() == stream.getvalue() == render_cohort_page(page).encode()


@pytest.mark.parametrize("kind", ["binary", "ordinal", "continuous"])
def test_endpoints_without_follow_up_have_a_page(build_cohort, build_study, kind):
    """No curves and no follow-up; the target stands in the table of patients."""
    levels = [] if kind == "continuous" else ["no", "yes"]
    cohort = build_cohort(
        build_study(endpoint={"kind": kind, "column": "MSI", "levels": levels}),
        time_days=np.empty(0),
        event=np.empty(0, dtype=np.int64),
        target=np.array([0.0, 1.0] * 150),
    )

    html = render_cohort_page(cohort_page_from(cohort))
    text = " ".join("".join(Page(html).text).split())

    assert "predict MSI, developed in north" in text
    assert html.count("<figure") == 1
    assert "Censored" not in text
    assert 'id="table-one"' in html


def test_a_study_without_horizons_or_sites_has_a_page(build_cohort, build_study):
    """What was not declared is left out, nothing fails."""
    study = build_study(
        endpoint={"name": "overall-survival"}, metadata={}, clinical={}, validation={}
    )
    event = (build_cohort(study).event == 1).astype(np.int64)

    page = cohort_page_from(build_cohort(study, event=event))
    html = render_cohort_page(page)

    assert page.precision is None
    assert "competing" not in page.curves
    assert "one minus Kaplan–Meier" in html


def test_table_and_figure_give_one_number(build_cohort, build_study):
    """The risk in the table is the risk of the curve, with and without competing events."""
    for event in (None, "single"):
        cohort = build_cohort()
        if event:
            study = build_study(endpoint={**_endpoint(build_study), "name": "overall-survival"})
            cohort = build_cohort(study, event=(cohort.event == 1).astype(np.int64))
        page = cohort_page_from(cohort)
        for line in page.curves["incidence"].lines:
            row = next(r for r in page.follow_up if r.cohort == line.label and not r.site)
            assert [(at.risk, at.lower, at.upper) for at in row.at] == [
                line.at(at.horizon) for at in row.at
            ]
        assert ("Aalen" in page.curves["incidence"].method) == (event is None)


def _endpoint(build_study):
    section = build_study().model_dump(mode="json", exclude_defaults=True)["endpoint"]
    return {k: v for k, v in section.items() if k != "synchronous_window_months"}


def test_a_competing_event_that_did_not_occur_still_competes(build_cohort):
    """Where the definition names competing events, the estimator is the one for them."""
    cohort = build_cohort()

    page = cohort_page_from(replace(cohort, event=(cohort.event == 1).astype(np.int64)))

    assert "Aalen–Johansen" in page.curves["incidence"].method
    assert "competing" not in page.curves


def test_more_cohorts_than_styles_are_pooled_in_the_figure(build_cohort, build_study):
    """Eight cohorts: five have their own curve, three share one; the table has all."""
    sections = [
        {"name": f"c{i}", "role": "development" if i == 0 else "external", "clini_table": "a.csv"}
        for i in range(8)
    ]
    cohort = build_cohort(n=(150, 150))
    names = [f"c{i % 8}" for i in range(300)]
    patients = tuple(replace(p, cohort=c) for p, c in zip(cohort.patients, names, strict=True))

    page = cohort_page_from(
        replace(cohort, study=build_study(cohort=sections), patients=patients, flows=())
    )

    labels = [line.label for line in page.curves["incidence"].lines]
    assert labels == ["c0", "c1", "c2", "c3", "c4", "3 other cohorts"]
    assert sum(line.n for line in page.curves["incidence"].lines) == 300
    assert {row.cohort for row in page.follow_up} == set(names)
    assert render_cohort_page(page)


def test_a_cohort_from_which_nobody_is_left_is_said(build_cohort):
    """Its row does not disappear."""
    cohort = build_cohort()
    keep = cohort.cohort_names == "north"
    patients = tuple(p for p in cohort.patients if p.cohort == "north")
    part = replace(
        cohort, patients=patients, time_days=cohort.time_days[keep], event=cohort.event[keep]
    )

    html = render_cohort_page(cohort_page_from(part))

    assert "nobody is analysed" in html


def test_events_per_parameter_count_the_levels_of_categories(page):
    """Age, pT, CEA and a yes-or-no column take one parameter each, three sides two."""
    assert page.precision.parameters == 6
    north = next(row for row in page.follow_up if row.cohort == "north" and not row.site)
    assert page.precision.development_events == north.events
    assert page.precision.events_per_parameter == north.events / 6


def test_with_late_entry_the_page_counts_only_the_watched(build_cohort):
    """Delayed entry reaches the numbers at risk."""
    cohort = build_cohort()
    entry = np.floor(cohort.time_days * 0.5)

    rows = cohort_page_from(replace(cohort, entry_days=entry)).follow_up
    row = next(row for row in rows if row.cohort == "north" and not row.site)
    north = cohort.cohort_names == "north"

    day = 24 * 30.4375
    expected = ((cohort.time_days >= day) & (entry < day) & north).sum()
    assert row.at[1].at_risk == expected
