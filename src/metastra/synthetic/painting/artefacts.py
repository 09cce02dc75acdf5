"""Artefacts: where they lie, how strong they are, and what they do to stain and light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.errors import ConfigError
from metastra.synthetic.draws import Draws
from metastra.synthetic.painting.classes import ARTEFACT_BITS, ArtefactKind
from metastra.synthetic.painting.layout import CELL_UM
from metastra.synthetic.painting.noise import smooth_field

__all__ = [
    "Artefact",
    "Mask",
    "artefact_map",
    "cover",
    "disturb",
    "make_mask",
    "pale",
]

_F32 = NDArray[np.float32]
_INKS = {
    "blue": (2.2, 1.1, 0.25),
    "green": (1.9, 0.5, 1.3),
    "black": (1.8, 1.8, 1.7),
    "red": (0.15, 1.9, 1.7),
}
"""Optical density of ink in R, G and B."""


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """One artefact.

    Parameters
    ----------
    kind : ArtefactKind
        What it is.
    x_um, y_um : float
        Its middle.
    long_um, short_um : float
        Length and width of folds and pen strokes; full axes of everything else.
    turn : float
        Direction of its length, radians from x towards y; ``blank`` and ``dark`` are not turned.
    strength : float
        Fold: how much more stain (1 doubles it). Blur: standard deviation, µm. Fading: share of
        stain that is lost.  Pen, bubble: 0 to 1.  Not used for ``blank`` and ``dark``.
    ink : {"blue", "green", "black", "red"}
        Of a pen.

    Raises
    ------
    ConfigError
        If a size or a strength is out of range.
    """

    kind: ArtefactKind
    x_um: float
    y_um: float
    long_um: float
    short_um: float
    turn: float = 0.0
    strength: float = 1.0
    ink: str = "blue"

    def __post_init__(self) -> None:
        most = {ArtefactKind.FOLD: 3.0, ArtefactKind.BLUR: 12.0}.get(self.kind, 1.0)
        wrong = []
        if not 0 < self.short_um <= self.long_um:
            wrong.append(
                f"long_um {self.long_um} and short_um {self.short_um}: expected long ≥ short > 0"
            )
        if not 0 < self.strength <= most:
            wrong.append(f"strength {self.strength} is not within 0 to {most:g}")
        if self.ink not in _INKS:
            wrong.append(f"ink {self.ink!r} is none of {', '.join(_INKS)}")
        if wrong:
            raise ConfigError(f"artefact {self.kind.value}: " + "; ".join(wrong))


@dataclass(frozen=True, kw_only=True, eq=False)
class Mask:
    """How strongly an artefact acts at each place of a window of the coarse grid.

    Parameters
    ----------
    artefact : Artefact
        Whose.
    row, column : int
        First place of the window.
    values : ndarray of shape (rows, columns), float32
        From 0 to 1.
    """

    artefact: Artefact
    row: int
    column: int
    values: _F32

    def window(
        self, mpp: float, x_px: int, y_px: int, width: int, height: int
    ) -> tuple[slice, slice, _F32] | None:
        """Look at the mask in pixels of a painting.

        Parameters
        ----------
        mpp : float
            µm per pixel.
        x_px, y_px, width, height : int
            Of the painting.

        Returns
        -------
        tuple of (slice, slice, ndarray) or None
            Rows and columns of the painting that it touches, and the values there; None if it
            touches none.
        """
        rows, columns = self.values.shape
        top, left = self.row * CELL_UM, self.column * CELL_UM
        y0 = max(int(np.ceil(top / mpp - 0.5)), y_px)
        y1 = min(int((top + (rows - 1) * CELL_UM) / mpp - 0.5), y_px + height)
        x0 = max(int(np.ceil(left / mpp - 0.5)), x_px)
        x1 = min(int((left + (columns - 1) * CELL_UM) / mpp - 0.5), x_px + width)
        if y1 <= y0 or x1 <= x0:
            return None
        tall = _between(self.values, ((np.arange(y0, y1) + 0.5) * mpp - top) / CELL_UM)
        wide = _between(tall.T, ((np.arange(x0, x1) + 0.5) * mpp - left) / CELL_UM).T
        return slice(y0 - y_px, y1 - y_px), slice(x0 - x_px, x1 - x_px), wide


def _between(values: _F32, places: NDArray[np.floating]) -> _F32:
    """Interpolate along the first axis."""
    first = np.clip(places.astype(np.int64), 0, len(values) - 2)
    share = (places - first).astype(np.float32)[:, None]
    return np.asarray(values[first] + share * (values[first + 1] - values[first]), dtype=np.float32)


def make_mask(draws: Draws, artefact: Artefact, shape: tuple[int, int]) -> Mask | None:
    """Draw where exactly an artefact lies.

    Parameters
    ----------
    draws : Draws
        Random numbers: how folds and strokes bend, how patches are shaped.
    artefact : Artefact
        What and where.
    shape : tuple of int
        Rows and columns of the coarse grid.

    Returns
    -------
    Mask or None
        None if it lies outside the slide.
    """
    reach = 0.75 * float(np.hypot(artefact.long_um, artefact.short_um)) + 40.0
    rows = _span(artefact.y_um, reach, shape[0])
    columns = _span(artefact.x_um, reach, shape[1])
    if rows.stop - rows.start < 2 or columns.stop - columns.start < 2:
        return None
    y, x = np.mgrid[rows, columns] * CELL_UM
    dx, dy = x - artefact.x_um, y - artefact.y_um
    # drawn for the whole window, so that cutting at the edge of the slide changes nothing inside
    wave = smooth_field(draws, "wave", dx.shape, spacing_um=90.0, cell_um=CELL_UM)
    values = _shape(artefact, dx, dy, wave)
    return Mask(
        artefact=artefact,
        row=rows.start,
        column=columns.start,
        values=np.clip(values, 0.0, 1.0).astype(np.float32),
    )


def _span(middle_um: float, reach_um: float, n: int) -> slice:
    first = max(int((middle_um - reach_um) / CELL_UM), 0)
    return slice(first, max(min(int((middle_um + reach_um) / CELL_UM) + 2, n), first))


def _shape(
    artefact: Artefact, dx: NDArray[np.float64], dy: NDArray[np.float64], wave: _F32
) -> NDArray[np.float64]:
    """Values from below 0 to above 1, 0.5 on the edge."""
    if artefact.kind in (ArtefactKind.BLANK, ArtefactKind.DARK):
        inside = (np.abs(dx) <= artefact.long_um / 2) & (np.abs(dy) <= artefact.short_um / 2)
        return inside.astype(np.float64)
    cos, sin = np.cos(artefact.turn), np.sin(artefact.turn)
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    long, short = artefact.long_um / 2, artefact.short_um / 2
    if artefact.kind in (ArtefactKind.FOLD, ArtefactKind.PEN):
        v = v + 0.10 * long * ((u / long) ** 2 - 0.4) + 0.35 * short * wave
        taper = np.sqrt(np.maximum(1 - (u / long) ** 2, 0.0))
        half = short * (taper if artefact.kind is ArtefactKind.FOLD else np.minimum(3 * taper, 1.0))
        return np.where(np.abs(u) < long, (half - np.abs(v)) / 5.0 + 0.5, 0.0)
    radius = np.sqrt((u / long) ** 2 + (v / short) ** 2)
    if artefact.kind is ArtefactKind.BUBBLE:
        return np.asarray((1 - radius) * short / 12.0 + 0.5)
    return np.asarray((1 - radius + 0.12 * wave) * short / min(50.0, short / 3) + 0.5)


def artefact_map(masks: Sequence[Mask], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Write down where artefacts lie.

    Parameters
    ----------
    masks : sequence of Mask
        Of the slide.
    shape : tuple of int
        Rows and columns of the coarse grid.

    Returns
    -------
    ndarray of shape `shape`, uint8
        The bits of `ARTEFACT_BITS` whose masks are at least one half.
    """
    bits = np.zeros(shape, dtype=np.uint8)
    for mask in masks:
        rows, columns = mask.values.shape
        window = bits[mask.row : mask.row + rows, mask.column : mask.column + columns]
        window[mask.values >= 0.5] |= ARTEFACT_BITS[mask.artefact.kind]
    return bits


