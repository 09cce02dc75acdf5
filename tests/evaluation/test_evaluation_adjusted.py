"""Covariates: read, imputed, adjusted for, described."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from metastra.errors import DataError, NotEstimable
from metastra.evaluation.adjusting import adjusted, completed
from metastra.evaluation.characteristics import characteristics
from metastra.evaluation.covariates import ColumnSpec, Covariate, design_of
from metastra.evaluation.patients import Patients, Settings
from metastra.evaluation.reading import read_patients
from metastra.evaluation.request import Request
from metastra.evaluation.risk_groups import group_patients, marker, risk_groups
from metastra.stats.imputation import pool_rubin
from metastra.survival.calibration import cloglog
from metastra.survival.cox import fit_cox
from metastra.survival.outcome import Outcome

NONE = Settings(bootstrap=0, cutpoints=(0.2, 0.4))


def made(n=600, seed=1, share=0.0):
    """A score and two covariates that all act on the hazard; `share` of grades go missing."""
    rng = np.random.default_rng(seed)
    score, age = rng.normal(size=n), rng.normal(65.0, 10.0, n)
    grade = np.clip(np.round(0.6 * score + rng.normal(size=n)) + 1.0, 0.0, 2.0)
    rate = 0.15 * np.exp(0.7 * score + 0.5 * (grade == 2) + 0.02 * (age - 65.0))
    time, censored = rng.exponential(1.0 / rate), rng.uniform(0.5, 6.0, n)
    risk = -np.expm1(-0.3 * np.exp(0.8 * score))
    gone = rng.uniform(size=n) < share
    return Patients(
        outcome=Outcome(time=np.minimum(time, censored), event=time <= censored),
        horizons=(2.0,),
        risks=risk[:, None],
        covariates=(
            Covariate(name="age", kind="number", values=age),
            Covariate(
                name="grade",
                kind="category",
                values=np.where(gone, np.nan, grade),
                levels=("1", "2", "3"),
                base=1,
            ),
        ),
    )


def term(rows, start):
    """The row of one term."""
    return next(row for row in rows if row["term"].startswith(start))


def test_complete_covariates_give_the_plain_cox_model():
    """Every hazard ratio is that of one model of the score, age and two levels of grade."""
    patients = made()
    found = adjusted(patients, NONE, group_patients(patients, NONE))
    assert found["imputations"] == 0
    assert found["complete_case"] is None
    design = design_of(patients.covariates)
    order = cloglog(patients.order())
    x = np.column_stack([order / np.std(order, ddof=1), design.matrix])
    model = fit_cox(patients.outcome.only(1), x)
    assert [row["estimate"] for row in found["multivariable"]] == pytest.approx(
        model.hazard_ratio.tolist()
    )
    alone = fit_cox(patients.outcome.only(1), design.matrix[:, 1:])
    levels = [row for row in found["univariable"] if row["term"].startswith("grade")]
    assert [row["estimate"] for row in levels] == pytest.approx(alone.hazard_ratio.tolist())
    assert {row["contrast"] for row in found["groups"]} == {
        "intermediate against low",
        "high against low",
    }
    assert found["likelihood_ratio_p"]["estimate"] < 0.001
    assert found["proportional_hazards"][-1]["term"] == "all terms"


def test_missing_values_are_imputed_and_complete_cases_stand_beside():
    """As many imputations as percent of gaps; the interval is wider than without gaps."""
    whole, holed = made(800, 2), made(800, 2, share=0.35)
    grouping = group_patients(whole, NONE)
    full = adjusted(whole, NONE, grouping)
    found = adjusted(holed, NONE, grouping)
    assert found["imputations"] == int(np.ceil(100 * holed.covariates[1].n_missing / 800))
    assert "Rubin" in term(found["multivariable"], "grade 3")["method"]
    ours, theirs = (term(one["multivariable"], "grade 3") for one in (found, full))
    width = [np.log(row["upper"] / row["lower"]) for row in (ours, theirs)]
    assert width[0] > width[1]
    assert found["complete_case"]["n"] == 800 - holed.covariates[1].n_missing
    again = adjusted(holed, NONE, grouping)
    assert again == found
    assert adjusted(holed, replace(NONE, seed=8), grouping) != found
    few = adjusted(holed, replace(NONE, imputations=3), grouping)
    assert few["imputations"] == 3


@pytest.mark.slow
def test_imputed_hazard_ratios_cover_the_truth():
    """Grade 3 against the others has a hazard ratio of exp(0.5) in 80 studies with 30% gaps."""
    held, studies = 0, 80
    for seed in range(studies):
        patients = made(400, 500 + seed, share=0.3)
        order = Covariate(name="s", kind="number", values=np.log(-np.log1p(-patients.risks[:, 0])))
        sets, _ = completed(patients, Settings(bootstrap=0, imputations=5, seed=seed))
        fits = []
        for covariates in sets:
            design = design_of([order, *covariates])
            fits.append(fit_cox(patients.outcome.only(1), design.matrix, names=design.names))
        names = fits[0].names
        at = next(k for k, name in enumerate(names) if name.startswith("grade 3"))
        low, high = pool_rubin(
            [fit.coef[at] for fit in fits],
            [fit.std_error[at] for fit in fits],
            n=fits[0].n_events,
            n_parameters=len(names),
        ).interval()
        held += low <= 0.5 <= high
    assert held / studies >= 0.88


def test_what_cannot_be_adjusted_for_says_why():
    """No covariates, a constant one, one with hardly a value."""
    patients = made(300, 4)
    grouping = group_patients(patients, NONE)
    assert "--adjust" in adjusted(replace(patients, covariates=()), NONE, grouping)["reason"]
    same = Covariate(name="site", kind="number", values=np.ones(300))
    assert (
        "same in all" in adjusted(replace(patients, covariates=(same,)), NONE, grouping)["reason"]
    )
    few = np.where(np.arange(300) < 4, np.arange(300.0), np.nan)
    empty = Covariate(name="cea", kind="number", values=few)
    found = adjusted(replace(patients, covariates=(empty,)), NONE, grouping)
    assert "too few" in found["reason"]


def test_a_constant_covariate_is_left_out_and_named():
    """The other numbers are those without it, with gaps in it or not; its name stands beside."""
    patients = made(400, 6)
    grouping = group_patients(patients, NONE)
    plain = adjusted(patients, NONE, grouping)
    assert plain["left_out"] == []
    gaps = np.where(np.arange(400) % 9 == 0, np.nan, 0.0)
    ct = Covariate(name="ct", kind="category", values=gaps, levels=("yes",))
    site = Covariate(name="site", kind="number", values=np.ones(400))
    more = replace(patients, covariates=(site, *patients.covariates, ct))
    found = adjusted(more, NONE, grouping)
    assert [row["column"] for row in found["left_out"]] == ["site", "ct"]
    assert [row["column"] for row in found["missing"]] == ["site", "age", "grade", "ct"]
    for key in set(plain) - {"left_out", "missing"}:
        assert found[key] == plain[key], key


def test_the_marker_is_linear_in_the_log_hazard():
    """A risk made from a score gives the score's own hazard ratio; 0 or 1 keeps the risk, named."""
    patients = made(400, 7)
    score = np.log(-np.log1p(-patients.risks[:, 0]))
    grouping = group_patients(patients, NONE)
    by_risk = adjusted(patients, NONE, grouping)["multivariable"][0]
    scored = adjusted(replace(patients, score=score), NONE, grouping)["multivariable"][0]
    assert by_risk["estimate"] == pytest.approx(scored["estimate"], rel=1e-9)
    assert "complementary log-log" in by_risk["term"]
    risks = patients.risks.copy()
    risks[3] = 0.0
    bounded = replace(patients, risks=risks)
    name, values = marker(bounded)
    assert "as it is" in name
    assert values == pytest.approx(risks[:, 0] / np.std(risks, ddof=1))
    contrasts = [row["contrast"] for row in risk_groups(bounded, grouping)["hazard_ratios"]]
    assert contrasts[-1] == name
    with pytest.raises(NotEstimable, match="do not vary"):
        marker(replace(patients, risks=np.full((400, 1), 0.2)))


