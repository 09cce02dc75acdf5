"""A compact tile encoder: a residual network of 2.6 million weights that a CPU can train in a day.

Four stages halve the picture and widen the maps; a tile's features are the means over the tile of
the last two stages side by side, so that texture at two scales is kept.  There is no normalisation
over a batch at prediction, so a tile has the same features in any company.

Source: He et al. 2016, "Deep residual learning for image recognition", figure 2 (blocks of two
3 × 3 convolutions), narrower and with a 5 × 5 convolution in front; the head that is thrown away
after training is the expander of Bardes et al. 2022 (ICLR), section 4.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["COMPACT_DIMENSION", "CompactNetwork", "Expander"]

_STEM = 24
_WIDTHS = (48, 96, 192, 256)
_BLOCKS = (1, 2, 2, 1)
COMPACT_DIMENSION = sum(_WIDTHS[-2:])
"""Numbers a tile."""
_EXPANDED = 1024


class CompactNetwork(nn.Module):
    """From normalised tiles to their features.

    Examples
    --------
    >>> network = CompactNetwork().eval()
    >>> network(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 448])
    >>> sum(weight.numel() for weight in network.parameters())
    2594712
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, _STEM, kernel_size=5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(_STEM),
            nn.ReLU(),
        )
        taken, stages = _STEM, []
        for width, blocks in zip(_WIDTHS, _BLOCKS, strict=True):
            rest = [_Block(width, width, 1) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(_Block(taken, width, 2), *rest))
            taken = width
        self.stages = nn.ModuleList(stages)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode tiles.

        Parameters
        ----------
        pixels : tensor of shape (b, 3, h, w)
            Normalised; any size from 32 px.

        Returns
        -------
        tensor of shape (b, 448)
            Means over the tile of the last two stages.
        """
        maps, means = self.stem(pixels), []
        for stage in self.stages:
            maps = stage(maps)
            means.append(maps.mean(dim=(2, 3)))
        return torch.cat(means[-2:], dim=1)


class Expander(nn.Module):
    """What stands behind the network while it is trained.

    Parameters
    ----------
    taken : int
        Numbers a view.

    Examples
    --------
    >>> Expander(8).eval()(torch.zeros(2, 8)).shape
    torch.Size([2, 1024])
    """

    def __init__(self, taken: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(taken, _EXPANDED, bias=False),
            nn.BatchNorm1d(_EXPANDED),
            nn.ReLU(),
            nn.Linear(_EXPANDED, _EXPANDED, bias=False),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Expand features.

        Parameters
        ----------
        features : tensor of shape (b, taken)
            Of views.

        Returns
        -------
        tensor of shape (b, 1024)
            Embeddings that the loss sees.
        """
        expanded: torch.Tensor = self.layers(features)
        return expanded


class _Block(nn.Module):
    """Two convolutions beside a short cut."""

    def __init__(self, taken: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(taken, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.short: nn.Module = nn.Identity()
        if stride > 1 or taken != width:
            self.short = nn.Sequential(
                nn.Conv2d(taken, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        inner = torch.relu(self.bn1(self.conv1(maps)))
        return torch.relu(self.bn2(self.conv2(inner)) + self.short(maps))
