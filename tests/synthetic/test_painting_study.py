"""Slides of the synthetic study: tables, patients, pixels and leaks agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import openslide
import pytest

from metastra.errors import ConfigError
from metastra.executor import Serial
from metastra.pseudonyms import Pseudonyms, SecretKey
from metastra.study.load import load_study
from metastra.synthetic.draws import Draws
from metastra.synthetic.faults import plant
from metastra.synthetic.generate import generate, study_files
from metastra.synthetic.painting.artefact_draw import SHARES, draw_artefacts
from metastra.synthetic.painting.classes import ArtefactKind, TissueClass
from metastra.synthetic.painting.composition import Composition
from metastra.synthetic.painting.painted_truth import read_painted_truth
from metastra.synthetic.painting.scanners import SCANNERS
from metastra.synthetic.painting.study_slides import paint_slides, plan_slides
from metastra.synthetic.truth import read_truth
from metastra.synthetic.writing import render

ALL = {"tumour": "tumour", "stroma": "stroma", "lymphocytes": "lymphocyte", "necrosis": "necrosis"}


@pytest.fixture(scope="module")
def study():
    return generate(n_patients=60, seed=3)


@pytest.fixture(scope="module")
def parts(study):
    return study.parts(slides=True)


@pytest.fixture(scope="module")
def few(study, parts):
    """One slide of each scanner."""
    planned = plan_slides(study, parts, slide_mm2=0.25)
    return tuple({slide.scanner.name: slide for slide in planned}.values())


@pytest.fixture(scope="module")
def painted(tmp_path_factory, few):
    folder = tmp_path_factory.mktemp("study")
    return folder, paint_slides(few, folder, executor=Serial())


def slide_rows(parts):
    for name, table in parts.items():
        if "/slides." in name:
            for cells in table.rows:
                yield dict(zip(table.columns, cells, strict=True))


def test_every_patient_has_one_slide_and_every_slide_a_row(study, parts):
    rows = list(slide_rows(parts))
    planned = plan_slides(study, parts)

    assert len(rows) == len(planned) == 60
    assert [slide.file.rpartition("/")[2] for slide in planned] == [r["FILENAME"] for r in rows]
    for slide, row in zip(planned, rows, strict=True):
        assert (slide.scanner.name, slide.scanner.mpp) == (row["SCANNER"], row["MPP"])
        assert slide.recipe.width_um * slide.recipe.height_um == pytest.approx(2e6, rel=1e-3)
    assert len({slide.recipe.label for slide in planned}) == 60


def test_without_slides_the_study_is_as_before(study):
    """The option changes the slide tables and the study file, and nothing else."""
    before, after = render(study.parts()), render(study.parts(slides=True))

    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"study.toml", "north/slides.csv", "rhine/slides.csv", "south/slides.tsv"}
    assert b"require_slides = false" in before["study.toml"]
    assert b'slide_dir = "north/slides"' in after["study.toml"]


def test_pixels_truth_and_patient_agree(study, parts, painted, few):
    """The painted shares are the fractions of truth.csv; the file has the table's resolution."""
    folder, done = painted
    truth = read_truth(study_files(study, parts)["truth/truth.csv"]).set_index("PATIENT")
    patient_of = {row["FILENAME"]: row["PATIENT"] for row in slide_rows(parts)}

    assert (done.painted, done.kept, dict(done.failures)) == (len(few), 0, {})
    for slide in few:
        known = truth.loc[patient_of[slide.recipe.label]]
        seen = read_painted_truth(folder / slide.truth)
        for name, column in ALL.items():
            share = seen.share(TissueClass[name.upper()])
            assert share == pytest.approx(known[f"{column}_fraction"], abs=0.001)
        assert seen.recipe.composition.grade == known["grade"]
        with openslide.OpenSlide(folder / slide.file) as file:
            mpp = float(file.properties["openslide.mpp-x"])
        assert mpp == pytest.approx(slide.scanner.mpp, rel=1e-7) == pytest.approx(seen.mpp)


def test_what_is_painted_is_not_painted_again(painted, few):
    """A second call keeps everything; a lost, cut or foreign slide is painted again, alone."""
    folder, _ = painted
    before = {slide.file: (folder / slide.file).read_bytes() for slide in few}

    assert paint_slides(few, folder, executor=Serial()).kept == len(few)
    (folder / few[0].file).write_bytes(before[few[0].file][:1000])
    (folder / few[1].truth).unlink()
    other = replace(few[2], recipe=replace(few[2].recipe, seed=99))
    done = paint_slides((*few[:2], other, *few[3:]), folder, executor=Serial())

    assert (done.painted, done.kept) == (3, len(few) - 3)
    assert (folder / few[0].file).read_bytes() == before[few[0].file]
    assert (folder / few[1].file).read_bytes() == before[few[1].file]
    assert (folder / few[2].file).read_bytes() != before[few[2].file]
    assert paint_slides(few, folder, executor=Serial()).painted == 1
    assert (folder / few[2].file).read_bytes() == before[few[2].file]


