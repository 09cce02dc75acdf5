"""Patients at surgery: case mix as stated, histology the same for all cohorts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency, ks_2samp

from metastra.synthetic.case_mix import COHORTS, VisitPlan, allocate
from metastra.synthetic.patients import draw_patients
from metastra.synthetic.staging import M_SUB, N_SUB, T_SUB, stage_group, tnm_text

N = 12_000


@pytest.fixture(scope="module")
def cohorts():
    """12,000 patients of each cohort."""
    return [draw_patients(plan, N, seed=4) for plan in COHORTS]


def test_each_centre_has_its_stated_stages_and_locations(cohorts):
    """Shares of stage and location lie within four standard errors of the plan."""
    for patients in cohorts:
        x, stages = patients.covariates, patients.coarse_stage
        for number, centre in enumerate(patients.plan.centres):
            mine = patients.centre == number
            seen = [np.mean(stages[mine] == name) for name in ("I", "II", "III", "IV")]
            left = ~x.right & ~x.rectum
            seen += [np.mean(part[mine]) for part in (left, x.right, x.rectum)]
            for share, stated in zip(seen, (*centre.stages, *centre.locations), strict=True):
                error = np.sqrt(stated * (1 - stated) / mine.sum())
                assert abs(share - stated) < 4 * error


def test_cohorts_differ_by_their_case_mix_only(cohorts):
    """Within one stage and location, histology and composition are the same in all cohorts."""
    chosen = []
    for patients in cohorts:
        x = patients.covariates
        keep = (patients.coarse_stage == "III") & ~x.right & ~x.rectum
        chosen.append(x.take(keep))
    first = chosen[0]
    for other in chosen[1:]:
        for name in ("cea_ng_ml", "stroma_fraction", "lymphocyte_fraction", "necrosis_fraction"):
            assert ks_2samp(getattr(first, name), getattr(other, name)).pvalue > 0.001
        for name in ("pt", "pn", "grade", "dmmr", "budding", "male"):
            values = [np.minimum(getattr(x, name).astype(int), 12) for x in (first, other)]
            table = [np.bincount(v, minlength=13) for v in values]
            seen = np.array(table)[:, np.sum(table, axis=0) > 0]
            assert chi2_contingency(seen).pvalue > 0.001


def test_the_case_mix_of_the_cohorts_does_differ(cohorts):
    """The test above could fail: over all stages the cohorts are not the same."""
    north, _, south = (patients.covariates for patients in cohorts)

    assert ks_2samp(north.age_years, south.age_years).pvalue < 1e-6


def test_histology_has_the_usual_associations(cohorts):
    """Mismatch repair is deficient on the right, with lymphocytes; buds come with nodes."""
    x = cohorts[0].covariates

    assert x.dmmr[x.right].mean() > 2 * x.dmmr[~x.right].mean()
    assert x.lymphocyte_fraction[x.dmmr].mean() > 1.4 * x.lymphocyte_fraction[~x.dmmr].mean()
    assert np.median(x.budding[x.pn == 2]) > np.median(x.budding[x.pn == 0])
    assert np.corrcoef(x.stroma_fraction, x.budding)[0, 1] > 0.1


def test_composition_leaves_room_for_the_rest(cohorts):
    """The four fractions are positive and sum to less than 1."""
    x = cohorts[0].covariates
    parts = np.stack(
        [x.tumour_fraction, x.stroma_fraction, x.lymphocyte_fraction, x.necrosis_fraction]
    )

    assert (parts > 0).all()
    assert (parts.sum(axis=0) < 1).all()


def test_stage_follows_from_the_drawn_categories(cohorts):
    """Each patient's stage group is the one of TNM, and the covariates carry the same T and N."""
    patients = cohorts[1]

    for i in range(500):
        t, n, m = patients.tnm[i]
        assert patients.stage[i] == stage_group(t, n, m)
        assert patients.covariates.pt[i] == int(t[0])
        assert patients.covariates.pn[i] == int(n[0])
        assert patients.metastatic[i] == (m != "0")


def test_the_stage_table_is_the_readers():
    """All 80 classifications have the stage group that the reader of tables implies."""
    stage = pytest.importorskip("metastra.cohort.stage")
    tnm = pytest.importorskip("metastra.cohort.tnm")

    for t in T_SUB:
        for n in N_SUB:
            for m in M_SUB:
                for treated in (False, True):
                    text = tnm_text(t, n, m, after_treatment=treated)
                    assert stage.possible_stages(tnm.parse_tnm(text)) == {stage_group(t, n, m)}


def test_neoadjuvant_treatment_is_for_the_rectum_only(cohorts):
    """Treated patients have cancers of the rectum and are not eligible, nor are those with M1."""
    for patients in cohorts:
        assert patients.covariates.rectum[patients.neoadjuvant].all()
        assert not patients.eligible[patients.neoadjuvant | patients.metastatic].any()
        assert 0.7 < patients.eligible.mean() < 0.9


def test_patients_stand_in_the_order_of_surgery_within_accrual(cohorts):
    """Ids ascend with the day of surgery, which lies within the accrual period."""
    for patients in cohorts:
        first, last = (day.toordinal() for day in patients.plan.accrual)
        assert (np.diff(patients.surgery) >= 0).all()
        assert patients.surgery[0] >= first
        assert patients.surgery[-1] <= last
        assert len(set(patients.id)) == len(patients)


@pytest.mark.parametrize("total", [0, 1, 17, 600])
def test_allocation_adds_up(total):
    """Whole parts sum to the total, and none is off its share by one or more."""
    shares = (0.36, 0.34, 0.30)
    parts = allocate(total, shares)

    assert sum(parts) == total
    assert all(abs(part - share * total) < 1 for part, share in zip(parts, shares, strict=True))


def test_visits_that_could_change_places_are_refused():
    """Two planned visits must lie further apart than both can move."""
    with pytest.raises(ValueError, match="two jitters"):
        VisitPlan(planned_days=(90, 115), jitter_days=14)
    with pytest.raises(ValueError, match="two jitters"):
        VisitPlan(planned_days=(20,), jitter_days=14)
