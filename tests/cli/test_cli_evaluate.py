"""``metastra evaluate`` end to end: published numbers, exit codes, files, no torch."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pandas as pd
import pytest
from typer.testing import CliRunner

from metastra.cli.app import app

FIGURES = {"flow", "incidence", "distribution", "roc", "calibration", "decision"}


def run(*arguments):
    """Call the command line in this process."""
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


@pytest.fixture(scope="module")
def tables(shared, tmp_path_factory):
    """The published example (van Geloven 2022) with two made-up groupings."""
    folder = tmp_path_factory.mktemp("breast")
    data = shared / "data" / "survival"
    outcomes = pd.read_csv(data / "breast_cr_validation.csv")
    outcomes["id"] = "SECRET" + outcomes["id"].astype(str)
    outcomes["site"] = ["north" if i % 3 else "south" for i in range(len(outcomes))]
    outcomes.to_csv(folder / "outcomes.csv", index=False)
    predictions = pd.read_csv(data / "breast_cr_validation_reference_predictions.csv")
    predictions["id"] = "SECRET" + predictions["id"].astype(str)
    predictions.to_csv(folder / "predictions.csv", index=False)
    return folder


def arguments(folder, out, *more):
    """The call for the published example."""
    return (
        folder / "predictions.csv", "--outcomes", folder / "outcomes.csv", "--id", "id",
        "--time", "time", "--event", "status_num", "--risk", "predicted_risk_5y_cause1",
        "--horizon", "5", "--time-unit", "years", "--out", out, "--bootstrap", "100", *more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def judged(tables):
    """One run with cohorts and subgroups."""
    out = tables / "judged"
    done = run(*arguments(tables, out, "--cohort", "site", "--subgroup", "ncat", "--json"))
    return out, done


def test_the_published_numbers_come_out(judged):
    """van Geloven et al. 2022: AUC 0.71, Brier 0.09, IPA 0.06, O/E 0.81, slope 1.22."""
    out, done = judged
    assert done.exit_code == 0, done.output
    found = json.loads((out / "evaluation.json").read_text())
    numbers = {
        "auc": found["discrimination"]["auc"][0],
        "brier": found["overall"]["brier"][0],
        "ipa": found["overall"]["ipa"][0],
        **found["calibration"][0],
    }
    published = {"auc": 0.7149, "brier": 0.0873, "ipa": 0.0568}
    for key, value in published.items():
        assert numbers[key]["estimate"] == pytest.approx(value, abs=5e-5)
    assert numbers["oe_ratio"]["estimate"] == pytest.approx(0.806, abs=5e-4)
    assert numbers["slope"]["estimate"] == pytest.approx(1.22, abs=5e-3)
    assert numbers["intercept"]["estimate"] == pytest.approx(-0.15, abs=5e-3)
    # published with the normal quantile, here with Student's t on 102 degrees of freedom
    assert (numbers["intercept"]["lower"], numbers["intercept"]["upper"]) == pytest.approx(
        (-0.36, 0.05), abs=8e-3
    )
    assert found["competing"] == 187
    assert set(found["cohorts"]) == {"north", "south"}


def test_json_goes_to_stdout_and_no_id_leaves(judged):
    """One JSON object; study ids are in no output."""
    out, done = judged
    printed = json.loads(done.stdout)
    assert printed["evaluation"] == json.loads((out / "evaluation.json").read_text())
    assert printed["research_use"].startswith("Research use only")
    for path in out.rglob("*"):
        if path.is_file():
            assert b"SECRET" not in path.read_bytes(), path.name
    assert "SECRET" not in done.output


def test_figures_are_written_as_png_and_svg(judged):
    """Each figure in both forms, and whole."""
    out, _ = judged
    names = FIGURES | {"calibration-cohorts"}
    names |= {"forest-auc", "forest-oe", "forest-slope", "forest-ipa"}
    assert {path.stem for path in (out / "figures").iterdir()} == names
    for name in names:
        assert (out / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "</svg>" in (out / "figures" / f"{name}.svg").read_text()


def test_the_page_is_offline_and_its_numbers_stand_in_the_json(judged):
    """No script, no request; every estimate in a table is one of evaluation.json."""
    out, _ = judged
    page = (out / "report.html").read_text()
    assert "Research use only. Not for diagnosis or treatment." in page
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page

    known = set()

    def gather(value):
        if isinstance(value, dict):
            for part in value.values():
                gather(part)
        elif isinstance(value, list):
            for part in value:
                gather(part)
        elif isinstance(value, int | float):
            for scaled in (value, 100.0 * value):  # shares are percent, net benefit is per 100
                known.update(f"{round(scaled, d) + 0.0:,.{d}f}".replace("-", "−") for d in range(4))
            known.add(f"{value:g}".replace("-", "−"))

    gather(json.loads((out / "evaluation.json").read_text()))
    cells = _cells(page)
    assert len(cells) >= 60
    for cell in cells:
        for text in re.findall(r"[−]?\d[\d,]*(?:\.\d+)?", cell):
            assert text in known, cell


class _Cells(HTMLParser):
    """Texts of the number cells of a page."""

    def __init__(self):
        super().__init__()
        self.inside, self.found = False, []

    def handle_starttag(self, tag, attributes):
        if tag == "td" and "num" in dict(attributes).get("class", ""):
            self.inside = True
            self.found.append("")

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "td"

    def handle_data(self, data):
        if self.inside:
            self.found[-1] += data


def _cells(page):
    parser = _Cells()
    parser.feed(page)
    return [cell for cell in parser.found if cell.strip()]


def test_the_same_call_writes_the_same_bytes(tables, judged):
    """Numbers, figures and page depend on the tables and the seed alone."""
    out, _ = judged
    again = tables / "again"
    run(*arguments(tables, again, "--cohort", "site", "--subgroup", "ncat"))
    for path in out.rglob("*"):
        if path.is_file():
            assert (again / path.relative_to(out)).read_bytes() == path.read_bytes(), path.name


def test_refused_data_exit_with_three_and_all_problems(tmp_path):
    """Codes, rows and remedies on stderr, and as JSON where asked for; nothing is written."""
    path = tmp_path / "p.csv"
    path.write_text("PATIENT,t,e,r\nANNA,1,0,0.1\nBERT,,1,0.2\nCLEO,3,x,1.3\nANNA,4,1,0.2\n")
    call = (path, "--time", "t", "--event", "e", "--risk", "r", "--horizon", "2",
            "--time-unit", "years", "--out", tmp_path / "out")  # fmt: skip
    plain = run(*call)
    assert plain.exit_code == 3
    for code in ("EP004", "EP001", "EV002", "CO011"):
        assert code in plain.output
    assert "ANNA" not in plain.output
    told = json.loads(run(*call, "--json").stdout)
    assert {one["code"]: one["rows"] for one in told["problems"]} == {
        "EP004": [3],
        "EP001": [4],
        "EV002": [4],
        "CO011": [2, 5],
    }
    assert not (tmp_path / "out").exists()


def test_usage_errors_exit_with_two(tmp_path):
    """A call that contradicts itself ends before the tables are opened."""
    base = (tmp_path / "none.csv", "--time", "t", "--event", "e", "--horizon", "2",
            "--time-unit", "years", "--out", tmp_path / "out")  # fmt: skip
    assert run(*base).exit_code == 2
    assert run(*base, "--risk", "r", "--decimal", ";").exit_code == 2
    assert run(*base, "--risk", "r").exit_code == 3


def test_it_runs_where_torch_cannot_be_imported(tmp_path):
    """The judge never needs torch, not even indirectly."""
    lines = ["PATIENT,t,e,s"] + [f"P{i},{i + 1},{i % 2},{(i * 7) % 40}" for i in range(60)]
    (tmp_path / "p.csv").write_text("\n".join(lines) + "\n")
    program = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'torch':\n"
        "            raise ImportError('torch is blocked')\n"
        "sys.meta_path.insert(0, Block())\n"
        "from metastra.cli.app import app\n"
        "app()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "evaluate", tmp_path / "p.csv", "--time", "t",
         "--event", "e", "--risk-score", "s", "--horizon", "20", "--time-unit", "months",
         "--bootstrap", "0", "--out", tmp_path / "out"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "report.html").is_file()
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["n"] == 60


def test_options_take_several_values_or_are_repeated(tmp_path):
    """``--horizon 5 9`` is ``--horizon 5 --horizon 9``; so are columns after PREDICTIONS."""
    lines = ["PATIENT,t,e,a,b,x,y"]
    lines += [f"P{i},{i / 4 + 1},{i % 2},{0.01 * i},{0.012 * i},{i % 2},{i % 3}" for i in range(60)]
    (tmp_path / "p.csv").write_text("\n".join(lines) + "\n")
    base = ("--time", "t", "--event", "e", "--time-unit", "years", "--bootstrap", "0")
    table = tmp_path / "p.csv"
    out = tmp_path / "short"
    short = run(table, *base, "--out", out, "--risk", "a", "b", "--horizon", "5", "9",
                "--subgroup", "x", "y")  # fmt: skip
    assert short.exit_code == 0, short.output
    again = tmp_path / "long"
    repeated = run("--subgroup", "x", "--subgroup", "y", "--risk", "a", "--risk", "b",
                   "--horizon", "5", "--horizon", "9", table, *base, "--out", again)  # fmt: skip
    assert repeated.exit_code == 0, repeated.output
    name = "evaluation.json"
    assert (out / name).read_bytes() == (again / name).read_bytes()
    found = json.loads((out / name).read_text())
    assert found["horizons"] == [5.0, 9.0]
    assert {row["column"] for row in found["subgroups"]} == {"x", "y"}


def test_gbsg2_gives_the_published_numbers_from_its_own_table(shared, tmp_path):
    """McLernon et al. 2023: C 0.65, Uno 0.64, AUC 0.68 by 5 years, slope below 1 at the horizon."""
    table = shared / "data" / "reference_stats" / "gbsg2.csv"
    done = run(table, "--id", "pid", "--time", "years", "--event", "rfs", "--risk", "pred5",
               "--risk-score", "PI", "--horizon", "4.99", "--time-unit", "years",
               "--bootstrap", "0", "--out", tmp_path)  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "evaluation.json").read_text())
    measured = found["discrimination"]
    assert measured["harrell"]["estimate"] == pytest.approx(0.65, abs=0.006)
    assert measured["uno"]["estimate"] == pytest.approx(0.64, abs=0.006)
    assert measured["auc"][0]["estimate"] == pytest.approx(0.68, abs=0.006)
    assert found["calibration"][0]["slope"]["estimate"] == pytest.approx(0.82, abs=0.02)
    assert found["calibration"][0]["ici"]["estimate"] == pytest.approx(0.03, abs=0.005)
