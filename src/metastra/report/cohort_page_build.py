"""Filling a `CohortPage` from a cohort and what its check found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import metadata

from metastra.cohort.cohort import Cohort
from metastra.cohort.flow import CohortFlow
from metastra.errors import Problem
from metastra.report.cohort_page import CohortPage
from metastra.report.curve_estimates import follow_up_curves, incidence_curves
from metastra.report.curves import MOST_GROUPS, CurveOptions, Curves
from metastra.report.follow_up import FollowUpRow, follow_up_rows
from metastra.report.page_parts import (
    AppliedResolution,
    MetadataModel,
    PageSettings,
    Provenance,
    SplitSummary,
    StudyWords,
)
from metastra.report.precision import Precision, PrecisionRow, precision_row
from metastra.report.study_words import endpoint_words, event_in_words, question_of
from metastra.report.table_one import table_one
from metastra.study.study import Study
from metastra.survival.outcome import Outcome
from metastra.units import to_days

__all__ = ["cohort_page_from"]


def cohort_page_from(
    cohort: Cohort | None,
    *,
    study: Study | None = None,
    flows: Sequence[CohortFlow] | None = None,
    problems: Sequence[Problem] | None = None,
    splits: Sequence[SplitSummary] = (),
    resolutions: Sequence[AppliedResolution] = (),
    metadata_model: MetadataModel | None = None,
    notes: Sequence[str] = (),
    table_digests: Mapping[str, str] | None = None,
    settings: PageSettings | None = None,
    made_at: str = "",
) -> CohortPage:
    """Gather everything that the page of a cohort says.

    Parameters
    ----------
    cohort : Cohort or None
        The analysed patients; None where the data were refused.
    study : Study, optional
        What was promised; the cohort's own when left out.
    flows : sequence of CohortFlow, optional
        By default the cohort's.
    problems : sequence of Problem, optional
        By default the cohort's.
    splits : sequence of SplitSummary
        Stored splits, in counts.
    resolutions : sequence of AppliedResolution
        What the study file says about problems of its tables.
    metadata_model : MetadataModel, optional
        How well collection foretells the outcome.
    notes : sequence of str
        Anything else that a reader should know.
    table_digests : mapping of str to str, optional
        SHA-256 by ``cohort/kind``; by default the cohort's.
    settings : PageSettings, optional
        Levels and limits.
    made_at : str
        Date and time for the footer; left out, equal inputs give equal bytes.

    Returns
    -------
    CohortPage
        For `metastra.report.cohort_html.write_cohort_page`.

    Examples
    --------
    >>> from metastra.catalogue import problem
    >>> cohort_page_from(None, problems=[problem("CO002", "clini.csv has no rows")]).refused
    True
    """
    chosen = settings or PageSettings()
    promised = study or (cohort.study if cohort is not None else None)
    digests = table_digests if table_digests is not None else cohort.table_digests if cohort else {}
    page = CohortPage(
        study=_study_words(promised),
        endpoint=endpoint_words(promised) if promised else None,
        flows=tuple(flows if flows is not None else cohort.flows if cohort is not None else ()),
        problems=tuple(
            problems if problems is not None else cohort.problems if cohort is not None else ()
        ),
        splits=tuple(splits),
        resolutions=tuple(resolutions),
        metadata_model=metadata_model,
        notes=tuple(notes),
        provenance=Provenance(
            study_digest=promised.digest if promised else "",
            cohort_digest=cohort.digest if cohort is not None else "",
            tables=tuple(sorted(digests.items())),
            version=_version(),
            made_at=made_at,
        ),
        settings=chosen,
    )
    return page if cohort is None else _with_cohort(page, cohort)


def _with_cohort(page: CohortPage, cohort: Cohort) -> CohortPage:
    settings = page.settings
    page = replace(page, table=table_one(cohort, hidden_below=settings.hidden_below))
    if cohort.target is not None or not len(cohort):
        return page
    competing = _competes(cohort)
    rows = follow_up_rows(
        cohort, competing=competing, hidden_below=settings.hidden_below, level=settings.level
    )
    return replace(
        page,
        follow_up=rows,
        curves=_curves(cohort, page, competing=competing),
        precision=_precision(cohort, rows, settings.level),
    )


def _study_words(study: Study | None) -> StudyWords:
    if study is None:
        return StudyWords(name="", title="The study file is refused")
    section = study.endpoint
    primary = section.primary_horizon or (section.horizons[0] if section.horizons else None)
    return StudyWords(
        name=study.study.name,
        title=study.study.title,
        question=question_of(study),
        time_unit=section.time_unit.value,
        horizons=section.horizons,
        primary=primary,
        seed=study.study.seed,
        uses_slides=any(cohort.slide_table for cohort in study.cohort),
    )


def _outcomes(cohort: Cohort) -> dict[str, Outcome]:
    """Outcomes by cohort, as many as one figure can tell apart; the rest together."""
    names = [s.name for s in cohort.study.cohort if (cohort.cohort_names == s.name).any()]
    if len(names) <= MOST_GROUPS:
        return {name: cohort.outcome(name) for name in names}
    own = names[: MOST_GROUPS - 1]
    rest = ~(cohort.cohort_names[:, None] == own).any(axis=1)
    return {name: cohort.outcome(name) for name in own} | {
        f"{len(names) - len(own)} other cohorts": cohort.outcome().take(rest)
    }


def _competes(cohort: Cohort) -> bool:
    """Tell whether a competing event occurred, or could have by the endpoint's definition."""
    definition = cohort.study.endpoint_definition
    return bool((cohort.event > 1).any()) or bool(definition and definition.competing)


def _curves(cohort: Cohort, page: CohortPage, *, competing: bool) -> dict[str, Curves]:
    outcomes = _outcomes(cohort)
    section = cohort.study.endpoint
    options = CurveOptions(
        time_unit=section.time_unit,
        horizons=section.horizons,
        primary=page.study.primary,
        min_at_risk=page.settings.min_at_risk,
        level=page.settings.level,
    )
    event = event_in_words(cohort.study)
    curves = {
        "incidence": incidence_curves(outcomes, event=event, competing=competing, options=options)
    }
    if (cohort.event == 2).any():
        curves["competing"] = incidence_curves(
            outcomes, event="competing events", cause=2, competing=True, options=options
        )
    curves["follow-up"] = follow_up_curves(outcomes, options=options)
    return curves


def _precision(cohort: Cohort, rows: Sequence[FollowUpRow], level: float) -> Precision | None:
    study = cohort.study
    primary = study.endpoint.primary_horizon or next(iter(study.endpoint.horizons), None)
    if primary is None:
        return None
    found: list[PrecisionRow] = []
    for row in rows:
        if row.site:
            continue
        at = next(item for item in row.at if item.horizon == primary)
        found.append(
            precision_row(
                cohort.outcome(row.cohort),
                cohort=row.cohort,
                role=row.role,
                horizon=primary,
                horizon_days=to_days(primary, study.endpoint.time_unit),
                risk=at.risk,
                level=level,
            )
        )
    events = sum(row.events for row in rows if row.role == "development" and not row.site)
    parameters = sum(
        max(len(column.levels) - 1, 1) if column.kind == "categorical" else 1
        for column in study.clinical.values()
    )
    return Precision(
        rows=tuple(found),
        development_events=events,
        parameters=parameters,
        events_per_parameter=events / parameters if parameters else None,
        level=level,
    )


def _version() -> str:
    try:
        return metadata.version("metastra")
    except metadata.PackageNotFoundError:
        return "unknown"
