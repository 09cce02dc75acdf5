"""CTransPath's network: a small Swin transformer behind a stem of convolutions.

The names of the parameters are those of the published file (timm 0.5), which loads strictly; what a
tile does not depend on (the masks and indices that the file repeats, the classifier) is not read.
The features are the means of the last tokens, 768 numbers.

Sources: Wang et al. 2022, "Transformer-based unsupervised contrastive learning for
histopathological image classification"; Liu et al. 2021 (Swin transformer).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

__all__ = ["CTransPath", "ctranspath_names"]

_WIDTH, _WINDOW, _GRID = 96, 7, 56
_DEPTHS, _HEADS = (2, 2, 6, 2), (3, 6, 12, 24)
_REPEATED = ("attn_mask", "relative_position_index")


class CTransPath(nn.Module):
    """From normalised tiles of 224 px to 768 numbers.

    Examples
    --------
    >>> CTransPath().eval()(torch.zeros(1, 3, 224, 224)).shape
    torch.Size([1, 768])
    """

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = _Stem()
        self.layers = nn.Sequential(
            *(
                _Stage(_WIDTH << number, _GRID >> number, depth, heads, last=number == 3)
                for number, (depth, heads) in enumerate(zip(_DEPTHS, _HEADS, strict=True))
            )
        )
        self.norm = nn.LayerNorm(_WIDTH << 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode tiles.

        Parameters
        ----------
        pixels : tensor of shape (b, 3, 224, 224)
            Normalised.

        Returns
        -------
        tensor of shape (b, 768)
            Means over the tile.
        """
        tokens = self.norm(self.layers(self.patch_embed(pixels)))
        return tokens.mean(dim=(1, 2))  # type: ignore[no-any-return]


class _Stem(nn.Module):
    """Two strided convolutions and a linear map: a token for each square of 4 px."""

    def __init__(self) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        taken, given = 3, _WIDTH // 8
        for _ in range(2):
            parts += [
                nn.Conv2d(taken, given, kernel_size=3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(given),
                nn.ReLU(),
            ]
            taken, given = given, given * 2
        self.proj = nn.Sequential(*parts, nn.Conv2d(taken, _WIDTH, kernel_size=1))
        self.norm = nn.LayerNorm(_WIDTH)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.norm(self.proj(pixels).permute(0, 2, 3, 1))  # type: ignore[no-any-return]


class _Stage(nn.Module):
    """Blocks on one grid, every second one with its windows shifted, then half the grid."""

    def __init__(self, width: int, grid: int, depth: int, heads: int, *, last: bool) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                _Block(width, grid, heads, _WINDOW // 2 if number % 2 and grid > _WINDOW else 0)
                for number in range(depth)
            )
        )
        self.downsample: nn.Module = nn.Identity() if last else _Merge(width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.downsample(self.blocks(tokens))  # type: ignore[no-any-return]


class _Merge(nn.Module):
    """Four neighbours become one token of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        corners = [tokens[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduction(self.norm(torch.cat(corners, dim=-1)))  # type: ignore[no-any-return]


class _Block(nn.Module):
    """Attention within windows, and the feed-forward part."""

    mask: torch.Tensor

    def __init__(self, width: int, grid: int, heads: int, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.norm1 = nn.LayerNorm(width)
        self.attn = _WindowAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)}
        )
        self.register_buffer("mask", _mask(grid, shift), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        batch, grid, _, width = tokens.shape
        seen = self.norm1(tokens)
        if self.shift:
            seen = torch.roll(seen, shifts=(-self.shift, -self.shift), dims=(1, 2))
        windows = _windows(seen).view(-1, _WINDOW * _WINDOW, width)
        found = self.attn(windows, self.mask if self.shift else None)
        side = grid // _WINDOW
        found = found.view(batch, side, side, _WINDOW, _WINDOW, width)
        found = found.permute(0, 1, 3, 2, 4, 5).reshape(batch, grid, grid, width)
        if self.shift:
            found = torch.roll(found, shifts=(self.shift, self.shift), dims=(1, 2))
        tokens = tokens + found
        inner = functional.gelu(self.mlp["fc1"](self.norm2(tokens)))
        return tokens + self.mlp["fc2"](inner)  # type: ignore[no-any-return]


class _WindowAttention(nn.Module):
    """Attention among the tokens of a window, with a learned bias for each offset."""

    places: torch.Tensor

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * _WINDOW - 1) ** 2, heads))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.register_buffer("places", _places(), persistent=False)

    def forward(self, windows: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        count, area, width = windows.shape
        split = self.qkv(windows).reshape(count, area, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.relative_position_bias_table[self.places.view(-1)]
        bias = bias.view(area, area, self.heads).permute(2, 0, 1).unsqueeze(0)
        if mask is not None:
            repeated = mask.to(bias.dtype).repeat(count // mask.shape[0], 1, 1).unsqueeze(1)
            bias = bias + repeated
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.proj(  # type: ignore[no-any-return]
            seen.transpose(1, 2).reshape(count, area, width)
        )


def _windows(grid: torch.Tensor) -> torch.Tensor:
    """Cut (b, g, g, c) into (b × windows, 7, 7, c)."""
    batch, side, _, width = grid.shape
    cut = grid.view(batch, side // _WINDOW, _WINDOW, side // _WINDOW, _WINDOW, width)
    return cut.permute(0, 1, 3, 2, 4, 5).reshape(-1, _WINDOW, _WINDOW, width)


def _places() -> torch.Tensor:
    """Row of the bias table for each pair of tokens in a window."""
    line = torch.arange(_WINDOW, device="cpu")
    rows, columns = torch.meshgrid(line, line, indexing="ij")
    rows, columns = rows.flatten(), columns.flatten()
    down = rows[:, None] - rows[None, :] + _WINDOW - 1
    right = columns[:, None] - columns[None, :] + _WINDOW - 1
    return down * (2 * _WINDOW - 1) + right


def _mask(grid: int, shift: int) -> torch.Tensor:
    """Keep tokens apart that only the shift has brought into one window."""
    if not shift:
        return torch.zeros(0, device="cpu")
    parts = torch.zeros(grid, device="cpu")
    parts[-_WINDOW:-shift] = 1
    parts[-shift:] = 2
    regions = (3 * parts[:, None] + parts[None, :]).view(1, grid, grid, 1)
    flat = _windows(regions).view(-1, _WINDOW * _WINDOW)
    apart = flat[:, None, :] != flat[:, :, None]
    return apart.float() * -100.0


def ctranspath_names(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Take from the published file what the network has.

    Parameters
    ----------
    tensors : mapping of str to tensor
        In the names of the file.

    Returns
    -------
    dict of str to tensor
        Without what the file repeats in every block, and without its classifier.
    """
    return {
        name: value
        for name, value in tensors.items()
        if not name.endswith(_REPEATED) and not name.startswith("head.")
    }
