"""The study file: every fault with its line, and a digest that layout does not change."""

from __future__ import annotations

import pytest

from metastra.errors import ConfigError
from metastra.study.lines import KeyLines
from metastra.study.load import load_study, parse_study
from metastra.study.paths import resolve_path

COMPLETE = """
[study]
name = "crc-liver-2y"
seed = 20260130
[endpoint]
name = "metachronous-liver-metastasis"
time_unit = "months"
horizons = [12, 24, 36]
primary_horizon = 24
time = "months"
event = "status"
[endpoint.codes]
"0" = "censored"
"1" = "event"
"2" = "competing"
[[cohort]]
name = "north"
role = "development"
clini_table = "north/clini.csv"
slide_table = "north/slides.csv"
slide_dir = "${METASTRA_SHARED}/north"
[slides]
encoder = "morphology"
target_mpp = 0.5
tile_px = 224
[clinical]
age = "continuous"
pT = { coding = "AJCC-8", kind = "ordinal" }
[validation]
folds = 5
group = ["PATIENT", "site"]
"""


def problems_of(text: str) -> list[tuple[str, tuple[int, ...], str]]:
    with pytest.raises(ConfigError) as caught:
        parse_study(text)
    return [(p.code, p.where.rows, f"{p.found}; {p.hint}") for p in caught.value.problems]


def line_of(text: str, start: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if line.startswith(start))


def test_the_contracts_example_is_read_as_it_stands():
    """Every key of the published example is known."""
    study = parse_study(COMPLETE)

    assert study.cohort[0].role == "development"
    assert study.clinical["age"].kind == "continuous"
    assert study.horizons_days == (365.25, 730.5, 1095.75)


@pytest.mark.parametrize(
    ("right", "wrong", "nearest"),
    [
        ("horizons =", "horizon =", "horizons"),
        ("clini_table =", "clinic_table =", "clini_table"),
        ("encoder =", "encodr =", "encoder"),
        ("folds =", "fold =", "folds"),
        ("seed =", "sede =", "seed"),
    ],
)
def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one(right, wrong, nearest):
    """A misspelled key names the line it stands on and what was probably meant."""
    text = COMPLETE.replace(right, wrong).replace("primary_horizon = 24\n", "")

    found = [item for item in problems_of(text) if item[0] == "ST001"]

    assert len(found) == 1
    assert found[0][1] == (line_of(text, wrong),)
    assert repr(nearest) in found[0][2]


def test_all_faults_are_named_at_once():
    """A study file with six faults gives six problems, not the first."""
    text = COMPLETE
    for right, wrong in {
        "seed = 20260130": 'seed = "x"',
        "[validation]": "[validaton]",
        'role = "development"': 'role = "training"',
        "horizons = [12, 24, 36]": "horizons = [12, -24, 36]",
        "target_mpp = 0.5": "target_mpp = -0.5",
        'age = "continuous"': 'age = "numeric"',
    }.items():
        text = text.replace(right, wrong)

    codes = [code for code, _, _ in problems_of(text)]

    assert sorted(codes) == ["ST001", *5 * ["ST002"]]


