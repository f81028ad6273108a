"""The store against a server on this machine, the sets, and the real data."""

import gzip
import hashlib
import math
import os
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from data_files import REVIEWS, idx, records, tar

import minitensor as mt
from minitensor import datasets
from minitensor.datasets import DatasetError, store


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache and data folder of this test's own; gives the data folder."""
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setenv("MINITENSOR_DATA", str(data))
    monkeypatch.setattr(store, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(store, "_SYSTEM", tmp_path / "system")
    return data


# --- Store ----------------------------------------------------------------------------------------


class Server(BaseHTTPRequestHandler):
    """Serves `files`; what is in `lengths` claims that length."""

    files: ClassVar[dict[str, bytes]]
    lengths: ClassVar[dict[str, int]]
    asked: ClassVar[list[str]]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        data = self.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(self.lengths.get(self.path, len(data))))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Server]]:
    """A server on this machine, which `publish`es files in place of the real addresses."""
    pytest.importorskip("pooch", reason="downloads need pooch")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Server.files, Server.lengths, Server.asked = {}, {}, []
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()

    def publish(name: str, data: bytes, checksum: str = "") -> None:
        Server.files[f"/{name}"] = data
        published = store.Download(
            f"http://127.0.0.1:{listening.server_port}/{name}",
            checksum or f"md5:{hashlib.md5(data).hexdigest()}",
        )
        monkeypatch.setitem(store.DOWNLOADS, name, published)

    Server.publish = staticmethod(publish)  # type: ignore[attr-defined]
    yield Server
    listening.shutdown()
    listening.server_close()
    thread.join()


def cached(tmp_path: Path) -> list[str]:
    cache = tmp_path / "cache"
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file())


def test_downloads_once_then_uses_the_cache(server: Any, tmp_path: Path) -> None:
    server.publish("text/poem.txt", b"Jabberwocky")
    assert datasets.text("poem") == "Jabberwocky"
    assert cached(tmp_path) == ["text/poem.txt"]
    assert datasets.text("poem") == "Jabberwocky"
    assert server.asked == ["/text/poem.txt"]


def test_a_sha256_of_the_texts_is_checked_too(server: Any) -> None:
    data = b"Jabberwocky"
    server.publish("text/poem.txt", data, f"sha256:{hashlib.sha256(data).hexdigest()}")
    assert datasets.text("poem") == "Jabberwocky"


def test_a_wrong_checksum_leaves_nothing(server: Any, tmp_path: Path) -> None:
    server.publish("text/poem.txt", b"Jabberwocky", f"md5:{'0' * 32}")
    with pytest.raises(DatasetError, match=r"does not match the known hash"):
        datasets.text("poem")
    assert cached(tmp_path) == []
    server.publish("text/poem.txt", b"Jabberwocky")
    assert datasets.text("poem") == "Jabberwocky"


def test_a_transfer_that_breaks_off_leaves_nothing(server: Any, tmp_path: Path) -> None:
    server.publish("text/poem.txt", b"Jabberwocky" * 1000)
    server.lengths["/text/poem.txt"] = 50_000
    with pytest.raises(DatasetError, match=r"cannot be downloaded.*(IncompleteRead|not match)"):
        datasets.text("poem")
    assert cached(tmp_path) == []


def test_an_answer_404_is_an_error(server: Any, tmp_path: Path) -> None:
    server.publish("text/poem.txt", b"Jabberwocky")
    server.files.clear()
    with pytest.raises(DatasetError, match="404"):
        datasets.text("poem")
    assert cached(tmp_path) == []


def test_an_archive_is_downloaded_and_read(server: Any) -> None:
    server.publish("aclImdb_v1.tar.gz", tar(REVIEWS))
    assert datasets.imdb().texts == ["fine", "gâché", "great"]
    assert datasets.imdb(train=False)[0] == ("fine", 1)
    assert server.asked == ["/aclImdb_v1.tar.gz"]


def test_mnist_is_downloaded_file_by_file(server: Any, tmp_path: Path) -> None:
    images = np.arange(48, dtype="u1").reshape(3, 4, 4)
    labels = np.array([7, 0, 9], "u1")
    server.publish("mnist/t10k-images-idx3-ubyte.gz", gzip.compress(idx(images)))
    server.publish("mnist/t10k-labels-idx1-ubyte.gz", gzip.compress(idx(labels)))
    for _ in range(2):
        data = datasets.mnist(train=False)
        np.testing.assert_array_equal(data.images[:, 0], images)
        np.testing.assert_array_equal(data.labels, labels)
    assert cached(tmp_path) == [
        "mnist/t10k-images-idx3-ubyte.gz",
        "mnist/t10k-labels-idx1-ubyte.gz",
    ]
    assert len(server.asked) == 2


