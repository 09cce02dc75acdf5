"""A real cluster of two machines' worth of Ray on this one: two nodes of one processor each."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

RAY = Path(sys.executable).with_name("ray")
_NODE = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_raylet_start_wait_time_s": "170"}


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


class Cluster:
    """Started as the how-to says; each node in a process group of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self.nodes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        port = self.address.rpartition(":")[2]
        head = ("--head", "--port", port, "--include-dashboard", "false", "--disable-usage-stats")
        self._node(*head, "--node-ip-address", "127.0.0.1", "--temp-dir", str(self.folder))
        while not _answers(self.address):
            self._require_alive(time.monotonic() + 60)
        self.join()

    def join(self) -> None:
        """One more node; the head has nothing that encoders could take."""
        self._node("--address", self.address, "--resources", '{"encoder": 1}')
        self._until(len(self.nodes))

    def lose(self, number: int) -> None:
        """Take a node away as a power cut does."""
        node = self.nodes.pop(number)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
        node.wait()

    def stop(self) -> None:
        while self.nodes:
            self.lose(-1)

    def _node(self, *how: str) -> None:
        command = [str(RAY), "start", *how, "--num-cpus", "1"]
        command += ["--object-store-memory", "80000000", "--block"]
        path = os.pathsep.join(
            one for one in sys.path if "site-packages" not in one and one.endswith(("src", "tests"))
        )
        with (self.folder / f"node-{len(self.nodes)}.log").open("wb") as log:
            node = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "PYTHONPATH": path,
                    "RAY_USAGE_STATS_ENABLED": "0",
                    "RAY_raylet_start_wait_time_s": "170",
                },
                start_new_session=True,
            )
        self.nodes.append(node)

    def _until(self, n_nodes: int) -> None:
        """Wait until the cluster counts so many nodes that are alive."""
        import ray

        until = time.monotonic() + 180
        while not _answers(self.address):
            self._require_alive(until)
        with contextlib.ExitStack() as undo:
            if not ray.is_initialized():
                undo.callback(ray.shutdown)
            while not ray.is_initialized():
                # the head answers before its own node is registered
                with contextlib.suppress(ConnectionError):
                    ray.init(self.address, log_to_driver=False, logging_level=logging.ERROR)
                self._require_alive(until)
            while sum(node["Alive"] for node in ray.nodes()) != n_nodes:
                self._require_alive(until)

    def _require_alive(self, until: float) -> None:
        for number, node in enumerate(self.nodes):
            assert node.poll() is None, (self.folder / f"node-{number}.log").read_text()
        assert time.monotonic() < until, "the nodes did not find each other"
        time.sleep(0.2)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
