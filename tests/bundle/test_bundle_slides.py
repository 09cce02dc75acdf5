"""Bundles that read slides: the numbers by hand, and every part held against every other."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from bundle.hand_made import make_contract, make_files
from bundle.hand_made_slides import (
    BIAS,
    CARD,
    NAMES,
    WEIGHTS,
    make_bag,
    make_layer,
    make_parts,
    make_slide_files,
    make_slide_model,
    make_slides,
)
from metastra.bundle.cases import slide_self_test
from metastra.bundle.columns import table_in_memory
from metastra.bundle.loading import open_bundle
from metastra.bundle.predicting import predict
from metastra.bundle.slide_parts import EncoderStatement
from metastra.bundle.slide_reading import GivenSlide, PatientSlides, read_patients
from metastra.bundle.slide_scope import regions_of_bags
from metastra.bundle.writing import write_bundle
from metastra.digest import digest_value
from metastra.errors import BundleError, ConfigError, DataError
from metastra.training.slide_bundle import slide_evidence

CELLS = {"age": "70", "stage": "II", "MMR": "pMMR", "CEA": "3", "location": "right"}
TILES = [[[12.0, 1.0, 1.0], [8.0, 0.0, 2.0]], [[10.0, 0.5, 1.0]]]


def opened(folder, files=None):
    write_bundle(folder, make_slide_files() if files is None else files)
    return open_bundle(folder)


def given(*bags, lost=(), **words):
    slides = [
        GivenSlide(name=f"slide {k}", open=partial(_itself, bag), **words)
        for k, bag in enumerate(bags)
    ]
    return PatientSlides(slides=tuple(slides), lost=tuple(lost))


def _itself(bag):
    return bag


def cells(n=1, **changes):
    return table_in_memory([CELLS | changes] * n, list(CELLS))


def score_of(tiles):
    """The score by its definition: members' weighted sums of the standardised mean, averaged."""
    z = (np.mean(tiles, axis=0) - [10.0, 0.0, 1.0]) / [2.0, 1.0, 0.5]
    return float(np.mean(WEIGHTS @ z + BIAS)), float(WEIGHTS[0] @ z + BIAS[0])


def test_risks_are_those_of_the_definition(tmp_path):
    """Tiles of all slides together give the score, the score is one column of the risk layer."""
    bundle = opened(tmp_path / "b")
    readings = read_patients(bundle, [given(*map(make_bag, TILES), scanner="A")])
    slide, pooled = score_of([*TILES[0], *TILES[1]])
    assert readings.slide_scores[0] == pytest.approx(slide, abs=1e-12)
    assert readings.pooled_scores[0] == pytest.approx(pooled, abs=1e-12)
    assert readings.n_tiles.tolist() == [3]
    made = predict(bundle, cells(), slides=readings)
    assert list(made.models) == ["clinical", "pooled", "slides", "combined"]
    contract = bundle.contract
    days = [365.25, 730.5]
    clinical = [70.0, 2.0, 0.0, 0.0, np.log1p(3.0), 0.0, 1.0, 0.0]
    for name, inputs in (
        ("clinical", clinical),
        ("pooled", [pooled]),
        ("slides", [slide]),
        ("combined", [*clinical, slide]),
    ):
        wanted = make_layer(contract, name).risks([inputs], days)
        np.testing.assert_allclose(made.models[name], wanted, atol=1e-12)
    np.testing.assert_array_equal(made.risks, made.models["combined"])
    assert made.scores[0] == make_layer(contract, "combined").scores([[*clinical, slide]])[0]
    assert made.reasons == (None,)
    assert made.notes == ("",)


def test_a_patient_without_a_slide_keeps_the_clinical_risk_alone(tmp_path):
    """And the reason why there is no other; the clinical part is not needed by slides alone."""
    bundle = opened(tmp_path / "b")
    lost = ("x.svs: SL001 no such file",)
    patients = [given(), given(lost=lost), given(make_bag(TILES[0]), make_bag([]))]
    readings = read_patients(bundle, patients)
    made = predict(bundle, cells(3), slides=readings)
    assert made.reasons == (
        "no usable slide: none is given",
        "no usable slide: x.svs: SL001 no such file",
        None,
    )
    assert np.isnan(made.risks[:2]).all()
    assert np.isfinite(made.models["clinical"]).all()
    assert made.notes[2] == "1 of 2 slides not used: slide 1: no tile"
    assert {one.code for one in made.problems} == {"BU023", "BU030", "BU032"}