def test_offline_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("pooch", reason="downloads need pooch")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    address = "http://127.0.0.1:9/poem"  # the port of the discard service: nobody listens
    monkeypatch.setitem(store.DOWNLOADS, "text/poem.txt", store.Download(address, "md5:0"))
    with pytest.raises(DatasetError) as caught:
        datasets.text("poem")
    message = str(caught.value)
    for part in ("text/poem.txt is not in", str(tmp_path / "data"), str(tmp_path / "cache")):
        assert part in message
    assert f"{address} cannot be downloaded" in message
    assert "set MINITENSOR_DATA to that folder" in message
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value, RuntimeError)
    assert caught.value.__suppress_context__
    monkeypatch.delenv("MINITENSOR_DATA")
    with pytest.raises(DatasetError, match=r"^MINITENSOR_DATA is not set, and text/poem"):
        datasets.text("poem")


def test_a_cache_that_cannot_be_written(server: Any, tmp_path: Path) -> None:
    server.publish("text/poem.txt", b"Jabberwocky")
    (tmp_path / "cache").write_bytes(b"a file where the folder should be")
    with pytest.raises(DatasetError, match=re.escape(str(tmp_path / "cache"))):
        datasets.text("poem")
    assert server.asked == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_may_not_be_written(server: Any, tmp_path: Path) -> None:
    server.publish("text/poem.txt", b"Jabberwocky")
    (tmp_path / "cache" / "text").mkdir(parents=True)
    (tmp_path / "cache" / "text").chmod(0o555)
    with pytest.raises(DatasetError, match="Permission denied"):
        datasets.text("poem")


def test_a_full_disk_leaves_nothing(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    server.publish("text/poem.txt", b"Jabberwocky")
    monkeypatch.setattr("shutil.move", full)
    with pytest.raises(DatasetError, match="No space left on device"):
        datasets.text("poem")
    assert cached(tmp_path) == []


@pytest.mark.parametrize("absent", ["pooch", "platformdirs"])
def test_without_the_extra_the_error_names_it(absent: str, monkeypatch: pytest.MonkeyPatch, folders: Path) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("MINITENSOR_DATA", str(folders))
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(DatasetError, match=r"pip install 'minitensor-edu\[examples\]'"):
        store.locate(("aclImdb_v1.tar.gz",))
    (folders / "text").mkdir()
    (folders / "text" / "poem.txt").write_bytes(b"Jabberwocky")
    assert datasets.text("poem") == "Jabberwocky"


def test_without_scikit_learn_digits_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'minitensor-edu\[examples\]'"):
        datasets.digits()


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    platformdirs = pytest.importorskip("platformdirs")
    monkeypatch.undo()
    assert store.cache() == platformdirs.user_cache_path("minitensor")


def test_folders_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in "system", "cache", "data":
        folder = tmp_path / place / "text"
        folder.mkdir(parents=True)
        (folder / "poem.txt").write_text(place)
        assert datasets.text("poem") == place
    monkeypatch.setenv("MINITENSOR_DATA", "")
    assert datasets.text("poem") == "cache"


def test_a_data_folder_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINITENSOR_DATA", str(tmp_path / "typo"))
    with pytest.raises(DatasetError, match=r"MINITENSOR_DATA is .*typo, which is not a folder"):
        datasets.mnist()


def test_pictures_and_labels_come_from_one_folder(file: Any, tmp_path: Path) -> None:
    def put(place: str, kind: str, values: np.ndarray) -> None:
        axes = values.ndim
        file(idx(values), f"{place}/train-{kind}-idx{axes}-ubyte")

    put("data/mnist", "images", np.full((2, 4, 4), 1, "u1"))  # labels missing
    put("cache/mnist", "images", np.full((2, 4, 4), 2, "u1"))
    put("cache/mnist", "labels", np.array([2, 2], "u1"))
    data = datasets.mnist()
    assert data.images.max() == 2
    np.testing.assert_array_equal(data.labels, [2, 2])
    put("data/mnist", "labels", np.array([1, 1], "u1"))
    np.testing.assert_array_equal(datasets.mnist().labels, [1, 1])


@pytest.mark.parametrize("name", ["", "..", "a/b", "../secret", "a\\b", "a\0b", 3])
def test_text_takes_plain_names_only(name: Any) -> None:
    with pytest.raises(ValueError, match="is not a plain file name"):
        datasets.text(name)


def test_an_unknown_text_is_an_error() -> None:
    with pytest.raises(DatasetError, match=r"text/nobody.txt is not in .*no download of it"):
        datasets.text("nobody")


def test_every_download_is_of_a_known_form() -> None:
    for name, published in store.DOWNLOADS.items():
        assert re.fullmatch(r"[\w./-]+", name)
        assert re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", published.checksum)
        assert re.match(r"https?://[\w.-]+/", published.url)


# --- The sets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("load", "place", "suffix"),
    [
        (datasets.mnist, "mnist", ".gz"),
        (datasets.mnist, "mnist", ""),
        (datasets.mnist, "MNIST/raw", ""),
        (datasets.fashion_mnist, "fashion-mnist", ".gz"),
        (datasets.fashion_mnist, "FashionMNIST/raw", ".gz"),
    ],
)
def test_idx_sets_in_every_layout(file: Any, load: Any, place: str, suffix: str) -> None:
    for part, count in (("train", 3), ("t10k", 2)):
        images = np.arange(count * 20, dtype="u1").reshape(count, 5, 4)
        labels = np.arange(count, dtype="u1")
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            data = gzip.compress(idx(values)) if suffix else idx(values)
            file(data, f"data/{place}/{part}-{kind}-ubyte{suffix}")
        data = load(train=part == "train")
        assert len(data) == count
        assert len(data.classes) == 10
        np.testing.assert_array_equal(data.images[:, 0], images)
        np.testing.assert_array_equal(data.labels, labels)


