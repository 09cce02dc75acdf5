"""Stage groups against the published tables, cell by cell."""

from __future__ import annotations

from itertools import product

import hypothesis.strategies as st
import pytest
from hypothesis import given

from metastra.cohort.stage import (
    Stage,
    implied_stage_group,
    parse_stage,
    possible_stages,
    site_faults,
)
from metastra.cohort.tnm import parse_tnm
from metastra.errors import DataError

# AJCC 8th edition, colon and rectum, M0: rows T, columns N0, N1, N2a, N2b; typed in the layout of
# the staging poster, independently of the list of groups in the package.
COLORECTAL = {
    "Tis": ("0", None, None, None),
    "T1": ("I", "IIIA", "IIIA", "IIIB"),
    "T2": ("I", "IIIA", "IIIB", "IIIB"),
    "T3": ("IIA", "IIIB", "IIIB", "IIIC"),
    "T4a": ("IIB", "IIIB", "IIIC", "IIIC"),
    "T4b": ("IIC", "IIIC", "IIIC", "IIIC"),
}
# AJCC 8th edition, breast, anatomic stage, M0: rows T, columns N0, N1mi, N1, N2, N3.
BREAST = {
    "Tis": ("0", None, None, None, "IIIC"),
    "T0": (None, "IB", "IIA", "IIIA", "IIIC"),
    "T1": ("IA", "IB", "IIA", "IIIA", "IIIC"),
    "T2": ("IIA", "IIB", "IIB", "IIIA", "IIIC"),
    "T3": ("IIB", "IIIA", "IIIA", "IIIA", "IIIC"),
    "T4": ("IIIB", "IIIB", "IIIB", "IIIB", "IIIC"),
}


@pytest.mark.parametrize("t", COLORECTAL)
def test_the_colorectal_table(t):
    """Each cell of the colorectal table is implied, for every way to write N1."""
    for n, expected in zip(("N0", "N1", "N2a", "N2b"), COLORECTAL[t], strict=True):
        assert implied_stage_group(parse_tnm(f"{t} {n} M0")) == expected, n
    for n in ("N1a", "N1b", "N1c"):
        assert implied_stage_group(parse_tnm(f"{t} {n} M0")) == COLORECTAL[t][1]


@pytest.mark.parametrize("t", BREAST)
def test_the_breast_table(t):
    """Each cell of the anatomic table is implied."""
    for n, expected in zip(("N0", "N1mi", "N1", "N2", "N3"), BREAST[t], strict=True):
        assert implied_stage_group(parse_tnm(f"{t} {n} M0"), "breast") == expected, n
    assert implied_stage_group(parse_tnm("T1mi N0(i+) M0(i+)"), "breast") == "IA"


@given(
    t=st.sampled_from(["Tis", "T1", "T3", "T4a", "T4b", "TX"]),
    n=st.sampled_from(["N0", "N1", "N2b", "NX"]),
)
def test_metastasis_wins(t, n):
    """M1 is stage IV whatever T and N are, with the letter of M."""
    for sub in "abc":
        tnm = parse_tnm(f"{t} {n} M1{sub}")
        assert implied_stage_group(tnm) == f"IV{sub.upper()}"
    assert implied_stage_group(parse_tnm(f"{t} {n} M1")) == "IV"
    assert implied_stage_group(parse_tnm(f"{t} {n} M1"), "breast") == "IV"


@pytest.mark.parametrize(
    ("text", "site", "expected"),
    [
        ("T4 N0 M0", "colorectal", "II"),
        ("T4 N1 M0", "colorectal", "III"),
        ("T3 N2 M0", "colorectal", "III"),
        ("T4b N2 M0", "colorectal", "IIIC"),
        ("TX N1 M0", "colorectal", "III"),
        ("TX N0 M0", "colorectal", None),
        ("T3 NX M0", "colorectal", None),
        ("T3 N0", "colorectal", None),
        ("T3 N0 MX", "colorectal", None),
        ("ypT0 N0 M0", "colorectal", None),
        ("T3 N3 M0", "colorectal", None),
        ("TX N2 M0", "breast", "III"),
        ("TX N3 M0", "breast", "IIIC"),
        ("TX N1 M0", "breast", None),
        ("T3 N0 M0", "other", None),
        ("T3 N0 M1", "other", None),
    ],
)
def test_what_is_open_stays_open(text, site, expected):
    """An unknown category leaves the group where all cases agree, and nothing where they do not."""
    assert implied_stage_group(parse_tnm(text), site) == expected


