"""Painting any region of a scene as a scanner would see it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.synthetic.painting.artefacts import cover, disturb, pale
from metastra.synthetic.painting.classes import ArtefactKind
from metastra.synthetic.painting.ground_kernels import paint_ground
from metastra.synthetic.painting.layout import CELL_UM
from metastra.synthetic.painting.noise import texture
from metastra.synthetic.painting.optics_kernels import absorb, expose, smear
from metastra.synthetic.painting.scanners import Scanner
from metastra.synthetic.painting.scene import Scene
from metastra.synthetic.painting.sprite_kernels import paint_sprites

__all__ = ["Box", "paint_region", "paint_stain", "slide_size"]

_F32 = NDArray[np.float32]

_STEP, _DENSEST = 1.0 / 512, 6.0
"""Optical densities are rounded to 1/512 before they absorb: less than half a grey level."""
_MULTIPLE_PX = 64
_FOLD_SHIFT_UM = 70.0


@dataclass(frozen=True, kw_only=True)
class Box:
    """A region of level 0.

    Parameters
    ----------
    x_px0, y_px0 : int
        Its first pixel; may be negative.
    width_px0, height_px0 : int
        Its size.
    """

    x_px0: int
    y_px0: int
    width_px0: int
    height_px0: int

    def grown(self, by_px: int) -> Box:
        """Add a margin.

        Parameters
        ----------
        by_px : int
            On each side.

        Returns
        -------
        Box
            The larger region.
        """
        return Box(
            x_px0=self.x_px0 - by_px,
            y_px0=self.y_px0 - by_px,
            width_px0=self.width_px0 + 2 * by_px,
            height_px0=self.height_px0 + 2 * by_px,
        )


def slide_size(scene: Scene, scanner: Scanner) -> tuple[int, int]:
    """Compute how many pixels a slide has.

    Parameters
    ----------
    scene : Scene
        The slide.
    scanner : Scanner
        Its resolution.

    Returns
    -------
    width_px0, height_px0 : int
        Rounded up to multiples of 64, so that every level of a pyramid is exact.
    """
    recipe = scene.recipe
    width, height = (
        -(-int(np.ceil(side / scanner.mpp)) // _MULTIPLE_PX) * _MULTIPLE_PX
        for side in (recipe.width_um, recipe.height_um)
    )
    return width, height


def paint_stain(scene: Scene, scanner: Scanner, box: Box) -> _F32:
    """Paint the stain of a region: the truth that colour deconvolution looks for.

    Parameters
    ----------
    scene : Scene
        The slide.
    scanner : Scanner
        Only its resolution matters.
    box : Box
        The region.

    Returns
    -------
    ndarray of shape (2, height, width), float32
        Optical densities (natural logarithm) of haematoxylin and eosin along the scanner's unit
        vectors, with folds and fading.
    """
    stain = _plain_stain(scene, scanner.mpp, box)
    recipe, x, y = scene.recipe, box.x_px0, box.y_px0
    for mask in scene.masks:
        if mask.artefact.kind is ArtefactKind.FOLD:
            seen = mask.window(scanner.mpp, x, y, box.width_px0, box.height_px0)
            if seen is not None:
                rows, columns, values = seen
                shift = round(_FOLD_SHIFT_UM / scanner.mpp)
                beside = Box(
                    x_px0=x + columns.start + round(shift * float(np.sin(mask.artefact.turn))),
                    y_px0=y + rows.start - round(shift * float(np.cos(mask.artefact.turn))),
                    width_px0=columns.stop - columns.start,
                    height_px0=rows.stop - rows.start,
                )
                more = _plain_stain(scene, scanner.mpp, beside)
                stain[:, rows, columns] += np.float32(mask.artefact.strength) * values * more
    pale(stain, scene.masks, scanner.mpp, x, y)
    stain *= np.array([recipe.haematoxylin, recipe.eosin], dtype=np.float32)[:, None, None]
    return stain


def _plain_stain(scene: Scene, mpp: float, box: Box) -> _F32:
    stain = np.zeros((2, box.height_px0, box.width_px0), dtype=np.float32)
    table = texture()
    x, y = box.x_px0, box.y_px0
    paint_ground(scene.fields, scene.classes, table, CELL_UM, mpp, x, y, stain)
    sprites = scene.sprites
    chosen = sprites.between(y * mpp, (y + box.height_px0) * mpp)
    paint_sprites(table, chosen, sprites.kind, sprites.shape, sprites.look, mpp, x, y, stain)
    return stain


def paint_region(scene: Scene, scanner: Scanner, box: Box) -> NDArray[np.uint8]:
    """Paint a region as the scanner sees it, before JPEG.

    Parameters
    ----------
    scene : Scene
        The slide.
    scanner : Scanner
        Which scanner.
    box : Box
        The region; what lies outside the slide is glass.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8
        RGB.  Regions fit together: the same pixel is the same in each.

    Examples
    --------
    >>> from metastra.synthetic.painting.scanners import get_scanner
    >>> from metastra.synthetic.painting.scene import Recipe, make_scene
    >>> scene = make_scene(Recipe(width_um=200.0, height_um=200.0))
    >>> box = Box(x_px0=100, y_px0=100, width_px0=64, height_px0=32)
    >>> paint_region(scene, get_scanner("Pelican 2"), box).shape
    (32, 64, 3)
    """
    light = _light(scene, scanner, box, _lens(scanner.blur_um / scanner.mpp))
    _defocus(light, scene, scanner, box)
    white = np.array(scanner.white, dtype=np.float32)
    disturb(light, scene.masks, white, scanner.mpp, box.x_px0, box.y_px0)
    rgb = np.empty((box.height_px0, box.width_px0, 3), dtype=np.uint8)
    seed = zlib.crc32(f"{scene.recipe.seed}/{scene.recipe.label}/{scanner.name}".encode())
    expose(light, scanner.noise, seed, box.x_px0, box.y_px0, rgb)
    cover(rgb, scene.masks, scanner.mpp, box.x_px0, box.y_px0)
    return rgb


def _light(scene: Scene, scanner: Scanner, box: Box, weights: _F32) -> _F32:
    """Light of a region behind a lens, without what lies on the cover slip."""
    reach = weights.size - 1
    stain = paint_stain(scene, scanner, box.grown(reach))
    light = np.empty((3, *stain.shape[1:]), dtype=np.float32)
    absorb(stain, _transmission(scanner), _STEP, light)
    out = np.empty((3, box.height_px0, light.shape[2]), dtype=np.float32)
    smear(light, weights, out)
    return np.ascontiguousarray(out[:, :, reach : reach + box.width_px0])


def _defocus(light: _F32, scene: Scene, scanner: Scanner, box: Box) -> None:
    """Mix the light of a lens out of focus into patches."""
    for mask in scene.masks:
        if mask.artefact.kind is not ArtefactKind.BLUR:
            continue
        seen = mask.window(scanner.mpp, box.x_px0, box.y_px0, box.width_px0, box.height_px0)
        if seen is not None:
            rows, columns, values = seen
            part = Box(
                x_px0=box.x_px0 + columns.start,
                y_px0=box.y_px0 + rows.start,
                width_px0=columns.stop - columns.start,
                height_px0=rows.stop - rows.start,
            )
            sigma_um = float(np.hypot(scanner.blur_um, mask.artefact.strength))
            soft = _light(scene, scanner, part, _lens(sigma_um / scanner.mpp))
            light[:, rows, columns] += values * (soft - light[:, rows, columns])


def _transmission(scanner: Scanner) -> _F32:
    """Share of light that each stain lets through, by optical density."""
    density = np.arange(int(_DENSEST / _STEP) + 1) * _STEP
    table = np.exp(-scanner.stain_matrix[:, :, None] * density)
    table[0] *= np.array(scanner.white)[:, None]
    return np.asarray(table, dtype=np.float32)


def _lens(sigma_px: float) -> _F32:
    """Weights of the point spread function, a Gaussian, from the middle outwards."""
    sigma = max(sigma_px, 1e-3)
    places = np.arange(max(int(np.ceil(2.8 * sigma)), 1) + 1)
    weights = np.exp(-0.5 * (places / sigma) ** 2)
    return np.asarray(weights / (2 * weights.sum() - weights[0]), dtype=np.float32)
