"""Tasks that are made when they are handed out."""

from __future__ import annotations

import pytest

from metastra.executor import MadeTasks, ProcessPool, Task
from metastra.executor.calls import echo
from metastra.executor.waiting import Waiting


def keys(tasks):
    return [task.key for task in tasks]


def taken(waiting):
    return [waiting.take().key for _ in range(len(waiting))]


def test_tasks_are_made_when_they_are_asked_for():
    """And anew each time, so that none is kept."""
    made = []
    tasks = MadeTasks("abcd", lambda name: made.append(name) or Task(key=name))
    assert (len(tasks), made) == (4, [])
    assert tasks[-1].key == "d"
    assert keys(tasks[1:3]) == ["b", "c"]
    assert keys(tasks) == ["a", "b", "c", "d"]
    assert made == ["d", "b", "c", "a", "b", "c", "d"]
    with pytest.raises(IndexError):
        tasks[4]


def test_a_queue_makes_the_next_task_only():
    """What was given back comes first, what was added last."""
    made = []
    waiting = Waiting(MadeTasks("abc", lambda name: made.append(name) or Task(key=name)))
    waiting.add(Task(key="z"))
    first = waiting.take()
    assert (first.key, made, len(waiting)) == ("a", ["a"], 3)
    waiting.put_back(first)
    assert len(waiting) == 4
    assert taken(waiting) == ["a", "b", "c", "z"]
    assert not waiting
    with pytest.raises(IndexError):
        waiting.take()


def test_a_queue_that_was_given_up_is_empty_and_can_go_on():
    """After Ctrl-C, and for whoever adds tasks later."""
    waiting = Waiting([Task(key="a"), Task(key="b")])
    waiting.put_back(waiting.take())
    waiting.add(Task(key="c"))
    waiting.clear()
    assert len(waiting) == 0
    waiting.add(Task(key="d"))
    assert taken(waiting) == ["d"]


def test_a_pool_makes_tasks_as_its_workers_come_free():
    """When the first result is there, most of the tasks are not made: keys are looked at once."""
    made = []

    def make(number):
        made.append(number)
        return Task(key=str(number), payload={"x": number})

    results = ProcessPool(workers=1).run(echo, MadeTasks(range(50), make))
    next(results)
    assert len(made) <= 50 + 2
    assert {result.value["x"] for result in results} | {0} == set(range(50))
    assert len(made) == 100
