"""Artefacts as they happen: each kind in its share of slides, whatever the patient."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from metastra.synthetic.draws import Draws
from metastra.synthetic.painting.artefacts import Artefact
from metastra.synthetic.painting.classes import ArtefactKind

__all__ = ["SHARES", "draw_artefacts"]

SHARES: dict[ArtefactKind, float] = {
    ArtefactKind.FOLD: 0.10,
    ArtefactKind.PEN: 0.06,
    ArtefactKind.BLUR: 0.10,
    ArtefactKind.BUBBLE: 0.05,
    ArtefactKind.FADING: 0.04,
    ArtefactKind.BLANK: 0.03,
    ArtefactKind.DARK: 0.02,
}
"""Share of slides with each kind; chosen."""

_SIZES = {
    ArtefactKind.FOLD: (0.45, 0.0),
    ArtefactKind.PEN: (0.60, 0.0),
    ArtefactKind.BLUR: (0.35, 0.7),
    ArtefactKind.BUBBLE: (0.25, 0.85),
    ArtefactKind.FADING: (0.50, 0.7),
    ArtefactKind.BLANK: (0.20, 0.8),
    ArtefactKind.DARK: (0.20, 0.8),
}
"""Length as a share of the slide's shorter side, and width as a share of the length."""
_STRENGTHS = {
    ArtefactKind.FOLD: (0.7, 1.3),
    ArtefactKind.PEN: (0.6, 1.0),
    ArtefactKind.BLUR: (1.5, 5.0),
    ArtefactKind.BUBBLE: (0.6, 1.0),
    ArtefactKind.FADING: (0.45, 0.75),
    ArtefactKind.BLANK: (1.0, 1.0),
    ArtefactKind.DARK: (1.0, 1.0),
}
_STROKE_UM = {ArtefactKind.FOLD: (35.0, 75.0), ArtefactKind.PEN: (60.0, 140.0)}
_INKS = ("blue", "green", "black", "red")


def draw_artefacts(
    draws: Draws,
    *,
    width_um: float,
    height_um: float,
    shares: Mapping[ArtefactKind, float] = SHARES,
) -> tuple[Artefact, ...]:
    """Draw the artefacts of a slide.

    Parameters
    ----------
    draws : Draws
        Random numbers.
    width_um, height_um : float
        Of the slide.
    shares : mapping of ArtefactKind to float
        Probability of each kind; a kind without one does not happen.

    Returns
    -------
    tuple of Artefact
        At most one of each kind.

    Examples
    --------
    >>> draw_artefacts(Draws(seed=1), width_um=2000.0, height_um=1500.0, shares={})
    ()
    """
    found = []
    for kind in ArtefactKind:
        u = draws.uniform(f"artefact-{kind.value}", 8)
        if u[0] >= shares.get(kind, 0.0):
            continue
        share, aspect = _SIZES[kind]
        long = float((0.7 + 0.6 * u[1]) * share * min(width_um, height_um))
        low, high = _STROKE_UM.get(kind, (aspect * long, aspect * long))
        least, most = _STRENGTHS[kind]
        artefact = Artefact(
            kind=kind,
            x_um=round(float((0.25 + 0.5 * u[2]) * width_um), 1),
            y_um=round(float((0.25 + 0.5 * u[3]) * height_um), 1),
            long_um=round(long, 1),
            short_um=round(min(float(low + (high - low) * u[4]), long), 1),
            turn=round(float(np.pi * u[5]), 3),
            strength=round(float(least + (most - least) * u[6]), 3),
            ink=_INKS[int(u[7] * len(_INKS))],
        )
        found.append(artefact)
    return tuple(found)