def table(tmp_path, **columns):
    """A small wide table with further columns."""
    n = 60
    frame = pd.DataFrame(
        {
            "PATIENT": [f"P{i}" for i in range(n)],
            "time": np.linspace(1.0, 9.0, n),
            "event": np.arange(n) % 2,
            "risk": np.linspace(0.1, 0.8, n),
        }
        | columns
    )
    path = tmp_path / "p.csv"
    frame.to_csv(path, index=False)
    return path


def request(path, **changes):
    """Ask for it."""
    given = {"predictions": path, "time": "time", "event": "event", "horizons": (5.0,)}
    return Request(**(given | {"risks": ("risk",)} | changes))


def test_columns_are_numbers_or_categories_as_they_look_or_as_declared(tmp_path):
    """Seven different numbers make a number; a declared kind wins; gaps are kept."""
    n = 60
    path = table(
        tmp_path,
        age=np.where(np.arange(n) % 10 == 0, np.nan, 40.0 + np.arange(n)),
        grade=np.arange(n) % 3 + 1,
        stage=np.array(["II", "III"])[np.arange(n) % 2],
        arm=np.array(["yes", "no"])[np.arange(n) % 2],
    )
    read = read_patients(
        request(path, adjust=("age", "grade", "stage"), describe=("grade:number",), treatment="arm")
    )
    age, grade, stage = read.patients.covariates
    assert (age.kind, age.n_missing) == ("number", 6)
    assert (grade.kind, grade.levels) == ("category", ("1", "2", "3"))
    assert stage.levels == ("II", "III")
    assert read.patients.described[0].kind == "number"
    assert read.patients.treatment[:2].tolist() == [1.0, 0.0]
    assert ColumnSpec.parse("a:b").name == "a:b"


