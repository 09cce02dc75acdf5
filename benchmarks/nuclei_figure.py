"""`python -m benchmarks.nuclei_figure`: typical errors of `cells.detect` on painted tissue."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from benchmarks.cases import REPOSITORY
from metastra.cells.detect import detect_nuclei
from metastra.synthetic.painting.composition import Surroundings
from metastra.synthetic.painting.painter import Box, paint_region
from metastra.synthetic.painting.scanners import SCANNERS
from metastra.synthetic.painting.scene import Recipe, make_scene

__all__ = ["main"]

_WITHIN_UM = 3.0
_SIDE_PX = 320
_PLACES = (("Crypts above, tumour below", 260, 200), ("Necrosis, tumour, muscle", 40, 560))


def main() -> None:
    """Draw what is found, missed and wrong in two places of a painted slide."""
    recipe = Recipe(
        width_um=640.0, height_um=520.0, surroundings=Surroundings(mucosa=0.25, muscle=0.1), seed=8
    )
    scene, scanner = make_scene(recipe), SCANNERS["Pelican 2"]
    truth = np.column_stack([scene.nuclei.x_um, scene.nuclei.y_um]) / scanner.mpp - 0.5
    figure, axes = plt.subplots(1, 2, figsize=(11, 5.9), layout="constrained")
    for axis, (title, x0, y0) in zip(axes, _PLACES, strict=True):
        box = Box(x_px0=x0, y_px0=y0, width_px0=_SIDE_PX, height_px0=_SIDE_PX)
        rgb = paint_region(scene, scanner, box)
        found = detect_nuclei(rgb, scanner.mpp).centroids_px0
        inside = np.all((truth >= (x0, y0)) & (truth < (x0 + _SIDE_PX, y0 + _SIDE_PX)), axis=1)
        true = truth[inside] - (x0, y0)
        far = cdist(found, true) * scanner.mpp > _WITHIN_UM
        rows, columns = linear_sum_assignment(far)
        right = ~far[rows, columns]
        axis.imshow(rgb, extent=(0, _SIDE_PX * scanner.mpp, _SIDE_PX * scanner.mpp, 0))
        missed = np.setdiff1d(np.arange(len(true)), columns[right])
        wrong = np.setdiff1d(np.arange(len(found)), rows[right])
        marks = (
            (found[rows[right]], "o", "found", "white"),
            (true[missed], "s", "missed", "yellow"),
            (found[wrong], "X", "found where none is", "cyan"),
        )
        for points, marker, label, colour in marks:
            x, y = (points + 0.5).T * scanner.mpp
            axis.scatter(
                x, y, marker=marker, s=34, c=colour, edgecolors="black", linewidths=0.9,
                label=f"{label} ({len(points)})",
            )  # fmt: skip
        axis.set(title=title, xlabel="µm", ylabel="µm")
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3, frameon=False)
    path = REPOSITORY / "docs" / "images" / "nuclei-errors.png"
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
