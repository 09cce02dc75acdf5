"""A GPU as an engine: half precision, channels last, and copies that run beside the computing.

Two buffers in pinned memory take turns: while the device computes one batch, the next is copied to
it, and the features of the one before are copied back.  Everything here also runs on a CPU device,
where the turns are taken all the same; that is what the tests do, and no GPU was at hand to measure
a throughput.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from metastra.encoders.network_encoder import Runner
from metastra.models.tile_network import TileNetwork

__all__ = ["TurnTaking", "make_gpu_runner"]


class TurnTaking:
    """Batches through a network on a device, the copies of one beside the computing of another.

    Parameters
    ----------
    network : TileNetwork
        On the device already.
    device : str
        ``"cuda"``, or ``"cpu"`` for tests.
    depth : int
        Buffers that take turns.
    """

    def __init__(self, network: TileNetwork, device: str, depth: int = 2) -> None:
        self._network, self._device, self._depth = network, torch.device(device), depth
        self._on_gpu = self._device.type == "cuda"
        self._buffers: list[torch.Tensor] = []
        self._copying = torch.cuda.Stream() if self._on_gpu else None  # type: ignore[no-untyped-call]

    def encode_all(self, batches: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.float32]]:
        """Encode batches in their order.

        Parameters
        ----------
        batches : iterable of ndarray of uint8, shape (b, s, s, 3)
            All of one shape.

        Yields
        ------
        ndarray of float32, shape (b, d)
            One for each batch.
        """
        waiting: deque[tuple[torch.Tensor, torch.cuda.Event | None]] = deque()
        for number, batch in enumerate(batches):
            if len(waiting) == self._depth:
                yield _finished(*waiting.popleft())
            waiting.append(self._start(batch, number % self._depth))
        while waiting:
            yield _finished(*waiting.popleft())

    def _start(
        self, batch: NDArray[np.uint8], turn: int
    ) -> tuple[torch.Tensor, torch.cuda.Event | None]:
        pinned = self._buffer(batch.shape, turn)
        pinned.copy_(torch.from_numpy(batch))
        with torch.inference_mode():
            if self._copying is None:
                return self._network(pinned), None
            with torch.cuda.stream(self._copying):
                tiles = pinned.to(self._device, non_blocking=True)
            here = torch.cuda.current_stream()
            here.wait_stream(self._copying)
            tiles.record_stream(here)
            found = self._network(tiles)
            back = torch.empty(found.shape, dtype=found.dtype, pin_memory=True)
            back.copy_(found, non_blocking=True)
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record(here)
            return back, done

    def _buffer(self, shape: tuple[int, ...], turn: int) -> torch.Tensor:
        if not self._buffers or self._buffers[0].shape != shape:
            self._buffers = [
                torch.empty(shape, dtype=torch.uint8, pin_memory=self._on_gpu)
                for _ in range(self._depth)
            ]
        return self._buffers[turn]


def make_gpu_runner(
    network: TileNetwork, precision: torch.dtype, *, device: str, batch: int
) -> Runner:
    """Bring a network onto a device.

    Parameters
    ----------
    network : TileNetwork
        In float32; it belongs to the runner afterwards.
    precision : torch.dtype
        Of the computation.
    device : str
        ``"cuda"``, or ``"cpu"`` for tests.
    batch : int
        Tiles that are computed at a time; a call with a multiple of it takes turns.

    Returns
    -------
    callable
        From tiles, a multiple of `batch`, to their features.
    """
    placed = network.in_precision(precision).to(device)
    placed.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    turns = TurnTaking(placed, device)

    def run(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = (tiles[start : start + batch] for start in range(0, len(tiles), batch))
        return np.concatenate(list(turns.encode_all(parts)))

    return run


def _finished(found: torch.Tensor, done: torch.cuda.Event | None) -> NDArray[np.float32]:
    if done is not None:
        done.synchronize()
    numbers: NDArray[np.float32] = found.numpy()
    return numbers
