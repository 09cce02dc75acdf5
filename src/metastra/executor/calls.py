"""Calling the function of a task: by name, with plain values, and never with an exception."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from metastra.executor.causes import failure_of
from metastra.executor.tasks import Failure, Limits, Task, TaskFunction
from metastra.executor.wire import Frames, pack

__all__ = ["call", "check_tasks", "echo", "function_name", "function_named"]


def echo(payload: Mapping[str, Any]) -> Any:
    """Give back what was given: the smallest task.

    Parameters
    ----------
    payload : mapping
        Plain values.

    Returns
    -------
    dict
        The same.

    Examples
    --------
    >>> echo({"x": 1})
    {'x': 1}
    """
    return dict(payload)


def function_name(function: TaskFunction) -> str:
    """Give the name under which another process finds a function.

    Parameters
    ----------
    function : callable
        Defined at the top of an importable module.

    Returns
    -------
    str
        ``module:name``.

    Raises
    ------
    ValueError
        If another process could not find it.

    Examples
    --------
    >>> function_name(echo)
    'metastra.executor.calls:echo'
    """
    module = getattr(function, "__module__", "")
    name = getattr(function, "__qualname__", "")
    if module in ("", "__main__") or not name.isidentifier():
        raise ValueError(
            f"{function!r} is no function at the top of an importable module, so another process "
            "cannot find it; move it into a module"
        )
    return f"{module}:{name}"


def function_named(name: str) -> TaskFunction:
    """Find a function by its name.

    Parameters
    ----------
    name : str
        What `function_name` gave in the parent.

    Returns
    -------
    callable
        The function.

    Raises
    ------
    ImportError, AttributeError
        If it is not there.

    Examples
    --------
    >>> function_named("metastra.executor.calls:echo") is echo
    True
    """
    module, _, attribute = name.partition(":")
    found: TaskFunction = getattr(import_module(module), attribute)
    return found


def check_tasks(tasks: Sequence[Task]) -> None:
    """Refuse tasks that could not be told apart.

    Parameters
    ----------
    tasks : sequence of Task
        Of one run.

    Raises
    ------
    ValueError
        If two have one key.

    Examples
    --------
    >>> check_tasks([Task(key="a"), Task(key="a")])
    Traceback (most recent call last):
    ...
    ValueError: two tasks have the key 'a'
    """
    seen: set[str] = set()
    for task in tasks:
        if task.key in seen:
            raise ValueError(f"two tasks have the key {task.key!r}")
        seen.add(task.key)


def call(
    function: TaskFunction, payload: Mapping[str, Any], *, limits: Limits
) -> tuple[Any, Failure | None]:
    """Call a function; what it raises is a failure.

    Parameters
    ----------
    function : callable
        The function of a task.
    payload : mapping
        Its argument.
    limits : Limits
        Under which it runs, for the message.

    Returns
    -------
    value : plain values
        As another process would get it; None for a failure.
    failure : Failure or None
        None where it went well.

    Examples
    --------
    >>> call(echo, {"x": (1, 2)}, limits=Limits())
    ({'x': [1, 2]}, None)
    """
    try:
        value = function(payload)
        return Frames().feed(pack(value))[0], None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a task does, the batch goes on
        return None, failure_of(error, limits=limits, place=_place(error))


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
