"""The study with slides: few patients, of whom more have events, and tissue that says more.

Painting and reading a slide costs a second, so the demo has slides for some hundred patients.  In
so few the truth of the tables-only study cannot be seen by any method: it would have ten events to
learn from.  Two things are therefore different, and stated: who comes to surgery, and how much the
tissue adds to what the tables show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from metastra.synthetic.case_mix import COHORTS, Centre, CohortPlan
from metastra.synthetic.hazard import Effect, HazardModel

__all__ = ["PAINTED_COHORTS", "PAINTED_PATIENTS", "PAINTED_SLIDE_MM2", "PAINTED_TRUTH"]

PAINTED_PATIENTS = 440
"""Of the demo with slides, in all cohorts together."""
PAINTED_SLIDE_MM2 = 0.35
"""Area of a slide of the demo, glass included: some twenty tiles of 112 µm."""

_STRONGER: Mapping[str, float] = {"stroma": 2.8, "lymphocytes": 2.6}
"""By what the log hazard ratios of relapse are multiplied; all others are as they were."""
_LIVER_PER_YEAR = 0.029
"""Lower than in the tables-only study, so that the risks by stage stay near the published ones."""
_SHARES: Mapping[str, float] = {"north": 0.38, "rhine": 0.32, "south": 0.30}
_STAGE_I_COMES, _STAGE_IV_COMES = 0.3, 0.4
_SCANNER: Mapping[str, str] = {"Orbit 450": "Falter 3D"}
"""Instead of the first the second: what no development hospital has would be a study of its own."""
_MPP: Mapping[str, float] = {"Aurora S60": 0.5, "Falter 3D": 0.4856, "Pelican 2": 0.465}
"""At 20x, µm per pixel: half the pixels a side of what two of the scanners can do."""


def _stronger(effect: Effect) -> Effect:
    factor = _STRONGER.get(effect.term, 1.0)
    return replace(
        effect,
        liver=round(factor * effect.liver, 3),
        peritoneum=round(factor * effect.peritoneum, 3),
        lung=round(factor * effect.lung, 3),
        local=round(factor * effect.local, 3),
    )


def _truth() -> HazardModel:
    plain = HazardModel()
    return replace(
        plain,
        effects=tuple(_stronger(effect) for effect in plain.effects),
        liver=replace(plain.liver, per_year=_LIVER_PER_YEAR),
    )


def _centre(centre: Centre) -> Centre:
    one, two, three, four = centre.stages
    kept = _STAGE_I_COMES * one, two, _STAGE_IV_COMES * four
    moved = three + (one - kept[0]) + (four - kept[2])
    stages = (round(kept[0], 4), two, round(moved, 4), round(kept[2], 4))
    scanner = _SCANNER.get(centre.scanner, centre.scanner)
    return replace(centre, stages=stages, scanner=scanner, mpp=_MPP[scanner])


PAINTED_TRUTH: HazardModel = _truth()
"""`HazardModel` with stronger effects of the tissue that slides show."""

PAINTED_COHORTS: tuple[CohortPlan, ...] = tuple(
    replace(
        plan, share=_SHARES[plan.name], centres=tuple(_centre(centre) for centre in plan.centres)
    )
    for plan in COHORTS
)
"""The same hospitals with three scanners; of stage I three in ten come, of stage IV two in five,
and stage III fills their places."""