def test_the_possible_stages_are_a_union_over_what_is_open():
    """An X stands for every category: its stages are those of all of them together."""
    for t, n in product(["T1", "T3", "TX"], ["N0", "N2a", "NX"]):
        ts = ["Tis", "T1", "T2", "T3", "T4a", "T4b"] if t == "TX" else [t]
        ns = ["N0", "N1", "N2a", "N2b"] if n == "NX" else [n]
        cells = [possible_stages(parse_tnm(f"{a} {b} M0")) for a, b in product(ts, ns)]
        assert possible_stages(parse_tnm(f"{t} {n} M0")) == frozenset().union(*cells)
    open_m = possible_stages(parse_tnm("T3 N0"))
    assert open_m == {"IIA", "IVA", "IVB", "IVC"}


def test_the_seventh_edition_has_no_m1c():
    """M1c does not exist in the 7th edition, and IVC with it."""
    assert possible_stages(parse_tnm("M1"), edition="AJCC-7") == {"IVA", "IVB"}
    assert possible_stages(parse_tnm("M1c"), edition="AJCC-7") == frozenset()
    assert site_faults(parse_tnm("T3 N0 M1c"), "colorectal", "AJCC-7") == ["M1c"]
    assert site_faults(parse_tnm("T3 N0 M1c"), "colorectal") == []


def test_categories_of_another_site_are_named():
    """N3, Ta, T4c and N2c are not colorectal; the breast has N3c and T4d."""
    assert site_faults(parse_tnm("T4c N3 M0"), "colorectal") == ["T4c", "N3"]
    assert site_faults(parse_tnm("Ta N2c M1d"), "colorectal") == ["Ta", "N2c", "M1d"]
    assert site_faults(parse_tnm("T4d N3c M0"), "breast") == []
    assert site_faults(parse_tnm("Ta N3 M1d"), "other") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Stage IIIB", "IIIB"),
        ("stage iiib", "IIIB"),
        ("III B", "IIIB"),
        ("3B", "IIIB"),
        ("3", "III"),
        ("3.0", "III"),
        ("Stadium IV", "IV"),
        ("UICC: IVA", "IVA"),
        ("pIIA", "IIA"),
        ("ypIII", "III"),
        ("Stage IIIC1", "IIIC1"),
        ("0", "0"),
        ("Tis", "0"),
        ("0is", "0is"),
        ("Stage X", "X"),
    ],
)
def test_stages_as_tables_write_them(text, expected):
    """Roman or Arabic, with or without the word stage."""
    assert str(parse_stage(text)) == expected


@pytest.mark.parametrize("text", ["[Not Available]", "[Discrepancy]", "[Unknown]", "N/A", " ", "?"])
def test_a_stage_that_is_not_known_is_none(text):
    """The words of TCGA and registries for not known are no stage and no error."""
    assert parse_stage(text) is None


@pytest.mark.parametrize(
    "text", ["V", "5", "IIII", "IIIE", "Stage", "pT3", "III/IV", "Duke B", "33"]
)
def test_what_is_no_stage_is_refused(text):
    """A text that is no stage raises."""
    with pytest.raises(DataError, match="no stage group"):
        parse_stage(text)


def test_stages_collapse_and_rank():
    """Subdivisions collapse; 0 to IV rank 0 to 4; X has no rank."""
    stages = [parse_stage(text) for text in ("0", "I", "IIA", "IIIB", "IVC", "X")]
    assert [stage.rank for stage in stages if stage] == [0, 1, 2, 3, 4, None]
    assert Stage(numeral="III", sub="B").group() == Stage(numeral="III")


def test_real_stage_columns_are_read(shared):
    """Every stage of the TCGA and METABRIC tables is read, with the known counts."""
    from metastra.cohort.table_format import TableFormat
    from metastra.cohort.tables import read_table

    for name, column, known in [
        ("tcga/cdr_brca.csv", "ajcc_pathologic_tumor_stage", 919),
        ("tcga/cdr_coadread.csv", "ajcc_pathologic_tumor_stage", 284),
        ("genomics/coadread_tcga_pub_samples.tsv", "TUMOR_STAGE_2009", None),
        ("genomics/brca_metabric_samples.tsv", "TUMOR_STAGE", None),
    ]:
        table, _ = read_table(shared / "data" / name, format=TableFormat(comment="#"))
        assert table is not None
        stages = [parse_stage(cell) for cell in table.column(column) if cell is not None]
        if known is not None:
            assert sum(stage is not None for stage in stages) == known
