"""Residual networks (He et al., "Deep residual learning", 2016), ResNeXt (Xie et al., 2017), wide ones (2016)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from .... import nn
from ._api import Weights, entry, fan_out, published, started

__all__ = [
    "BasicBlock", "Bottleneck", "ResNeXt50_32X4D_Weights", "ResNeXt101_32X8D_Weights", "ResNeXt101_64X4D_Weights",
    "ResNet", "ResNet18_Weights", "ResNet34_Weights", "ResNet50_Weights", "ResNet101_Weights", "ResNet152_Weights",
    "Wide_ResNet50_2_Weights", "Wide_ResNet101_2_Weights", "conv1x1", "conv3x3", "resnet18", "resnet34", "resnet50",
    "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2",
    "wide_resnet101_2",
]  # fmt: skip


def conv3x3(in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> Any:
    """A convolution of 3 x 3 that keeps the size."""
    return nn.Conv2d(in_planes, out_planes, 3, stride, dilation, groups=groups, bias=False, dilation=dilation)


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> Any:
    """A convolution of 1 x 1."""
    return nn.Conv2d(in_planes, out_planes, 1, stride, bias=False)


class BasicBlock(nn.Module):
    """Two convolutions beside the way past them."""

    expansion: ClassVar[int] = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: Any = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Any = None,
    ) -> None:
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        if groups != 1 or base_width != 64:
            raise ValueError("BasicBlock only supports groups=1 and base_width=64")
        if dilation > 1:
            raise NotImplementedError("Dilation > 1 not supported in BasicBlock")
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm(planes)
        self.downsample, self.stride = downsample, stride

    def forward(self, x: Any) -> Any:
        """Maps (N, inplanes, H, W) to (N, planes, H / stride, W / stride)."""
        past = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out)) + past)


class Bottleneck(nn.Module):
    """A convolution of 3 x 3 on fewer channels, between two of 1 x 1, beside the way past them."""

    expansion: ClassVar[int] = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: Any = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Any = None,
    ) -> None:
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        width = int(planes * (base_width / 64.0)) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample, self.stride = downsample, stride

    def forward(self, x: Any) -> Any:
        """Maps (N, inplanes, H, W) to (N, 4 planes, H / stride, W / stride)."""
        past = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.relu(self.bn3(self.conv3(out)) + past)


class ResNet(nn.Module):
    """Four stages of blocks. Pictures (N, 3, 224, 224), of any size from 1 on."""

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__()
        self._norm_layer = norm_layer or nn.BatchNorm2d
        spread = replace_stride_with_dilation or (False, False, False)
        if len(spread) != 3:
            raise ValueError(f"replace_stride_with_dilation should be None or a 3-element tuple, got {spread}")
        self.inplanes, self.dilation = 64, 1
        self.groups, self.base_width = groups, width_per_group
        self.conv1 = nn.Conv2d(3, self.inplanes, 7, 2, 3, bias=False)
        self.bn1 = self._norm_layer(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], 2, spread[0])
        self.layer3 = self._make_layer(block, 256, layers[2], 2, spread[1])
        self.layer4 = self._make_layer(block, 512, layers[3], 2, spread[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        started(self, conv=fan_out)
        if zero_init_residual:
            for m in self.modules():
                last = m.bn3 if isinstance(m, Bottleneck) else m.bn2 if isinstance(m, BasicBlock) else None
                if last is not None and last.weight is not None:
                    nn.init.zeros_(last.weight)

    def _make_layer(self, block: Any, planes: int, blocks: int, stride: int = 1, dilate: bool = False) -> Any:
        first = self.dilation
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        wide = planes * block.expansion
        past = None
        if stride != 1 or self.inplanes != wide:
            past = nn.Sequential(conv1x1(self.inplanes, wide, stride), self._norm_layer(wide))
        how = (self.groups, self.base_width)
        made = [block(self.inplanes, planes, stride, past, *how, first, self._norm_layer)]
        self.inplanes = wide
        made += [block(wide, planes, 1, None, *how, self.dilation, self._norm_layer) for _ in range(1, blocks)]
        return nn.Sequential(*made)

    def forward(self, x: Any) -> Any:
        """Pictures to scores (N, num_classes)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def _newer(file: str) -> Weights:
    return Weights(file, 224, 232)


