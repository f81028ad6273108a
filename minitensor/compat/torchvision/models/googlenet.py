"""GoogLeNet (Szegedy et al., "Going deeper with convolutions", 2015)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .... import nn
from ....nn import functional as F
from ....ops.join import cat, stack
from ._api import entry, published

__all__ = ["BasicConv2d", "GoogLeNet", "GoogLeNetOutputs", "GoogLeNet_Weights", "Inception", "InceptionAux", "googlenet"]  # fmt: skip # noqa: E501

GoogLeNet_Weights = published("GoogLeNet_Weights", "googlenet-1378be20.pth")


class GoogLeNetOutputs(NamedTuple):
    """The scores in training, and those of the two heads half way."""

    logits: Any
    aux_logits2: Any
    aux_logits1: Any


class BasicConv2d(nn.Module):
    """A convolution, a norm and a ReLU."""

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Any) -> Any:
        """Maps to maps."""
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four ways beside each other: convolutions of 1 x 1, of 3 x 3 twice, and a pool."""

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
        conv_block: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1 = conv(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            conv(in_channels, ch3x3red, kernel_size=1), conv(ch3x3red, ch3x3, kernel_size=3, padding=1)
        )
        self.branch3 = nn.Sequential(
            conv(in_channels, ch5x5red, kernel_size=1), conv(ch5x5red, ch5x5, kernel_size=3, padding=1)
        )
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv(in_channels, pool_proj, kernel_size=1))

    def forward(self, x: Any) -> Any:
        """Maps (N, in_channels, H, W) to (N, ch1x1 + ch3x3 + ch5x5 + pool_proj, H, W)."""
        return cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class InceptionAux(nn.Module):
    """A head half way, for training."""

    def __init__(
        self, in_channels: int, num_classes: int, conv_block: Callable[..., Any] | None = None, dropout: float = 0.7
    ) -> None:
        super().__init__()
        self.conv = (conv_block or BasicConv2d)(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x: Any) -> Any:
        """Maps (N, in_channels, H, W) to scores (N, num_classes)."""
        x = self.conv(F.adaptive_avg_pool2d(x, (4, 4))).flatten(1)
        return self.fc2(self.dropout(F.relu(self.fc1(x))))


_PARTS = {
    "inception3a": (192, 64, 96, 128, 16, 32, 32), "inception3b": (256, 128, 128, 192, 32, 96, 64),
    "maxpool3": 3,
    "inception4a": (480, 192, 96, 208, 16, 48, 64), "inception4b": (512, 160, 112, 224, 24, 64, 64),
    "inception4c": (512, 128, 128, 256, 24, 64, 64), "inception4d": (512, 112, 144, 288, 32, 64, 64),
    "inception4e": (528, 256, 160, 320, 32, 128, 128),
    "maxpool4": 2,
    "inception5a": (832, 256, 160, 320, 32, 128, 128), "inception5b": (832, 384, 192, 384, 48, 128, 128),
}  # fmt: skip


class GoogLeNet(nn.Module):
    """Nine inceptions. Pictures (N, 3, 224, 224), of at least 15 a side.

    In training it returns `GoogLeNetOutputs` if `aux_logits`.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool | None = None,
        blocks: Sequence[Callable[..., Any]] | None = None,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ) -> None:
        super().__init__()
        conv, inception, aux = blocks or (BasicConv2d, Inception, InceptionAux)
        if init_weights is None:
            warnings.warn(
                "GoogLeNet: say init_weights=True or False; without it they start as with True, which may change",
                FutureWarning,
                stacklevel=2,
            )
            init_weights = True
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.conv1 = conv(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = conv(64, 64, kernel_size=1)
        self.conv3 = conv(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        for name, part in _PARTS.items():
            setattr(self, name, inception(*part) if isinstance(part, tuple) else nn.MaxPool2d(part, 2, ceil_mode=True))
        self.aux1 = aux(512, num_classes, dropout=dropout_aux) if aux_logits else None
        self.aux2 = aux(528, num_classes, dropout=dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(1024, num_classes)
        if init_weights:
            for m in self.modules():
                if isinstance(m, (nn.Conv2d, nn.Linear)):
                    nn.init.trunc_normal_(m.weight, 0.0, 0.01, -2, 2)

    def forward(self, x: Any) -> Any:
        """Pictures to scores (N, num_classes), in training with those of the two heads half way."""
        if self.transform_input:  # from the usual means and deviations to those of 0.5
            means, deviations = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
            x = stack([x[:, k] * (deviations[k] / 0.5) + (means[k] - 0.5) / 0.5 for k in range(3)], 1)
        x = self.maxpool2(self.conv3(self.conv2(self.maxpool1(self.conv1(x)))))
        heads = self.training and self.aux_logits
        asides = []
        for name in _PARTS:
            x = getattr(self, name)(x)
            if heads and name in ("inception4a", "inception4d"):
                head: Any = self.aux1 if name == "inception4a" else self.aux2
                asides.append(head(x))
        x = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        return GoogLeNetOutputs(x, asides[1], asides[0]) if heads else x


def _loaded(state: Any, kwargs: dict[str, Any]) -> GoogLeNet:
    keep = kwargs.pop("aux_logits", False)
    model = GoogLeNet(aux_logits=True, init_weights=False, **{"transform_input": True, **kwargs})
    model.load_state_dict(state)
    if not keep:
        model.aux_logits, model.aux1, model.aux2 = False, None, None
    return model


def _googlenet(**kwargs: Any) -> GoogLeNet:
    """GoogLeNet, with 6,624,904 weights without the heads half way."""
    return GoogLeNet(**kwargs)


_googlenet.__name__ = "googlenet"
_googlenet.load = _loaded  # type: ignore[attr-defined]
googlenet = entry(GoogLeNet_Weights)(_googlenet)