@pytest.mark.parametrize(
    ("column", "options", "code"),
    [
        ([f"free text {i}" for i in range(60)], {"adjust": ("x",)}, "EV014"),
        (["" for _ in range(60)], {"adjust": ("x",)}, "EV014"),
        (["a"] * 59 + ["3,5"], {"adjust": ("x:number",)}, "CO030"),
        ([f"{i},5" for i in range(60)], {"describe": ("x:number",)}, "CO031"),
        (["maybe"] * 60, {"treatment": "x"}, "CO037"),
        ([1] * 60, {"adjust": ("absent",)}, "CO007"),
    ],
)
def test_columns_that_cannot_be_used_are_refused(tmp_path, column, options, code):
    """Free text, empty columns, undeclared commas, words that are no yes or no, absent columns."""
    with pytest.raises(DataError) as caught:
        read_patients(request(table(tmp_path, x=column), **options))
    assert code in {one.code for one in caught.value.problems}


def test_table_one_counts_everybody_once():
    """Levels and not recorded add up to the patients, in all and in each cohort."""
    patients = made(300, 6, share=0.2)
    cohort = np.array(["a", "b"], dtype=object)[np.arange(300) % 2]
    sex = np.array([None if i % 7 == 0 else "fm"[i % 2] for i in range(300)], dtype=object)
    patients = replace(patients, cohort=cohort, subgroups={"sex": sex})
    found = characteristics(patients, group_patients(patients, NONE))
    assert [part["name"] for part in found["parts"]] == ["all patients", "a", "b"]
    for column in ("grade", "sex"):
        rows = [row for row in found["rows"] if row["column"] == column]
        assert rows[-1]["level"] == "not recorded"
        for place, part in enumerate(found["parts"]):
            assert sum(row["cells"][place]["n"] for row in rows) == part["n"]
    age = next(row for row in found["rows"] if row["column"] == "age")
    assert age["cells"][0]["median"] == pytest.approx(np.median(patients.covariates[0].values))
    relation = {row["column"]: row for row in found["relation"]}
    assert relation["age"]["spearman"] is not None
    high = [level["share"] for level in relation["grade"]["levels"]]
    assert high[2] > high[0]
