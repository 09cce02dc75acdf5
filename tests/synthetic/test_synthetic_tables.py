"""The tables as hospitals write them: formats, references, dates, and nothing of the truth."""

from __future__ import annotations

import csv
import hashlib
import io
import time
from datetime import date

import numpy as np
import pytest

from metastra.errors import ConfigError
from metastra.study.load import parse_study
from metastra.synthetic.case_mix import COHORTS, HORIZON_MONTHS, Detection
from metastra.synthetic.covariates import Covariates
from metastra.synthetic.generate import generate, synthetic_study
from metastra.synthetic.hazard import SITES, HazardModel
from metastra.synthetic.risk import true_risk
from metastra.synthetic.truth import read_truth
from metastra.synthetic.writing import Table, Writing
from metastra.units import to_days

PINNED = "692fc29718150ba266c894d2f7adf20563e8e8759d91c0b247147755c8e4f036"
LAYOUTS = {
    "north": ("utf-8", ",", "%Y-%m-%d", ".", {""}),
    "rhine": ("cp1252", ";", "%d.%m.%Y", ",", {"k. A."}),
    "south": ("utf-8-sig", "\t", "%d/%m/%Y", ".", {"NA"}),
}


@pytest.fixture(scope="module")
def files():
    """The default study."""
    return synthetic_study()


def day_of(text, date_format):
    """Read a date; a table has no time zone."""
    return date(*time.strptime(text, date_format)[:3])


def rows_of(files, cohort, kind):
    """Records of a table by the study's own column names."""
    encoding, delimiter, *_ = LAYOUTS[cohort]
    name = next(name for name in files if name.startswith(f"{cohort}/{kind}."))
    study = parse_study(files["study.toml"].decode())
    ours = {written: name for name, written in study.cohort_named(cohort).columns.items()}
    text = io.StringIO(files[name].decode(encoding), newline="")
    return [
        {ours.get(key, key): value for key, value in row.items()}
        for row in csv.DictReader(text, delimiter=delimiter)
    ]


@pytest.fixture(scope="module", params=LAYOUTS)
def cohort(request, files):
    """Name, layout and the four tables of each cohort."""
    kinds = ("clini", "slides", "specimens", "events")
    return request.param, {kind: rows_of(files, request.param, kind) for kind in kinds}


def test_one_seed_gives_the_same_bytes(files):
    """The same arguments give the same files, byte for byte, and another seed gives others."""
    again = synthetic_study()
    other = synthetic_study(seed=1)

    assert files == again
    assert list(files) == list(other)
    # even the shortest table has other patients in it
    assert all(files[name] != other[name] for name in files)


def test_the_bytes_are_the_published_ones():
    """The digest of a small study is pinned, so that no machine and no release draws another."""
    small = synthetic_study(n_patients=60, seed=1)
    digest = hashlib.sha256()
    for name in sorted(small):
        digest.update(name.encode() + b"\0" + small[name] + b"\0")

    assert digest.hexdigest() == PINNED


def test_six_hundred_patients_take_less_than_two_seconds():
    """The default study is made in well under two seconds of processor time."""
    begin = time.process_time()
    synthetic_study(seed=3)

    assert time.process_time() - begin < 2.0


def test_each_cohort_writes_in_its_own_style(cohort):
    """Dates, decimal marks and missing values are those of the cohort's style."""
    name, tables = cohort
    _, _, date_format, decimal, missing = LAYOUTS[name]
    for row in tables["clini"]:
        assert day_of(row["SURGERY_DATE"], date_format) is not None
        assert decimal in row["age"]
        assert row["CEA"] in missing or decimal in row["CEA"]
    assert {row["CEA"] for row in tables["clini"]} & missing
    assert all(decimal in row["MPP"] for row in tables["slides"])


