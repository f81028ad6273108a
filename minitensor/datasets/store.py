"""Where the files of data sets live.

`locate` looks in the data folders, in this order: `$MINITENSOR_DATA`, the user's cache, Debian's
/usr/share/datasets. What is in none of them is downloaded into the cache. The checksum is that of
the download alone: a copy that you put into a folder yourself (shuffled, or compressed anew) is
taken as it is.
"""

import importlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_VARIABLE = "MINITENSOR_DATA"
_SYSTEM = Path("/usr/share/datasets")


class DatasetError(RuntimeError, FileNotFoundError):
    """The files of a data set are in no folder, and cannot be downloaded."""


@dataclass(frozen=True)
class Download:
    """A published file: its address and its checksum, as `algorithm:hexadecimal digits`."""

    url: str
    checksum: str


_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_GITHUB = "https://raw.githubusercontent.com/"

# from the path in a data folder to what is published; the sums are the publishers' own, except
# those of the texts (which have none)
DOWNLOADS = {
    "mnist/train-images-idx3-ubyte.gz": Download(
        _MNIST + "train-images-idx3-ubyte.gz", "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873"
    ),
    "mnist/train-labels-idx1-ubyte.gz": Download(
        _MNIST + "train-labels-idx1-ubyte.gz", "md5:d53e105ee54ea40749a09fcbcd1e9432"
    ),
    "mnist/t10k-images-idx3-ubyte.gz": Download(
        _MNIST + "t10k-images-idx3-ubyte.gz", "md5:9fb629c4189551a2d022fa330f9573f3"
    ),
    "mnist/t10k-labels-idx1-ubyte.gz": Download(
        _MNIST + "t10k-labels-idx1-ubyte.gz", "md5:ec29112dd5afa0611ce80d1b7f02629c"
    ),
    "fashion-mnist/train-images-idx3-ubyte.gz": Download(
        _FASHION + "train-images-idx3-ubyte.gz", "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d"
    ),
    "fashion-mnist/train-labels-idx1-ubyte.gz": Download(
        _FASHION + "train-labels-idx1-ubyte.gz", "md5:25c81989df183df01b3e8a0aad5dffbe"
    ),
    "fashion-mnist/t10k-images-idx3-ubyte.gz": Download(
        _FASHION + "t10k-images-idx3-ubyte.gz", "md5:bef4ecab320f06d8554ea6380940ec79"
    ),
    "fashion-mnist/t10k-labels-idx1-ubyte.gz": Download(
        _FASHION + "t10k-labels-idx1-ubyte.gz", "md5:bb300cfdad3c16e7a12a480ee83cd310"
    ),
    "cifar-10-binary.tar.gz": Download(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "md5:c32a1d4ab5d03f1284b67883e8d87530",
    ),
    "aclImdb_v1.tar.gz": Download(
        "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
        "md5:7c2ac02c03563afcf9b574c7e56c153a",
    ),
    "text/tinyshakespeare.txt": Download(
        _GITHUB + "karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
    "text/names.txt": Download(
        _GITHUB + "karpathy/makemore/master/names.txt",
        "sha256:0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
    ),
    "text/notre-dame-de-paris-book1.txt": Download(
        _GITHUB + "ekzhang/char-rnn-keras/e73e4417295c022763db6fee13f39f76f48889ae/data/notre-dame-de-paris.txt",
        "sha256:1981a61789b26e690476da6a3f109496502b1cca16801b982c4367b4f40543a0",
    ),
}


def optional(name: str) -> Any:
    """The module `name`, which comes with the extra `examples`."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.name} is not installed; pip install 'minitensor-edu[examples]' brings it",
            name=error.name,
        ) from error


def cache() -> Path:
    """The folder of downloads, in the user's cache (`platformdirs`)."""
    return Path(optional("platformdirs").user_cache_path("minitensor"))


def folders() -> list[Path]:
    """The data folders, in the order in which they are searched."""
    found = []
    if chosen := os.environ.get(_VARIABLE):
        folder = Path(chosen).expanduser()
        if not folder.is_dir():
            raise DatasetError(f"{_VARIABLE} is {chosen}, which is not a folder")
        found.append(folder)
    if importlib.util.find_spec("platformdirs"):
        found.append(cache())
    return [*found, _SYSTEM]


def locate(*layouts: tuple[str, ...]) -> list[Path]:
    """The files of one layout, found in one folder, or downloaded.

    A layout is a tuple of paths in a data folder that belong together: pictures from one folder
    are never paired with the labels of another. The layouts are alternatives, the best first. Each
    file may be there with or without `.gz`. The first layout that is published is the one to be
    downloaded.

    Raises `DatasetError`, which says what to do.
    """
    searched = folders()
    for folder in searched:
        for names in layouts:
            if paths := _together(folder, names):
                return paths
    for names in layouts:
        if all(name in DOWNLOADS for name in names):
            return [_download(name, searched) for name in names]
    raise DatasetError(f"{_absence(layouts[0][0], searched)}, and there is no download of it")


def found(*names: str) -> list[Path] | None:
    """The files, if one data folder on this machine has them all; nothing is downloaded.

    >>> found("no-such-set/anything.txt") is None
    True
    """
    return next((paths for folder in folders() if (paths := _together(folder, names))), None)


def _together(folder: Path, names: tuple[str, ...]) -> list[Path] | None:
    paths = [path for name in names if (path := _present(folder / name))]
    return paths if len(paths) == len(names) else None


def _present(path: Path) -> Path | None:
    plain = path.with_name(path.name.removesuffix(".gz"))
    packed = path.with_name(plain.name + ".gz")
    return next((candidate for candidate in (plain, packed) if candidate.is_file()), None)


def _absence(name: str, searched: list[Path]) -> str:
    unset = "" if os.environ.get(_VARIABLE) else f"{_VARIABLE} is not set, and "
    return f"{unset}{name} is not in {', '.join(map(str, searched))}"


def _download(name: str, searched: list[Path]) -> Path:
    published = DOWNLOADS[name]
    try:
        pooch, target = optional("pooch"), cache() / name
        # pooch writes beside the target and renames when the checksum is right, so that the cache
        # holds a whole file or none
        progress = sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None
        pooch.retrieve(
            published.url,
            published.checksum,
            target.name,
            target.parent,
            downloader=pooch.HTTPDownloader(progressbar=progress, chunk_size=1 << 16),
        )
    except (OSError, ValueError, ImportError) as error:
        raise DatasetError(
            f"{_absence(name, searched)}, and {published.url} cannot be downloaded. Get the file "
            f"by other means, put it as {name} into a folder and set {_VARIABLE} to that folder. "
            f"(What went wrong: {error})"
        ) from None
    return target
