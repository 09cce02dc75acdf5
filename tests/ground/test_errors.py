"""Errors say what happened, where, what was expected and what to do, and all of it at once."""

from __future__ import annotations

import copy

import pytest

from metastra import errors
from metastra.errors import (
    BundleError,
    BusyError,
    ConfigError,
    DataError,
    DigestMismatch,
    IntegrityError,
    LeakageError,
    LockedError,
    MetastraError,
    MissingExtra,
    NotEstimable,
    Problem,
    ResourceError,
    SchemaError,
    Severity,
    SlideError,
    Where,
)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (ConfigError, ValueError),
        (DataError, ValueError),
        (SchemaError, DataError),
        (LeakageError, DataError),
        (SlideError, DataError),
        (NotEstimable, ValueError),
        (MissingExtra, ImportError),
        (IntegrityError, ValueError),
        (BundleError, IntegrityError),
        (DigestMismatch, IntegrityError),
        (LockedError, IntegrityError),
        (BusyError, RuntimeError),
        (ResourceError, OSError),
    ],
)
def test_the_tree(kind, builtin):
    """Each error is metastra's and a builtin, so that a caller may catch either."""
    assert issubclass(kind, MetastraError)
    assert issubclass(kind, builtin)


def test_every_error_stands_in_the_drawing():
    """The docstring's tree names every class, so a reader sees them all."""
    classes = [
        name
        for name in errors.__all__
        if isinstance(getattr(errors, name), type)
        and issubclass(getattr(errors, name), MetastraError)
    ]

    assert len(classes) == 14
    assert all(name in (errors.__doc__ or "") for name in classes)


def test_the_place_of_a_problem_is_read_like_a_sentence():
    """File, rows and column; many rows are shortened and counted; no place is the study."""
    assert str(Where()) == "study"
    assert str(Where(file="clini.csv")) == "clini.csv"
    assert str(Where(file="clini.csv", rows=(7,))) == "clini.csv, row 7"
    assert (
        str(Where(file="clini.csv", rows=(7, 9), column="T")) == "clini.csv, rows 7, 9, column 'T'"
    )
    assert str(Where(rows=tuple(range(2, 12)))).endswith("rows 2, 3, 4, 5, 6, 7, 8, 9 and 2 more")
    assert "more" not in str(Where(rows=tuple(range(2, 10))))
    assert str(Where(column="T")) == "column 'T'"


def test_a_problem_says_code_place_found_expected_and_remedy():
    """Parts that are empty leave no trace."""
    where = Where(file="clini.csv", rows=(7,), column="months")
    full = Problem(
        code="EP003", where=where, found="-2", expected="0 or more", hint="Correct the date."
    )

    assert str(full) == (
        "EP003 clini.csv, row 7, column 'months': -2; expected 0 or more; Correct the date."
    )
    assert str(Problem(code="EP003", where=where, found="-2")).endswith(": -2")
    assert full.severity is Severity.REFUSE


@pytest.mark.parametrize("kind", [ConfigError, DataError, SchemaError, LeakageError])
def test_all_problems_are_told_at_once(kind):
    """The message has the number of problems and one line for each."""
    problems = [Problem(code=f"CO00{n}", where=Where(rows=(n,)), found="x") for n in range(1, 4)]

    error = kind("The cohort is refused", problems)

    assert str(error).splitlines() == [
        "The cohort is refused (3 problems)",
        "  CO001 row 1: x",
        "  CO002 row 2: x",
        "  CO003 row 3: x",
    ]
    assert error.problems == tuple(problems)
    assert str(kind("", problems[:1])).splitlines()[0] == "1 problem"
    assert str(kind("Only this")) == "Only this"
    assert kind("Only this").problems == ()


def test_problems_may_come_from_a_generator():
    """Problems that are made on the way are neither lost nor used up by the message."""
    made = (Problem(code="CO001", where=Where(), found="x") for _ in range(2))

    error = DataError("", list(made))

    assert len(error.problems) == 2
    assert len(str(error).splitlines()) == 3


def test_a_number_that_cannot_be_had_keeps_its_reason():
    """The reason is a result and can be stored as it is."""
    error = NotEstimable("the last patient was seen on day 900, the horizon is day 1825")

    assert error.reason == str(error)


def test_a_missing_extra_says_how_to_install_it():
    """Package, purpose and command."""
    error = MissingExtra("torch", extra="learn", what_for="training a model")

    assert str(error) == (
        "training a model needs torch, which is not installed; "
        "install it with: python -m pip install 'metastra[learn]'"
    )
    assert (error.package, error.extra) == ("torch", "learn")


def test_a_resource_error_keeps_its_number_and_its_words():
    """A number can be added to the sentence without changing it."""
    error = ResourceError("a.csv: the disk is full")
    error.errno = 28

    assert str(error) == "a.csv: the disk is full"
    assert error.errno == 28


def test_values_are_frozen_and_compare_by_content():
    """Problems and places can be collected in sets and never change."""
    problem = Problem(code="CO001", where=Where(rows=(1,)), found="x")

    assert problem == copy.deepcopy(problem)
    assert len({problem, copy.deepcopy(problem)}) == 1
    with pytest.raises(AttributeError):
        problem.code = "CO002"  # type: ignore[misc]
