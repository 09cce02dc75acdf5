"""A folder of slides that are bad in every way that is known, beside one that is good."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from extraction.small_slides import picture, write_bomb
from slides.slide_damage import sparse_claim
from slides.slide_makers import tiled_pyramid

SIDE = 480
_WIDTHS = {3: "HH", 4: "I"}


def entries(data: bytes, page: int = 0) -> Iterator[tuple[int, int, int, int, int]]:
    """Give place, tag, kind, count and value of the entries of a page of a little-endian TIFF."""
    (start,) = struct.unpack("<I", data[4:8])
    for _ in range(page):
        (count,) = struct.unpack("<H", data[start : start + 2])
        (start,) = struct.unpack("<I", data[start + 2 + 12 * count :][:4])
    (count,) = struct.unpack("<H", data[start : start + 2])
    for place in range(start + 2, start + 2 + 12 * count, 12):
        yield (place, *struct.unpack("<HHII", data[place : place + 12]))


def with_tag(data: bytes, tag: int, value: int, page: int = 0) -> bytes:
    """Give a tag another value in its own place."""
    changed = bytearray(data)
    (place,) = [place for place, found, *_ in entries(data, page) if found == tag]
    changed[place + 8 : place + 12] = struct.pack("<I", value)
    return bytes(changed)


def without_tag(data: bytes, tag: int) -> bytes:
    """Turn a tag into a private one that nobody reads."""
    changed = bytearray(data)
    (place,) = [place for place, found, *_ in entries(data) if found == tag]
    changed[place : place + 2] = struct.pack("<H", 65_000)
    return bytes(changed)


def with_noise_in_a_tile(data: bytes) -> bytes:
    """Random bytes over the middle of the longest tile of the first page."""
    found = {tag: (kind, count, value) for _, tag, kind, count, value in entries(data)}
    _, count, at = found[324]
    offsets = struct.unpack(f"<{count}I", data[at : at + 4 * count])
    kind, count, at = found[325]
    mark = {3: "H", 4: "I"}[kind]
    sizes = struct.unpack(f"<{count}{mark}", data[at : at + count * struct.calcsize(mark)])
    longest = int(np.argmax(sizes))
    start, size = offsets[longest], sizes[longest]
    noise = np.random.default_rng(1).integers(0, 256, size // 2, dtype=np.uint8).tobytes()
    at = start + size // 4
    return data[:at] + noise + data[at + len(noise) :]


def chained(data: bytes, after: int, to: int) -> bytes:
    """Let the page with number `after` be followed by the page at `to`, or itself."""
    changed = bytearray(data)
    places = [place for place, *_ in entries(data, after)]
    changed[places[-1] + 12 : places[-1] + 16] = struct.pack("<I", to)
    return bytes(changed)


def many_pages(count: int = 65_000) -> bytes:
    """A chain of pages of one tag each: 1.2 MB that cost nothing to write."""
    page = 2 + 12 + 4
    body = bytearray()
    for number in range(count):
        following = 0 if number == count - 1 else 8 + page * (number + 1)
        body += struct.pack("<HHHII", 1, 256, 4, 1, 100) + struct.pack("<I", following)
    return b"II*\0" + struct.pack("<I", 8) + bytes(body)


def aperio(path: Path, rgb: np.ndarray, mpp: str) -> None:
    """A slide in Aperio's manner that states its scale in words."""
    tifffile.imwrite(
        path,
        rgb,
        tile=(128, 128),
        photometric="rgb",
        compression="jpeg",
        description=f"Aperio Image Library v11\r\n480x480 (128x128) JPEG/RGB|MPP = {mpp}",
        metadata=None,
    )


