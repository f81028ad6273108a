"""VGG (Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition", 2015)."""

from __future__ import annotations

from typing import Any

from .... import nn
from ._api import entry, fan_out, narrow, published, started

__all__ = [
    "VGG", "VGG11_BN_Weights", "VGG11_Weights", "VGG13_BN_Weights", "VGG13_Weights", "VGG16_BN_Weights",
    "VGG16_Weights", "VGG19_BN_Weights", "VGG19_Weights", "make_layers", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn",
    "vgg16", "vgg16_bn", "vgg19", "vgg19_bn",
]  # fmt: skip


class VGG(nn.Module):
    """Convolutions of 3 x 3 and three linear layers. Pictures (N, 3, 224, 224), of at least 32 a side."""

    def __init__(self, features: Any, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            started(self, conv=fan_out, linear=narrow)

    def forward(self, x: Any) -> Any:
        """Pictures to scores (N, num_classes)."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def make_layers(cfg: Any, batch_norm: bool = False) -> Any:
    """Convolutions of these widths with ReLUs between them; "M" is a pool."""
    layers: list[Any] = []
    channels = 3
    for width in cfg:
        if width == "M":
            layers.append(nn.MaxPool2d(2, 2))
            continue
        layers.append(nn.Conv2d(channels, width, 3, padding=1))
        layers += [nn.BatchNorm2d(width)] if batch_norm else []
        layers.append(nn.ReLU(inplace=True))
        channels = width
    return nn.Sequential(*layers)


# how many convolutions of 64, 128, 256, 512 and 512 channels stand before each pool
_STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def _vgg(depth: int, batch_norm: bool, kwargs: dict[str, Any]) -> VGG:
    cfg: list[Any] = []
    for width, count in zip((64, 128, 256, 512, 512), _STAGES[depth], strict=True):
        cfg += [width] * count + ["M"]
    return VGG(make_layers(cfg, batch_norm), **kwargs)


VGG11_Weights = published("VGG11_Weights", "vgg11-8a719046.pth")
VGG11_BN_Weights = published("VGG11_BN_Weights", "vgg11_bn-6002323d.pth")
VGG13_Weights = published("VGG13_Weights", "vgg13-19584684.pth")
VGG13_BN_Weights = published("VGG13_BN_Weights", "vgg13_bn-abd245e5.pth")
VGG16_Weights = published("VGG16_Weights", "vgg16-397923af.pth")
VGG16_BN_Weights = published("VGG16_BN_Weights", "vgg16_bn-6c64b313.pth")
VGG19_Weights = published("VGG19_Weights", "vgg19-dcbb9e9d.pth")
VGG19_BN_Weights = published("VGG19_BN_Weights", "vgg19_bn-c79401a0.pth")


@entry(VGG11_Weights)
def vgg11(**kwargs: Any) -> VGG:
    """Of 11 layers."""
    return _vgg(11, False, kwargs)


@entry(VGG11_BN_Weights)
def vgg11_bn(**kwargs: Any) -> VGG:
    """Of 11 layers, with batch norms."""
    return _vgg(11, True, kwargs)


@entry(VGG13_Weights)
def vgg13(**kwargs: Any) -> VGG:
    """Of 13 layers."""
    return _vgg(13, False, kwargs)


@entry(VGG13_BN_Weights)
def vgg13_bn(**kwargs: Any) -> VGG:
    """Of 13 layers, with batch norms."""
    return _vgg(13, True, kwargs)


@entry(VGG16_Weights)
def vgg16(**kwargs: Any) -> VGG:
    """Of 16 layers."""
    return _vgg(16, False, kwargs)


@entry(VGG16_BN_Weights)
def vgg16_bn(**kwargs: Any) -> VGG:
    """Of 16 layers, with batch norms."""
    return _vgg(16, True, kwargs)


@entry(VGG19_Weights)
def vgg19(**kwargs: Any) -> VGG:
    """Of 19 layers."""
    return _vgg(19, False, kwargs)


@entry(VGG19_BN_Weights)
def vgg19_bn(**kwargs: Any) -> VGG:
    """Of 19 layers, with batch norms."""
    return _vgg(19, True, kwargs)
