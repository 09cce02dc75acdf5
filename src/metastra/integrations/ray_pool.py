"""Run tasks on a Ray cluster: one worker for each processor, a child process under limits in each.

Ray starts the workers, says when a machine is lost and carries bytes; what a task is, its limits
and what becomes of a failure stay those of `metastra.executor`.  No more tasks are handed out than
workers are there, so memory does not grow with the cohort.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from metastra.errors import ConfigError, MissingExtra, ResourceError
from metastra.executor import Cause, Failure, Limits, Result, Task, TaskFunction, relay
from metastra.executor.calls import check_tasks, function_name
from metastra.executor.causes import failure_from_plain
from metastra.executor.interrupt import graceful_interrupt
from metastra.executor.waiting import Waiting
from metastra.executor.wire import pack
from metastra.integrations.ray_holders import Holders
from metastra.integrations.ray_node import Node, unpacked
from metastra.storage import write_bytes
from metastra.version import VERSION

__all__ = ["RayPool", "connected"]

_START_S = 300.0
_LOOK_EVERY_S = 2.0
_KNOCK_S = 10.0
_PORTS = 65_536
_MOST_LOST_STARTS = 8


@contextlib.contextmanager
def connected(address: str) -> Iterator[None]:
    """Be a client of a running cluster inside the block; a cluster is never started.

    Parameters
    ----------
    address : str
        ``auto`` on a machine of the cluster, or host and port of its head.

    Raises
    ------
    MissingExtra
        If Ray is not installed.
    ConfigError
        If there is no cluster, or the address is of another kind: ``local``, for instance, would
        start one.
    """
    _require_address(address)
    # as a client we report nothing about ourselves; the cluster's own setting is its owner's
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = _ray()
    try:
        _knock(address)
        ray.init(
            address=address,
            namespace="metastra",
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        words = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"no Ray cluster answers at {address!r} ({words}); start one with `ray start --head "
            "--disable-usage-stats`, and on each other machine `ray start --address HOST:PORT`, "
            "and run metastra on one of them"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@dataclass(frozen=True, kw_only=True)
class RayPool:
    """An executor on the cluster that this process is connected to.

    Parameters
    ----------
    folder : Path
        Of the products: every machine must see it under this path, and write to it.
    workers : int or None
        How many tasks run at a time; one a processor of the cluster by default.
    limits : Limits
        Of each task, in a child process on its machine.
    threads : int
        How many threads numerical libraries may start in a worker.
    held : mapping of str to str
        Engines of encoders that processes of their own hold, and the resource of the cluster of
        which each takes one: workers read tiles for them.
    tell : callable, optional
        Told which machines take part, and what will happen when Ctrl-C is pressed.
    on_beat : callable, optional
        Gets the key of a task and the two numbers of a `metastra.executor.beat`, now and then.
    """

    folder: Path
    workers: int | None = None
    limits: Limits = field(default_factory=Limits)
    threads: int = 1
    held: Mapping[str, str] = field(default_factory=lambda: {"torch-cuda-float16": "GPU"})
    tell: Callable[[str], None] | None = None
    on_beat: Callable[[str, int, int], None] | None = None

    def limited(self, limits: Limits) -> RayPool:
        """Give the same executor with other limits.

        Parameters
        ----------
        limits : Limits
            Of each task.

        Returns
        -------
        RayPool
            On the same cluster.
        """
        return replace(self, limits=limits)

    def run(self, function: TaskFunction, tasks: Sequence[Task]) -> Iterator[Result]:
        """Run a function over tasks.

        Parameters
        ----------
        function : callable
            See `metastra.executor.tasks.TaskFunction`; every machine has its module.
        tasks : sequence of Task
            Keys differ; paths in them are absolute.

        Yields
        ------
        Result
            One for each task, as they finish.  The task of a worker or machine that is lost
            fails as KILLED.

        Raises
        ------
        KeyboardInterrupt
            After one Ctrl-C, when the tasks that ran are finished and yielded; after a second
            one, at once.
        ConfigError
            If a machine has another metastra or Python, or does not see the folder.
        ResourceError
            If no worker can start.
        ValueError
            If two tasks have one key or the function is none of a module.
        """
        check_tasks(tasks)
        name = function_name(function)
        with contextlib.ExitStack() as undo:
            token = self.folder.absolute() / f".cluster-{secrets.token_hex(8)}"
            write_bytes(token, token.name.encode("ascii"))
            undo.callback(token.unlink, missing_ok=True)
            interrupt = undo.enter_context(graceful_interrupt(self.tell))
            fleet = _Fleet(self, name, tasks, token)
            undo.callback(fleet.dismiss)
            while fleet.hire(stopping=interrupt.asked):
                yield from fleet.wait()
            if interrupt.asked:
                raise KeyboardInterrupt


@dataclass(eq=False)
class _Worker:
    """One actor of the cluster and what it is waited for: its first look, then a task's answers."""

    actor: Any
    awaited: Any
    begun_s: float
    ready: bool = False
    task: Task | None = None