@pytest.mark.parametrize("batches", [1, 2, 5])
def test_cifar10_folder(file: Any, batches: int) -> None:
    for i in range(1, batches + 1):
        file(gzip.compress(records([i] * i)), f"data/cifar-10-batches-bin/data_batch_{i}.bin.gz")
    file(records([8, 9]), "data/cifar-10-batches-bin/test_batch.bin")
    data = datasets.cifar10()
    np.testing.assert_array_equal(data.labels, np.repeat(range(1, batches + 1), range(1, batches + 1)))
    assert datasets.cifar10(train=False).labels.tolist() == [8, 9]


def test_cifar10_archive(file: Any) -> None:
    order = [1, 3, 4, 5, 2]
    members = {f"cifar-10-batches-bin/data_batch_{i}.bin": records([i]) for i in order}
    members["cifar-10-batches-bin/test_batch.bin"] = records([8])
    file(tar(members), "data/cifar-10-binary.tar.gz")
    assert datasets.cifar10().labels.tolist() == [1, 2, 3, 4, 5]
    assert datasets.cifar10(train=False).labels.tolist() == [8]


def test_reviews_without_halves_refuse_to_give_one(file: Any) -> None:
    file(b'{"text": "good", "label": 1}', "data/imdb/reviews.jsonl")
    assert datasets.imdb()[0] == ("good", 1)
    with pytest.raises(ValueError, match=r"train=True, but the copy .* has no halves"):
        datasets.imdb(train=True)


@pytest.mark.parametrize("load", [datasets.mnist, datasets.fashion_mnist, datasets.cifar10])
@pytest.mark.parametrize("train", ["test", 1, None])
def test_train_is_true_or_false(load: Any, train: Any) -> None:
    with pytest.raises(TypeError, match="train is True or False"):
        load(train)


def test_imdb_train_is_true_or_false() -> None:
    with pytest.raises(TypeError, match="imdb: train is True or False"):
        datasets.imdb("test")  # type: ignore[arg-type]


