"""Vision transformers (Dosovitskiy et al., "An image is worth 16x16 words", 2021)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from .... import creation, nn
from ....errors import ShapeError
from ....ops.join import cat
from ..ops.misc import MLP
from ._api import Weights, entry, published

__all__ = [
    "Encoder", "EncoderBlock", "MLPBlock", "ViT_B_16_Weights", "ViT_B_32_Weights", "ViT_L_16_Weights",
    "ViT_L_32_Weights", "VisionTransformer", "vit_b_16", "vit_b_32", "vit_h_14", "vit_l_16", "vit_l_32",
]  # fmt: skip

ViT_B_16_Weights = published("ViT_B_16_Weights", "vit_b_16-c867db91.pth")
ViT_B_32_Weights = published("ViT_B_32_Weights", "vit_b_32-d86f8d99.pth")
ViT_L_16_Weights = published("ViT_L_16_Weights", Weights("vit_l_16-852ce7e3.pth", 224, 242))
ViT_L_32_Weights = published("ViT_L_32_Weights", "vit_l_32-c7638314.pth")
_NORM = functools.partial(nn.LayerNorm, eps=1e-6)


class MLPBlock(MLP):
    """Two linear layers with a GELU between them."""

    def __init__(self, in_dim: int, mlp_dim: int, dropout: float) -> None:
        super().__init__(in_dim, [mlp_dim, in_dim], activation_layer=nn.GELU, dropout=dropout)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
                nn.init.normal_(m.bias, std=1e-6)


class EncoderBlock(nn.Module):
    """Attention among the patches, then two linear layers on each, both beside the way past them."""

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Callable[..., Any] = _NORM,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = nn.MultiheadAttention(hidden_dim, num_heads, attention_dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, input: Any) -> Any:
        """Patches (N, S, hidden_dim), in and out."""
        x = self.ln_1(input)
        x = self.dropout(self.self_attention(x, x, x, need_weights=False)[0]) + input
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Where each patch stands, and the blocks."""

    def __init__(
        self,
        seq_length: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Callable[..., Any] = _NORM,
    ) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(creation.empty(1, seq_length, hidden_dim).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential()
        for k in range(num_layers):
            block = EncoderBlock(num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer)
            self.layers.add_module(f"encoder_layer_{k}", block)
        self.ln = norm_layer(hidden_dim)

    def forward(self, input: Any) -> Any:
        """Patches (N, S, hidden_dim), in and out."""
        return self.ln(self.layers(self.dropout(input + self.pos_embedding)))


class VisionTransformer(nn.Module):
    """A transformer over the patches of a picture. Pictures (N, 3, image_size, image_size)."""

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        representation_size: int | None = None,
        norm_layer: Callable[..., Any] = _NORM,
    ) -> None:
        super().__init__()
        if image_size % patch_size:
            raise ShapeError(f"VisionTransformer: patches of {patch_size} do not fit into pictures of {image_size}")
        self.image_size, self.patch_size, self.hidden_dim = image_size, patch_size, hidden_dim
        self.mlp_dim, self.dropout, self.attention_dropout = mlp_dim, dropout, attention_dropout
        self.num_classes, self.representation_size, self.norm_layer = num_classes, representation_size, norm_layer
        self.conv_proj = nn.Conv2d(3, hidden_dim, patch_size, patch_size)
        self.class_token = nn.Parameter(creation.zeros(1, 1, hidden_dim))
        self.seq_length = (image_size // patch_size) ** 2 + 1
        self.encoder = Encoder(
            self.seq_length, num_layers, num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer
        )
        self.heads = nn.Sequential()
        if representation_size is not None:
            self.heads.add_module("pre_logits", nn.Linear(hidden_dim, representation_size))
            self.heads.add_module("act", nn.Tanh())
        self.heads.add_module("head", nn.Linear(representation_size or hidden_dim, num_classes))
        nn.init.trunc_normal_(self.conv_proj.weight, std=math.sqrt(1 / (3 * patch_size**2)))
        nn.init.zeros_(self.conv_proj.bias)
        if representation_size is not None:
            nn.init.trunc_normal_(self.heads.pre_logits.weight, std=math.sqrt(1 / hidden_dim))
            nn.init.zeros_(self.heads.pre_logits.bias)
        nn.init.zeros_(self.heads.head.weight)
        nn.init.zeros_(self.heads.head.bias)

    def forward(self, x: Any) -> Any:
        """Pictures to scores (N, num_classes)."""
        size = self.image_size
        if tuple(x.shape[2:]) != (size, size):
            raise ShapeError(f"VisionTransformer: expected pictures (N, 3, {size}, {size}), not {tuple(x.shape)}")
        patches = self.conv_proj(x).flatten(2).permute(0, 2, 1)
        token = self.class_token.expand(x.shape[0], -1, -1)
        return self.heads(self.encoder(cat([token, patches], 1))[:, 0])


def _vit(patch: int, layers: int, heads: int, hidden: int, mlp: int, kwargs: dict[str, Any]) -> VisionTransformer:
    return VisionTransformer(kwargs.pop("image_size", 224), patch, layers, heads, hidden, mlp, **kwargs)


@entry(ViT_B_16_Weights)
def vit_b_16(**kwargs: Any) -> VisionTransformer:
    """The base size on patches of 16, with 86,567,656 weights."""
    return _vit(16, 12, 12, 768, 3072, kwargs)


@entry(ViT_B_32_Weights)
def vit_b_32(**kwargs: Any) -> VisionTransformer:
    """The base size on patches of 32."""
    return _vit(32, 12, 12, 768, 3072, kwargs)


@entry(ViT_L_16_Weights)
def vit_l_16(**kwargs: Any) -> VisionTransformer:
    """The large size on patches of 16."""
    return _vit(16, 24, 16, 1024, 4096, kwargs)


@entry(ViT_L_32_Weights)
def vit_l_32(**kwargs: Any) -> VisionTransformer:
    """The large size on patches of 32."""
    return _vit(32, 24, 16, 1024, 4096, kwargs)


@entry()
def vit_h_14(**kwargs: Any) -> VisionTransformer:
    """The huge size on patches of 14."""
    return _vit(14, 32, 16, 1280, 5120, kwargs)
