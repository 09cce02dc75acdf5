"""Turn the tissue maps of the ORION patients into feature files, and lay out two studies on them.

    python examples/orion-crc/make_features.py my-orion
    metastra run my-orion/m0
    metastra run my-orion/m1

Reads ``${METASTRA_SHARED}/data/orion_crc_cohort`` and writes into the folder that is named:

    features/C01.h5 …   one file for each block, metastra's layout
    card.json           what computed the numbers
    slides.csv          which block is whose
    m0/study.toml       patients without metastases at diagnosis
    m1/study.toml       patients with metastases at diagnosis

The maps are the source's: for each patch of 224 px at 0.5 µm (112 µm) the probabilities of nine
tissues by a DenseNet-161 that was trained on NCT-CRC-HE-100K.  Patches that are background by
majority are no tissue and are left out, counted in the file.  One block is in memory at a time.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from metastra.digest import digest_value
from metastra.encoders.encoder import EncoderCard
from metastra.features.bag import BagFrame, BagOrigin
from metastra.features.writing import BagWriter
from metastra.storage import json_bytes, write_atomically, write_bytes

HERE = Path(__file__).resolve().parent
MPP = 0.5
PATCH_PX = 224
BACKGROUND = "BACK"
STUDIES = {"m0": "study-slides.toml", "m1": "study-m1.toml"}


def card(classes: tuple[str, ...]) -> EncoderCard:
    """Say what computed the numbers."""
    return EncoderCard(
        name="nct-crc-tissue-densenet161",
        source="labsyspharm/orion-crc, HE_patch_prediction/gamma-only/orion (19f4113b5064)",
        revision="gamma-only, probabilities stored in steps of 1/255",
        weights_sha256=None,
        licence="MIT",
        mpp=MPP,
        tile_px=PATCH_PX,
        dimension=len(classes),
        feature_names=classes,
        engine="torch",
        precision="float32",
    )


def write_block(source: Path, target: Path) -> EncoderCard:
    """Write one block's feature file."""
    with np.load(source, allow_pickle=False) as block:
        classes = tuple(str(name) for name in block["classes"])
        probability = block["prob_u8"]
        corners = block["grid_xy"].astype(np.int64) * PATCH_PX
        patch_px = int(block["patch_px"])
    if patch_px != PATCH_PX:
        raise SystemExit(f"{source.name}: patches of {patch_px} px; expected {PATCH_PX}")
    described = card(classes)
    tissue = probability[:, classes.index(BACKGROUND)] <= 127
    side_um = PATCH_PX * MPP
    writer = BagWriter(
        coords=corners[tissue],
        frame=BagFrame(
            mpp=(MPP, MPP),
            tile_side_um=side_um,
            tile_side_px0=(float(PATCH_PX), float(PATCH_PX)),
            target_mpp=MPP,
            tile_px=PATCH_PX,
        ),
        origin=BagOrigin(
            name=target.stem,
            encoder=described.name,
            engine=described.engine,
            precision=described.precision,
            encoder_digest=described.digest,
            tiling_digest=digest_value({"mpp": MPP, "tile_px": PATCH_PX, "grid": "published"}),
            feature_names=classes,
            dropped={"background": int((~tissue).sum())},
        ),
        dimension=len(classes),
        blocks=blocks(probability[tissue]),
    )
    write_atomically(target, writer.write, verify=writer.verify)
    return described


def blocks(probability: np.ndarray) -> Iterator[np.ndarray]:
    """Give the probabilities in pieces."""
    for start in range(0, len(probability), 4096):
        yield probability[start : start + 4096].astype(np.float32) / 255.0


def main() -> int:
    """Make the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="made when it is missing")
    folder = parser.parse_args().folder
    shared = os.environ.get("METASTRA_SHARED")
    if not shared:
        parser.error("METASTRA_SHARED is not set: the folder that holds data/orion_crc_cohort")
    maps = sorted(Path(shared, "data", "orion_crc_cohort", "he_patches").glob("*.npz"))
    if not maps:
        parser.error(f"no tissue maps in {shared}/data/orion_crc_cohort/he_patches")
    described = None
    for source in maps:
        described = write_block(source, folder / "features" / f"{source.stem}.h5")
    if described is not None:
        write_bytes(folder / "card.json", json_bytes(described.to_json()))
    with (folder / "slides.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["patient", "FILENAME", "BLOCK", "STAIN"])  # the name in patients.csv
        for source in maps:
            patient, _, block = source.stem.partition("_")
            table.writerow([patient, f"{source.stem}.h5", block or "01", "H&E"])
    for name, study in STUDIES.items():
        write_bytes(folder / name / "study.toml", (HERE / study).read_bytes())
    sys.stdout.write(f"{len(maps)} blocks and two studies: {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