def test_the_tables_refer_to_each_other(cohort):
    """Every patient has specimens and slides; slides name specimens that exist."""
    _, tables = cohort
    patients = [row["PATIENT"] for row in tables["clini"]]
    specimens = {(row["PATIENT"], row["SPECIMEN"]) for row in tables["specimens"]}

    assert len(set(patients)) == len(patients)
    assert len(specimens) == len(tables["specimens"])
    assert {row["PATIENT"] for row in tables["slides"]} == set(patients)
    assert {(row["PATIENT"], row["SPECIMEN"]) for row in tables["slides"]} <= specimens
    assert {row["PATIENT"] for row in tables["events"]} <= set(patients)
    names = [row["FILENAME"] for row in tables["slides"]]
    assert len(set(names)) == len(names)
    index_blocks = [row["PATIENT"] for row in tables["slides"] if row["INDEX"] == "yes"]
    assert sorted(index_blocks) == sorted(patients)


def test_dates_are_in_order(cohort):
    """Blood before surgery, events up to the last contact, scans and contacts by the data cut."""
    name, tables = cohort
    _, _, date_format, _, missing = LAYOUTS[name]
    cut = next(plan.data_cut for plan in COHORTS if plan.name == name)

    def day(text):
        return None if text in missing else day_of(text, date_format)

    surgery = {row["PATIENT"]: day(row["SURGERY_DATE"]) for row in tables["clini"]}
    contact = {row["PATIENT"]: day(row["LAST_CONTACT"]) for row in tables["clini"]}
    for row in tables["clini"]:
        patient = row["PATIENT"]
        assert surgery[patient] < contact[patient] <= cut
        assert int(row["OS_DAYS"]) == (contact[patient] - surgery[patient]).days
        drawn = day(row["CEA_DATE"])
        assert drawn is None or drawn < surgery[patient]
    for row in tables["events"]:
        negative, found = day(row["LAST_NEGATIVE"]), day(row["DATE"])
        assert found <= contact[row["PATIENT"]]
        assert negative is None or surgery[row["PATIENT"]] <= negative < found
    for row in tables["slides"]:
        assert date(2018, 1, 1) < day(row["SCAN_DATE"]) < cut
    for row in tables["specimens"]:
        primary = row["ROLE"] == "primary"
        assert (day(row["DATE"]) == surgery[row["PATIENT"]]) == primary


def test_deaths_and_status_agree(cohort):
    """A death is recorded, with a cause, for exactly the patients whose status says so."""
    _, tables = cohort
    dead = {r["PATIENT"] for r in tables["clini"] if r["OS_STATUS"] in ("dead", "verstorben")}
    causes = ("death-of-disease", "death-of-other-cause", "Tod durch Tumor", "Tod anderer Ursache")
    died = [row["PATIENT"] for row in tables["events"] if row["TYPE"] in causes]

    assert sorted(died) == sorted(dead)
    assert 0 < len(dead) < len(tables["clini"])


def test_the_tables_hold_nothing_of_the_truth(files):
    """Composition, onsets, risks and linear predictors are in truth.csv only."""
    secret = ("fraction", "budding", "onset", "risk", "lp_", "death_day")
    for name, data in files.items():
        header = data.split(b"\n", 1)[0].decode("cp1252")
        found = [word for word in secret if word in header]
        assert found == (list(secret) if name == "truth/truth.csv" else [])


def test_the_truth_can_be_computed_again_from_its_table(files):
    """Covariates of truth.csv give back its risks and linear predictors."""
    truth = read_truth(files["truth/truth.csv"])
    kinds = {"male": bool, "dmmr": bool, "right": bool, "rectum": bool}
    names = list(Covariates.__dataclass_fields__)
    covariates = Covariates(
        **{n: truth[n].to_numpy().astype(kinds.get(n, truth[n].dtype)) for n in names}
    )
    model = HazardModel()

    predictors = model.linear_predictors(covariates)
    columns = [*(f"lp_{site}" for site in SITES), "lp_death"]
    assert truth[columns].to_numpy() == pytest.approx(predictors, abs=1e-6)
    known = (truth["stage"] != "IV").to_numpy()
    for months in HORIZON_MONTHS:
        horizon = to_days(months, "months")
        risk = true_risk(model, covariates, horizon, from_days=to_days(3, "months"))
        assert truth[f"risk_{months}"].to_numpy()[known] == pytest.approx(risk[known], abs=1e-6)
        assert truth.loc[~known, f"risk_{months}"].isna().all()


