"""A network that makes one row of all tiles of a slide, from a local file.

TITAN, PRISM and their like are programs of their makers.  None of them is built here: whoever may
use one exports it once as ONNX or TorchScript and writes a card beside it.  A TorchScript file is a
program, so its card must pin its digest, as that of an encoder has to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.digest import digest_file
from metastra.encoders.engine_names import require_engine
from metastra.encoders.slide_card import SlideCard, read_slide_card
from metastra.errors import ConfigError, DigestMismatch
from metastra.features.bag import Bag, feature_error

__all__ = ["SlideNetwork", "load_slide_network"]

_TORCHSCRIPT, _ONNX = (".pt", ".ts"), ".onnx"
_SCALE_APART = 0.01

_Run = Callable[[dict[str, NDArray[Any]]], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class SlideNetwork:
    """A network in memory.

    Parameters
    ----------
    card : SlideCard
        What it is.
    sha256 : str
        Of its file.
    run : callable
        From its inputs by name to its first output.
    """

    card: SlideCard
    sha256: str
    run: _Run

    def vector(self, bag: Bag) -> NDArray[np.float64]:
        """Make the row of a slide.

        All its features are in memory at once, in float32: 4 bytes × tiles × features, and what
        the network needs for itself.

        Parameters
        ----------
        bag : Bag
            With at least one tile.

        Returns
        -------
        ndarray of float64, shape (dimension,)
            Finite.

        Raises
        ------
        DataError
            SL060 if the features are not those that the network was made for; SL061 if it fails on
            them, or gives something else than its card says; SL054 if a feature is not finite.
        """
        self._require(bag)
        name, given = bag.origin.name, {"features": bag.rows(slice(None))}
        if "coords" in self.card.inputs:
            given["coords"] = self._coords(bag)
        try:
            found = np.asarray(self.run({key: given[key] for key in self.card.inputs}))
        except (RuntimeError, ValueError) as error:
            said = " ".join(str(error).split())[-300:]
            raise feature_error("SL061", name, f"{self.card.name} fails: {said}") from error
        if found.shape not in ((self.card.dimension,), (1, self.card.dimension)):
            raise feature_error(
                "SL061",
                name,
                f"{self.card.name} gives {found.shape}",
                expected=f"({self.card.dimension},), as its card says",
            )
        if not np.isfinite(found).all():
            raise feature_error(
                "SL061", name, f"{self.card.name} gives numbers that are not finite"
            )
        return found.reshape(-1).astype(np.float64)

    def _require(self, bag: Bag) -> None:
        card, origin, frame = self.card, bag.origin, bag.frame
        wanted: list[tuple[str, object, object, bool]] = [
            ("encoder", origin.encoder, card.encoder, origin.encoder == card.encoder),
            ("features a tile", bag.dimension, card.features, bag.dimension == card.features),
            ("tile_px", frame.tile_px, card.tile_px, frame.tile_px == card.tile_px),
            (
                "µm per pixel",
                frame.target_mpp,
                card.mpp,
                frame.target_mpp is not None
                and abs(frame.target_mpp / card.mpp - 1) <= _SCALE_APART,
            ),
        ]
        if card.encoder_digest:
            same = origin.encoder_digest == card.encoder_digest
            wanted.append(("encoder_digest", origin.encoder_digest, card.encoder_digest, same))
        if apart := [one for one in wanted if not one[3]]:
            raise feature_error(
                "SL060",
                origin.name,
                ", ".join(f"{what} {own or 'not said'}" for what, own, _, _ in apart),
                expected=", ".join(f"{what} {right}" for what, _, right, _ in apart)
                + f", as the card of {card.name} says",
            )

    def _coords(self, bag: Bag) -> NDArray[Any]:
        if self.card.coords == "px0":
            return bag.coords
        if bag.frame.mpp is None:
            raise feature_error(
                "SL060",
                bag.origin.name,
                "µm per level-0 pixel not said",
                expected=f"a scale, since {self.card.name} takes coordinates in µm",
            )
        coords_um: NDArray[np.float64] = bag.coords * np.asarray(bag.frame.mpp)
        return coords_um.astype(np.float32)


def load_slide_network(file: Path) -> SlideNetwork:
    """Load a network that pools a slide.

    Parameters
    ----------
    file : Path
        ``.onnx``, or TorchScript as ``.pt`` or ``.ts``, with its card beside it.

    Returns
    -------
    SlideNetwork
        Ready.

    Raises
    ------
    ConfigError
        If the file or its card cannot be used, it takes something else than its card says, or it
        is a program that no digest pins.
    DigestMismatch
        If the card names another file than the one beside it.
    MissingExtra
        If the package that runs it is not installed.
    """
    if not file.is_file():
        raise ConfigError(f"{file} is no file; expected a network as ONNX or TorchScript")
    if file.suffix not in (_ONNX, *_TORCHSCRIPT):
        raise ConfigError(
            f"{file}: expected {', '.join((_ONNX, *_TORCHSCRIPT))}; weights alone are no network, "
            "and a pickled one is not read"
        )
    card, sha256 = read_slide_card(file), digest_file(file)
    if file.suffix != _ONNX and not card.sha256:
        raise ConfigError(
            f"{file} is a program: its card must pin it by sha256. If you trust it: {sha256}"
        )
    if card.sha256 and card.sha256 != sha256:
        raise DigestMismatch(
            f"{file}: sha256 is {sha256[:12]}…, and the card beside it names {card.sha256[:12]}…"
        )
    run = _onnx(file, card) if file.suffix == _ONNX else _torchscript(file)
    return SlideNetwork(card=card, sha256=sha256, run=run)


def _torchscript(file: Path) -> _Run:
    require_engine("torch")
    import torch

    from metastra.encoders.foreign import load_torchscript

    program = load_torchscript(file)

    def run(given: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        try:
            with torch.inference_mode():
                said = program(*(torch.from_numpy(one) for one in given.values()))
        except torch.jit.Error as error:  # what the program itself raises; no RuntimeError
            raise ValueError(str(error)) from error
        if not isinstance(said, torch.Tensor):
            raise ValueError(f"it gives a {type(said).__name__}; expected one tensor")
        found: NDArray[np.float32] = said.float().numpy()
        return found

    return run


def _onnx(file: Path, card: SlideCard) -> _Run:
    from metastra.encoders.onnx_file import given_inputs, read_onnx

    given = [one.name for one in given_inputs(read_onnx(file))]
    if sorted(given) != sorted(card.inputs):
        raise ConfigError(
            f"{file} takes {', '.join(given) or 'nothing'}; its card says {', '.join(card.inputs)}"
        )
    require_engine("onnxruntime")
    from metastra.encoders.engines import onnx_program

    return onnx_program(file)