def test_what_is_unlike_development_is_said_first(tmp_path):
    """Scale, scanner and features before values put in; the features by their names."""
    bundle = opened(tmp_path / "b")
    odd = make_bag([[30.0, -9.0, 1.0]], mpp=(0.6, 0.6))
    readings = read_patients(bundle, [given(odd, scanner="C")])
    made = predict(bundle, cells(MMR=None), slides=readings)
    first, *_ = made.notes[0].split("; ")
    assert first == "outside the validated range: 2 of 3 tile features (most: area, density)"
    assert "0.6 µm per pixel (0.25 to 0.5); scanner C (A, B)" in made.notes[0]
    assert made.notes[0].index("scanner") < made.notes[0].index("MMR missing")
    assert "BU031" in {one.code for one in made.problems}


WHOLE = {"quality_digest": "d" * 64, "dropped": {"QC001": 7}}
DRAWN = {"quality_digest": "d" * 64, "dropped": {"QC001": 3, "QC009": 120}}


@pytest.mark.parametrize(
    ("regions", "origin", "said"),
    [
        ("drawn", WHOLE, "tiles from the whole slide, the model is of a drawn region"),
        ("drawn", {}, "it does not say whether a region was drawn"),
        ("drawn", DRAWN, ""),
        ("whole", DRAWN, "tiles from a drawn region, the model is of the whole slide"),
        ("whole", WHOLE, ""),
        ("whole", {}, ""),
        ("mixed", WHOLE, ""),
        ("", DRAWN, ""),
    ],
)
def test_slides_limited_otherwise_than_in_development_are_named(tmp_path, regions, origin, said):
    """A forgotten --region gives a risk of muscle and mucosa; it is said beside the risk."""
    files = make_slide_files(make_slides(regions=regions, quality_digest=""))
    bundle = opened(tmp_path / "b", files)
    readings = read_patients(bundle, [given(make_bag(TILES[0], **origin))])
    codes = {one.code for one in readings.problems}
    assert ("BU034" in codes) == bool(said)
    assert said in readings.notes[0]
    assert np.isfinite(readings.slide_scores[0])


def test_the_contract_says_what_the_bags_of_development_were():
    """From the tiles that were left out as outside a region; mute files count for nothing."""
    whole, drawn, mute = (
        make_bag(TILES[0], **WHOLE),
        make_bag(TILES[0], **DRAWN),
        make_bag(TILES[0]),
    )
    assert regions_of_bags([drawn, drawn, mute]) == "drawn"
    assert regions_of_bags([whole]) == "whole"
    assert regions_of_bags([whole, drawn]) == "mixed"
    assert regions_of_bags([mute]) == regions_of_bags([]) == ""
    assert slide_evidence([("a", drawn), ("b", drawn)], [], None).regions == "drawn"


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"encoder_digest": "f" * 64}, "BU025", "hand, card ffffffffffff"),
        ({"encoder_digest": ""}, "BU025", "does not say which encoder"),
        ({"feature_names": ("a", "b", "c")}, "BU025", "other names of features"),
        ({"encoder": "other"}, "BU025", "encoder other"),
        ({"engine": "openvino"}, "BU026", "computed by openvino float32"),
        ({"engine": "", "precision": ""}, "BU026", "does not say what computed it"),
        ({"target_mpp": 0.25}, "BU027", "0.25 µm per pixel of the tiles"),
        ({"tile_px": 256}, "BU027", "256 px a tile"),
        ({"target_mpp": None}, "BU027", "it does not say"),
    ],
)
def test_features_of_something_else_are_refused_by_code(tmp_path, changes, code, said):
    """All slides are looked at before one is scored; alike ones are named once."""
    bundle = opened(tmp_path / "b")
    odd = [make_bag(TILES[1], **changes) for _ in range(3)]
    with pytest.raises(BundleError) as caught:
        read_patients(bundle, [given(make_bag(TILES[0])), given(*odd)])
    (problem,) = caught.value.problems
    assert problem.code == code
    assert said in problem.found
    assert "and so in 2 more slides" in problem.found
    assert problem.where.file == "slide 0"


def test_a_slide_outside_the_accepted_scale_or_stain_is_left_out_by_name(tmp_path):
    """The others are used; a patient with nothing left gets the reason."""
    bundle = opened(tmp_path / "b")
    coarse = make_bag(TILES[1], mpp=(1.2, 1.2))
    readings = read_patients(
        bundle, [given(make_bag(TILES[0]), coarse), given(make_bag(TILES[0]), stain="CD3")]
    )
    assert readings.slide_scores[0] == pytest.approx(score_of(TILES[0])[0])
    assert readings.notes[0] == "1 of 2 slides not used: slide 1: BU029 1.2 µm per pixel"
    assert readings.refused[1] == "no usable slide: slide 0: BU028 STAIN is 'CD3'"
    for word in ("H&E", "he", "Hematoxylin and eosin", ""):
        kept = read_patients(bundle, [given(make_bag(TILES[0]), stain=word)])
        assert kept.refused == (None,)


def test_without_a_scale_nothing_is_said_of_it(tmp_path):
    """A foreign file may not know its slide's microns per pixel; the tiles' scale still holds."""
    bundle = opened(tmp_path / "b")
    readings = read_patients(bundle, [given(make_bag(TILES[0], mpp=None))])
    assert readings.refused == (None,)
    assert readings.outside == ("",)


