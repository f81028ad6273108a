"""EfficientNet (Tan and Le, "Rethinking model scaling for convolutional neural networks", 2019)."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from .... import nn
from ..ops.misc import Conv2dNormActivation, SqueezeExcitation, StochasticDepth
from ..transforms import InterpolationMode
from ._api import Weights, adjust_channels, entry, fan_out, published, started

__all__ = [
    "EfficientNet", "EfficientNet_B0_Weights", "EfficientNet_B1_Weights", "EfficientNet_B2_Weights",
    "EfficientNet_B3_Weights", "EfficientNet_B4_Weights", "EfficientNet_B5_Weights", "EfficientNet_B6_Weights",
    "EfficientNet_B7_Weights", "MBConv", "MBConvConfig", "efficientnet_b0", "efficientnet_b1", "efficientnet_b2",
    "efficientnet_b3", "efficientnet_b4", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7",
]  # fmt: skip


class MBConvConfig:
    """The sizes of one stage of blocks."""

    def __init__(
        self,
        expand_ratio: float,
        kernel: int,
        stride: int,
        input_channels: int,
        out_channels: int,
        num_layers: int,
        width_mult: float = 1.0,
        depth_mult: float = 1.0,
        block: Callable[..., Any] | None = None,
    ) -> None:
        self.expand_ratio, self.kernel, self.stride = expand_ratio, kernel, stride
        self.input_channels = self.adjust_channels(input_channels, width_mult)
        self.out_channels = self.adjust_channels(out_channels, width_mult)
        self.num_layers = math.ceil(num_layers * depth_mult)
        self.block = block or MBConv

    adjust_channels = staticmethod(adjust_channels)


class MBConv(nn.Module):
    """A convolution of each channel for itself, channels weighted, between two of 1 x 1, beside the way past them."""

    def __init__(
        self,
        cnf: MBConvConfig,
        stochastic_depth_prob: float,
        norm_layer: Callable[..., Any],
        se_layer: Callable[..., Any] = SqueezeExcitation,
    ) -> None:
        super().__init__()
        if not 1 <= cnf.stride <= 2:
            raise ValueError("illegal stride value")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.out_channels = cnf.out_channels
        wide = cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        how: dict[str, Any] = {"norm_layer": norm_layer, "activation_layer": nn.SiLU}
        layers: list[Any] = []
        if wide != cnf.input_channels:
            layers.append(Conv2dNormActivation(cnf.input_channels, wide, 1, **how))
        layers.append(Conv2dNormActivation(wide, wide, cnf.kernel, cnf.stride, groups=wide, **how))
        few = max(1, cnf.input_channels // 4)
        layers.append(se_layer(wide, few, activation=functools.partial(nn.SiLU, inplace=True)))
        layers.append(Conv2dNormActivation(wide, cnf.out_channels, 1, norm_layer=norm_layer, activation_layer=None))
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, input: Any) -> Any:
        """Maps to maps."""
        result = self.block(input)
        return self.stochastic_depth(result) + input if self.use_res_connect else result


class EfficientNet(nn.Module):
    """Stages of blocks. Pictures (N, 3, 224, 224) of any size."""

    def __init__(
        self,
        inverted_residual_setting: Sequence[MBConvConfig],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Callable[..., Any] | None = None,
        last_channel: int | None = None,
    ) -> None:
        super().__init__()
        setting = inverted_residual_setting
        if not setting:
            raise ValueError("The inverted_residual_setting should not be empty")
        norm = norm_layer or nn.BatchNorm2d
        how: dict[str, Any] = {"norm_layer": norm, "activation_layer": nn.SiLU}
        layers: list[Any] = [Conv2dNormActivation(3, setting[0].input_channels, 3, 2, **how)]
        total, k = sum(cnf.num_layers for cnf in setting), 0
        for stage in setting:
            cnf = copy.copy(stage)
            blocks = []
            for _ in range(stage.num_layers):
                blocks.append(cnf.block(cnf, stochastic_depth_prob * k / total, norm))
                cnf = copy.copy(cnf)
                cnf.input_channels, cnf.stride = cnf.out_channels, 1
                k += 1
            layers.append(nn.Sequential(*blocks))
        last = setting[-1].out_channels
        wide = 4 * last if last_channel is None else last_channel
        layers.append(Conv2dNormActivation(last, wide, 1, **how))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(wide, num_classes))
        started(self, conv=fan_out, linear=_by_outputs)

    def forward(self, x: Any) -> Any:
        """Pictures to scores (N, num_classes)."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _by_outputs(w: Any) -> None:
    bound = 1 / math.sqrt(w.shape[0])
    nn.init.uniform_(w, -bound, bound)


