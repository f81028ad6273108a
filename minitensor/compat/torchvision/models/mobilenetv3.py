"""MobileNetV3 (Howard et al., "Searching for MobileNetV3", 2019)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .... import nn
from ..ops.misc import Conv2dNormActivation, SqueezeExcitation
from ._api import Weights, adjust_channels, divisible, entry, fan_out, narrow, published, started

__all__ = [
    "InvertedResidual", "InvertedResidualConfig", "MobileNetV3", "MobileNet_V3_Large_Weights",
    "MobileNet_V3_Small_Weights", "mobilenet_v3_large", "mobilenet_v3_small",
]  # fmt: skip

MobileNet_V3_Large_Weights = published(
    "MobileNet_V3_Large_Weights",
    "mobilenet_v3_large-8738ca79.pth",
    Weights("mobilenet_v3_large-5c1a4163.pth", 224, 232),
)
MobileNet_V3_Small_Weights = published("MobileNet_V3_Small_Weights", "mobilenet_v3_small-047dcff4.pth")


_WEIGHTED = functools.partial(SqueezeExcitation, scale_activation=nn.Hardsigmoid)


class InvertedResidualConfig:
    """The sizes of one block; `activation` is "HS" (hard swish) or "RE" (ReLU)."""

    def __init__(
        self,
        input_channels: int,
        kernel: int,
        expanded_channels: int,
        out_channels: int,
        use_se: bool,
        activation: str,
        stride: int,
        dilation: int,
        width_mult: float,
    ) -> None:
        self.input_channels = self.adjust_channels(input_channels, width_mult)
        self.expanded_channels = self.adjust_channels(expanded_channels, width_mult)
        self.out_channels = self.adjust_channels(out_channels, width_mult)
        self.kernel, self.use_se, self.use_hs = kernel, use_se, activation == "HS"
        self.stride, self.dilation = stride, dilation

    adjust_channels = staticmethod(adjust_channels)


class InvertedResidual(nn.Module):
    """A convolution of each channel for itself, channels weighted, between two of 1 x 1, beside the way past them."""

    def __init__(
        self,
        cnf: InvertedResidualConfig,
        norm_layer: Callable[..., Any],
        se_layer: Callable[..., Any] = _WEIGHTED,
    ) -> None:
        super().__init__()
        if not 1 <= cnf.stride <= 2:
            raise ValueError("illegal stride value")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.out_channels = cnf.out_channels
        wide = cnf.expanded_channels
        how: dict[str, Any] = {"norm_layer": norm_layer, "activation_layer": nn.Hardswish if cnf.use_hs else nn.ReLU}
        layers: list[Any] = []
        if wide != cnf.input_channels:
            layers.append(Conv2dNormActivation(cnf.input_channels, wide, 1, **how))
        stride = 1 if cnf.dilation > 1 else cnf.stride
        layers.append(Conv2dNormActivation(wide, wide, cnf.kernel, stride, dilation=cnf.dilation, groups=wide, **how))
        if cnf.use_se:
            layers.append(se_layer(wide, divisible(wide // 4)))
        layers.append(Conv2dNormActivation(wide, cnf.out_channels, 1, norm_layer=norm_layer, activation_layer=None))
        self.block = nn.Sequential(*layers)

    def forward(self, input: Any) -> Any:
        """Maps to maps."""
        return self.block(input) + input if self.use_res_connect else self.block(input)


class MobileNetV3(nn.Module):
    """Inverted residuals. Pictures (N, 3, 224, 224) of any size."""

    def __init__(
        self,
        inverted_residual_setting: Sequence[InvertedResidualConfig],
        last_channel: int,
        num_classes: int = 1000,
        block: Callable[..., Any] | None = None,
        norm_layer: Callable[..., Any] | None = None,
        dropout: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        if not inverted_residual_setting:
            raise ValueError("The inverted_residual_setting should not be empty")
        make = block or InvertedResidual
        norm = norm_layer or functools.partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        how: dict[str, Any] = {"norm_layer": norm, "activation_layer": nn.Hardswish}
        last = inverted_residual_setting[-1].out_channels
        self.features = nn.Sequential(
            Conv2dNormActivation(3, inverted_residual_setting[0].input_channels, 3, 2, **how),
            *[make(cnf, norm) for cnf in inverted_residual_setting],
            Conv2dNormActivation(last, 6 * last, 1, **how),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * last, last_channel),
            nn.Hardswish(inplace=True),
            nn.Dropout(p=dropout, inplace=True),
            nn.Linear(last_channel, num_classes),
        )
        started(self, conv=fan_out, linear=narrow)

    def forward(self, x: Any) -> Any:
        """Pictures to scores (N, num_classes)."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


# input, kernel, expanded, output, whether channels are weighted, activation, stride; the last three are the tail
_LARGE = (
    (16, 3, 16, 16, False, "RE", 1), (16, 3, 64, 24, False, "RE", 2), (24, 3, 72, 24, False, "RE", 1),
    (24, 5, 72, 40, True, "RE", 2), (40, 5, 120, 40, True, "RE", 1), (40, 5, 120, 40, True, "RE", 1),
    (40, 3, 240, 80, False, "HS", 2), (80, 3, 200, 80, False, "HS", 1), (80, 3, 184, 80, False, "HS", 1),
    (80, 3, 184, 80, False, "HS", 1), (80, 3, 480, 112, True, "HS", 1), (112, 3, 672, 112, True, "HS", 1),
    (112, 5, 672, 160, True, "HS", 2), (160, 5, 960, 160, True, "HS", 1), (160, 5, 960, 160, True, "HS", 1),
)  # fmt: skip
_SMALL = (
    (16, 3, 16, 16, True, "RE", 2), (16, 3, 72, 24, False, "RE", 2), (24, 3, 88, 24, False, "RE", 1),
    (24, 5, 96, 40, True, "HS", 2), (40, 5, 240, 40, True, "HS", 1), (40, 5, 240, 40, True, "HS", 1),
    (40, 5, 120, 48, True, "HS", 1), (48, 5, 144, 48, True, "HS", 1),
    (48, 5, 288, 96, True, "HS", 2), (96, 5, 576, 96, True, "HS", 1), (96, 5, 576, 96, True, "HS", 1),
)  # fmt: skip


def _mobilenet(rows: Any, last: int, kwargs: dict[str, Any]) -> MobileNetV3:
    width = kwargs.pop("width_mult", 1.0)
    half, spread = 2 if kwargs.pop("reduced_tail", False) else 1, 2 if kwargs.pop("dilated", False) else 1
    made = []
    for k, (inp, kernel, wide, out, weighted, activation, stride) in enumerate(rows):
        tail = k - len(rows) + 3
        if tail >= 0:
            out //= half
        if tail > 0:
            inp, wide = inp // half, wide // half
        dilation = spread if tail >= 0 else 1
        made.append(InvertedResidualConfig(inp, kernel, wide, out, weighted, activation, stride, dilation, width))
    return MobileNetV3(made, divisible(last // half * width), **kwargs)


@entry(MobileNet_V3_Large_Weights)
def mobilenet_v3_large(**kwargs: Any) -> MobileNetV3:
    """The large one, with 5,483,032 weights."""
    return _mobilenet(_LARGE, 1280, kwargs)


@entry(MobileNet_V3_Small_Weights)
def mobilenet_v3_small(**kwargs: Any) -> MobileNetV3:
    """The small one, with 2,542,856 weights."""
    return _mobilenet(_SMALL, 1024, kwargs)
