"""Slides that were damaged on the way: cut short, overwritten, or with tags that cannot be."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# tag: values that a damaged or malicious header may hold
WRONG_TAGS = {
    256: (0, 1, 60_000, 2**31 - 1),  # width
    257: (0, 1, 60_000, 2**31 - 1),  # height
    258: (0, 1, 12, 64),  # bits per sample
    259: (0, 2, 6, 34887, 65535),  # compression
    262: (0, 3, 5, 8, 65535),  # photometric
    273: (0, 3, 2**31),  # strip offsets
    277: (0, 1, 5, 65535),  # samples per pixel
    278: (0, 1, 2**31),  # rows per strip
    279: (0, 1, 2**31),  # strip byte counts
    282: (0,),  # x resolution: the place of the fraction
    284: (0, 2, 9),  # planar configuration
    317: (0, 2, 3, 99),  # predictor
    322: (0, 1, 16, 2**30),  # tile width
    323: (0, 1, 16, 2**30),  # tile height
    324: (0, 3, 2**31),  # tile offsets
    325: (0, 1, 2**31),  # tile byte counts
    347: (0, 2**31),  # JPEG tables
}


@dataclass(frozen=True)
class Damage:
    """One damaged file: what was done, and its bytes."""

    name: str
    data: bytes


def truncations(data: bytes) -> Iterator[Damage]:
    """Cut at every tenth, and just after the first bytes."""
    for tenth in range(1, 10):
        yield Damage(f"cut-{tenth}0%", data[: len(data) * tenth // 10])
    for size in (1, 7, 20, 200):
        yield Damage(f"cut-{size}-bytes", data[:size])
    yield Damage("cut-last-byte", data[:-1])


def overwritten(data: bytes, seed: int = 3) -> Iterator[Damage]:
    """Random bytes, zeros and ones over parts of the file."""
    rng = np.random.default_rng(seed)
    for tenth in range(1, 10):
        at = len(data) * tenth // 10
        noise = rng.integers(0, 256, 2000, dtype=np.uint8).tobytes()
        yield Damage(f"noise-{tenth}0%", data[:at] + noise + data[at + 2000 :])
    third = len(data) // 3
    for fill in (0, 255):
        yield Damage(f"fill-{fill}", data[:third] + bytes([fill]) * third + data[2 * third :])


def flipped(data: bytes, count: int, seed: int = 7, within: int | None = None) -> Iterator[Damage]:
    """A few bytes anywhere (or near the begin), each changed to another."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        changed = bytearray(data)
        for place in rng.integers(0, within or len(data), 8):
            changed[place] ^= int(rng.integers(1, 256))
        yield Damage(f"flipped-{number}", bytes(changed))


def wrong_tags(data: bytes) -> Iterator[Damage]:
    """One tag of the first page of a classic TIFF changed at a time, and a page after itself."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or struct.unpack(order + "H", data[2:4])[0] != 42:
        return
    (start,) = struct.unpack(order + "I", data[4:8])
    if start + 2 > len(data):
        return
    (count,) = struct.unpack(order + "H", data[start : start + 2])
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, _ = struct.unpack(order + "HHI", data[entry : entry + 8])
        for value in WRONG_TAGS.get(tag, ()):
            changed = bytearray(data)
            packed = struct.pack(order + "I", value)
            if kind == 3 and value < 2**16:
                packed = struct.pack(order + "HH", value, 0)
            changed[entry + 8 : entry + 12] = packed
            yield Damage(f"tag-{tag}-is-{value}", bytes(changed))
        changed = bytearray(data)
        changed[entry + 4 : entry + 8] = struct.pack(order + "I", 2**31)
        yield Damage(f"tag-{tag}-has-2e9-values", bytes(changed))
    changed = bytearray(data)
    end = start + 2 + 12 * count
    changed[end : end + 4] = struct.pack(order + "I", start)
    yield Damage("page-after-itself", bytes(changed))


def sparse_claim(side_px: int = 60_000, tile_px: int = 4096) -> bytes:
    """About 2 kB that claim a slide of 60,000²: tiles that were never written."""
    number = (side_px + tile_px - 1) // tile_px
    entries = [
        (256, 4, 1, side_px),
        (257, 4, 1, side_px),
        (258, 3, 3, 8 + 2 + 12 * 11 + 4),
        (259, 3, 1, 7),
        (262, 3, 1, 6),
        (277, 3, 1, 3),
        (284, 3, 1, 1),
        (322, 4, 1, tile_px),
        (323, 4, 1, tile_px),
        (324, 4, number**2, 200),
        (325, 4, number**2, 200),
    ]
    page = struct.pack("<H", len(entries))
    page += b"".join(struct.pack("<HHII", *entry) for entry in entries) + struct.pack("<I", 0)
    head = b"II*\0" + struct.pack("<I", 8) + page + struct.pack("<HHH", 8, 8, 8)
    return head.ljust(max(2000, 200 + 4 * number**2), b"\0")


def every_damage(data: bytes, flips: int = 20) -> Iterator[Damage]:
    """All of the above for one file."""
    yield from truncations(data)
    yield from overwritten(data)
    yield from flipped(data, flips)
    yield from flipped(data, flips, seed=11, within=min(len(data), 400))
    yield from wrong_tags(data)


def write(damage: Damage, folder: Path, ending: str) -> Path:
    """Put it on disk under the ending of the file it was."""
    path = folder / f"damaged{ending}"
    path.write_bytes(damage.data)
    return path
