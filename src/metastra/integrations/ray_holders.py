"""The processes of a cluster that hold encoders, most often one for each of its GPUs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from metastra.errors import ResourceError
from metastra.executor import Task
from metastra.integrations.ray_node import Holder

__all__ = ["Holders"]

_START_S = 300.0


class Holders:
    """Those that the tasks of a run ask for; none is started for tasks that ask for none.

    Parameters
    ----------
    ray : module
        Connected to the cluster.
    held : mapping of str to str
        Engines that are held, and the resource of which a process takes one.
    tasks : sequence of Task
        Those of a slide name the engine of each encoder in their payload.

    Raises
    ------
    ResourceError
        If no process for an engine that is asked for starts.
    """

    def __init__(self, ray: Any, held: Mapping[str, str], tasks: Sequence[Task]) -> None:
        self._ray, self._n_dealt = ray, 0
        self._of: dict[str, list[Any]] = {}
        wanted = {engine for task in tasks for engine in _engines(task.payload)}
        with contextlib.ExitStack() as undo:
            undo.callback(self.dismiss)
            for engine in sorted(wanted & held.keys()):
                self._of[engine] = self._start(engine, held[engine])
            undo.pop_all()

    def deal(self) -> dict[str, list[Any]]:
        """Give a new worker the holders of each engine, in turn a different one first.

        Returns
        -------
        dict of str to list
            By engine; the worker goes on to the next where one is lost.
        """
        self._n_dealt += 1
        return {
            engine: [*found[self._n_dealt % len(found) :], *found[: self._n_dealt % len(found)]]
            for engine, found in self._of.items()
        }

    def dismiss(self) -> None:
        """End all of them."""
        for holder in [one for found in self._of.values() for one in found]:
            self._kill(holder)
        self._of.clear()

    def _start(self, engine: str, resource: str) -> list[Any]:
        """Start a process for each unit of a resource; Ray starts one again that is lost."""
        units = int(self._ray.cluster_resources().get(resource, 0))
        needs = {"num_gpus": 1} if resource == "GPU" else {"resources": {resource: 1}}
        started: Any = self._ray.remote(max_restarts=-1, num_cpus=0, **needs)
        looks = {}
        for _ in range(units):
            holder = started(Holder).remote()
            looks[holder.look.remote()] = holder
        first, _ = self._ray.wait([*looks], timeout=_START_S) if looks else ([], [])
        # who is not there by now waits for what another program holds
        ready, late = (
            self._ray.wait([*looks], num_returns=len(looks), timeout=5) if first else ([], [*looks])
        )
        for look in late:
            self._kill(looks[look])
        if not ready:
            raise ResourceError(
                f"no process that holds the encoder for engine {engine!r} could start on the "
                f"cluster: it has {units} of {resource}, and others may hold them; see `ray status`"
            )
        return [looks[look] for look in ready]

    def _kill(self, actor: Any) -> None:
        with contextlib.suppress(self._ray.exceptions.RayError, ValueError):
            self._ray.kill(actor)


def _engines(payload: Mapping[str, Any]) -> list[str]:
    parts = [payload, *(payload.get("also") or ())]
    return [str(part["engine"]) for part in parts if isinstance(part, Mapping) and "engine" in part]
