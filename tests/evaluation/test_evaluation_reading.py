"""Reading anybody's predictions: what is taken, what is refused, with which rows."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.catalogue import all_checks
from metastra.cohort.tables import TableFormat
from metastra.errors import ConfigError, DataError, Severity
from metastra.evaluation.reading import read_patients
from metastra.evaluation.request import Request
from metastra.synthetic.generate import synthetic_study
from metastra.synthetic.predictions import predictions_table
from metastra.synthetic.truth import read_truth

HEADER = ["PATIENT", "time", "event", "risk", "score", "sex", "neg"]


def rows(n=12):
    """A clean wide table; SECRET ids must never be seen again."""
    return [
        [f"SECRET-{i:03d}", f"{i + 1.5}", str(i % 3), f"{0.05 * i + 0.1:.2f}",
         f"{i - 6}", "fm"[i % 2], "0.5"]
        for i in range(n)
    ]  # fmt: skip


def write(path, header, body, sep=","):
    """Write a table."""
    path.write_text("\n".join(sep.join(map(str, line)) for line in [header, *body]) + "\n")
    return path


def request(path, **changes):
    """Ask for the wide table's risk at 4."""
    given = {"predictions": path, "time": "time", "event": "event", "horizons": (4.0,)}
    given |= {"risks": ("risk",)}
    return Request(**(given | changes))


def put(column, value, *at):
    """A change of some cells; at counts data rows from 0."""

    def change(header, body):
        for row in at or range(len(body)):
            body[row][header.index(column)] = value(body[row]) if callable(value) else value

    return change


def twice(header, body):
    """The third patient again at the end."""
    body.append(list(body[2]))


def near(header, body):
    """The third patient again in small letters."""
    body.append([body[2][0].lower(), *body[2][1:]])


BAD = [
    (put("event", "relapse", 3), {}, "EP001", (5,)),
    (put("event", "-1", 3), {}, "EP001", (5,)),
    (put("event", "TRUE", 0, 1), {}, "EP001", (2, 3)),
    (put("event", "0.5", 0), {}, "EP001", (2,)),
    (put("event", "", 2, 4), {}, "EP002", (4, 6)),
    (lambda h, b: [r.__setitem__(2, str(1 + i % 2)) for i, r in enumerate(b)], {}, "EP003", ()),
    (put("time", "", 1), {}, "EP004", (3,)),
    (put("time", "-2", 1), {}, "EP005", (3,)),
    (put("time", "0", 1), {}, "EP006", (3,)),
    (put("time", "99999", 11), {}, "EP008", (13,)),
    (put("time", "inf", 1), {}, "CO036", (3,)),
    (put("time", "x", 1), {}, "CO030", (3,)),
    (put("time", "2021-03-04", 1, 2), {}, "EV012", (3, 4)),
    (put("time", "04.03.2021", 1), {}, "EV012", (3,)),
    (put("neg", "50", 1), {"last_negative": "neg"}, "EP019", (3,)),
    (put("neg", "50", 1), {"entry": "neg"}, "EP007", (3,)),
    (put("risk", "1.2", 4), {}, "EV001", (6,)),
    (put("risk", lambda r: f"{100 * float(r[3]):.0f}"), {}, "EV001", tuple(range(2, 14))),
    (put("risk", lambda r: r[4]), {}, "EV002", None),
    (put("score", lambda r: r[3]), {"risks": (), "risk_score": "score"}, "EV003", ()),
    (put("risk", "0.3"), {}, "EV005", ()),
    (put("risk", "", 4), {}, "EV006", (6,)),
    (put("event", "0"), {}, "EV011", ()),
    (lambda h, b: [r.__setitem__(2, str(int(r is b[3]))) for r in b], {}, "EV011", ()),
    (put("sex", lambda r: r[0]), {"subgroups": ("PATIENT",)}, "EV013", ()),
    (None, {"horizons": (400.0,)}, "EP016", ()),
    (None, {"time": "tiem"}, "CO007", ()),
    (None, {"horizons": (2.0, 4.0)}, "EV008", ()),
    (None, {"risks": ("risk", "neg"), "horizons": (2.0, 4.0)}, "EV005", ()),
    (put("PATIENT", "", 1), {}, "CO010", (3,)),
    (twice, {}, "CO011", (4, 14)),
    (near, {}, "CO012", (4, 14)),
]  # fmt: skip


@pytest.mark.parametrize(("change", "options", "code", "where"), BAD)
def test_bad_input_is_refused_with_its_code_and_rows(tmp_path, change, options, code, where):
    """Each fault has its code, its rows as an editor shows them, and a remedy; no id is shown."""
    body = rows()
    if change is not None:
        change(HEADER, body)
    path = write(tmp_path / "p.csv", HEADER, body)
    with pytest.raises(DataError) as caught:
        read_patients(request(path, **options))
    found = [one for one in caught.value.problems if one.code == code]
    assert found, [str(one) for one in caught.value.problems]
    assert found[0].severity is Severity.REFUSE
    assert found[0].hint
    if where is not None:
        assert found[0].where.rows == where
    assert "secret" not in str(caught.value).lower()


