"""TNM strings: what hospitals write is read, what does not exist is refused, and why."""

from __future__ import annotations

import re

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from metastra.cohort.tables import read_table
from metastra.cohort.tnm import Tnm, parse_tnm
from metastra.errors import DataError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ypT4a N1b cM1c", Tnm(y=True, t="4", t_sub="a", t_prefix="p", n="1", n_sub="b", m="1",
                               m_sub="c", m_prefix="c")),
        ("pT3 N2b cM1a", Tnm(t="3", t_prefix="p", n="2", n_sub="b", m="1", m_sub="a",
                             m_prefix="c")),
        ("yT3 N0 cM0", Tnm(y=True, t="3", n="0", m="0", m_prefix="c")),
        ("pT3 N1b M1a", Tnm(t="3", t_prefix="p", n="1", n_sub="b", m="1", m_sub="a")),
        ("T4a N2a M1c", Tnm(t="4", t_sub="a", n="2", n_sub="a", m="1", m_sub="c")),
        ("pTis N0", Tnm(t="is", t_prefix="p", n="0")),
        ("pTis(DCIS) pN0(sn)", Tnm(t="is", t_sub="DCIS", t_prefix="p", n="0", n_prefix="p",
                                   n_method="sn")),
        ("pT2(m) N0(i-) M0", Tnm(t="2", t_prefix="p", multiple=True, n="0", n_sub="i-", m="0")),
        ("pT2(3) N0", Tnm(t="2", t_prefix="p", multiple=True, tumours=3, n="0")),
        ("pT1c pN1mi cM0(i+)", Tnm(t="1", t_sub="c", t_prefix="p", n="1", n_sub="mi", n_prefix="p",
                                   m="0", m_sub="i+", m_prefix="c")),
        ("pTX NX M0", Tnm(t="X", t_prefix="p", n="X", m="0")),
        ("T1b1", Tnm(t="1", t_sub="b1")),
        ("Ta N0 M0", Tnm(t="a", n="0", m="0")),
        ("rpT2 aN", None),
        ("rpT2 N0", Tnm(r=True, t="2", t_prefix="p", n="0")),
        ("aT2", Tnm(a=True, t="2")),
        ("pT3 pN0 L0 V0 Pn1 R0", Tnm(t="3", t_prefix="p", n="0", n_prefix="p",
                                     others=("L0", "V0", "Pn1", "R0"))),
        ("pT3, pN1a (2/14), L0, V0, G2", Tnm(t="3", t_prefix="p", n="1", n_sub="a", n_prefix="p",
                                             nodes=(2, 14), others=("L0", "V0", "G2"))),
        ("pT4b N2 M1a(HEP)", Tnm(t="4", t_sub="b", t_prefix="p", n="2", m="1", m_sub="a",
                                 m_sites=("HEP",))),
        ("M1(HEP,PUL)", Tnm(m="1", m_sites=("HEP", "PUL"))),
        ("T 3 N 0 M 0", Tnm(t="3", n="0", m="0")),
    ],
)  # fmt: skip
def test_strings_of_the_field(text, expected):
    """Each string means what a pathologist means by it."""
    if expected is None:
        with pytest.raises(DataError):
            parse_tnm(text)
    else:
        assert parse_tnm(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no T, N or M"),
        ("R0", "no T, N or M"),
        ("pT5", "T5 does not exist"),
        ("T12", "T12 does not exist"),
        ("T3 N7 M0", "N7 does not exist"),
        ("T3 N0 M2", "M2 does not exist"),
        ("Nis", "Nis does not exist"),
        ("T2mi", "T2mi does not exist"),
        ("pT3 N0 N1", "N stands twice (N0 and N1)"),
        ("pT3 N0 N0", "N stands twice"),
        ("N0 T3", "N stands before T"),
        ("T3 M0 N0", "M stands before N"),
        ("T3 No M0", "the letter O"),
        ("TO N0", "the letter O"),
        ("pT3/N1", "cannot read '/N1'"),
        ("T3 N1d", "cannot read 'd'"),
        ("T0a", "cannot read 'a'"),
        ("T3 N- M0", "N is followed by '- M0'"),
        ("pT1cN0", "two readings, T1c N and T1 cN"),
        ("N1cM0", "two readings"),
        ("T2 aN1", "the descriptor a stands before N"),
        ("T3(x)", "(x) after T3 cannot be read"),
        ("T3(1)", "(1) after T3"),
        ("N1(i+)", "(i+) after N1"),
        ("N1(15/14)", "(15/14) after N1"),
        ("M0(HEP)", "(HEP) after M0"),
        ("M1(LIVER)", "(LIVER) after M1"),
        ("pT3 L5", "L5 does not exist"),
        ("pT3 R0 R1", "R stands twice"),
        ("Stage III", "cannot read 'Stage III'"),
    ],
)
def test_what_is_wrong_is_said(text, message):
    """The error names the category or the place, so that the row can be mended."""
    with pytest.raises(DataError) as caught:
        parse_tnm(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("pT3N1aM0", "pT3 N1a M0"),
        ("pt3 n1A m0", "pT3 N1a M0"),
        ("  pT3;N1a;M0 ", "pT3 N1a M0"),
        ("N0cM0", "N0 cM0"),
        ("pT1cpN0", "pT1c pN0"),
        ("ypT0 ypN0", "ypT0 pN0"),
        ("pT3 pn1", "pT3 pN1"),
        ("pT3 Pn1 N0", "pT3 N0 Pn1"),
        ("G2 pT3 r1", "pT3 G2 R1"),
        ("Tx Nx Mx", "TX NX MX"),
        ("N0(I–)", "N0(i-)"),
    ],
)
def test_one_normal_form(text, same):
    """Space, case and order of the other fields do not matter; Pn is not pN."""
    assert str(parse_tnm(text)) == same