def test_the_truth_and_the_tables_are_of_the_same_patients(files):
    """Ids, hospitals and stages agree, and recorded metastases have an onset before them."""
    truth = read_truth(files["truth/truth.csv"]).set_index("PATIENT")
    for name in LAYOUTS:
        for row in rows_of(files, name, "clini"):
            one = truth.loc[row["PATIENT"]]
            assert (one["cohort"], one["site"]) == (name, row["site"])
            assert one["stage"] == row["stage"].rstrip("ABC")
            place = "rectum" if one["rectum"] else "right" if one["right"] else "left"
            assert (row["location"], row["sex"]) == (place, "M" if one["male"] else "F")
            assert float(row["age"].replace(",", ".")) == one["age_years"]
            missing = LAYOUTS[name][4]
            assert row["grade"] in {f"G{one['grade']}"} | missing
            assert row["MMR"] in {"dMMR" if one["dmmr"] else "pMMR"} | missing
            assert row["CEA"] in missing or float(row["CEA"].replace(",", ".")) == one["cea_ng_ml"]
            treated = row["TNM"].startswith("y")
            assert one["eligible"] == (row["TNM"].endswith("M0") and not treated)
    recorded = {
        row["PATIENT"] for row in rows_of(files, "rhine", "events") if row["SITE"] == "Leber"
    }
    assert truth.loc[sorted(recorded), "onset_liver_day"].notna().all()


def test_under_perfect_surveillance_the_two_risks_are_one():
    """With detection at onset the risk of a record is the risk of onset."""
    truth = read_truth(generate(n_patients=100, detection=Detection.AT_ONSET).truth().render())

    assert (truth["risk_24"].dropna() == truth["recorded_risk_24"].dropna()).all()
    seen = read_truth(generate(n_patients=100).truth().render())
    assert (seen["risk_24"].dropna() > seen["recorded_risk_24"].dropna()).mean() > 0.95
    assert (seen["risk_24"] - truth["risk_24"]).abs().max() == 0


@pytest.mark.parametrize("wrong", [{"n_patients": 19}, {"seed": -1}, {"faults": ["mising-status"]}])
def test_arguments_that_make_no_study_are_refused(wrong):
    """Too few patients, a negative seed and an unknown fault are refused by name."""
    with pytest.raises(ConfigError, match=r"20|negative|missing-status"):
        synthetic_study(**wrong)


def test_a_table_is_changed_by_copies():
    """Cells, rows and columns are changed in copies; the table itself stays."""
    table = Table(columns=("PATIENT", "n"), rows=(("a", 1), ("b", 2)))

    assert table.with_cell(0, "n", 9).column("n") == (9, 2)
    assert table.with_row(PATIENT="c").rows[-1] == ("c", None)
    assert table.with_column("n", [5, 6]).columns == ("PATIENT", "n")
    assert table.with_column("n", [5, 6]).column("n") == (5, 6)
    assert table.with_column("PATIENT", ["x", "y"]).rows == (("x", 1), ("y", 2))
    assert table.with_column("m", [None, "z"]).rows == (("a", 1, None), ("b", 2, "z"))
    assert table.rows == (("a", 1), ("b", 2))


def test_text_with_the_separator_is_quoted():
    """A cell that holds the separator or a quote is quoted as RFC 4180 says."""
    table = Table(
        columns=("a", "b"), rows=(('x;"y"', 1.5),), writing=Writing(delimiter=";", decimal=",")
    )

    assert table.render() == b'a;b\n"x;""y""";1,5\n'


def test_drawn_values_are_within_reason():
    """Ages, CEA and buds lie where a clinician would believe them."""
    x = generate(n_patients=2000, seed=8).cohorts[0].patients.covariates

    assert x.age_years.min() >= 32
    assert x.age_years.max() <= 93
    assert 1.5 < np.median(x.cea_ng_ml) < 6
    assert 1 <= np.median(x.budding) <= 4
