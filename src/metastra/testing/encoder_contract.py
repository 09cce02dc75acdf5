"""What any encoder must keep to, for the tests of whoever writes one.

::

    from metastra.testing.encoder_contract import encoder_faults


    def test_my_encoder_keeps_the_contract():
        assert encoder_faults(MyEncoder()) == []
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from metastra.encoders.encoder import Encoder, EncoderCard

__all__ = ["awkward_tiles", "encoder_faults"]


def awkward_tiles(side_px: int) -> dict[str, NDArray[np.uint8]]:
    """Tiles on which encoders break.

    Parameters
    ----------
    side_px : int
        Side of a tile in pixels.

    Returns
    -------
    dict of str to ndarray of uint8, shape (side_px, side_px, 3)
        Blank, black, one colour, one grey level of contrast, one dark pixel, half blank, noise,
        saturated colours, stripes of one pixel, and discs like nuclei.

    Examples
    --------
    >>> sorted(awkward_tiles(8))[:3]
    ['black', 'blue', 'checked']
    """
    rng = np.random.default_rng(20260101)
    y, x = np.mgrid[:side_px, :side_px]
    shape = (side_px, side_px, 3)

    def full(red: int, green: int, blue: int) -> NDArray[np.uint8]:
        return np.broadcast_to(np.array([red, green, blue], np.uint8), shape).copy()

    tiles = {
        "white": full(255, 255, 255),
        "black": full(0, 0, 0),
        "grey": full(128, 128, 128),
        "pink": full(230, 160, 200),
        "red": full(255, 0, 0),
        "blue": full(0, 0, 255),
        "tiny contrast": full(200, 200, 200) + (x % 2)[..., None].astype(np.uint8),
        "one dark pixel": full(255, 255, 255),
        "half black": full(255, 255, 255),
        "noise": rng.integers(0, 256, shape, dtype=np.uint8),
        "checked": np.where(((x + y) % 2)[..., None] > 0, full(0, 0, 0), full(255, 255, 255)),
        "stripes": np.where((x % 2)[..., None] > 0, full(90, 40, 130), full(240, 200, 220)),
    }
    tiles["one dark pixel"][side_px // 2, side_px // 2] = 0
    tiles["half black"][:, : side_px // 2] = 0
    step, radius = max(side_px // 8, 2), max(side_px // 28, 1)
    inside = (x % step - step // 2) ** 2 + (y % step - step // 2) ** 2 <= radius**2
    tiles["discs"] = np.where(inside[..., None], full(80, 50, 120), full(235, 180, 210))
    return tiles


def encoder_faults(encoder: Encoder, *, tolerance: float = 0.0) -> list[str]:
    """Try an encoder on awkward tiles and list what it does wrong.

    Parameters
    ----------
    encoder : Encoder
        Any; tried on the CPU or wherever it runs.
    tolerance : float
        How far, relative to the largest absolute feature, a tile may differ between batches.  Some
        engines sum in another order in another batch; the same batch twice must always be equal to
        the bit.

    Returns
    -------
    list of str
        One sentence per fault; empty when the contract holds.
    """
    card: object = encoder.card
    if not isinstance(card, EncoderCard):
        return [f"the card is a {type(card).__name__}; expected an EncoderCard"]
    named = awkward_tiles(card.tile_px)
    tiles = np.stack(list(named.values()))
    before = tiles.copy()
    features = encoder.encode(tiles)
    faults = [*_shape_faults(features, len(tiles), card)]
    if faults:
        return faults
    if not np.array_equal(tiles, before):
        faults.append("the tiles were changed; an encoder must leave its input as it was")
    for name, row in zip(named, features, strict=True):
        bad = np.flatnonzero(~np.isfinite(row))
        if bad.size:
            what = card.feature_names[bad[0]] if card.feature_names else f"feature {bad[0]}"
            faults.append(f"{bad.size} features of tile {name!r} are not finite, first {what}")
    faults += _repeat_faults(encoder, tiles, features, list(named), tolerance)
    faults += _refusal_faults(encoder)
    if encoder.card.digest != card.digest:
        faults.append("the card's digest changed while the encoder worked")
    return faults


def _shape_faults(features: NDArray[np.float32], n_tiles: int, card: EncoderCard) -> Iterator[str]:
    if features.shape != (n_tiles, card.dimension):
        yield f"{n_tiles} tiles gave {features.shape}; expected ({n_tiles}, {card.dimension})"
    if features.dtype != np.float32:
        yield f"features are {features.dtype}; expected float32"


def _repeat_faults(
    encoder: Encoder,
    tiles: NDArray[np.uint8],
    features: NDArray[np.float32],
    names: list[str],
    tolerance: float,
) -> Iterator[str]:
    within = tolerance * float(np.abs(features).max())

    def same(found: NDArray[np.float32], expected: NDArray[np.float32]) -> bool:
        return found.shape == expected.shape and bool(np.all(np.abs(found - expected) <= within))

    if not np.array_equal(encoder.encode(tiles), features):
        yield "the same batch gave other features the second time"
    if not same(encoder.encode(tiles[::-1])[::-1], features):
        yield "a batch in reverse order gave other features"
    for number in (0, len(names) // 2, len(names) - 1):
        if not same(encoder.encode(tiles[number : number + 1])[0], features[number]):
            yield f"tile {names[number]!r} alone gave other features than in a batch"
    strided = np.empty((len(tiles), *tiles.shape[1:3], 4), np.uint8)
    strided[..., :3] = tiles
    if not same(encoder.encode(strided[..., :3]), features):
        yield "tiles that are a view into a larger array gave other features"
    empty = encoder.encode(tiles[:0])
    if empty.shape != (0, encoder.card.dimension) or empty.dtype != np.float32:
        yield f"no tiles gave {empty.dtype} {empty.shape}; expected float32 (0, dimension)"


def _refusal_faults(encoder: Encoder) -> Iterator[str]:
    side = encoder.card.tile_px
    wrong = {
        "floats": np.zeros((1, side, side, 3), np.float32),
        "four channels": np.zeros((1, side, side, 4), np.uint8),
        "another side": np.zeros((1, side + 1, side + 1, 3), np.uint8),
        "no batch axis": np.zeros((side, side, 3), np.uint8),
    }
    for what, tiles in wrong.items():
        try:
            encoder.encode(tiles)  # type: ignore[arg-type]
        except ValueError:
            continue
        yield f"{what} instead of tiles were accepted; expected a ValueError"
