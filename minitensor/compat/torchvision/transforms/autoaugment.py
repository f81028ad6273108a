"""torchvision.transforms.autoaugment: policies of changes, with torchvision's draws.

Sources: E. Cubuk et al., "AutoAugment: learning augmentation policies from data" (2019), whose tables these are;
E. Cubuk et al., "RandAugment" (2020); S. Müller, F. Hutter, "TrivialAugment" (2021);
D. Hendrycks et al., "AugMix" (2020).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import Any

from .... import creation, random
from ....distributions import Dirichlet
from ....errors import ShapeError
from ....nn.module import Module
from ....tensor import Tensor
from . import functional as F
from .functional import InterpolationMode

__all__ = ["AugMix", "AutoAugment", "AutoAugmentPolicy", "RandAugment", "TrivialAugmentWide"]


class AutoAugmentPolicy(enum.Enum):
    """The data that a policy was found on."""

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


# Of each data set 25 pairs of changes: what, with which probability, and how strong from 0 to 9.
_POLICIES = {
    "imagenet": """
        Posterize 0.4 8, Rotate 0.6 9; Solarize 0.6 5, AutoContrast 0.6; Equalize 0.8, Equalize 0.6;
        Posterize 0.6 7, Posterize 0.6 6; Equalize 0.4, Solarize 0.2 4; Equalize 0.4, Rotate 0.8 8;
        Solarize 0.6 3, Equalize 0.6; Posterize 0.8 5, Equalize 1.0; Rotate 0.2 3, Solarize 0.6 8;
        Equalize 0.6, Posterize 0.4 6; Rotate 0.8 8, Color 0.4 0; Rotate 0.4 9, Equalize 0.6;
        Equalize 0.0, Equalize 0.8; Invert 0.6, Equalize 1.0; Color 0.6 4, Contrast 1.0 8;
        Rotate 0.8 8, Color 1.0 2; Color 0.8 8, Solarize 0.8 7; Sharpness 0.4 7, Invert 0.6;
        ShearX 0.6 5, Equalize 1.0; Color 0.4 0, Equalize 0.6; Equalize 0.4, Solarize 0.2 4;
        Solarize 0.6 5, AutoContrast 0.6; Invert 0.6, Equalize 1.0; Color 0.6 4, Contrast 1.0 8;
        Equalize 0.8, Equalize 0.6""",
    "cifar10": """
        Invert 0.1, Contrast 0.2 6; Rotate 0.7 2, TranslateX 0.3 9; Sharpness 0.8 1, Sharpness 0.9 3;
        ShearY 0.5 8, TranslateY 0.7 9; AutoContrast 0.5, Equalize 0.9; ShearY 0.2 7, Posterize 0.3 7;
        Color 0.4 3, Brightness 0.6 7; Sharpness 0.3 9, Brightness 0.7 9; Equalize 0.6, Equalize 0.5;
        Contrast 0.6 7, Sharpness 0.6 5; Color 0.7 7, TranslateX 0.5 8; Equalize 0.3, AutoContrast 0.4;
        TranslateY 0.4 3, Sharpness 0.2 6; Brightness 0.9 6, Color 0.2 8; Solarize 0.5 2, Invert 0.0;
        Equalize 0.2, AutoContrast 0.6; Equalize 0.2, Equalize 0.6; Color 0.9 9, Equalize 0.6;
        AutoContrast 0.8, Solarize 0.2 8; Brightness 0.1 3, Color 0.7 0; Solarize 0.4 5, AutoContrast 0.9;
        TranslateY 0.9 9, TranslateY 0.7 9; AutoContrast 0.9, Solarize 0.8 3; Equalize 0.8, Invert 0.1;
        TranslateY 0.7 9, AutoContrast 0.9""",
    "svhn": """
        ShearX 0.9 4, Invert 0.2; ShearY 0.9 8, Invert 0.7; Equalize 0.6, Solarize 0.6 6;
        Invert 0.9, Equalize 0.6; Equalize 0.6, Rotate 0.9 3; ShearX 0.9 4, AutoContrast 0.8;
        ShearY 0.9 8, Invert 0.4; ShearY 0.9 5, Solarize 0.2 6; Invert 0.9, AutoContrast 0.8;
        Equalize 0.6, Rotate 0.9 3; ShearX 0.9 4, Solarize 0.3 3; ShearY 0.8 8, Invert 0.7;
        Equalize 0.9, TranslateY 0.6 6; Invert 0.9, Equalize 0.6; Contrast 0.3 3, Rotate 0.8 4;
        Invert 0.8, TranslateY 0.0 2; ShearY 0.7 6, Solarize 0.4 8; Invert 0.6, Rotate 0.8 4;
        ShearY 0.3 7, TranslateX 0.9 3; ShearX 0.1 6, Invert 0.6; Solarize 0.7 2, TranslateY 0.6 7;
        ShearY 0.8 4, Invert 0.8; ShearX 0.7 9, TranslateY 0.8 3; ShearY 0.8 5, AutoContrast 0.7;
        ShearX 0.7 2, Invert 0.1""",
}


def _change(text: str) -> tuple[str, float, int | None]:
    name, chance, *strength = text.split()
    return name, float(chance), int(strength[0]) if strength else None


def _changed(img: Any, name: str, magnitude: float, interpolation: Any, fill: Any) -> Any:
    """The picture after one change of that strength."""
    kept: dict[str, Any] = {"angle": 0.0, "scale": 1.0, "interpolation": interpolation, "fill": fill}
    if name in ("ShearX", "ShearY"):
        degrees = math.degrees(math.atan(magnitude))
        slant = [degrees, 0.0] if name == "ShearX" else [0.0, degrees]
        return F.affine(img, translate=[0, 0], shear=slant, center=[0, 0], **kept)
    if name in ("TranslateX", "TranslateY"):
        moved = [int(magnitude), 0] if name == "TranslateX" else [0, int(magnitude)]
        return F.affine(img, translate=moved, shear=[0.0, 0.0], **kept)
    if name == "Rotate":
        return F.rotate(img, magnitude, interpolation=interpolation, fill=fill)
    mixed = {"Brightness": "brightness", "Color": "saturation", "Contrast": "contrast", "Sharpness": "sharpness"}
    if name in mixed:
        return getattr(F, f"adjust_{mixed[name]}")(img, 1.0 + magnitude)
    if name == "Posterize":
        return F.posterize(img, int(magnitude))
    if name == "Solarize":
        return F.solarize(img, magnitude)
    return img if name == "Identity" else getattr(F, name.lower())(img)  # AutoContrast, Equalize, Invert


# what a change's strengths are, lowest to highest, and whether its sign is drawn
Space = dict[str, tuple[Any, bool]]


def _space(bins: int, slant: float, moved: tuple[float, float], angle: float, mix: float, bits: float) -> Space:
    """The strengths of all changes but Identity and Invert, in torchvision's order."""
    even = {
        "ShearX": slant, "ShearY": slant, "TranslateX": moved[0], "TranslateY": moved[1], "Rotate": angle,
        "Brightness": mix, "Color": mix, "Contrast": mix, "Sharpness": mix,
    }  # fmt: skip
    space: Space = {name: (creation.linspace(0.0, most, bins), True) for name, most in even.items()}
    space["Posterize"] = 8 - (creation.arange(bins) / ((bins - 1) / bits)).round().int(), False
    space["Solarize"] = creation.linspace(255.0, 0.0, bins), False
    return {**space, "AutoContrast": (None, False), "Equalize": (None, False)}


