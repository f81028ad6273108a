"""ShuffleNetV2 (Ma et al., "Practical guidelines for efficient CNN architecture design", 2018)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .... import nn
from ....nn.functional import channel_shuffle
from ....ops.join import cat
from ._api import Weights, entry, published

__all__ = [
    "ShuffleNetV2", "ShuffleNet_V2_X0_5_Weights", "ShuffleNet_V2_X1_0_Weights", "ShuffleNet_V2_X1_5_Weights",
    "ShuffleNet_V2_X2_0_Weights", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
]  # fmt: skip

ShuffleNet_V2_X0_5_Weights = published("ShuffleNet_V2_X0_5_Weights", "shufflenetv2_x0.5-f707e7126e.pth")
ShuffleNet_V2_X1_0_Weights = published("ShuffleNet_V2_X1_0_Weights", "shufflenetv2_x1-5666bf0f80.pth")
ShuffleNet_V2_X1_5_Weights = published(
    "ShuffleNet_V2_X1_5_Weights", Weights("shufflenetv2_x1_5-3c479a10.pth", 224, 232)
)
ShuffleNet_V2_X2_0_Weights = published(
    "ShuffleNet_V2_X2_0_Weights", Weights("shufflenetv2_x2_0-8be3c8ee.pth", 224, 232)
)


def _depthwise(channels: int, stride: int) -> Any:
    return nn.Conv2d(channels, channels, 3, stride, 1, bias=False, groups=channels)


def _pointwise(inp: int, oup: int) -> Any:
    return nn.Conv2d(inp, oup, 1, 1, 0, bias=False)


class InvertedResidual(nn.Module):
    """Convolutions on one half of the channels, then the two halves shuffled; of stride 2 on all, twice."""

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__()
        if not 1 <= stride <= 3:
            raise ValueError("illegal stride value")
        half = oup // 2
        if stride == 1 and inp != 2 * half:
            raise ValueError(f"Invalid combination of stride {stride}, inp {inp} and oup {oup} values")
        self.stride = stride
        self.branch1 = nn.Sequential()
        if stride > 1:
            self.branch1 = nn.Sequential(
                _depthwise(inp, stride),
                nn.BatchNorm2d(inp),
                _pointwise(inp, half),
                nn.BatchNorm2d(half),
                nn.ReLU(inplace=True),
            )
        self.branch2 = nn.Sequential(
            _pointwise(inp if stride > 1 else half, half),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
            _depthwise(half, stride),
            nn.BatchNorm2d(half),
            _pointwise(half, half),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Any) -> Any:
        """Maps to maps."""
        if self.stride == 1:
            left, right = x.chunk(2, 1)
        else:
            left, right = self.branch1(x), x
        return channel_shuffle(cat([left, self.branch2(right)], 1), 2)


class ShuffleNetV2(nn.Module):
    """Three stages of blocks. Pictures (N, 3, 224, 224) of any size."""

    def __init__(
        self,
        stages_repeats: Sequence[int],
        stages_out_channels: Sequence[int],
        num_classes: int = 1000,
        inverted_residual: Callable[..., Any] = InvertedResidual,
    ) -> None:
        super().__init__()
        if len(stages_repeats) != 3:
            raise ValueError("expected stages_repeats as list of 3 positive ints")
        if len(stages_out_channels) != 5:
            raise ValueError("expected stages_out_channels as list of 5 positive ints")
        first, *inner, last = stages_out_channels
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True)
        )
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = first
        for name, count, out in zip(("stage2", "stage3", "stage4"), stages_repeats, inner, strict=True):
            blocks = [inverted_residual(channels, out, 2), *[inverted_residual(out, out, 1) for _ in range(count - 1)]]
            setattr(self, name, nn.Sequential(*blocks))
            channels = out
        self.conv5 = nn.Sequential(_pointwise(channels, last), nn.BatchNorm2d(last), nn.ReLU(inplace=True))
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: Any) -> Any:
        """Pictures to scores (N, num_classes)."""
        x = self.stage4(self.stage3(self.stage2(self.maxpool(self.conv1(x)))))
        return self.fc(self.conv5(x).mean([2, 3]))


@entry(ShuffleNet_V2_X0_5_Weights)
def shufflenet_v2_x0_5(**kwargs: Any) -> ShuffleNetV2:
    """Half as wide."""
    return ShuffleNetV2([4, 8, 4], [24, 48, 96, 192, 1024], **kwargs)


@entry(ShuffleNet_V2_X1_0_Weights)
def shufflenet_v2_x1_0(**kwargs: Any) -> ShuffleNetV2:
    """ShuffleNetV2, with 2,278,604 weights."""
    return ShuffleNetV2([4, 8, 4], [24, 116, 232, 464, 1024], **kwargs)


@entry(ShuffleNet_V2_X1_5_Weights)
def shufflenet_v2_x1_5(**kwargs: Any) -> ShuffleNetV2:
    """1.5 times as wide."""
    return ShuffleNetV2([4, 8, 4], [24, 176, 352, 704, 1024], **kwargs)


@entry(ShuffleNet_V2_X2_0_Weights)
def shufflenet_v2_x2_0(**kwargs: Any) -> ShuffleNetV2:
    """Twice as wide."""
    return ShuffleNetV2([4, 8, 4], [24, 244, 488, 976, 2048], **kwargs)
