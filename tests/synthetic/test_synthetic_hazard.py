"""The stated hazards: coefficients, baselines and their integrals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from metastra.synthetic.covariates import TERMS, Covariates
from metastra.synthetic.hazard import (
    CUTS_DAYS,
    SITES,
    Baseline,
    Effect,
    HazardModel,
    PiecewiseHazard,
)

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL = HazardModel()


def test_every_term_has_an_effect_with_a_source():
    """No covariate is drawn for nothing, and each number says where it comes from."""
    assert {effect.term for effect in MODEL.effects} == {term.name for term in TERMS}
    assert all(effect.source for effect in MODEL.effects)


@pytest.mark.parametrize(
    ("change", "term"),
    [
        ({"age_years": np.array([80.0])}, "age"),
        ({"pt": np.array([4])}, "pT4"),
        ({"pn": np.array([2])}, "pN2"),
        ({"cea_ng_ml": np.array([8.0])}, "CEA"),
        ({"stroma_fraction": np.array([0.45])}, "stroma"),
        ({"budding": np.array([7])}, "budding"),
        ({"dmmr": np.array([True])}, "dMMR"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_unit_of_a_term_adds_its_coefficient(change, term):
    """A patient who differs from the reference by one unit has exactly that log hazard ratio."""
    effect = next(item for item in MODEL.effects if item.term == term)

    got = MODEL.linear_predictors(replace(Covariates.reference(), **change))[0]

    assert got == pytest.approx(effect.values, abs=1e-12)


def test_a_hazard_and_its_integral_agree():
    """The cumulative hazard is the sum over days of the hazard, and its inverse leads back."""
    hazard = PiecewiseHazard.of(MODEL.liver)
    days = np.arange(0.0, 2000.0)
    interval = np.searchsorted(CUTS_DAYS, days + 0.5, side="right") - 1
    brute = np.concatenate([[0.0], np.cumsum(hazard.per_day[interval])])[:-1]

    assert hazard.cumulative(days) == pytest.approx(brute, abs=1e-4)
    assert hazard.time_at(hazard.cumulative(days)) == pytest.approx(days, abs=1e-6)
    assert hazard.time_at(np.array([1e6]))[0] == np.inf


def test_seventy_percent_of_five_years_relapses_come_by_two():
    """The relapse shape has about two thirds of the 5-year cumulative hazard by two years."""
    by_two, by_five = PiecewiseHazard.of(MODEL.liver).cumulative(np.array([730.5, 1826.25]))

    assert 0.6 < by_two / by_five < 0.72


@pytest.mark.parametrize(
    "wrong",
    [
        {"effects": (Effect(term="height"),)},
        {"effects": (Effect(term="age"), Effect(term="age"))},
        {"lung": Baseline(per_year=0.1, shape=(1.0, 1.0))},
    ],
    ids=["unknown term", "term twice", "short baseline"],
)
def test_a_model_that_makes_no_sense_is_refused(wrong):
    """Unknown or repeated terms and baselines with missing intervals are refused at once."""
    with pytest.raises(ValueError, match=r"term|interval"):
        HazardModel(**wrong)


def test_the_documentation_prints_the_coefficients_in_force():
    """Each row of the documented table is the one the code has."""
    text = (REPOSITORY / "docs" / "explanation" / "synthetic-cohort.md").read_text("utf-8")
    units = {term.name: term.unit for term in TERMS}

    for effect in MODEL.effects:
        values = " | ".join(f"{value:+.2f}" if value else "0" for value in effect.values)
        assert f"| {effect.term} | {units[effect.term]} | {values} | {effect.source} |" in text
    for name, baseline in zip(
        [*SITES, "death of another cause"], [*MODEL.site_baselines, MODEL.death], strict=True
    ):
        shape = ", ".join(f"{value:g}" for value in baseline.shape)
        assert f"| {name} | {baseline.per_year:g} | {shape} |" in text
    assert f"{MODEL.relapse_death_per_year:g} per year" in text
    assert f"spread factor, {MODEL.spread_factor:g}," in text
