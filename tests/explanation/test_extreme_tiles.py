"""Which tiles are shown, and what is said about them."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.encoders.registry import get_encoder
from metastra.explanation.extremes import differing_features, extreme_tiles, feature_in_words


def test_tiles_of_different_places_and_of_the_right_sign_only():
    """A neighbour of a chosen tile is passed over, the same place on another slide is not."""
    cells = np.array([[0, 0], [0, 1], [0, 0], [4, 0], [9, 9]])
    slides = np.array([0, 0, 1, 0, 0])
    values = np.array([5.0, 4.0, 3.0, -1.0, 0.0])
    assert extreme_tiles(values, cells, slides, raising=True) == [0, 2]
    assert extreme_tiles(values, cells, slides, raising=False) == [3]
    assert extreme_tiles(values, cells, slides, raising=True, count=1) == [0]
    assert extreme_tiles(np.full(5, np.nan), cells, slides, raising=True) == []


def test_the_feature_that_differs_is_named_once():
    """Two features that go together are one finding; a constant feature is none."""
    rng = np.random.default_rng(2)
    shared = rng.normal(size=200)
    other = rng.normal(size=200)
    features = np.column_stack(
        [shared, 2 * shared + 0.01 * rng.normal(size=200), other, np.full(200, 7.0)]
    ).astype(np.float32)
    features[5, :3] = [6.0, 12.2, -5.0]
    names = ["large_nuclei_share", "nuclei_per_mm2_of_tile", "lumen_area_mean_um2", "mean_od"]
    found = differing_features(features, 5, names)
    assert [item.feature for item in found] == [names[1], names[2]] or [
        item.feature for item in found
    ] == [names[0], names[2]]
    second = found[1]
    column = features[:, 2].astype(float)
    assert second.deviations == pytest.approx((column[5] - column.mean()) / column.std(), rel=1e-5)
    assert second.words == "lumen area mean, µm²"
    assert second.value == pytest.approx(-5.0)


def test_what_can_be_seen_is_named_before_texture():
    """A texture that differs most comes last, and is named where nothing else differs."""
    rng = np.random.default_rng(6)
    features = rng.normal(size=(300, 2)).astype(np.float32)
    features[9] = [8.0, 3.0]
    names = ["haematoxylin_pairs_4um_energy_index", "large_nuclei_share"]
    found = [item.feature for item in differing_features(features, 9, names)]
    assert found == names[::-1]
    features[9, 1] = 0.0
    assert [item.feature for item in differing_features(features, 9, names)] == names[:1]
    kept = ["nucleus_area_variation_ratio", "nuclei_blocks_variation_ratio"]
    features[9] = [2.0, 4.0]
    assert [item.feature for item in differing_features(features, 9, kept)] == kept[::-1]


def test_without_names_or_with_two_tiles_nothing_is_said():
    features = np.ones((5, 2), dtype=np.float32)
    assert differing_features(features, 0, ()) == []
    assert differing_features(features[:2], 0, ("a", "b")) == []
    assert differing_features(features, 0, ("a", "b")) == []


def test_every_feature_of_the_embedded_encoder_has_readable_words():
    """No underscore, no bare code of a unit, and different features keep different words."""
    names = get_encoder("morphology").card.feature_names
    words = [feature_in_words(name) for name in names]
    assert not any("_" in text or text.endswith(("um", "um2", "od")) for text in words)
    assert len(set(words)) == len(names)
