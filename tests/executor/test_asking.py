"""A task asks its pool and gets the answer; who is not answered is told."""

from __future__ import annotations

import pytest

from executor.asking_tasks import sum_by_parent, unanswered
from metastra.executor import Cause, ProcessPool, Task, answers, ask


def test_the_parent_answers_while_others_work():
    """Two children at a time, two questions each."""
    heard = []

    def total(numbers):
        heard.append(numbers)
        return sum(numbers)

    pool = ProcessPool(workers=2, on_ask={"sum": total})
    tasks = [Task(key=str(n), payload={"x": [n, n]}) for n in range(5)]
    results = {one.key: one.value for one in pool.run(sum_by_parent, tasks)}
    assert results == {str(n): {"sum": 2 * n + 1, "answers": [True, False]} for n in range(5)}
    assert len(heard) == 10


def test_a_question_that_nobody_answers_is_an_error_of_the_task():
    """In a child as here."""
    (result,) = ProcessPool().run(unanswered, [Task(key="a")])
    assert result.failure.cause is Cause.ERROR
    assert "answers nothing about 'weather'" in result.failure.message
    assert not answers("weather")
    with pytest.raises(LookupError):
        ask("weather", 1)