def test_an_undeclared_decimal_comma_is_refused_and_a_declared_one_read(tmp_path):
    """12,5 is neither text nor 125."""
    body = [[cell.replace(".", ",") for cell in line] for line in rows()]
    path = write(tmp_path / "p.csv", HEADER, body, sep=";")
    with pytest.raises(DataError) as caught:
        read_patients(request(path, format=TableFormat(delimiter=";")))
    assert {one.code for one in caught.value.problems} == {"CO031"}
    read = read_patients(request(path, format=TableFormat(delimiter=";", decimal=",")))
    assert read.patients.outcome.time[0] == 1.5


def test_all_problems_are_told_at_once(tmp_path):
    """One run names every fault, not the first."""
    body = rows()
    for change in (put("event", "", 0), put("time", "-1", 1), put("risk", "7", 2), twice):
        change(HEADER, body)
    with pytest.raises(DataError) as caught:
        read_patients(request(write(tmp_path / "p.csv", HEADER, body)))
    assert {"EP002", "EP005", "EV001", "CO011"} <= {one.code for one in caught.value.problems}


def test_event_codes_may_be_written_as_decimals_and_the_cause_chosen(tmp_path):
    """1.0 is 1; with --cause 2 the codes 1 and 3 compete."""
    body = rows()
    put("event", lambda r: f"{r[2]}.0")(HEADER, body)
    body[3][2] = "3"
    path = write(tmp_path / "p.csv", HEADER, body)
    read = read_patients(request(path, cause=2))
    assert read.patients.outcome.n_events(1) == 4
    assert read.patients.outcome.n_events(2) == 5


def test_outcomes_of_their_own_are_joined_by_id(tmp_path):
    """Order does not matter; patients of the outcomes without prediction are counted."""
    body = rows()
    predictions = write(tmp_path / "p.csv", ["PATIENT", "risk"], [[r[0], r[3]] for r in body[1:]])
    table = [r[:3] for r in reversed(body)]
    outcomes = write(tmp_path / "o.csv", HEADER[:3], table)
    read = read_patients(request(predictions, outcomes=outcomes))
    assert read.patients.outcome.time.tolist() == [i + 1.5 for i in range(1, 12)]
    assert read.patients.risks[:, 0].tolist() == [float(r[3]) for r in body[1:]]
    assert [one.code for one in read.problems] == ["EV010"]
    assert read.problems[0].where.rows == (13,)
    assert read.flow["outcomes_without_prediction"] == 1


def test_predictions_without_an_outcome_refuse_unless_accepted(tmp_path):
    """Unmatched patients are counted by row, near spellings found; accepted ones are excluded."""
    body = rows()
    predictions = write(tmp_path / "p.csv", ["PATIENT", "risk"], [[r[0], r[3]] for r in body])
    outcomes = write(tmp_path / "o.csv", HEADER[:3], [r[:3] for r in body[:10]])
    with pytest.raises(DataError) as caught:
        read_patients(request(predictions, outcomes=outcomes))
    assert caught.value.problems[0].code == "EV009"
    assert caught.value.problems[0].where.rows == (12, 13)
    read = read_patients(request(predictions, outcomes=outcomes, accept=frozenset({"EV009"})))
    assert read.flow == {
        "predicted": 12,
        "without_outcome": 2,
        "not_assessable": 0,
        "judged": 10,
        "outcomes_without_prediction": 0,
    }
    body[4][0] = body[4][0].replace("SECRET-004", "SECRET-4")
    write(outcomes, HEADER[:3], [r[:3] for r in body])
    with pytest.raises(DataError) as caught:
        read_patients(request(predictions, outcomes=outcomes))
    assert [(one.code, one.where.rows) for one in caught.value.problems] == [("CO015", (6,))]


def long_rows():
    """Two horizons for each patient."""
    return [
        [r[0], h, k, f"{float(r[3]) * h / 8:.3f}", r[1], r[2]]
        for k, r in enumerate(rows())
        for h in (2, 4)
    ]


LONG = ["PATIENT", "horizon", "fold", "risk", "time", "event"]


