"""A vision transformer that reads the weights of the field's pathology encoders.

One network stands for all of them: plain and gated feed-forward layers, scaled residual branches,
register tokens, positions with or without the class token.  The names of its parameters are those
of the *timm* library, so weight files in that format load strictly and unchanged;
`metastra.models.vit_names` brings the other formats of the field into these names.  Every operation
is done in the order in which timm does it, so that the numbers are equal to the bit.

Sources: Dosovitskiy et al. 2021 (the transformer), Touvron et al. 2021 (scaled residual branches),
Shazeer 2020 (gated feed-forward layers), Darcet et al. 2024 (register tokens).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

__all__ = ["VisionTransformer", "VitShape"]


@dataclass(frozen=True, kw_only=True)
class VitShape:
    """Everything that decides the shape of a vision transformer.

    Parameters
    ----------
    tile_px : int
        Side of the square tile in pixels.
    token_px : int
        Side of the square that becomes one token, in pixels.
    width : int
        Numbers in a token.
    depth : int
        Blocks.
    heads : int
        Attention heads; they divide `width`.
    mlp_width : int
        What the first layer of the feed-forward part gives: with `gated`, twice what the second
        takes.
    gated : bool
        Whether the feed-forward part is gated (SwiGLU: one half passes through SiLU and multiplies
        the other) or plain (GELU).
    registers : int
        Register tokens.
    prefix_positions : bool
        Whether the class and register tokens have positions of their own.
    layer_scale : bool
        Whether each residual branch is multiplied by a learned vector.
    norm_eps : float
        Added to the variance in normalisations.

    Raises
    ------
    ValueError
        If the numbers do not fit together.

    Examples
    --------
    >>> shape = VitShape(tile_px=224, token_px=16, width=384, depth=12, heads=6, mlp_width=1536)
    >>> shape.tokens, shape.prefix
    (196, 1)
    """

    tile_px: int
    token_px: int
    width: int
    depth: int
    heads: int
    mlp_width: int
    gated: bool = False
    registers: int = 0
    prefix_positions: bool = True
    layer_scale: bool = False
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        least = min(self.tile_px, self.token_px, self.width, self.depth, self.heads, self.mlp_width)
        if least < 1 or self.registers < 0:
            raise ValueError(f"a vision transformer of {self}; expected positive numbers")
        if self.tile_px % self.token_px:
            raise ValueError(
                f"tiles of {self.tile_px} px cannot be cut into tokens of {self.token_px} px; "
                "expected a divisor"
            )
        if self.width % self.heads:
            raise ValueError(
                f"{self.heads} heads do not divide a width of {self.width}; expected a divisor"
            )
        if self.gated and self.mlp_width % 2:
            raise ValueError(f"a gated layer of {self.mlp_width}; expected an even number")

    @property
    def grid(self) -> int:
        """Tokens along a side of the tile."""
        return self.tile_px // self.token_px

    @property
    def tokens(self) -> int:
        """Tokens of the tile, without class and register tokens."""
        return self.grid**2

    @property
    def prefix(self) -> int:
        """Tokens before those of the tile: the class token and the registers."""
        return 1 + self.registers


class VisionTransformer(nn.Module):
    """From normalised tiles to tokens.

    Parameters
    ----------
    shape : VitShape
        Of the network.

    Examples
    --------
    >>> shape = VitShape(tile_px=32, token_px=16, width=24, depth=2, heads=2, mlp_width=48)
    >>> VisionTransformer(shape).eval()(torch.zeros(3, 3, 32, 32)).shape
    torch.Size([3, 5, 24])
    """

    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        self.shape = shape
        positions = shape.tokens + (shape.prefix if shape.prefix_positions else 0)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        if shape.registers:
            self.reg_token = nn.Parameter(torch.zeros(1, shape.registers, shape.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, positions, shape.width))
        self.patch_embed = _Cut(shape)
        self.blocks = nn.Sequential(*(_Block(shape) for _ in range(shape.depth)))
        self.norm = nn.LayerNorm(shape.width, eps=shape.norm_eps)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode tiles.

        Parameters
        ----------
        pixels : tensor of shape (b, 3, tile_px, tile_px)
            Normalised.

        Returns
        -------
        tensor of shape (b, prefix + tokens, width)
            After the last normalisation; the class token first, then the registers, then the tile
            row by row.
        """
        tokens = self.patch_embed(pixels)
        prefix = [self.cls_token.expand(tokens.shape[0], -1, -1)]
        if self.shape.registers:
            prefix.append(self.reg_token.expand(tokens.shape[0], -1, -1))
        if self.shape.prefix_positions:
            tokens = torch.cat([*prefix, tokens], dim=1) + self.pos_embed
        else:
            tokens = torch.cat([*prefix, tokens + self.pos_embed], dim=1)
        normalised: torch.Tensor = self.norm(self.blocks(tokens))
        return normalised


class _Cut(nn.Module):
    """From a tile to its tokens: one linear map of each square."""

    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, shape.width, kernel_size=shape.token_px, stride=shape.token_px)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.proj(pixels).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


class _Scale(nn.Module):
    """One learned factor for each number of a token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens * self.gamma


class _Attention(nn.Module):
    """Every token looks at every other."""

    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.proj = nn.Linear(shape.width, shape.width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        batch, count, width = tokens.shape
        split = self.qkv(tokens).reshape(batch, count, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        seen = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(  # type: ignore[no-any-return]
            seen.transpose(1, 2).reshape(batch, count, width)
        )


class _FeedForward(nn.Module):
    """Two layers on each token alone."""

    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        self.gated = shape.gated
        inner = shape.mlp_width // 2 if shape.gated else shape.mlp_width
        self.fc1 = nn.Linear(shape.width, shape.mlp_width)
        self.fc2 = nn.Linear(inner, shape.width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        inner = self.fc1(tokens)
        if self.gated:
            gate, passed = inner.chunk(2, dim=-1)
            inner = functional.silu(gate) * passed
        else:
            inner = functional.gelu(inner)
        return self.fc2(inner)  # type: ignore[no-any-return]


class _Block(nn.Module):
    """Attention and feed-forward part, each normalised before and added after."""

    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(shape.width, eps=shape.norm_eps)
        self.attn = _Attention(shape)
        self.norm2 = nn.LayerNorm(shape.width, eps=shape.norm_eps)
        self.mlp = _FeedForward(shape)
        self.ls1: nn.Module = _Scale(shape.width) if shape.layer_scale else nn.Identity()
        self.ls2: nn.Module = _Scale(shape.width) if shape.layer_scale else nn.Identity()

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        return tokens + self.ls2(  # type: ignore[no-any-return]
            self.mlp(self.norm2(tokens))
        )
