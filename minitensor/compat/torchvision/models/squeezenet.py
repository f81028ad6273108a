"""SqueezeNet (Iandola et al., "AlexNet-level accuracy with 50x fewer parameters", 2016)."""

from __future__ import annotations

from typing import Any

from .... import nn
from ....ops.join import cat
from ._api import entry, narrow, published, started

__all__ = ["Fire", "SqueezeNet", "SqueezeNet1_0_Weights", "SqueezeNet1_1_Weights", "squeezenet1_0", "squeezenet1_1"]

SqueezeNet1_0_Weights = published("SqueezeNet1_0_Weights", "squeezenet1_0-b66bff10.pth")
SqueezeNet1_1_Weights = published("SqueezeNet1_1_Weights", "squeezenet1_1-b8a52dc0.pth")


class Fire(nn.Module):
    """A convolution of 1 x 1 to few channels, then those of 1 x 1 and of 3 x 3 beside each other."""

    def __init__(self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int) -> None:
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, 1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, 1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, 3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: Any) -> Any:
        """Maps (N, inplanes, H, W) to (N, expand1x1_planes + expand3x3_planes, H, W)."""
        x = self.squeeze_activation(self.squeeze(x))
        one, three = self.expand1x1_activation(self.expand1x1(x)), self.expand3x3_activation(self.expand3x3(x))
        return cat([one, three], 1)


# of each version the first convolution and the parts after it: "M" a pool, a number that of the squeezed channels
_VERSIONS: dict[str, tuple[int, int, tuple[Any, ...]]] = {
    "1_0": (96, 7, ("M", 16, 16, 32, "M", 32, 48, 48, 64, "M", 64)),
    "1_1": (64, 3, ("M", 16, 16, "M", 32, 32, "M", 48, 48, 64, 64)),
}


class SqueezeNet(nn.Module):
    """Eight fires. Pictures (N, 3, 224, 224), of at least 21 (1.0) or 17 (1.1) a side."""

    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        if version not in _VERSIONS:
            raise ValueError(f"Unsupported SqueezeNet version {version}: 1_0 or 1_1 expected")
        self.num_classes = num_classes
        channels, kernel, parts = _VERSIONS[version]
        layers: list[Any] = [nn.Conv2d(3, channels, kernel, 2), nn.ReLU(inplace=True)]
        for part in parts:
            if part == "M":
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
            else:
                layers.append(Fire(channels, part, 4 * part, 4 * part))
                channels = 8 * part
        self.features = nn.Sequential(*layers)
        last = nn.Conv2d(channels, num_classes, 1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), last, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )
        started(self, conv=lambda w: narrow(w) if w is last.weight else nn.init.kaiming_uniform_(w))

    def forward(self, x: Any) -> Any:
        """Pictures to scores (N, num_classes)."""
        return self.classifier(self.features(x)).flatten(1)


@entry(SqueezeNet1_0_Weights)
def squeezenet1_0(**kwargs: Any) -> SqueezeNet:
    """The first version, with 1,248,424 weights."""
    return SqueezeNet("1_0", **kwargs)


@entry(SqueezeNet1_1_Weights)
def squeezenet1_1(**kwargs: Any) -> SqueezeNet:
    """The faster one, with 1,235,496 weights."""
    return SqueezeNet("1_1", **kwargs)
