"""A GPU as an engine: half precision, channels last, and copies that run beside the computing.

Two buffers in pinned memory take turns: while the device computes one batch, the next is copied to
it, and the features of the one before are copied back.  Everything here also runs on a CPU device,
where the turns are taken all the same; that is what the tests do, and no GPU was at hand to measure
a throughput.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from metastra.models.tile_network import TileNetwork

__all__ = ["GpuRunner", "TurnTaking", "make_gpu_runner"]

_Handle = Any
"""Of a batch on the device."""


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
        self._waiting: deque[_Handle] = deque()
        self._turn = 0
        self.busy_s = 0.0
        """Seconds in which the device computed, so far."""

    def push(self, batch: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Start a batch; the one whose buffer it takes is waited for before.

        Parameters
        ----------
        batch : ndarray of uint8, shape (b, s, s, 3)
            All of one shape.  It is copied before this returns.

        Returns
        -------
        list of ndarray of float32, shape (b, d)
            Of the batch that was waited for; empty for the first ones.
        """
        found = []
        if len(self._waiting) == self._depth:
            found.append(self._finished(self._waiting.popleft()))
        self._waiting.append(self._start(batch, self._turn))
        self._turn = (self._turn + 1) % self._depth
        return found

    def finish(self) -> list[NDArray[np.float32]]:
        """Wait for the batches that are under way.

        Returns
        -------
        list of ndarray of float32, shape (b, d)
            In their order.
        """
        found = []
        while self._waiting:
            found.append(self._finished(self._waiting.popleft()))
        return found

    def forget(self) -> None:
        """Drop what an abandoned pass left under way."""
        self._waiting.clear()

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
        for batch in batches:
            yield from self.push(batch)
        yield from self.finish()

    def _start(self, batch: NDArray[np.uint8], turn: int) -> _Handle:
        pinned = self._buffer(batch.shape, turn)
        pinned.copy_(torch.from_numpy(batch))
        with torch.inference_mode():
            if self._copying is None:
                begun_s = time.perf_counter()
                computed = self._network(pinned)
                self.busy_s += time.perf_counter() - begun_s
                return computed, None, None
            with torch.cuda.stream(self._copying):
                tiles = pinned.to(self._device, non_blocking=True)
            here = torch.cuda.current_stream()
            here.wait_stream(self._copying)
            tiles.record_stream(here)
            begin, end = (
                torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
                for _ in range(2)
            )
            begin.record(here)
            found = self._network(tiles)
            back = torch.empty(found.shape, dtype=found.dtype, pin_memory=True)
            back.copy_(found, non_blocking=True)
            end.record(here)
            return back, begin, end

    def _finished(self, handle: _Handle) -> NDArray[np.float32]:
        found, begin, end = handle
        if end is not None:
            end.synchronize()
            self.busy_s += begin.elapsed_time(end) / 1000.0
        numbers: NDArray[np.float32] = found.numpy()
        return numbers

    def _buffer(self, shape: tuple[int, ...], turn: int) -> torch.Tensor:
        if not self._buffers or self._buffers[0].shape != shape:
            self._buffers = [
                torch.empty(shape, dtype=torch.uint8, pin_memory=self._on_gpu)
                for _ in range(self._depth)
            ]
        return self._buffers[turn]


class GpuRunner:
    """A network on a device, as `metastra.encoders.network_encoder.TurnsRunner`.

    Parameters
    ----------
    turns : TurnTaking
        Of the network.
    batch : int
        Tiles that are computed at a time.
    """

    def __init__(self, turns: TurnTaking, batch: int) -> None:
        self.turns, self._batch = turns, batch

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute a multiple of the batch; a stream that was left open is given up."""
        self.turns.forget()
        starts = range(0, len(tiles), self._batch)
        parts = (tiles[start : start + self._batch] for start in starts)
        return np.concatenate(list(self.turns.encode_all(parts)))


def make_gpu_runner(
    network: TileNetwork, precision: torch.dtype, *, device: str, batch: int
) -> GpuRunner:
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
    GpuRunner
        From tiles, a multiple of `batch`, to their features; its turns can be fed one by one.
    """
    placed = network.in_precision(precision).to(device)
    placed.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return GpuRunner(TurnTaking(placed, device), batch)
