"""Five classes of colorectal tiles from named features; the test folder is of another staining."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from metastra.encoders.encoder import Encoder
from metastra.progress import track
from metastra.tissue.stain_jitter import jitter_stains

__all__ = ["CHOSEN", "MPP", "Choice", "Judged", "Tiles", "choose", "encode_all", "judge", "read"]

MPP = 1.2
"""Not recorded with the tiles; assumed from the size of the nuclei (about 6 pixels)."""
_JITTERS = 4
_FOLDS = 5
_PAIR = ("AC", "H")


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """Tiles of one folder of the source."""

    pixels: NDArray[np.uint8]
    codes: NDArray[np.str_]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One classifier: how features are scaled, and the support vector machine's C and γ × d."""

    scaling: str
    penalty: float
    width: float

    @property
    def name(self) -> str:
        """As the table shows it."""
        return f"{self.scaling}, SVM C = {self.penalty:g}, γ = {self.width:g}/d"

    def make(self, dimension: int) -> Any:
        """Build the classifier, untrained."""
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, StandardScaler
        from sklearn.svm import SVC

        machine = SVC(C=self.penalty, gamma=self.width / dimension)
        if self.scaling == "standardised":
            return make_pipeline(StandardScaler(), machine)
        ranks = QuantileTransformer(n_quantiles=100, output_distribution="normal", random_state=0)
        return make_pipeline(ranks, FunctionTransformer(_cut), machine)


def _cut(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(scores, -3.0, 3.0)


CANDIDATES = tuple(
    Choice(scaling=scaling, penalty=penalty, width=width)
    for scaling in ("normal scores", "standardised")
    for penalty in (1.0, 3.0, 10.0)
    for width in (0.1, 0.3, 1.0)
)
CHOSEN = Choice(scaling="normal scores", penalty=3.0, width=0.3)
"""What `choose` took; a record says how the others did."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What one classifier did on one set of tiles."""

    n_right: int
    n: int
    auc: float
    n_pair: int
    table: dict[tuple[str, str], int]


def read(folder: Path, split: str) -> Tiles:
    """Read the training or the test folder."""
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["source_split"] == split]
    pixels = [np.asarray(Image.open(folder / row["file"]).convert("RGB")) for row in rows]
    return Tiles(pixels=np.stack(pixels), codes=np.array([row["code"] for row in rows]))


def encode_all(tiles: Tiles, encoder: Encoder) -> NDArray[np.float32]:
    """Features of the tiles as they are and of their jittered copies, (1 + copies, n, d)."""
    rng = np.random.default_rng(20261127)
    jittered = [
        encoder.encode(jitter_stains(tiles.pixels, rng))
        for _ in track(range(_JITTERS), label="Encoding jittered tiles", unit="copies")
    ]
    return np.stack([encoder.encode(tiles.pixels), *jittered])


def colour_folds(tiles: Tiles) -> NDArray[np.int64]:
    """Folds that leave out whole stainings, as a new laboratory would be.

    The source does not say which tiles share a slide.  Within each class, tiles are clustered
    (Ward) by the colour of their lightest, middle and darkest tissue into five groups; a fold
    leaves out one group of each class.
    """
    from sklearn.cluster import AgglomerativeClustering

    colours = np.array([_colour(tile) for tile in tiles.pixels])
    colours = (colours - colours.mean(axis=0)) / colours.std(axis=0)
    folds = np.zeros(len(colours), np.int64)
    for turn, code in enumerate(np.unique(tiles.codes)):
        mine = np.flatnonzero(tiles.codes == code)
        group = AgglomerativeClustering(_FOLDS).fit_predict(colours[mine])
        by_size = np.argsort(-np.bincount(group), kind="stable")
        folds[mine] = (np.argsort(by_size)[group] + turn) % _FOLDS
    return folds


def _colour(tile: NDArray[np.uint8]) -> NDArray[np.float64]:
    density = -np.log10(np.maximum(tile.reshape(-1, 3), 1) / 255.0)
    tissue = density[density.mean(axis=1) > 0.06]
    ordered = tissue[np.argsort(tissue.mean(axis=1), kind="stable")]
    n = len(ordered)
    parts = (
        ordered[: int(0.3 * n)],
        ordered[int(0.3 * n) : int(0.7 * n)],
        ordered[int(0.85 * n) :],
    )
    return np.concatenate([part.mean(axis=0) for part in parts])


def choose(
    tiles: Tiles, features: NDArray[np.float32], encoder: Encoder
) -> list[tuple[Choice, float, float]]:
    """Cross-validate every candidate inside the training folder; the best one first.

    Validation tiles are judged as they are and once with a jitter 1.5 times as strong; candidates
    are ordered by the mean of accuracy over the five classes and AUC of adenocarcinoma against
    healthy, over both.
    """
    folds = colour_folds(tiles)
    stronger = jitter_stains(tiles.pixels, np.random.default_rng(100), strength=1.5)
    validation = (features[0], encoder.encode(stronger))
    scored = []
    for candidate in track(CANDIDATES, label="Cross-validating", unit="classifiers"):
        judged = [
            _cross_validate(candidate, tiles.codes, features, seen, folds) for seen in validation
        ]
        accuracy = float(np.mean([one.n_right / one.n for one in judged]))
        scored.append((candidate, accuracy, float(np.mean([one.auc for one in judged]))))
    return sorted(scored, key=lambda row: -(row[1] + row[2]))


def _cross_validate(
    choice: Choice,
    codes: NDArray[np.str_],
    features: NDArray[np.float32],
    seen: NDArray[np.float32],
    folds: NDArray[np.int64],
) -> Judged:
    predicted = np.empty_like(codes)
    scores = np.zeros(len(codes))
    for fold in range(_FOLDS):
        out = folds == fold
        predicted[out], scores[out] = _train_and_predict(
            choice, features[:, ~out], codes[~out], seen[out]
        )
    return _judged(codes, predicted, scores)


def judge(
    choice: Choice,
    features: NDArray[np.float32],
    codes: NDArray[np.str_],
    test: Tiles,
    encoder: Encoder,
) -> Judged:
    """Train on the training folder with its jittered copies and judge the test folder."""
    seen = encoder.encode(test.pixels)
    return _judged(test.codes, *_train_and_predict(choice, features, codes, seen))


def _train_and_predict(
    choice: Choice,
    features: NDArray[np.float32],
    codes: NDArray[np.str_],
    seen: NDArray[np.float32],
) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    copies, _, dimension = features.shape
    rows, classes = features.reshape(-1, dimension), np.tile(codes, copies)
    five = choice.make(dimension).fit(rows, classes)
    pair = np.isin(classes, _PAIR)
    two = choice.make(dimension).fit(rows[pair], classes[pair] == _PAIR[0])
    return five.predict(seen), two.decision_function(seen)


def _judged(
    codes: NDArray[np.str_], predicted: NDArray[np.str_], scores: NDArray[np.float64]
) -> Judged:
    from sklearn.metrics import roc_auc_score

    pair = np.isin(codes, _PAIR)
    table: dict[tuple[str, str], int] = {}
    for true, said in zip(codes.tolist(), predicted.tolist(), strict=True):
        table[true, said] = table.get((true, said), 0) + 1
    return Judged(
        n_right=int(np.sum(codes == predicted)),
        n=len(codes),
        auc=float(roc_auc_score(codes[pair] == _PAIR[0], scores[pair])),
        n_pair=int(pair.sum()),
        table=table,
    )