def _below(n: int, low: int = 0) -> int:
    return int(random.randint(low, n, (1,)))


class _Augment(Module):
    """Draws changes, and has `fill` as the functions take it."""

    interpolation: Any
    fill: Any

    def _fill(self, img: Any) -> Any:
        if not isinstance(img, Tensor) or self.fill is None:
            return self.fill
        if isinstance(self.fill, (int, float)):
            return [float(self.fill)] * F.get_image_num_channels(img)
        return [float(f) for f in self.fill]

    def _drawn(self, img: Any, space: Space, strength: Any, fill: Any) -> Any:
        """The picture after one change by chance; `strength(magnitudes)` says which of its strengths."""
        name = list(space)[_below(len(space))]
        magnitudes, signed = space[name]
        magnitude = 0.0 if magnitudes is None else float(magnitudes[strength(magnitudes)])
        if signed and _below(2):
            magnitude = -magnitude
        return _changed(img, name, magnitude, self.interpolation, fill)

    _shown: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in self._shown)})"


class AutoAugment(_Augment):
    """One of the 25 pairs of changes that were found best for a data set, by chance. Of bytes or Pillow's pictures."""

    _shown = ("policy", "fill")

    def __init__(
        self,
        policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__()
        self.policy, self.interpolation, self.fill = policy, interpolation, fill
        if not isinstance(policy, AutoAugmentPolicy):
            raise ShapeError(f"AutoAugment: {policy!r} is not one of {[str(p) for p in AutoAugmentPolicy]}")
        pairs = _POLICIES[policy.value].split(";")
        self.policies = [tuple(map(_change, pair.split(","))) for pair in pairs]

    @staticmethod
    def get_params(transform_num: int) -> tuple[int, Any, Any]:
        """(the pair, two probabilities, two signs)."""
        return _below(transform_num), random.rand((2,)), random.randint(2, (2,))

    def forward(self, img: Any) -> Any:
        """The changed picture."""
        fill = self._fill(img)
        which, chances, signs = self.get_params(len(self.policies))
        for i, (name, p, strength) in enumerate(self.policies[which]):
            if float(chances[i]) <= p:
                _, h, w = F.get_dimensions(img)
                space = _space(10, 0.3, (150.0 / 331.0 * w, 150.0 / 331.0 * h), 30.0, 0.9, 4)
                magnitudes, signed = space.get(name, (None, False))
                magnitude = 0.0 if strength is None else float(magnitudes[strength])
                if signed and int(signs[i]) == 0:
                    magnitude = -magnitude
                img = _changed(img, name, magnitude, self.interpolation, fill)
        return img


class RandAugment(_Augment):
    """`num_ops` changes by chance, all of one strength. Of bytes or Pillow's pictures."""

    _shown = ("num_ops", "magnitude", "num_magnitude_bins", "interpolation", "fill")

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__()
        self.num_ops, self.magnitude, self.num_magnitude_bins = num_ops, magnitude, num_magnitude_bins
        self.interpolation, self.fill = interpolation, fill

    def forward(self, img: Any) -> Any:
        """The changed picture."""
        fill = self._fill(img)
        for _ in range(self.num_ops):
            _, h, w = F.get_dimensions(img)
            moved = 150.0 / 331.0 * w, 150.0 / 331.0 * h
            space = {"Identity": (None, False), **_space(self.num_magnitude_bins, 0.3, moved, 30.0, 0.9, 4)}
            img = self._drawn(img, space, lambda magnitudes: self.magnitude, fill)
        return img


class TrivialAugmentWide(_Augment):
    """One change by chance, of a strength by chance. Of bytes or Pillow's pictures."""

    _shown = ("num_magnitude_bins", "interpolation", "fill")

    def __init__(
        self, num_magnitude_bins: int = 31, interpolation: Any = InterpolationMode.NEAREST, fill: Any = None
    ) -> None:
        super().__init__()
        self.num_magnitude_bins, self.interpolation, self.fill = num_magnitude_bins, interpolation, fill

    def forward(self, img: Any) -> Any:
        """The changed picture."""
        space = {"Identity": (None, False), **_space(self.num_magnitude_bins, 0.99, (32.0, 32.0), 135.0, 0.99, 6)}
        return self._drawn(img, space, lambda magnitudes: _below(len(magnitudes)), self._fill(img))


class AugMix(_Augment):
    """The picture mixed with some that went through chains of changes. Of bytes or Pillow's pictures."""

    _shown = (
        "severity", "mixture_width", "chain_depth", "alpha", "all_ops", "interpolation", "fill",
    )  # fmt: skip

    def __init__(
        self,
        severity: int = 3,
        mixture_width: int = 3,
        chain_depth: int = -1,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: Any = InterpolationMode.BILINEAR,
        fill: Any = None,
    ) -> None:
        super().__init__()
        if not 1 <= severity <= 10:
            raise ShapeError(f"AugMix: severity must lie in [1, 10], but is {severity}")
        self.severity, self.mixture_width, self.chain_depth, self.alpha = severity, mixture_width, chain_depth, alpha
        self.all_ops, self.interpolation, self.fill = all_ops, interpolation, fill

    def _augmentation_space(self, size: Sequence[int]) -> Space:
        space = _space(10, 0.3, (size[1] / 3.0, size[0] / 3.0), 30.0, 0.9, 4)
        space["Posterize"] = space["Posterize"][0] - 4, False
        mixes = ("Brightness", "Color", "Contrast", "Sharpness")
        last = {name: space.pop(name) for name in mixes}
        return {**space, **last} if self.all_ops else space

    def forward(self, img: Any) -> Any:
        """The mixture."""
        _, h, w = F.get_dimensions(img)
        given = img if isinstance(img, Tensor) else F.pil_to_tensor(img)
        fill = self._fill(given)
        space = self._augmentation_space((h, w))
        batch = given.reshape((1,) * (4 - given.ndim) + tuple(given.shape))
        count, ones = batch.shape[0], (batch.shape[0], *[1] * (batch.ndim - 1))
        share = Dirichlet(creation.full((count, 2), float(self.alpha))).sample()
        weights = Dirichlet(creation.full((count, self.mixture_width), float(self.alpha))).sample() * share[:, 1:]
        mix = share[:, 0].reshape(ones) * batch
        for i in range(self.mixture_width):
            made = batch
            for _ in range(self.chain_depth if self.chain_depth > 0 else _below(4, 1)):
                made = self._drawn(made, space, lambda magnitudes: _below(self.severity), fill)
            mix = mix + weights[:, i].reshape(ones) * made
        mix = mix.reshape(given.shape).to(given.dtype)
        return mix if isinstance(img, Tensor) else F.to_pil_image(mix)