def check_pictures(data: Any, shape: tuple[int, ...]) -> None:
    """What every set of pictures gives: items, batches, ranges."""
    assert data.images.shape == (len(data), *shape)
    assert data.labels.dtype is mt.int64
    assert len(data.classes) == 10
    assert set(np.unique(data.labels)) == set(range(10))
    image, label = data[3]
    assert image.dtype is mt.float32
    assert image.shape == shape
    assert label == data.labels[3]
    images, labels = data[:100]
    assert images.dtype is mt.float32
    assert images.is_contiguous()
    assert images.min() == 0
    assert images.max() == 1
    np.testing.assert_array_equal(images[3], image)
    some, their = data[np.array([3, 1, 3])]
    np.testing.assert_array_equal(some, images[[3, 1, 3]])
    np.testing.assert_array_equal(their, labels[[3, 1, 3]])
    with pytest.raises(IndexError):
        data[len(data)]


def test_digits() -> None:
    pytest.importorskip("sklearn", reason="digits come with scikit-learn")
    data = datasets.digits()
    check_pictures(data, (1, 8, 8))
    assert len(data) == 1797
    assert repr(data) == "<1797 pictures of (1, 8, 8), 10 classes>"
    np.testing.assert_array_equal(data.images * 16 % 1, 0)


# --- The real data --------------------------------------------------------------------------------

SHARED = Path(__file__).parents[2] / "shared" / "data"
REAL = Path(os.environ.get("MINITENSOR_DATA") or SHARED)


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Points MINITENSOR_DATA at the real data, if `name` is there."""

    def need(name: str) -> Path:
        monkeypatch.setenv("MINITENSOR_DATA", str(REAL))
        if not (REAL / name).exists():
            pytest.skip(f"needs {name} in {REAL}")
        return REAL / name

    return need


@pytest.mark.parametrize(("train", "count"), [(True, 60000), (False, 10000)])
def test_real_mnist(real: Any, train: bool, count: int) -> None:
    real("mnist")
    data = datasets.mnist(train)
    check_pictures(data, (1, 28, 28))
    assert len(data) == count
    assert data.images.nbytes == count * 784
    # what the publishers' files hold, whatever their order: the digit 1 is the most frequent
    assert np.bincount(data.labels).argmax() == 1
    mean = data.images.numpy().mean() / 255
    assert math.isclose(mean, 0.1307 if train else 0.1325, abs_tol=1e-4)


def test_real_cifar10(real: Any) -> None:
    folder = real("cifar-10-batches-bin")
    data = datasets.cifar10()
    check_pictures(data, (3, 32, 32))
    assert len(data) == 10000 * len(list(folder.glob("data_batch_*")))
    # the published mean of each colour
    mean = data.images.numpy().mean((0, 2, 3)) / 255
    np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=0.005)
    names = (folder / "batches.meta.txt").read_text().split()
    assert data.classes == tuple(names)
    check_pictures(datasets.cifar10(train=False), (3, 32, 32))


def test_real_imdb(real: Any) -> None:
    real("imdb/reviews.jsonl.gz")
    data = datasets.imdb()
    assert len(data) == 5000
    assert data.labels.sum() == 2517
    assert all(data.texts)
    text, label = data[0]
    assert text.startswith("Finally a thriller")
    assert data.classes[label] == "positive"


@pytest.mark.parametrize(
    ("name", "length", "start"),
    [
        ("tinyshakespeare", 1115394, "First Citizen:\n"),
        ("names", 228145, "emma\nolivia\n"),
        ("notre-dame-de-paris-book1", 98086, "LIVRE PREMIER\n"),
    ],
)
def test_real_texts(real: Any, name: str, length: int, start: str) -> None:
    path = real(f"text/{name}.txt")
    text = datasets.text(name)
    assert len(text) == length
    assert text.startswith(start)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    assert store.DOWNLOADS[f"text/{name}.txt"].checksum == f"sha256:{checksum}"


def test_real_fashion_mnist(real: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [REAL, Path("/usr/share/datasets")]
    if not any((place / "fashion-mnist").exists() for place in places):
        pytest.skip("needs fashion-mnist in MINITENSOR_DATA, or Debian's dataset-fashion-mnist")
    monkeypatch.setattr(store, "_SYSTEM", places[1])
    monkeypatch.setenv("MINITENSOR_DATA", str(REAL))
    for train, count, mean in ((True, 60000, 0.2860), (False, 10000, 0.2868)):
        data = datasets.fashion_mnist(train)
        check_pictures(data, (1, 28, 28))
        assert np.bincount(data.labels).tolist() == [count // 10] * 10
        assert math.isclose(data.images.numpy().mean() / 255, mean, abs_tol=1e-4)
