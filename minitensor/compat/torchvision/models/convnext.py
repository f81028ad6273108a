"""ConvNeXt (Liu et al., "A ConvNet for the 2020s", 2022)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .... import creation, nn
from ....nn import functional as F
from ..ops.misc import Conv2dNormActivation, Permute, StochasticDepth
from ._api import Weights, entry, published, started

__all__ = [
    "CNBlock", "CNBlockConfig", "ConvNeXt", "ConvNeXt_Base_Weights", "ConvNeXt_Large_Weights",
    "ConvNeXt_Small_Weights", "ConvNeXt_Tiny_Weights", "LayerNorm2d", "convnext_base", "convnext_large",
    "convnext_small", "convnext_tiny",
]  # fmt: skip

ConvNeXt_Tiny_Weights = published("ConvNeXt_Tiny_Weights", Weights("convnext_tiny-983f1562.pth", 224, 236))
ConvNeXt_Small_Weights = published("ConvNeXt_Small_Weights", Weights("convnext_small-0c510722.pth", 224, 230))
ConvNeXt_Base_Weights = published("ConvNeXt_Base_Weights", Weights("convnext_base-6075fbad.pth", 224, 232))
ConvNeXt_Large_Weights = published("ConvNeXt_Large_Weights", Weights("convnext_large-ea097f82.pth", 224, 232))


class LayerNorm2d(nn.LayerNorm):
    """A layer norm over the channels of maps (N, C, H, W)."""

    def forward(self, x: Any) -> Any:
        """Maps to maps."""
        y = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return y.permute(0, 3, 1, 2)


class CNBlock(nn.Module):
    """A convolution of 7 x 7 of each channel for itself and two linear layers, beside the way past them."""

    def __init__(
        self,
        dim: int,
        layer_scale: float,
        stochastic_depth_prob: float,
        norm_layer: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, 7, padding=3, groups=dim),
            Permute([0, 2, 3, 1]),
            (norm_layer or functools.partial(nn.LayerNorm, eps=1e-6))(dim),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Linear(4 * dim, dim),
            Permute([0, 3, 1, 2]),
        )
        self.layer_scale = nn.Parameter(creation.ones(dim, 1, 1) * layer_scale)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, input: Any) -> Any:
        """Maps (N, dim, H, W), in and out."""
        return self.stochastic_depth(self.layer_scale * self.block(input)) + input


class CNBlockConfig(NamedTuple):
    """The sizes of one stage of blocks; `out_channels` None is the last stage's."""

    input_channels: int
    out_channels: int | None
    num_layers: int


class ConvNeXt(nn.Module):
    """Four stages of blocks. Pictures (N, 3, 224, 224), of at least 32 a side."""

    def __init__(
        self,
        block_setting: Sequence[CNBlockConfig],
        stochastic_depth_prob: float = 0.0,
        layer_scale: float = 1e-6,
        num_classes: int = 1000,
        block: Callable[..., Any] | None = None,
        norm_layer: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        if not block_setting:
            raise ValueError("The block_setting should not be empty")
        make, norm = block or CNBlock, norm_layer or functools.partial(LayerNorm2d, eps=1e-6)
        first = block_setting[0].input_channels
        layers: list[Any] = [Conv2dNormActivation(3, first, 4, 4, 0, norm_layer=norm, activation_layer=None, bias=True)]
        total, k = sum(cnf.num_layers for cnf in block_setting), 0
        for wide, out, count in block_setting:
            blocks = []
            for _ in range(count):
                blocks.append(make(wide, layer_scale, stochastic_depth_prob * k / (total - 1.0)))
                k += 1
            layers.append(nn.Sequential(*blocks))
            if out is not None:
                layers.append(nn.Sequential(norm(wide), nn.Conv2d(wide, out, 2, 2)))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        last = block_setting[-1].out_channels or block_setting[-1].input_channels
        self.classifier = nn.Sequential(norm(last), nn.Flatten(1), nn.Linear(last, num_classes))
        start = functools.partial(nn.init.trunc_normal_, std=0.02)
        started(self, conv=start, linear=start)

    def forward(self, x: Any) -> Any:
        """Pictures to scores (N, num_classes)."""
        return self.classifier(self.avgpool(self.features(x)))


def _convnext(width: int, depth: int, drop: float, kwargs: dict[str, Any]) -> ConvNeXt:
    stages = [
        CNBlockConfig(width, 2 * width, 3),
        CNBlockConfig(2 * width, 4 * width, 3),
        CNBlockConfig(4 * width, 8 * width, depth),
        CNBlockConfig(8 * width, None, 3),
    ]
    return ConvNeXt(stages, kwargs.pop("stochastic_depth_prob", drop), **kwargs)


@entry(ConvNeXt_Tiny_Weights)
def convnext_tiny(**kwargs: Any) -> ConvNeXt:
    """The smallest, with 28,589,128 weights."""
    return _convnext(96, 9, 0.1, kwargs)


@entry(ConvNeXt_Small_Weights)
def convnext_small(**kwargs: Any) -> ConvNeXt:
    """Deeper."""
    return _convnext(96, 27, 0.4, kwargs)


@entry(ConvNeXt_Base_Weights)
def convnext_base(**kwargs: Any) -> ConvNeXt:
    """Deeper and wider."""
    return _convnext(128, 27, 0.5, kwargs)


@entry(ConvNeXt_Large_Weights)
def convnext_large(**kwargs: Any) -> ConvNeXt:
    """The largest."""
    return _convnext(192, 27, 0.5, kwargs)
