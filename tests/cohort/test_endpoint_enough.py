"""Events and follow-up against what a study wants of them."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.cohort.endpoint import build_endpoint
from metastra.cohort.endpoint_built import BuiltEndpoint
from metastra.cohort.endpoint_enough import enough_problems, event_problems, horizon_problems
from metastra.cohort.hierarchy import Course, Occurrence
from metastra.study.endpoints import endpoint_named
from metastra.study.sections import EndpointSection
from metastra.study.vocabulary import EventType
from metastra.units import TimeUnit


def endpoint(
    deaths: int, alive: int = 50, last: float = 1000.0, entry: float = 0.0
) -> BuiltEndpoint:
    """Overall survival with deaths on days 1, 2, … and the others alive."""
    dead = [
        Course(occurrences=(Occurrence(type=EventType.DEATH, days=day),))
        for day in np.arange(1.0, deaths + 1)
    ]
    others = [Course(last_contact_days=last, entry_days=entry)] * alive
    return build_endpoint(endpoint_named("overall-survival"), [*dead, *others], EndpointSection())


DEVELOPMENT, EXTERNAL = {"north": "development"}, {"south": "external"}


@pytest.mark.parametrize(
    ("deaths", "folds", "parameters", "expected"),
    [
        (0, 0, 0, ["EP014"]),
        (1, 0, 0, ["EP014"]),
        (2, 0, 0, []),
        (4, 5, 0, ["EP014"]),
        (5, 5, 0, []),
        (49, 5, 5, ["EP015"]),
        (50, 5, 5, []),
    ],
)
def test_events_in_development(
    deaths: int, folds: int, parameters: int, expected: list[str]
) -> None:
    """At least two, at least one for each fold, ten for each parameter."""
    found = event_problems(
        {"north": endpoint(deaths)}, DEVELOPMENT, folds=folds, parameters=parameters
    )
    assert [item.code for item in found] == expected


def test_below_ten_events_it_is_said_that_no_model_is_fitted() -> None:
    """The run would find out after hours of extraction."""
    [few] = event_problems({"north": endpoint(9)}, DEVELOPMENT, parameters=1)
    assert few.found.startswith("9 events in development for 1 parameter; ")
    assert few.found.endswith("below 10 events no model is fitted")
    assert event_problems({"north": endpoint(10)}, DEVELOPMENT, parameters=1) == []


def test_events_of_several_development_cohorts_are_added() -> None:
    """They are fitted together."""
    both = {"north": endpoint(3), "west": endpoint(2)}
    roles = {"north": "development", "west": "development"}
    assert event_problems(both, roles, folds=5) == []


def test_validation_with_few_events_is_a_warning_with_its_cohort() -> None:
    """A hundred events, as Collins and colleagues advise."""
    [problem] = event_problems({"south": endpoint(99)}, EXTERNAL)
    assert (problem.code, problem.where.cohort) == ("EP015", "south")
    assert event_problems({"south": endpoint(100)}, EXTERNAL) == []


def test_horizon_past_follow_up_is_refused_in_the_cohort_that_lacks_it() -> None:
    """In the unit of the study."""
    both = {"north": endpoint(20, last=1000), "south": endpoint(20, last=700)}
    [problem] = horizon_problems(both, [730.5], unit=TimeUnit.MONTHS)
    assert (problem.code, problem.where.cohort) == ("EP016", "south")
    assert "24 months" in problem.found
    assert "23 months" in problem.found


@pytest.mark.parametrize(("alive", "expected"), [(9, ["EP017"]), (10, [])])
def test_few_patients_at_risk(alive: int, expected: list[str]) -> None:
    """Watched up to the horizon or longer."""
    found = horizon_problems({"north": endpoint(20, alive)}, [900.0])
    assert [item.code for item in found] == expected


def test_patients_who_enter_after_the_horizon_are_not_at_risk_at_it() -> None:
    """Delayed entry."""
    late = {"north": endpoint(20, entry=950.0)}
    assert [item.code for item in horizon_problems(late, [900.0])] == ["EP017"]


def test_horizon_at_the_end_of_everybody_is_a_warning() -> None:
    """Patients censored exactly there say nothing about it."""
    [problem] = horizon_problems({"north": endpoint(20)}, [1000.0])
    assert problem.code == "EP017"
    assert "nobody is watched past" in problem.found


def test_everything_at_once_and_nobody_at_risk() -> None:
    """A cohort without patients at risk raises no error."""
    nobody = build_endpoint(
        endpoint_named("survival-after-metastasis"),
        [Course(last_contact_days=9)],
        EndpointSection(),
    )
    both = {"north": endpoint(1), "south": nobody}
    found = enough_problems(both, DEVELOPMENT | EXTERNAL, horizons_days=[2000.0], folds=5)
    assert [item.code for item in found] == ["EP014", "EP015", "EP016"]