def test_long_tables_are_read_by_horizon(tmp_path):
    """One prediction for each patient and horizon, in the order of --horizon."""
    path = write(tmp_path / "p.csv", LONG, long_rows())
    read = read_patients(request(path, horizons=(2.0, 4.0)))
    assert read.is_long
    assert read.patients.n == 12
    assert read.patients.risks[3].tolist() == [0.062, 0.125]
    assert read.patients.folds == 12
    only = read_patients(request(path, horizons=(4.0,)))
    assert only.patients.risks.shape == (12, 1)


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        (lambda b: b.append([b[4][0], 2, 9, *b[4][3:]]), "EV007", (6, 26)),
        (lambda b: b.pop(5), "EV008", (6,)),
        (lambda b: b[5].__setitem__(4, "9"), "CO023", (6, 7)),
        (lambda b: b[5].__setitem__(3, "0.01"), "EV004", (6,)),
        (lambda b: b[5].__setitem__(1, "x"), "CO030", (7,)),
    ],
)
def test_long_tables_that_do_not_fit_are_refused_with_rows(tmp_path, change, code, where):
    """Repeats over folds, gaps, differing outcomes and falling risks each have their code."""
    body = long_rows()
    change(body)
    with pytest.raises(DataError) as caught:
        read_patients(request(write(tmp_path / "p.csv", LONG, body), horizons=(2.0, 4.0)))
    found = {one.code: one.where.rows for one in caught.value.problems}
    assert found[code] == where


def test_patients_with_a_reason_are_excluded_and_counted(tmp_path):
    """The synthetic study's predictions: in = judged + not assessable."""
    truth = read_truth(synthetic_study(n_patients=120, seed=2)["truth/truth.csv"])
    table = predictions_table(truth)
    chosen = table["PATIENT"].unique()
    table["time"] = table["PATIENT"].map({p: 10 + i % 40 for i, p in enumerate(chosen)})
    table["event"] = table["PATIENT"].map({p: i % 2 for i, p in enumerate(chosen)})
    table["bundle"] = "sha256:abc"
    table.to_csv(tmp_path / "predictions.csv", index=False)
    read = read_patients(
        request(tmp_path / "predictions.csv", horizons=(12.0, 24.0, 36.0), risk_score="risk_score")
    )
    out = int((truth["eligible"] == 0).sum())
    assert out > 0
    assert read.flow["not_assessable"] == out
    assert read.flow["judged"] == 120 - out == read.patients.n
    assert read.bundle == "sha256:abc"
    assert np.isfinite(read.patients.risks).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"horizons": ()},
        {"horizons": (4.0, 2.0)},
        {"risks": ()},
        {"cause": 0},
        {"risks": ("a", "b", "c"), "horizons": (1.0, 2.0)},
        {"accept": frozenset({"EP002"})},
    ],
)
def test_requests_that_contradict_themselves_are_usage_errors(tmp_path, wrong):
    """What can be known without the tables is said before they are opened."""
    with pytest.raises(ConfigError):
        request(tmp_path / "none.csv", **wrong)


def test_every_code_of_the_family_stands_in_the_catalogue():
    """EV001 to EV016 are found in tables, EV021 to EV040 in results; others begin at EV041."""
    codes = {code for code in all_checks() if code.startswith("EV") and code < "EV041"}
    assert codes == {f"EV{n:03d}" for n in [*range(1, 17), *range(21, 41)]}


def by_folds(change=None, folds=(0, 1, 2)):
    """A long table in which every fold's model predicts every patient."""
    body = []
    for line in long_rows():
        for fold in folds:
            again = list(line)
            again[2], again[3] = fold, f"{float(line[3]) * (1.0 + 0.1 * fold):.6f}"
            body.append(again)
    if change is not None:
        change(body)
    return body


def test_several_folds_are_averaged_when_that_is_accepted(tmp_path):
    """PATIENT × horizon × fold: refused by default, with --accept EV007 the mean is judged."""
    path = write(tmp_path / "p.csv", LONG, by_folds())
    with pytest.raises(DataError) as caught:
        read_patients(request(path, horizons=(2.0, 4.0)))
    assert [one.code for one in caught.value.problems] == ["EV007"]
    assert "--accept EV007" in caught.value.problems[0].hint

    read = read_patients(request(path, horizons=(2.0, 4.0), accept=frozenset({"EV007"})))

    one = read_patients(
        request(write(tmp_path / "one.csv", LONG, long_rows()), horizons=(2.0, 4.0))
    )
    assert read.patients.n == 12
    assert read.patients.risks == pytest.approx(1.1 * one.patients.risks, abs=1e-6)
    assert [problem.code for problem in read.problems] == ["EV007"]
    assert read.problems[0].severity is Severity.WARN
    assert "12 patients are predicted by several folds" in read.problems[0].found


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda b: b[1].__setitem__(2, 0), "EV007"),
        (lambda b: b[1].__setitem__(3, ""), "EV006"),
        (lambda b: b[1].__setitem__(3, "1.2"), "EV001"),
    ],
)
def test_one_bad_row_of_a_fold_is_not_averaged_away(tmp_path, change, code):
    """The same fold twice, an empty cell and a risk above 1 stay refused, with their row."""
    path = write(tmp_path / "p.csv", LONG, by_folds(change))
    asked = request(path, horizons=(2.0, 4.0), accept=frozenset({"EV007"}))
    with pytest.raises(DataError) as caught:
        read_patients(asked)
    found = {one.code: one.where.rows for one in caught.value.problems}
    assert 3 in found[code]
