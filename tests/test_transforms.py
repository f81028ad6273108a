"""Pictures changed on their way, and read from folders: every change by hand, in batches, from a given generator."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minitensor as mt
from minitensor.datasets import FormatError, ImageFolder
from minitensor.datasets.folder import load_image
from minitensor.datasets.transforms import (
    CenterCrop,
    Compose,
    Normalize,
    RandomCrop,
    RandomDeformation,
    RandomErasing,
    RandomHorizontalFlip,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
    Transformed,
)
from minitensor.utils.data import DataLoader, TensorDataset


class Drawn:
    """A generator whose numbers are given."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values, np.float32)

    def uniform(self, shape: Any, dtype: Any = np.float32, low: float = 0.0, high: float = 1.0) -> Any:
        assert self.values.shape == (shape if isinstance(shape, tuple) else (shape,))
        return (low + (high - low) * self.values).astype(dtype)


def pictures(*shape: int, dtype: Any = np.float32) -> Any:
    x = np.random.default_rng(0).random(shape)
    return (255 * x).astype(np.uint8) if dtype == np.uint8 else x.astype(dtype)


RANDOM = [
    RandomHorizontalFlip, RandomVerticalFlip, lambda generator=None: RandomCrop(5, 2, generator=generator),
    lambda generator=None: RandomRotation(30, generator), RandomErasing,
    lambda generator=None: RandomDeformation(generator=generator),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("make", [*RANDOM, lambda **_: CenterCrop(5), lambda **_: Resize((5, 5))])
def test_one_or_many_of_any_dtype_and_what_was_given_stays(make: Any, dtype: Any) -> None:
    x = pictures(4, 3, 6, 7, dtype=dtype)
    kept = x.copy()
    transform = make()
    for given, lead in ((x, (4, 3)), (x[0], (3,)), (x[:0], (0, 3)), (mt.from_numpy(x), (4, 3)), (x[..., ::-1], (4, 3))):
        y = transform(given)
        assert isinstance(y, mt.Tensor)
        assert y.shape[: len(lead)] == lead
        assert y.numpy().dtype == dtype
    assert (x == kept).all()
    with pytest.raises(mt.errors.ShapeError, match="a picture is"):
        transform(x[0, 0])


@pytest.mark.parametrize("make", RANDOM)
def test_the_given_generator_decides_and_no_other_is_asked(make: Any) -> None:
    x = pictures(40, 3, 6, 6)
    mt.manual_seed(5)
    before = mt.get_rng_state()
    first = make(generator=mt.Generator().manual_seed(1))(x).numpy()
    again = make(generator=mt.Generator().manual_seed(1))(x).numpy()
    other = make(generator=mt.Generator().manual_seed(2))(x).numpy()
    assert (first == again).all()
    assert (first != other).any()
    assert mt.equal(mt.get_rng_state(), before)
    default = make()(x).numpy()
    assert not mt.equal(mt.get_rng_state(), before)
    mt.manual_seed(5)
    assert (make()(x).numpy() == default).all()


def test_flips() -> None:
    x = pictures(2, 3, 5, 6)
    y = RandomHorizontalFlip(generator=Drawn([0.7, 0.2]))(x).numpy()  # mirrored if below a half
    assert (y[0] == x[0]).all()
    assert (y[1] == x[1, :, :, ::-1]).all()
    y = RandomVerticalFlip(p=0.8, generator=Drawn([0.7, 0.9]))(x).numpy()
    assert (y[0] == x[0, :, ::-1]).all()
    assert (y[1] == x[1]).all()
    assert (RandomHorizontalFlip(p=0)(x).numpy() == x).all()
    with pytest.raises(ValueError, match="RandomHorizontalFlip: p is a probability"):
        RandomHorizontalFlip(1.5)


def test_crops_come_from_every_place() -> None:
    x = pictures(2, 3, 5, 6)
    y = RandomCrop((5, 6), padding=2, generator=Drawn([[0.0, 0.999], [0.0, 0.999]]))(x).numpy()
    assert (y[0, :, 2:, 2:] == x[0, :, :3, :4]).all()  # the upper left corner of the padded picture
    assert (y[0, :, :2] == 0).all()
    assert (y[1, :, :3, :4] == x[1, :, 2:, 2:]).all()  # the lower right one
    assert (y[1, :, 3:] == 0).all()
    whole = np.arange(9.0).reshape(1, 1, 3, 3)
    seen = {tuple(RandomCrop(2)(whole).numpy().ravel()) for _ in range(200)}
    assert seen == {(k, k + 1, k + 3, k + 4) for k in (0, 1, 3, 4)}
    mirrored = RandomCrop(5, 1, padding_mode="reflect", generator=Drawn([[0.0], [0.0]]))(whole).numpy()
    assert mirrored[0, 0].tolist() == [
        [4, 3, 4, 5, 4],
        [1, 0, 1, 2, 1],
        [4, 3, 4, 5, 4],
        [7, 6, 7, 8, 7],
        [4, 3, 4, 5, 4],
    ]
    assert (
        RandomCrop(4, (0, 1), fill=9, generator=Drawn([[0.0], [0.0]]))(np.ones((1, 1, 3, 4)))[0, 0, 0].tolist()
        == [9] * 4
    )
    with pytest.raises(ValueError, match="does not fit"):
        RandomCrop(6)(whole)
    for wrong in ({"size": 0}, {"size": (1, 2, 3)}, {"size": 2, "padding": (1, 2, 3)}, {"size": 2, "padding": -1}):
        with pytest.raises(ValueError, match="RandomCrop"):
            RandomCrop(**wrong)
    with pytest.raises(ValueError, match="padding_mode"):
        RandomCrop(2, padding_mode="wrap")


def test_centre_and_size() -> None:
    x = np.arange(30.0).reshape(1, 5, 6)
    assert CenterCrop((3, 2))(x)[0].tolist() == [[8, 9], [14, 15], [20, 21]]
    with pytest.raises(ValueError, match="CenterCrop"):
        CenterCrop(6)(x)
    assert Resize(10)(x).shape == (1, 10, 12)
    assert Resize((1, 1))(np.full((2, 3, 4, 4), 7, np.uint8)).numpy().tolist() == [[[[7]]] * 3] * 2
    assert Resize((5, 6))(x).tolist() == x.tolist()


def test_normalizing() -> None:
    x = pictures(4, 3, 5, 5)
    y = Normalize(x.mean((0, 2, 3)), x.std((0, 2, 3)))(x).numpy()
    assert np.allclose(y.mean((0, 2, 3)), 0, atol=1e-5)
    assert np.allclose(y.std((0, 2, 3)), 1, atol=1e-5)
    with pytest.raises(TypeError, match="Normalize"):
        Normalize([0], [1])(np.zeros((1, 2, 2), np.uint8))
    with pytest.raises(ValueError, match="2 numbers for 3 channels"):
        Normalize([0, 0], [1, 1])(x)
    with pytest.raises(ValueError, match="deviation of 0"):
        Normalize([0], [0])


def test_rotations_by_quarters_are_exact() -> None:
    x = pictures(1, 2, 5, 5)
    for turns, degrees in ((0, 0), (1, 90), (2, 180), (-1, -90)):
        y = RandomRotation((degrees, degrees))(x).numpy()
        assert np.allclose(y, np.rot90(x, turns, (2, 3)), atol=1e-5)
    angles = RandomRotation(45, Drawn(np.reshape([0.0, 0.5, 1.0], (3, 1, 1))))(np.repeat(x, 3, 0)).numpy()
    assert np.allclose(angles[1], x[0], atol=1e-6)
    assert np.allclose(angles[0], np.rot90(RandomRotation((45, 45))(x).numpy()[0], -1, (1, 2)), atol=1e-5)
    with pytest.raises(ValueError, match="RandomRotation"):
        RandomRotation((5, 1))


def test_deforming() -> None:
    x = pictures(3, 2, 5, 7)
    assert np.allclose(RandomDeformation(0, 0, 0)(x).numpy(), x)
    ones = Drawn(np.ones((5, 1, 1, 1)) * 1.0)
    moved = RandomDeformation(0, 0, 1, generator=type("G", (), {"uniform": lambda *_, **__: ones.values})())(
        x[:1]
    ).numpy()
    assert np.allclose(moved[..., :-1, :-1], x[:1, :, 1:, 1:])  # one pixel down and right is where it is taken from
    assert (moved[..., -1, :] == 0).all()
    point = np.zeros((1, 1, 5, 5), np.float32)
    point[..., 2, 4] = 1
    wide = RandomDeformation(0, 1, 0, generator=type("G", (), {"uniform": lambda *_, **__: ones.values})())(point)
    assert wide[0, 0, 2, 3] == 1


def test_erasing() -> None:
    x = np.ones((2, 1, 10, 10), np.float32)
    draws = Drawn([[0.4, 0.6], [0, 0], [0.5, 0.5], [0.999, 0], [0.0, 0]])
    y = RandomErasing(scale=(0.16, 0.5), ratio=(0.5, 2), value=3, generator=draws)(x).numpy()
    expected = x.copy()
    expected[0, :, 6:, :4] = 3  # 16 pixels of 100, as high as wide, from the lowest left place
    assert (y == expected).all()
    with pytest.raises(ValueError, match="RandomErasing"):
        RandomErasing(scale=(0.5, 0.1))


def test_a_transformed_set_in_batches_and_one_by_one() -> None:
    x, y = mt.arange(24.0).reshape(4, 1, 2, 3), mt.arange(4)
    data = Transformed(TensorDataset(x, y), Compose([RandomHorizontalFlip(p=1), lambda x: 2 * x]))
    assert len(data) == 4
    assert mt.equal(data[1][0], 2 * x[1].flip(-1))
    ((a, b),) = list(DataLoader(data, batch_size=4))
    assert mt.equal(a, 2 * x.flip(-1))
    assert mt.equal(b, y)
    plain = Transformed([(x[i], i) for i in range(4)], RandomHorizontalFlip(p=1))  # what has no batches of its own
    ((a, b),) = list(DataLoader(plain, batch_size=4))
    assert mt.equal(a, x.flip(-1))
    assert b.tolist() == [0, 1, 2, 3]


# --- folders --------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three cats, two dogs, of different sizes and kinds; something else between them."""
    image = pytest.importorskip("PIL.Image")
    cats = {"cats/1.png": "red", "cats/deep/2.bmp": "lime", "cats/10.JPEG": "black"}
    for name, colour in {"dogs/b.png": "blue", "dogs/a.jpg": "white", **cats}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.new("RGB", (30 + len(name), 20), colour).save(path)
    (tmp_path / "cats/notes.txt").write_text("no picture")
    (tmp_path / "list.csv").write_text("no class")
    return tmp_path


def test_a_folder_for_each_class(photos: Path) -> None:
    data = ImageFolder(photos, size=8)
    assert data.classes == ["cats", "dogs"]
    assert data.class_to_idx == {"cats": 0, "dogs": 1}
    names = [os.path.relpath(path, photos) for path, _ in data.samples]
    assert names == ["cats/1.png", "cats/10.JPEG", "cats/deep/2.bmp", "dogs/a.jpg", "dogs/b.png"]
    assert data.targets == [0, 0, 0, 1, 1]
    assert data.imgs == data.samples
    x, y = data[0]
    assert x.shape == (3, 8, 8)
    assert x.dtype == mt.float32
    assert x[:, 3, 3].tolist() == [1, 0, 0]
    assert y == 0
    ((x, y),) = list(DataLoader(data, batch_size=5))
    assert x.shape == (5, 3, 8, 8)
    assert y.tolist() == data.targets
    turned = ImageFolder(photos, lambda x: x.mean(), lambda y: 1 - y, size=(4, 6))
    assert (turned[3][0].item(), turned[3][1]) == (1, 0)
    assert ImageFolder(photos)[4][0].shape == (3, 20, 40)
    chosen = ImageFolder(photos, loader=len, is_valid_file=lambda path: path.endswith(".txt"), allow_empty=True)
    assert [x > 0 for x, _ in chosen] == [True]


def test_nothing_is_read_before_it_is_asked_for(photos: Path) -> None:
    (photos / "dogs/c.png").write_bytes(b"no picture")
    data = ImageFolder(photos)
    assert len(data) == 6
    with pytest.raises(FormatError, match=r"c\.png: not a sound picture"):
        data[5]
    whole = (photos / "dogs/b.png").read_bytes()
    (photos / "dogs/c.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match=r"c\.png"):
        data[5]
    (photos / "dogs/c.png").unlink()
    with pytest.raises(FileNotFoundError):
        data[5]


def test_a_picture_that_is_to_be_of_another_shape_is_cut_in_the_middle(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    stripes = np.zeros((10, 30, 3), np.uint8)
    stripes[:, 10:20] = 255
    image.fromarray(stripes).save(tmp_path / "a.png")
    assert (load_image(tmp_path / "a.png", (10, 10)) == 1).all()
    assert load_image(tmp_path / "a.png", (20, 20)).shape == (3, 20, 20)
    image.new("L", (3, 2), 51).save(tmp_path / "grey.png")
    assert load_image(tmp_path / "grey.png").numpy() == pytest.approx(0.2)
    image.new("RGBA", (3, 2), (255, 0, 0, 128)).save(tmp_path / "clear.png")
    assert load_image(tmp_path / "clear.png")[:, 0, 0].tolist() == [1, 0, 0]


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        ImageFolder(tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match="one for each class"):
        ImageFolder(tmp_path)
    (tmp_path / "cats").mkdir()
    with pytest.raises(FileNotFoundError, match="no picture in cats"):
        ImageFolder(tmp_path)
    assert len(ImageFolder(tmp_path, allow_empty=True)) == 0
    with pytest.raises(ValueError, match="size is"):
        ImageFolder(tmp_path, size=0)


def test_without_pillow(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ModuleNotFoundError, match=r"minitensor-edu\[examples\]"):
        ImageFolder(photos)[0]
