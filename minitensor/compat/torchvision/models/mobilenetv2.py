"""MobileNetV2 (Sandler et al., "Inverted residuals and linear bottlenecks", 2018)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .... import nn
from ....nn.functional import adaptive_avg_pool2d
from ..ops.misc import Conv2dNormActivation
from ._api import Weights, divisible, entry, fan_out, narrow, published, started

__all__ = ["InvertedResidual", "MobileNetV2", "MobileNet_V2_Weights", "mobilenet_v2"]

MobileNet_V2_Weights = published(
    "MobileNet_V2_Weights", "mobilenet_v2-b0353104.pth", Weights("mobilenet_v2-7ebf99e0.pth", 224, 232)
)


class InvertedResidual(nn.Module):
    """A convolution of each channel for itself on more channels, between two of 1 x 1, beside the way past them."""

    def __init__(self, inp: int, oup: int, stride: int, expand_ratio: float, norm_layer: Any = None) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride should be 1 or 2 instead of {stride}")
        norm = norm_layer or nn.BatchNorm2d
        wide = round(inp * expand_ratio)
        self.stride, self.out_channels = stride, oup
        self.use_res_connect = stride == 1 and inp == oup
        how: dict[str, Any] = {"norm_layer": norm, "activation_layer": nn.ReLU6}
        layers: list[Any] = [] if expand_ratio == 1 else [Conv2dNormActivation(inp, wide, 1, **how)]
        layers.append(Conv2dNormActivation(wide, wide, stride=stride, groups=wide, **how))
        self.conv = nn.Sequential(*layers, nn.Conv2d(wide, oup, 1, 1, 0, bias=False), norm(oup))

    def forward(self, x: Any) -> Any:
        """Maps (N, inp, H, W) to (N, oup, H / stride, W / stride)."""
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


# expansion, channels, how many, the first one's stride
_SETTING = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


class MobileNetV2(nn.Module):
    """Inverted residuals. Pictures (N, 3, 224, 224) of any size."""

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8,
        block: Callable[..., Any] | None = None,
        norm_layer: Callable[..., Any] | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        setting = _SETTING if inverted_residual_setting is None else inverted_residual_setting
        if not setting or len(setting[0]) != 4:
            raise ValueError(
                f"inverted_residual_setting should be non-empty or a 4-element list, got {inverted_residual_setting}"
            )
        make, norm = block or InvertedResidual, norm_layer or nn.BatchNorm2d
        how: dict[str, Any] = {"norm_layer": norm, "activation_layer": nn.ReLU6}
        channels = divisible(32 * width_mult, round_nearest)
        self.last_channel = divisible(1280 * max(1.0, width_mult), round_nearest)
        layers: list[Any] = [Conv2dNormActivation(3, channels, stride=2, **how)]
        for expansion, width, count, stride in setting:
            out = divisible(width * width_mult, round_nearest)
            for k in range(count):
                layers.append(make(channels, out, 1 if k else stride, expand_ratio=expansion, norm_layer=norm))
                channels = out
        layers.append(Conv2dNormActivation(channels, self.last_channel, 1, **how))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout), nn.Linear(self.last_channel, num_classes))
        started(self, conv=fan_out, linear=narrow)

    def forward(self, x: Any) -> Any:
        """Pictures to scores (N, num_classes)."""
        return self.classifier(adaptive_avg_pool2d(self.features(x), (1, 1)).flatten(1))


@entry(MobileNet_V2_Weights)
def mobilenet_v2(**kwargs: Any) -> MobileNetV2:
    """MobileNetV2, with 3,504,872 weights."""
    return MobileNetV2(**kwargs)
