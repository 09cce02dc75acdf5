"""Readers of other packages, and formats that are refused by their maker's name."""

from __future__ import annotations

import types

import numpy as np
import pytest
from PIL import Image

from metastra.errors import ConfigError, SlideError
from metastra.slides import other_readers
from metastra.slides.opening import open_slide
from metastra.slides.picture_reader import PictureReader

MAGIC = b"PLAN1234"


class PlainReader:
    """A made-up format: eight bytes and a PNG."""

    def opens(self, path):
        return path.read_bytes().startswith(MAGIC)

    def open(self, path, *, mpp, mpp_source):
        inside = path.with_suffix(".inside.png")
        inside.write_bytes(path.read_bytes()[len(MAGIC) :])
        return PictureReader(inside, mpp=mpp, mpp_source=mpp_source)


def offer(monkeypatch, **objects):
    points = [
        types.SimpleNamespace(name=name, value=f"pkg:{name}", load=lambda made=made: made)
        for name, made in objects.items()
    ]
    monkeypatch.setattr(other_readers, "entry_points", lambda group: points)


@pytest.fixture
def plain(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "p.png")
    path = tmp_path / "slide.plan"
    path.write_bytes(MAGIC + (tmp_path / "p.png").read_bytes())
    return path, picture


def test_a_reader_of_another_package_opens_its_format(monkeypatch, plain):
    """Through the same function, with the scale that the user states."""
    path, picture = plain
    offer(monkeypatch, plan=PlainReader)
    with open_slide(path, mpp=0.5) as slide:
        assert slide.info.mpp_x == 0.5
        np.testing.assert_array_equal(slide.read_region(0, 0, 0, 60, 40), picture)


def test_a_plug_in_is_not_asked_for_what_metastra_reads(monkeypatch, plain, tmp_path):
    """A known format is never read by somebody else."""

    class Greedy(PlainReader):
        def opens(self, path):
            raise AssertionError(path)

    offer(monkeypatch, greedy=Greedy)
    with open_slide(tmp_path / "p.png") as slide:
        assert slide.info.reader == "picture"


def test_without_a_taker_the_file_is_refused(monkeypatch, tmp_path):
    """Readers that leave it to the next one."""
    offer(monkeypatch, plan=PlainReader)
    (tmp_path / "a.bin").write_bytes(b"something else")
    with pytest.raises(SlideError) as caught:
        open_slide(tmp_path / "a.bin")
    assert [item.code for item in caught.value.problems] == ["SL004"]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (object, "expected an object with `opens` and `open`"),
        (lambda missing: None, "cannot be loaded"),
    ],
)
def test_a_broken_plug_in_is_named(monkeypatch, tmp_path, made, told):
    """It is a mistake of the installation, not of the slide."""
    offer(monkeypatch, broken=made)
    (tmp_path / "a.bin").write_bytes(b"something else")
    with pytest.raises(ConfigError, match=f"reader 'broken' of pkg:broken.*{told}"):
        open_slide(tmp_path / "a.bin")


@pytest.mark.parametrize(
    ("name", "maker", "helps"),
    [
        ("a.kfb", "KFBio", "export it as SVS"),
        ("A.SDPC", "Sqray", "export it as SVS"),
        ("a.isyntax", "Philips iSyntax", "isyntax-to-tiff"),
        ("a.vsi", "Olympus VSI", "raw2ometiff"),
    ],
)
def test_a_makers_format_is_refused_by_name_with_the_conversion(tmp_path, name, maker, helps):
    """The ending serves for words only; the bytes decided that nobody reads it."""
    (tmp_path / name).write_bytes(b"\x07\x07 nothing that anybody knows")
    with pytest.raises(SlideError) as caught:
        open_slide(tmp_path / name)
    (problem,) = caught.value.problems
    assert problem.code == "SL004"
    assert maker in problem.found
    assert helps in problem.hint


def test_a_wrong_ending_does_not_refuse_a_good_file(tmp_path):
    """A PNG that somebody called .kfb is a PNG."""
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.kfb")
    with open_slide(tmp_path / "a.kfb") as slide:
        assert slide.info.width_px == 30
