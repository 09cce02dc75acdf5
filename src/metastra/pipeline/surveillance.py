"""Decision support: surveillance policies on anybody's predictions, as numbers and a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metastra.digest import digest_file
from metastra.errors import Problem
from metastra.evaluation.combined import combined_risk
from metastra.evaluation.patients import Patients, Settings
from metastra.evaluation.policies import PolicySettings, compare_policies
from metastra.evaluation.policy_file import read_policies
from metastra.evaluation.reading import read_patients
from metastra.evaluation.request import Request
from metastra.evaluation.risk_groups import group_patients
from metastra.evaluation.visits import visit_schedule
from metastra.pipeline.report_folder import write_report_folder

__all__ = ["Surveyed", "survey", "write_surveyed"]

_SCHEMA = 1
_FEW_EVENTS = 20
_REFIT_DRAWS = 200


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Surveyed:
    """Policies side by side and what was noticed while reading.

    Parameters
    ----------
    document : dict
        The content of ``surveillance.json``.
    problems : tuple of Problem
        Warnings about the tables.
    """

    document: dict[str, Any]
    problems: tuple[Problem, ...]


def survey(
    request: Request,
    policies: Path,
    *,
    cutpoints: tuple[float, ...],
    sensitivity: float = 1.0,
    bootstrap: int = 500,
    seed: int = 0,
) -> Surveyed:
    """Read predictions, outcomes and policies and compute what each policy finds and costs.

    Parameters
    ----------
    request : Request
        Which columns of which tables; `subgroups` are the findings to combine the risk with.
    policies : Path
        TOML file of the policies.
    cutpoints : tuple of float
        Of the risk groups, fixed beforehand; empty for exploratory thirds.
    sensitivity : float
        Of one scan.
    bootstrap, seed : int
        Draws of patients.

    Returns
    -------
    Surveyed
        Nothing is written.

    Raises
    ------
    ConfigError
        With every fault of the policies.
    DataError
        With every refusal of the tables, each with its rows.
    """
    reading = read_patients(request)
    patients = reading.patients
    grouping = group_patients(patients, Settings(bootstrap=0, cutpoints=cutpoints))
    settings = PolicySettings(
        horizon=patients.last_horizon, sensitivity=sensitivity, bootstrap=bootstrap, seed=seed
    )
    document = compare_policies(
        patients, grouping, read_policies(policies, grouping.names), settings
    )
    document |= {
        "schema": _SCHEMA,
        "scale": grouping.scale,
        "combined": combined_risk(
            patients, grouping, bootstrap=min(bootstrap, _REFIT_DRAWS), seed=seed
        ),
        "visits": visit_schedule(patients),
        "warnings": _warnings(patients, exploratory=grouping.exploratory),
        "predictions_sha256": reading.predictions_sha256,
        "policies_sha256": digest_file(policies),
        "research_use": "Research use only. Not for diagnosis or treatment.",
    }
    return Surveyed(document=document, problems=reading.problems)


def _warnings(patients: Patients, *, exploratory: bool) -> list[str]:
    """Say first what a reader must know before the numbers."""
    said = []
    events = patients.outcome.n_events(1)
    if events < _FEW_EVENTS:
        said.append(f"Only {events} events: intervals are wide and may still be too narrow.")
    if patients.last_negative is None:
        said.append(
            "Onsets are dated at their detection, so the delays leave out the time before it; "
            "give the last negative examination."
        )
    if exploratory:
        said.append("The risk groups were cut in these very patients.")
    return said


def write_surveyed(surveyed: Surveyed, folder: Path) -> tuple[str, ...]:
    """Write ``surveillance.json``, the figures and ``report.html``.

    Parameters
    ----------
    surveyed : Surveyed
        What was computed.
    folder : Path
        Made when it is missing.

    Returns
    -------
    tuple of str
        Names of the files, relative to the folder.
    """
    from metastra.report.surveillance_page import render_surveillance_page, surveillance_figures

    figures = surveillance_figures(surveyed.document)
    page = render_surveillance_page(surveyed.document, figures)
    return write_report_folder(folder, "surveillance.json", surveyed.document, figures, page)
