"""Which feature files belong to which patient of a run, and why others are not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from metastra.bundle.slide_reading import GivenSlide, PatientSlides
from metastra.cohort.cohort import Cohort
from metastra.cohort.hierarchy import Patient
from metastra.features.bag import Bag
from metastra.features.store import RUN_PREFIX, FeatureStore
from metastra.pseudonyms import Pseudonyms
from metastra.storage import read_product_json
from metastra.training.patient_bags import PatientBags
from metastra.training.slide_bundle import SlideEvidence, slide_evidence

__all__ = ["StudyBags", "study_bags"]

_UNREAD = "not read: its file is not there, or its cohort has require_slides = false"


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyBags:
    """The feature files of the patients of a run, in the order of the cohort.

    Parameters
    ----------
    bags : PatientBags
        Of n patients.
    slides : tuple of PatientSlides, of length n
        The same files with what the slide tables say of them.
    lost : tuple of str, of length n
        Why a patient has no tile; empty for those who have.
    card : mapping
        Of the encoder that the study names.
    """

    bags: PatientBags
    slides: tuple[PatientSlides, ...]
    lost: tuple[str, ...]
    card: Mapping[str, Any]

    def evidence(self, rows: Sequence[int]) -> SlideEvidence:
        """Gather what the slides of some patients are.

        Parameters
        ----------
        rows : sequence of int
            Positions of the development patients.

        Returns
        -------
        SlideEvidence
            Of slides that are all alike.

        Raises
        ------
        NotEstimable
            Where there is no slide.
        DataError
            With SL059 for every slide whose features are of another kind.
        """
        given = [slide for row in rows for slide in self.slides[row].slides]
        bags = [(slide.name, slide.open()) for slide in given]
        return slide_evidence(bags, [slide.scanner for slide in given], self.card)


def study_bags(run_dir: Path, cohort: Cohort, pseudonyms: Pseudonyms) -> StudyBags:
    """Find the feature files of a run's patients.

    Parameters
    ----------
    run_dir : Path
        The run folder; its features are made.
    cohort : Cohort
        The patients.
    pseudonyms : Pseudonyms
        Of the study.

    Returns
    -------
    StudyBags
        A slide that failed or was excluded is named with its reason.

    Raises
    ------
    IntegrityError
        If the index of the features is not as it was made.
    """
    index: Mapping[str, Any] = read_product_json(run_dir, "features")
    by_name = {row["slide"]: row for row in index["slides"]}
    store = FeatureStore(run_dir, RUN_PREFIX)
    patients, names, lost, sources = [], [], [], []
    for patient in cohort.patients:
        given, gone = [], []
        for slide in patient.slides:
            name = pseudonyms.slide(f"{patient.cohort}/{slide.filename}")
            row = by_name.get(name)
            if row is None:
                gone.append(f"{name}: {_UNREAD}")
                continue
            if row["state"] == "done" and row["n_tiles"]:
                opener = partial(_open, store, name)
                made = GivenSlide(name=name, open=opener, stain=slide.stain, scanner=slide.scanner)
                given.append(made)
            else:
                gone.append(f"{name}: {_why(row)}")
        patients.append(PatientSlides(slides=tuple(given), lost=tuple(gone)))
        names.append([slide.name for slide in given])
        sources.append(_source(cohort, patient))
        words = "; ".join(gone) or "none is given"
        lost.append("" if given else f"no usable slide: {words}")
    return StudyBags(
        bags=PatientBags.of_store(store, names, sources),
        slides=tuple(patients),
        lost=tuple(lost),
        card=index["encoder"],
    )


def _source(cohort: Cohort, patient: Patient) -> str:
    """Say where the slides of a patient were made, as far as the tables know."""
    column = cohort.study.metadata.site
    site = patient.values.get(column) if column else None
    scanners = sorted({slide.scanner for slide in patient.slides if slide.scanner})
    return "/".join([patient.cohort, site or "", "+".join(scanners)])


def _open(store: FeatureStore, name: str) -> Bag:
    return store.open(name)


def _why(row: Mapping[str, Any]) -> str:
    if row.get("excluded"):
        return str(row["excluded"])
    found = [f"{one['code']} {one['found']}" for one in row.get("problems", ())]
    return "; ".join(found) or "no tile"
