"""What all networks share: how they are called, by which names they are found, and their published weights."""

from __future__ import annotations

import enum
import fnmatch
import functools
import os
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from .... import nn, serialization
from ...torch import hub
from .. import transforms as T

__all__ = ["Weights", "WeightsEnum", "adjust_channels", "divisible", "entry", "get_model", "get_model_builder", "get_model_weights", "get_weight", "list_models", "published", "started"]  # fmt: skip # noqa: E501

F = TypeVar("F", bound=Callable[..., Any])
MODELS: dict[str, Callable[..., Any]] = {}
_WEIGHTS: dict[str, Any] = {}


class Weights(NamedTuple):
    """A file of published weights, and the sizes of the pictures that they were trained on."""

    file: str
    crop_size: int = 224
    resize_size: int = 256
    interpolation: Any = T.InterpolationMode.BILINEAR

    def transforms(self) -> Any:
        """What a picture has to go through: resized, cut, from 0 to 1, normalised."""
        return T.Compose([
            T.Resize(self.resize_size, self.interpolation),
            T.CenterCrop(self.crop_size),
            _to_tensor,
            T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ])  # fmt: skip


def _to_tensor(picture: Any) -> Any:
    return picture if hasattr(picture, "requires_grad") else T.ToTensor()(picture)


class WeightsEnum(enum.Enum):
    """The published weights of one network; `DEFAULT` is the best of them."""

    def transforms(self) -> Any:
        """As `Weights.transforms`."""
        return self.value.transforms()

    @property
    def url(self) -> str:
        """The name of the file."""
        return str(self.value.file)

    def get_state_dict(self, *_: Any, **__: Any) -> Any:
        """What the file holds, if it lies in torch.hub's folder; else raises FileNotFoundError: none is fetched."""
        path = os.path.join(hub.get_dir(), "checkpoints", self.value.file)
        if not os.path.isfile(path):
            raise FileNotFoundError(
                f"torchvision.models: {self} cannot be fetched; put {self.value.file} into {os.path.dirname(path)}, "
                f"or make the network with weights=None and load_state_dict(torch.load(path))"
            )
        return serialization.load(path)


def published(name: str, *versions: str | Weights) -> Any:
    """The enumeration of a network's weights, oldest first; a file's name alone is one of pictures of 224 from 256."""
    rows = [v if isinstance(v, Weights) else Weights(v) for v in versions]
    members = [*zip(("IMAGENET1K_V1", "IMAGENET1K_V2"), rows, strict=False), ("DEFAULT", rows[-1])]
    made: Any = WeightsEnum(name, members)  # type: ignore[call-arg]
    _WEIGHTS[name] = made
    return made


def entry(weights: Any = None) -> Callable[[F], F]:
    """Of a function that makes a network: enters it under its name, and gives it the arguments that all have.

    weights: None, one of the enumeration, or its name. `pretrained=True` asks for the best.
    """

    def decorate(build: F) -> F:
        @functools.wraps(build)
        def make(*given: Any, progress: bool = True, **kwargs: Any) -> Any:
            asked = kwargs.pop("weights", kwargs.pop("pretrained", given[0] if given else None))
            kwargs.pop("weights_backbone", None)
            found = _asked(build.__name__, asked, weights)
            if found is None:
                return build(**kwargs)
            state = found.get_state_dict()
            load = getattr(build, "load", None)
            if load is not None:
                return load(state, kwargs)
            model = build(**kwargs)
            model.load_state_dict(state)
            return model

        MODELS[build.__name__] = make
        return make  # type: ignore[return-value]

    return decorate


def _asked(name: str, asked: Any, weights: Any) -> Any:
    if asked is None or asked is False:
        return None
    if asked is True or (isinstance(asked, str) and asked == "DEFAULT"):
        asked = None if weights is None else weights.DEFAULT
    if isinstance(asked, str) and weights is not None:
        asked = weights.__members__.get(asked.rpartition(".")[2])
    if weights is None or not isinstance(asked, weights):
        known = "none" if weights is None else ", ".join(weights.__members__)
        raise ValueError(f"torchvision.models.{name}: the weights are not among those that it has ({known})")
    return asked


def list_models(module: Any = None, include: Any = None, exclude: Any = None) -> list[str]:
    """The names of the networks, of one module or of all, that fit the patterns."""
    names = {n for n, f in MODELS.items() if module is None or f.__module__.startswith(module.__name__)}
    for patterns, keep in ((include, True), (exclude, False)):
        if patterns:
            each = [patterns] if isinstance(patterns, str) else list(patterns)
            names = {n for n in names if any(fnmatch.fnmatch(n, p) for p in each) is keep}
    return sorted(names)


def get_model_builder(name: str) -> Callable[..., Any]:
    """The function of this name that makes a network. Raises ValueError for another name."""
    if name.lower() not in MODELS:
        raise ValueError(f"Unknown model {name}")
    return MODELS[name.lower()]


def get_model(name: str, **config: Any) -> Any:
    """The network of this name.

    >>> get_model("squeezenet1_1", num_classes=3).num_classes
    3
    """
    return get_model_builder(name)(**config)


def get_model_weights(name: Any) -> Any:
    """The enumeration of a network's weights."""
    build = MODELS[name.lower()] if isinstance(name, str) else name
    wanted = build.__name__.replace("_", "").lower()
    found = {key.removesuffix("_Weights").replace("_", "").lower(): value for key, value in _WEIGHTS.items()}
    return found[wanted]


def get_weight(name: str) -> Any:
    """The weights of a name such as "ResNet18_Weights.DEFAULT"."""
    enumeration, _, member = name.partition(".")
    if enumeration not in _WEIGHTS or member not in _WEIGHTS[enumeration].__members__:
        raise ValueError(f"get_weight: there are no weights {name!r}")
    return _WEIGHTS[enumeration][member]


def divisible(v: float, divisor: int = 8) -> int:
    """The multiple of the divisor nearest to v, but not less than nine tenths of it."""
    near = max(divisor, int(v + divisor / 2) // divisor * divisor)
    return near if near >= 0.9 * v else near + divisor


def adjust_channels(channels: int, width_mult: float) -> int:
    """So many times as many channels, a multiple of 8."""
    return divisible(channels * width_mult)


def started(model: Any, *, conv: Callable[..., Any] | None = None, linear: Callable[..., Any] | None = None) -> None:
    """First weights: convolutions by `conv`, linear layers by `linear`, both with biases of 0; norms 1 and 0.

    None leaves a layer as it is.
    """
    for m in model.modules():
        start = conv if isinstance(m, nn.Conv2d) else linear if isinstance(m, nn.Linear) else None
        if start is not None:
            start(m.weight)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)) and m.weight is not None:
            nn.init.ones_(m.weight)
            nn.init.zeros_(m.bias)


def fan_out(w: Any) -> None:
    """He et al.'s start, for the variance of the gradients."""
    nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu")


def narrow(w: Any) -> None:
    """Normal of deviation 0.01."""
    nn.init.normal_(w, 0, 0.01)
