"""What metastra runs on a machine of a Ray cluster: tasks in a child process, and held encoders.

This is what Ray starts elsewhere.  Between machines go bytes in the
format of `metastra.executor.wire`, never objects.
"""

from __future__ import annotations

import platform
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from metastra.encoders.held import encode_asked
from metastra.executor import Limits, ProcessPool, Result, Task
from metastra.executor.calls import call
from metastra.executor.causes import failure_to_plain
from metastra.executor.pool import Crew
from metastra.executor.wire import Frames, pack
from metastra.version import VERSION

__all__ = ["Holder", "Node", "unpacked"]

_ANSWER_S = 600.0
_AGAIN_S = 2.0


class Node:
    """One worker on a machine of the cluster; it lives for a run and takes one task at a time.

    Parameters
    ----------
    function : str
        Name of the function it runs, as `metastra.executor.calls.function_name` gives it.
    limits : mapping
        Fields of the `Limits` of each task.
    threads : int
        How many threads numerical libraries may start.
    holders : mapping of str to list
        By engine, the actors (of `Holder`) that encode with it, the own first.
    """

    def __init__(
        self,
        function: str,
        limits: Mapping[str, Any],
        threads: int,
        holders: Mapping[str, Sequence[Any]],
    ) -> None:
        self._beats: list[tuple[int, int]] = []
        pool = ProcessPool(
            limits=Limits(**limits),
            threads=threads,
            on_beat=lambda _key, done, total: self._beats.append((done, total)),
            on_ask={engine: partial(_asked, found) for engine, found in holders.items()},
        )
        self._crew = Crew(pool, function)

    def look(self, token: str) -> bytes:
        """Say which machine and which metastra this is, and what stands in a file that it sees.

        Parameters
        ----------
        token : str
            Path of the file.

        Returns
        -------
        bytes
            A packed mapping: ``machine``, ``metastra``, ``python`` and ``token`` (None where there
            is no such file).
        """
        try:
            seen = Path(token).read_text(encoding="ascii")
        except (OSError, ValueError):
            seen = None
        return pack(
            {
                "machine": socket.gethostname(),
                "metastra": VERSION,
                "python": platform.python_version(),
                "token": seen,
            }
        )

    def do(self, packed: bytes) -> Iterator[bytes]:
        """Run one task in the child process.

        Parameters
        ----------
        packed : bytes
            A packed mapping of ``key`` and ``payload``.

        Yields
        ------
        bytes
            Packed mappings: some of ``beat`` (two numbers), then one of ``result``, or of
            ``unfit`` (words) where no child process can start here.
        """
        given = unpacked(packed)
        self._crew.add(Task(key=given["key"], payload=given["payload"]))
        try:
            while self._crew.hire():
                finished = list(self._crew.wait())
                if self._beats and not finished:
                    yield pack({"beat": self._beats[-1]})
                self._beats.clear()
                for result in finished:
                    yield pack({"result": _plain(result)})
        except OSError as error:
            yield pack({"unfit": str(error)})


class Holder:
    """The process that holds encoders, most often those of one GPU."""

    def look(self) -> bool:
        """Say that it is there.

        Returns
        -------
        bool
            True.
        """
        return True

    def encode(self, packed: bytes) -> bytes:
        """Encode a batch of tiles.

        Parameters
        ----------
        packed : bytes
            The packed question of a `metastra.encoders.held.HeldEncoder`.

        Returns
        -------
        bytes
            A packed mapping of ``value`` and ``failure``, one of which is None.
        """
        value, failure = call(encode_asked, unpacked(packed), limits=Limits())
        told = None if failure is None else failure_to_plain(failure)
        return pack({"value": value, "failure": told})


def _asked(holders: Sequence[Any], question: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the own holder; where it is lost the others, and then it again."""
    import ray

    packed = pack(dict(question))
    lost: Exception | None = None
    for holder in [*holders, *holders, *holders]:
        try:
            return unpacked(ray.get(holder.encode.remote(packed), timeout=_ANSWER_S))
        except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError) as error:
            lost = error
            time.sleep(_AGAIN_S)
    raise RuntimeError(f"no process that holds the encoder answers: {lost}")


def unpacked(data: bytes) -> dict[str, Any]:
    """Read one packed mapping.

    Parameters
    ----------
    data : bytes
        From `metastra.executor.wire.pack`.

    Returns
    -------
    dict
        What was packed.

    Raises
    ------
    ValueError
        If the bytes are none.

    Examples
    --------
    >>> unpacked(pack({"key": "a"}))
    {'key': 'a'}
    """
    found = Frames().feed(data)
    if len(found) != 1:
        raise ValueError(f"{len(found)} messages in {len(data)} bytes; expected one")
    return dict(found[0])


def _plain(result: Result) -> dict[str, Any]:
    return {
        "value": result.value,
        "failure": None if result.failure is None else failure_to_plain(result.failure),
        "wall_s": result.wall_s,
        "peak_bytes": result.peak_bytes,
    }
