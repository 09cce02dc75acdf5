"""From the pixels of tiles to features: normalisation, a network, pooling.

The normalisation is part of the module, so that every engine that is given the module computes it
too, and it is done in the order of the field's transforms (divide by 255, subtract, divide), so
that the numbers are theirs to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

__all__ = ["POOLINGS", "Pooling", "TileNetwork"]

Pooling = Literal["class", "class+mean", "mean", "none"]

POOLINGS: tuple[Pooling, ...] = ("class", "class+mean", "mean", "none")
"""``class``: the class token; ``class+mean``: it and the mean of the tile's tokens, registers left
out; ``mean``: that mean alone; ``none``: the network gives one row a tile itself."""


class TileNetwork(nn.Module):
    """A network with the normalisation before it and the pooling behind.

    Parameters
    ----------
    backbone : nn.Module
        From (b, 3, s, s) to (b, tokens, c), or to (b, c) with pooling ``none``.
    mean, std : sequence of three floats
        Of the channels red, green, blue, on the scale from 0 to 1.
    pooling : {"class", "class+mean", "mean", "none"}
        How tokens become one row.
    prefix : int
        Tokens before those of the tile.

    Examples
    --------
    >>> from metastra.models.resnet import ResNet50
    >>> network = TileNetwork(ResNet50(), mean=(0.5,) * 3, std=(0.5,) * 3, pooling="none").eval()
    >>> network(torch.zeros(1, 64, 64, 3, dtype=torch.uint8)).shape
    torch.Size([1, 1024])
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        backbone: nn.Module,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        pooling: Pooling,
        prefix: int = 1,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling
        self.prefix = prefix
        self.computed = torch.float32
        self.register_buffer("mean", torch.tensor(tuple(mean)).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(tuple(std)).view(1, 3, 1, 1), persistent=False)

    def in_precision(self, precision: torch.dtype) -> TileNetwork:
        """Let the network compute in another precision; normalisation stays in float32.

        Parameters
        ----------
        precision : torch.dtype
            Of the weights and of what passes through them.

        Returns
        -------
        TileNetwork
            This one, changed.
        """
        self.computed = precision
        self.backbone.to(precision)
        return self

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """Encode tiles.

        Parameters
        ----------
        tiles : tensor of uint8, shape (b, s, s, 3)
            RGB.

        Returns
        -------
        tensor of float32, shape (b, d)
            Features.
        """
        pixels = tiles.permute(0, 3, 1, 2).float().div(255)
        pixels = pixels.sub(self.mean).div(self.std)
        found: torch.Tensor = self.backbone(pixels.to(self.computed))
        if self.pooling == "class":
            found = found[:, 0]
        elif self.pooling == "mean":
            found = found[:, self.prefix :].mean(1)
        elif self.pooling == "class+mean":
            found = torch.cat([found[:, 0], found[:, self.prefix :].mean(1)], dim=-1)
        return found.float()
