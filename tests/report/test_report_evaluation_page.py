"""The page of a validation: its numbers are those of the JSON, its parts are there, it is whole."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources

import numpy as np
import pytest

from metastra.evaluation.covariates import Covariate
from metastra.evaluation.evaluate import evaluate
from metastra.evaluation.patients import Patients, Settings
from metastra.evaluation.plan import Plan
from metastra.report.evaluation_figures import evaluation_figures
from metastra.report.evaluation_page import render_evaluation_page, render_reporting_page
from metastra.report.reporting import AUTHORS, reporting, reporting_summary
from metastra.report.reporting_answers import ANSWERS
from metastra.storage import json_bytes
from metastra.survival.outcome import Outcome

NUMBER = re.compile(r"(?<![\w.-])[−-]?\d[\d,]*(?:\.\d+)?")
FLOW = {
    "predicted": 912,
    "without_outcome": 7,
    "not_assessable": 5,
    "judged": 900,
    "outcomes_without_prediction": 3,
}


def everything(n=900, seed=1):
    """Patients with every column that the page has a section for."""
    rng = np.random.default_rng(seed)
    score = rng.normal(size=n)
    first = rng.exponential(1.0 / (0.15 * np.exp(score)))
    other, censored = rng.exponential(20.0, n), rng.uniform(1.0, 6.0, n)
    time = np.minimum(np.minimum(first, other), censored)
    event = np.where(time == first, 1, np.where(time == other, 2, 0))
    risks = np.column_stack([-np.expm1(-0.15 * t * np.exp(score)) for t in (1.0, 3.0)])
    grade = np.clip(np.round(score + rng.normal(size=n)) + 1.0, 0.0, 2.0)
    grade[::17] = np.nan
    sex = np.array([None if i % 60 == 0 else "fm"[i % 2] for i in range(n)], dtype=object)
    return Patients(
        outcome=Outcome(time=time, event=event),
        horizons=(1.0, 3.0),
        time_unit="years",
        risks=risks,
        baseline=0.5 * risks + 0.1,
        cohort=np.array(["a", "b", "c", "d"], dtype=object)[np.arange(n) % 4],
        subgroups={"sex": sex},
        last_negative=np.where(event == 1, 0.9 * time, np.nan),
        covariates=(
            Covariate(name="age", kind="number", values=rng.normal(65.0, 9.0, n)),
            Covariate(name="grade", kind="category", values=grade, levels=("1", "2", "3")),
        ),
        treatment=(np.arange(n) % 2).astype(float),
    )


PLAN = {
    "name": "Protocol",
    "primary": {"measure": "auc", "horizon": 3.0, "bound": 0.6},
    "secondary": [{"measure": "oe_ratio", "horizon": 3.0, "bound": 1.0, "side": "holds"}],
    "cutpoints": [0.2, 0.45],
}


@pytest.fixture(scope="module")
def whole():
    """One evaluation with all sections, its page and its figures."""
    settings = Settings(
        bootstrap=100,
        cutpoints=(0.2, 0.45),
        recalibrate=True,
        landmarks=(1.0, 0.5),
        grace=0.25,
        low_risk_limit=0.2,
        randomised=True,
        imputations=5,
        plan=Plan.from_mapping(PLAN),
    )
    result = evaluate(everything(), settings, predictions_sha256="ab" * 32, flow=FLOW)
    figures = evaluation_figures(result)
    return result, figures, render_evaluation_page(result, figures)


class _Text(HTMLParser):
    """Visible text, cell by cell and sentence by sentence; figures and style left out."""

    def __init__(self):
        super().__init__()
        self.skipped, self.found = 0, [""]

    def handle_starttag(self, tag, attributes):
        if tag in ("style", "svg", "code", "title"):
            self.skipped += 1
        self.found.append("")

    def handle_endtag(self, tag):
        if tag in ("style", "svg", "code", "title"):
            self.skipped -= 1
        self.found.append("")

    def handle_data(self, data):
        if not self.skipped:
            self.found[-1] += data


def texts(page):
    """Pieces of visible text."""
    parser = _Text()
    parser.feed(page)
    return [piece for piece in parser.found if piece.strip()]


def known_numbers(*documents):
    """Every way to round a number of the documents, and the numbers inside their sentences."""
    known = set()

    def gather(value):
        if isinstance(value, dict):
            for part in value.values():
                gather(part)
            for key in value:
                known.update(NUMBER.findall(key))
        elif isinstance(value, list):
            known.add(str(len(value)))
            for part in value:
                gather(part)
        elif isinstance(value, str):
            known.update(NUMBER.findall(value))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            for scaled in (value, 100.0 * value):
                for decimals in range(4):
                    known.add(f"{round(scaled, decimals) + 0.0:,.{decimals}f}".replace("-", "−"))
            known.add(f"{value:g}".replace("-", "−"))
            known.add(f"{value:.3g}".replace("-", "−"))

    for document in documents:
        gather(document)
    return known


def static_numbers():
    """Numbers that the templates and the captions write themselves: levels, limits, references."""
    folder = resources.files("metastra.report") / "templates"
    text = ""
    for path in folder.iterdir():
        if path.name.startswith(("evaluation", "reporting")):
            source = path.read_text("utf-8")
            text += re.sub(r"\{%(?!.*caption).*?%\}|<[^>]*>", " ", source)
    # captions of figures: level, fewest at risk, fewest events for a curve, reference lines
    return set(NUMBER.findall(text)) | {"95", "5", "50", "100", "0.5", "0", "1", "2"}


def test_every_number_of_the_text_is_one_of_the_json(whole):
    """Tables, sentences and captions print values of evaluation.json and compute none."""
    result, _, page = whole
    document = json.loads(json_bytes(result.to_json()))
    summary = reporting_summary(reporting(document))
    issues = sum(check["status"] == "issue" for check in document["checks"])
    known = known_numbers(document, summary, issues) | static_numbers()
    checked = 0
    for piece in texts(page):
        text = re.sub(r"(Table|Figure) \d+\.", "", piece)
        for word in NUMBER.findall(text):
            checked += 1
            bare = word.rstrip(",")
            assert bare in known or bare.lstrip("-") in known, (word, piece)
    assert checked > 1000
    assert "0.91377" not in known


def test_every_estimate_is_an_exact_value_of_the_json_and_rounded_rightly(whole):
    """The page keeps the full value beside each estimate; what is read is its rounding."""
    result, _, page = whole
    exact = set()

    def gather(value):
        if isinstance(value, dict):
            exact.add(value.get("estimate"))
            for part in value.values():
                gather(part)
        elif isinstance(value, list):
            for part in value:
                gather(part)

    gather(json.loads(json_bytes(result.to_json())))
    found = re.findall(r'data-estimate="([^"]+)">([^<]+)<', page)
    assert len(found) > 150
    for value, shown in found:
        assert float(value) in exact, value
        read = shown.replace("−", "-").replace(",", "").replace("&lt; ", "")
        decimals = len(read.partition(".")[2])
        close = [abs(float(read) - scale * float(value)) for scale in (1.0, 100.0)]
        assert min(close) <= 0.51 * 10.0**-decimals or "&lt;" in shown, (value, shown)


def test_every_section_is_there_and_marked(whole):
    """Each analysis has its heading; declared ones are marked, all others are exploratory."""
    result, figures, page = whole
    for anchor in (
        "declared", "patients", "groups", "adjusted", "discrimination", "calibration", "utility",
        "added", "parts", "pooled", "subgroups", "fairness", "recalibration", "landmark",
        "low-risk", "treatment", "sensitivity", "checks", "reporting", "methods",
    ):  # fmt: skip
        assert f'id="{anchor}"' in page, anchor
    assert page.index('id="declared"') < page.index('id="patients"') < page.index('id="groups"')
    tags = dict(re.findall(r'<h2 id="([\w-]+)">[^<]*<span class="tag[^"]*">([\w-]+)</span>', page))
    assert tags["discrimination"] == tags["groups"] == "pre-declared"
    assert tags["recalibration"] == tags["landmark"] == tags["treatment"] == "exploratory"
    assert set(figures) == {
        "flow", "incidence", "distribution", "roc", "calibration", "calibration-cohorts",
        "decision", "forest-auc", "forest-oe", "forest-slope", "forest-ipa",
    }  # fmt: skip
    assert "new model" in page
    assert result.to_json()["plan"]["primary"]["verdict"] == "met"


def test_links_inside_the_pages_lead_somewhere(whole):
    """Every anchor exists; the reporting page links to sections that report.html has."""
    result, _, page = whole
    ids = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= ids
    other = render_reporting_page(result.to_json())
    assert set(re.findall(r'href="report\.html#([^"]+)"', other)) <= ids
    assert "<script" not in other
    assert "Research use only" in other


def test_reporting_lists_are_whole_and_invent_nothing(whole):
    """27 items with 52 parts, 20 items; each answered from the products or left to the authors."""
    result, _, _ = whole
    document = json.loads(json_bytes(result.to_json()))
    filled = reporting(document)
    tripod = [item["item"] for item in filled["tripod_ai"]["items"]]
    assert len(tripod) == len(set(tripod)) == 52
    assert {int(re.match(r"\d+", item)[0]) for item in tripod} == set(range(1, 28))
    assert [item["item"] for item in filled["remark"]["items"]] == [str(k) for k in range(1, 21)]
    known = known_numbers(document) | {"0.5", "0"}
    for key in filled:
        for item in filled[key]["items"]:
            assert item["words"]
            assert item["status"] in {"filled", "part", "authors"}
            assert (item["answer"] is None) == (item["status"] == "authors")
            for word in NUMBER.findall((item["answer"] or "").replace("SHA-256", "")):
                assert word.rstrip(",") in known, (item["item"], word)
    by_item = {item["item"]: item for item in filled["tripod_ai"]["items"]}
    for item in ("2", "3a", "8b", "9a", "17", "18a", "19", "25"):
        assert by_item[item]["status"] == "authors"
    assert by_item["23a"]["status"] == by_item["23b"]["status"] == "filled"
    assert AUTHORS in render_reporting_page(document)


def test_answers_say_nothing_where_there_is_nothing():
    """Without cohorts, subgroups, covariates, plan and bundle those items are the authors'."""
    plain = replace(
        everything(300), cohort=None, subgroups={}, covariates=(), baseline=None,
        last_negative=None, treatment=None,
    )  # fmt: skip
    document = evaluate(plain, Settings(bootstrap=0)).to_json()
    silent = {key for key, answer in ANSWERS.items() if answer(document) is None}
    assert silent >= {
        "candidates", "centres", "fairness_method", "heterogeneity", "model", "multivariable",
        "objective", "plan", "relation", "subgroups", "table_one", "treatment",
    }  # fmt: skip
    page = render_evaluation_page(
        result := evaluate(plain, Settings(bootstrap=0)), evaluation_figures(result)
    )
    for anchor in ("adjusted", "parts", "recalibration", "landmark", "low-risk", "treatment"):
        assert f'id="{anchor}"' not in page
    assert "every analysis is exploratory" in page


