"""Whether a feature file is what the contract of a bundle promises to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from metastra.bundle.contract import SlideContract
from metastra.catalogue import problem
from metastra.digest import digest_value
from metastra.errors import Problem, Where
from metastra.features.bag import Bag
from metastra.slides.slide import is_he
from metastra.tissue.rules import CODES

__all__ = [
    "feature_problems",
    "grouped",
    "left_out",
    "mean_mpp",
    "other_region",
    "outside_words",
    "regions_of_bags",
    "stain_accepted",
]

_SAME = 1e-6
"""Relative difference of two scales that are one."""
_ABOUT = 0.02
"""Relative difference of two scales that no reader would tell apart."""


def feature_problems(slides: SlideContract, bag: Bag, name: str) -> list[Problem]:
    """Compare what made the features with what the contract demands.

    Parameters
    ----------
    slides : SlideContract
        Of a bundle.
    bag : Bag
        Of one slide; only what it says of itself is read.
    name : str
        What messages call the slide.

    Returns
    -------
    list of Problem
        BU025 encoder, BU026 engine or precision, BU027 scale or size of tiles; the whole
        prediction is refused with one of them.
    """
    origin, frame, where = bag.origin, bag.frame, Where(file=name)
    problems = []
    if (other := _other_encoder(slides, bag)) is not None:
        found, expected = other
        problems.append(problem("BU025", found, where=where, expected=expected))
    engine = (slides.engine, slides.precision)
    if slides.engine and (origin.engine, origin.precision) != engine:
        said = " ".join(word for word in (origin.engine, origin.precision) if word)
        found = f"computed by {said}" if said else "it does not say what computed it"
        problems.append(problem("BU026", found, where=where, expected=" ".join(engine)))
    for wanted, given, words in (
        (slides.target_mpp, frame.target_mpp, "µm per pixel of the tiles"),
        (slides.tile_px, frame.tile_px, "px a tile"),
        (slides.tile_side_um, frame.tile_side_um, "µm a tile"),
    ):
        if wanted is not None and (given is None or abs(given - wanted) > _SAME * wanted):
            found = "it does not say" if given is None else f"{given:g} {words}"
            expected = f"{wanted:g} {words}"
            problems.append(problem("BU027", found, where=where, expected=expected))
    return problems


def _other_encoder(slides: SlideContract, bag: Bag) -> tuple[str, str] | None:
    """Say what differs and what was expected."""
    origin = bag.origin
    if bag.dimension != slides.dimension:
        return f"{bag.dimension} features a tile", str(slides.dimension)
    if slides.encoder_digest and origin.encoder_digest != slides.encoder_digest:
        expected = f"{slides.encoder}, card {slides.encoder_digest[:12]}"
        if not origin.encoder_digest:
            return "it does not say which encoder made it", expected
        return f"{origin.encoder}, card {origin.encoder_digest[:12]}", expected
    if origin.encoder != slides.encoder:
        return f"encoder {origin.encoder or 'not named'}", slides.encoder or "not named"
    names = digest_value(list(origin.feature_names)) if origin.feature_names else ""
    if names != slides.names_digest:
        return "other names of features", "the names of the contract's encoder"
    return None


def grouped(problems: Sequence[Problem]) -> list[Problem]:
    """Say once what is wrong with many slides.

    Parameters
    ----------
    problems : sequence of Problem
        One for each slide.

    Returns
    -------
    list of Problem
        One for each thing that is wrong, at the first slide, with the number of the others.
    """
    alike: dict[tuple[str, str, str], list[Problem]] = {}
    for one in problems:
        alike.setdefault((one.code, one.found, one.expected), []).append(one)
    found = []
    for same in alike.values():
        more = f" (and so in {len(same) - 1} more slides)" if len(same) > 1 else ""
        found.append(replace(same[0], found=same[0].found + more))
    return found


def stain_accepted(slides: SlideContract, stain: str) -> bool:
    """Say whether the contract accepts a stain.

    Parameters
    ----------
    slides : SlideContract
        Of a bundle.
    stain : str
        As the slide table has it.

    Returns
    -------
    bool
        True for an empty cell, too.
    """
    return not stain or stain in slides.stains or ("H&E" in slides.stains and is_he(stain))


def left_out(slides: SlideContract, bag: Bag, stain: str, name: str) -> Problem | None:
    """Say why the contract leaves a slide out.

    Parameters
    ----------
    slides : SlideContract
        Of a bundle.
    bag : Bag
        Of the slide.
    stain : str
        As the slide table has it; empty where it says nothing.
    name : str
        What messages call the slide.

    Returns
    -------
    Problem or None
        BU028 another stain, BU029 a scale outside the accepted range.
    """
    where = Where(file=name)
    if not stain_accepted(slides, stain):
        expected = " or ".join(slides.stains)
        return problem("BU028", f"STAIN is {stain!r}", where=where, expected=expected)
    mpp = mean_mpp(bag)
    low, high = slides.mpp_low, slides.mpp_high
    if mpp is not None and low is not None and high is not None and not low <= mpp <= high:
        expected = f"{low:.4g} to {high:.4g}"
        return problem("BU029", f"{mpp:.4g} µm per pixel", where=where, expected=expected)
    return None


def regions_of_bags(bags: Sequence[Bag]) -> Literal["drawn", "whole", "mixed", ""]:
    """Say whether the tiles of slides came from drawn regions.

    Parameters
    ----------
    bags : sequence of Bag
        Of the slides.

    Returns
    -------
    {"drawn", "whole", "mixed", ""}
        Of the bags that say which tiles were left out; empty where none does.
    """
    told = {_limited(bag) for bag in bags} - {None}
    if len(told) == 2:
        return "mixed"
    return "" if not told else "drawn" if told == {True} else "whole"


def other_region(slides: SlideContract, bag: Bag, name: str) -> Problem | None:
    """Say whether a slide was limited to a drawn region where those of development were not.

    Parameters
    ----------
    slides : SlideContract
        Of a bundle.
    bag : Bag
        Of the slide.
    name : str
        What messages call the slide.

    Returns
    -------
    Problem or None
        BU034; None for a contract that does not say, or says that development had both.
    """
    wanted, limited = slides.regions, _limited(bag)
    if wanted not in ("drawn", "whole") or limited is (wanted == "drawn"):
        return None
    if limited is None and wanted == "whole":
        return None
    found = {
        True: "tiles from a drawn region",
        False: "tiles from the whole slide",
        None: "it does not say whether a region was drawn",
    }[limited]
    expected = "a drawn region, as in development" if wanted == "drawn" else "the whole slide"
    return problem("BU034", found, where=Where(file=name), expected=expected)


def _limited(bag: Bag) -> bool | None:
    """Say whether tiles were left out as outside a drawn region; None where the file is mute."""
    if bag.origin.dropped.get(CODES["region"], 0):
        return True
    return False if bag.origin.quality_digest else None


def mean_mpp(bag: Bag) -> float | None:
    """Give the scale of a slide.

    Parameters
    ----------
    bag : Bag
        Of the slide.

    Returns
    -------
    float or None
        Mean of x and y in micrometres per level-0 pixel; None where the file does not say.
    """
    return None if bag.frame.mpp is None else (bag.frame.mpp[0] + bag.frame.mpp[1]) / 2.0


def outside_words(slides: SlideContract, bag: Bag, scanner: str) -> list[str]:
    """Say in what a slide is unlike those of development.

    Parameters
    ----------
    slides : SlideContract
        Of a bundle.
    bag : Bag
        Of the slide.
    scanner : str
        As the slide table has it; empty where it says nothing.

    Returns
    -------
    list of str
        Empty where there is nothing to say.
    """
    words = []
    mpp, low, high = mean_mpp(bag), slides.validated_mpp_low, slides.validated_mpp_high
    if mpp is None or low is None or high is None:
        pass
    elif not low * (1.0 - _ABOUT) <= mpp <= high * (1.0 + _ABOUT):
        words.append(f"{mpp:.4g} µm per pixel ({low:.4g} to {high:.4g})")
    if scanner and slides.scanners and scanner not in slides.scanners:
        words.append(f"scanner {scanner} ({', '.join(slides.scanners)})")
    return words