ResNet18_Weights = published("ResNet18_Weights", "resnet18-f37072fd.pth")
ResNet34_Weights = published("ResNet34_Weights", "resnet34-b627a593.pth")
ResNet50_Weights = published("ResNet50_Weights", "resnet50-0676ba61.pth", _newer("resnet50-11ad3fa6.pth"))
ResNet101_Weights = published("ResNet101_Weights", "resnet101-63fe2227.pth", _newer("resnet101-cd907fc2.pth"))
ResNet152_Weights = published("ResNet152_Weights", "resnet152-394f9c45.pth", _newer("resnet152-f82ba261.pth"))
ResNeXt50_32X4D_Weights = published(
    "ResNeXt50_32X4D_Weights", "resnext50_32x4d-7cdf4587.pth", _newer("resnext50_32x4d-1a0047aa.pth")
)
ResNeXt101_32X8D_Weights = published(
    "ResNeXt101_32X8D_Weights", "resnext101_32x8d-8ba56ff5.pth", _newer("resnext101_32x8d-110c445d.pth")
)
ResNeXt101_64X4D_Weights = published("ResNeXt101_64X4D_Weights", _newer("resnext101_64x4d-173b62eb.pth"))
Wide_ResNet50_2_Weights = published(
    "Wide_ResNet50_2_Weights", "wide_resnet50_2-95faca4d.pth", _newer("wide_resnet50_2-9ba9bcbe.pth")
)
Wide_ResNet101_2_Weights = published(
    "Wide_ResNet101_2_Weights", "wide_resnet101_2-32ee1156.pth", _newer("wide_resnet101_2-d733dc28.pth")
)


@entry(ResNet18_Weights)
def resnet18(**kwargs: Any) -> ResNet:
    """Of 18 layers, with 11,689,512 weights."""
    return ResNet(BasicBlock, (2, 2, 2, 2), **kwargs)


@entry(ResNet34_Weights)
def resnet34(**kwargs: Any) -> ResNet:
    """Of 34 layers."""
    return ResNet(BasicBlock, (3, 4, 6, 3), **kwargs)


@entry(ResNet50_Weights)
def resnet50(**kwargs: Any) -> ResNet:
    """Of 50 layers, with 25,557,032 weights."""
    return ResNet(Bottleneck, (3, 4, 6, 3), **kwargs)


@entry(ResNet101_Weights)
def resnet101(**kwargs: Any) -> ResNet:
    """Of 101 layers."""
    return ResNet(Bottleneck, (3, 4, 23, 3), **kwargs)


@entry(ResNet152_Weights)
def resnet152(**kwargs: Any) -> ResNet:
    """Of 152 layers."""
    return ResNet(Bottleneck, (3, 8, 36, 3), **kwargs)


@entry(ResNeXt50_32X4D_Weights)
def resnext50_32x4d(**kwargs: Any) -> ResNet:
    """ResNeXt of 50 layers, in 32 groups of 4 channels."""
    return ResNet(Bottleneck, (3, 4, 6, 3), **{"groups": 32, "width_per_group": 4, **kwargs})


@entry(ResNeXt101_32X8D_Weights)
def resnext101_32x8d(**kwargs: Any) -> ResNet:
    """ResNeXt of 101 layers, in 32 groups of 8 channels."""
    return ResNet(Bottleneck, (3, 4, 23, 3), **{"groups": 32, "width_per_group": 8, **kwargs})


@entry(ResNeXt101_64X4D_Weights)
def resnext101_64x4d(**kwargs: Any) -> ResNet:
    """ResNeXt of 101 layers, in 64 groups of 4 channels."""
    return ResNet(Bottleneck, (3, 4, 23, 3), **{"groups": 64, "width_per_group": 4, **kwargs})


@entry(Wide_ResNet50_2_Weights)
def wide_resnet50_2(**kwargs: Any) -> ResNet:
    """Of 50 layers, twice as wide inside the blocks."""
    return ResNet(Bottleneck, (3, 4, 6, 3), **{"width_per_group": 128, **kwargs})


@entry(Wide_ResNet101_2_Weights)
def wide_resnet101_2(**kwargs: Any) -> ResNet:
    """Of 101 layers, twice as wide inside the blocks."""
    return ResNet(Bottleneck, (3, 4, 23, 3), **{"width_per_group": 128, **kwargs})