def test_a_flow_that_knows_only_its_ends_is_drawn():
    """The prospective study hands over who was predicted and who was judged, and no reasons."""
    plain = replace(everything(160), cohort=None, covariates=(), subgroups={})
    result = evaluate(plain, Settings(bootstrap=0), flow={"predicted": 170, "judged": 160})
    figures = evaluation_figures(result)
    assert "10 are not" in figures["flow"].explanation
    page = render_evaluation_page(result, figures)
    assert "Patients predicted" in page
    assert "Of 170 predicted patients 160 are judged." in render_reporting_page(result.to_json())


def test_a_curve_is_not_drawn_on_few_events():
    """Below 50 events the caption says that there is no smooth curve and why."""
    few = replace(everything(160), cohort=None)
    result = evaluate(few, Settings(bootstrap=0))
    shown = evaluation_figures(result)["calibration"]
    assert "fewer than 50 events: no curve is drawn" in shown.explanation
    lines = [line for axes in shown.figure.axes for line in axes.get_lines()]
    assert not any(len(line.get_xdata()) > 10 for line in lines[:1])


def test_pooled_rows_of_the_forest_are_diamonds_with_a_prediction(whole):
    """The pooled row stands under the cohorts and carries the interval of a new cohort."""
    from metastra.report.evaluation_forest import measure_forest

    result, _, _ = whole
    document = result.to_json()
    _, plot = measure_forest(document, "auc")
    pooled = next(row for row in plot.rows if row.pooled)
    found = next(
        row for row in document["pooled"]["measures"]
        if row["measure"] == "auc" and row["horizon"] == 3.0
    )  # fmt: skip
    assert pooled.estimate == found["estimate"]
    assert pooled.prediction == (found["prediction"]["lower"], found["prediction"]["upper"])
    assert "new cohort" in plot.explain()
    labels = [row.label for row in plot.rows]
    assert labels.index("d") < labels.index(pooled.label) < labels.index("sex")


def test_names_from_the_tables_are_text(whole):
    """A cohort that is called like a script or a formula is printed and not run."""
    patients = everything(400)
    evil = np.where(patients.cohort == "a", "<script>alert(1)</script>", "=cmd()").astype(object)
    evil[:9] = "tiny & small"
    result = evaluate(replace(patients, cohort=evil), Settings(bootstrap=0))
    page = render_evaluation_page(result, evaluation_figures(result))
    assert "<script>alert" not in page
    assert "&#39;=cmd()" in page
    assert "Left out of Harrell" in page
    assert "tiny &amp; small" in page
    assert "<script>alert" not in render_reporting_page(result.to_json())
