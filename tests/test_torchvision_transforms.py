"""torchvision's transforms: what a seed gives, formulas by hand, and the same pictures for Pillow and for tensors.

What a seed gives was printed by torchvision 0.29 with PyTorch 2.13.
"""

from __future__ import annotations

import numpy as np
import pytest

import minitensor as mt
from minitensor import nn
from minitensor.compat.torchvision import transforms as T
from minitensor.compat.torchvision.transforms import functional as TF
from minitensor.compat.torchvision.transforms import v2

IMAGE = (mt.arange(3 * 12 * 14) * 37 % 101).reshape(3, 12, 14) / 100

# the transform, what prints, the mean, a weighted mean, the next random number
SEEDED = [
    (
        "RandomResizedCrop(8)",
        "RandomResizedCrop(size=(8, 8), scale=(0.08, 1.0), ratio=(0.75, 1.3333), "
        "interpolation=bilinear, antialias=True)",
        0.50268,
        1.48663,
        0.47161,
    ),
    (
        "ColorJitter(0.4, 0.4, 0.4, 0.1)",
        "ColorJitter(brightness=(0.6, 1.4), contrast=(0.6, 1.4), saturation=(0.6, 1.4), hue=(-0.1, 0.1))",
        0.32542,
        0.9741,
        0.7437,
    ),
    (
        "ColorJitter(hue=0.3)",
        "ColorJitter(brightness=None, contrast=None, saturation=None, hue=(-0.3, 0.3))",
        0.53532,
        1.60318,
        0.47161,
    ),
    (
        "RandomRotation(30)",
        "RandomRotation(degrees=[-30.0, 30.0], interpolation=nearest, expand=False, fill=0)",
        0.42111,
        1.26526,
        0.10557,
    ),
    (
        "RandomAffine(15, translate=(0.1, 0.2), scale=(0.8, 1.2), shear=10)",
        "RandomAffine(degrees=[-15.0, 15.0], translate=(0.1, 0.2), scale=(0.8, 1.2), shear=[-10.0, 10.0])",
        0.3245,
        0.87536,
        0.06012,
    ),
    ("RandomPerspective(0.5, 1.0)", "RandomPerspective(p=1.0)", 0.27221, 0.76149, 0.88786),
    (
        "RandomErasing(1.0, value='random')",
        "RandomErasing(p=1.0, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=random, inplace=False)",
        0.48205,
        1.42594,
        0.37955,
    ),
    ("GaussianBlur(3)", "GaussianBlur(kernel_size=(3, 3), sigma=(0.1, 2.0))", 0.49972, 1.49623, 0.10557),
    ("RandomCrop(10, padding=2)", "RandomCrop(size=(10, 10), padding=2)", 0.45493, 1.39007, 0.28584),
    ("RandomAdjustSharpness(2, 1.0)", "RandomAdjustSharpness(sharpness_factor=2,p=1.0)", 0.50007, 1.49609, 0.10557),
    ("RandomAutocontrast(1.0)", "RandomAutocontrast(p=1.0)", 0.49972, 1.49623, 0.10557),
    ("RandomSolarize(0.5, 1.0)", "RandomSolarize(threshold=0.5,p=1.0)", 0.2473, 0.74214, 0.10557),
    ("RandomGrayscale(1.0)", "RandomGrayscale(p=1.0)", 0.50045, 1.49648, 0.10557),
    ("RandomInvert(1.0)", "RandomInvert(p=1.0)", 0.50028, 1.50377, 0.10557),
]


@pytest.mark.parametrize(("text", "shown", "mean", "weighted", "after"), SEEDED)
def test_what_a_seed_gives(text, shown, mean, weighted, after):
    transform = eval(f"T.{text}")
    assert repr(transform) == shown
    mt.manual_seed(3)
    y = np.asarray(transform(IMAGE), np.float64)
    places = np.arange(y.size).reshape(y.shape) % 7
    assert y.mean() == pytest.approx(mean, abs=2e-5)
    assert (y * places).mean() == pytest.approx(weighted, abs=2e-4)
    assert mt.rand(1).item() == pytest.approx(after, abs=6e-6)


