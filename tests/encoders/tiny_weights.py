"""Folders of small random weights for tests."""

from __future__ import annotations

import json

import torch
from safetensors.torch import save_file

from metastra.models.vit import VisionTransformer, VitShape

NETWORK = {"token_px": 16, "width": 48, "depth": 2, "heads": 3, "mlp_width": 96}
TOLD = {
    "name": "tiny",
    "source": "test",
    "revision": "1",
    "licence": "Apache-2.0",
    "mpp": 0.5,
    "tile_px": 224,
    "mean": [0.7, 0.55, 0.7],
    "std": [0.2, 0.23, 0.18],
    "pooling": "class+mean",
    "network": NETWORK,
}


def tiny_weights(folder, *, seed=0, told=None, tile_px=224, **network):
    """Make a folder with a vision transformer of random weights that says what it is."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = VitShape(tile_px=tile_px, **{**NETWORK, **network})
    torch.manual_seed(seed)
    module = VisionTransformer(shape)
    with torch.no_grad():
        for value in module.parameters():
            value.add_(torch.randn_like(value) * 0.05)
    save_file(module.state_dict(), folder / "model.safetensors")
    own = {**TOLD, "tile_px": tile_px, "network": {**NETWORK, **network}, **(told or {})}
    (folder / "config.json").write_text(json.dumps({"metastra": own}))
    return folder
