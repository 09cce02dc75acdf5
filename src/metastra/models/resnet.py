"""ResNet-50 as a tile encoder: the means of its third stage, 1,024 numbers.

The features that slide models were first built on (Lu et al. 2021, CLAM): ImageNet weights, cut
after the third of four stages, averaged over the tile.  The names of the parameters are those of
torchvision and timm; the last stage and the classifier of a file are not read.

Source: He et al. 2016, "Deep residual learning for image recognition", table 1 (50 layers), with
the stride in the 3 × 3 convolution as torchvision has it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

__all__ = ["ResNet50", "resnet_names"]

_BLOCKS = (3, 4, 6)
_WIDTHS = (64, 128, 256)
_EXPANSION = 4


class ResNet50(nn.Module):
    """From normalised tiles to 1,024 numbers: the mean over the tile of the third stage.

    Examples
    --------
    >>> ResNet50().eval()(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 1024])
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        taken = 64
        for number, (blocks, width) in enumerate(zip(_BLOCKS, _WIDTHS, strict=True), start=1):
            stage = nn.Sequential()
            for block in range(blocks):
                stride = 2 if number > 1 and block == 0 else 1
                stage.append(_Bottleneck(taken, width, stride))
                taken = width * _EXPANSION
            setattr(self, f"layer{number}", stage)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode tiles.

        Parameters
        ----------
        pixels : tensor of shape (b, 3, h, w)
            Normalised.

        Returns
        -------
        tensor of shape (b, 1024)
            Means over the tile.
        """
        maps = self.maxpool(self.relu(self.bn1(self.conv1(pixels))))
        for number in range(1, len(_BLOCKS) + 1):
            maps = getattr(self, f"layer{number}")(maps)
        return maps.mean(dim=(2, 3))  # type: ignore[no-any-return]


class _Bottleneck(nn.Module):
    """Three convolutions beside a short cut."""

    def __init__(self, taken: int, width: int, stride: int) -> None:
        super().__init__()
        given = width * _EXPANSION
        self.conv1 = nn.Conv2d(taken, width, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, given, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(given)
        self.relu = nn.ReLU()
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or taken != given:
            self.downsample = nn.Sequential(
                nn.Conv2d(taken, given, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(given),
            )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        inner = self.relu(self.bn1(self.conv1(maps)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        inner = self.bn3(self.conv3(inner))
        return self.relu(inner + self.downsample(maps))  # type: ignore[no-any-return]


def resnet_names(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Take from a weight file of a whole ResNet-50 what the encoder has.

    Parameters
    ----------
    tensors : mapping of str to tensor
        In the names of torchvision or timm, which are one.

    Returns
    -------
    dict of str to tensor
        Without the fourth stage and the classifier.
    """
    return {
        name: value for name, value in tensors.items() if not name.startswith(("layer4.", "fc."))
    }