def test_colours_by_hand():
    x = mt.tensor([[[0.2, 0.4]], [[0.6, 0.4]], [[0.4, 0.4]]])
    grey = 0.2989 * x[0] + 0.587 * x[1] + 0.114 * x[2]
    np.testing.assert_allclose(TF.rgb_to_grayscale(x)[0], grey, rtol=1e-6)
    np.testing.assert_allclose(TF.adjust_brightness(x, 2.0), np.clip(np.asarray(x) * 2, 0, 1), rtol=1e-6)
    np.testing.assert_allclose(TF.adjust_saturation(x, 0.0), np.broadcast_to(grey[None], (3, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(TF.adjust_contrast(x, 0.0), np.full((3, 1, 2), float(grey.mean())), rtol=1e-6)
    turned = TF.adjust_hue(x, 1 / 3)  # red to green, green to blue, blue to red; a grey stays
    np.testing.assert_allclose(turned[:, 0, 0], [0.4, 0.2, 0.6], rtol=1e-5)
    np.testing.assert_allclose(turned[:, 0, 1], [0.4, 0.4, 0.4], rtol=1e-5)
    np.testing.assert_allclose(TF.invert(x), 1 - np.asarray(x), rtol=1e-6)
    byte = mt.tensor([[[200, 7]]], dtype=mt.uint8)
    assert TF.posterize(byte, 3).tolist() == [[[192, 0]]]
    assert TF.solarize(byte, 128).tolist() == [[[55, 7]]]
    assert TF.adjust_sharpness(mt.full((1, 3, 3), 200, dtype=mt.uint8), 2).tolist() == [[[200] * 3] * 3]


def test_places_by_hand():
    x = mt.arange(9.0).reshape(1, 3, 3)
    assert TF.rotate(x, 90)[0].tolist() == [[2, 5, 8], [1, 4, 7], [0, 3, 6]]
    assert TF.affine(x, 0, [1, 0], 1.0, [0.0])[0].tolist() == [[0, 0, 1], [0, 3, 4], [0, 6, 7]]
    corners = [[0, 0], [2, 0], [2, 2], [0, 2]]
    np.testing.assert_allclose(TF.perspective(x, corners, corners), x, atol=1e-5)
    assert [y[0].tolist() for y in TF.five_crop(x, 1)] == [[[0]], [[2]], [[6]], [[8]], [[4]]]
    assert TF.ten_crop(x, 1)[5].tolist() == [[[2]]]
    assert TF.crop(x, -1, 2, 2, 2)[0].tolist() == [[0, 0], [2, 0]]
    assert TF.pad(x[:, :1], (1, 0), padding_mode="reflect")[0].tolist() == [[1, 0, 1, 2, 1]]
    assert TF.erase(x, 0, 0, 2, 2, 5.0)[0].tolist() == [[5, 5, 2], [5, 5, 5], [6, 7, 8]]
    np.testing.assert_allclose(TF.gaussian_blur(mt.ones(1, 5, 5), 3), np.ones((1, 5, 5)), rtol=1e-6)
    assert TF.resize(mt.ones(1, 4, 8), 2, max_size=3).shape == (1, 1, 3)


def test_pillows_pictures_and_tensors_agree():
    Image = pytest.importorskip("PIL.Image")
    a = (np.arange(20 * 24 * 3).reshape(20, 24, 3) * 37 % 251).astype(np.uint8)
    img, x = Image.fromarray(a), mt.tensor(a.transpose(2, 0, 1))
    for change in (
        TF.hflip,
        TF.vflip,
        TF.invert,
        TF.equalize,
        lambda y: TF.crop(y, 2, 3, 9, 8),
        lambda y: TF.center_crop(y, 9),
        lambda y: TF.posterize(y, 3),
        lambda y: TF.solarize(y, 100),
        lambda y: TF.pad(y, (1, 2), padding_mode="reflect"),
        lambda y: TF.gaussian_blur(y, 3),
    ):
        np.testing.assert_array_equal(np.asarray(change(img)).transpose(2, 0, 1), np.asarray(change(x)))
    for change in (lambda y: TF.adjust_brightness(y, 1.3), lambda y: TF.adjust_saturation(y, 0.5)):
        near = np.abs(np.asarray(change(img)).transpose(2, 0, 1).astype(int) - np.asarray(change(x)).astype(int))
        assert near.max() <= 2
    assert TF.get_image_size(img) == TF.get_image_size(x) == [24, 20]
    assert T.RandomRotation(10)(img).size == (24, 20)
    assert T.RandomAffine(10, shear=5)(img).size == (24, 20)
    assert T.ColorJitter(0.1, 0.1, 0.1, 0.1)(img).mode == "RGB"


def test_transforms_are_modules_and_say_what_is_wrong():
    net = nn.Sequential(T.CenterCrop(4), T.Normalize((0.5,), (0.5,)))
    assert net(IMAGE).shape == (3, 4, 4)
    assert T.RandomCrop.get_params(IMAGE, (12, 14)) == (0, 0, 12, 14)
    for wrong in (
        lambda: T.ColorJitter(hue=0.7),
        lambda: T.ColorJitter(-1),
        lambda: TF.adjust_hue(IMAGE, 0.6),
        lambda: TF.gaussian_blur(IMAGE, 2),
        lambda: T.RandomCrop(20)(IMAGE),
        lambda: TF.normalize(IMAGE, (0.5,), (0.0,)),
    ):
        with pytest.raises(ValueError, match=r"must|larger|negative|holds 0"):
            wrong()


def test_the_second_version():
    image = pytest.importorskip("PIL.Image")
    picture = image.fromarray((255 * IMAGE.numpy().transpose(1, 2, 0)).astype(np.uint8))
    line = v2.Compose([v2.ToImage(), v2.ToDtype(mt.float32, scale=True), v2.Resize(3), v2.Normalize([0.5], [0.5])])
    assert line(picture).shape == (3, 3, 3)
    assert v2.ToImage()(picture).dtype is mt.uint8
    assert v2.ToImage()(IMAGE) is IMAGE
    assert v2.ToDtype(mt.uint8, scale=True)(mt.tensor([0.0, 1.0])).tolist() == [0, 255]
    assert v2.ToDtype(mt.float64)(mt.tensor([7], dtype=mt.uint8)).tolist() == [7.0]
    assert v2.Identity()(IMAGE) is IMAGE
    assert issubclass(v2.RandomCrop, T.RandomCrop)


AUGMENTS = [
    lambda: T.AutoAugment(),
    lambda: T.AutoAugment(T.AutoAugmentPolicy.CIFAR10, fill=3),
    lambda: T.AutoAugment(T.AutoAugmentPolicy.SVHN),
    lambda: T.RandAugment(3, 20),
    lambda: T.TrivialAugmentWide(),
    lambda: T.AugMix(),
    lambda: T.AugMix(severity=10, all_ops=False, chain_depth=2),
]


@pytest.mark.parametrize("make", AUGMENTS)
def test_policies_change_bytes_and_pictures_and_keep_their_sizes(make):
    mt.manual_seed(0)
    x = mt.randint(0, 256, (3, 20, 24), dtype=mt.uint8)
    picture = T.ToPILImage()(x)
    augment, changed = make(), 0
    for _ in range(20):
        y, z = augment(x), augment(picture)
        assert (y.shape, y.dtype, z.size, z.mode) == (x.shape, mt.uint8, (24, 20), "RGB")
        changed += int(not mt.equal(x, y))
    assert changed > 5


def test_the_policies_of_autoaugment_are_pairs_of_known_changes():
    for policy in T.AutoAugmentPolicy:
        pairs = T.AutoAugment(policy).policies
        assert len(pairs) == 25
        assert all(len(pair) == 2 and all(0 <= p <= 1 for _, p, _ in pair) for pair in pairs)
    assert T.AutoAugment().policies[0] == (("Posterize", 0.4, 8), ("Rotate", 0.6, 9))
    with pytest.raises(ValueError, match="AutoAugment"):
        T.AutoAugment("imagenet")


def test_randaugment_draws_a_change_and_a_sign_for_each():
    mt.manual_seed(5)
    x = mt.randint(0, 256, (3, 8, 8), dtype=mt.uint8)
    augment = T.RandAugment(1, 30)
    names = ["Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast",
             "Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize"]  # fmt: skip
    for seed in range(40):
        mt.manual_seed(seed)
        name = names[int(mt.randint(14, (1,)))]
        if name == "Brightness":
            factor = 1 - 0.9 if int(mt.randint(2, (1,))) else 1 + 0.9
            mt.manual_seed(seed)
            assert mt.equal(augment(x), TF.adjust_brightness(x, factor))
            break
    else:
        raise AssertionError("no seed drew a brightness")