# expansion, kernel, the first block's stride, channels in and out, how many
_STAGES = (
    (1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 2), (6, 3, 2, 40, 80, 3), (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4), (6, 3, 1, 192, 320, 1),
)  # fmt: skip


def _efficientnet(width: float, depth: float, dropout: float, kwargs: dict[str, Any]) -> EfficientNet:
    stages = [MBConvConfig(*row, width_mult=width, depth_mult=depth) for row in _STAGES]
    return EfficientNet(stages, kwargs.pop("dropout", dropout), **kwargs)


def _large(width: float, depth: float, dropout: float, kwargs: dict[str, Any]) -> EfficientNet:
    norm = functools.partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
    return _efficientnet(width, depth, dropout, {"norm_layer": norm, **kwargs})


def _of(file: str, crop: int, resize: int) -> Weights:
    return Weights(file, crop, resize, InterpolationMode.BICUBIC)


EfficientNet_B0_Weights = published("EfficientNet_B0_Weights", _of("efficientnet_b0_rwightman-7f5810bc.pth", 224, 256))
EfficientNet_B1_Weights = published(
    "EfficientNet_B1_Weights",
    _of("efficientnet_b1_rwightman-bac287d4.pth", 240, 256),
    Weights("efficientnet_b1-c27df63c.pth", 240, 255),
)
EfficientNet_B2_Weights = published("EfficientNet_B2_Weights", _of("efficientnet_b2_rwightman-c35c1473.pth", 288, 288))
EfficientNet_B3_Weights = published("EfficientNet_B3_Weights", _of("efficientnet_b3_rwightman-b3899882.pth", 300, 320))
EfficientNet_B4_Weights = published("EfficientNet_B4_Weights", _of("efficientnet_b4_rwightman-23ab8bcd.pth", 380, 384))
EfficientNet_B5_Weights = published("EfficientNet_B5_Weights", _of("efficientnet_b5_lukemelas-1a07897c.pth", 456, 456))
EfficientNet_B6_Weights = published("EfficientNet_B6_Weights", _of("efficientnet_b6_lukemelas-24a108a5.pth", 528, 528))
EfficientNet_B7_Weights = published("EfficientNet_B7_Weights", _of("efficientnet_b7_lukemelas-c5b4e57e.pth", 600, 600))


@entry(EfficientNet_B0_Weights)
def efficientnet_b0(**kwargs: Any) -> EfficientNet:
    """The smallest, with 5,288,548 weights."""
    return _efficientnet(1.0, 1.0, 0.2, kwargs)


@entry(EfficientNet_B1_Weights)
def efficientnet_b1(**kwargs: Any) -> EfficientNet:
    """1.1 times as deep."""
    return _efficientnet(1.0, 1.1, 0.2, kwargs)


@entry(EfficientNet_B2_Weights)
def efficientnet_b2(**kwargs: Any) -> EfficientNet:
    """1.1 times as wide, 1.2 times as deep."""
    return _efficientnet(1.1, 1.2, 0.3, kwargs)


@entry(EfficientNet_B3_Weights)
def efficientnet_b3(**kwargs: Any) -> EfficientNet:
    """1.2 times as wide, 1.4 times as deep."""
    return _efficientnet(1.2, 1.4, 0.3, kwargs)


@entry(EfficientNet_B4_Weights)
def efficientnet_b4(**kwargs: Any) -> EfficientNet:
    """1.4 times as wide, 1.8 times as deep."""
    return _efficientnet(1.4, 1.8, 0.4, kwargs)


@entry(EfficientNet_B5_Weights)
def efficientnet_b5(**kwargs: Any) -> EfficientNet:
    """1.6 times as wide, 2.2 times as deep."""
    return _large(1.6, 2.2, 0.4, kwargs)


@entry(EfficientNet_B6_Weights)
def efficientnet_b6(**kwargs: Any) -> EfficientNet:
    """1.8 times as wide, 2.6 times as deep."""
    return _large(1.8, 2.6, 0.5, kwargs)


@entry(EfficientNet_B7_Weights)
def efficientnet_b7(**kwargs: Any) -> EfficientNet:
    """2 times as wide, 3.1 times as deep."""
    return _large(2.0, 3.1, 0.5, kwargs)
