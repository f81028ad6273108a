"""DenseNet (Huang et al., "Densely connected convolutional networks", 2017)."""

from __future__ import annotations

import re
from typing import Any

from .... import nn
from ....nn import functional as F
from ....ops.join import cat
from ....utils.checkpoint import checkpoint
from ._api import entry, published, started

__all__ = [
    "DenseNet", "DenseNet121_Weights", "DenseNet161_Weights", "DenseNet169_Weights", "DenseNet201_Weights",
    "densenet121", "densenet161", "densenet169", "densenet201",
]  # fmt: skip

DenseNet121_Weights = published("DenseNet121_Weights", "densenet121-a639ec97.pth")
DenseNet161_Weights = published("DenseNet161_Weights", "densenet161-8d451a50.pth")
DenseNet169_Weights = published("DenseNet169_Weights", "densenet169-b2777c0a.pth")
DenseNet201_Weights = published("DenseNet201_Weights", "densenet201-c1103571.pth")


class _DenseLayer(nn.Module):
    """New maps from all before them; of those what lies between may be computed again in the backward."""

    def __init__(
        self,
        num_input_features: int,
        growth_rate: int,
        bn_size: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(num_input_features)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(num_input_features, bn_size * growth_rate, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(bn_size * growth_rate)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(bn_size * growth_rate, growth_rate, 3, padding=1, bias=False)
        self.drop_rate, self.memory_efficient = float(drop_rate), memory_efficient

    def _squeezed(self, *maps: Any) -> Any:
        return self.conv1(self.relu1(self.norm1(cat(maps, 1))))

    def forward(self, input: Any) -> Any:
        """Maps, or a list of them, to `growth_rate` new ones."""
        maps = list(input) if isinstance(input, (list, tuple)) else [input]
        again = self.memory_efficient and any(m.requires_grad for m in maps)
        squeezed = checkpoint(self._squeezed, *maps, use_reentrant=False) if again else self._squeezed(*maps)
        new = self.conv2(self.relu2(self.norm2(squeezed)))
        return F.dropout(new, self.drop_rate, self.training) if self.drop_rate > 0 else new


class _DenseBlock(nn.ModuleDict):
    """Layers of which each takes what all before it made."""

    def __init__(
        self,
        num_layers: int,
        num_input_features: int,
        bn_size: int,
        growth_rate: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        for k in range(num_layers):
            wide = num_input_features + k * growth_rate
            self.add_module(f"denselayer{k + 1}", _DenseLayer(wide, growth_rate, bn_size, drop_rate, memory_efficient))

    def forward(self, init_features: Any) -> Any:
        """Maps (N, C, H, W) to (N, C + num_layers growth_rate, H, W)."""
        maps = [init_features]
        for layer in self.values():
            maps.append(layer(maps))
        return cat(maps, 1)


class _Transition(nn.Sequential):
    """Fewer channels, half the size."""

    def __init__(self, num_input_features: int, num_output_features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(num_input_features)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(num_input_features, num_output_features, 1, bias=False)
        self.pool = nn.AvgPool2d(2, 2)


class DenseNet(nn.Module):
    """Four dense blocks. Pictures (N, 3, 224, 224), of at least 29 a side."""

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: tuple[int, ...] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(3, num_init_features, 7, 2, 3, bias=False))
        self.features.add_module("norm0", nn.BatchNorm2d(num_init_features))
        self.features.add_module("relu0", nn.ReLU(inplace=True))
        self.features.add_module("pool0", nn.MaxPool2d(3, 2, 1))
        wide = num_init_features
        for k, count in enumerate(block_config, 1):
            block = _DenseBlock(count, wide, bn_size, growth_rate, drop_rate, memory_efficient)
            self.features.add_module(f"denseblock{k}", block)
            wide += count * growth_rate
            if k < len(block_config):
                self.features.add_module(f"transition{k}", _Transition(wide, wide // 2))
                wide //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(wide))
        self.classifier = nn.Linear(wide, num_classes)
        started(self, conv=nn.init.kaiming_normal_)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Any) -> Any:
        """Pictures to scores (N, num_classes)."""
        return self.classifier(F.adaptive_avg_pool2d(F.relu(self.features(x)), (1, 1)).flatten(1))

    def load_state_dict(self, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        """As a module's; published files name what is in a layer "norm.1" instead of "norm1"."""
        old = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
        return super().load_state_dict({old.sub(r"\1\2", k): v for k, v in state_dict.items()}, *args, **kwargs)


@entry(DenseNet121_Weights)
def densenet121(**kwargs: Any) -> DenseNet:
    """Of 121 layers, with 7,978,856 weights."""
    return DenseNet(32, (6, 12, 24, 16), 64, **kwargs)


@entry(DenseNet161_Weights)
def densenet161(**kwargs: Any) -> DenseNet:
    """Of 161 layers."""
    return DenseNet(48, (6, 12, 36, 24), 96, **kwargs)


@entry(DenseNet169_Weights)
def densenet169(**kwargs: Any) -> DenseNet:
    """Of 169 layers."""
    return DenseNet(32, (6, 12, 32, 32), 64, **kwargs)


@entry(DenseNet201_Weights)
def densenet201(**kwargs: Any) -> DenseNet:
    """Of 201 layers."""
    return DenseNet(32, (6, 12, 48, 32), 64, **kwargs)