@pytest.mark.parametrize(
    ("right", "wrong", "code", "fragment"),
    [
        ("metachronous-liver-metastasis", "metachronus-liver-metastasis", "ST005", "did you mean"),
        ("primary_horizon = 24", "primary_horizon = 18", "ST006", "not among the horizons"),
        ("[12, 24, 36]", "[24, 12, 36]", "ST006", "ascend"),
        ('event = "status"\n', "", "ST006", "go together"),
        ('slide_dir = "${METASTRA_SHARED}/north"\n', "", "ST006", "no folder of slides"),
        ('role = "development"', 'role = "external"', "ST006", "role development"),
        ('"0" = "censored"\n"1" = "event"\n"2" = "competing"\n', "", "ST003", "no code map"),
        ("folds = 5", "folds = 5\nleave_one_cohort_out = true", "ST006", "at least two"),
        ("folds = 5", 'folds = 5\ntemporal_column = "y"', "ST006", "go together"),
        (
            "folds = 5",
            'folds = 5\nfold_files = "f"\nleave_one_cohort_out = true',
            "ST006",
            "two ways",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(right, wrong, code, fragment):
    """Statements that cannot both hold are named instead of one being ignored."""
    found = problems_of(COMPLETE.replace(right, wrong))

    assert any(item[0] == code and fragment in item[2] for item in found), found


def test_a_resolution_must_name_a_known_check():
    """`[[resolve]]` with an unknown code, or `set` without a column, is refused."""
    text = COMPLETE + '[[resolve]]\ncode = "XX999"\naction = "set"\nreason = "r"\n'

    found = [item[2] for item in problems_of(text)]

    assert any("no check XX999" in item for item in found)
    assert any("set needs column and value" in item for item in found)


@pytest.mark.parametrize(
    ("entries", "fragment"),
    [
        ('name = "a"\ncolumn = "weight"', "names no predictor: 'weight'"),
        ('name = "a"\ncolumn = "site_of_tumour"', "have no order"),
        ('name = "a"\ncolumn = "age"\n[[reference]]\nname = "a"\ncolumn = "age"', "two references"),
    ],
)
def test_a_reference_must_name_a_predictor_with_an_order(entries, fragment):
    """An unknown column, one without an order, and two of one name are refused."""
    text = COMPLETE.replace(
        "[validation]",
        f'[clinical.site_of_tumour]\nkind = "categorical"\nlevels = ["a", "b"]\n'
        f"[[reference]]\n{entries}\n[validation]",
    )

    found = [item[2] for item in problems_of(text)]

    assert any(fragment in item for item in found), found


def test_broken_toml_names_its_line():
    """A syntax error says on which line."""
    found = problems_of("[study]\nname = \n")

    assert [(code, rows) for code, rows, _ in found] == [("ST004", (2,))]


def test_the_digest_ignores_comments_and_layout_and_sees_every_setting():
    """The same settings have one digest; another seed has another."""
    same = parse_study("# a comment\n" + COMPLETE.replace(" = ", "="))
    other = parse_study(COMPLETE.replace("20260130", "20260131"))

    assert parse_study(COMPLETE).digest == same.digest
    assert parse_study(COMPLETE).digest != other.digest


def test_a_missing_study_file_says_what_to_do(tmp_path):
    """Without a study file the message names the command that makes one."""
    with pytest.raises(ConfigError, match="metastra init"):
        load_study(tmp_path)


def test_paths_take_environment_variables(tmp_path, monkeypatch):
    """`${NAME}` is filled in, and a variable that is not set is named."""
    (tmp_path / "study.toml").write_text(COMPLETE)
    study = load_study(tmp_path)
    monkeypatch.setenv("METASTRA_SHARED", str(tmp_path / "data"))

    assert resolve_path(study, study.cohort[0].slide_dir or "") == tmp_path / "data" / "north"
    assert resolve_path(study, "a.csv") == tmp_path / "a.csv"

    monkeypatch.delenv("METASTRA_SHARED")
    with pytest.raises(ConfigError, match="METASTRA_SHARED, which is not set"):
        resolve_path(study, study.cohort[0].slide_dir or "")


def test_key_lines_see_through_strings_tables_and_quotes():
    """Lines inside a long string are no keys; quoted and dotted keys are found."""
    text = 'a = """\nb = 1\n"""\n[x."y z"]\n"k" = 1\n[[t]]\nc.d = 2\n[[t]]\n[t.u]\ne = 3\n'
    lines = KeyLines(text)

    assert lines.line(("b",)) is None
    assert lines.line(("x", "y z", "k")) == 5
    assert lines.line(("t", 0, "c", "d")) == 7
    assert lines.line(("t", 1)) == 8
    assert lines.line(("t", 1, "u", "e")) == 10


def test_the_primary_model_is_what_the_study_has_unless_it_is_declared():
    """Clinical predictors and slides are combined; a study of tables stays clinical."""
    study = parse_study(COMPLETE)
    assert study.develops_on_slides
    assert study.primary_model == "combined"
    tables = COMPLETE.replace('slide_table = "north/slides.csv"\n', "").replace(
        'slide_dir = "${METASTRA_SHARED}/north"\n', ""
    )
    assert parse_study(tables).primary_model == "clinical"
    head, rest = COMPLETE.split("[clinical]")
    assert parse_study(head + rest[rest.index("[validation]") :]).primary_model == "slides"
    declared = parse_study(COMPLETE + '[model]\nprimary = "slides"\n')
    assert declared.primary_model == "slides"
    assert declared.digest != study.digest


def test_a_model_of_what_the_study_does_not_have_is_refused_with_its_line():
    """Neither a slide model without slides nor a clinical one without predictors."""
    tables = COMPLETE.replace('slide_table = "north/slides.csv"\n', "").replace(
        'slide_dir = "${METASTRA_SHARED}/north"\n', ""
    )
    text = tables + '[model]\nprimary = "slides"\nsteps = [20, 10]\n'
    found = problems_of(text)
    assert {code for code, _, _ in found} == {"ST006"}
    assert any(
        rows == (line_of(text, "primary ="),) and "no development cohort has slides" in said
        for _, rows, said in found
    )
    assert any("steps must ascend" in said for _, _, said in found)
    head, rest = COMPLETE.split("[clinical]")
    text = head + rest[rest.index("[validation]") :] + '[model]\nprimary = "combined"\n'
    assert any("no predictors under [clinical]" in said for _, _, said in problems_of(text))