LETTERS = st.sampled_from(["", "c", "p"])


@st.composite
def classifications(draw) -> Tnm:
    """Any classification that the grammar can write."""
    t = draw(st.sampled_from(["", "X", "0", "is", "a", "1", "2", "3", "4"]))
    n = draw(st.sampled_from(["", "X", "0", "1", "2", "3"]))
    m = draw(st.sampled_from(["", "X", "0", "1"]) if t or n else st.sampled_from(["X", "0", "1"]))
    t_subs = {"is": ["", "DCIS", "LCIS", "Paget"], "1": ["", "mi", "a", "b1", "c", "d2"]}
    n_subs = {"0": ["", "i-", "i+", "mol-", "mol+"], "1": ["", "mi", "a", "b", "c"]}
    m_subs = {"0": ["", "i+"], "1": ["", "a", "b", "c", "d"]}
    multiple = bool(t) and draw(st.booleans())
    nodes = st.tuples(st.integers(0, 9), st.integers(9, 40))
    sites = st.lists(st.sampled_from(["HEP", "PUL", "PER"]), unique=True).map(tuple)
    others = st.tuples(*(st.sampled_from(pair) for pair in (("L0", "LX"), ("V2",), ("Pn1", "Pn0"))))
    return Tnm(
        t=t,
        t_sub=draw(st.sampled_from(t_subs.get(t, ["", "a", "c"] if t in "234" and t else [""]))),
        n=n,
        n_sub=draw(st.sampled_from(n_subs.get(n, ["", "a", "c"] if n in "23" and n else [""]))),
        m=m,
        m_sub=draw(st.sampled_from(m_subs.get(m, [""]))),
        t_prefix=draw(LETTERS) if t else "",
        n_prefix=draw(LETTERS) if n else "",
        m_prefix=draw(LETTERS) if m else "",
        y=draw(st.booleans()),
        r=draw(st.booleans()),
        a=draw(st.booleans()),
        multiple=multiple,
        tumours=draw(st.none() | st.integers(2, 99)) if multiple else None,
        n_method=draw(st.sampled_from(["", "sn", "f"])) if n else "",
        nodes=draw(st.none() | nodes) if n else None,
        m_sites=draw(sites) if m == "1" else (),
        others=draw(st.just(()) | others),
    )


@settings(max_examples=150, deadline=None)
@given(tnm=classifications(), upper=st.booleans(), separator=st.sampled_from([" ", ", ", ";  "]))
def test_the_normal_form_is_read_back(tnm, upper, separator):
    """Every classification survives its normal form, in any case and with any separator."""
    text = str(tnm)
    assert parse_tnm(text) == tnm
    if upper and not any(other.startswith("Pn") for other in tnm.others):
        text = text.upper()
    assert parse_tnm(text.replace(" ", separator)) == tnm


@settings(deadline=None)
@given(classifications())
def test_without_spaces_the_reading_is_the_same_or_refused(tnm):
    """Leaving out the spaces never changes the meaning: the string is equal or has two readings."""
    joined = str(tnm).replace(" ", "")
    two_readings = re.search(r"[TNM][1-4]c[NM]", joined)
    if two_readings:
        with pytest.raises(DataError, match="two readings"):
            parse_tnm(joined)
    else:
        assert parse_tnm(joined) == tnm


@given(st.text("TNMcpyra01234XisOo mi()/-+,", max_size=12))
def test_any_text_is_read_or_refused(text):
    """No text raises anything but `DataError`, and what is read has a stable normal form."""
    try:
        tnm = parse_tnm(text)
    except DataError:
        return
    assert parse_tnm(str(tnm)) == tnm


@pytest.mark.parametrize(
    ("text", "expected"), [("M1a", True), ("cM0", False), ("T3 MX", None), ("T3", None)]
)
def test_metastasis_is_stated_or_not(text, expected):
    """M says yes, no, or nothing."""
    assert parse_tnm(text).metastasis is expected


def test_the_real_strings_are_read(shared):
    """All 28 strings of the ORION cohort are read and keep their meaning in normal form."""
    table, _ = read_table(shared / "data/orion_crc_cohort/patients.csv")
    assert table is not None
    cells = table.column("TNMAtDiagnosis")
    assert len(cells) == 28
    assert [str(parse_tnm(cell)) for cell in cells] == list(cells)
    assert sum(parse_tnm(cell).y for cell in cells) == 5