class _Fleet:
    """The workers of one run and the tasks that wait."""

    def __init__(self, pool: RayPool, function: str, tasks: Sequence[Task], token: Path) -> None:
        self._ray = _ray()
        self._pool, self._waiting, self._token = pool, Waiting(tasks), token
        placed: Any = self._ray.remote(num_cpus=pool.threads, scheduling_strategy="SPREAD")
        actor = placed(Node)
        self._holders = Holders(self._ray, pool.held, tasks)
        self._new: Callable[[], Any] = lambda: actor.remote(
            function, asdict(pool.limits), pool.threads, self._holders.deal()
        )
        self._workers: list[_Worker] = []
        self._machines: set[str] = set()
        self._lost_starts = 0
        self._looked_s, self._slots = float("-inf"), 0

    def hire(self, *, stopping: bool) -> bool:
        """Give the idle something to do; False when nothing runs and nothing is left."""
        if stopping:
            self._waiting.clear()
        for worker in self._workers:
            if worker.ready and worker.task is None and self._waiting:
                self._give(worker, self._waiting.take())
        busy = sum(worker.task is not None for worker in self._workers)
        starting = sum(not worker.ready for worker in self._workers)
        room = self._most() - len(self._workers)
        for _ in range(min(room, len(self._waiting) - starting)):
            actor = self._new()
            look = actor.look.remote(str(self._token))
            self._workers.append(_Worker(actor=actor, awaited=look, begun_s=time.monotonic()))
        return bool(self._waiting or busy)

    def wait(self) -> Iterator[Result]:
        """Wait until something comes; give what is finished."""
        awaited = [one.awaited for one in self._workers if one.task is not None or not one.ready]
        if not awaited:
            time.sleep(_LOOK_EVERY_S)
        ready, _ = self._ray.wait(awaited, timeout=_LOOK_EVERY_S) if awaited else ([], [])
        for found in ready:
            worker = next(one for one in self._workers if one.awaited is found)
            yield from self._hear(worker)
        self._require_some()

    def dismiss(self) -> None:
        """End all workers, and with each the child process that it has."""
        for worker in self._workers:
            self._kill(worker.actor)
        self._workers.clear()
        self._holders.dismiss()

    def _most(self) -> int:
        """Count the workers that may be: machines come and go."""
        now_s = time.monotonic()
        if now_s - self._looked_s > _LOOK_EVERY_S:
            self._looked_s = now_s
            cores = int(self._ray.cluster_resources().get("CPU", 0)) // self._pool.threads
            self._slots = cores if self._pool.workers is None else min(cores, self._pool.workers)
        return self._slots

    def _give(self, worker: _Worker, task: Task) -> None:
        packed = pack({"key": task.key, "payload": dict(task.payload)})
        worker.awaited = worker.actor.do.options(num_returns="streaming").remote(packed)
        worker.task, worker.begun_s = task, time.monotonic()

    def _hear(self, worker: _Worker) -> Iterator[Result]:
        task = worker.task
        try:
            ref = worker.awaited if task is None else next(worker.awaited)
            message = unpacked(self._ray.get(ref))
        except (self._ray.exceptions.RayError, StopIteration, ValueError) as error:
            yield from self._lose(worker, error)
            return
        if task is None:
            self._welcome(worker, message)
        else:
            yield from self._take(worker, task, message)

    def _welcome(self, worker: _Worker, told: dict[str, Any]) -> None:
        """Let a machine take part that runs the same program and sees the same files."""
        machine = str(told["machine"])
        ours = {"metastra": VERSION, "python": platform.python_version()}
        other = {name: told[name] for name in ours if told[name] != ours[name]}
        if other:
            raise ConfigError(
                f"machine {machine!r} has {_versions(other)}, this one {_versions(ours)}; install "
                "the same on every machine of the cluster"
            )
        if told["token"] != self._token.name:
            raise ConfigError(
                f"machine {machine!r} does not see the folder {self._token.parent} of this run; "
                "it must lie on a file system that all machines share, under the same path"
            )
        worker.ready, self._lost_starts = True, 0
        if machine not in self._machines and self._pool.tell is not None:
            self._pool.tell(f"cluster: {machine} takes part")
        self._machines.add(machine)

    def _take(self, worker: _Worker, task: Task, message: dict[str, Any]) -> Iterator[Result]:
        if "beat" in message:
            done, total = message["beat"]
            relay(task.key, int(done), int(total))
            if self._pool.on_beat is not None:
                self._pool.on_beat(task.key, int(done), int(total))
        elif "unfit" in message:
            raise ResourceError(f"on the cluster: {message['unfit']}")
        else:
            result = message["result"]
            failure = result["failure"]
            worker.task = None
            yield Result(
                key=task.key,
                value=result["value"],
                failure=None if failure is None else failure_from_plain(failure),
                wall_s=float(result["wall_s"]),
                peak_bytes=int(result["peak_bytes"]),
            )

    def _lose(self, worker: _Worker, error: Exception) -> Iterator[Result]:
        """Take leave of a worker; its task can be given again by whoever counts the tries."""
        self._workers.remove(worker)
        self._kill(worker.actor)
        words = " ".join(str(error).split())[:2000]
        if worker.task is None:
            self._lost_starts += 1
            if self._lost_starts >= _MOST_LOST_STARTS:
                raise ResourceError(f"no worker can start on the cluster: {words}") from error
            return
        yield Result(
            key=worker.task.key,
            failure=Failure(
                cause=Cause.KILLED,
                kind=type(error).__name__,
                message="the worker that read it was lost with its machine, or killed on it",
                hint="most often a machine went away or ran out of memory; run again",
                detail=words,
            ),
            wall_s=time.monotonic() - worker.begun_s,
        )

    def _require_some(self) -> None:
        """Refuse to wait for ever where the cluster is full, or has no machine left."""
        if any(worker.ready for worker in self._workers):
            return
        now_s = time.monotonic()
        since_s = min((worker.begun_s for worker in self._workers), default=self._looked_s)
        if self._waiting and now_s - since_s > _START_S:
            raise ResourceError(
                f"no worker started on the cluster within {_START_S:g} s: it has {self._most()} "
                "processors, and others may hold them; see `ray status`"
            )

    def _kill(self, actor: Any) -> None:
        with contextlib.suppress(self._ray.exceptions.RayError, ValueError):
            self._ray.kill(actor)


def _require_address(address: str) -> None:
    """Let nothing through that Ray would take as leave to start a cluster of its own."""
    host, colon, port = address.rpartition(":")
    named = bool(host and colon) and port.isdecimal() and 0 < int(port) < _PORTS
    if address != "auto" and (not named or "/" in host):
        raise ConfigError(
            f"--ray {address!r} is no address of a cluster; expected HOST:PORT of its head, or "
            "auto on one of its machines"
        )


def _knock(address: str) -> None:
    """Find out within seconds that nobody answers, for which Ray takes many minutes."""
    host, colon, port = address.rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()


def _versions(parts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in parts.items())


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", extra="ray", what_for="working on a cluster") from error
    return ray