def test_a_nan_costs_the_patient_and_is_named(tmp_path):
    """The row of the tile and the feature stand in the reason."""
    bundle = opened(tmp_path / "b")
    bad = make_bag([[10.0, np.nan, 1.0]])
    readings = read_patients(bundle, [given(bad), given(make_bag(TILES[0]))])
    assert "SL054 row 0, feature 1 is nan" in str(readings.refused[0])
    assert readings.refused[1] is None


def test_slides_alone_need_no_table_and_take_one_where_it_is_there(tmp_path):
    """The clinical companion is predicted where its columns are given, and only all of them."""
    slides = make_slides(primary="slides")
    bundle = opened(tmp_path / "b", make_slide_files(slides))
    readings = read_patients(bundle, [given(make_bag(TILES[0]))])
    bare = predict(bundle, table_in_memory([{"PATIENT": "1"}], ["PATIENT"]), slides=readings)
    assert np.isfinite(bare.risks).all()
    assert np.isnan(bare.models["clinical"]).all()
    whole = predict(bundle, cells(), slides=readings)
    assert np.isfinite(whole.models["clinical"]).all()
    np.testing.assert_array_equal(whole.risks, bare.risks)
    with pytest.raises(DataError, match="CO007"):
        predict(bundle, table_in_memory([{"age": "70"}], ["age"]), slides=readings)


def test_slides_go_with_bundles_that_read_them_only(tmp_path):
    """Neither is a missing slide table ignored, nor one that nobody reads."""
    bundle = opened(tmp_path / "b")
    with pytest.raises(ConfigError, match="--slide-table"):
        predict(bundle, cells())
    write_bundle(tmp_path / "plain", make_files())
    with pytest.raises(ConfigError, match="reads no slides"):
        read_patients(open_bundle(tmp_path / "plain"), [given()])


CONTRACT = make_contract(slides=make_slides())


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            lambda: make_slide_files(
                parts=make_parts(
                    CONTRACT,
                    encoder=EncoderStatement(
                        digest=digest_value(CARD), card=CARD | {"revision": "2"}
                    ),
                )
            ),
            "not the one its digest names",
        ),
        (lambda: make_slide_files(make_slides(engine="torch")), "the card's engine is 'numpy'"),
        (lambda: make_slide_files(make_slides(names_digest="")), "names of the features"),
        (lambda: make_slide_files(make_slides(mpp_low=0.3)), "scales contradict"),
        (lambda: make_slide_files(make_slides(mpp_low=None)), "scales contradict"),
        (
            lambda: make_slide_files(
                parts=make_parts(
                    CONTRACT, companions={"clinical": make_layer(CONTRACT, "clinical")}
                )
            ),
            r"it holds risks of \['clinical'\], not of",
        ),
        (lambda: make_files(contract=CONTRACT), "it speaks of slides in a bundle of kind linear"),
        (
            lambda: {**make_slide_files(), "pooled_model.safetensors": b""},
            "pooled_model.safetensors",
        ),
    ],
)
def test_parts_that_contradict_each_other_are_refused(tmp_path, files, said):
    """Card, contract, weights and self-test of one bundle say the same, or nothing is opened."""
    write_bundle(tmp_path / "b", files())
    with pytest.raises(BundleError, match=said):
        open_bundle(tmp_path / "b")


def test_every_weight_is_under_the_self_test(tmp_path):
    """One other number in any model is found by the made-up tiles and patients."""
    whole = make_parts(CONTRACT)
    model = make_slide_model()
    layer = whole.companions["clinical"]
    other = replace(layer, coef={**layer.coef, 1: layer.coef[1] + 1e-3})
    for parts in (
        replace(whole, model=replace(model, scale=model.scale * 1.001)),
        replace(whole, pooled=replace(model.alone(0), centre=model.centre + 1e-3)),
        replace(whole, companions={**whole.companions, "clinical": other}),
    ):
        test = slide_self_test(CONTRACT, make_layer(CONTRACT, "combined"), whole)
        folder = tmp_path / str(id(parts))
        write_bundle(folder, make_slide_files(parts=parts, self_test=test))
        with pytest.raises(BundleError, match="BU015"):
            open_bundle(folder)


def test_equal_models_give_equal_bytes_and_nothing_in_a_bundle_is_code(tmp_path):
    """JSON and safetensors of known names; the names of the features stand on the card."""
    first, second = make_slide_files(), make_slide_files()
    assert first == second
    assert {name.rpartition(".")[2] for name in first} == {"json", "safetensors"}
    bundle = opened(tmp_path / "b", first)
    assert bundle.kind == "slides"
    assert bundle.slides is not None
    assert bundle.slides.encoder.feature_names == NAMES