@pytest.mark.slow
def test_processes_paint_the_same_bytes(tmp_path, painted, few):
    folder, _ = painted
    assert paint_slides(few[:2], tmp_path, workers=2).painted == 2
    for slide in few[:2]:
        assert (tmp_path / slide.file).read_bytes() == (folder / slide.file).read_bytes()
        assert (tmp_path / slide.truth).read_bytes() == (folder / slide.truth).read_bytes()


def test_a_slide_that_cannot_be_painted_is_a_failure_and_the_rest_goes_on(tmp_path, few):
    (tmp_path / few[0].file).mkdir(parents=True)
    done = paint_slides(few[:2], tmp_path, executor=Serial())

    assert (done.painted, list(done.failures)) == (1, [few[0].file])
    assert "a folder has this name" in str(done.failures[few[0].file])


def checked(folder, parts):
    check = pytest.importorskip("metastra.cohort.check")
    for name, data in render(parts).items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(data)
    study = load_study(folder / "study.toml")
    return check.check_study(study, Pseudonyms(SecretKey(bytes(32)))).problems


def with_files(folder, planned):
    for slide in planned:
        (folder / slide.file).parent.mkdir(exist_ok=True, parents=True)
        (folder / slide.file).write_bytes(slide.file.encode())


@pytest.fixture(scope="module")
def large():
    """A study in which leaks can be seen."""
    study = generate(n_patients=600, seed=20260101)
    return study, study.parts(slides=True)


def test_the_check_looks_for_the_painted_files(tmp_path, large):
    study, parts = large
    planned = plan_slides(study, parts)
    with_files(tmp_path, planned[1:])

    found = [item for item in checked(tmp_path, parts) if item.severity == "refuse"]
    assert [item.code for item in found] == ["CO021"]
    with_files(tmp_path, planned)
    assert not [item for item in checked(tmp_path, parts) if item.severity == "refuse"]


@pytest.mark.parametrize("leak", ["metastasis-slides", "scanner-follows-outcome"])
def test_leaks_reach_the_plan_and_the_check_finds_them(tmp_path, large, leak):
    """Slides of metastases are planned as such; scanners are painted as the table says."""
    study, clean = large
    planted = plant(clean, leak)
    planned = plan_slides(study, planted.parts)
    with_files(tmp_path, planned)

    assert planted.code in {item.code for item in checked(tmp_path, planted.parts)}
    if leak == "metastasis-slides":
        more = {slide.file: slide for slide in planned if "_M1_" in slide.file}
        assert len(planned) == 600 + len(more) > 600
        for slide in more.values():
            primary = next(
                p for p in planned if p.recipe.label == slide.recipe.label.replace("M1", "A1")
            )
            own, theirs = slide.recipe.composition, primary.recipe.composition
            assert own.necrosis == pytest.approx(0.85 * theirs.necrosis + 0.15, abs=0.02)
            assert slide.recipe.surroundings.mucosa == 0
    else:
        assert {slide.scanner.name for slide in planned} == {"Nova X", "Vega 1"}
        before = plan_slides(study, clean)
        assert [s.recipe for s in before] == [s.recipe for s in planned]
        assert [s.scanner.mpp for s in before] == [s.scanner.mpp for s in planned]


def test_slides_and_artefacts_have_nothing_to_do_with_the_outcome(large):
    """Neither stain, artefacts nor surroundings depend on anything but the file's name."""
    study, parts = large
    planned = {slide.recipe.label: slide for slide in plan_slides(study, parts)}
    other = {slide.recipe.label: slide for slide in plan_slides(generate(seed=20260101), parts)}

    assert planned == other
    for kind in ArtefactKind:
        n = sum(kind in {a.kind for a in slide.recipe.artefacts} for slide in planned.values())
        assert n / 600 == pytest.approx(SHARES[kind], abs=4 * np.sqrt(SHARES[kind] / 600))


def test_compositions_of_all_patients_can_be_painted():
    """Whatever the covariates are, they make a composition."""
    study = generate(n_patients=3000, seed=5)
    for cohort in study.cohorts:
        covariates = cohort.patients.covariates
        for row in range(covariates.n):
            composition = Composition.of_patient(covariates, row)
            assert composition.tumour == covariates.tumour_fraction[row]


def test_wrong_areas_and_unknown_scanners_are_refused(study, parts):
    with pytest.raises(ConfigError, match=r"0\.25 to 60"):
        plan_slides(study, parts, slide_mm2=0.1)
    table = parts["north/slides.csv"].with_cell(0, "SCANNER", "Aurora S70")
    with pytest.raises(ConfigError, match=r"no scanner 'Aurora S70'; expected 'Aurora S60'"):
        plan_slides(study, {**parts, "north/slides.csv": table})


def test_every_scanner_of_the_study_can_be_painted(study):
    centres = [centre for cohort in study.plans for centre in cohort.centres]
    assert {centre.scanner for centre in centres} <= set(SCANNERS)
    assert all(SCANNERS[centre.scanner].mpp == centre.mpp for centre in centres)


def test_artefacts_are_drawn_inside_the_slide():
    certain = dict.fromkeys(ArtefactKind, 1.0)
    found = draw_artefacts(Draws(seed=1), width_um=2000.0, height_um=1500.0, shares=certain)

    assert [item.kind for item in found] == list(ArtefactKind)
    assert all(0 < a.x_um < 2000 and 0 < a.y_um < 1500 for a in found)
