"""From maps to fractions, and from fractions to codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.errors import Problem, Where
from metastra.tissue.focus import Focus
from metastra.tissue.light import Light
from metastra.tissue.rules import CODES, SLIDE_RULES
from metastra.tissue.sharpness import blur_um

__all__ = ["LEAST_TISSUE_MM2", "LEAST_TISSUE_SHARE", "Verdict", "judge"]

LEAST_TISSUE_MM2 = 0.1
"""Tissue below which a slide of known scale is not assessable, unless it is a twentieth of it."""
LEAST_TISSUE_SHARE = 0.001
"""Share of the picture below which a slide of unknown scale is not assessable."""

_SMALL_SHARE = 0.05
_OF_TISSUE = {"fold", "fading"}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The numbers and codes of a slide, as `metastra.tissue.quality.SlideQuality` gives them.

    Parameters
    ----------
    fractions, measures : mapping of str to float
        NaN where not assessable.
    codes : tuple of Problem
        What was found.
    assessable : bool
        Whether there is enough tissue.
    """

    fractions: Mapping[str, float]
    measures: Mapping[str, float]
    codes: tuple[Problem, ...]
    assessable: bool


def judge(
    name: str,
    tissue: NDArray[np.bool_],
    maps: Mapping[str, NDArray[np.bool_]],
    region: NDArray[np.bool_] | None,
    focus: Focus | None,
    light: Light,
    reasons: Mapping[str, str],
) -> Verdict:
    """Count the maps of a slide and give the codes they deserve.

    Parameters
    ----------
    name : str
        The slide's file name.
    tissue : bool array of shape (h, w)
        Tissue, inside the region where one was drawn.
    maps : mapping of str to bool array of shape (h, w)
        Artefacts that were assessed.
    region : bool array of shape (h, w) or None
        The drawn region; fractions of the picture are then fractions of it.
    focus : Focus or None
        Of the slide.
    light : Light
        Of the slide at the scale of the maps.
    reasons : mapping of str to str
        Why an artefact was not assessed.

    Returns
    -------
    Verdict
        Fractions, measures, codes and whether the slide is assessable.
    """
    frame = np.ones_like(tissue) if region is None else region
    fractions = {"tissue": _share(tissue, frame)}
    for artefact, found in maps.items():
        base = tissue if artefact in _OF_TISSUE else frame
        if artefact == "blur":
            base = focus.judged if focus is not None else tissue
        fractions[artefact] = _share(found, base)
    fractions |= dict.fromkeys(reasons, math.nan)
    measures = _measures(tissue, focus, light)
    enough, found_text, expected = _enough(fractions["tissue"], measures["tissue_mm2"], region)
    codes = []
    if not enough:
        codes.append(_code("tissue", name, found_text, expected=expected))
    for artefact, limit in SLIDE_RULES.items():
        share = fractions.get(artefact, math.nan)
        of_tissue = artefact in _OF_TISSUE or artefact == "blur"
        if share > limit and (enough or not of_tissue):
            base_text = _base_text(artefact, has_region=region is not None)
            codes.append(
                _code(
                    artefact,
                    name,
                    f"{share:.1%} of {base_text}",
                    expected=f"at most {limit:.1%}",
                )
            )
    if light.mpp is None:
        where = Where(file=name)
        codes.append(problem("QC010", "microns per pixel are not known", where=where))
    elif "blur" in reasons:
        codes.append(problem("QC011", reasons["blur"], where=Where(file=name)))
    return Verdict(fractions=fractions, measures=measures, codes=tuple(codes), assessable=enough)


def _share(found: NDArray[np.bool_], base: NDArray[np.bool_]) -> float:
    total = np.count_nonzero(base)
    return float(np.count_nonzero(found & base) / total) if total else math.nan


def _measures(tissue: NDArray[np.bool_], focus: Focus | None, light: Light) -> dict[str, float]:
    mm2, blur, stain = math.nan, math.nan, math.nan
    pixels = np.count_nonzero(tissue)
    if light.mpp is not None:
        mm2 = float(pixels * light.mpp**2 / 1e6)
    if focus is not None and np.isfinite(focus.ratio[: focus.spread]).any():
        blur = float(blur_um(np.array([np.nanmedian(focus.ratio[: focus.spread])]))[0])
    if pixels:
        stain = float(np.percentile(light.density[..., 1][tissue], 90))
    return {"tissue_mm2": mm2, "blur_um": blur, "stain": stain}


def _enough(share: float, mm2: float, region: NDArray[np.bool_] | None) -> tuple[bool, str, str]:
    whole = "the picture" if region is None else "the region"
    if math.isnan(share):
        return False, "the region lies outside the slide", ""
    if math.isnan(mm2):
        found = f"tissue is {share:.2%} of {whole}"
        return share >= LEAST_TISSUE_SHARE, found, f"at least {LEAST_TISSUE_SHARE:.1%}"
    found = f"{mm2:.3g} mm² of tissue, {share:.2%} of {whole}"
    expected = f"at least {LEAST_TISSUE_MM2} mm², or {_SMALL_SHARE:.0%} of {whole}"
    return mm2 >= LEAST_TISSUE_MM2 or share >= _SMALL_SHARE, found, expected


def _base_text(artefact: str, *, has_region: bool) -> str:
    if artefact == "blur":
        return "the tissue whose focus was judged"
    if artefact in _OF_TISSUE:
        return "the tissue"
    return "the region" if has_region else "the picture"


def _code(artefact: str, name: str, found: str, *, expected: str = "") -> Problem:
    return problem(CODES[artefact], found, where=Where(file=name), expected=expected)