def pale(stain: _F32, masks: Sequence[Mask], mpp: float, x_px: int, y_px: int) -> None:
    """Let stain fade.

    Parameters
    ----------
    stain : ndarray of shape (2, height, width), float32
        Optical densities; changed in place.
    masks : sequence of Mask
        Of the slide; only fading acts.
    mpp : float
        µm per pixel.
    x_px, y_px : int
        Place of the first pixel.
    """
    _, height, width = stain.shape
    for mask in masks:
        if mask.artefact.kind is ArtefactKind.FADING:
            seen = mask.window(mpp, x_px, y_px, width, height)
            if seen is not None:
                rows, columns, values = seen
                stain[:, rows, columns] *= 1 - np.float32(mask.artefact.strength) * values


def disturb(
    light: _F32, masks: Sequence[Mask], white: _F32, mpp: float, x_px: int, y_px: int
) -> None:
    """Put bubbles and ink into the light.

    Parameters
    ----------
    light : ndarray of shape (3, height, width), float32
        Grey levels; changed in place.
    masks : sequence of Mask
        Of the slide.
    white : ndarray of shape (3,), float32
        Of clear glass.
    mpp : float
        µm per pixel.
    x_px, y_px : int
        Place of the first pixel.
    """
    _, height, width = light.shape
    for mask in masks:
        seen = mask.window(mpp, x_px, y_px, width, height)
        if seen is None:
            continue
        rows, columns, m = seen
        part = light[:, rows, columns]
        strength = np.float32(mask.artefact.strength)
        if mask.artefact.kind is ArtefactKind.BUBBLE:
            rim = np.maximum(1 - np.abs(m - np.float32(0.45)) / np.float32(0.4), 0)
            haze = np.float32(0.93) * white[:, None, None]
            part += strength * np.float32(0.55) * m * (haze - part)
            part *= 1 - strength * np.float32(0.6) * rim
        elif mask.artefact.kind is ArtefactKind.PEN:
            density = np.array(_INKS[mask.artefact.ink], dtype=np.float32)[:, None, None]
            part *= np.exp(-density * (strength * m))


def cover(rgb: NDArray[np.uint8], masks: Sequence[Mask], mpp: float, x_px: int, y_px: int) -> None:
    """Fill what was not scanned.

    Parameters
    ----------
    rgb : ndarray of shape (height, width, 3), uint8
        Changed in place.
    masks : sequence of Mask
        Of the slide; only ``blank`` and ``dark`` act.
    mpp : float
        µm per pixel.
    x_px, y_px : int
        Place of the first pixel.
    """
    for mask in masks:
        if mask.artefact.kind in (ArtefactKind.BLANK, ArtefactKind.DARK):
            seen = mask.window(mpp, x_px, y_px, rgb.shape[1], rgb.shape[0])
            if seen is not None:
                rows, columns, values = seen
                level = 255 if mask.artefact.kind is ArtefactKind.BLANK else 0
                rgb[rows, columns][values >= 0.5] = level
