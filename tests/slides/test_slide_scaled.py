"""A region at another scale is the mean of what each pixel covers; brute force says the same."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import SlideError
from metastra.slides import scaled
from metastra.slides.scaled import best_level, read_scaled, thumbnail
from metastra.slides.slide import Level, SlideInfo, check_region


class ArraySlide:
    """A slide in memory: the protocol, and nothing else."""

    def __init__(self, *levels, mpp=(0.5, 0.5)):
        width, height = levels[0].shape[1], levels[0].shape[0]
        self._levels = levels
        self.asked = []
        self.info = SlideInfo(
            name="array",
            reader="array",
            vendor="array",
            width_px=width,
            height_px=height,
            mpp_x=mpp[0],
            mpp_y=mpp[1],
            mpp_source="option",
            levels=tuple(
                Level(width_px=p.shape[1], height_px=p.shape[0], downsample=width / p.shape[1])
                for p in levels
            ),
        )

    def read_region(self, x_px0, y_px0, level, width_px, height_px):
        check_region(self.info, level, width_px, height_px)
        self.asked.append((level, width_px * height_px))
        pixels, down = self._levels[level], self.info.levels[level].downsample
        x, y = round(x_px0 / down), round(y_px0 / down)
        out = np.full((height_px, width_px, 3), 255, np.uint8)
        for row in range(height_px):
            for column in range(width_px):
                if 0 <= y + row < pixels.shape[0] and 0 <= x + column < pixels.shape[1]:
                    out[row, column] = pixels[y + row, x + column]
        return out

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def brute_force(pixels, x, y, width, height, out_w, out_h):
    """Mean over each output pixel, one source pixel at a time, in exact shares."""
    out = np.zeros((out_h, out_w, 3))
    for r in range(out_h):
        for c in range(out_w):
            left, right = x + c * width / out_w, x + (c + 1) * width / out_w
            top, bottom = y + r * height / out_h, y + (r + 1) * height / out_h
            total, area = np.zeros(3), 0.0
            for j in range(int(np.floor(top)), int(np.ceil(bottom))):
                for i in range(int(np.floor(left)), int(np.ceil(right))):
                    share = (min(right, i + 1) - max(left, i)) * (min(bottom, j + 1) - max(top, j))
                    inside = 0 <= j < pixels.shape[0] and 0 <= i < pixels.shape[1]
                    total += share * (pixels[j, i] if inside else 255.0)
                    area += share
            out[r, c] = total / area
    return out


def noise(height, width, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "region",
    [
        (0, 0, 24, 20, 12, 10),
        (3, 2, 17.3, 13.7, 6, 5),
        (0.25, 0.75, 20.2, 9.9, 4, 9),
        (-4, -3, 30, 26, 10, 13),
        (5, 5, 4, 4, 4, 4),
        (5, 5, 3, 3, 7, 7),
        (20, 16, 40, 40, 5, 5),
        (0, 0, 24, 20, 1, 1),
    ],
)
def test_each_pixel_is_the_mean_of_what_it_covers(region):
    """Against brute force over level 0, with fractions, overhang and enlargement."""
    pixels = noise(20, 24)

    got = read_scaled(ArraySlide(pixels), *region)

    assert np.abs(got - brute_force(pixels, *region)).max() <= 0.5 + 1e-5


def test_a_ramp_keeps_its_line():
    """Closed form: the mean of a ramp over whole pixels is its value in the middle."""
    ramp = np.broadcast_to(np.arange(240, dtype=np.uint8)[None, :, None], (12, 240, 3)).copy()

    got = read_scaled(ArraySlide(ramp), 0, 0, 240, 12, 48, 3)

    assert (got == (np.arange(48) * 5 + 2)[None, :, None]).all()


def test_a_ramp_with_broken_pixels_stays_within_an_eighth():
    """Closed form: steps under a ramp miss its mean by at most 1/8 of a step per pixel width."""
    ramp = np.broadcast_to(np.arange(240, dtype=np.uint8)[:, None, None], (240, 8, 3)).copy()
    step = 224.4488977955912 / 100

    got = read_scaled(ArraySlide(ramp), 0, 3, 8, step * 100, 2, 100)[:, 0, 0]

    assert np.abs(got - (3 + (np.arange(100) + 0.5) * step - 0.5)).max() <= 0.5 + 0.125 / step


def test_a_plain_area_stays_plain():
    """Shares add to one: no rounding darkens white or lightens black."""
    for value in (0, 1, 127, 254, 255):
        plain = np.full((40, 40, 3), value, np.uint8)

        assert (read_scaled(ArraySlide(plain), 1.3, 2.7, 33.3, 31.1, 13, 11) == value).all()


def test_the_coarsest_level_that_is_fine_enough_is_read():
    """Levels may be missing, out of order, or a hair off their power of two."""
    fine = noise(64, 64)
    info = ArraySlide(fine, noise(4, 4), noise(16, 16)).info

    assert [best_level(info, scale) for scale in (0.5, 1, 3.9, 4, 15.9, 16, 90)] == [
        0,
        0,
        0,
        2,
        2,
        1,
        1,
    ]
    odd = SlideInfo(
        **{
            **{f: getattr(info, f) for f in info.__dataclass_fields__},
            "levels": (
                Level(width_px=9, height_px=9, downsample=1.0),
                Level(width_px=4, height_px=4, downsample=2.003),
            ),
        }
    )
    assert best_level(odd, 2.0) == 1


def test_a_level_gives_the_same_as_level_0():
    """A pyramid of exact means changes nothing but the cost."""
    fine = noise(64, 96)
    half = np.floor(fine.reshape(32, 2, 48, 2, 3).mean(axis=(1, 3)) + 0.5).astype(np.uint8)
    quick, slow = ArraySlide(fine, half), ArraySlide(fine)

    one = read_scaled(quick, 8, 16, 64, 40, 16, 10)
    other = read_scaled(slow, 8, 16, 64, 40, 16, 10)

    assert np.abs(one.astype(int) - other).max() <= 1
    assert {level for level, _ in quick.asked} == {1}


def test_memory_is_bounded_by_blocks(monkeypatch):
    """However large the region, one block at a time; the result does not depend on the cuts."""
    pixels = noise(50, 60)
    whole = read_scaled(ArraySlide(pixels), 1, 2, 57, 47.5, 9, 8)
    monkeypatch.setattr(scaled, "BLOCK_PX", 100)
    slide = ArraySlide(pixels)

    assert (read_scaled(slide, 1, 2, 57, 47.5, 9, 8) == whole).all()
    assert max(size for _, size in slide.asked) < 250
    monkeypatch.setattr(scaled, "MAX_STEP", 3.0)
    twice = read_scaled(slide, 1, 2, 57, 47.5, 9, 8)
    assert np.abs(twice.astype(int) - whole).max() <= 1


def test_what_would_cost_too_much_is_refused(monkeypatch):
    """A slide without small levels can claim any number of pixels: SL006, before decoding."""
    slide = ArraySlide(noise(40, 40))
    monkeypatch.setattr(scaled, "MAX_SOURCE_PX", 1000)

    with pytest.raises(SlideError, match=r"SL006.*1\.6e\+03 pixels.*--pyramid"):
        thumbnail(slide, 10)
    assert slide.asked == []


def test_a_thumbnail_keeps_the_shape_and_never_enlarges():
    """The longer side is at most what was asked; the shorter at least one pixel."""
    assert thumbnail(ArraySlide(noise(30, 60)), 20).shape == (10, 20, 3)
    assert thumbnail(ArraySlide(noise(30, 60)), 500).shape == (30, 60, 3)
    assert thumbnail(ArraySlide(noise(1, 60)), 6).shape == (1, 6, 3)


@pytest.mark.parametrize(
    "region", [(0, 0, 0, 5, 1, 1), (0, 0, 5, 5, 0, 1), (0, 0, float("nan"), 5, 1, 1)]
)
def test_a_region_without_size_is_refused(region):
    """Sizes are above 0 and finite."""
    with pytest.raises(ValueError, match="above 0"):
        read_scaled(ArraySlide(noise(5, 5)), *region)
    with pytest.raises(ValueError, match="not a place"):
        read_scaled(ArraySlide(noise(5, 5)), float("inf"), 0, 5, 5, 1, 1)
    with pytest.raises(ValueError, match="at least 1 px"):
        thumbnail(ArraySlide(noise(5, 5)), 0)
