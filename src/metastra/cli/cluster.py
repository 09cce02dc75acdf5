"""The option ``--ray``: slides are worked on by a cluster instead of here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metastra.cli.console import say

if TYPE_CHECKING:
    from metastra.executor import Executor

__all__ = ["RayAddress", "cluster"]

RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Work on the slides by the Ray cluster at HOST:PORT, or by the one this machine is in "
        "(auto).",
        show_default=False,
    ),
]


@contextlib.contextmanager
def cluster(address: str | None, folder: Path, workers: int | None) -> Iterator[Executor | None]:
    """Make the executor of a cluster for the block.

    Parameters
    ----------
    address : str or None
        What ``--ray`` was given.
    folder : Path
        Of the products.
    workers : int or None
        Slides at a time; by default one a processor of the cluster.

    Yields
    ------
    Executor or None
        None without an address: slides are then worked on here.
    """
    if address is None:
        yield None
        return
    from metastra.integrations.ray_pool import RayPool, connected

    with connected(address):
        yield RayPool(folder=folder, workers=workers, tell=say)