def write_bad_slides(folder: Path, real: bytes | None = None) -> dict[str, tuple[str, ...]]:
    """Write them all.

    Parameters
    ----------
    folder : Path
        Where to.
    real : bytes or None
        A slide of Aperio's, whose JPEG tables stand apart.

    Returns
    -------
    dict of str to tuple of str
        File to what may become of it: codes, or ``done``.
    """
    rgb = picture(SIDE, SIDE, margin=20)
    how = {"tile": (128, 128), "photometric": "rgb", "metadata": None}
    scale = {"resolution": (2e4, 2e4), "resolutionunit": "CENTIMETER"}
    tiled_pyramid(
        folder / "good.tif", rgb, levels=2, compression="jpeg", compressionargs={"level": 95}
    )
    good = (folder / "good.tif").read_bytes()
    expected: dict[str, tuple[str, ...]] = {"good.tif": ("done",)}

    def put(name: str, data: bytes, *fates: str) -> None:
        (folder / name).write_bytes(data)
        expected[name] = fates

    broken = ("SL003", "SL004", "SL005")
    for tenth in range(10):
        put(f"cut-{tenth}0.tif", good[: len(good) * tenth // 10], *broken)
    put("noise-in-a-tile.tif", with_noise_in_a_tile(good), "SL005")
    put("no-tile-offsets.tif", without_tag(good, 324), "SL004")
    put("no-tile-sizes.tif", without_tag(good, 325), "SL004")
    put("no-width.tif", without_tag(good, 256), "SL004")
    (first,) = struct.unpack("<I", good[4:8])
    put("page-after-itself.tif", chained(good, 0, first), "SL004")
    put("pages-in-a-circle.tif", chained(good, 1, first), "SL004")
    put("65000-pages.tif", many_pages(), "SL011")
    write_bomb(folder / "claims-60000-in-a-strip.tif")
    expected["claims-60000-in-a-strip.tif"] = ("SL006",)
    put("claims-60000-in-tiles.tif", sparse_claim(), "SL006")
    for value in (3, 5, 8, 65_535):
        put(f"photometric-{value}.tif", with_tag(good, 262, value), "SL004", "SL005", "SL011")
    put("level-lost.tif", with_tag(good, 324, 2**31 - 1, page=1), *broken)
    for mpp in ("0", "-1", "1000"):
        name = f"mpp-{mpp}.svs"
        aperio(folder / name, rgb, mpp)
        expected[name] = ("SL007", "SL008")
    tifffile.imwrite(
        folder / "mpp-unequal.tif", rgb, **how, resolution=(2e4, 1.6e4), resolutionunit="CENTIMETER"
    )
    expected["mpp-unequal.tif"] = ("done", "SL007", "SL008")
    tifffile.imwrite(folder / "no-levels.tif", rgb, **how, **scale)
    expected["no-levels.tif"] = ("done",)
    tifffile.imwrite(folder / "16-bit.tif", rgb.astype(np.uint16) * 257, **how, **scale)
    expected["16-bit.tif"] = ("done",)
    alpha = np.dstack([rgb, np.full((SIDE, SIDE), 255, np.uint8)])
    tifffile.imwrite(folder / "alpha.tif", alpha, **how, **scale, extrasamples=["unassalpha"])
    expected["alpha.tif"] = ("done",)
    cmyk = np.dstack([255 - rgb, np.zeros((SIDE, SIDE), np.uint8)])
    tifffile.imwrite(folder / "cmyk.tif", cmyk, **{**how, "photometric": "separated"}, **scale)
    expected["cmyk.tif"] = ("SL004", "SL011")
    tifffile.imwrite(folder / "float.tif", rgb.astype(np.float32) / 255, **{**how, **scale})
    expected["float.tif"] = ("SL004", "SL011")
    put("empty.svs", b"", "SL003")
    put("text.ndpi", b"this is no slide", "SL004")
    (folder / "broken-link.tif").symlink_to(folder / "nowhere.tif")
    expected["broken-link.tif"] = ("SL001",)
    os.mkfifo(folder / "pipe.svs")
    expected["pipe.svs"] = ("SL002",)
    (folder / "folder.svs").mkdir()
    if real is not None:
        put("real-without-tables.svs", without_tag(real, 347), "SL004", "SL005")
        put("real-with-noise.svs", with_noise_in_a_tile(real), "SL005")
        for tenth in range(1, 10):
            put(f"real-cut-{tenth}0.svs", real[: len(real) * tenth // 10], *broken)
    return expected
