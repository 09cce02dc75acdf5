"""CTransPath's network against timm's Swin transformer on random weights."""

from __future__ import annotations

import torch
from safetensors.torch import save_file
from torch import nn

from metastra.encoders.registry import get_encoder
from metastra.models.swin import CTransPath, ctranspath_names
from models.test_vit import pixels, scramble
from models.torchvision_stub import load_timm


class Stem(nn.Module):
    """The stem as CTransPath's authors describe it, written for the test."""

    def __init__(self, img_size=224, patch_size=4, in_chans=3, embed_dim=96, **other):
        super().__init__()
        self.grid_size, self.num_patches, self.patch_size = (56, 56), 3136, (4, 4)
        self.proj = nn.Sequential(
            nn.Conv2d(3, 12, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(12),
            nn.ReLU(inplace=True),
            nn.Conv2d(12, 24, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(inplace=True),
            nn.Conv2d(24, embed_dim, 1),
        )
        self.norm = nn.LayerNorm(embed_dim)

    def forward(self, x):
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


def as_published(tensors):
    """From the names of timm 1 to those of the published file (timm 0.5), with what it repeats."""
    found = {}
    for name, value in tensors.items():
        parts = name.split(".")
        if len(parts) > 2 and parts[2] == "downsample":
            # the merging of a stage stood at its end, now it stands at the next one's beginning
            parts[1] = str(int(parts[1]) - 1)
        found[".".join(parts)] = value
    found["layers.0.blocks.1.attn_mask"] = torch.zeros(64, 49, 49)
    found["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(49, 49, dtype=torch.int64)
    found["head.weight"] = torch.zeros(5, 768)
    return found


def referee():
    timm = load_timm()
    theirs = timm.create_model("swin_tiny_patch4_window7_224", num_classes=0, embed_layer=Stem)
    return scramble(theirs)


def test_ctranspath_equals_timms_swin_transformer():
    """Shifted windows, their masks, the table of offsets, merging, pooling."""
    theirs = referee()
    ours = CTransPath().eval()
    ours.load_state_dict(ctranspath_names(as_published(theirs.state_dict())), strict=True)

    with torch.no_grad():
        expected, found = theirs(pixels(224)), ours(pixels(224))

    assert found.shape == (2, 768)
    assert float(found.std()) > 0.01
    assert float((found - expected).abs().max()) <= 2e-6 * float(expected.abs().max())


def test_the_published_file_becomes_an_encoder(tmp_path):
    """By its name alone."""
    save_file(as_published(referee().state_dict()), tmp_path / "model.safetensors")

    encoder = get_encoder("ctranspath", weights=tmp_path)

    import numpy as np

    tiles = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    assert encoder.encode(tiles).shape == (2, 768)
    assert encoder.card.licence == "GPL-3.0"
