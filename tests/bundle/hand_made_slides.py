"""A bundle that reads slides, made by hand: every number can be worked out in a test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bundle.hand_made import PREDICTORS, make_contract, make_model, make_plan
from metastra.bundle.cases import slide_self_test
from metastra.bundle.contract import Contract, SlideContract
from metastra.bundle.linear import LinearModel
from metastra.bundle.parts import Development
from metastra.bundle.plans import ChangePlan
from metastra.bundle.slide_head import Head
from metastra.bundle.slide_member import Member
from metastra.bundle.slide_model import SlideModel
from metastra.bundle.slide_parts import (
    EncoderStatement,
    SlideDevelopment,
    SlideFacts,
    SlideParts,
    companions_of,
    n_inputs,
)
from metastra.bundle.writing import bundle_files
from metastra.digest import digest_value
from metastra.features.bag import Bag, BagFrame, BagOrigin

NAMES = ("area", "density", "texture")
CARD = {
    "name": "hand",
    "engine": "numpy",
    "precision": "float32",
    "dimension": 3,
    "feature_names": list(NAMES),
    "revision": "1",
}
WEIGHTS = np.array([[1.0, -0.5, 0.25], [0.5, 0.5, -0.25]])
BIAS = np.array([0.1, -0.2])


def make_slides(**changes: object) -> SlideContract:
    values: dict[str, object] = {
        "primary": "combined",
        "encoder": "hand",
        "encoder_digest": digest_value(CARD),
        "engine": "numpy",
        "precision": "float32",
        "dimension": 3,
        "names_digest": digest_value(list(NAMES)),
        "target_mpp": 0.5,
        "tile_px": 224,
        "tile_side_um": 112.0,
        "stains": ("H&E",),
        "mpp_low": 0.125,
        "mpp_high": 1.0,
        "validated_mpp_low": 0.25,
        "validated_mpp_high": 0.5,
        "scanners": ("A", "B"),
        "share_outside": 0.34,
    }
    return SlideContract(**(values | changes))


def make_slide_model() -> SlideModel:
    """Two linear members: the score is the mean of two weighted sums of the mean features."""
    members = tuple(
        Member(head_weight=weight[:, None], head_bias=np.array([bias]))
        for weight, bias in zip(WEIGHTS, BIAS, strict=True)
    )
    return SlideModel(
        aggregator="linear",
        readout=Head(kind="cox"),
        centre=np.array([10.0, 0.0, 1.0]),
        scale=np.array([2.0, 1.0, 0.5]),
        limit=np.inf,
        members=members,
        typical_low=np.array([6.0, -2.0, 0.0]),
        typical_high=np.array([14.0, 2.0, 2.0]),
    )


def make_layer(contract: Contract, name: str) -> LinearModel:
    """A risk layer: the clinical columns of the hand-made model, the score last."""
    plain = make_model()
    p = n_inputs(name, contract)
    clinical = name in ("clinical", "combined")
    widths = plain.centre.size if clinical else 0

    def column(values: np.ndarray, last: float) -> np.ndarray:
        return np.array([*values[:widths], *[last] * (p - widths)])

    return replace(
        plain,
        centre=column(plain.centre, 0.3),
        scale=column(plain.scale, 1.5),
        coef={1: column(plain.coef[1], 0.8), 2: column(plain.coef[2], 0.0)},
    )


def make_parts(contract: Contract, **changes: object) -> SlideParts:
    values: dict[str, object] = {
        "model": make_slide_model(),
        "pooled": make_slide_model().alone(0),
        "companions": {name: make_layer(contract, name) for name in companions_of(contract)},
        "encoder": EncoderStatement(digest=digest_value(CARD), card=CARD),
    }
    return SlideParts(**(values | changes))


def make_slide_files(
    slides: SlideContract | None = None, parts: SlideParts | None = None, **changes: object
) -> dict[str, bytes]:
    slides = slides or make_slides()
    contract = make_contract(slides=slides, predictors=PREDICTORS)
    parts = parts or make_parts(contract)
    model = make_layer(contract, slides.primary)
    facts = SlideFacts(patients=80, tiles=9000, aggregator="linear", head="cox", members=2, parts=2)
    plain = Development(statement="made by hand")
    values: dict[str, object] = {
        "name": "hand-slides",
        "contract": contract,
        "plan": make_plan(contract),
        "change_plan": ChangePlan(),
        "development": SlideDevelopment(**plain.model_dump(), slides=facts),
        "self_test": slide_self_test(contract, model, parts),
        "model": model,
        "parents": {"study": "0" * 64},
        "slides": parts,
        "seed": 7,
    }
    return bundle_files(**(values | changes))


def make_bag(tiles: object, **changes: object) -> Bag:
    """A bag of these tiles whose frame and origin are what the contract wants."""
    features = np.asarray(tiles, dtype=np.float32).reshape(-1, 3)
    frame = {
        "mpp": (0.25, 0.25),
        "target_mpp": 0.5,
        "tile_px": 224,
        "tile_side_um": 112.0,
        "tile_side_px0": (448.0, 448.0),
    }
    origin = {
        "name": "one",
        "encoder": "hand",
        "engine": "numpy",
        "precision": "float32",
        "encoder_digest": digest_value(CARD),
        "feature_names": NAMES,
    }
    for key, value in changes.items():
        (frame if key in frame else origin)[key] = value
    corners = np.column_stack([np.arange(len(features)) * 448, np.zeros(len(features), int)])
    return Bag(
        features=features,
        coords=corners.astype(np.int64),
        frame=BagFrame(**frame),
        origin=BagOrigin(**origin),
    )
